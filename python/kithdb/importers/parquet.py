"""Out of Parquet: a file, or a folder of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kithdb.errors import InvalidArgument, missing
from kithdb.importers.batches import Source, rows_of
from kithdb.importers.columns import Vectors, batches_of, check_text, dimensions, laid_out
from kithdb.importers.moving import move
from kithdb.importers.report import Report
from kithdb.rows import Progress

if TYPE_CHECKING:
    from kithdb.database import Database

#: Rows that are read at once.
_ROWS = 4_096


def from_parquet(
    source: str | os.PathLike[str],
    db: Database,
    collection: str | None = None,
    *,
    id: str | None = None,
    vectors: Vectors = None,
    metric: str = "cosine",
    text: Sequence[str] | None = None,
    id_field: str = "id",
    exist_ok: bool = False,
    progress: Progress = False,
) -> Report:
    """Moves a file of Parquet, or all files of a folder, into a collection, which has the name of the file if none is
    given.

    `id` is the column of ids: without it `id`, or the numbers of the rows. `vectors` are the columns of vectors, by
    default those that are lists of floating-point numbers: one goes to the unnamed space, several to spaces of their
    names; `{"column": "space"}` names the spaces. `text` are columns that are sought by words. The rest is payload.

    Raises `InvalidArgument` on `source` or naming the column, `AlreadyExists` unless `exist_ok`, `MissingPackage`
    without `pyarrow`.
    """
    try:
        import pyarrow as pa
        import pyarrow.dataset as dataset
    except ImportError as error:
        raise missing("pyarrow", "from_parquet()") from error
    path = Path(source)
    try:
        opened = dataset.dataset(path, format="parquet")
    except (OSError, pa.ArrowInvalid) as error:
        raise InvalidArgument(f"`{path}` cannot be read as Parquet: {error}", "source") from error
    made = _source(opened, collection or path.stem, id, vectors, metric, text, id_field)
    return move(f"Parquet {path}", [made], db, exist_ok=exist_ok, progress=progress)


def _source(
    opened: Any, name: str, id: str | None, vectors: Vectors, metric: str, text: Sequence[str] | None, id_field: str
) -> Source:
    layout, notes = laid_out(opened.schema, id, vectors, id_field)
    first = opened.head(_ROWS, columns=list(layout.spaces))
    sizes = dimensions(opened.schema, layout, first if first.num_rows else None)
    spaces = {space: {"size": size, "distance": metric.capitalize()} for space, size in sizes.items()}

    def read() -> Iterator[Any]:
        # One batch ahead of the one that is written, and no more.
        yield from opened.to_batches(batch_size=_ROWS, batch_readahead=1, fragment_readahead=1)

    batches = batches_of(read(), layout, rows_of(sum(sizes.values())))
    words = check_text(opened.schema, text)
    return Source(name, opened.count_rows(), spaces, batches, text=words, notes=notes)
