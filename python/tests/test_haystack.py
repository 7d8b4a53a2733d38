"""Haystack's own tests of document stores, extended and asynchronous, and the retriever, through both doors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("haystack")

from haystack import Document, Pipeline
from haystack.dataclasses import ByteStream, SparseEmbedding
from haystack.document_stores.errors import DuplicateDocumentError
from haystack.document_stores.types import DuplicatePolicy
from haystack.errors import FilterError
from haystack.testing import document_store as standard
from haystack.testing import document_store_async as standard_async
from haystack.utils import Secret

import kithdb
from kithdb.haystack import KithDocumentStore, KithRetriever


class Stores:
    """An empty store through each door, for all tests of a class."""

    @pytest.fixture(params=["embedded", "remote"])
    def document_store(self, request: pytest.FixtureRequest) -> Iterator[KithDocumentStore]:
        """An empty store."""
        path = ":memory:" if request.param == "embedded" else request.getfixturevalue("server")
        yield KithDocumentStore(path, dim=768, metric="dot")
        if request.param == "remote":
            with kithdb.open(path) as db:
                db.drop_collection("haystack")

    @staticmethod
    def assert_documents_are_equal(received: list[Document], expected: list[Document]) -> None:
        """Documents come by their ids, and their embeddings in single precision."""

        def dicts(documents: list[Document]) -> list[dict[str, Any]]:
            return sorted((document.to_dict(flatten=False) for document in documents), key=lambda one: str(one["id"]))

        close = dicts(expected)
        for one in close:
            one["embedding"] = one["embedding"] and pytest.approx(one["embedding"], abs=1e-6)
        assert dicts(received) == close


class TestStandard(
    Stores,
    standard.DocumentStoreBaseExtendedTests,
    standard.CountDocumentsByFilterTest,
    standard.CountUniqueMetadataByFilterTest,
    standard.GetMetadataFieldsInfoTest,
    standard.GetMetadataFieldMinMaxTest,
    standard.GetMetadataFieldUniqueValuesTest,
):
    """The extended tests, and those of what else a store may offer."""

    def test_write_documents(self, document_store: Any) -> None:
        """Without a policy, documents that are there already are refused."""
        document = Document(content="test doc")
        assert document_store.write_documents([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            document_store.write_documents([Document(content="another"), document])
        assert document_store.count_documents() == 1


class TestStandardAsync(
    Stores,
    standard_async.CountDocumentsAsyncTest,
    standard_async.WriteDocumentsAsyncTest,
    standard_async.DeleteDocumentsAsyncTest,
    standard_async.DeleteAllAsyncTest,
    standard_async.DeleteByFilterAsyncTest,
    standard_async.UpdateByFilterAsyncTest,
    standard_async.FilterDocumentsAsyncTest,
    standard_async.CountDocumentsByFilterAsyncTest,
    standard_async.CountUniqueMetadataByFilterAsyncTest,
    standard_async.GetMetadataFieldsInfoAsyncTest,
    standard_async.GetMetadataFieldMinMaxAsyncTest,
    standard_async.GetMetadataFieldUniqueValuesAsyncTest,
):
    """The asynchronous ones."""

    async def test_write_documents_async(self, document_store: Any) -> None:
        """Without a policy, documents that are there already are refused."""
        document = Document(content="test doc")
        assert await document_store.write_documents_async([document]) == 1
        with pytest.raises(DuplicateDocumentError):
            await document_store.write_documents_async([document])


def test_everything_of_a_document_comes_back() -> None:
    store = KithDocumentStore(dim=2, metric="dot")
    whole = Document(
        content="text",
        blob=ByteStream(b"\x00\xff", mime_type="x/y"),
        meta={"a": {"b": [1]}},
        embedding=[1.0, 2.0],
        sparse_embedding=SparseEmbedding([3, 9], [0.5, 1.0]),
    )
    store.write_documents([whole])
    assert store.filter_documents() == [whole]
    assert store.write_documents([whole, whole], policy=DuplicatePolicy.SKIP) == 0
    assert store.write_documents([]) == 0


def test_many_documents_are_refused_or_written_whole() -> None:
    store = KithDocumentStore(dim=1_024, metric="dot")
    many = [Document(content=str(at), embedding=[float(at)] * 1_024) for at in range(1_500)]
    assert store.write_documents(many) == store.count_documents() == 1_500
    more = [Document(content=f"other {at}", embedding=[0.5] * 1_024) for at in range(1_500)]
    for twice in (many[7], more[3]):
        with pytest.raises(DuplicateDocumentError):
            store.write_documents([*more, twice])
    assert store.count_documents() == 1_500


def test_the_retriever_in_a_pipeline(tmp_path: Any) -> None:
    store = KithDocumentStore(str(tmp_path / "data"), dim=2)
    store.write_documents(
        [
            Document(id="a", content="A crate for vectors", embedding=[1.0, 0.0], meta={"n": 1}),
            Document(id="b", content="A book on gardens", embedding=[0.0, 1.0], meta={"n": 2}),
        ]
    )
    pipeline = Pipeline()
    pipeline.add_component("find", KithRetriever(store, top_k=1))

    def ask(**asked: Any) -> list[str]:
        return [document.id for document in pipeline.run({"find": asked})["find"]["documents"]]

    assert ask(query="gardens") == ["b"] and ask(query_embedding=[1.0, 0.1]) == ["a"]
    assert ask(query="gardens", query_embedding=[0.0, 1.0]) == ["b"]
    assert ask(query_embedding=[1.0, 0.0], filters={"field": "meta.n", "operator": ">", "value": 1}) == ["b"]
    assert ask(query_embedding=[1.0, 0.0], top_k=2) == ["a", "b"]
    found = asyncio.run(KithRetriever(store, top_k=1).run_async(query="gardens"))
    assert [document.id for document in found["documents"]] == ["b"]
    with pytest.raises(ValueError, match="query_embedding"):
        KithRetriever(store).run()
    told = pipeline.dumps()
    assert "kithdb.haystack.KithRetriever" in told and "document_store" in told
    # What was written down does not open the directory a second time until it is used.
    assert Pipeline.loads(told, allowed_modules=["kithdb.haystack"]).dumps() == told


def test_a_store_is_closed_and_has_its_key_from_the_environment(tmp_path: Any) -> None:
    store = KithDocumentStore(str(tmp_path / "data"), dim=2)
    store.write_documents([Document(content="x")])
    store.close()
    with kithdb.open(tmp_path / "data") as db:
        assert db["haystack"].count() == 1
    assert store.count_documents() == 1, "it is opened again"
    told = KithDocumentStore("http://127.0.0.1:9", api_key=Secret.from_env_var("KITHDB_API_KEY")).to_dict()
    assert told["init_parameters"]["api_key"]["env_vars"] == ["KITHDB_API_KEY"]
    assert KithDocumentStore.from_dict(told).to_dict()["init_parameters"]["path"] == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "filters",
    [
        {"field": "meta.a", "operator": "=", "value": 1},
        {"field": "meta.a", "operator": "==", "value": {"a": 1}},
        {"operator": "XOR", "conditions": []},
        {"operator": "AND", "conditions": ["a"]},
    ],
    ids=str,
)
def test_filters_that_are_none(filters: Any) -> None:
    with pytest.raises(FilterError):
        KithDocumentStore(dim=2).filter_documents(filters)
