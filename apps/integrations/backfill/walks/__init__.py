"""The way through each stream."""

from collections.abc import Mapping

from apps.integrations.backfill.walking import Walk

WALKS: Mapping[str, Walk] = {}
