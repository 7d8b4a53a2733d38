"""Out of HDF5, as ann-benchmarks lays it out: `train`, and for the check `test` and `neighbors`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kithdb.errors import InvalidArgument, missing
from kithdb.importers.batches import Batch, Source, rows_of
from kithdb.importers.checking import LIMIT
from kithdb.importers.moving import move
from kithdb.importers.naming import distance
from kithdb.importers.report import Report
from kithdb.rows import Progress

if TYPE_CHECKING:
    from kithdb.database import Database

#: What ann-benchmarks calls the measures of nearness.
_METRICS = {"angular": "Cosine", "euclidean": "Euclid", "dot": "Dot", "ip": "Dot", "manhattan": "Manhattan"}

#: Questions of the file that are asked.
_QUESTIONS = 100


def from_hdf5(
    source: str | os.PathLike[str],
    db: Database,
    collection: str | None = None,
    *,
    vectors: str = "train",
    metric: str | None = None,
    exist_ok: bool = False,
    progress: Progress = False,
) -> Report:
    """Moves the rows of a data set into a collection, which has the name of the file if none is given; ids are their
    numbers, from 0 on.

    The metric is `metric`, else what the attribute `distance` of the file says, else `cosine`. Where the file has
    questions and their neighbours (`test`, `neighbors`), and its own metric counts, a sample of them is asked at the
    end.

    Raises `InvalidArgument` on `source`, `vectors` or `metric`, `AlreadyExists` unless `exist_ok`, `MissingPackage`
    without `h5py`.
    """
    try:
        import h5py
    except ImportError as error:
        raise missing("h5py", "from_hdf5()") from error
    path = Path(source)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InvalidArgument(f"`{path}` cannot be read as HDF5: {error}", "source") from error
    with file:
        made = _source(file, collection or path.stem, vectors, metric)
        return move(f"HDF5 {path}", [made], db, exist_ok=exist_ok, progress=progress)


def _source(file: Any, name: str, vectors: str, metric: str | None) -> Source:
    if vectors not in file or file[vectors].ndim != 2:
        raise InvalidArgument(f"names no matrix `{vectors}`; there are: {', '.join(file)}", "vectors")
    rows = file[vectors]
    kind = file.attrs.get("distance")
    kind = kind.decode() if isinstance(kind, bytes) else kind
    if kind is not None and kind not in _METRICS and metric is None:
        raise InvalidArgument(f"is `{kind}` in the file, which there is nothing like here; give another", "metric")
    nearness = distance(metric) if metric is not None else _METRICS[kind or "angular"]
    known = None
    if vectors == "train" and {"test", "neighbors"} <= set(file) and metric is None:
        true = file["neighbors"][:_QUESTIONS, :LIMIT].tolist()
        known = (file["test"][: len(true)].astype("float32"), true)
    spaces = {"": {"size": int(rows.shape[1]), "distance": nearness}}
    return Source(name, len(rows), spaces, _batches(rows), known=known)


def _batches(rows: Any) -> Iterator[Batch]:
    import numpy as np

    step = rows_of(rows.shape[1])
    for first in range(0, len(rows), step):
        part = rows[first : first + step].astype(np.float32)
        yield Batch(np.arange(first, first + len(part), dtype=np.uint64), {"": part})
