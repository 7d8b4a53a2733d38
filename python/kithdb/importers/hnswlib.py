"""Out of hnswlib: the file of an index, read as it lies, without the package.

The file begins with a header of sizes; behind it lies, for each element, its links in the lowest level, its vector and
its label. Nothing is read beyond what goes into a batch, and elements that are marked as deleted are left out, which
the package itself cannot tell of a file. Files of single precision alone: those of the spaces `l2`, `ip` and `cosine`.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kithdb.errors import InvalidArgument
from kithdb.importers.batches import Batch, Source, rows_of
from kithdb.importers.moving import move
from kithdb.importers.naming import texts_of
from kithdb.importers.payloads import Payload, chosen
from kithdb.importers.report import Report
from kithdb.rows import Progress

if TYPE_CHECKING:
    from kithdb.database import Database

#: Sizes and offsets, of the platform's `size_t`; then the top level and its entry; then degrees and settings.
_HEADER = struct.Struct("<6QiI3QdQ")

#: What hnswlib calls the measures of nearness.
_METRICS = {"l2": "Euclid", "ip": "Dot", "cosine": "Cosine"}

#: The mark of a deleted element, in the third byte of its links.
_DELETED = 1


@dataclass(frozen=True)
class _Header:
    count: int
    element_bytes: int
    label_at: int
    vector_at: int

    @property
    def dim(self) -> int:
        return (self.label_at - self.vector_at) // 4


def from_hnswlib(
    source: str | os.PathLike[str],
    db: Database,
    collection: str | None = None,
    *,
    space: str,
    payload: Payload = None,
    text: Sequence[str] | None = None,
    exist_ok: bool = False,
    progress: Progress = False,
) -> Report:
    """Moves an index into a collection, which has the name of the file if none is given; ids are the labels.

    `space` is what the index was made with, `l2`, `ip` or `cosine`: the file does not say it. Under `cosine` the
    vectors in it have length 1. `payload` is what the index has no place for: a dict by label, or a function from
    labels to a list of dicts; `text` are members of it that are sought by words.

    Raises `InvalidArgument` on `source` or `space`, `AlreadyExists` unless `exist_ok`.
    """
    if space not in _METRICS:
        raise InvalidArgument(f"`{space}` is none of {', '.join(_METRICS)}", "space")
    path = Path(source)
    header = _header(path)
    labels, rows = _mapped(path, header)
    spaces = {"": {"size": header.dim, "distance": _METRICS[space]}}
    alive = _alive(path, header)
    notes = [] if len(alive) == header.count else [f"{header.count - len(alive):,} deleted elements were left out"]
    batches = _batches(labels, rows, alive, payload)
    made = Source(collection or path.stem, len(alive), spaces, batches, text=texts_of(text), notes=notes)
    return move(f"hnswlib {path}", [made], db, exist_ok=exist_ok, progress=progress)


def _header(path: Path) -> _Header:
    try:
        with path.open("rb") as file:
            head = file.read(_HEADER.size)
        size = path.stat().st_size
    except OSError as error:
        raise InvalidArgument(f"`{path}` cannot be read: {error}", "source") from error
    if len(head) < _HEADER.size:
        raise InvalidArgument(f"`{path}` is no index of hnswlib: it is too short", "source")
    start, capacity, count, element_bytes, label_at, vector_at, *_ = _HEADER.unpack(head)
    fits = start == 0 and count <= capacity and vector_at < label_at and label_at + 8 == element_bytes
    if not fits or (label_at - vector_at) % 4 or size < _HEADER.size + count * element_bytes:
        raise InvalidArgument(f"`{path}` is no index of hnswlib, or is damaged: its sizes do not fit", "source")
    return _Header(count, element_bytes, label_at, vector_at)


def _field(path: Path, header: _Header, offset: int, kind: Any) -> Any:
    """A field of every element, as it lies in the file."""
    import numpy as np

    layout = np.dtype({"names": ["it"], "formats": [kind], "offsets": [offset], "itemsize": header.element_bytes})
    if not header.count:
        return np.empty(0, layout)["it"]
    return np.memmap(path, layout, "r", _HEADER.size, (header.count,))["it"]


def _mapped(path: Path, header: _Header) -> tuple[Any, Any]:
    return _field(path, header, header.label_at, "<u8"), _field(path, header, header.vector_at, ("<f4", header.dim))


def _alive(path: Path, header: _Header) -> Any:
    import numpy as np

    return np.flatnonzero(_field(path, header, 2, "u1") & _DELETED == 0)


def _batches(labels: Any, rows: Any, alive: Any, payload: Payload) -> Iterator[Batch]:
    import numpy as np

    step = rows_of(rows.shape[1]) if len(rows) else 1
    for first in range(0, len(alive), step):
        part = alive[first : first + step]
        ids = np.ascontiguousarray(labels[part], np.uint64)
        yield Batch(ids, {"": np.ascontiguousarray(rows[part])}, chosen(payload, ids.tolist()))
