"""Tables of Arrow as batches: which column is what, and rows in the form of points."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from kithdb.errors import InvalidArgument
from kithdb.importers.batches import Batch, identified, plain, split
from kithdb.importers.naming import Vectors, check_columns, spaces_of, texts_of


@dataclass(frozen=True)
class Layout:
    """Which column of a table is what. The rest is payload."""

    id: str | None
    #: The space of each column of vectors.
    spaces: dict[str, str]
    id_field: str


def laid_out(schema: Any, id: str | None, vectors: Vectors, id_field: str) -> tuple[Layout, list[str]]:
    """The layout of a table by what was named, and by its types where nothing was; and what to know about it."""
    names = list(schema.names)
    check_columns([] if id is None else [id], names, "id")
    own = id or ("id" if "id" in names else None)
    notes = [] if own else ["there is no column of ids, so they are the numbers of the rows, from 0 on"]
    if vectors is None:
        found = [name for name in names if _is_vector(schema.field(name).type)]
        if not found:
            raise InvalidArgument(f"no column has vectors; name it, of: {', '.join(names)}", "vectors")
        spaces = {found[0]: ""} if len(found) == 1 else {name: name for name in found}
    else:
        spaces = spaces_of(vectors)
    check_columns(spaces, names, "vectors")
    for name in spaces:
        if not hasattr(schema.field(name).type, "value_type"):
            raise InvalidArgument(f"names `{name}`, which has the type {schema.field(name).type}", "vectors")
    return Layout(own, spaces, id_field), notes


def _is_vector(kind: Any) -> bool:
    import pyarrow as pa

    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return is_list and bool(pa.types.is_floating(kind.value_type))


def check_text(schema: Any, text: Sequence[str] | None) -> list[str]:
    """The columns that are sought by words."""
    wanted = texts_of(text)
    check_columns((name.split(".")[0] for name in wanted), schema.names, "text")
    return wanted


def dimensions(schema: Any, layout: Layout, first: Any) -> dict[str, int]:
    """How many elements the vectors have, by the type of their column, or by the first of them."""
    import pyarrow as pa

    found = {}
    for column, space in layout.spaces.items():
        kind = schema.field(column).type
        if pa.types.is_fixed_size_list(kind):
            found[space] = int(kind.list_size)
            continue
        lengths = {} if first is None else {len(row) for row in first.column(column).to_pylist() if row is not None}
        if not lengths:
            raise InvalidArgument(f"has no vectors in its first rows, in the column `{column}`", "vectors")
        found[space] = max(lengths)
    return found


def batches_of(batches: Iterable[Any], layout: Layout, rows: int) -> Iterator[Batch]:
    """The rows of a table as points, so many at a time at most."""
    import numpy as np

    first = 0
    for whole in batches:
        for start in range(0, whole.num_rows, rows):
            part = whole.slice(start, rows)
            numbers = np.arange(first, first + part.num_rows, dtype=np.int64)
            first += part.num_rows
            yield _batch(part, layout, numbers)


def _batch(part: Any, layout: Layout, numbers: Any) -> Batch:
    import pyarrow as pa

    rest = [name for name in part.schema.names if name != layout.id and name not in layout.spaces]
    payloads = [
        {name: plain(value) for name, value in row.items() if value is not None}
        for row in part.select(rest).to_pylist()
    ] or [{} for _ in range(part.num_rows)]
    given = numbers
    if layout.id is not None:
        column = part.column(layout.id)
        if column.null_count:
            raise InvalidArgument(f"has rows without a value in `{layout.id}`; name another column", "id")
        is_number = pa.types.is_integer(column.type)
        given = column.to_numpy(zero_copy_only=False) if is_number else column.to_pylist()
    ids, payloads_kept = identified(given, payloads, layout.id_field)
    columns: dict[str, Any] = {}
    holed: dict[str, Any] = {}
    for name, space in layout.spaces.items():
        vectors = _matrix(part.column(name), name)
        (columns if not isinstance(vectors, list) else holed)[space] = vectors
    full, others = split(holed)
    return Batch(ids, columns | full, payloads_kept, others)


def _matrix(column: Any, name: str) -> Any:
    """The vectors of a column: a matrix, or a list where some are missing."""
    import numpy as np

    # Tensors are an extension of lists.
    column = getattr(column, "storage", column)
    count = len(column) - column.null_count
    if not count:
        return [None] * len(column)
    flat = column.drop_null().flatten().to_numpy(zero_copy_only=False)
    if len(flat) % count:
        raise InvalidArgument(f"has vectors of different lengths in `{name}`", "vectors")
    rows = np.asarray(flat).reshape(count, -1)
    rows = rows if rows.dtype == np.float16 else rows.astype(np.float32, copy=False)
    if not column.null_count:
        return rows
    there = iter(rows)
    return [next(there) if is_there else None for is_there in column.is_valid().to_pylist()]
