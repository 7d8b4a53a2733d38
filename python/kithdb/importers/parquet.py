"""Out of Parquet: a file, or a folder of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kithdb.errors import InvalidArgument, missing
from kithdb.importers.batches import Source, rows_of
from kithdb.importers.columns import batches_of, check_text, dimensions, laid_out
from kithdb.importers.moving import move
from kithdb.importers.naming import Vectors, distance
from kithdb.importers.report import Report
from kithdb.rows import Progress

if TYPE_CHECKING:
    from kithdb.database import Database

#: Rows that are read at once, and bytes of each column that are read ahead.
_ROWS, _AHEAD_BYTES = 4_096, 1 << 20


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
    sizes = dimensions(opened.schema, layout, next(_read(opened, list(layout.spaces)), None))
    spaces = {space: {"size": size, "distance": distance(metric)} for space, size in sizes.items()}
    batches = batches_of(_read(opened), layout, rows_of(sum(sizes.values())))
    words = check_text(opened.schema, text)
    return Source(name, opened.count_rows(), spaces, batches, text=words, notes=notes)


def _read(opened: Any, columns: list[str] | None = None) -> Iterator[Any]:
    """The rows of all files, batch by batch. A scan of the whole would hold groups of rows, which may be the file."""
    import pyarrow.parquet as parquet

    for file in opened.get_fragments():
        if file.physical_schema.equals(opened.schema):
            with parquet.ParquetFile(file.path, pre_buffer=False, buffer_size=_AHEAD_BYTES) as rows:
                yield from rows.iter_batches(_ROWS, columns=columns)
        else:
            # With other columns than the first file, which it has to be brought in line with.
            yield from file.to_batches(schema=opened.schema, columns=columns, batch_size=_ROWS, batch_readahead=1)
