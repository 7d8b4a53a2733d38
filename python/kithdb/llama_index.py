"""LlamaIndex: a vector store over a collection. Needs `llama-index-core`.

```python
store = KithVectorStore.open("./data", "notes", dim=384)
index = VectorStoreIndex.from_documents(documents, storage_context=StorageContext.from_defaults(vector_store=store))
index.as_retriever(vector_store_query_mode="hybrid").retrieve("databases")
```

A node is a point: its id is the UUID that stands for the node's (`kithdb.id_of`); its payload has its text, which is
sought by words as well, under `text`, and under `node` its metadata and what else makes it a node again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

try:
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.schema import BaseNode, MetadataMode
    from llama_index.core.vector_stores.types import (
        BasePydanticVectorStore,
        FilterCondition,
        FilterOperator,
        MetadataFilters,
        VectorStoreQuery,
        VectorStoreQueryMode,
        VectorStoreQueryResult,
    )
    from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict
except ImportError as error:
    from kithdb.errors import missing

    raise missing("llama-index-core", "kithdb.llama_index") from error

from kithdb.collection import Collection
from kithdb.database import open
from kithdb.errors import InvalidArgument
from kithdb.filters import Condition, Field, condition, f, has_id, quoted
from kithdb.hits import Hits, Point
from kithdb.rows import id_of

_BOTH = (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID)
#: Candidates that differing hits are chosen among, for each hit.
_MMR = 4
_WORDS = (VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.SPARSE)


class KithVectorStore(BasePydanticVectorStore):
    """A vector store over a collection. Modes are `default`, `text_search` (and `sparse`), `hybrid`, `mmr`."""

    stores_text: bool = True
    flat_metadata: bool = False

    _collection: Collection = PrivateAttr()

    def __init__(self, collection: Collection) -> None:
        super().__init__(stores_text=True)
        self._collection = collection

    @classmethod
    def open(cls, path: str, name: str, *, dim: int, metric: str = "cosine") -> KithVectorStore:
        """A store in a database: a directory, `:memory:`, or an address. The collection is made if it is not there."""
        made = open(path).create_collection(name, dim=dim, metric=metric, text=["text"], exist_ok=True)
        return cls(made)

    @classmethod
    def class_name(cls) -> str:
        """The name under which LlamaIndex knows the class."""
        return "KithVectorStore"

    @property
    def client(self) -> Collection:
        """The collection."""
        return self._collection

    def add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """Adds nodes, or replaces those with the same ids; their ids. Each must have its embedding."""
        if nodes:
            vectors = [node.get_embedding() for node in nodes]
            ids = [id_of(node.node_id) for node in nodes]
            self._collection.upsert(ids=ids, vectors=vectors, payload=[_payload(node) for node in nodes])
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **kwargs: Any) -> None:
        """Deletes the nodes of a document."""
        self._collection.delete(where=f.node.ref_doc_id == ref_doc_id)

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **kwargs: Any
    ) -> None:
        """Deletes nodes by their ids, those that filters match, or those for which both holds."""
        self._collection.delete(where=_chosen(node_ids, filters))

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """The nodes of these ids, those that filters match, or those for which both holds."""
        return [_node(point) for point in self._collection.scroll(_chosen(node_ids, filters))]

    def clear(self) -> None:
        """Deletes every node."""
        self._collection.delete(where={})

    def query(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """The best nodes for a question. Raises `InvalidArgument` for a mode that there is not, or what it lacks."""
        parts = [] if query.filters is None else [_condition(query.filters)]
        # Indexes ask with empty lists where they mean all.
        parts += [f.node.ref_doc_id.isin(query.doc_ids)] if query.doc_ids else []
        parts += [has_id(map(id_of, query.node_ids))] if query.node_ids else []
        where = Condition({"must": [part.to_dict() for part in parts]}) if parts else None
        hits = self._asked(query, where)
        nodes = [_node(hit) for hit in hits]
        return VectorStoreQueryResult(nodes=nodes, similarities=hits.scores, ids=[node.node_id for node in nodes])

    def _asked(self, query: VectorStoreQuery, where: Condition | None) -> Hits:
        vector, words, limit = query.query_embedding, query.query_str, query.similarity_top_k
        search = self._collection.search
        if query.mode in _WORDS:
            return search(query={"keyword": _given(words, "query_str", query)}, where=where, limit=limit)
        nearest = _given(vector, "query_embedding", query)
        if query.mode in _BOTH:
            alpha = query.alpha
            fusion: Any = "adaptive" if alpha is None else {"relative_score": {"weights": [alpha, 1.0 - alpha]}}
            text, limit = _given(words, "query_str", query), query.hybrid_top_k or limit
            return search(nearest, text=text, where=where, limit=limit, fusion=fusion)
        if query.mode == VectorStoreQueryMode.MMR:
            near = 0.5 if query.mmr_threshold is None else query.mmr_threshold
            diverse = {"nearest": nearest, "mmr": {"diversity": 1.0 - near, "candidates_limit": _MMR * limit}}
            return search(query=diverse, where=where, limit=limit)
        if query.mode == VectorStoreQueryMode.DEFAULT:
            return search(nearest, where=where, limit=limit)
        raise InvalidArgument(f"`{query.mode.value}` is no way to ask here; ask `default`, `hybrid` or `mmr`", "mode")

    # LlamaIndex would run these on the thread of the loop.

    async def async_add(self, nodes: Sequence[BaseNode], **kwargs: Any) -> list[str]:
        """As `add`."""
        return await asyncio.to_thread(self.add, nodes, **kwargs)

    async def adelete(self, ref_doc_id: str, **kwargs: Any) -> None:
        """As `delete`."""
        await asyncio.to_thread(self.delete, ref_doc_id, **kwargs)

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **kwargs: Any
    ) -> None:
        """As `delete_nodes`."""
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **kwargs)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """As `get_nodes`."""
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    async def aclear(self) -> None:
        """As `clear`."""
        await asyncio.to_thread(self.clear)

    async def aquery(self, query: VectorStoreQuery, **kwargs: Any) -> VectorStoreQueryResult:
        """As `query`."""
        return await asyncio.to_thread(self.query, query, **kwargs)


def _given(part: Any, name: str, query: VectorStoreQuery) -> Any:
    if part is None:
        raise InvalidArgument(f"is missing; mode `{query.mode.value}` asks by it", name)
    return part


def _payload(node: BaseNode) -> dict[str, Any]:
    return {
        "text": node.get_content(metadata_mode=MetadataMode.NONE),
        "node": node_to_metadata_dict(node, remove_text=True, flat_metadata=False),
    }


def _node(point: Point) -> BaseNode:
    node: BaseNode = metadata_dict_to_node(point["node"], text=point["text"])
    return node


def _chosen(node_ids: list[str] | None, filters: MetadataFilters | None) -> Condition:
    if node_ids is None and filters is None:
        raise InvalidArgument("give ids or filters", "node_ids")
    parts = [] if node_ids is None else [has_id(map(id_of, node_ids)).to_dict()]
    parts += [] if filters is None else [_condition(filters).to_dict()]
    return Condition({"must": parts})


def _condition(filters: MetadataFilters) -> Condition:
    parts = []
    for one in filters.filters:
        if isinstance(one, MetadataFilters):
            parts.append(_condition(one).to_dict())
        else:
            compare = _OPERATORS[getattr(one, "operator", FilterOperator.EQ)]
            parts.append(compare(Field(f"node.{quoted(one.key)}"), one.value).to_dict())
    clause = {FilterCondition.OR: "should", FilterCondition.NOT: "must_not"}.get(
        filters.condition or FilterCondition.AND, "must"
    )
    return Condition({clause: parts})


def _each(values: Any) -> list[Any]:
    return values if isinstance(values, list) else [values]


def _any(field: Field, values: Any) -> Condition:
    parts = [(field == value).to_dict() for value in _each(values)]
    return Condition({"should": parts}) if parts else condition("FALSE")


_OPERATORS: dict[FilterOperator, Callable[[Field, Any], Condition]] = {
    FilterOperator.EQ: lambda field, value: field == value,
    FilterOperator.NE: lambda field, value: field != value,
    FilterOperator.GT: lambda field, value: field > value,
    FilterOperator.GTE: lambda field, value: field >= value,
    FilterOperator.LT: lambda field, value: field < value,
    FilterOperator.LTE: lambda field, value: field <= value,
    FilterOperator.IN: _any,
    FilterOperator.NIN: lambda field, values: ~_any(field, values),
    FilterOperator.ANY: _any,
    FilterOperator.ALL: lambda field, values: Condition({"must": [(field == one).to_dict() for one in _each(values)]}),
    FilterOperator.TEXT_MATCH: lambda field, value: field.contains(value),
    FilterOperator.TEXT_MATCH_INSENSITIVE: lambda field, value: field.contains(value),
    FilterOperator.CONTAINS: lambda field, value: field == value,
    FilterOperator.IS_EMPTY: lambda field, _: field.is_empty(),
}
