"""Collections: made, found, described, changed, dropped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kithdb


def test_a_collection_comes_and_goes(db: kithdb.Database) -> None:
    made = db.create_collection("notes", dim=3, metric="dot", recall=0.9)
    assert "notes" in db and list(db) == ["notes"] and len(db) == 1
    told = made.describe()
    assert told["vectors"][""]["size"] == 3 and told["vectors"][""]["distance"].lower() == "dot"
    assert db["notes"].count() == 0
    with pytest.raises(kithdb.AlreadyExists) as caught:
        db.create_collection("notes", dim=4)
    assert isinstance(caught.value, ValueError)
    db.create_collection("notes", dim=3, exist_ok=True)
    assert db.drop_collection("notes") and not db.drop_collection("notes")
    assert "notes" not in db


def test_points_are_exported(books: kithdb.Collection, tmp_path: Path) -> None:
    def ids(file: Path) -> list[int]:
        if file.suffix == ".jsonl":
            return [json.loads(line)["id"] for line in file.read_text().splitlines()]
        table = pq.read_table(file) if file.suffix == ".parquet" else pa.ipc.open_stream(file).read_all()
        found: list[int] = table.column("id").to_pylist()
        return found

    for ending in ("parquet", "arrow", "jsonl"):
        assert sorted(ids(books.export(tmp_path / f"all.{ending}"))) == [1, 2, 3, 4]
        assert sorted(ids(books.export(tmp_path / f"some.{ending}", where="lang = 'en'"))) == [1, 3, 4]
    for file, where, field in [("points.csv", None, "to"), ("points.arrow", "lang =", "filter")]:
        with pytest.raises(kithdb.InvalidArgument) as caught:
            books.export(tmp_path / file, where=where)
        assert str(caught.value.field).startswith(field) and not (tmp_path / file).exists()


def test_an_export_that_breaks_off_leaves_the_file_of_the_last_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: str, body: Any = None) -> Iterator[bytes]:
        yield b"{"
        raise kithdb.Unreachable("the connection broke off")

    with kithdb.open(":memory:") as db:
        points = db.create_collection("p", [{"id": 1, "vector": [1.0]}])
        file = points.export(tmp_path / "p.jsonl")
        whole = file.read_bytes()
        monkeypatch.setattr(points._door, "stream", broken)
        with pytest.raises(kithdb.Unreachable):
            points.export(file)
    assert file.read_bytes() == whole and list(tmp_path.iterdir()) == [file]


def test_the_name_that_was_meant_is_a_hint(db: kithdb.Database) -> None:
    db.create_collection("notes", dim=2)
    with pytest.raises(kithdb.NotFound) as caught:
        db["nots"]
    assert caught.value.hint == "Did you mean `notes`?" and caught.value.field == "collection_name"
    assert isinstance(caught.value, LookupError) and "nots" in str(caught.value)


def test_dimensions_follow_from_points(db: kithdb.Database) -> None:
    rows = [{"id": 1, "vector": [1.0, 2.0], "a": 1}, {"id": 2, "vector": [2.0, 1.0], "a": 2}]
    assert db.create_collection("dicts", iter(rows)).count() == 2
    assert db.create_collection("matrix", np.eye(5, dtype=np.float32)).count() == 5
    named = [{"id": 1, "vector": {"image": [1.0, 2.0, 3.0], "words": [1.0]}, "payload": {}}]
    told = db.create_collection("named", named).describe()["vectors"]
    assert {name: space["size"] for name, space in told.items()} == {"image": 3, "words": 1}
    with pytest.raises(kithdb.InvalidArgument, match="give `dim`"):
        db.create_collection("empty", [])
    assert db.create_collection("empty", [], dim=2).count() == 0


def test_of_a_stream_nothing_is_lost_to_the_look_at_its_first_rows(db: kithdb.Database) -> None:
    table: Any = pa.table({"id": [1, 2, 3, 4], "vector": [[1.0, 2.0]] * 4})

    class Stream:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return table.__arrow_c_stream__(requested_schema)

    streams = {
        "reader": table.to_reader(max_chunksize=1),
        "stream": Stream(),
        "table": table,
        "polars": pl.from_arrow(table),
    }
    for name, stream in streams.items():
        made = db.create_collection(name, stream)
        assert made.count() == 4 and made.describe()["vectors"][""]["size"] == 2
    for nothing in (table.slice(0, 0), table.slice(0, 0).to_reader(), np.empty((0, 2))):
        with pytest.raises(kithdb.InvalidArgument, match="give `dim`"):
            db.create_collection("none", nothing)


def test_points_that_are_refused_leave_no_collection(db: kithdb.Database) -> None:
    rows: list[dict[str, Any]] = [{"id": 1, "vector": [1.0, 2.0]}, {"id": "two", "vector": [2.0, 1.0]}]
    with pytest.raises(kithdb.InvalidArgument):
        db.create_collection("notes", rows)
    assert "notes" not in db
    rows[1]["id"] = 2
    assert db.create_collection("notes", rows).count() == 2
    with pytest.raises(kithdb.InvalidArgument):
        db.create_collection("notes", [{"id": "three", "vector": [2.0, 1.0]}], exist_ok=True)
    assert db["notes"].count() == 2, "one that was there stays"


def test_kinds_of_vectors(db: kithdb.Database) -> None:
    spaces = {"a": 2, "b": {"size": 2, "distance": "Euclid", "multivector_config": {"comparator": "max_sim"}}}
    mixed = db.create_collection("mixed", vectors=spaces, sparse=["words"])
    mixed.upsert(
        [
            {
                "id": 1,
                "a": [1.0, 0.0],
                "b": [[0.0, 0.0], [1.0, 1.0]],
                "words": {"indices": [3, 7], "values": [1.0, 2.0]},
            },
            {"id": 2, "a": [0.0, 1.0]},
        ]
    )
    assert mixed.search([0.0, 1.0], using="a").ids == [2, 1]
    assert mixed.search({"indices": [7], "values": [0.5]}, using="words").scores == [1.0]
    assert mixed.search([[1.0, 1.0]], using="b").ids == [1]
    assert mixed.count(kithdb.has_vector("words")) == 1
    assert mixed.get(1, with_vector=["a"]).vector == {"a": [1.0, 0.0]}
    mixed.create_vector("c", dense={"size": 1, "distance": "Dot"})
    mixed.update_vectors({2: {"c": [5.0]}})
    assert mixed.search([1.0], using="c").scores == [5.0]
    mixed.drop_vector("c")
    with pytest.raises(kithdb.InvalidArgument) as caught:
        mixed.search([1.0], using="c")
    assert caught.value.field == "using"


def test_sparse_vectors_are_made_of_texts(db: kithdb.Database) -> None:
    words = db.create_collection("words", vectors={"a": 1}, sparse=["words"])
    text = {"text": "a red fox", "model": "qdrant/bm25"}
    words.upsert([{"id": 1, "a": [1.0]}, {"id": 2, "words": text}])
    words.upsert([{"id": 3, "vector": {"words": {**text, "text": "a cat"}}, "payload": {}}])
    words.update_vectors({1: {"words": {**text, "options": {"stemmer": {"type": "none"}}}}})
    assert set(words.search({**text, "text": "the foxes"}, using="words").ids) == {1, 2}
    assert words.search(query={"nearest": {**text, "text": "cats"}}, using="words").ids == [3]
    with pytest.raises(kithdb.InvalidArgument, match="qdrant/bm25") as caught:
        words.search({**text, "model": "splade"}, using="words")
    assert caught.value.field == "query.nearest.model"


def test_fields_and_settings_change(books: kithdb.Collection) -> None:
    books.create_index("year", "integer")
    assert set(books.describe()["fields"]) == {"lang", "year"}
    books.drop_index("year")
    assert set(books.describe()["fields"]) == {"lang"}
    books.configure(metadata={"owner": "us"})
    assert books.status()["config"]["metadata"] == {"owner": "us"}


def test_aliases(db: kithdb.Database, books: kithdb.Collection) -> None:
    db.change_aliases({"library": "books"})
    assert db.aliases() == {"library": "books"} and db["library"].count() == 4
    db.create_collection("other", dim=2)
    db.change_aliases({"library": "other"})
    assert db["library"].count() == 0
    db.change_aliases(drop=["library"])
    assert db.aliases() == {}


def test_one_segment_of_everything(books: kithdb.Collection) -> None:
    books.optimize()
    told = books.describe()
    assert [segment["rows"] for segment in told["segments"]] == [4] and told["points"] == 4


def test_a_snapshot_goes_elsewhere_and_comes_back(
    db: kithdb.Database, books: kithdb.Collection, tmp_path: Path
) -> None:
    made = books.snapshots.create()
    assert [one["name"] for one in books.snapshots.list()] == [made["name"]]
    file = books.snapshots.download(made["name"], tmp_path)
    assert file.stat().st_size == made["size"]
    books.delete([1, 2, 3])
    books.recover(file, checksum=made["checksum"])
    assert books.count() == 4 and books.search(text="gardens").ids == [3]
    books.snapshots.delete(made["name"])
    assert books.snapshots.list() == []
    whole = db.snapshots.create()
    db.snapshots.delete(whole["name"])
    file.write_bytes(b"no snapshot")
    with pytest.raises(kithdb.Error):
        books.recover(file)
    assert books.count() == 4


def test_every_route_can_be_asked(db: kithdb.Database, books: kithdb.Collection) -> None:
    assert db.request("GET", "/collections/books/exists") == {"exists": True}
    assert db.request("GET", "/healthz").startswith("healthz")
    assert db.request("GET", "/v1/models")["object"] == "list"
    with pytest.raises(kithdb.InvalidArgument) as caught:
        db.request("POST", "/v1/chat/completions", {"model": "rag:books", "messages": []})
    assert caught.value.field == "messages" and "{" not in str(caught.value)


def test_weights_of_words_are_learned_set_and_taken_back(db: kithdb.Database) -> None:
    angles = np.arange(60) / 60 * 2 * np.pi
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    rows = [
        {"id": at, "vector": vectors[at], "text": " ".join(f"w{(at * 7 + n * n * 5) % 23}" for n in range(8))}
        for at in range(60)
    ]
    notes = db.create_collection("notes", rows, text=["text"])
    assert notes.describe()["hybrid_weights"] is None
    asked = [
        {"question": f"w{at * 3 % 23} w{at * 5 % 23} {at}", "vector": vectors[at], "expected": [{"id": at}]}
        for at in range(60)
    ]
    with pytest.raises(kithdb.InvalidArgument) as caught:
        notes.learn_weights(asked[:29])
    assert caught.value.field == "questions"
    told = notes.learn_weights(asked)
    assert notes.learn_weights(asked, feedback=True) == told, "nobody said anything of an answer"
    assert told["is_adopted"] and told["learned"] > told["default"] and told["p"] < 0.05
    assert notes.describe()["hybrid_weights"] == told["hybrid_weights"]
    assert notes.search(vectors[7], text=asked[7]["question"], limit=1).ids == [7]
    notes.configure(hybrid_weights={"words_least": 0.2, "words_most": 0.9})
    assert notes.describe()["hybrid_weights"] == {"words_least": 0.2, "words_most": 0.9}
    notes.configure(hybrid_weights={})
    assert notes.describe()["hybrid_weights"] is None
