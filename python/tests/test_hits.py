"""Hits on their way elsewhere."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import kithdb


def test_every_form(books: kithdb.Collection) -> None:
    hits = books.search([1.0, 0.0], with_vector=True)
    assert isinstance(hits[0], kithdb.Hit) and [hit.id for hit in hits] == hits.ids and hits[-1].id == 4
    assert hits[1:3].ids == [2, 3] and len(hits[:0]) == 0
    assert hits.to_dicts()[1] == {
        "id": 2,
        "score": pytest.approx(0.8),
        "vector": pytest.approx([0.8, 0.6]),
        "title": "Ein Buch über Vektoren",
        "lang": "de",
        "year": 2021,
        "tags": ["db"],
    }
    ids, scores = hits.to_numpy()
    assert ids.dtype == np.uint64 and ids.tolist() == [1, 2, 3, 4] and scores.dtype == np.float32
    for rows in (hits.to_arrow().to_pylist(), hits.to_pandas().to_dict("records"), hits.to_polars().to_dicts()):
        assert [row["id"] for row in rows] == [1, 2, 3, 4] and rows[0]["year"] == 2024
        assert list(rows[0]["vector"]) == [1.0, 0.0]
    empty = books.search([1.0, 0.0], where="year > 3000")
    assert len(empty) == 0 and empty.to_arrow().num_rows == 0 and empty.to_pandas().empty


def test_names_that_clash_are_kept_apart(db: kithdb.Database) -> None:
    clash = db.create_collection("clash", dim=1, metric="dot")
    clash.upsert([{"id": 1, "vector": [2.0], "payload": {"id": "own", "score": 7}}])
    row = clash.search([1.0]).to_dicts()[0]
    assert row == {"id": 1, "score": 2.0, "payload.id": "own", "payload.score": 7}


def test_members_of_several_types_go_elsewhere_too(db: kithdb.Database) -> None:
    mixed = db.create_collection("mixed", [{"id": 1, "vector": [2.0], "a": 1}, {"id": 2, "vector": [1.0], "a": "x"}])
    hits = mixed.search([1.0])
    assert sorted(map(str, hits.to_arrow().column("a").to_pylist())) == ['"x"', "1"]
    assert len(hits.to_pandas()) == len(hits.to_polars()) == 2


def test_they_can_be_copied_and_sent(books: kithdb.Collection) -> None:
    hits = books.search([1.0, 0.0])
    if isinstance(hits, kithdb.Hits):
        for copied in (pickle.loads(pickle.dumps(hits)), copy.deepcopy(hits)):
            assert copied.to_dicts() == hits.to_dicts() and copied[0] == hits[0]
    assert pickle.loads(pickle.dumps(hits[0])) == hits[0]


def test_they_are_shown(books: kithdb.Collection) -> None:
    hits = books.search([1.0, 0.0], with_payload=["title"])
    assert repr(hits).splitlines()[:3] == [
        "4 hits",
        "id  score    title",
        "1   1.0000   A crate for vectors",
    ]
    assert "<td>A crate for vectors</td>" in hits._repr_html_()
    books.set_payload({"title": "<b>" + "x" * 100}, [1])
    shown = books.search([1.0, 0.0])._repr_html_()
    assert "&lt;b&gt;xxx" in shown and "x" * 61 not in shown and "…" in shown
