"""What is given, in every type that a data person has: stored as what it means or refused with its place, and the same
through every door."""

from __future__ import annotations

import collections
import datetime
import decimal
import types
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import kithdb
from kithdb import f
from kithdb.importers.batches import Batch
from kithdb.importers.checking import Sample

NOON = "2024-01-02T12:00:00"

STORED: list[tuple[Any, Any]] = [
    (datetime.datetime(2024, 1, 2, 12), NOON),
    (datetime.date(2024, 1, 2), "2024-01-02"),
    (pd.Timestamp(NOON), NOON),
    (np.datetime64(NOON, "s"), NOON),
    (np.datetime64(NOON, "ns"), NOON),
    (np.array([NOON], "datetime64[ns]"), [NOON]),
    (np.datetime64("NaT"), None),
    (pd.NaT, None),
    (pd.NA, None),
    (float("nan"), None),
    (np.float32("inf"), None),
    (uuid.UUID(int=5), str(uuid.UUID(int=5))),
    (decimal.Decimal("1.50"), 1.5),
    (decimal.Decimal("2.00"), 2),
    (decimal.Decimal("NaN"), None),
    (np.int64(5), 5),
    (np.float32(0.5), 0.5),
    (np.bool_(True), True),
    (np.str_("a"), "a"),
    (np.array([1, "a"], object), [1, "a"]),
    (pd.Series([1, 2]), [1, 2]),
    (pl.Series([1, 2]), [1, 2]),
    (pa.array([1, 2]), [1, 2]),
    (pa.scalar("a"), "a"),
    ((1, 2), [1, 2]),
    (range(2), [0, 1]),
    (collections.deque([1]), [1]),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (2**64 - 1, 2**64 - 1),
    ({"a": {"b": [{"c": None}]}}, {"a": {"b": [{"c": None}]}}),
]

REFUSED: list[tuple[Any, str, str]] = [
    (b"ab", "", "bytes"),
    (bytearray(b"ab"), "", "bytearray"),
    ({1}, "", "set"),
    (datetime.timedelta(1), "", "timedelta"),
    (1j, "", "complex"),
    (object(), "", "object"),
    (2**64, "", "64 bits"),
    ({"a": [0, -(2**63) - 1]}, ".a[1]", "64 bits"),
    ({1: 2}, "", "keys are strings"),
    ({"a": {None: 1}}, ".a", "keys are strings"),
    (["\ud800"], "[0]", "surrogate"),
]


def plain(db: kithdb.Database, **settings: Any) -> kithdb.Collection:
    return db.create_collection("plain", dim=2, **settings)


@pytest.mark.parametrize(("given", "stored"), STORED, ids=lambda value: type(value).__name__)
def test_payloads_hold_what_a_value_means(db: kithdb.Database, given: Any, stored: Any) -> None:
    points = plain(db)
    points.upsert([{"id": 1, "vector": [1.0, 0.0], "x": given}, {"id": 2, "vector": [1.0, 0.0]}])
    points.upsert(ids=[3], vectors=[[1.0, 0.0]], payload=[{"x": given}])
    points.overwrite_payload({"x": given}, 2)
    with db.transaction() as tx:
        tx.on("plain").upsert([{"id": 4, "vector": [1.0, 0.0], "x": given}])
    assert [point.payload for point in points.scroll()] == [{"x": stored}] * 4


@pytest.mark.parametrize(("given", "place", "message"), REFUSED, ids=lambda value: type(value).__name__)
def test_what_json_has_no_form_for_is_refused_with_its_place(
    db: kithdb.Database, given: Any, place: str, message: str
) -> None:
    points = plain(db)
    row = {"id": 1, "vector": [1.0, 0.0], "x": given}
    with pytest.raises(kithdb.InvalidArgument, match=message) as error:
        points.upsert([{"id": 7, "vector": [1.0, 0.0]}, row])
    assert error.value.field == f"points[1].payload.x{place}"
    with pytest.raises(kithdb.InvalidArgument, match=message) as error:
        points.set_payload({"x": given}, 1)
    assert error.value.field == f"payload.x{place}"
    assert points.count() == 0


def test_what_refers_to_itself_is_refused(db: kithdb.Database) -> None:
    points, loop = plain(db), list[Any]()
    loop.append(loop)
    for write in (lambda: points.upsert([{"id": 1, "x": loop}]), lambda: points.set_payload({"x": loop}, 1)):
        with pytest.raises(kithdb.InvalidArgument, match="nested"):
            write()


@pytest.mark.parametrize("bound", [float("nan"), float("inf"), np.float32("nan"), None, pd.NA, pd.NaT])
def test_a_bound_that_is_none_is_refused_and_never_matches_everything(bound: Any) -> None:
    for compare in (f.year.__ge__, f.year.__gt__, f.year.__le__, f.year.__lt__, lambda value: f.year.between(0, value)):
        with pytest.raises(kithdb.InvalidArgument, match="no bound") as error:
            compare(bound)
        assert error.value.field == "value"


@pytest.mark.parametrize("bound", [pd.NA, pd.NaT, np.datetime64("NaT"), decimal.Decimal("NaN")])
def test_a_missing_bound_of_a_filter_of_the_dialect_deletes_nothing(books: kithdb.Collection, bound: Any) -> None:
    count = books.count()
    with pytest.raises(kithdb.InvalidArgument) as error:
        books.delete(where={"must": [{"key": "year", "range": {"gte": bound}}]})
    assert error.value.field == "filter.must[0].range.gte"
    assert books.count() == count


def test_no_number_in_a_question_is_refused_with_its_place(books: kithdb.Collection) -> None:
    nan = float("nan")
    with pytest.raises(kithdb.InvalidArgument, match="NaN") as error:
        books.count({"must": [{"key": "year", "range": {"gte": nan}}]})
    assert error.value.field == "filter.must[0].range.gte"
    with pytest.raises(kithdb.InvalidArgument, match="NaN") as error:
        books.search([1.0, 0.0], score_threshold=nan)
    assert error.value.field == "score_threshold"
    with pytest.raises(kithdb.InvalidArgument, match="NaN") as error:
        books.search([1.0, nan])
    assert error.value.field == "query[1]"
    with pytest.raises(kithdb.InvalidArgument, match="NaN") as error:
        books.search_many([[1.0, 0.0]] * 70 + [[nan, 0.0]])
    assert error.value.field == "vectors[70].query[0]"
    with pytest.raises(kithdb.InvalidArgument, match="NaN") as error:
        books.upsert(ids=[8, 9], vectors=[[1.0, 0.0], [1.0, nan]])
    assert error.value.field == "points[1].vector[1]"


def test_fields_are_compared_with_numbers_of_every_type(books: kithdb.Collection) -> None:
    books.set_payload({"price": 1.5}, [1, 2])
    books.set_payload({"price": 3}, 3)
    sames: list[Any] = [1.5, np.float32(1.5), decimal.Decimal("1.5")]
    for same in sames:
        assert books.count(f.price == same) == 2, repr(same)
        assert books.count(f.price.isin([same, 3])) == 3, repr(same)
        assert books.count(~f.price.isin([same])) == 2, repr(same)
    assert books.count(f.added.isin([datetime.datetime(2024, 5, 1)])) == 1
    day: Any = np.datetime64("2024-05-01", "ns")
    assert books.count(f.added >= day) == 1
    assert books.count(kithdb.has_id(2)) == books.count(kithdb.has_id(np.int64(2))) == 1


def test_an_unknown_test_of_a_field_is_told_with_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"\(author\.year\) has no test `is_in`; there are .*isin"):
        f.author.year.is_in([2020])


def test_expressions_stand_wherever_a_filter_does(books: kithdb.Collection) -> None:
    legs = [{"query": [1.0, 0.0], "filter": f.year >= 2021}, {"query": {"keyword": "garden"}, "filter": f.year < 2000}]
    assert sorted(books.search(prefetch=legs, query={"fusion": "rrf"}).ids) == [1, 2]


def test_exports_take_filters_of_every_form(books: kithdb.Collection, tmp_path: Path) -> None:
    to = tmp_path / "part.jsonl"
    for where in ("year >= 2021", f.year >= 2021, {"must": [{"key": "year", "range": {"gte": 2021}}]}):
        assert len(books.export(to, where=where).read_text().splitlines()) == 2


def test_history_can_be_configured_later(db: kithdb.Database) -> None:
    points = plain(db)
    points.configure(history_s=600, recall=0.9)
    before = points.upsert([{"id": 1, "vector": [1.0, 0.0]}]).seqno
    points.delete(1)
    assert (points.count(), points.as_of(before).count()) == (0, 1)
    assert points.describe()["history_s"] == 600 and points.describe()["recall"] == pytest.approx(0.9)


ROWS = {"id": [1, 2, 3], "vector": [[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], "n": [1, 2, 3]}


@pytest.mark.parametrize("way", ["dataset", "scanner", "lazy", "batches", "frames", "capsule"])
def test_tables_that_come_in_parts_are_read(db: kithdb.Database, way: str) -> None:
    table = pa.table(ROWS)

    class Capsule:
        """One batch, of no class that is known."""

        def __arrow_c_array__(self, requested_schema: Any = None) -> Any:
            return table.to_batches()[0].__arrow_c_array__(requested_schema)

    given: dict[str, Any] = {
        "dataset": ds.dataset(table),
        "scanner": ds.dataset(table).scanner(),
        "lazy": pl.DataFrame(ROWS).lazy(),
        "batches": iter([*table.slice(0, 2).to_batches(), *table.slice(2).to_batches()]),
        "frames": (pd.DataFrame(ROWS).iloc[at : at + 1] for at in range(3)),
        "capsule": Capsule(),
    }
    points = db.create_collection("made", given[way])
    assert [(point.id, point["n"]) for point in points.scroll()] == [(1, 1), (2, 2), (3, 3)]


def test_what_no_table_holds_is_refused_as_ours(db: kithdb.Database) -> None:
    points = plain(db)
    with pytest.raises(kithdb.InvalidArgument, match="column mixed") as error:
        points.upsert(pd.DataFrame({**ROWS, "mixed": [1, "a", None]}))
    assert error.value.hint is not None and "to_dict" in error.value.hint
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([1]), pa.array([2])], names=["id", "x", "x"])
    with pytest.raises(kithdb.InvalidArgument, match="several columns `x`"):
        points.upsert(twice)
    with pytest.raises(kithdb.InvalidArgument) as error:
        points.upsert(pa.table({"id": [1, None], "n": [1, 2]}))
    assert error.value.field == "points[1].id"
    assert points.count() == 0


def test_members_that_only_other_rows_have_are_not_there(db: kithdb.Database) -> None:
    points = plain(db)
    points.upsert(pd.DataFrame({**ROWS, "n": [{"a": 1}, {"b": [{"c": 1}, {"d": 2}]}, {}]}))
    assert [point["n"] for point in points.scroll()] == [{"a": 1}, {"b": [{"c": 1}, {"d": 2}]}, {}]


@pytest.mark.parametrize(
    "given",
    [
        np.array([[1j, 0.0]]),
        np.ma.masked_equal([[1.0, 0.0]], 1.0),
        np.array([["2024-01-01", "2024-01-02"]], "datetime64[s]"),
    ],
    ids=["complex", "masked", "times"],
)
def test_what_is_no_matrix_of_real_numbers_is_refused(db: kithdb.Database, given: Any) -> None:
    points = plain(db)
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: points.upsert(ids=[1], vectors=given), "vectors"),
        (lambda: points.search_many(given), "vectors"),
        (lambda: points.search(given[0]), "vector"),
    ]
    for call, field in calls:
        with pytest.raises(kithdb.InvalidArgument, match="numbers") as error:
            call()
        assert error.value.field == field
    assert points.count() == 0


@pytest.mark.parametrize("given", [1.5, b"12", True])
def test_a_scalar_is_no_vector(books: kithdb.Collection, given: Any) -> None:
    with pytest.raises(kithdb.InvalidArgument):
        books.search(given)


def test_dimensions_are_whole_numbers_of_any_type(db: kithdb.Database) -> None:
    dim: Any = np.int64(2)
    made = db.create_collection("made", dim=dim, vectors={"image": np.int32(3)})
    assert {name: one["size"] for name, one in made.describe()["vectors"].items()} == {"": 2, "image": 3}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"dim": "3"}, "dim"),
        ({"dim": True}, "dim"),
        ({"dim": 0}, "dim"),
        ({"dim": 2, "metric": None}, "metric"),
        ({"dim": 2, "metric": "l2"}, "metric"),
        ({"vectors": ["image"]}, "vectors"),
        ({"vectors": {"image": "big"}}, "vectors.image"),
    ]
    for settings, field in cases:
        with pytest.raises(kithdb.InvalidArgument) as error:
            db.create_collection("other", **settings)
        assert error.value.field == field, settings
    with pytest.raises(kithdb.InvalidArgument, match="`euclid`"):
        db.create_collection("other", dim=2, metric="l2")
    assert db.collections() == ["made"]


@pytest.mark.parametrize("limit", [0, -1, 1.5, "2", None, True])
def test_a_limit_of_many_searches_is_a_whole_number(books: kithdb.Collection, limit: Any) -> None:
    with pytest.raises(kithdb.InvalidArgument) as error:
        books.search_many([[1.0, 0.0]], limit=limit)
    assert error.value.field == "limit"


def test_messages_tell_nothing_of_bodies_that_nobody_has_seen(books: kithdb.Collection) -> None:
    with pytest.raises(kithdb.InvalidArgument) as error:
        books.search([1.0, 0.0], limit="2")  # type: ignore[arg-type]
    assert error.value.field == "limit" and "column" not in str(error.value)
    with pytest.raises(kithdb.DeadlineExceeded) as late:
        books.search([1.0, 0.0], deadline_ms=0)
    assert late.value.message.startswith("the deadline")


def test_groups_take_what_searches_take(books: kithdb.Collection) -> None:
    near = books.groups("lang", [1.0, 0.0], score_threshold=0.5, exact=True)
    assert {group.value: group.hits.ids for group in near} == {"en": [1], "de": [2]}
    marked = books.groups("lang", text="crate", highlight=True)
    assert "<em>" in str(marked[0].hits[0].highlight)
    with pytest.raises(kithdb.InvalidArgument) as error:
        books.groups("lang", [1.0, 0.0], recall=2.0)
    assert error.value.field == "params.recall"


def test_matches_go_to_every_form(books: kithdb.Collection) -> None:
    matches = books.search_many([[1.0, 0.0], [0.0, 1.0]], limit=3, where=f.year <= 2020)
    rows = matches.to_dicts()
    assert [(row["question"], row["id"]) for row in rows] == [(0, 3), (0, 4), (1, 3), (1, 4)]
    assert rows[0]["score"] == pytest.approx(0.0) and rows[2]["score"] == pytest.approx(1.0)
    for table in (
        matches.to_arrow().to_pylist(),
        matches.to_pandas().to_dict("records"),
        matches.to_polars().to_dicts(),
    ):
        assert table == rows
    none = books.search_many(np.zeros((0, 2), np.float32))
    assert none.to_dicts() == [] and none.to_arrow().num_rows == len(none.to_pandas()) == len(none.to_polars()) == 0


def test_ids_of_two_kinds_are_text_in_a_table(db: kithdb.Database) -> None:
    points, name = plain(db), str(uuid.UUID(int=5))
    points.upsert(ids=[1, name], vectors=[[1.0, 0.0], [0.6, 0.8]])
    hits, matches = points.search([1.0, 0.0]), points.search_many([[1.0, 0.0]])
    for found in (hits, matches):
        assert found.to_arrow().column("id").to_pylist() == ["1", name]
        assert found.to_polars()["id"].to_list() == ["1", name]
        assert found.to_pandas()["id"].tolist() == [1, name]


def test_a_payload_without_a_number_is_no_other_where_it_was_moved_to() -> None:
    payload = {"x": float("nan"), "y": pd.NA, "z": (1, 2)}
    vectors = np.array([[1.0, 0.0]], np.float32)
    sample = Sample()
    sample.see(Batch(ids=np.array([1], np.uint64), vectors={"": vectors}, payloads=[payload]), {1})
    with kithdb.open(":memory:") as db:
        points = db.create_collection("moved", dim=2)
        points.upsert([{"id": 1, "vector": vectors[0], "payload": payload}])
        assert sample.compare(points) == (1, [])
