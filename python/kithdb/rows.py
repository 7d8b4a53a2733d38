"""Points on their way in, whatever form they have: one form for all of them, columns, a commit's worth at a time.

A row is a dict. With a `payload` it is a point: `id`, `vector`, `payload`, `if_version`. Without one it is flat: `id`
and `vector` are what they say, what has the name of a vector space is a vector in it, everything else is payload.
Columns of tables mean the same.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias

from kithdb.errors import InvalidArgument, missing

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: An id of a point: an unsigned integer, or a UUID, as an object or as text.
Id: TypeAlias = int | str | uuid.UUID

#: The ids of a commit.
Ids: TypeAlias = "list[int | str] | npt.NDArray[np.uint64]"

#: Bytes of vectors in one commit, about, and points in one commit at most.
COMMIT_BYTES, _COMMIT_POINTS = 8 << 20, 16_384

#: Rows of a stream of dicts in one commit.
_STREAM_ROWS = 1_024

#: The members of a point that is written as one.
_POINT = {"id", "vector", "payload", "if_version"}


@dataclass
class Columns:
    """Points of one commit."""

    ids: Ids
    #: By the name of their space, a row each.
    vectors: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    payloads: Sequence[Any] | None = None
    #: Points that columns cannot hold, as the routes take them.
    points: list[dict[str, Any]] | None = None
    #: The ids that were made, for points that came without.
    made: list[int | str] = field(default_factory=list)

    def halves(self) -> tuple[Columns, Columns]:
        """The same as two commits."""
        middle = len(self.ids) // 2
        one, other = (
            Columns(
                self.ids[part],
                {name: rows[part] for name, rows in self.vectors.items()},
                None if self.payloads is None else self.payloads[part],
                None if self.points is None else self.points[part],
            )
            for part in (slice(None, middle), slice(middle, None))
        )
        return one, other

    def as_points(self) -> list[dict[str, Any]]:
        """The same as rows, as the routes take them."""
        if self.points is not None:
            return self.points
        rows: list[dict[str, Any]] = [{"id": one} for one in self.ids]
        for at, row in enumerate(rows):
            if self.vectors:
                named = {name: vectors[at] for name, vectors in self.vectors.items()}
                row["vector"] = named[""] if list(named) == [""] else named
            if self.payloads is not None:
                row["payload"] = self.payloads[at]
        return rows


class Spaces(set[str]):
    """The names of the spaces of vectors. They may have become more: at what may be a vector of a further one they are
    looked up once more."""

    def __init__(self, names: Iterable[str], again: Callable[[], set[str]] | None = None) -> None:
        super().__init__(names)
        self._again = again

    def look(self, names: Iterable[str]) -> None:
        """Here is what may be vectors, of these names."""
        if self._again is not None and any(name not in self for name in names):
            again, self._again = self._again, None
            self.clear()
            self.update(again())

    def look_at(self, row: Mapping[str, Any]) -> None:
        """Here is a row."""
        if self._again is not None:
            self.look(name for name, value in row.items() if name not in _POINT and _may_be_vector(value))


def _may_be_vector(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "indices" in value or ("text" in value and "model" in value)
    if hasattr(value, "ndim"):
        return bool(value.ndim)
    is_list = isinstance(value, (list, tuple)) and len(value) > 0
    return is_list and (
        isinstance(value[0], (int, float)) or hasattr(value[0], "__len__") and not hasattr(value[0], "strip")
    )


def id_of(name: str) -> str:
    """The id that stands for any text: a UUID (version 5), the same every time, as `kithdb ingest` makes them.

    >>> import kithdb
    >>> kithdb.id_of("chapter-1") == kithdb.id_of("chapter-1")
    True
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def names_of(given: str | Iterable[str]) -> list[str]:
    """Names: a text is one, and not as many as it has letters."""
    return [given] if isinstance(given, str) else list(given)


def whole(given: Any, field: str) -> int:
    """A number of things, at least one, of whatever type whole numbers have."""
    try:
        count = -1 if isinstance(given, bool) else index(given)
    except TypeError:
        count = -1
    if count < 1:
        raise InvalidArgument(f"is {given!r}; give a whole number, at least 1", field)
    return count


def plain_id(given: Id) -> int | str:
    """An id as the routes take it."""
    if isinstance(given, (int, str)):
        return given
    if isinstance(given, uuid.UUID):
        return str(given)
    try:
        return int(given.__index__())
    except AttributeError:
        raise InvalidArgument(f"{given!r} is no id: give an unsigned integer or a UUID", "id") from None


def plain_ids(given: Any) -> Ids:
    """Ids of any form as the doors take them."""
    import numpy as np

    listed = given.to_pylist() if hasattr(given, "to_pylist") else given
    if hasattr(listed, "to_numpy"):
        listed = listed.to_numpy()
    if isinstance(listed, np.ndarray) and np.issubdtype(listed.dtype, np.integer):
        if listed.ndim != 1 or (len(listed) and listed.min() < 0):
            raise InvalidArgument("must be one row of integers that are not negative", "ids")
        return np.ascontiguousarray(listed, np.uint64)
    made: list[int | str] = []
    for at, one in enumerate(listed):
        try:
            made.append(plain_id(one))
        except InvalidArgument as error:
            raise error.within(f"points[{at}]") from None
    return made


def random_ids(count: int) -> list[int | str]:
    """Ids for points that came without."""
    return [str(uuid.uuid4()) for _ in range(count)]


def numbers(given: Any, field: str, *, keeps_half: bool = False) -> npt.NDArray[Any]:
    """Numbers of any form in single precision, one after the other, without a copy where they are so; half precision
    stays if it may."""
    import numpy as np

    try:
        array = np.asanyarray(given)
        if keeps_half and array.dtype == object and array.ndim == 1:
            # A column of a frame, with an array or a list in each row.
            array = np.asarray([np.asarray(row) for row in array], np.float32)
        if array.dtype.kind in "cmM" or isinstance(given, (bytes, bytearray)):
            raise TypeError(f"the type is {array.dtype}")
        if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
            raise TypeError("some are masked; fill them, or leave their rows out")
        if array.ndim == 0:
            raise TypeError(f"it is {given!r}")
        with np.errstate(over="ignore"):
            # What is too large is infinite, and that is refused with its place.
            is_half = keeps_half and array.dtype == np.float16
            return np.ascontiguousarray(array, np.float16 if is_half else np.float32)
    except (TypeError, ValueError) as error:
        form = "matrix" if keeps_half else "vector"
        raise InvalidArgument(f"is no {form} of numbers: {error}", field) from error


def matrix(given: Any, field: str) -> npt.NDArray[Any]:
    """Vectors of any form as a matrix of single or half precision, without a copy where they are one."""
    array = numbers(given, field, keeps_half=True)
    if array.ndim == 1 and not len(array):
        array = array.reshape(0, 0)
    if array.ndim != 2:
        raise InvalidArgument(f"has the shape {array.shape}; give a matrix, a row for each point", field)
    return array


def readable(data: Any) -> Any:
    """What is a table without being a stream of record batches, as one that is; else what it was."""
    if _is_of(data, "polars") and hasattr(data, "collect"):
        return data.collect()
    if _is_of(data, "pyarrow") and hasattr(data, "scanner"):
        # A data set of files.
        data = data.scanner()
    if _is_of(data, "pyarrow") and hasattr(data, "to_reader") and not hasattr(data, "__arrow_c_stream__"):
        return data.to_reader()
    if hasattr(data, "__arrow_c_array__") and not hasattr(data, "__arrow_c_stream__"):
        pa = _arrow("a table")
        batch = data if isinstance(data, pa.RecordBatch) else pa.record_batch(data)
        return pa.Table.from_batches([batch])
    return data


def _is_table(data: Any) -> bool:
    return hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__")


def _arrow(purpose: str) -> Any:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise missing("pyarrow", purpose) from error
    return pa


def columns_of(
    data: Any,
    ids: Any,
    vectors: Any,
    payload: Any,
    spaces: Collection[str],
    commit_points: int | None,
    commit_bytes: int = COMMIT_BYTES,
) -> Iterator[Columns]:
    """The points of whatever was given, a commit's worth at a time."""
    if data is None:
        if vectors is None and ids is None:
            raise InvalidArgument("is missing; give points, or `ids`, `vectors` and `payload`", "data")
        return _of_arrays(ids, vectors, payload, commit_points, commit_bytes)
    if ids is not None or vectors is not None or payload is not None:
        raise InvalidArgument("is given, and so are columns; give either", "data")
    if isinstance(data, Mapping):
        raise InvalidArgument("is one dict; give a list of them", "data")
    data = readable(data)
    if hasattr(data, "__arrow_c_stream__") or (_is_of(data, "pandas") and hasattr(data, "columns")):
        return _of_table(data, spaces, commit_points, commit_bytes)
    if hasattr(data, "ndim"):
        return _of_arrays(None, data, None, commit_points, commit_bytes)
    rows = iter(data)
    first = next(rows, None)
    if first is not None and _is_table(first):
        tables = chain([first], rows)
        return chain.from_iterable(_of_table(table, spaces, commit_points, commit_bytes) for table in tables)
    rows = rows if first is None else chain([first], rows)
    return _of_rows(rows, spaces, commit_points or _STREAM_ROWS * commit_bytes // COMMIT_BYTES)


def _is_of(data: Any, package: str) -> bool:
    return type(data).__module__.split(".")[0] == package


def _of_arrays(ids: Any, vectors: Any, payload: Any, commit_points: int | None, commit_bytes: int) -> Iterator[Columns]:
    named = vectors if isinstance(vectors, Mapping) else {} if vectors is None else {"": vectors}
    columns = {name: matrix(rows, _place(name)) for name, rows in named.items()}
    lengths = [len(rows) for rows in columns.values()]
    if ids is None and not lengths:
        raise InvalidArgument("is empty; give a matrix for each space, or `ids`", "vectors")
    made = random_ids(lengths[0]) if ids is None else []
    all_ids = made if ids is None else plain_ids(ids)
    payloads = _payloads(payload)
    sizes = {_place(name): length for name, length in zip(columns, lengths)}
    sizes |= {} if payloads is None else {"payload": len(payloads)}
    for place, length in sizes.items():
        if length != len(all_ids):
            raise InvalidArgument(f"has {length} rows for {len(all_ids)} ids; each id needs one", place)
    step = commit_points or _step(columns, commit_bytes)
    for first in range(0, len(all_ids), step):
        part = slice(first, first + step)
        cut = {name: rows[part] for name, rows in columns.items()}
        yield Columns(all_ids[part], cut, None if payloads is None else payloads[part], made=made[part])


def _place(space: str) -> str:
    return f"vectors.{space}" if space else "vectors"


def _step(columns: Mapping[str, npt.NDArray[Any]], commit_bytes: int) -> int:
    row_bytes = sum(4 * rows.shape[1] for rows in columns.values()) or 512
    return max(1, min(_COMMIT_POINTS, commit_bytes // row_bytes))


def _payloads(payload: Any) -> Sequence[Any] | None:
    if payload is None:
        return None
    if isinstance(payload, Mapping):
        listed = [_listed(column) for column in payload.values()]
        if len({len(column) for column in listed}) > 1:
            raise InvalidArgument("has columns of different lengths", "payload")
        names = list(payload)
        return [dict(zip(names, row)) for row in zip(*listed)]
    is_table = hasattr(payload, "columns") or hasattr(payload, "schema")
    if is_table or (hasattr(payload, "__arrow_c_stream__") and not hasattr(payload, "__len__")):
        return [row for batch in record_batches(payload) for row in _without_nulls(batch)]
    return payload if isinstance(payload, Sequence) else _listed(payload)


def _listed(column: Any) -> list[Any]:
    """A column of any form as values of Python."""
    if _is_of(column, "numpy") and column.dtype.kind == "M":
        # Of nanoseconds NumPy itself makes integers.
        column = column.astype("datetime64[us]")
    for way in ("tolist", "to_pylist", "to_list"):
        if hasattr(column, way):
            return list(getattr(column, way)())
    return list(column)


def record_batches(data: Any) -> Any:
    """A table of any kind as a reader of record batches."""
    pa = _arrow("a table")
    try:
        data = readable(data)
        if not hasattr(data, "__arrow_c_stream__"):
            data = pa.Table.from_pandas(data)
        reader = pa.RecordBatchReader.from_stream(data)
    except pa.ArrowException as error:
        told = " ".join(str(part) for part in error.args)
        hint = "Values of several types have no column: as dicts, df.to_dict('records'), they can be written."
        raise InvalidArgument(f"is no table: {told}", "data", hint) from error
    twice = {name for name in reader.schema.names if reader.schema.names.count(name) > 1}
    if twice:
        raise InvalidArgument(f"has several columns `{min(twice)}`; give each a name of its own", "data")
    return reader


def _without_nulls(batch: Any) -> list[dict[str, Any]]:
    rows = batch.to_pylist()
    for name in [column.name for column in batch.schema if column.type.num_fields]:
        for row in rows:
            row[name] = _filled(row[name])
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


def _filled(value: Any) -> Any:
    """A value without the members that a table has in every row, and this one has not."""
    if isinstance(value, dict):
        return {name: _filled(one) for name, one in value.items() if one is not None}
    return [_filled(one) for one in value] if isinstance(value, list) else value


def _of_table(data: Any, spaces: Collection[str], commit_points: int | None, commit_bytes: int) -> Iterator[Columns]:
    for whole in record_batches(data):
        if not whole.num_rows:
            continue
        if isinstance(spaces, Spaces):
            spaces.look(name for name in whole.schema.names if name not in _POINT and _has_lists(whole.column(name)))
        names = [name for name in whole.schema.names if name == "vector" or name in spaces]
        vectors = {"" if name == "vector" and name not in spaces else name: _rows(whole, name) for name in names}
        rest = [name for name in whole.schema.names if name not in {*names, "id"} and not name.startswith("__index")]
        has_ids = "id" in whole.schema.names
        made = [] if has_ids else random_ids(whole.num_rows)
        ids = plain_ids(whole.column("id")) if has_ids else made
        step = commit_points or _step(vectors, commit_bytes)
        for first in range(0, whole.num_rows, step):
            part = slice(first, first + step)
            payloads = _without_nulls(whole.slice(first, step).select(rest)) if rest else None
            cut = {name: rows[part] for name, rows in vectors.items()}
            yield Columns(ids[part], cut, payloads, made=made[part])


def _has_lists(column: Any) -> bool:
    # Tensors are an extension of lists.
    return hasattr(getattr(column, "storage", column).type, "value_type")


def _rows(batch: Any, name: str) -> npt.NDArray[Any]:
    column = batch.column(name)
    # Tensors are an extension of lists.
    column = getattr(column, "storage", column)
    if not hasattr(column.type, "value_type"):
        raise InvalidArgument(f"has the type {column.type}; vectors are lists of numbers", name)
    if column.null_count:
        raise InvalidArgument("has rows without a vector; write those as dicts", name)
    values = column.flatten().to_numpy(zero_copy_only=False)
    if len(column) and len(values) % len(column):
        raise InvalidArgument("has vectors of different lengths", name)
    return matrix(values.reshape(len(column), -1), name)


def _of_rows(data: Iterable[Any], spaces: Collection[str], step: int) -> Iterator[Columns]:
    rows = iter(data)
    first = 0
    while part := list(islice(rows, step)):
        points = [_point(row, spaces, first + at) for at, row in enumerate(part)]
        yield _columns_of_points(points)
        first += len(part)


def _point(row: Any, spaces: Collection[str], at: int) -> dict[str, Any]:
    if hasattr(row, "to_point"):
        return dict(row.to_point())
    if not isinstance(row, Mapping):
        hint = "Vectors alone are a matrix: np.array(vectors), or upsert(ids=..., vectors=...)."
        raise InvalidArgument(f"is a {type(row).__name__}; points are dicts", f"points[{at}]", hint)
    if "payload" in row:
        unknown = ", ".join(f"`{name}`" for name in row if name not in _POINT)
        if unknown:
            message = f"has {unknown} beside `payload`; put that into it, or leave `payload` out"
            raise InvalidArgument(message, f"points[{at}]")
        return {"id": None, **row}
    if isinstance(spaces, Spaces):
        spaces.look_at(row)
    payload = {name: value for name, value in row.items() if name not in _POINT and name not in spaces}
    point = {name: row[name] for name in ("id", "vector", "if_version") if name in row and name not in spaces}
    named = {name: row[name] for name in row if name in spaces and name != "id"}
    if named:
        own = {"": point["vector"]} if "vector" in point else {}
        point["vector"] = {**own, **named}
    return {"id": None, **point, "payload": payload}


def _columns_of_points(points: list[dict[str, Any]]) -> Columns:
    """Columns where all points have dense vectors in the same spaces, else the points as they are."""
    made = iter(random_ids(sum(point["id"] is None for point in points)))
    ids = [next(made) if point["id"] is None else plain_id(point["id"]) for point in points]
    without = [one for one, point in zip(ids, points) if point["id"] is None]
    payloads = [point.get("payload") for point in points]
    vectors = [point.get("vector") for point in points]
    if not any("if_version" in point for point in points):
        spaces = _spaces(vectors)
        if spaces is not None and all(map(_is_dense, (row for rows in spaces.values() for row in rows))):
            try:
                columns = {name: matrix(rows, "vector") for name, rows in spaces.items()}
                return Columns(ids, columns, payloads, made=without)
            except InvalidArgument:
                # Rows of different lengths: the engine says which of them is wrong.
                pass
    listed = [{**point, "id": one} for point, one in zip(points, ids)]
    kept = [{name: value for name, value in point.items() if value is not None} for point in listed]
    return Columns(ids, points=kept, made=without)


def _spaces(vectors: list[Any]) -> dict[str, list[Any]] | None:
    """Vectors by space; nothing where points differ in which they have."""
    if all(vector is None for vector in vectors):
        return {}
    named = [vector if isinstance(vector, Mapping) else {"": vector} for vector in vectors]
    names = named[0].keys()
    if any(one.keys() != names for one in named) or any(vector is None for vector in vectors):
        return None
    return {name: [one[name] for one in named] for name in names}


def _is_dense(vector: Any) -> bool:
    if hasattr(vector, "ndim"):
        return bool(vector.ndim == 1)
    return isinstance(vector, (list, tuple)) and (not vector or isinstance(vector[0], (int, float)))


#: Whether a bar is wanted, or what is called with the number of points written.
Progress: TypeAlias = bool | Callable[[int], None]


@contextmanager
def teller(progress: Progress, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """What is told how many points are written, of `total` if that is known; `True` stands for a bar of tqdm."""
    if callable(progress):
        yield progress
        return
    with bar_of(" points", total, is_shown=progress) as tell:
        yield lambda points: tell(points, total)


@contextmanager
def bar_of(unit: str, total: int | None, *, is_shown: bool) -> Iterator[Callable[[int, int | None], None]]:
    """A bar of tqdm, which is told how many are done, of how many; nothing where it is not wanted."""
    if not is_shown:
        yield lambda *_: None
        return
    try:
        from tqdm.auto import tqdm
    except ImportError as error:
        raise missing("tqdm", "a progress bar") from error
    with tqdm(unit=unit, total=total) as bar:

        def tell(done: int, of: int | None) -> None:
            bar.total = of
            bar.update(done - bar.n)

        yield tell
