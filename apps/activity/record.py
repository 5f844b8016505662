"""The one door into the facts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b

from django.db import models as django_models

from apps.activity import facts
from apps.activity.facts import Evidence, Fact, Snapshot
from apps.activity.merging import DIGEST_LENGTH, Row, SnapshotRule, UnionRule
from apps.activity.models import Change, Contributor, Installation, Provenance, PullRequest, Repository
from apps.activity.rules import NUMBERED, RULES

STUBS = {model: UnionRule(model=model, key=("github_id",)) for model in (Contributor, Repository, Installation)} | {
    PullRequest: UnionRule(model=PullRequest, key=NUMBERED)
}
DESCRIBED_BY: dict[type[Fact], type[django_models.Model]] = {
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
SNAPSHOT_RULES = {kind: rule for kind, rule in RULES.items() if isinstance(rule, SnapshotRule)}
NAMES = {
    kind: tuple(name for name in rule.names if name != getattr(rule, "stamp", None)) for kind, rule in RULES.items()
}


def parents_of(kind: type[Fact]) -> tuple[tuple[tuple[str, ...], type[django_models.Model]], ...]:
    """The columns of a row that name a row of another table, and that table."""
    rule = RULES[kind]
    pointers = tuple(
        ((field.column,), field.remote_field.model)
        for field in rule.model._meta.concrete_fields
        if field.column in rule.names and field.remote_field is not None
    )
    return (*pointers, (NUMBERED, PullRequest)) if kind in CHILDREN_OF_PULL_REQUESTS else pointers


PARENTS = {kind: parents_of(kind) for kind in RULES}


def record(evidence: Sequence[Evidence]) -> None:
    """Merge the facts into the tables and append a Change for each entity that changed, in the caller's transaction.

    Any order, any repetition and any mixture of sources ends in the same rows. A parent that a fact names and nobody
    described yet gets a row of its own that holds only its key.
    """
    rows = gathered(evidence)
    insert_stubs(rows)
    changes: dict[tuple[str, str], None] = {}
    for kind, rule in RULES.items():
        if kind not in rows:
            continue
        for returned in rule.apply(rows[kind]):
            if rule.change:
                changes[rule.change.kind, ":".join(map(str, returned))] = None
    insert_provenance(evidence)
    Change.objects.bulk_create(Change(kind=kind, key=key) for kind, key in changes)


def gathered(evidence: Iterable[Evidence]) -> dict[type[Fact], list[Row]]:
    """The rows that the facts call for, by class of fact."""
    rows: dict[type[Fact], list[Row]] = defaultdict(list)
    for piece in evidence:
        for fact in piece.facts:
            rows[type(fact)].append(as_row(fact))
    return rows


def as_row(fact: Fact) -> Row:
    """The fact as columns; a snapshot's stamp becomes text, ended by the digest of what it says."""
    row = {name: getattr(fact, name) for name in NAMES[type(fact)]}
    if isinstance(fact, Snapshot):
        rule = SNAPSHOT_RULES[type(fact)]
        said = repr([row[name] for name in rule.columns])
        digest = blake2b(said.encode(errors="replace"), digest_size=DIGEST_LENGTH // 2).hexdigest()
        row[rule.stamp] = fact.stamp.as_text(digest)
    return row


def insert_stubs(rows: dict[type[Fact], list[Row]]) -> None:
    """Parents travel with children: a key alone, where no fact of this call describes the parent."""
    wanted: dict[type[django_models.Model], set[tuple[int, ...]]] = {model: set() for model in STUBS}
    for kind, of_kind in rows.items():
        for columns, model in PARENTS[kind]:
            wanted[model].update(tuple(row[name] for name in columns) for row in of_kind)
    for kind, model in DESCRIBED_BY.items():
        wanted[model].difference_update(tuple(row[name] for name in STUBS[model].key) for row in rows.get(kind, ()))
    for model, stub in STUBS.items():
        keys = sorted(key for key in wanted[model] if None not in key)
        if keys:
            stub.apply([dict(zip(stub.key, key, strict=True)) for key in keys])


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
