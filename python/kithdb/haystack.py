"""Haystack: a document store and a retriever over a collection. Needs `haystack-ai`.

```python
store = KithDocumentStore("./data", dim=384)
store.write_documents([Document(content="A crate for vectors", embedding=[...])])
KithRetriever(store, top_k=5).run(query="crates", query_embedding=[...])      # by words, by meaning, or by both
```

A document is a point: its id is the UUID that stands for the document's (`kithdb.id_of`); its payload has `id`,
`content`, which is sought by words, `meta`, and `blob`; its embeddings are the unnamed vector and the sparse vector
`sparse`. Under `cosine` embeddings come back with length 1.

Each method has an asynchronous one of the same name and `_async`, which runs it on a thread of its own; the engine
holds no lock of the interpreter there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

try:
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.document_stores.errors import DuplicateDocumentError
    from haystack.document_stores.types import DuplicatePolicy
    from haystack.errors import FilterError
    from haystack.utils import Secret, deserialize_secrets_inplace
except ImportError as error:
    from kithdb.errors import missing

    raise missing("haystack-ai", "kithdb.haystack") from error

from kithdb.collection import Collection
from kithdb.database import Database, open
from kithdb.errors import Conflict, InvalidArgument
from kithdb.filters import Condition, Field, condition, quoted
from kithdb.hits import Hit, Point
from kithdb.rows import id_of

_SPARSE = "sparse"
#: Bytes of documents that are written in one commit, which a request has room for; ids that are looked at in one.
_COMMIT_BYTES, _LOOKED_AT = 16 << 20, 10_000
#: What of a document lies elsewhere than in the payload.
_ELSEWHERE = ("embedding", "sparse_embedding", "score")

Filters = Mapping[str, Any]


class KithDocumentStore:
    """Documents in a collection, which is made if it is not there.

    `path` is a directory, `:memory:`, or the address of a server, which may want `api_key`; `dim` the dimension of
    embeddings. The database is opened when the store is first used, and closed by `close`.
    """

    def __init__(
        self,
        path: str = ":memory:",
        *,
        collection: str = "haystack",
        dim: int = 768,
        metric: str = "cosine",
        language: str | None = None,
        api_key: Secret | None = None,
    ) -> None:
        self._path, self._name, self._api_key = path, collection, api_key
        self._made: dict[str, Any] = {"dim": dim, "metric": metric, "language": language}
        self._db: Database | None = None
        self._opened: Collection | None = None

    @property
    def collection(self) -> Collection:
        """The collection."""
        if self._db is None:
            self._db = open(self._path, api_key=None if self._api_key is None else self._api_key.resolve_value())
        if self._opened is None:
            self._opened = self._db.create_collection(
                self._name, text=["content"], sparse=[_SPARSE], exist_ok=True, **self._made
            )
        return self._opened

    def to_dict(self) -> dict[str, Any]:
        """How the store was made, for pipelines that are written down."""
        key = None if self._api_key is None else self._api_key.to_dict()
        told: dict[str, Any] = default_to_dict(self, path=self._path, collection=self._name, api_key=key, **self._made)
        return told

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> KithDocumentStore:
        """A store that is made so."""
        deserialize_secrets_inplace(data["init_parameters"], ["api_key"])
        made: KithDocumentStore = default_from_dict(cls, data)
        return made

    def close(self) -> None:
        """Closes the database; a later call opens it again."""
        if self._db is not None:
            self._db.close()
        self._db = self._opened = None

    # Documents.

    def count_documents(self) -> int:
        """How many documents there are."""
        return self.collection.count()

    def filter_documents(self, filters: Filters | None = None) -> list[Document]:
        """The documents that filters match, all of them without. Raises `FilterError` for filters that are none."""
        return [_document(point) for point in self.collection.scroll(_where(filters), with_vector=True)]

    def write_documents(self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE) -> int:
        """Writes documents; how many were written. `FAIL` (and `NONE`) writes nothing if a document is there already:
        in one commit, or, of more than fit into one, by looking first.

        Raises `ValueError` for what is no list of documents, `DuplicateDocumentError`.
        """
        if not isinstance(documents, list) or not all(isinstance(one, Document) for one in documents):
            raise ValueError("documents must be a list of Document")
        points = [_point(document) for document in documents]
        if not points:
            return 0
        if policy == DuplicatePolicy.OVERWRITE:
            return self.collection.upsert(points).count
        if policy == DuplicatePolicy.SKIP:
            ids = {point["id"] for point in points}
            known = len(self.collection.get(ids, with_payload=False))
            self.collection.upsert(points, mode="insert_only")
            return len(ids) - known
        if sum(map(_bytes, documents)) > _COMMIT_BYTES:
            self._refuse_known([point["id"] for point in points])
            return self.collection.upsert(points, mode="insert_only").count
        try:
            # All in one commit, so that nothing is written if one of them is there.
            self.collection.upsert([{**point, "if_version": 0} for point in points], commit_points=len(points))
        except Conflict as error:
            raise DuplicateDocumentError(f"a document is there already: {error.field}") from error
        return len(points)

    def _refuse_known(self, ids: list[str]) -> None:
        known = len(set(ids)) < len(ids)
        for first in range(0, len(ids), _LOOKED_AT):
            known = known or bool(self.collection.get(ids[first : first + _LOOKED_AT], with_payload=False))
        if known:
            raise DuplicateDocumentError("a document is there already, or among these twice")

    def delete_documents(self, document_ids: list[str]) -> None:
        """Deletes documents; ids that do not exist are passed over."""
        self.collection.delete([id_of(one) for one in document_ids])

    def delete_all_documents(self, recreate_collection: bool = False) -> None:
        """Deletes every document; or, with `recreate_collection`, drops the collection and makes it anew."""
        collection = self.collection
        if recreate_collection and self._db is not None:
            self._db.drop_collection(collection.name)
            self._opened = None
        else:
            collection.delete(where={})

    def delete_by_filter(self, filters: Filters) -> int:
        """Deletes the documents that filters match; how many there were."""
        where = _where(filters)
        count = self.collection.count(where)
        self.collection.delete(where=where)
        return count

    def update_by_filter(self, filters: Filters, meta: dict[str, Any]) -> int:
        """Merges into the `meta` of the documents that filters match; how many there were."""
        where = _where(filters)
        count = self.collection.count(where)
        self.collection.set_payload(meta, where=where, key="meta")
        return count

    # What `meta` holds.

    def count_documents_by_filter(self, filters: Filters) -> int:
        """How many documents filters match."""
        return self.collection.count(_where(filters))

    def count_unique_metadata_by_filter(self, filters: Filters, metadata_fields: list[str]) -> dict[str, int]:
        """How many values each field of `meta` has among the documents that filters match."""
        return {field: len(self._values(field, filters)) for field in metadata_fields}

    def get_metadata_fields_info(self) -> dict[str, dict[str, str]]:
        """The fields of `meta`, and of what type the first value of each is."""
        types = {bool: "boolean", int: "long", float: "float", str: "keyword"}
        found: dict[str, dict[str, str]] = {}
        for point in self.collection.scroll(with_payload=["meta"]):
            for name, value in (point.get("meta") or {}).items():
                found.setdefault(name, {"type": types.get(type(value), "object")})
        return found

    def get_metadata_field_min_max(self, metadata_field: str) -> dict[str, Any]:
        """The least and the greatest number in a field of `meta`; `None` where there are none."""
        values = [one for one in self._values(metadata_field, None) if isinstance(one, (int, float))]
        return {"min": min(values, default=None), "max": max(values, default=None)}

    def get_metadata_field_unique_values(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:
        """A page of the values of a field of `meta`, and how many there are: of documents that filters match, and
        those whose text has the search term, in whatever case.
        """
        values = self._values(metadata_field, filters)
        if search_term is not None:
            values = [value for value in values if search_term.lower() in str(value).lower()]
        return values[from_ : from_ + size], len(values)

    def _values(self, field: str, filters: Filters | None) -> list[Any]:
        """Values of a field, each once; 1, 1.0, true and "1" are four."""
        whole = field if field.startswith("meta.") else f"meta.{field}"
        found: dict[tuple[type, Any], Any] = {}
        for point in self.collection.scroll(_where(filters), with_payload=[_path(whole)]):
            for value in _reached(point.payload, whole.split(".")):
                found.setdefault((type(value), value), value)
        return sorted(found.values(), key=lambda value: (type(value).__name__, value))

    # The same, for pipelines that wait for it.

    async def count_documents_async(self) -> int:
        """As `count_documents`."""
        return await asyncio.to_thread(self.count_documents)

    async def filter_documents_async(self, filters: Filters | None = None) -> list[Document]:
        """As `filter_documents`."""
        return await asyncio.to_thread(self.filter_documents, filters)

    async def write_documents_async(
        self, documents: list[Document], policy: DuplicatePolicy = DuplicatePolicy.NONE
    ) -> int:
        """As `write_documents`."""
        return await asyncio.to_thread(self.write_documents, documents, policy)

    async def delete_documents_async(self, document_ids: list[str]) -> None:
        """As `delete_documents`."""
        await asyncio.to_thread(self.delete_documents, document_ids)

    async def delete_all_documents_async(self, recreate_collection: bool = False) -> None:
        """As `delete_all_documents`."""
        await asyncio.to_thread(self.delete_all_documents, recreate_collection)

    async def delete_by_filter_async(self, filters: Filters) -> int:
        """As `delete_by_filter`."""
        return await asyncio.to_thread(self.delete_by_filter, filters)

    async def update_by_filter_async(self, filters: Filters, meta: dict[str, Any]) -> int:
        """As `update_by_filter`."""
        return await asyncio.to_thread(self.update_by_filter, filters, meta)

    async def count_documents_by_filter_async(self, filters: Filters) -> int:
        """As `count_documents_by_filter`."""
        return await asyncio.to_thread(self.count_documents_by_filter, filters)

    async def count_unique_metadata_by_filter_async(
        self, filters: Filters, metadata_fields: list[str]
    ) -> dict[str, int]:
        """As `count_unique_metadata_by_filter`."""
        return await asyncio.to_thread(self.count_unique_metadata_by_filter, filters, metadata_fields)

    async def get_metadata_fields_info_async(self) -> dict[str, dict[str, str]]:
        """As `get_metadata_fields_info`."""
        return await asyncio.to_thread(self.get_metadata_fields_info)

    async def get_metadata_field_min_max_async(self, metadata_field: str) -> dict[str, Any]:
        """As `get_metadata_field_min_max`."""
        return await asyncio.to_thread(self.get_metadata_field_min_max, metadata_field)

    async def get_metadata_field_unique_values_async(
        self,
        metadata_field: str,
        search_term: str | None = None,
        from_: int = 0,
        size: int = 10,
        filters: Filters | None = None,
    ) -> tuple[list[Any], int]:
        """As `get_metadata_field_unique_values`."""
        return await asyncio.to_thread(
            self.get_metadata_field_unique_values, metadata_field, search_term, from_, size, filters
        )


@component
class KithRetriever:
    """The best documents for a question: by its words (`query`), its embedding, or by both, fused."""

    def __init__(
        self, document_store: KithDocumentStore, *, top_k: int = 10, filters: dict[str, Any] | None = None
    ) -> None:
        self.document_store, self.top_k, self.filters = document_store, top_k, filters

    def to_dict(self) -> dict[str, Any]:
        """How the retriever was made."""
        told: dict[str, Any] = default_to_dict(
            self, document_store=self.document_store.to_dict(), top_k=self.top_k, filters=self.filters
        )
        return told

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> KithRetriever:
        """A retriever that is made so."""
        parameters = data["init_parameters"]
        parameters["document_store"] = KithDocumentStore.from_dict(parameters["document_store"])
        made: KithRetriever = default_from_dict(cls, data)
        return made

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str | None = None,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """The documents, best first, with their scores. `filters` come in the place of those of the retriever.

        Raises `InvalidArgument`, a `ValueError`, when there is neither a query nor an embedding.
        """
        if query is None and query_embedding is None:
            raise InvalidArgument("is missing, and so is `query_embedding`; give one of them, or both", "query")
        where = _where(self.filters if filters is None else filters)
        limit = self.top_k if top_k is None else top_k
        hits = self.document_store.collection.search(
            query_embedding, text=query, where=where, limit=limit, with_vector=True
        )
        return {"documents": [_document(hit) for hit in hits]}

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query: str | None = None,
        query_embedding: list[float] | None = None,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
    ) -> dict[str, list[Document]]:
        """As `run`, on a thread of its own."""
        return await asyncio.to_thread(self.run, query, query_embedding, filters, top_k)


def _bytes(document: Document) -> int:
    """What a document takes as JSON, about."""
    return 20 * len(document.embedding or ()) + 2 * len(document.content or "") + 500


def _point(document: Document) -> dict[str, Any]:
    payload = {name: value for name, value in document.to_dict(flatten=False).items() if name not in _ELSEWHERE}
    vectors: dict[str, Any] = {} if document.embedding is None else {"": list(document.embedding)}
    if document.sparse_embedding is not None:
        vectors[_SPARSE] = document.sparse_embedding.to_dict()
    return {"id": id_of(document.id), "payload": payload, **({"vector": vectors} if vectors else {})}


def _document(point: Point) -> Document:
    vector = point.vector
    named = vector if isinstance(vector, dict) else {"": vector}
    rest = {"embedding": named.get(""), "sparse_embedding": named.get(_SPARSE)}
    score = {"score": point.score} if isinstance(point, Hit) else {}
    return Document.from_dict({**point.payload, **rest, **score})


def _path(field: str) -> str:
    """A field of Haystack as a path."""
    return ".".join(map(quoted, field.split(".")))


def _reached(payload: Any, keys: Sequence[str]) -> Iterable[Any]:
    if isinstance(payload, list):
        return [value for one in payload for value in _reached(one, keys)]
    if not keys:
        return [] if payload is None or isinstance(payload, dict) else [payload]
    return _reached(payload.get(keys[0]), keys[1:]) if isinstance(payload, dict) else []


def _where(filters: Filters | None) -> Condition | None:
    """The filters of Haystack as a condition."""
    return _condition(filters) if filters else None


def _condition(filters: Filters) -> Condition:
    if not isinstance(filters, Mapping):
        raise FilterError(f"filters are dicts, and this is none: {filters!r}")
    if "operator" not in filters:
        raise FilterError(f"`operator` is missing in {filters!r}")
    if "field" in filters:
        return _comparison(filters)
    if "conditions" not in filters:
        raise FilterError(f"`conditions` is missing in {filters!r}")
    parts = [_condition(part).to_dict() for part in filters["conditions"]]
    operator = str(filters["operator"]).upper()
    if operator == "NOT":
        return Condition({"must_not": [{"must": parts}]})
    clause = {"AND": "must", "OR": "should"}.get(operator)
    if clause is None:
        raise FilterError(f"`{operator}` joins no conditions; AND, OR and NOT do")
    return Condition({clause: parts})


def _comparison(filters: Filters) -> Condition:
    if "value" not in filters:
        raise FilterError(f"`value` is missing in {filters!r}")
    compare = _OPERATORS.get(filters["operator"])
    if compare is None:
        raise FilterError(f"`{filters['operator']}` is no operator; there are {', '.join(_OPERATORS)}")
    return compare(Field(_path(filters["field"])), filters["value"])


def _equal(field: Field, value: Any) -> Condition:
    if value is None:
        return field.is_empty()
    if not isinstance(value, (str, int, float)):
        raise FilterError(f"{value!r} cannot be compared; give a text, a number or a truth value")
    return field == value


def _among(field: Field, values: Any) -> Condition:
    if not isinstance(values, list):
        raise FilterError(f"`in` and `not in` take a list, and {values!r} is none")
    return Condition({"should": [_equal(field, value).to_dict() for value in values]}) if values else condition("FALSE")


def _bound(value: Any) -> Any:
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError as error:
            raise FilterError(f"`{value}` is no date; texts have no order") from error
    elif isinstance(value, bool) or not isinstance(value, (int, float, datetime)):
        raise FilterError(f"{value!r} has no order; give a number or a date")
    return value


def _ordered(compare: Callable[[Field, Any], Condition]) -> Callable[[Field, Any], Condition]:
    return lambda field, value: condition("FALSE") if value is None else compare(field, _bound(value))


_OPERATORS: dict[str, Callable[[Field, Any], Condition]] = {
    "==": _equal,
    "!=": lambda field, value: ~_equal(field, value),
    ">": _ordered(lambda field, value: field > value),
    ">=": _ordered(lambda field, value: field >= value),
    "<": _ordered(lambda field, value: field < value),
    "<=": _ordered(lambda field, value: field <= value),
    "in": _among,
    "not in": lambda field, values: ~_among(field, values),
}
