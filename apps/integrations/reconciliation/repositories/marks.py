"""Keeping what GitHub told of streams that are completely here: one statement for any number of them."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.integrations.reconciliation.repositories.knowing import COUNTED_AT, OURS
from apps.integrations.reconciliation.repositories.statements import run


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What was told of a stream at a time; `reread_at` is when what changes without a trace was read the last time."""

    repository_id: int
    stream: str
    told: Mapping[str, Any]
    passed_at: datetime
    reread_at: datetime | None
    ours: int | None = None
    counted: tuple[int, int] | None = None

    def text(self) -> str:
        beside = {OURS: self.ours, COUNTED_AT: self.counted}
        return json.dumps({**self.told, **{name: value for name, value in beside.items() if value is not None}})


def keep_marks(marks: Collection[Mark]) -> None:
    """Keep them. One that a later pass of another run has kept already stays."""
    if not marks:
        return
    rows = sorted(marks, key=lambda mark: (mark.repository_id, mark.stream))
    run(
        _KEEP,
        repositories=[mark.repository_id for mark in rows],
        streams=[mark.stream for mark in rows],
        marks=[mark.text() for mark in rows],
        passes=[mark.passed_at for mark in rows],
        rereadings=[mark.reread_at for mark in rows],
    )


_KEEP = """
INSERT INTO integrations_streammark AS kept (repository_id, stream, mark, passed_at, reread_at)
SELECT repository_id, stream, mark::jsonb, passed_at, coalesce(reread_at, passed_at) FROM unnest(
    %(repositories)s::bigint[], %(streams)s::text[], %(marks)s::text[], %(passes)s::timestamptz[],
    %(rereadings)s::timestamptz[]
) AS told (repository_id, stream, mark, passed_at, reread_at)
ORDER BY repository_id, stream
ON CONFLICT (repository_id, stream) DO UPDATE SET
    mark = excluded.mark, passed_at = excluded.passed_at, reread_at = greatest(kept.reread_at, excluded.reread_at)
WHERE kept.passed_at <= excluded.passed_at
"""
