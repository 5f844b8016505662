"""record(), the only function that writes the tables of facts."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b

from django.db.models import Model

from apps.activity import models
from apps.activity.facts import FACTS, Evidence, Fact, Snapshot
from apps.activity.merging import DIGEST_LENGTH, Merge, Row, SnapshotMerge, UnionMerge
from apps.common import db
from apps.common.failpoints import failpoint

Table = type[Model]
TABLES: tuple[Table, ...] = (
    models.Contributor,
    models.Repository,
    models.Installation,
    models.RepositoryAccess,
    models.GitHubTeam,
    models.GitHubMembership,
    models.GitHubTeamEvent,
    models.GitReference,
    models.Push,
    models.Commit,
    models.CommitTrailer,
    models.PullRequest,
    models.PullRequestEvent,
    models.PullRequestCommit,
    models.Review,
    models.ReviewComment,
    models.Issue,
    models.IssueComment,
    models.Deployment,
    models.DeploymentStatus,
    models.WorkflowRun,
    models.Release,
    models.ReportedDeployment,
    models.ReportedIncident,
)
"""The order in which every transaction locks rows: parents before children."""
NUMBERED = ("repository_id", "number")
STUBS: dict[Table, UnionMerge] = {
    models.Contributor: UnionMerge(model=models.Contributor, key=("github_id",)),
    models.Repository: UnionMerge(model=models.Repository, key=("github_id",)),
    models.Installation: UnionMerge(model=models.Installation, key=("github_id",)),
    models.PullRequest: UnionMerge(model=models.PullRequest, key=NUMBERED),
}
"""How a row is made that has only its key: for a parent that a fact names and no fact has described yet."""
PROVENANCE = UnionMerge(model=models.Provenance, key=("entity", "key", "source", "source_key"))
APPEND = "INSERT INTO activity_change (kind, key) SELECT * FROM unnest(%s::text[], %s::text[])"


def facts_by_table() -> dict[Table, list[type[Fact]]]:
    """Return the classes of facts of each table, tables in the order of TABLES."""
    grouped: dict[Table, list[type[Fact]]] = {table: [] for table in TABLES}
    for kind in FACTS:
        grouped[kind.merge.model].append(kind)
    return grouped


def parents_of(kind: type[Fact]) -> tuple[tuple[tuple[str, ...], Table], ...]:
    """Return the columns of a row that name a row of another table, with that table."""
    pointers = tuple(
        ((field.column,), field.remote_field.model)
        for field in kind.merge.model._meta.concrete_fields
        if field.column in kind.merge.attributes and field.remote_field is not None
    )
    return (*pointers, (NUMBERED, models.PullRequest)) if kind.needs_pull_request else pointers


FACTS_BY_TABLE = facts_by_table()
PARENTS = {kind: parents_of(kind) for kind in FACTS}


def record(evidence: Sequence[Evidence]) -> None:
    """Merge the facts into the tables and append a Change for each entity that changed, in the caller's transaction.

    Any order, any repetition and any mixture of sources ends in the same rows. A parent that a fact names and no fact
    has described yet gets a row that has only its key.
    """
    rows = rows_by_kind(evidence)
    stubs = missing_parents(rows)
    changes: dict[tuple[str, str], None] = {}
    for table, kinds in FACTS_BY_TABLE.items():
        merges = [(kind.merge, rows[kind]) for kind in kinds if kind in rows]
        for merge, merged in insert_first(table, stubs=stubs.get(table, ()), merges=merges):
            changes |= dict.fromkeys(apply(merge, merged))
    failpoint("record.half_way")
    insert_provenance(evidence)
    append(changes)


def insert_first(
    table: Table, *, stubs: Sequence[Row], merges: Sequence[tuple[Merge, Sequence[Row]]]
) -> list[tuple[Merge, Sequence[Row]]]:
    """Return the merges of a table, of which the first inserts all missing rows, in the order of their key.

    If two of them inserted rows, two transactions might insert the same rows in opposite orders, and each would wait
    for the other.
    """
    if table not in STUBS:
        return list(merges)
    first, described = merges[0] if merges else (None, ())
    if not isinstance(first, SnapshotMerge):
        return [(STUBS[table], stubs), *merges]
    others = merges[1:]
    keys = {first.key_of(row) for rows in (stubs, *(rows for _, rows in others)) for row in rows}
    missing = keys - {first.key_of(row) for row in described}
    return [(first, [*described, *map(first.stub, missing)]), *others]


def append(changes: Iterable[tuple[str, str]]) -> None:
    """Append a Change for each kind and key."""
    if pairs := list(changes):
        kinds, keys = zip(*pairs, strict=True)
        db.run(APPEND, [list(kinds), list(keys)])


def apply(merge: Merge, rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Merge the rows and yield the kind and key of a Change for each row that changed."""
    if not rows:
        return
    for returned in merge.apply(rows):
        key = merge.change.key_of(returned) if merge.change else None
        if merge.change and key:
            yield merge.change.kind, key


def rows_by_kind(evidence: Iterable[Evidence]) -> dict[type[Fact], list[Row]]:
    """Return the rows of the facts by class of fact; equal facts of several sources give one row."""
    rows: dict[type[Fact], list[Row]] = defaultdict(list)
    for fact in {fact: None for piece in evidence for fact in piece.facts}:
        rows[type(fact)].append(as_row(fact))
    return rows


def as_row(fact: Fact) -> Row:
    """Return the fact as columns; the stamp of a snapshot becomes text, ended by the digest of its content."""
    row = {name: getattr(fact, name) for name in fact.merge.attributes}
    if isinstance(fact, Snapshot):
        content = repr([row[name] for name in fact.merge.content])
        digest = blake2b(content.encode(errors="replace"), digest_size=DIGEST_LENGTH // 2).hexdigest()
        row[fact.merge.stamp] = fact.stamp.as_text(digest)
    return row


def missing_parents(rows: dict[type[Fact], list[Row]]) -> dict[Table, list[Row]]:
    """Return the keys of the parents that no fact of this call describes, by table."""
    named: dict[Table, set[tuple[int, ...]]] = {table: set() for table in STUBS}
    for kind, of_kind in rows.items():
        for columns, table in PARENTS[kind]:
            named[table].update(tuple(row[name] for name in columns) for row in of_kind)
    for kind, of_kind in rows.items():
        if kind.describes:
            table = kind.merge.model
            named[table].difference_update(tuple(row[name] for name in STUBS[table].key) for row in of_kind)
    return {
        table: [dict(zip(STUBS[table].key, key, strict=True)) for key in sorted(keys)]
        for table, found in named.items()
        if (keys := {key for key in found if None not in key})
    }


def insert_provenance(evidence: Iterable[Evidence]) -> None:
    """Record which source contained a fact about which entity."""
    rows = {
        (fact.entity, entity_key(fact), piece.source.kind, piece.source.key)
        for piece in evidence
        for fact in piece.facts
        if fact.entity
    }
    if rows:
        PROVENANCE.apply([dict(zip(PROVENANCE.key, row, strict=True)) for row in rows])


def entity_key(fact: Fact) -> str:
    """Return the key of the fact's entity, as provenance has it."""
    return ":".join(str(getattr(fact, name)) for name in fact.merge.key[:2])
