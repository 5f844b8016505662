"""The one door into the facts."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from django.db import models as django_models

from apps.activity import facts
from apps.activity.facts import Evidence, Fact, Snapshot
from apps.activity.merging import DIGEST_LENGTH, MergeRule, Row, SnapshotRule, UnionRule
from apps.activity.models import Contributor, Installation, Provenance, PullRequest, Repository
from apps.activity.rules import NUMBERED, RULES
from apps.common import db
from apps.common.failpoints import crash_point

Model = type[django_models.Model]
STUBS: dict[Model, UnionRule] = {
    Contributor: UnionRule(model=Contributor, key=("github_id",)),
    Repository: UnionRule(model=Repository, key=("github_id",)),
    Installation: UnionRule(model=Installation, key=("github_id",)),
    PullRequest: UnionRule(model=PullRequest, key=NUMBERED),
}
DESCRIBED_BY: dict[type[Fact], Model] = {
    facts.ContributorProfile: Contributor,
    facts.RepositoryName: Repository,
    facts.RepositoryState: Repository,
    facts.InstallationState: Installation,
    facts.PullRequestCore: PullRequest,
}
CHILDREN_OF_PULL_REQUESTS = frozenset(
    {facts.PullRequestHappened, facts.PullRequestCommitted, facts.ReviewSubmitted, facts.ReviewCommentState}
)
PROVENANCE = UnionRule(model=Provenance, key=("entity", "key", "source", "source_key"))
APPEND = "INSERT INTO activity_change (kind, key) SELECT * FROM unnest(%s::text[], %s::text[])"
SNAPSHOT_RULES = {kind: rule for kind, rule in RULES.items() if isinstance(rule, SnapshotRule)}
NAMES = {
    kind: tuple(name for name in rule.names if name != getattr(rule, "stamp", None)) for kind, rule in RULES.items()
}


def parents_of(kind: type[Fact]) -> tuple[tuple[tuple[str, ...], Model], ...]:
    """The columns of a row that name a row of another table, and that table."""
    rule = RULES[kind]
    pointers = tuple(
        ((field.column,), field.remote_field.model)
        for field in rule.model._meta.concrete_fields
        if field.column in rule.names and field.remote_field is not None
    )
    return (*pointers, (NUMBERED, PullRequest)) if kind in CHILDREN_OF_PULL_REQUESTS else pointers


def rules_by_model() -> dict[Model, dict[type[Fact], MergeRule]]:
    """The rules of each table, tables in the one order in which everybody locks them."""
    grouped: dict[Model, dict[type[Fact], MergeRule]] = defaultdict(dict)
    for kind, rule in RULES.items():
        grouped[rule.model][kind] = rule
    return grouped


PARENTS = {kind: parents_of(kind) for kind in RULES}
RULES_BY_MODEL = rules_by_model()


def record(evidence: Sequence[Evidence]) -> None:
    """Merge the facts into the tables and append a Change for each entity that changed, in the caller's transaction.

    Any order, any repetition and any mixture of sources ends in the same rows. A parent that a fact names and nobody
    described yet gets a row of its own that holds only its key.
    """
    rows = gathered(evidence)
    stubs = missing_parents(rows)
    changes: dict[tuple[str, str], None] = {}
    for model, rules in RULES_BY_MODEL.items():
        if model in stubs:
            STUBS[model].apply(stubs[model])
        for kind, rule in rules.items():
            changes |= dict.fromkeys(applied(rule, rows.get(kind, ())))
    crash_point("record.half_way")
    insert_provenance(evidence)
    append(changes)


def append(changes: Iterable[tuple[str, str]]) -> None:
    """Append a Change for each kind and key."""
    if pairs := list(changes):
        kinds, keys = zip(*pairs, strict=True)
        db.run(APPEND, [list(kinds), list(keys)])


def applied(rule: MergeRule, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Apply the rule and name what changed by it: kind and key of a Change."""
    if not rows:
        return
    for returned in rule.apply(rows):
        if rule.change:
            yield rule.change.kind, ":".join(map(str, returned))


def gathered(evidence: Iterable[Evidence]) -> dict[type[Fact], list[Row]]:
    """The rows that the facts call for, by class of fact; what several pieces say alike is said once."""
    rows: dict[type[Fact], list[Row]] = defaultdict(list)
    for fact in {fact: None for piece in evidence for fact in piece.facts}:
        rows[type(fact)].append(as_row(fact))
    return rows


def as_row(fact: Fact) -> Row:
    """The fact as columns; a snapshot's stamp becomes text, ended by the digest of what it says."""
    row = {name: getattr(fact, name) for name in NAMES[type(fact)]}
    if isinstance(fact, Snapshot):
        rule = SNAPSHOT_RULES[type(fact)]
        said = repr([row[name] for name in (*rule.fixed, *rule.columns)])
        digest = blake2b(said.encode(errors="replace"), digest_size=DIGEST_LENGTH // 2).hexdigest()
        row[rule.stamp] = fact.stamp.as_text(digest)
    return row


def missing_parents(rows: dict[type[Fact], list[Row]]) -> dict[Model, list[Row]]:
    """Parents travel with children: the keys of those that no fact of this call describes, by table."""
    wanted: dict[Model, set[tuple[int, ...]]] = {model: set() for model in STUBS}
    for kind, of_kind in rows.items():
        for columns, model in PARENTS[kind]:
            wanted[model].update(tuple(row[name] for name in columns) for row in of_kind)
    for kind, model in DESCRIBED_BY.items():
        wanted[model].difference_update(tuple(row[name] for name in STUBS[model].key) for row in rows.get(kind, ()))
    return {
        model: [dict(zip(STUBS[model].key, key, strict=True)) for key in sorted(keys)]
        for model, found in wanted.items()
        if (keys := {key for key in found if None not in key})
    }


def insert_provenance(evidence: Iterable[Evidence]) -> None:
    rows = {
        (fact.entity, entity_key(fact), piece.source.kind, piece.source.key)
        for piece in evidence
        for fact in piece.facts
        if fact.entity
    }
    if rows:
        PROVENANCE.apply([dict(zip(PROVENANCE.key, row, strict=True)) for row in rows])


def entity_key(fact: Fact) -> str:
    return ":".join(str(getattr(fact, name)) for name in RULES[type(fact)].key[:2])
