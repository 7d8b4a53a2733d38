"""Out of Chroma: its persist directory, or a client that is open."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kithdb.errors import InvalidArgument, missing
from kithdb.importers.batches import Batch, Source, identified, plain, rows_of
from kithdb.importers.moving import move
from kithdb.importers.naming import wanted
from kithdb.importers.report import Report
from kithdb.rows import Progress

if TYPE_CHECKING:
    from kithdb.database import Database

#: What Chroma calls the measures of nearness.
_METRICS = {"cosine": "Cosine", "l2": "Euclid", "ip": "Dot"}


def from_chroma(
    source: Any,
    db: Database,
    *,
    collections: Sequence[str] | None = None,
    prefix: str = "",
    text_field: str = "text",
    metadata_field: str | None = None,
    id_field: str = "id",
    exist_ok: bool = False,
    progress: Progress = False,
) -> Report:
    """Moves the collections of Chroma, all of them or those of these names, to collections of the same names.

    `source` is the persist directory, or a client. A document comes under `text_field`, and is sought by words; its
    metadata become the payload, or a member of it with the name `metadata_field`. With `metadata_field="metadata"`
    a `kithdb.langchain.KithVectorStore` reads what the one of Chroma wrote. `prefix` stands before the names.

    Raises `InvalidArgument` for a directory that is none of Chroma or a collection that is not there, `AlreadyExists`
    unless `exist_ok`, `MissingPackage` without `chromadb`.
    """
    try:
        import chromadb
    except ImportError as error:
        raise missing("chromadb", "from_chroma()") from error
    is_path = isinstance(source, (str, os.PathLike))
    if is_path and not (Path(source) / "chroma.sqlite3").is_file():
        raise InvalidArgument(f"`{os.fspath(source)}` is no directory of Chroma: it has no chroma.sqlite3", "source")
    client = chromadb.PersistentClient(path=os.fspath(source)) if is_path else source
    place = f"Chroma {os.fspath(source)}" if is_path else "Chroma"
    try:
        there = {one.name: one for one in client.list_collections()}
        chosen = wanted(collections, sorted(there), "collections")
        sources = (_source(there[name], text_field, metadata_field, id_field) for name in chosen)
        return move(place, sources, db, name=lambda one: prefix + one, exist_ok=exist_ok, progress=progress)
    finally:
        if is_path and hasattr(client, "close"):
            client.close()


def _source(collection: Any, text_field: str, metadata_field: str | None, id_field: str) -> Source:
    name, count = str(collection.name), int(collection.count())
    if not count:
        return Source(name, 0, {}, iter(()), text=[text_field], notes=["it has no points, and so no vectors"])
    dim = len(collection.get(limit=1, include=["embeddings"])["embeddings"][0])
    settings = collection.configuration or {}
    kind = (settings.get("hnsw") or settings.get("spann") or {}).get("space") or "l2"
    spaces = {"": {"size": dim, "distance": _METRICS[kind]}}
    batches = _batches(collection, count, dim, text_field, metadata_field, id_field)
    return Source(name, count, spaces, batches, text=[text_field])


def _batches(
    collection: Any, count: int, dim: int, text_field: str, metadata_field: str | None, id_field: str
) -> Iterator[Batch]:
    import numpy as np

    wanted = ["embeddings", "documents", "metadatas", "uris"]
    step = rows_of(dim)
    for first in range(0, count, step):
        page = collection.get(limit=step, offset=first, include=wanted)
        if not page["ids"]:
            return
        payloads = [
            _payload(document, metadata, uri, text_field, metadata_field)
            for document, metadata, uri in zip(*_filled(page, ("documents", "metadatas", "uris")))
        ]
        ids, kept = identified(page["ids"], payloads, id_field)
        yield Batch(ids, {"": np.asarray(page["embeddings"], np.float32)}, kept)


def _filled(page: Any, names: Iterable[str]) -> list[Sequence[Any]]:
    return [page[name] if page.get(name) is not None else [None] * len(page["ids"]) for name in names]


def _payload(
    document: str | None, metadata: Any, uri: str | None, text_field: str, metadata_field: str | None
) -> dict[str, Any]:
    own: dict[str, Any] = plain(dict(metadata or {}))
    payload: dict[str, Any] = own if metadata_field is None else {metadata_field: own}
    for field, value in ((text_field, document), ("uri", uri)):
        if value is None:
            continue
        if field in payload:
            message = f"is `{field}`, which metadata have already; name another, or give `metadata_field`"
            raise InvalidArgument(message, "text_field")
        payload[field] = value
    return payload
