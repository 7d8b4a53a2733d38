"""Payload for sources that have none: indexes of vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from kithdb.errors import InvalidArgument

#: By id, or a function from ids to the payload of each.
Payload: TypeAlias = Mapping[Any, Mapping[str, Any]] | Callable[[list[int]], Sequence[Mapping[str, Any]]] | None


def chosen(payload: Payload, ids: list[int]) -> list[dict[str, Any]] | None:
    """The payload of points, by their ids in the source. A point that has none gets none."""
    if payload is None:
        return None
    if isinstance(payload, Mapping):
        return [dict(payload.get(one) or {}) for one in ids]
    told = payload(ids)
    if len(told) != len(ids):
        raise InvalidArgument(f"gave {len(told)} dicts for {len(ids)} ids; each needs one", "payload")
    return [dict(one) for one in told]
