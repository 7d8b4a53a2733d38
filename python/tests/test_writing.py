"""Writing: points of every form, parts of points, conditions, transactions."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import kithdb

VECTORS = np.random.default_rng(7).normal(size=(100, 4)).astype(np.float32)


def plain(db: kithdb.Database, **settings: Any) -> kithdb.Collection:
    return db.create_collection("plain", dim=4, metric="dot", **settings)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_columns_of_numpy(db: kithdb.Database, kind: type) -> None:
    points = plain(db)
    ids = np.arange(100, dtype=np.int64)
    payload = {"n": np.arange(100), "half": np.arange(100) / 2, "name": [f"p{n}" for n in range(100)]}
    written = points.upsert(ids=ids, vectors=VECTORS.astype(kind), payload=payload, commit_points=30)
    assert written.count == 100 and written.ids == [] and points.count() == 100
    found = points.get(42, with_vector=True)
    assert found.payload == {"n": 42, "half": 21.0, "name": "p42"}
    np.testing.assert_allclose(found.vector, VECTORS[42], rtol=2e-3)
    assert written.seqno > 0


def test_a_matrix_alone_gets_ids(db: kithdb.Database) -> None:
    points = plain(db)
    written = points.add(VECTORS)
    assert len({uuid.UUID(str(one)) for one in written.ids}) == 100 and len(repr(written)) < 100
    assert points.get(written.ids[3], with_vector=True).vector == pytest.approx(VECTORS[3].tolist())


def test_ids_of_every_form(db: kithdb.Database) -> None:
    points, name = plain(db), uuid.uuid4()
    points.upsert(ids=[7, name, kithdb.id_of("x"), np.int32(9)], vectors=VECTORS[:4])
    assert [point.id for point in points.get([name, 9, kithdb.id_of("x"), 1])] == [str(name), 9, kithdb.id_of("x")]
    for wrong in ([-1], ["seven"], [1.5], [None]):
        with pytest.raises(kithdb.InvalidArgument, match="id"):
            points.upsert(ids=wrong, vectors=VECTORS[:1])
    assert points.count() == 4


def test_columns_of_different_lengths_are_refused(db: kithdb.Database) -> None:
    points = plain(db)
    for columns, field in [
        ({"ids": [1], "vectors": VECTORS[:2]}, "vectors"),
        ({"ids": [1, 2], "vectors": VECTORS[:2], "payload": [{}]}, "payload"),
        ({"ids": [1, 2], "vectors": VECTORS[:2], "payload": {"a": [1, 2], "b": [1]}}, "payload"),
        ({"ids": [1], "vectors": VECTORS[0]}, "vectors"),
        ({"vectors": {}}, "vectors"),
        ({"ids": [1], "vectors": [["x"] * 4]}, "vectors"),
    ]:
        with pytest.raises(kithdb.InvalidArgument) as caught:
            points.upsert(**columns)
        assert caught.value.field == field
    assert points.count() == 0


@pytest.mark.parametrize("kind", ["arrow", "reader", "pandas", "polars"])
def test_tables(db: kithdb.Database, kind: str) -> None:
    points = plain(db)
    day = datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc)
    arrow: Any = pa
    table = arrow.table(
        {
            "id": pa.array(range(100), pa.uint64()),
            "vector": arrow.FixedSizeListArray.from_arrays(pa.array(VECTORS.ravel()), 4),
            "lang": pa.array(["en", None] * 50),
            "day": pa.array([day] * 100, pa.timestamp("us", "UTC")),
        }
    )
    forms: dict[str, Callable[[], Any]] = {
        "arrow": lambda: table,
        "reader": lambda: table.to_reader(max_chunksize=7),
        "pandas": lambda: pd.DataFrame({**table.drop(["vector"]).to_pydict(), "vector": list(VECTORS)}),
        "polars": lambda: pl.DataFrame(table),
    }
    assert points.upsert(forms[kind]()).count == 100
    assert points.count("lang = 'en'") == 50 and points.count(kithdb.f.lang.is_empty()) == 50
    assert points.count(kithdb.f.day >= day) == 100
    assert points.get(5, with_vector=True).vector == pytest.approx(VECTORS[5].tolist())


def test_nothing_is_written_of_nothing(db: kithdb.Database) -> None:
    points = plain(db)
    table: Any = pa.table({"vector": pa.array([], pa.list_(pa.float32(), 4))})
    kinds: list[Any] = [[], iter([]), VECTORS[:0], table]
    for nothing in kinds:
        assert points.upsert(nothing).count == 0
    assert points.upsert(ids=[], vectors=VECTORS[:0]).count == 0 and points.count() == 0
    with pytest.raises(kithdb.InvalidArgument):
        points.upsert()


def test_rows_are_flat_or_points(db: kithdb.Database) -> None:
    points = plain(db)
    points.upsert([{"id": 1, "vector": VECTORS[0], "a": {"b": [1, 2]}}, {"id": 2, "vector": VECTORS[1].tolist()}])
    written = points.upsert([{"id": 3, "payload": {"vector": "a word"}}, {"payload": {"a": 1}, "vector": VECTORS[2]}])
    assert written.count == 2 and points.get(written.ids[0]).payload == {"a": 1}
    points.upsert(iter([{"id": 4, "vector": VECTORS[3]}]))
    points.upsert([points.get(4, with_vector=True)])
    assert points.get(1).payload == {"a": {"b": [1, 2]}} and points.get(3).payload == {"vector": "a word"}
    assert points.count() == 5
    for wrong, says in [
        ([{"id": 1, "payload": {}, "more": 1}], "beside `payload`"),
        ([3], "points are dicts"),
        ({"id": 1}, "a list of them"),
        ([{"id": 1, "vector": [1.0]}], "points\\[0\\].vector"),
        ([{"id": 1, "vector": [1.0, float("nan"), 1.0, 1.0]}], "vector"),
        ([{"id": 1, "a": {1, 2}}], "a set"),
    ]:
        with pytest.raises(kithdb.InvalidArgument, match=says):
            points.upsert(wrong)
    assert points.count() == 5


def test_values_of_python_become_json(db: kithdb.Database) -> None:
    points, name = plain(db), uuid.uuid4()
    points.upsert(
        [
            {
                "id": 1,
                "day": datetime.date(2024, 5, 1),
                "who": name,
                "n": np.int64(3),
                "xs": np.arange(3),
                "none": None,
                "t": (1, 2),
                "big": 2**63,
                "deep": {"a": [{"b": True}]},
            }
        ]
    )
    assert points.get(1).payload == {
        "day": "2024-05-01",
        "who": str(name),
        "n": 3,
        "xs": [0, 1, 2],
        "none": None,
        "t": [1, 2],
        "big": 2**63,
        "deep": {"a": [{"b": True}]},
    }


def test_what_is_missing_in_a_frame_is_null(db: kithdb.Database) -> None:
    points = plain(db)
    day = pd.Timestamp("2024-05-01")
    frame = pd.DataFrame(
        {
            "id": [1, 2],
            "half": [0.5, float("nan")],
            "day": [day, pd.NaT],
            "n": pd.array([1, None], "Int64"),
            "kind": pd.Categorical(["a", None]),
        }
    )
    whole = {"half": 0.5, "day": "2024-05-01T00:00:00", "n": 1, "kind": "a"}
    missing = {"half": None, "day": None, "n": None, "kind": None}
    rest: Any = frame.drop(columns=["id"])
    forms: list[tuple[Any, Any]] = [
        (rest.to_dict("records"), missing),
        ({name: rest[name] for name in rest}, missing),
        (rest, {}),
    ]
    for payload, of_missing in forms:
        points.upsert(ids=frame["id"], vectors=VECTORS[:2], payload=payload)
        told = [{**point.payload, "kind": point.get("kind")} for point in points.get([1, 2])]
        assert told[0] == whole and {**of_missing, **told[1]} == {**of_missing, "kind": None}, payload
    days = np.array(["2024-05-01", "NaT"], "datetime64[ns]")
    points.upsert(ids=[1, 2], vectors=VECTORS[:2], payload={"day": days, "arrow": pa.chunked_array([[1, 2]])})
    assert points.get(1).payload == {"day": "2024-05-01T00:00:00", "arrow": 1} and points.get(2)["day"] is None


def test_vectors_of_every_form(db: kithdb.Database) -> None:
    points = plain(db)
    arrow: Any = pa
    flat = pa.array(VECTORS[:3].ravel())
    tensors = arrow.ExtensionArray.from_storage(
        arrow.fixed_shape_tensor(pa.float32(), [4]), arrow.FixedSizeListArray.from_arrays(flat, 4)
    )
    forms: list[Any] = [
        np.asfortranarray(VECTORS[:3]),
        VECTORS[:6][::2],
        VECTORS[:3].astype(">f4"),
        VECTORS[:3].astype(">f2"),
        pd.Series(list(VECTORS[:3])),
        pl.Series(VECTORS[:3].tolist()),
        tensors.storage,
        VECTORS[:3].tolist(),
    ]
    for form in forms:
        points.upsert(ids=[1, 2, 3], vectors=form)
        expected = VECTORS[4] if form is forms[1] else VECTORS[2]
        np.testing.assert_allclose(points.get(3, with_vector=True).vector, expected, rtol=2e-3, err_msg=str(type(form)))
    points.upsert(arrow.table({"id": [7, 8, 9], "vector": tensors}))
    np.testing.assert_allclose(points.get(9, with_vector=True).vector, VECTORS[2], rtol=1e-6)
    with pytest.raises(kithdb.InvalidArgument, match="vectors are lists"):
        points.upsert(arrow.table({"id": [1], "vector": ["x"]}))
    schema = arrow.schema({"id": pa.uint64(), "vector": arrow.list_(pa.float32(), 4)})
    nothing = arrow.record_batch([pa.array([], pa.uint64()), pa.array([], arrow.list_(pa.float32(), 4))], schema=schema)
    assert points.upsert(arrow.RecordBatchReader.from_batches(schema, [nothing, nothing])).count == 0
    assert points.upsert(ids=[], vectors=[], payload=[]).count == 0


def test_parts_of_points_change(books: kithdb.Collection) -> None:
    books.set_payload({"seen": True}, 1)
    books.set_payload({"stars": 5}, where=kithdb.f.lang == "en", key="review")
    books.overwrite_payload({"only": 1}, [2])
    books.delete_payload(["year", "tags"], [3])
    books.clear_payload(4)
    assert books.get(1)["seen"] is True and books.get(1)["review"] == {"stars": 5}
    assert books.get(2).payload == {"only": 1}
    assert books.get(3).payload == {"title": "A book on gardens", "lang": "en", "review": {"stars": 5}}
    assert books.get(4).payload == {}
    books.delete_vectors([""], [1])
    assert books.search([1.0, 0.0]).ids == [2, 3, 4]
    with pytest.raises(kithdb.NotFound):
        books.set_payload({"a": 1}, [99])
    with pytest.raises(kithdb.InvalidArgument, match="and not both"):
        books.delete()


def test_points_are_deleted(books: kithdb.Collection) -> None:
    books.delete(1)
    books.delete([2, 77])
    books.delete(where="year < 2020")
    assert [point.id for point in books.scroll()] == [4]
    for empty in ("", " "):
        with pytest.raises(kithdb.InvalidArgument, match="every point"):
            books.delete(where=empty)
    books.delete(where={})
    assert len(books) == 0


def test_writes_under_conditions(books: kithdb.Collection) -> None:
    books.upsert([{"id": 1, "vector": [0.0, 1.0]}, {"id": 9, "vector": [0.0, 1.0]}], mode="insert_only")
    assert books.get(1)["year"] == 2024 and books.count() == 5
    books.upsert(ids=[1, 2], vectors=[[0.0, 1.0]] * 2, where=kithdb.f.lang == "de")
    assert books.get(1).payload and not books.get(2).payload
    version = books.query({"filter": {"must": [{"has_id": [1]}]}})[0].version
    books.upsert([{"id": 1, "vector": [1.0, 0.0], "payload": {"a": 1}, "if_version": version}])
    with pytest.raises(kithdb.Conflict) as caught:
        books.upsert([{"id": 1, "vector": [1.0, 0.0], "payload": {"a": 2}, "if_version": version}])
    assert caught.value.hint and books.get(1).payload == {"a": 1}


def test_a_transaction_is_whole(db: kithdb.Database, books: kithdb.Collection) -> None:
    other = plain(db)
    with db.transaction() as tx:
        tx.on("books").delete([1])
        tx.on("plain").upsert([{"id": 1, "vector": VECTORS[0], "from": "books"}])
        tx.on("plain").set_payload({"more": 1}, [1])
    assert tx.seqno is not None
    assert books.count() == 3 and other.get(1).payload == {"from": "books", "more": 1}
    with pytest.raises(kithdb.InvalidArgument, match=r"operations\[1\]"), db.transaction() as tx:
        tx.on("books").delete([2])
        tx.on("plain").upsert([{"id": 2, "vector": [1.0]}])
    with pytest.raises(kithdb.Conflict), db.transaction() as tx:
        tx.on("plain").require({1: 0})
        tx.on("books").delete([2])
    with pytest.raises(KeyError), db.transaction() as tx:
        tx.on("books").delete([2])
        raise KeyError
    assert books.count() == 3


def test_past_states_can_be_read(books: kithdb.Collection) -> None:
    before = books.delete([3])
    books.upsert([{"id": 1, "vector": [0.0, 1.0], "lang": "fr"}])
    past = books.as_of(before)
    assert past.get(1)["lang"] == "en" and past.count("lang = 'fr'") == 0
    assert past.search([1.0, 0.0], limit=1).ids == [1] and books.search([1.0, 0.0], limit=1).ids == [2]
    assert past.search_many([[1.0, 0.0]], limit=1).ids.tolist() == [[1]]
    assert [point.id for point in past.scroll()] == [1, 2, 4] and past.facet("lang") == {"en": 2, "de": 1}
    assert sorted(group.value for group in past.groups("lang", [1.0, 0.0])) == ["de", "en"]
    assert sorted(past.matrix(10, limit=1)["ids"]) == [1, 2, 4]
    with pytest.raises(kithdb.InvalidArgument, match="past state"):
        past.delete([1])
    with pytest.raises(kithdb.InvalidArgument) as caught:
        books.as_of(10**9).count()
    assert caught.value.field == "as_of"


def test_both_doors_say_the_same(db: kithdb.Database) -> None:
    points = plain(db)
    with pytest.raises(kithdb.InvalidArgument) as caught:
        points.upsert(ids=[1, 2], vectors=VECTORS[:2, :3])
    told = "points[0].vector: Vector dimension error: expected dim: 4, got 3"
    assert str(caught.value) == told and caught.value.message in told
    with pytest.raises(kithdb.InvalidArgument) as caught:
        points.delete(where={"must": [{"key": "a"}]})
    assert str(caught.value).startswith("filter.must[0].key: ")


def test_progress_is_told(db: kithdb.Database) -> None:
    told: list[int] = []
    plain(db).upsert(ids=range(100), vectors=VECTORS, commit_points=40, progress=told.append)
    assert told == [40, 80, 100]


def test_a_large_matrix_fits_whatever_bodies_may_have(db: kithdb.Database) -> None:
    rows = np.random.default_rng(8).normal(size=(2_000, 1_536)).astype(np.float32)
    points = db.create_collection("large", dim=1_536, metric="dot")
    assert points.upsert(rows).count == points.count() == 2_000


def test_long_texts_fit_whatever_bodies_may_have(db: kithdb.Database) -> None:
    points = plain(db)
    texts = [f"{at} " + "x" * 1_000_000 for at in range(40)]
    assert points.upsert(ids=range(40), vectors=VECTORS[:40], payload={"text": texts}).count == points.count() == 40
    assert points.get(39)["text"] == texts[39]
    if "127.0.0.1" not in repr(points):
        # Points of which some have no vector go another way.
        rows: list[dict[str, Any]] = [{"id": at, "text": text} for at, text in enumerate(texts, 100)]
        rows[0]["vector"] = VECTORS[0]
        assert points.upsert(rows).count == 40 and points.count() == 80
