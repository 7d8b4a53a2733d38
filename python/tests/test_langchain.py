"""LangChain's own standard tests, and what they do not look at, through both doors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("langchain_tests")

from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.retrievers import BaseRetriever
from langchain_core.vectorstores import VectorStore
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

import kithdb
from kithdb.langchain import KithRetriever, KithVectorStore

EMBEDDING = DeterministicFakeEmbedding(size=6)
TEXTS = ["A crate for vectors", "A book on gardens", "Crates of apples", "A map of the stars"]


class TestStandardVectorStore(VectorStoreIntegrationTests):
    """25 tests of LangChain."""

    @pytest.fixture
    def vectorstore(self, db: kithdb.Database) -> Iterator[VectorStore]:
        """An empty store."""
        yield KithVectorStore.create(db, "standard", self.get_embeddings())


class TestStandardRetriever(RetrieversIntegrationTests):
    """5 tests of LangChain."""

    @pytest.fixture(autouse=True)
    def _store(self, db: kithdb.Database) -> None:
        self.store = KithVectorStore.create(db, "standard", EMBEDDING)
        self.store.add_texts(TEXTS)

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        """What is tested."""
        return KithRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        """Over the store."""
        return {"store": self.store}

    @property
    def retriever_query_example(self) -> str:
        """A question."""
        return "crates"


@pytest.fixture
def store(db: kithdb.Database) -> KithVectorStore:
    store = KithVectorStore.create(db, "docs", EMBEDDING)
    years = [{"year": 2024}, {"year": 2019}, {"year": 2020}, {}]
    store.add_texts(TEXTS, years, ids=["a", "b", "c", "d"])
    return store


def test_any_text_is_an_id(store: KithVectorStore) -> None:
    assert [document.id for document in store.get_by_ids(["c", "none", "a"])] == ["c", "a"]
    found = store.similarity_search(TEXTS[1], k=1)[0]
    assert (found.id, found.metadata, found.page_content) == ("b", {"year": 2019}, TEXTS[1])
    assert store.collection.get(kithdb.id_of("b"))["id"] == "b"
    own = "936da01f-9abd-4d9d-80c7-02af85c822a8"
    assert store.add_documents([Document("x", id=own)]) == [own]
    assert store.get_by_ids([own])[0].id == own and "id" not in store.collection.get(own).payload


def test_ways_to_ask(store: KithVectorStore) -> None:
    where = kithdb.f.metadata.year >= 2020
    assert {one.id for one in store.similarity_search("x", where=where)} == {"a", "c"}
    for filters in ({"year": [2024, 2020]}, {"must": [where.to_dict()]}, where, "metadata.year >= 2020"):
        assert {one.id for one in store.similarity_search("x", filter=filters)} == {"a", "c"}
    assert [one.id for one in store.similarity_search("x", filter={"year": 2024}, where=where)] == ["a"]
    assert len(store.similarity_search("x", filter={})) == 4
    assert {one.id for one in store.as_retriever(search_kwargs={"filter": {"year": 2019}}).invoke("x")} == {"b"}
    assert {one.id for one in store.similarity_search("crate", mode="text")} == {"a", "c"}
    assert store.similarity_search(TEXTS[3], k=1, mode="hybrid")[0].id == "d"
    assert len(store.max_marginal_relevance_search("x", k=2, fetch_k=4, lambda_mult=0.3)) == 2
    scored = store.similarity_search_with_relevance_scores(TEXTS[0], k=4)
    assert scored[0][1] == pytest.approx(1.0, abs=1e-6) and all(0.0 <= score <= 1.0 for _, score in scored)
    assert [one.id for one in KithRetriever(store=store, mode="text", where=where).invoke("crates", k=1)] != []
    store.delete(where=where)
    assert {one.id for one in store.similarity_search("x")} == {"b", "d"}
    store.delete()
    assert store.similarity_search("x") == []


def test_a_store_of_texts_opens_its_own_database(tmp_path: Any) -> None:
    store = KithVectorStore.from_texts(TEXTS, EMBEDDING, path=str(tmp_path / "data"), ids=list("abcd"))
    assert store.similarity_search(TEXTS[2], k=1)[0].id == "c"
    with pytest.raises(kithdb.InvalidArgument):
        store.add_documents([Document("x")], ids=["a", "b"])
    assert store.add_documents([]) == []
