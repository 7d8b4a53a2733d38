"""LangChain: a vector store and a retriever over a collection. Needs `langchain-core`.

```python
store = KithVectorStore.open("./data", "notes", embedding)
store.add_documents([Document("A crate for vectors", metadata={"year": 2024})])
store.similarity_search("databases", k=3, where=kithdb.f.metadata.year >= 2020)
store.similarity_search("databases", filter={"year": [2023, 2024]})      # as other stores take it
KithRetriever(store=store, k=5).invoke("databases")       # by words and by meaning
```

A document is a point: its text under `text`, which is sought by words as well, its metadata under `metadata`. Ids may
be any text; one that is no UUID stands for a UUID (`kithdb.id_of`), is kept under `id`, and is what comes back.

The asynchronous methods are those of LangChain, which run these on a thread of their own; the engine holds no lock of
the interpreter there.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

try:
    from langchain_core.callbacks import CallbackManagerForRetrieverRun
    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.retrievers import BaseRetriever
    from langchain_core.vectorstores import VectorStore
except ImportError as error:
    from kithdb.errors import missing

    raise missing("langchain-core", "kithdb.langchain") from error

from kithdb.collection import Collection
from kithdb.database import Database, open
from kithdb.errors import InvalidArgument
from kithdb.filters import Condition, Field, Where, condition, quoted
from kithdb.hits import Hits, Point
from kithdb.rows import id_of

#: How a question is asked: by its vector, by its words, or by both, fused.
Mode = Literal["vector", "text", "hybrid"]

_TEXT, _METADATA, _ID = "text", "metadata", "id"


class KithVectorStore(VectorStore):
    """A vector store over a collection, whose unnamed vectors are those of `embedding`."""

    def __init__(self, collection: Collection, embedding: Embeddings) -> None:
        self.collection = collection
        self._embedding = embedding

    @classmethod
    def create(cls, db: Database, name: str, embedding: Embeddings, *, metric: str = "cosine") -> KithVectorStore:
        """A store in a collection of a database, which is made if it is not there."""
        if name in db:
            return cls(db[name], embedding)
        dim = len(embedding.embed_query("dimension"))
        return cls(db.create_collection(name, dim=dim, metric=metric, text=[_TEXT], exist_ok=True), embedding)

    @classmethod
    def open(cls, path: str, name: str, embedding: Embeddings, *, metric: str = "cosine") -> KithVectorStore:
        """A store in a database that is opened for it: a directory, `:memory:`, or an address."""
        return cls.create(open(path), name, embedding, metric=metric)

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        path: str = ":memory:",
        collection_name: str = "langchain",
        **kwargs: Any,
    ) -> KithVectorStore:
        """A store of these texts, as `open` makes it."""
        store = cls.open(path, collection_name, embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @property
    def embeddings(self) -> Embeddings:
        """What embeds documents and questions."""
        return self._embedding

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """Adds documents, or replaces those with the same ids; their ids. `ids` come before those of the documents."""
        given = kwargs.get("ids") or [document.id for document in documents]
        if len(given) != len(documents):
            raise InvalidArgument(f"has {len(given)} entries for {len(documents)} documents", "ids")
        ids = [one or str(uuid.uuid4()) for one in given]
        if documents:
            vectors = self._embedding.embed_documents([document.page_content for document in documents])
            payload = [_payload(document, one) for document, one in zip(documents, ids)]
            self.collection.upsert(ids=[_point_id(one) for one in ids], vectors=vectors, payload=payload)
        return ids

    def delete(self, ids: list[str] | None = None, *, where: Where | None = None, **kwargs: Any) -> bool:
        """Deletes documents by their ids, or those that a filter matches; all of them if nothing is said."""
        if ids is not None:
            self.collection.delete([_point_id(one) for one in ids])
        else:
            self.collection.delete(where={} if where is None else where)
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of these ids that exist, in their order."""
        return [_document(point) for point in self.collection.get([_point_id(one) for one in ids])]

    def similarity_search(self, query: str, k: int = 4, **kwargs: Any) -> list[Document]:
        """The `k` best documents. Further arguments are `mode` (`vector`), `filter`, and those of `Collection.search`.

        `filter` is a dict of metadata and what they equal, or one of the values of a list; `where` says all else.
        """
        return [document for document, _ in self.similarity_search_with_score(query, k, **kwargs)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, *, mode: Mode = "vector", **kwargs: Any
    ) -> list[tuple[Document, float]]:
        """The `k` best documents with their scores: those of the metric, or of the fusion."""
        vector = None if mode == "text" else self._embedding.embed_query(query)
        words = None if mode == "vector" else query
        if words is not None and vector is None:
            # By words alone, also where the database has a model of its own.
            return _scored(self.collection.search(query={"keyword": words}, limit=k, **_asked(kwargs)))
        return _scored(self.collection.search(vector, text=words, limit=k, **_asked(kwargs)))

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, **kwargs: Any) -> list[Document]:
        """The `k` documents that are nearest to a vector."""
        return [document for document, _ in _scored(self.collection.search(embedding, limit=k, **_asked(kwargs)))]

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """The `k` documents among the `fetch_k` nearest that are near and differ: 1 is nearness, 0 difference."""
        vector = self._embedding.embed_query(query)
        return self.max_marginal_relevance_search_by_vector(vector, k, fetch_k, lambda_mult, **kwargs)

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, **kwargs: Any
    ) -> list[Document]:
        """As `max_marginal_relevance_search`, for a vector."""
        diverse = {"nearest": embedding, "mmr": {"diversity": 1.0 - lambda_mult, "candidates_limit": fetch_k}}
        return [document for document, _ in _scored(self.collection.search(query=diverse, limit=k, **_asked(kwargs)))]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        metric = str(self.collection.describe()["vectors"][""]["distance"]).lower()
        if metric == "cosine":
            return lambda score: (1.0 + score) / 2.0
        if metric == "dot":
            return self._max_inner_product_relevance_score_fn
        return lambda distance: 1.0 / (1.0 + distance)


class KithRetriever(BaseRetriever):
    """The best documents of a store for a question."""

    store: KithVectorStore
    #: How many.
    k: int = 4
    #: By its vector, by its words, or by both.
    mode: Mode = "hybrid"
    #: A filter: a text, an expression, or a dict.
    where: Any = None

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **kwargs: Any
    ) -> list[Document]:
        asked = {"k": self.k, "mode": self.mode, "where": self.where, **kwargs}
        return self.store.similarity_search(query, **asked)


def _asked(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a search, with a filter on metadata as a condition beside the one that there is."""
    given = arguments.pop("filter", None)
    if given is None:
        return arguments
    if not isinstance(given, Mapping) or {"must", "should", "must_not", "min_should"} & given.keys():
        parts = [condition(given)]
    else:
        fields = ((Field(f"{_METADATA}.{quoted(name)}"), value) for name, value in given.items())
        parts = [field.isin(value) if isinstance(value, list) else field == value for field, value in fields]
    where = arguments.get("where")
    parts += [] if where is None else [condition(where)]
    return {**arguments, "where": Condition({"must": [part.to_dict() for part in parts]}) if parts else None}


def _point_id(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        return id_of(given)


def _payload(document: Document, given: str) -> dict[str, Any]:
    kept = {} if _point_id(given) == given else {_ID: given}
    return {_TEXT: document.page_content, _METADATA: document.metadata, **kept}


def _document(point: Point) -> Document:
    payload = point.payload
    return Document(
        page_content=payload.get(_TEXT, ""), metadata=payload.get(_METADATA) or {}, id=payload.get(_ID, str(point.id))
    )


def _scored(hits: Hits) -> list[tuple[Document, float]]:
    return [(_document(hit), hit.score) for hit in hits]
