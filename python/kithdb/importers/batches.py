"""Points on their way, a batch at a time, in one form whatever they come from."""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kithdb.errors import InvalidArgument
from kithdb.rows import Ids, id_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Bytes of vectors in one batch, about, and rows in one at most.
_BATCH_BYTES, _BATCH_ROWS = 8 << 20, 4_096


def rows_of(dim: int) -> int:
    """Rows in a batch, for vectors of so many elements in all."""
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // (4 * max(1, dim))))


@dataclass
class Batch:
    """Points: ids, what all of them have as columns, the other vectors by point."""

    ids: Ids
    #: Dense vectors that every point has, by space, a row each.
    vectors: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    payloads: list[dict[str, Any]] | None = None
    #: Vectors that not every point has, or that are not dense, by space, for each point.
    others: list[dict[str, Any]] | None = None

    def dense(self, space: str) -> tuple[list[int | str], npt.NDArray[np.float32]]:
        """The points that have a dense vector in a space, and the vectors."""
        import numpy as np

        if space in self.vectors:
            return listed(self.ids), np.asarray(self.vectors[space], np.float32)
        found = [(one, other[space]) for one, other in zip(listed(self.ids), self.others or []) if space in other]
        rows = np.asarray([row for _, row in found], np.float32)
        return [one for one, _ in found], rows.reshape(len(found), -1 if found else 0)

    def point(self, at: int) -> dict[str, Any]:
        """One point, as it is written."""
        vector = {space: rows[at] for space, rows in self.vectors.items()}
        vector |= self.others[at] if self.others is not None else {}
        return {
            "id": listed(self.ids)[at],
            "vector": vector or None,
            "payload": self.payloads[at] if self.payloads is not None else {},
        }


def listed(ids: Ids) -> list[int | str]:
    """Ids as a list."""
    return list(ids) if isinstance(ids, list) else list(ids.tolist())


@dataclass
class Source:
    """A collection of a source."""

    name: str
    #: How many points it has, if it can say so.
    count: int | None
    #: Its vectors, as the body of a new collection names them.
    spaces: dict[str, dict[str, Any]]
    batches: Iterator[Batch]
    sparse: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: What of the payload is sought by words.
    text: list[str] = field(default_factory=list)
    #: Indexes of fields, as the body of a new index names them.
    fields: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    #: Questions of the source itself: vectors, and the ids of their nearest, the nearest first.
    known: tuple[npt.NDArray[np.float32], list[list[int]]] | None = None


def plain(value: Any) -> Any:
    """A value of any source as JSON has it: times as text, bytes in base64, what is no number as null."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(one) for one in value]
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Decimal):
        return plain(int(value) if value == value.to_integral_value() else float(value)) if value.is_finite() else None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value)


def identified(given: Any, payloads: list[dict[str, Any]] | None, id_field: str) -> tuple[Ids, Any]:
    """The ids of points by those of the source, and payloads that keep the latter where they are no ids here."""
    import numpy as np

    if isinstance(given, np.ndarray) and np.issubdtype(given.dtype, np.integer):
        if not len(given) or given.min() >= 0:
            return np.ascontiguousarray(given, np.uint64), payloads
        given = given.tolist()
    ids = [point_id(one) for one in given]
    for at, (one, source) in enumerate(zip(ids, given)):
        if one == source or isinstance(source, uuid.UUID):
            continue
        payloads = [{} for _ in ids] if payloads is None else payloads
        if payloads[at].get(id_field, source) != source:
            raise InvalidArgument(
                f"is `{id_field}`, which the payload of {source!r} has already; name another", "id_field"
            )
        payloads[at][id_field] = source
    return ids, payloads


def point_id(given: Any) -> int | str:
    """The id of a point, by that of a source: itself, or the UUID that stands for it."""
    if isinstance(given, uuid.UUID):
        return str(given)
    if hasattr(given, "item"):
        given = given.item()
    if isinstance(given, int) and not isinstance(given, bool):
        return given if 0 <= given < 1 << 64 else id_of(str(given))
    text = str(given)
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return id_of(text)


def _is_dense(vector: Any) -> bool:
    if vector is None or isinstance(vector, Mapping):
        return False
    return not len(vector) or not hasattr(vector[0], "__len__")


def of_points(points: Sequence[Mapping[str, Any]]) -> Batch:
    """Points as the routes give them, with ids that need no change."""
    named = [_by_space(point.get("vector")) for point in points]
    spaces = dict.fromkeys(space for one in named for space in one)
    full, others = split({space: [one.get(space) for one in named] for space in spaces})
    payloads = [dict(point.get("payload") or {}) for point in points]
    return Batch([point["id"] for point in points], full, payloads, others)


def _by_space(vector: Any) -> Mapping[str, Any]:
    if vector is None:
        return {}
    return vector if isinstance(vector, Mapping) else {"": vector}


def split(columns: Mapping[str, Sequence[Any]]) -> tuple[dict[str, Any], list[dict[str, Any]] | None]:
    """Columns of vectors, in which some may be `None`, as those that are full and the others by point."""
    import numpy as np

    full: dict[str, Any] = {}
    others: list[dict[str, Any]] | None = None
    for space, column in columns.items():
        if all(map(_is_dense, column)):
            full[space] = np.asarray(column)
            continue
        others = [{} for _ in column] if others is None else others
        for other, one in zip(others, column):
            if one is not None:
                other[space] = one
    return full, others
