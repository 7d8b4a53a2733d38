"""DSPy's own programs over a collection."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("dspy")

import dspy

import kithdb
from kithdb.dspy import KithRetriever

TEXTS = ["A crate for vectors", "A book on gardens", "Crates of apples", "A map of the stars"]


def embed(texts: list[str]) -> Any:
    """Each of the texts has a direction of its own."""
    return np.eye(4, dtype=np.float32)[[TEXTS.index(text) if text in TEXTS else 3 for text in texts]]


@pytest.fixture
def notes(db: kithdb.Database) -> kithdb.Collection:
    rows = [{"id": at, "vector": row, "text": text, "n": at} for at, (row, text) in enumerate(zip(embed(TEXTS), TEXTS))]
    return db.create_collection("notes", rows, text=["text"])


def test_a_program_retrieves(notes: kithdb.Collection) -> None:
    search = KithRetriever(notes, dspy.Embedder(embed), k=2)
    found = search(TEXTS[1], mode="vector")
    assert found.passages[0] == TEXTS[1] and found.ids[0] == 1 and len(found.passages) == 2
    assert found.scores[0] == pytest.approx(1.0) and found.payloads[0]["n"] == 1
    assert set(search("crates", mode="text", k=4).ids) == {0, 2}
    assert search(TEXTS[2], k=1).passages == [TEXTS[2]]
    assert search(TEXTS[2], k=1, where=kithdb.f.n < 2).ids != [2]

    class Program(dspy.Module):  # type: ignore[misc]
        """Retrieves, as programs are written."""

        def __init__(self) -> None:
            super().__init__()
            self.search = search

        def forward(self, question: str) -> Any:
            return dspy.Prediction(context=self.search(question).passages)

    assert Program()(question=TEXTS[3]).context[0] == TEXTS[3]
    search.load_state({**search.dump_state(), "k": 3})
    assert len(search(TEXTS[0]).ids) == 3


def test_the_retrieval_of_all_programs(notes: kithdb.Collection) -> None:
    search = KithRetriever(notes, embed)
    with dspy.context(rm=search.passages):
        assert dspy.Retrieve(k=1)(TEXTS[1]).passages == [TEXTS[1]]


async def test_it_is_awaited(notes: kithdb.Collection) -> None:
    search = KithRetriever(notes, embed, k=1)
    assert (await search.acall(TEXTS[1])).passages == [TEXTS[1]]
    assert (await search.aforward("stars", mode="text")).passages == [TEXTS[3]]


def test_without_an_embedder_words_are_sought(notes: kithdb.Collection) -> None:
    search = KithRetriever(notes, k=4)
    assert set(search("crates").ids) == {0, 2}
    with pytest.raises(kithdb.InvalidArgument) as caught:
        search("crates", mode="vector")
    assert caught.value.field == "mode"
