"""Asking: by vectors, by words, by both, under filters, and why."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest

import kithdb
from kithdb import f


def test_nearest(books: kithdb.Collection) -> None:
    hits = books.search([1.0, 0.0], limit=2)
    assert hits.ids == [1, 2] and hits.scores == pytest.approx([1.0, 0.8])
    assert hits[0]["title"] == "A crate for vectors" and hits[0].get("none", 3) == 3 and hits[0].version >= 1
    assert books.search(np.array([1.0, 0.0]), limit=1).ids == [1]
    assert books.search(np.array([[1.0, 0.0]]), limit=1).ids == books.search([[1.0, 0.0]], limit=1).ids == [1]
    assert books.search(1, limit=1).ids == books.search(np.int64(1), limit=1).ids == [2], "the point itself is no hit"
    assert books.search([1.0, 0.0], offset=1, limit=1).ids == [2]
    assert books.search([1.0, 0.0], score_threshold=0.9).ids == [1]
    assert books.search([1.0, 0.0], exact=True).ids == books.search([1.0, 0.0], recall=1.0).ids
    assert books.search([1.0, 0.0], with_payload=["lang"])[0].payload == {"lang": "en"}
    assert books.search([1.0, 0.0], with_payload=False, with_vector=True)[0].vector == [1.0, 0.0]


def test_words_in_the_place_of_a_vector_are_told_where_they_belong(books: kithdb.Collection) -> None:
    with pytest.raises(kithdb.InvalidArgument) as caught:
        books.search("a book on gardens")
    assert caught.value.hint and "search(text=...)" in caught.value.hint


def test_one_name_need_not_stand_in_a_list(db: kithdb.Database) -> None:
    rows = [{"id": 1, "vector": [1.0, 0.0], "title": "A crate for vectors", "t": 1, "i": 2}]
    named = db.create_collection("named", rows, text="title", sparse="words")
    assert named.search(text="crate").ids == [1] and set(named.describe()["sparse_vectors"]) == {"words"}
    assert named.search([1.0, 0.0], with_payload="title")[0].payload == {"title": "A crate for vectors"}
    named.delete_payload("title", [1])
    assert named.get(1).payload == {"t": 1, "i": 2}
    with pytest.raises(kithdb.InvalidArgument, match="list of values"):
        f.title.isin("title")
    with pytest.raises(kithdb.InvalidArgument, match="is_null"):
        f.title == None  # noqa: B015, E711


def test_words_and_both(books: kithdb.Collection) -> None:
    assert books.search(text="crate").ids == [1, 4] or books.search(text="crate").ids == [4, 1]
    assert books.search(text={"text": "crate vectors", "operator": "all"}).ids == [1]
    hybrid = books.search([1.0, 0.0], text="crate", limit=3)
    assert hybrid.ids[0] == 1 and set(hybrid.ids) >= {1, 4}
    fused = books.search([1.0, 0.0], text="crate", fusion="rrf", where=f.lang == "en")
    assert set(fused.ids) == {1, 3, 4}
    highlighted = books.search(text="gardens", highlight=True)[0].highlight
    assert highlighted is not None and "<em>gardens</em>" in highlighted["title"][0]["text"]


def test_other_questions(books: kithdb.Collection) -> None:
    assert books.search(query={"recommend": {"positive": [1], "negative": [4]}}).ids[0] == 2
    assert books.search(query={"order_by": "year"}).ids == [3, 4, 2, 1]
    assert books.search().ids == [1, 2, 3, 4]
    assert len(books.search(query={"sample": "random"}, limit=2)) == 2
    legs = [{"query": [1.0, 0.0]}, {"query": {"keyword": "gardens"}}]
    assert set(books.search(query={"fusion": "rrf"}, prefetch=legs).ids) == {1, 2, 3, 4}
    assert books.query({"query": [0.0, 1.0], "limit": 1}).ids == [3]
    groups = books.groups("lang", [1.0, 0.0], group_size=2)
    assert [(group.value, group.hits.ids) for group in groups] == [("en", [1, 3]), ("de", [2])]
    assert books.matrix(4, limit=1)["ids"]


FILTERS: list[tuple[Any, list[int]]] = [
    ("lang = 'en' AND year >= 2020", [1, 4]),
    ((f.lang == "en") & (f.year >= 2020), [1, 4]),
    ((f.lang == "en") & "year >= 2020", [1, 4]),
    ("lang = 'en'" & (f.year >= 2020), [1, 4]),
    ({"must": [{"key": "lang", "match": {"value": "de"}}]}, [2]),
    ((f.lang == "de") | (f.year < 2020), [2, 3]),
    (~(f.lang == "en"), [2]),
    (f.lang != "en", [2]),
    (~((f.lang == "de") | (f.year < 2020)), [1, 4]),
    (f.year.between(2020, 2021), [2, 4]),
    (f.year.isin([2019, 2024]), [1, 3]),
    (f.year > 2021.5, [1]),
    (f["year"] <= 2019, [3]),
    (f.tags == "db", [1, 2]),
    (f.tags.counts(at_least=2), [1]),
    (f.tags.is_empty(), [3]),
    (f.title.contains("crate"), [1]),
    (f.title.contains_any("crate gardens"), [1, 3]),
    (f.title.contains_phrase("book on"), [3]),
    (f.title.startswith("A "), [1, 3]),
    (kithdb.has_id([1, 3]), [1, 3]),
    (kithdb.at_least(2, [f.lang == "en", f.year > 2019, f.tags == "db"]), [1, 2, 4]),
    (f.added == datetime.date(2024, 5, 1), [1]),
    (f.added != datetime.date(2024, 5, 1), [2, 3, 4]),
    (f.missing.is_null(), []),
    ({}, [1, 2, 3, 4]),
    ("", [1, 2, 3, 4]),
]


@pytest.mark.parametrize(("where", "expected"), FILTERS, ids=str)
def test_filters(books: kithdb.Collection, where: Any, expected: list[int]) -> None:
    assert sorted(books.search([1.0, 0.0], where=where).ids) == expected
    assert [point.id for point in books.scroll(where)] == expected
    assert books.count(where) == len(expected)


def test_places_and_nested_objects(db: kithdb.Database) -> None:
    cities = db.create_collection(
        "cities",
        [
            {
                "id": 1,
                "vector": [1.0],
                "at": {"lon": 13.4, "lat": 52.5},
                "parts": [{"a": 1, "b": 2}, {"a": 2, "b": 1}],
            },
            {"id": 2, "vector": [1.0], "at": {"lon": 2.35, "lat": 48.86}, "parts": [{"a": 1, "b": 1}]},
        ],
        metric="dot",
    )
    assert cities.search(where=f.at.within_radius((13.0, 52.0), 100_000)).ids == [1]
    assert cities.search(where=f.at.within_box((2.0, 49.0), (3.0, 48.0))).ids == [2]
    assert cities.search(
        where=f.at.within_polygon([(0.0, 40.0), (5.0, 40.0), (5.0, 50.0), (0.0, 50.0), (0.0, 40.0)])
    ).ids == [2]
    assert cities.search(where=f.parts.any_object((f.a == 1) & (f.b == 1))).ids == [2]
    assert cities.search(where=f["parts[].a"] == 2).ids == [1]
    assert cities.search(where=f.at.lon > 10.0).ids == [1]


def test_a_condition_is_neither_true_nor_false() -> None:
    with pytest.raises(TypeError, match="join conditions"):
        bool(f.a == 1)
    with pytest.raises(kithdb.InvalidArgument):
        _ = (f.a == 1) & 3  # type: ignore[operator]


def test_counts_and_pages(books: kithdb.Collection) -> None:
    assert books.count("lang = 'en'") == 3 and len(books) == 4
    assert books.facet("lang") == {"en": 3, "de": 1} and books.facet("tags", where=f.lang == "de") == {"db": 1}
    assert [point.id for point in books.scroll(page=1, start=2)] == [2, 3, 4]
    assert next(books.scroll(with_vector=True, with_payload=False)) == kithdb.Point(1, {}, [1.0, 0.0])
    assert books.get([3, 77, 1])[0].id == 3
    with pytest.raises(kithdb.NotFound):
        books.get(77)


def test_many_questions_at_once(db: kithdb.Database) -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(1000, 16)).astype(np.float32)
    points = db.create_collection("many", dim=16, metric="dot")
    points.upsert(ids=np.arange(1000), vectors=vectors, payload={"even": [n % 2 == 0 for n in range(1000)]})
    asked = rng.normal(size=(300, 16)).astype(np.float32)
    found = points.search_many(asked, limit=5, exact=True)
    assert found.ids.shape == (300, 5) and found.ids.dtype == np.uint64 and found.scores.dtype == np.float32
    truth = np.argsort(-(asked @ vectors.T), axis=1)[:, :5]
    np.testing.assert_array_equal(found.ids, truth)
    assert found[7] == list(zip(*points.search(asked[7], limit=5, exact=True).to_numpy()))
    assert len(found) == 300 and found.counts.tolist() == [5] * 300
    few = points.search_many(asked[:2], limit=4, where=kithdb.has_id([1, 2]))
    assert few.counts.tolist() == [2, 2] and np.isnan(few.scores[:, 2:]).all()
    points.upsert(ids=[kithdb.id_of("x")], vectors=[np.full(16, 9.0)])
    mixed = points.search_many(np.ones((1, 16)), limit=2)
    assert mixed.ids[0, 0] == kithdb.id_of("x") and mixed.ids.dtype == object
    with pytest.raises(kithdb.InvalidArgument):
        points.search_many(np.ones((1, 3)))


def test_pages_are_of_one_state(books: kithdb.Collection) -> None:
    pages = books.pages({"query": [1.0, 0.0], "with_payload": True}, size=3)
    first = next(pages)
    books.delete([3, 4])
    assert [first.ids, *(page.ids for page in pages)] == [[1, 2, 3], [4]]
    left = books.pages({"query": [1.0, 0.0]}, size=1)
    assert next(left).ids == [1]
    left.close()  # type: ignore[attr-defined]


def test_rows_may_have_a_budget(books: kithdb.Collection) -> None:
    assert books.search([1.0, 0.0], limit=2, rows_max=1_000_000).seen_share is None
    with pytest.raises(kithdb.InvalidArgument) as caught:
        books.search([1.0, 0.0], rows_max=0)
    assert caught.value.field == "rows_max"


def test_it_tells_why(books: kithdb.Collection) -> None:
    hits = books.search([1.0, 0.0], limit=1, where=f.year >= 2020)
    assert "vector" in str(hits.explain()) and hits.explain().tree["step"] == "vector"
    assert hits.explain()._repr_html_().startswith("<pre>")
    assert "actual" in hits.analyze().tree
    assert str(hits.why_not(3)) == "point 3: the filter shuts it out (must[0]: year >= 2020)"
    assert hits.why_not(3).filter == ["must[0]"] and hits.why_not(3).conditions == ["year >= 2020"]
    told = hits.why_not(4)
    assert (told.why, told.rank) == ("outranked", 3) and "others are better (rank 3" in str(told)
    assert hits.why_not(99).why == "no_such_point" and hits.why_not(1).why == "hit"
    hybrid = books.search([1.0, 0.0], text="gardens", limit=1)
    assert "leg 1" in str(hybrid.why_not(4)) and len(hybrid.why_not(4).legs) == 2
    with pytest.raises(kithdb.InvalidArgument):
        books.groups("lang", [1.0, 0.0])[0].hits.explain()


def test_what_cannot_be_asked_names_the_field(books: kithdb.Collection) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"vector": [1.0]}, "query"),
        ({"vector": "no id"}, "vector"),
        ({"vector": ["a", "b"]}, "vector"),
        ({"vector": []}, "vector"),
        ({"vector": [[1.0, 0.0], [0.0, 1.0]]}, "vector"),
        ({"vector": [1.0, 0.0], "query": {"sample": "random"}}, "query"),
        ({"vector": [1.0, 0.0], "text": "crate", "prefetch": []}, "prefetch"),
        ({"vector": np.float32(1.0)}, "id"),
        ({"vector": [1.0, 0.0], "limit": 0}, "limit"),
        ({"vector": [1.0, 0.0], "where": "year >="}, "filter"),
        ({"vector": [1.0, 0.0], "where": 7}, "where"),
        ({"vector": [1.0, 0.0], "where": {"must": [{"key": "a"}]}}, "filter.must[0].key"),
        ({"vector": [1.0, 0.0], "using": "other"}, "using"),
        ({"vector": [1.0, 0.0], "recall": 0.9, "ef": 10}, "params.recall"),
        ({"query": {"feedback": {}}}, "query.feedback"),
    ]
    for asked, field in cases:
        with pytest.raises(kithdb.InvalidArgument) as caught:
            books.search(**asked)
        assert caught.value.field is not None and caught.value.field.startswith(field), (asked, caught.value)
        assert isinstance(caught.value, ValueError) and str(caught.value).startswith(caught.value.field)
