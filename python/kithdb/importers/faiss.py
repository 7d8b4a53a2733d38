"""Out of FAISS: the file of an index."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kithdb.errors import InvalidArgument, missing
from kithdb.importers.batches import Batch, Source, identified, rows_of
from kithdb.importers.moving import move
from kithdb.importers.naming import distance, texts_of
from kithdb.importers.payloads import Payload, chosen
from kithdb.importers.report import Report
from kithdb.rows import Progress

if TYPE_CHECKING:
    from kithdb.database import Database

#: What the names of classes that keep vectors as they are have in them.
_LOSSLESS = ("IndexFlat", "IndexHNSWFlat", "IndexIVFFlat", "IndexNSGFlat")


def from_faiss(
    source: Any,
    db: Database,
    collection: str | None = None,
    *,
    metric: str | None = None,
    payload: Payload = None,
    text: Sequence[str] | None = None,
    id_field: str = "id",
    exist_ok: bool = False,
    progress: Progress = False,
) -> Report:
    """Moves an index into a collection, which has the name of the file if none is given; ids are those of FAISS.

    `source` is a file that `faiss.write_index` wrote, or an index. Every index is moved that can give its vectors
    back (`reconstruct`); those of one that keeps codes are what the codes say, and the report notes it. Flat and
    inverted files are mapped, others FAISS reads as a whole. The metric is that of the index, unless `metric` says
    `cosine`, which FAISS takes for the dot product of vectors of length 1. `payload` is what an index has no place
    for: a dict by id, or a function from ids to a list of dicts; `text` are members of it that are sought by words.

    Raises `InvalidArgument` on `source` or `metric`, `AlreadyExists` unless `exist_ok`, `MissingPackage` without
    `faiss-cpu`.
    """
    try:
        import faiss
    except ImportError as error:
        raise missing("faiss-cpu", "from_faiss()") from error
    is_path = isinstance(source, (str, os.PathLike))
    index = _read(faiss, Path(source)) if is_path else source
    name = collection or (Path(source).stem if is_path else None)
    if name is None:
        raise InvalidArgument("is missing; an index has no name of its own", "collection")
    nearness = _distance(faiss, index, metric)
    inner, id_map = _inner(faiss, index)
    kind = type(inner).__name__
    notes = _notes(faiss, inner)
    spaces = {"": {"size": int(index.d), "distance": nearness}}
    batches = _batches(_rows(faiss, inner, id_map), payload, id_field)
    made = Source(name, int(index.ntotal), spaces, batches, text=texts_of(text), notes=notes)
    place = f"FAISS {os.fspath(source)}" if is_path else f"FAISS {kind}"
    return move(place, [made], db, exist_ok=exist_ok, progress=progress)


def _read(faiss: Any, path: Path) -> Any:
    if not path.is_file():
        raise InvalidArgument(f"`{path}` is no file", "source")
    try:
        # What is mapped is read when it is needed. Not every kind of index can be.
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP)
    except RuntimeError:
        try:
            return faiss.read_index(str(path))
        except RuntimeError as error:
            raise InvalidArgument(f"`{path}` cannot be read as an index of FAISS: {error}", "source") from error


def _distance(faiss: Any, index: Any, metric: str | None) -> str:
    if metric is not None:
        return distance(metric)
    known = {faiss.METRIC_L2: "Euclid", faiss.METRIC_INNER_PRODUCT: "Dot", faiss.METRIC_L1: "Manhattan"}
    if index.metric_type not in known:
        raise InvalidArgument("of the index is none of this database; name the one that comes nearest", "metric")
    return known[index.metric_type]


def _inner(faiss: Any, index: Any) -> tuple[Any, Any]:
    """The index that has the vectors, and the ids of its rows if they have others than their numbers."""
    found = faiss.downcast_index(index)
    if type(found).__name__.startswith("IndexIDMap"):
        return faiss.downcast_index(found.index), faiss.vector_to_array(found.id_map)
    return found, None


def _notes(faiss: Any, index: Any) -> list[str]:
    kind = type(index).__name__
    if kind == "IndexPreTransform":
        turned = "it turns vectors before it keeps them: these are what they turn back into"
        return [turned, *_notes(faiss, faiss.downcast_index(index.index))]
    return [] if kind.startswith(_LOSSLESS) else [f"{kind} keeps codes: these are the vectors that the codes stand for"]


def _rows(faiss: Any, index: Any, id_map: Any) -> Iterator[tuple[Any, Any]]:
    """Ids and vectors, a batch at a time."""
    import numpy as np

    step = rows_of(index.d)
    lists = faiss.try_extract_index_ivf(index) if id_map is None else None
    if lists is not None:
        yield from _listed(faiss, index, lists, step)
        return
    for first in range(0, int(index.ntotal), step):
        count = min(step, int(index.ntotal) - first)
        try:
            rows = index.reconstruct_n(first, count)
        except RuntimeError as error:
            raise InvalidArgument(f"is an index that cannot give its vectors back: {error}", "source") from error
        numbers = np.arange(first, first + count, dtype=np.int64)
        yield (numbers if id_map is None else id_map[first : first + count]), rows


def _listed(faiss: Any, index: Any, lists: Any, step: int) -> Iterator[tuple[Any, Any]]:
    """Those of an inverted file, list by list: its ids are any."""
    import numpy as np

    # A table from ids to places; without it only rows whose ids are their numbers are found.
    lists.set_direct_map_type(faiss.DirectMap.Hashtable)
    kept = faiss.downcast_InvertedLists(lists.invlists) if hasattr(faiss, "downcast_InvertedLists") else lists.invlists
    for number in range(lists.nlist):
        size = int(kept.list_size(number))
        if not size:
            continue
        ids = np.array(faiss.rev_swig_ptr(kept.get_ids(number), size), np.int64)
        for first in range(0, size, step):
            part = ids[first : first + step]
            yield part, index.reconstruct_batch(part)


def _batches(rows: Iterator[tuple[Any, Any]], payload: Payload, id_field: str) -> Iterator[Batch]:
    import numpy as np

    for given, vectors in rows:
        ids, payloads = identified(np.asarray(given), chosen(payload, given.tolist()), id_field)
        yield Batch(ids, {"": np.ascontiguousarray(vectors, np.float32)}, payloads)
