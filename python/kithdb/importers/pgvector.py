"""Out of PostgreSQL: tables with columns of pgvector, or with arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kithdb.errors import InvalidArgument, Unreachable, missing
from kithdb.importers.batches import Batch, Source, identified, plain, rows_of, split
from kithdb.importers.moving import move
from kithdb.importers.naming import Vectors, check_columns, distance, spaces_of, texts_of
from kithdb.importers.report import Report
from kithdb.rows import Progress

if TYPE_CHECKING:
    from kithdb.database import Database

#: What the classes of operators that an index is made with end in.
_METRICS = {"l2_ops": "Euclid", "ip_ops": "Dot", "cosine_ops": "Cosine", "l1_ops": "Manhattan"}

_OF_PGVECTOR = ("vector", "halfvec", "sparsevec")
_ARRAYS = ("_float4", "_float8")
#: Types whose values come as they are; those of others come as text.
_KNOWN = {
    *("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "json", "jsonb"),
    *("date", "time", "timestamp", "timestamptz", "uuid", "bytea"),
    *("_bool", "_int2", "_int4", "_int8", "_float4", "_float8", "_text", "_varchar", "_uuid"),
}

_TABLES = """
select distinct c.oid::regclass::text from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
where c.relkind in ('r', 'p', 'm') and not c.relispartition and t.typname = any(%s) order by 1
"""
_COLUMNS = """
select a.attname, t.typname, a.atttypmod, a.attnum from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
_KEY = """
select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any(i.indkey)
where i.indrelid = %s::regclass and i.indisprimary
"""
_CLASSES = """
select o.opcname from pg_index i join pg_opclass o on o.oid = i.indclass[0]
where i.indrelid = %s::regclass and i.indkey[0] = %s
"""


@dataclass(frozen=True)
class _Column:
    name: str
    kind: str
    size: int
    number: int


def from_pgvector(
    source: str,
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
    """Moves tables to collections of the same names: those that are named, or all that have a column of pgvector.

    `source` is a DSN, such as `postgresql://user@host/name`. `id` is the column of ids, by default the primary key.
    `vectors` are columns of the types `vector`, `halfvec`, `sparsevec`, or arrays of floating-point numbers if they
    are named: one goes to the unnamed space, several to spaces of their names. The metric is that of the index of a
    column, else `metric`, else `cosine`. `text` are columns that are sought by words. The rest is payload.

    All of it is read in one transaction that only reads.

    Raises `Unreachable`, `InvalidArgument` naming the table or column, `AlreadyExists` unless `exist_ok`,
    `MissingPackage` without `psycopg`.
    """
    try:
        import psycopg
    except ImportError as error:
        raise missing("'psycopg[binary]'", "from_pgvector()") from error
    try:
        connection = psycopg.connect(source)
    except psycopg.OperationalError as error:
        raise Unreachable(f"PostgreSQL does not let us in: {error}") from error
    with connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        wanted = list(tables) if tables is not None else _tables(connection)
        if not wanted:
            raise InvalidArgument("has no table with a column of pgvector; name `tables` and `vectors`", "source")
        sources = (_source(connection, table, id, vectors, metric, text, id_field) for table in wanted)
        place = f"PostgreSQL {connection.info.dbname} on {connection.info.host}"
        return move(
            place, sources, db, name=lambda one: prefix + ".".join(_parts(one)), exist_ok=exist_ok, progress=progress
        )


def _tables(connection: Any) -> list[str]:
    return [name for (name,) in connection.execute(_TABLES, [list(_OF_PGVECTOR)])]


def _source(
    connection: Any,
    table: str,
    id: str | None,
    vectors: Vectors,
    metric: str | None,
    text: Sequence[str] | None,
    id_field: str,
) -> Source:
    if connection.execute("select to_regclass(%s)", [table]).fetchone()[0] is None:
        raise InvalidArgument(f"there is no `{table}`", "tables")
    columns = [_Column(*row) for row in connection.execute(_COLUMNS, [table])]
    spaces = _named(columns, vectors)
    key = [name for (name,) in connection.execute(_KEY, [table])]
    own = id or (key[0] if len(key) == 1 else None)
    there, words = [one.name for one in columns], texts_of(text)
    check_columns([own] if own else [], there, "id")
    check_columns(words, there, "text")
    notes = [] if own else ["there is no key of one column, so ids are the numbers of the rows, from 0 on"]
    texts = [one.name for one in columns if one.kind in ("text", "varchar") and one.name != own]
    if text is None and texts:
        notes.append(f"no words are sought: text={texts} would be the columns for that")
    made: dict[str, dict[str, Any]] = {}
    for column, space in spaces.items():
        if column.kind != "sparsevec":
            nearness = _distance(connection, table, column) or distance(metric or "cosine")
            made[space] = {"size": _dim(connection, table, column), "distance": nearness}
    sparse: dict[str, dict[str, Any]] = {space: {} for column, space in spaces.items() if column.kind == "sparsevec"}
    count = connection.execute(_sql("select count(*) from {}", _parts(table))).fetchone()[0]
    rows = rows_of(sum(space["size"] for space in made.values()))
    batches = _batches(connection, table, columns, spaces, own, id_field, rows)
    return Source(table, int(count), made, batches, sparse=sparse, text=words, notes=notes)


def _named(columns: list[_Column], vectors: Vectors) -> dict[_Column, str]:
    """The space of each column of vectors."""
    if vectors is None:
        found = [one for one in columns if one.kind in _OF_PGVECTOR]
        if not found:
            raise InvalidArgument("no column is one of pgvector; name the arrays that are vectors", "vectors")
        dense = [one for one in found if one.kind != "sparsevec"]
        return {one: "" if dense == [one] else one.name for one in found}
    spaces = spaces_of(vectors)
    check_columns(spaces, [one.name for one in columns], "vectors")
    chosen = {one: spaces[one.name] for one in columns if one.name in spaces}
    for one in chosen:
        if one.kind not in (*_OF_PGVECTOR, *_ARRAYS):
            raise InvalidArgument(f"names `{one.name}`, which has the type {one.kind}", "vectors")
    return chosen


def _distance(connection: Any, table: str, column: _Column) -> str | None:
    for (name,) in connection.execute(_CLASSES, [table, column.number]):
        for ending, metric in _METRICS.items():
            if name.endswith(ending):
                return metric
    return None


def _dim(connection: Any, table: str, column: _Column) -> int:
    if column.kind in _OF_PGVECTOR and column.size > 0:
        return column.size
    measure = "array_length({}, 1)" if column.kind in _ARRAYS else "vector_dims({})"
    query = _sql(f"select {measure} from {{}} where {{}} is not null limit 1", column.name, _parts(table), column.name)
    row = connection.execute(query).fetchone()
    if row is None or row[0] is None:
        raise InvalidArgument(f"has no vectors in the column `{column.name}` of `{table}`", "vectors")
    return int(row[0])


def _sql(text: str, *names: str | list[str]) -> Any:
    """A query with names in it: a column is one, a table its parts."""
    from psycopg import sql

    identifiers = (sql.Identifier(*([name] if isinstance(name, str) else name)) for name in names)
    return sql.SQL(text).format(*identifiers)


def _parts(name: str) -> list[str]:
    """The parts of the name of a table, as `regclass` writes it: `schema."Table"`."""
    parts, quoted = [""], False
    for sign in name:
        if sign == '"':
            quoted = not quoted
        elif sign == "." and not quoted:
            parts.append("")
        else:
            parts[-1] += sign
    return parts


def _batches(
    connection: Any,
    table: str,
    columns: list[_Column],
    spaces: dict[_Column, str],
    id: str | None,
    id_field: str,
    rows_max: int,
) -> Iterator[Batch]:
    asked = ["{}" if one in spaces or one.kind in _KNOWN else "{}::text" for one in columns]
    query = _sql(f"select {', '.join(asked)} from {{}}", *(one.name for one in columns), _parts(table))
    first = 0
    # On the server, so that no more than a batch of the rows is here.
    with connection.cursor(name="kithdb", binary=True) as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(rows_max):
            yield _batch(rows, columns, spaces, id, id_field, first)
            first += len(rows)


def _batch(
    rows: list[Any], columns: list[_Column], spaces: dict[_Column, str], id: str | None, id_field: str, first: int
) -> Batch:
    values = dict(zip(columns, zip(*rows)))
    given: Any = list(range(first, first + len(rows)))
    rest = []
    vectors = {}
    for column, cells in values.items():
        if column in spaces:
            vectors[spaces[column]] = [_vector(column.kind, cell) for cell in cells]
        elif column.name == id:
            given = list(cells)
        else:
            rest.append((column.name, cells))
    payloads = [{name: plain(cells[at]) for name, cells in rest if cells[at] is not None} for at in range(len(rows))]
    if any(one is None for one in given):
        raise InvalidArgument(f"has rows without a value in `{id}`; name another column", "id")
    ids, kept = identified(given, payloads, id_field)
    full, others = split(vectors)
    return Batch(ids, full, kept, others)


def _vector(kind: str, cell: Any) -> Any:
    """A vector as it comes over the wire: sizes and numbers, the most significant byte first."""
    import numpy as np

    if cell is None:
        return None
    if kind == "vector":
        return np.frombuffer(cell, ">f4", offset=4).astype(np.float32)
    if kind == "halfvec":
        return np.frombuffer(cell, ">f2", offset=4).astype(np.float16)
    if kind == "sparsevec":
        count = int(np.frombuffer(cell, ">i4", 1, 4)[0])
        indices = np.frombuffer(cell, ">i4", count, 12)
        return {"indices": indices.tolist(), "values": np.frombuffer(cell, ">f4", count, 12 + 4 * count).tolist()}
    return np.asarray(cell, np.float32)
