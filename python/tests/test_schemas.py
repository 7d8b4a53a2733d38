"""What a handle knows of its collection when another one changes it, or makes it anew under the same name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import kithdb


def test_a_vector_of_a_new_space_is_no_payload(db: kithdb.Database) -> None:
    points = db.create_collection("p", dim=2, vectors={"old": 1})
    points.upsert([{"id": 1, "vector": [1.0, 0.0], "old": [1.0]}])
    db["p"].create_vector("new", dense={"size": 2, "distance": "Dot"})
    points.upsert([{"id": 2, "new": [3.0, 4.0], "tags": ["a"]}])
    assert points.get(2, with_vector=True) == kithdb.Point(2, {"tags": ["a"]}, {"new": [3.0, 4.0]})
    db["p"].create_vector("words", sparse={})
    points.upsert(iter([{"id": 3, "words": {"indices": [1], "values": [2.0]}}]))
    assert points.get(3).payload == {} and points.count(kithdb.has_vector("words")) == 1
    db["p"].create_vector("column", dense={"size": 1, "distance": "Dot"})
    table: Any = pa.table({"id": [4], "column": [[5.0]], "n": [7]})
    points.upsert(table)
    assert points.get(4, with_vector=True) == kithdb.Point(4, {"n": 7}, {"column": [5.0]})


def test_a_space_that_is_gone_is_payload(db: kithdb.Database) -> None:
    points = db.create_collection("p", dim=2, vectors={"old": 1})
    points.upsert([{"id": 1, "vector": [1.0, 0.0], "old": [1.0]}])
    db["p"].drop_vector("old")
    points.upsert([{"id": 2, "vector": [0.0, 1.0], "old": [1.0]}])
    assert points.get(2).payload == {"old": [1.0]}
    with pytest.raises(kithdb.InvalidArgument):
        points.upsert([{"id": 3, "vector": {"old": [1.0]}, "payload": {}}])


def test_a_collection_that_was_made_anew_is_another_one(db: kithdb.Database) -> None:
    points = db.create_collection("p", [{"id": 1, "vector": [1.0, 0.0], "text": "a crate"}], text=["text"])
    assert points.search(text="crate").ids == [1] and points.search([[1.0, 0.0]]).ids == [1]
    assert db.drop_collection("p")
    with pytest.raises(kithdb.NotFound):
        points.search(text="crate")
    several = {"size": 2, "distance": "Dot", "multivector_config": {"comparator": "max_sim"}}
    db.create_collection("p", vectors={"": several})
    points.upsert([{"id": 2, "vector": [[1.0, 0.0], [0.0, 1.0]]}])
    rows = np.array([[1.0, 0.0], [0.0, 2.0]], np.float32)
    assert points.search(rows).scores == [3.0] and points.search(rows[:1]).scores == [1.0]
    assert db.drop_collection("p")
    db.create_collection("p", [{"id": 3, "vector": [1.0, 0.0]}], metric="dot")
    assert points.search(rows[:1]).ids == [3]
    with pytest.raises(kithdb.InvalidArgument, match="no multivectors"):
        points.search(rows)


def test_a_question_of_words_asks_no_route_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with kithdb.open(":memory:") as db:
        points = db.create_collection("p", [{"id": 1, "vector": [1.0], "text": "a crate"}], text=["text"])
        assert points.search(text="crate").ids == [1]
        door: Any = db._door

        def refused(method: str, path: str, body: Any = None) -> Any:
            raise AssertionError(f"{method} {path}: each takes longer than the search")

        monkeypatch.setattr(door, "call", refused)
        for _ in range(3):
            assert points.search(text="crate").ids == [1]


def test_numbers_in_the_payload_cost_one_look(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with kithdb.open(server) as db:
        points = db.create_collection("looks", dim=1)
        door: Any = db._door
        asked: list[str] = []
        call = door.call

        def counted(method: str, path: str, body: Any = None) -> Any:
            asked.append(method)
            return call(method, path, body)

        monkeypatch.setattr(door, "schema_mark", lambda collection: 0)
        monkeypatch.setattr(door, "call", counted)
        rows = [{"id": at, "vector": [1.0], "numbers": [1, 2]} for at in range(100)]
        points.upsert(rows, commit_points=10)
        assert asked.count("GET") == 1, "it was looked up just now"
        points.upsert(rows, commit_points=10)
        assert asked.count("GET") == 2, "once for all rows"
        points.upsert([{"id": 1, "vector": [1.0], "n": 3, "tags": ["a"]}])
        for _ in range(10):
            points.search([[1.0]])
        assert asked.count("GET") == 2, "nothing in it may be a vector"
        db.drop_collection("looks")
