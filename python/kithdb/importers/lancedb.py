"""Out of LanceDB: the directory of a database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kithdb.errors import InvalidArgument, missing
from kithdb.importers.batches import Source, rows_of
from kithdb.importers.columns import batches_of, check_text, dimensions, laid_out
from kithdb.importers.moving import move
from kithdb.importers.naming import Vectors, distance, wanted
from kithdb.importers.report import Report
from kithdb.rows import Progress

if TYPE_CHECKING:
    from kithdb.database import Database

#: What LanceDB calls the measures of nearness.
_METRICS = {"l2": "Euclid", "cosine": "Cosine", "dot": "Dot"}

#: Rows that are read at once.
_ROWS = 1_024


def from_lancedb(
    source: Any,
    db: Database,
    *,
    tables: Sequence[str] | None = None,
    prefix: str = "",
    id: str | None = None,
    vectors: Vectors = None,
    metric: str | None = None,
    text: Sequence[str] | None = None,
    id_field: str = "id",
    exist_ok: bool = False,
    progress: Progress = False,
) -> Report:
    """Moves the tables of LanceDB, all of them or those of these names, to collections of the same names.

    `source` is the directory, or a connection. `id`, `vectors` and `text` are columns, as `from_parquet` takes them;
    without `text` those are sought by words that have a full-text index. The metric is that of the index of the
    vectors, else `metric`, else that of LanceDB: `euclid`.

    Raises `InvalidArgument` on `source` or naming the column or table, `AlreadyExists` unless `exist_ok`,
    `MissingPackage` without `lancedb`.
    """
    try:
        import lancedb
    except ImportError as error:
        raise missing("lancedb", "from_lancedb()") from error
    is_path = isinstance(source, (str, os.PathLike))
    if is_path and "://" not in os.fspath(source) and not Path(source).is_dir():
        raise InvalidArgument(f"`{os.fspath(source)}` is no directory", "source")
    connection = lancedb.connect(os.fspath(source)) if is_path else source
    there = _names(connection)
    if not there:
        raise InvalidArgument("has no tables", "source")
    opened = (connection.open_table(name) for name in wanted(tables, there, "tables"))
    sources = (_source(table, id, vectors, metric, text, id_field) for table in opened)
    place = f"LanceDB {os.fspath(source)}" if is_path else "LanceDB"
    return move(place, sources, db, name=lambda one: prefix + one, exist_ok=exist_ok, progress=progress)


def _names(connection: Any) -> list[str]:
    names: list[str] = []
    token = None
    while True:
        page = connection.list_tables(page_token=token)
        names += page.tables
        token = page.page_token
        if not token:
            return sorted(names)


def _source(
    table: Any, id: str | None, vectors: Vectors, metric: str | None, text: Sequence[str] | None, id_field: str
) -> Source:
    layout, notes = laid_out(table.schema, id, vectors, id_field)
    first = table.head(_ROWS).combine_chunks() if table.count_rows() else None
    sizes = dimensions(table.schema, layout, first)
    indexes = list(table.list_indices())
    spaces = {}
    for column, space in layout.spaces.items():
        own = next((one.name for one in indexes if one.index_type != "FTS" and list(one.columns) == [column]), None)
        kind = None if own is None else table.index_stats(own).distance_type
        nearness = _METRICS.get(str(kind).lower()) or distance(metric or "euclid")
        spaces[space] = {"size": sizes[space], "distance": nearness}
    words = [column for one in indexes if one.index_type == "FTS" for column in one.columns]
    # Not `to_arrow`, which holds the whole table.
    batches = batches_of(table.search().to_batches(_ROWS), layout, rows_of(sum(sizes.values())))
    return Source(
        table.name,
        table.count_rows(),
        spaces,
        batches,
        text=check_text(table.schema, words if text is None else text),
        notes=notes,
    )
