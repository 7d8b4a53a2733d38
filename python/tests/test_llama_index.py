"""LlamaIndex's vector store, through both doors."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("llama_index.core")

from llama_index.core import StorageContext, VectorStoreIndex
from llama_index.core.embeddings import MockEmbedding
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

import kithdb
from kithdb.llama_index import KithVectorStore

TEXTS = {"a": "A crate for vectors", "b": "A book on gardens", "c": "Crates of apples"}
VECTORS = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [0.9, 0.1]}
METADATA: dict[str, dict[str, Any]] = {
    "a": {"year": 2024, "tags": ["db", "rust"], "two words": "x"},
    "b": {"year": 2019, "tags": []},
    "c": {"year": 2020, "tags": ["food"], "note": "sweet apples"},
}


def nodes() -> list[TextNode]:
    source = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id="doc-ab")}
    return [
        TextNode(
            id_=name,
            text=text,
            metadata=METADATA[name],
            embedding=VECTORS[name],
            relationships=source if name in "ab" else {},
        )
        for name, text in TEXTS.items()
    ]


@pytest.fixture
def store(db: kithdb.Database) -> KithVectorStore:
    store = KithVectorStore(db.create_collection("nodes", dim=2, text=["text"]))
    assert store.add(nodes()) == ["a", "b", "c"]
    return store


def ask(store: KithVectorStore, mode: str = "default", **asked: Any) -> list[str]:
    query = VectorStoreQuery(
        query_embedding=asked.pop("vector", [1.0, 0.0]),
        query_str=asked.pop("text", None),
        similarity_top_k=asked.pop("k", 3),
        mode=VectorStoreQueryMode(mode),
        **asked,
    )
    return list(store.query(query).ids or [])


def test_nodes_come_back_whole(store: KithVectorStore) -> None:
    found = store.query(VectorStoreQuery(query_embedding=[1.0, 0.0], similarity_top_k=1))
    assert found.similarities == pytest.approx([1.0]) and found.nodes is not None
    node = found.nodes[0]
    assert (node.node_id, node.metadata, node.ref_doc_id) == ("a", METADATA["a"], "doc-ab")
    assert node.get_content() == TEXTS["a"]
    assert [one.node_id for one in store.get_nodes(["b", "none"])] == ["b"]


def test_modes(store: KithVectorStore) -> None:
    assert ask(store) == ["a", "c", "b"]
    assert ask(store, "text_search", text="gardens", vector=None) == ["b"]
    assert ask(store, "hybrid", text="gardens", alpha=0.1, k=1) == ["b"]
    assert ask(store, "hybrid", text="gardens", alpha=0.9, k=1) == ["a"]
    assert set(ask(store, "hybrid", text="gardens", hybrid_top_k=2, k=1)) <= {"a", "b", "c"}
    assert ask(store, "mmr", mmr_threshold=0.0, k=2) == ["a", "b"]
    for wrong in ({"mode": "svm"}, {"mode": "hybrid"}, {"mode": "default", "vector": None}):
        with pytest.raises(kithdb.InvalidArgument):
            ask(store, **wrong)


FILTERS = [
    ("year", FilterOperator.EQ, 2024, "a"),
    ("year", FilterOperator.NE, 2024, "bc"),
    ("year", FilterOperator.GT, 2019, "ac"),
    ("year", FilterOperator.GTE, 2020, "ac"),
    ("year", FilterOperator.LT, 2020, "b"),
    ("year", FilterOperator.LTE, 2020.0, "bc"),
    ("year", FilterOperator.IN, [2019, 2020], "bc"),
    ("year", FilterOperator.NIN, [2019, 2020], "a"),
    ("tags", FilterOperator.ANY, ["rust", "food"], "ac"),
    ("tags", FilterOperator.ALL, ["rust", "db"], "a"),
    ("tags", FilterOperator.CONTAINS, "food", "c"),
    ("tags", FilterOperator.IS_EMPTY, None, "b"),
    ("note", FilterOperator.TEXT_MATCH, "apples", "c"),
    ("two words", FilterOperator.EQ, "x", "a"),
]


@pytest.mark.parametrize(("key", "operator", "value", "expected"), FILTERS, ids=str)
def test_filters(store: KithVectorStore, key: str, operator: FilterOperator, value: Any, expected: str) -> None:
    filters = MetadataFilters(filters=[MetadataFilter(key=key, operator=operator, value=value)])
    assert sorted(ask(store, filters=filters)) == list(expected)


def test_filters_are_joined_and_documents_go(store: KithVectorStore) -> None:
    old = MetadataFilter(key="year", operator=FilterOperator.LT, value=2020)
    new = MetadataFilter(key="year", operator=FilterOperator.GT, value=2020)
    either = MetadataFilters(filters=[old, new], condition=FilterCondition.OR)
    assert sorted(ask(store, filters=either)) == ["a", "b"]
    assert ask(store, filters=MetadataFilters(filters=[either], condition=FilterCondition.NOT)) == ["c"]
    assert ask(store, doc_ids=["doc-ab"], node_ids=["b", "c"]) == ["b"]
    store.delete_nodes(filters=MetadataFilters(filters=[old]))
    assert sorted(ask(store)) == ["a", "c"]
    store.delete("doc-ab")
    assert ask(store) == ["c"]
    store.clear()
    assert ask(store) == []
    with pytest.raises(kithdb.InvalidArgument):
        store.get_nodes()


async def test_it_can_be_waited_for(store: KithVectorStore) -> None:
    found = await store.aquery(VectorStoreQuery(query_embedding=[0.0, 1.0], similarity_top_k=1))
    assert found.ids == ["b"] and len(await store.aget_nodes(["a"])) == 1
    await store.adelete_nodes(["a"])
    await store.adelete("doc-ab")
    assert await store.async_add(nodes()[:1]) == ["a"]
    await store.aclear()
    assert store.add([]) == []


def test_an_index_over_it(tmp_path: Any) -> None:
    store = KithVectorStore.open(str(tmp_path / "data"), "index", dim=2)
    context = StorageContext.from_defaults(vector_store=store)
    index = VectorStoreIndex(nodes()[:2], storage_context=context, embed_model=MockEmbedding(2))
    found = index.as_retriever(similarity_top_k=1, vector_store_query_mode="text_search").retrieve("gardens")
    assert [one.node.get_content() for one in found] == [TEXTS["b"]]
