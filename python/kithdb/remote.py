"""A database on a server, over HTTP, with nothing but the standard library.

Connections are kept, one a thread. One that the server has closed since is not used again; what is lost in between is
sent again where that changes nothing: requests that only read, and upserts, which write the same points a second time.
"""

from __future__ import annotations

import json
import os
import select
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias
from urllib.parse import quote, urlsplit

from kithdb._json import dumps
from kithdb.doors import Body, answered, go_on, result
from kithdb.errors import Closed, Error, InvalidArgument, Unreachable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from kithdb.rows import Columns

#: A body, or a file that is one.
Sent: TypeAlias = bytes | BinaryIO

#: Bytes of vectors in one commit, about: as JSON they take five times as much, and a body has 32 MiB.
_COMMIT_BYTES = 3 << 20

#: Questions in one request.
_QUESTIONS = 64

#: How the paths of requests end that only read.
_READS = (
    *("/points", "/query", "/query/batch", "/query/groups", "/scroll", "/count", "/facet", "/matrix/offsets"),
    "/why-not",
)

#: Bytes of a body, of which a server takes 32 MiB unless it is set otherwise.
_BODY_BYTES = 30 << 20

#: Bytes of a file that are taken at once.
_BLOCK_BYTES = 1 << 20


class RemoteDoor:
    """To a database on a server."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidArgument(f"`{url}` is no address such as http://127.0.0.1:6333", "path")
        self.place = url.rstrip("/")
        self.commit_bytes = _COMMIT_BYTES
        self._is_safe, self._host, self._base = parts.scheme == "https", parts.netloc, parts.path.rstrip("/")
        self._headers = {"content-type": "application/json"} | ({"api-key": api_key} if api_key else {})
        self._timeout_s = timeout_s
        self._is_closed = False
        self._begin()

    def _begin(self) -> None:
        """Without connections, in this process."""
        self._pid = os.getpid()
        self._threads = threading.local()
        self._connections: list[HTTPConnection] = []
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        own = ("_pid", "_threads", "_connections", "_lock")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        sent = b"" if body is None else dumps(body)
        is_harmless = method == "GET" or (method == "POST" and path.endswith(_READS))
        return result(self._answer(method, path, sent, is_harmless))

    def stream(self, path: str, body: Any) -> Iterator[bytes]:
        go_on()
        if self._is_closed:
            raise Closed("the database is closed; open it again")
        # One of its own: who takes an answer in pieces may ask for something else meanwhile.
        connection = self._made()
        try:
            with self._reached():
                connection.request("POST", self._base + path, dumps(body), self._headers)
                response = connection.getresponse()
                if response.status >= 400:
                    raise _refused(response)
            while piece := self._piece(response):
                go_on()
                yield piece
        finally:
            self._give_back(connection)

    def upsert(self, collection: str, columns: Columns, conditions: dict[str, Any]) -> int:
        batch: dict[str, Any] = {"ids": _listed(columns.ids)}
        vectors = {name: rows.tolist() for name, rows in columns.vectors.items()}
        batch["vectors"] = vectors[""] if list(vectors) == [""] else vectors
        if columns.payloads is not None:
            batch["payloads"] = list(columns.payloads)
        path = f"/collections/{quote(collection, safe='')}/points"
        sent = dumps({"batch": batch, **conditions})
        if len(sent) > _BODY_BYTES and len(columns.ids) > 1:
            # Long texts: vectors alone do not say how much a commit has.
            return max(self.upsert(collection, part, conditions) for part in columns.halves())
        answer = self._answer("PUT", path, sent, not conditions)
        return int(json.loads(answer)["result"]["operation_id"])

    def query(self, collection: str, body: Body, vector: npt.NDArray[np.float32] | None) -> dict[str, Any]:
        asked = body(() if vector is None else vector.tolist())
        found: dict[str, Any] = self.call("POST", f"/collections/{quote(collection, safe='')}/points/query", asked)
        return found

    def query_rows(
        self, collection: str, body: Body, matrix: npt.NDArray[np.float32], width: int
    ) -> tuple[Any, npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
        import numpy as np

        path = f"/collections/{quote(collection, safe='')}/points/query/batch"
        counts = np.zeros(len(matrix), np.uint32)
        scores = np.full((len(matrix), width), np.nan, np.float32)
        ids: list[list[Any]] = []
        for first in range(0, len(matrix), _QUESTIONS):
            searches = [body(row.tolist()) for row in matrix[first : first + _QUESTIONS]]
            for at, found in enumerate(self.call("POST", path, {"searches": searches}), first):
                points = found["points"]
                counts[at] = len(points)
                scores[at, : len(points)] = [point["score"] for point in points]
                ids.append([point["id"] for point in points])
        if any(isinstance(one, str) for row in ids for one in row):
            return ids, scores, counts
        numbers = np.zeros((len(matrix), width), np.uint64)
        for at, row in enumerate(ids):
            numbers[at, : len(row)] = row
        return numbers, scores, counts

    def download(self, path: str, collection: str | None, name: str, to: Path) -> None:
        with self._reached():
            response = self._asked("GET", f"{path}/{quote(name, safe='')}", b"", True)
        try:
            with to.open("wb") as file:
                while block := self._block(response):
                    file.write(block)
        except BaseException:
            # The rest of it would be taken for the next answer.
            self._drop()
            raise

    def recover(self, path: str, collection: str, source: Path, checksum: str | None) -> None:
        asked = f"{path}/upload" + (f"?checksum={checksum}" if checksum else "")
        with source.open("rb") as file:
            self._answer("POST", asked, file, False)

    def close(self) -> None:
        with self._lock:
            self._is_closed = True
            for connection in self._connections:
                connection.close()
            self._connections.clear()

    def _answer(self, method: str, path: str, sent: Sent, is_harmless: bool) -> bytes:
        """The whole answer to a request."""
        with self._reached():
            return self._asked(method, path, sent, is_harmless).read()

    def _piece(self, response: HTTPResponse) -> bytes:
        """What has come, however little."""
        with self._reached():
            return response.read1(_BLOCK_BYTES)

    def _block(self, response: HTTPResponse) -> bytes:
        with self._reached():
            return response.read(_BLOCK_BYTES)

    def _asked(self, method: str, path: str, sent: Sent, is_harmless: bool) -> HTTPResponse:
        """The answer to a request. It must be read to its end, or the connection is of no further use."""
        go_on()
        if self._is_closed:
            raise Closed("the database is closed; open it again")
        response = self._sent(method, path, sent, is_harmless)
        if response.status >= 400:
            raise _refused(response)
        return response

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Says of what fails on the way that there is no answer."""
        try:
            yield
        except Error:
            # What the server refuses was read to its end.
            raise
        except BaseException as error:
            # After Ctrl-C, too, the rest of this answer would be taken for the next one.
            self._drop()
            if isinstance(error, (HTTPException, OSError)):
                raise Unreachable(f"no answer from {self.place}: {error or type(error).__name__}") from error
            raise

    def _sent(self, method: str, path: str, sent: Sent, is_harmless: bool) -> HTTPResponse:
        connection, is_kept = self._connection()
        headers = dict(self._headers)
        if not isinstance(sent, bytes):
            headers |= {"content-type": "application/octet-stream", "content-length": str(_size(sent))}
        try:
            connection.request(method, self._base + path, sent or None, headers)
            return connection.getresponse()
        except (HTTPException, ConnectionError):
            if not (is_kept and is_harmless):
                raise
        self._drop()
        connection, _ = self._connection()
        connection.request(method, self._base + path, sent or None, headers)
        return connection.getresponse()

    def _connection(self) -> tuple[HTTPConnection, bool]:
        if self._pid != os.getpid():
            # Those that came along through a fork are of the other process: answers would go to either.
            self._begin()
        kept: HTTPConnection | None = getattr(self._threads, "connection", None)
        if kept is not None and not _is_lost(kept):
            return kept, True
        self._drop()
        made = self._made()
        self._threads.connection = made
        return made, False

    def _made(self) -> HTTPConnection:
        kind = HTTPSConnection if self._is_safe else HTTPConnection
        made = kind(self._host, timeout=self._timeout_s)
        with self._lock:
            self._connections.append(made)
        return made

    def _drop(self) -> None:
        lost: HTTPConnection | None = getattr(self._threads, "connection", None)
        self._threads.connection = None
        if lost is not None:
            self._give_back(lost)

    def _give_back(self, connection: HTTPConnection) -> None:
        connection.close()
        with self._lock:
            if connection in self._connections:
                self._connections.remove(connection)


def _refused(response: HTTPResponse) -> Exception:
    kind, field = (response.headers[f"kithdb-error-{name}"] for name in ("kind", "field"))
    return answered(response.status, kind, field, response.read())


def _is_lost(connection: HTTPConnection) -> bool:
    """The server has closed it, after a pause for instance: something comes although nothing was asked."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return bool(poll.poll(0))


def _size(file: BinaryIO) -> int:
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    return size


def _listed(ids: Sequence[int | str] | npt.NDArray[np.uint64]) -> list[int | str]:
    return list(ids.tolist()) if hasattr(ids, "tolist") else list(ids)
