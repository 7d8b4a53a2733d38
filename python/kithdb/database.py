"""A database: its collections, and what concerns all of them."""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload
from urllib.parse import quote

from kithdb._json import dumps
from kithdb.answers import Answer, Answering
from kithdb.collection import Collection
from kithdb.doors import Door, EmbeddedDoor
from kithdb.errors import AlreadyExists, Busy, InvalidArgument, NotFound, Unsupported
from kithdb.rows import Progress, bar_of, columns_of, names_of, readable, record_batches, whole
from kithdb.snapshots import Snapshots
from kithdb.writing import Transaction

if TYPE_CHECKING:
    import ssl

    import numpy as np
    import numpy.typing as npt

    from kithdb._kithdb import Serving

#: Measures of nearness by their names here, and over HTTP.
_METRICS = {"cosine": "Cosine", "dot": "Dot", "euclid": "Euclid", "manhattan": "Manhattan"}


def open(
    path: str | os.PathLike[str],
    *,
    durability: str = "fsync",
    model: str | os.PathLike[str] | Mapping[str, Any] | None = "auto",
    engine: str | Mapping[str, Any] | None = None,
    rerank: str | Mapping[str, Any] | None = None,
    memory_limit: int | None = None,
    api_key: str | None = None,
    timeout_s: float = 60.0,
    retry_s: float = 30.0,
    tls: str | os.PathLike[str] | ssl.SSLContext | None = None,
) -> Database:
    """Opens a database: in a directory (`~` is one's own), which is made if need be; in memory (`":memory:"`), gone
    when it is closed; or on a server (`"http://127.0.0.1:6333"`).

    In this process: `durability` is what a finished write has survived, `"fsync"` the loss of power, `"wal"` a crash
    of the process, `"none"` nothing yet. `model` is the directory of a sentence-transformers model that embeds texts;
    with `"auto"` the one that `kithdb` finds, if a collection belongs to one; with `None` none; a dict of the `url`,
    `model`, `api_key` and so on of a server that embeds, the settings of `kithdb serve --help` without `embed`.
    `engine` is what writes the answers of `ask`, any server with OpenAI's API for chat (`"http://127.0.0.1:8080/v1"`),
    or a dict of its `url`, `model`, `key` and the other settings of `docs/answers.md`; `rerank` is, in the same form,
    what ranks passages for it. Nothing else is ever asked. `memory_limit` are bytes of memory for what is written and
    asked.

    On a server: `api_key` opens it. `timeout_s` are seconds without a word from it, then the call is `Unreachable`.
    `retry_s` are seconds that a call waits in all while the server says that it is busy and when to come back (429, 503
    with `Retry-After`), then it is `Busy`; 0 waits for nothing. `tls` is what is trusted of `https` addresses in place
    of what the system trusts: a file of certificates (PEM), or an `ssl.SSLContext`. Each thread has a connection, which
    is kept; no proxy is asked. A server is reached by the first call, not here. What writes is sent once: where the
    connection is lost before the answer, `Unreachable` says that it is not known whether it was done.

    Raises `Busy` when another process has the directory open, `UnsupportedFormat` when a newer version wrote it,
    `Corrupted` when storage itself is damaged, `InvalidArgument` for an address, a key or a model that is none.

    >>> import kithdb
    >>> with kithdb.open(":memory:") as db:
    ...     notes = db.create_collection("notes", dim=2, text=["text"])
    ...     _ = notes.upsert([{"id": 1, "vector": [1.0, 0.0], "text": "A crate for vectors"}])
    ...     notes.search([0.9, 0.1], text="crates").ids
    [1]
    """
    place = os.fspath(path)
    if place.startswith(("http://", "https://")):
        # HTTP takes a quarter of the time that the whole package takes to import.
        from kithdb.remote import RemoteDoor

        own = {"engine": engine, "rerank": rerank, "memory_limit": memory_limit}
        for name, value in {**own, "model": model if isinstance(model, Mapping) else None}.items():
            if value is not None:
                raise Unsupported(f"a server has `{name}` of its own, which its configuration says", name)
        return Database(RemoteDoor(place, api_key, timeout_s, retry_s, tls))
    if "://" in place:
        raise InvalidArgument(f"`{place}` is neither a directory nor an address that begins with http", "path")
    if re.fullmatch(r"[\w.-]+:\d+", place) and not Path(place).exists():
        raise InvalidArgument(f"`{place}` looks like an address, which begins with http: http://{place}", "path")
    directory = None if place == ":memory:" else Path(place).expanduser()
    if memory_limit is not None and memory_limit < 1:
        raise InvalidArgument(f"is {memory_limit}; give bytes, at least 1", "memory_limit")
    asked = {"embedding": model if isinstance(model, Mapping) else None, "engine": engine, "rerank": rerank}
    elsewhere = {name: {"url": one} if isinstance(one, str) else one for name, one in asked.items() if one is not None}
    named = None if model is None or isinstance(model, Mapping) else os.fspath(model)
    try:
        return Database(EmbeddedDoor(directory, durability, named, elsewhere, memory_limit))
    except Busy as error:
        error.hint = "One process opens a directory at a time; others can ask it over HTTP, which db.serve() offers."
        raise


class Database:
    """An open database. A context manager, which closes it at the end.

    Calls may come from several threads. `db["notes"]` is `db.collection("notes")`; iteration gives names.
    """

    def __init__(self, door: Door) -> None:
        self._door = door

    def __enter__(self) -> Database:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<database in {self._door.place}>"

    def close(self) -> None:
        """Waits for calls that run, makes every write durable, closes the directory; again, it does nothing."""
        self._door.close()

    # Collections.

    def create_collection(
        self,
        name: str,
        data: Any = None,
        *,
        dim: int | None = None,
        metric: str = "cosine",
        vectors: Mapping[str, Any] | None = None,
        sparse: Iterable[str] | Mapping[str, Any] | None = None,
        text: Sequence[str] | None = None,
        language: str | None = None,
        fields: Mapping[str, str] | None = None,
        recall: float | None = None,
        history_s: int | None = None,
        model: bool | Mapping[str, Any] = False,
        exist_ok: bool = False,
        progress: Progress = False,
        **settings: Any,
    ) -> Collection:
        """Makes a collection.

        `dim` and `metric` (`cosine`, `dot`, `euclid`, `manhattan`) are of its unnamed vectors, `vectors` of named
        ones: `{"image": 512}`, or what HTTP takes for each (`{"image": {"size": 512, "distance": "Dot", "datatype":
        "float16"}}`). `sparse` names spaces of sparse vectors. `text` are the paths of texts that are sought by
        words, in a `language`. `fields` are indexes of the payload: `{"year": "integer"}`. `recall` is what searches
        find that ask for none. `history_s` are seconds for which past states can be read. `settings` are members of
        the body of HTTP.

        With `model`, the unnamed vectors belong to the model that the database was opened with (or to the one that
        `db.model` gave elsewhere): searches by `text` go by meaning, and `upsert(..., embed="title")` makes the
        vectors.

        With `data`, whatever `Collection.upsert` takes, points are written at once, and dimensions follow from them.

        Raises `AlreadyExists`, unless `exist_ok`; then the collection is as it is. Points that are refused leave no
        collection behind, if none of them was written.
        """
        points, first = _peeked(data, is_enough=dim is not None or bool(vectors) or bool(sparse) or bool(model))
        if model:
            bound = self._bound() if model is True else dict(model)
            space = {"size": bound["dim"], "distance": "Cosine", "model": bound}
            vectors = {"": space, **(vectors or {})}
        spaces = _spaces(dim, metric, vectors, first)
        keyword = None if text is None else {"paths": names_of(text), **({"language": language} if language else {})}
        members = {"keyword": keyword, "fields": fields, "recall": recall, "history_s": history_s}
        body: dict[str, Any] = {name: value for name, value in members.items() if value is not None}
        if sparse is not None:
            described = sparse if isinstance(sparse, Mapping) else {name: {} for name in names_of(sparse)}
            body["sparse_vectors"] = dict(described)
        is_new = True
        try:
            self._door.call("PUT", _path(name), {"vectors": spaces, **body, **settings})
        except AlreadyExists:
            if not exist_ok:
                raise
            is_new = False
        collection = Collection(self._door, name)
        if points is not None:
            try:
                collection.upsert(points, progress=progress)
            except Exception:
                # Whoever mends the points makes it again, under the same name.
                if is_new and not collection.count():
                    self.drop_collection(name)
                raise
        return collection

    def collection(self, name: str) -> Collection:
        """The collection of a name, or of an alias. Raises `NotFound`."""
        if not self._door.call("GET", f"{_path(name)}/exists")["exists"]:
            known = self.collections()
            near = difflib.get_close_matches(name, known, 1)
            hint = f"Did you mean `{near[0]}`?" if near else f"There are: {', '.join(known) or 'none yet'}."
            raise NotFound(f"there is no collection `{name}`", "collection_name", hint)
        return Collection(self._door, name)

    def collections(self) -> list[str]:
        """The names of all collections, in order."""
        return sorted(found["name"] for found in self._door.call("GET", "/collections")["collections"])

    def drop_collection(self, name: str) -> bool:
        """Drops a collection with everything in it; false if there is none of that name. An alias is no name here."""
        return bool(self._door.call("DELETE", _path(name)))

    def __getitem__(self, name: str) -> Collection:
        return self.collection(name)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self._door.call("GET", f"{_path(name)}/exists")["exists"])

    def __iter__(self) -> Iterator[str]:
        return iter(self.collections())

    def __len__(self) -> int:
        return len(self.collections())

    # Aliases.

    def aliases(self) -> dict[str, str]:
        """Further names of collections: the collection of each."""
        told = self._door.call("GET", "/aliases")["aliases"]
        return {alias["alias_name"]: alias["collection_name"] for alias in told}

    def change_aliases(self, set: Mapping[str, str] | None = None, drop: Iterable[str] = ()) -> None:
        """Lets aliases stand for collections, whatever they stood for, and drops others, all in one commit."""
        known = self.aliases()
        drop = names_of(drop)
        dropped = [name for name in (*drop, *(set or {})) if name in known or name in drop]
        actions: list[dict[str, Any]] = [{"delete_alias": {"alias_name": name}} for name in dropped]
        for name, collection in (set or {}).items():
            actions.append({"create_alias": {"alias_name": name, "collection_name": collection}})
        self._door.call("POST", "/collections/aliases", {"actions": actions})

    # All of it.

    def transaction(self) -> Transaction:
        """Changes of several collections in one commit: `with db.transaction() as tx: tx.on("notes").delete([1])`."""
        return Transaction(self._door)

    @property
    def snapshots(self) -> Snapshots:
        """Snapshots of everything."""
        return Snapshots(self._door, None)

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Sends a request to a route of the HTTP API, in this process or to the server. What comes back is its
        `result`; all of the answer where there is none, as in the dialect of OpenAI; text where it is no JSON."""
        return self._door.call(method, path, body)

    @overload
    def ask(
        self, question: str, collection: str = "documents", *, stream: Literal[False] = False, **asked: Any
    ) -> Answer: ...
    @overload
    def ask(
        self, question: str, collection: str = "documents", *, stream: Literal[True], **asked: Any
    ) -> Answering: ...
    def ask(
        self, question: str, collection: str = "documents", *, stream: bool = False, **asked: Any
    ) -> Answer | Answering:
        """Answers a question from the documents of a collection: `Collection.ask`, whose arguments it takes."""
        answering = Collection(self._door, collection)._answering(question, **asked)
        return answering if stream else answering._whole()

    # Texts and documents.

    @property
    def model(self) -> dict[str, Any] | None:
        """The model that makes vectors of texts: `name`, `revision`, `dim` and what else there is to it. It is the one
        that the database, or the server, was opened with; a server is asked once for it."""
        return self._door.model()

    def _bound(self) -> dict[str, Any]:
        found = self.model
        if found is None:
            message = "is not open; name its directory, kithdb.open(path, model=...), or kithdb serve --model"
            raise InvalidArgument(message, "model")
        return found

    def ingest(
        self,
        path: str | os.PathLike[str],
        collection: str = "documents",
        *,
        folder_field: str = "folder",
        chunk_size: int | None = None,
        chunk_overlap: int = 0,
        metadata: Mapping[str, Any] | None = None,
        time_max_s: float | None = None,
        progress: bool | Callable[[int, int, int], object] = False,
    ) -> dict[str, Any]:
        """Brings a collection in step with a folder of documents, or with one of them: only what changed is done.

        Read are Markdown, HTML, PDF, source code, tables, lines of JSON and text. Documents are cut into chunks,
        which have keywords, and vectors if the database was opened with a model. The payload field `folder_field`
        holds the first folder of a document's path. A chunk has `chunk_size` tokens at most (characters without a
        model), and repeats `chunk_overlap` of the one before. `metadata` is what is said of every document: `title`,
        `author`, `time`, `labels` (who may read it, for filters) and `attributes`, a dict. No document is begun after
        `time_max_s` seconds: the rest is for the next call. `progress` is true for a bar, or is called with documents
        done, documents there are, and chunks written. Ctrl-C ends it between documents.

        On a server the folder is one of this machine: its files are sent, all of them each time, some MiB at once, and
        the server makes a job of each lot, does what changed, and goes on with what it was sent even if this process
        ends. It knows the folder by its path.

        What is returned counts documents (`added`, `changed`, `unchanged`, `removed`, `left` for the next call),
        `chunks` written, chunks `embedded` anew and `bytes` (of their text, or of the files that were sent), and has
        `skipped` (path and reason), `has_vectors` and `elapsed_ms`.

        Raises `InvalidArgument` on `path`, `chunk_size`, `metadata`, `time_max_s` or `model`. Of a server, `Busy`
        when it cannot go on with a job for now, which it keeps, and `Error` when a job failed for good.
        """
        for name, count, least in (("chunk_size", chunk_size, 1), ("chunk_overlap", chunk_overlap, 0)):
            if count is not None and count < least:
                raise InvalidArgument(f"is {count}; give at least {least}", name)
        said: dict[str, Any] = {"folder_field": folder_field, "chunk_overlap": chunk_overlap}
        if chunk_size is not None:
            said["chunk_size"] = chunk_size
        if metadata is not None:
            said["metadata"] = dict(metadata)
        if callable(progress):
            return self._door.ingest(Path(path), collection, said, time_max_s, progress)
        with bar_of(" documents", None, is_shown=progress) as tell:
            return self._door.ingest(Path(path), collection, said, time_max_s, lambda done, total, _: tell(done, total))

    def embed(self, texts: str | Sequence[str], *, is_question: bool = False) -> npt.NDArray[np.float32]:
        """The vectors of texts, (n, dim), by the model that the database or the server was opened with; (dim,) of a
        single text. `float32`.

        Some models embed questions otherwise than what is to be found: say which it is.

        Raises `InvalidArgument` on `model` when there is none, and on `texts[3]` when a server cannot embed that one.
        """
        if isinstance(texts, str):
            vector: npt.NDArray[np.float32] = self._door.embed([texts], is_question=is_question)[0]
            return vector
        return self._door.embed(list(texts), is_question=is_question)

    # In this process alone.

    def _embedded(self, what: str) -> EmbeddedDoor:
        if isinstance(self._door, EmbeddedDoor):
            return self._door
        raise Unsupported(f"{what} is for the process that has the database open, and this one is on a server")

    def flush(self) -> None:
        """Makes every finished write durable, whatever durability the database was opened with."""
        self._embedded("flush").engine.flush()

    def start(self) -> dict[str, Any]:
        """What opening it read, how long it took, and which indexes had to be rebuilt."""
        return self._embedded("start").engine.start()

    def verify(self, *, rebuild: bool = False) -> dict[str, Any]:
        """Holds everything that is stored against its checksums, and every index against what is stored, as `kithdb
        doctor` does; with `rebuild`, after all indexes were made anew. It reads everything, so it takes minutes for a
        large database, and it is exact while nobody writes. Ctrl-C stops waiting for it.

        What is returned counts `collections`, `points`, `vectors`, `segments` and `keyword_documents`, and has
        `faults`, a dict for each: `collection`, `part`, `message`, and `is_mendable`, whether `rebuild` mends it.
        """
        return self._embedded("verify").engine.verify(rebuild)

    def reembed(
        self,
        source: str,
        target: str,
        *,
        model: str | os.PathLike[str] | Mapping[str, Any],
        alias: str | None = None,
        gate: float | None = None,
        progress: bool | Callable[[int, int, int], object] = False,
    ) -> dict[str, Any]:
        """Moves a collection of documents to another model: a second one is made beside it, while the first is read and
        written. Broken off, or later, the same call goes on.

        `model` is the new one, as `kithdb.open` takes it. In the end `alias` points to the new collection; with `gate`,
        only if nDCG on the questions kept with the first one falls by no more than that. These are asked by the model
        that the database was opened with. `progress` is as for `ingest`.

        What is returned counts `documents` copied, `unchanged`, `removed`, `own` (written into the new collection
        itself), `retouched`, `chunks` embedded and `cut` (longer than the model sees), and has `ndcg` before and after,
        if there was a gate, and `is_switched`.
        """
        engine = self._embedded("reembed").engine
        # As JSON it would be none, and the alias would move whatever is found.
        if gate is not None and not math.isfinite(gate):
            raise InvalidArgument(f"is {gate}; give a finite number", "gate")
        named = dict(model) if isinstance(model, Mapping) else os.fspath(model)
        order = dumps({"from": source, "to": target, "model": named, "alias": alias, "gate": gate})
        if callable(progress):
            return engine.reembed(order, progress)
        with bar_of(" documents", None, is_shown=progress) as tell:
            return engine.reembed(order, lambda done, total, _: tell(done, total))

    def serve(
        self, listen: str = "127.0.0.1:6333", *, api_key: str | None = None, allow_remote: bool = False
    ) -> Serving:
        """Serves the database over HTTP while this process goes on to use it; port 0 takes a free one.

        What is returned has a `url`, and ends by `stop()`. With `api_key`, as it is or by its hash (`sha256:` and 64
        hexadecimal digits), only who shows it is answered. Addresses that other machines reach need one, or
        `allow_remote` where something else guards them.
        """
        return self._embedded("serve").engine.serve(listen, allow_remote, api_key)


def _path(name: str) -> str:
    if not name:
        raise InvalidArgument("is empty; give the collection a name", "collection_name")
    return f"/collections/{quote(name, safe='')}"


def _spaces(
    dim: int | None, metric: str, vectors: Mapping[str, Any] | None, first: Mapping[str, int]
) -> dict[str, Any]:
    """The vectors of a new collection: those that were named, and those that were found among its points."""
    distance = _METRICS.get(metric.lower()) if isinstance(metric, str) else None
    if distance is None:
        known = ", ".join(_METRICS)
        raise InvalidArgument(f"{metric!r} is no measure; there are {known}", "metric", _meant(metric))
    if vectors is not None and not isinstance(vectors, Mapping):
        message = 'must be a dict of names and dimensions, such as {"image": 512}'
        raise InvalidArgument(message, "vectors", "Points are given as data: create_collection(name, points).")
    named: dict[str, Any] = {**first, **({"": dim} if dim is not None else {}), **(vectors or {})}
    sized: dict[str, Any] = {
        name: space
        if isinstance(space, Mapping)
        else {"size": whole(space, f"vectors.{name}" if name else "dim"), "distance": distance}
        for name, space in named.items()
    }
    only: dict[str, Any] = sized[""] if list(sized) == [""] else sized
    return only


#: What other databases call measures.
_ALSO = {"l2": "euclid", "euclidean": "euclid", "ip": "dot", "inner_product": "dot", "l1": "manhattan"}


def _meant(metric: object) -> str | None:
    meant = _ALSO.get(str(metric).lower())
    return f"Here it is `{meant}`." if meant else None


def _peeked(data: Any, *, is_enough: bool) -> tuple[Any, dict[str, int]]:
    """Points, still whole, and the dimensions of the vectors of the first of them. There must be one, unless enough is
    known without."""
    if data is None:
        return None, {}
    data = readable(data)
    if hasattr(data, "__arrow_c_stream__") and not hasattr(data, "__len__"):
        # It can be read once: what was taken from it is put before the rest.
        reader = record_batches(data)
        head = next((batch for batch in reader if batch.num_rows), None)
        kept = reader if head is None else type(reader).from_batches(reader.schema, chain([head], reader))
        found = {} if head is None else _dimensions(head)
    elif isinstance(data, Iterable) and not hasattr(data, "__arrow_c_stream__") and not hasattr(data, "ndim"):
        rows = iter(data)
        head = next(rows, None)
        kept = rows if head is None else chain([head], rows)
        found = {} if head is None else _dimensions([head])
    else:
        kept, found = data, _dimensions(data)
        head = data if len(data) else None
    if head is None and not is_enough:
        raise InvalidArgument("is empty, so nothing follows from it; give `dim`", "data")
    return kept, found


def _dimensions(data: Any) -> dict[str, int]:
    first = next(columns_of(data, None, None, None, (), 1), None)
    return {} if first is None else {name: rows.shape[1] for name, rows in first.vectors.items()}
