"""A database on a server, over HTTP, with nothing but the standard library.

Connections are kept, one a thread, and end with it. One that the server has closed since is not used again. What is
lost in between is sent again where it only reads. What writes is not: it may have been done, and somebody else may have
written since. A server that is busy, and says when to come back, is asked again, for a while.
"""

from __future__ import annotations

import json
import math
import os
import re
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias
from urllib.parse import SplitResult, quote, urlsplit
from weakref import WeakSet

from kithdb._json import dumps, named, plain
from kithdb.doors import TEXTS, Body, Told, answered, go_on, result, stacked
from kithdb.errors import Busy, Closed, Error, InvalidArgument, NotFound, Unreachable

if TYPE_CHECKING:
    import ssl

    import numpy as np
    import numpy.typing as npt

    from kithdb.rows import Columns

#: A body, or a file that is one.
Sent: TypeAlias = bytes | BinaryIO

#: What is trusted of servers beside what the system trusts: a file of certificates, or settings of Python.
Trusted: TypeAlias = "str | os.PathLike[str] | ssl.SSLContext | None"

#: Bytes of vectors in one commit, about: as JSON they take five times as much, and a body has 32 MiB.
_COMMIT_BYTES = 3 << 20

#: Questions in one request.
_QUESTIONS = 64

#: How the paths of requests end that only read.
_READS = (
    *("/points", "/query", "/query/batch", "/query/groups", "/scroll", "/count", "/facet", "/matrix/offsets"),
    *("/why-not", "/v1/embeddings"),
)

#: Bytes of a body, of which a server takes 32 MiB unless it is set otherwise.
_BODY_BYTES = 30 << 20

#: Bytes of a file that are taken at once.
_BLOCK_BYTES = 1 << 20

#: Seconds for which holds what was looked up of a schema, at most.
_SCHEMA_S = 1.0

#: Seconds between two looks whether somebody still waits.
_LOOK_S = 0.1

#: How the names of models begin that answer, and do not embed.
_ANSWERS = "rag:"

_UNKNOWN = "Whether it was done is not known. Read what is there; write it again if nobody else writes to it meanwhile."


class _Kept:
    """The connection of a thread, which is closed when the thread has ended."""

    def __init__(self, connection: HTTPConnection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class RemoteDoor:
    """To a database on a server."""

    def __init__(
        self, url: str, api_key: str | None, timeout_s: float, retry_s: float = 30.0, tls: Trusted = None
    ) -> None:
        parts = _parts(url)
        self.place = url.rstrip("/")
        self.commit_bytes = _COMMIT_BYTES
        self._is_safe, self._host, self._base = parts.scheme == "https", parts.netloc, parts.path.rstrip("/")
        self._headers = {"content-type": "application/json"} | _key(api_key)
        self._timeout_s = _seconds(timeout_s, "timeout_s", is_zero=False)
        self._retry_s = _seconds(retry_s, "retry_s", is_zero=True)
        if tls is not None and not self._is_safe:
            raise InvalidArgument(f"stands beside `{url}`, which is not safe; give an address with https", "tls")
        self._trusted = tls
        self._is_closed = False
        self._model: dict[str, Any] | None = None
        self._begin()

    def _begin(self) -> None:
        """Without connections, in this process."""
        self._pid = os.getpid()
        self._threads = threading.local()
        self._connections: WeakSet[HTTPConnection] = WeakSet()
        self._lock = threading.Lock()
        # One for all connections: to make it reads every certificate that there is.
        self._tls = _context(self._trusted) if self._is_safe else None

    def __getstate__(self) -> dict[str, Any]:
        own = ("_pid", "_threads", "_connections", "_lock", "_tls")
        return {name: value for name, value in vars(self).items() if name not in own}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        sent = b"" if body is None else dumps(body)
        is_harmless = method == "GET" or (method == "POST" and path.endswith(_READS))
        return result(self._answer(method, path, sent, is_harmless))

    def stream(self, path: str, body: Any = None) -> Iterator[bytes]:
        self._check_open()
        method, sent = ("GET", b"") if body is None else ("POST", dumps(body))
        # One of its own: who takes an answer in pieces may ask for something else meanwhile.
        with self._reached():
            connection = self._made()
        try:
            with self._reached():
                connection.request(method, self._base + path, sent, self._headers)
                response = connection.getresponse()
                if response.status >= 400:
                    raise _refused(response)
            while piece := self._piece(response):
                go_on()
                yield piece
        finally:
            self._give_back(connection)

    def upsert(self, collection: str, columns: Columns, conditions: dict[str, Any]) -> int:
        """Writes points in one commit; its number.

        It is sent once. Where the connection is lost before the answer is there, it is not known whether the points
        were written, and to send them again could undo what somebody else has written since: that is `Unreachable`.
        """
        with _of_points():
            sent = dumps({"batch": _batch(columns), **conditions})
        if len(sent) > _BODY_BYTES and len(columns.ids) > 1:
            # Long texts: vectors alone do not say how much a commit has.
            return max(self.upsert(collection, part, conditions) for part in columns.halves())
        with _of_points():
            answer = self._answer("PUT", f"/collections/{quote(collection, safe='')}/points", sent, False)
        return int(json.loads(answer)["result"]["operation_id"])

    def query(self, collection: str, body: Body, vector: npt.NDArray[np.float32] | None) -> dict[str, Any]:
        if vector is not None:
            _check_finite(vector, "query")
        asked = body(() if vector is None else vector.tolist())
        found: dict[str, Any] = self.call("POST", f"/collections/{quote(collection, safe='')}/points/query", asked)
        return found

    def query_rows(
        self, collection: str, body: Body, matrix: npt.NDArray[np.float32], width: int
    ) -> tuple[Any, npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
        import numpy as np

        path = f"/collections/{quote(collection, safe='')}/points/query/batch"
        for at in np.flatnonzero(~np.isfinite(matrix).all(axis=1))[:1]:
            _check_finite(matrix[at], f"vectors[{at}].query")
        counts = np.zeros(len(matrix), np.uint32)
        scores = np.full((len(matrix), width), np.nan, np.float32)
        ids: list[list[Any]] = []
        for first in range(0, len(matrix), _QUESTIONS):
            searches = [body(row.tolist()) for row in matrix[first : first + _QUESTIONS]]
            with _moved(_SEARCH, lambda found, first=first: f"vectors[{first + int(found[1])}]"):  # type: ignore[misc]
                told = self.call("POST", path, {"searches": searches})
            for at, found in enumerate(told, first):
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

    def schema_mark(self, collection: str) -> int:
        # To ask for one is no less than to look.
        return int(time.monotonic() / _SCHEMA_S)

    def model(self) -> dict[str, Any] | None:
        # A server has one for as long as it runs. That it has none is not kept: it may be started anew, with one.
        if self._model is None:
            told = self.call("GET", "/v1/models")["data"]
            self._model = next((one["model"] for one in told if not one["id"].startswith(_ANSWERS)), None)
        return self._model

    def embed(self, texts: list[str], *, is_question: bool) -> npt.NDArray[np.float32]:
        for at, text in enumerate(texts):
            if not isinstance(text, str) or not text:
                raise InvalidArgument(
                    f"is {text!r}; a server makes vectors of texts that are not empty", f"texts[{at}]"
                )
        try:
            return self._embedded(texts, is_question)
        except NotFound:
            # It was started anew, with another model.
            self._model = None
            return self._embedded(texts, is_question)

    def _embedded(self, texts: list[str], is_question: bool) -> npt.NDArray[np.float32]:
        from base64 import b64decode

        import numpy as np

        model = self.model()
        if model is None:
            raise InvalidArgument("is not open: the server was started without one (kithdb serve --model)", "model")
        asked = {
            "model": model["name"],
            "input_type": "query" if is_question else "document",
            "encoding_format": "base64",
        }
        parts = []
        for first in range(0, len(texts), TEXTS):
            told = self.call("POST", "/v1/embeddings", {**asked, "input": texts[first : first + TEXTS]})
            rows = [np.frombuffer(b64decode(one["embedding"]), "<f4") for one in told["data"]]
            parts.append(np.stack(rows).astype(np.float32))
        return stacked(parts, len(texts), model)

    def ingest(
        self, path: Path, collection: str, said: dict[str, Any], time_max_s: float | None, tell: Told
    ) -> dict[str, Any]:
        from kithdb.uploads import Uploading

        if time_max_s is not None:
            _seconds(time_max_s, "time_max_s", is_zero=True)
        return Uploading(self, path, collection, said, time_max_s, tell).run()

    def close(self) -> None:
        self._check_process()
        with self._lock:
            self._is_closed = True
            for connection in list(self._connections):
                connection.close()
            self._connections.clear()

    def _answer(self, method: str, path: str, sent: Sent, is_harmless: bool) -> bytes:
        """The whole answer to a request."""
        with self._reached(None if is_harmless else _UNKNOWN):
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
        waited_s = 0.0
        while True:
            self._check_open()
            response = self._sent(method, path, sent, is_harmless)
            if response.status < 400:
                return response
            refused = _refused(response)
            pause_s = _pause_s(response, is_harmless)
            if pause_s is None or waited_s + pause_s > self._retry_s:
                if pause_s is not None and isinstance(refused, Busy):
                    refused.hint = (
                        f"The server says: again in {pause_s:g} s. kithdb.open(url, retry_s=...) waits longer."
                    )
                raise refused
            self._wait(pause_s)
            waited_s += pause_s

    def _wait(self, pause_s: float) -> None:
        end = time.monotonic() + pause_s
        while (left_s := end - time.monotonic()) > 0:
            time.sleep(min(left_s, _LOOK_S))
            self._check_open()

    def _check_open(self) -> None:
        go_on()
        if self._is_closed:
            raise Closed("the database is closed; open it again")

    @contextmanager
    def _reached(self, hint: str | None = None) -> Iterator[None]:
        """Says of what fails on the way that there is no answer, with what else there is to say of that."""
        try:
            yield
        except Error:
            # What the server refuses was read to its end.
            raise
        except BaseException as error:
            # After Ctrl-C, too, the rest of this answer would be taken for the next one.
            self._drop()
            if self._is_closed and isinstance(error, Exception):
                # By another thread, whose way of it is to take the connection away.
                raise Closed("the database was closed meanwhile; open it again") from error
            if isinstance(error, (HTTPException, OSError)):
                raise self._unreachable(error, hint) from error
            raise

    def _unreachable(self, error: Exception, hint: str | None = None) -> Unreachable:
        if hint is None and isinstance(error, ConnectionRefusedError):
            hint = "Is a server running there? `kithdb serve` starts one."
        if hint is None and isinstance(error, TimeoutError):
            hint = f"It was waited for {self._timeout_s:g} s; kithdb.open(url, timeout_s=...) waits longer."
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = 'Name what is trusted: kithdb.open(url, tls="certificates.pem").'
        return Unreachable(f"no answer from {self.place}: {error or type(error).__name__}", hint=hint)

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
        self._check_process()
        kept: _Kept | None = getattr(self._threads, "kept", None)
        if kept is not None and not _is_lost(kept.connection):
            return kept.connection, True
        self._drop()
        made = self._made()
        self._threads.kept = _Kept(made)
        return made, False

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            # Those that came along through a fork are of the other process: answers would go to either.
            self._begin()

    def _made(self) -> HTTPConnection:
        """A connection: who is not reached at all has done nothing."""
        self._check_process()
        made = (
            HTTPConnection(self._host, timeout=self._timeout_s)
            if self._tls is None
            else HTTPSConnection(self._host, timeout=self._timeout_s, context=self._tls)
        )
        try:
            made.connect()
        except OSError as error:
            made.close()
            raise self._unreachable(error) from error
        with self._lock:
            self._connections.add(made)
        return made

    def _drop(self) -> None:
        lost: _Kept | None = getattr(self._threads, "kept", None)
        self._threads.kept = None
        if lost is not None:
            self._give_back(lost.connection)

    def _give_back(self, connection: HTTPConnection) -> None:
        connection.close()
        with self._lock:
            self._connections.discard(connection)


#: The beginnings of places in bodies, which the caller knows by other names.
_BATCH = re.compile(r"^batch\.(ids|vectors|payloads)(?:\.([^\[]+))?\[(\d+)\]")
_SEARCH = re.compile(r"^searches\[(\d+)\]")


@contextmanager
def _moved(beginning: re.Pattern[str], place: Callable[[re.Match[str]], str]) -> Iterator[None]:
    """Says of what is refused where the caller has it."""
    try:
        yield
    except Error as error:
        error.field = error.field and beginning.sub(place, error.field)
        raise


def _of_points() -> AbstractContextManager[None]:
    def place(found: re.Match[str]) -> str:
        column, space, at = found.groups()
        return f"points[{at}].{column[:-1]}" + (f".{space}" if space else "")

    return _moved(_BATCH, place)


def _batch(columns: Columns) -> dict[str, Any]:
    """The points of a commit in columns, as the route takes them."""
    import numpy as np

    for name, rows in columns.vectors.items():
        for at in np.flatnonzero(~np.isfinite(rows).all(axis=1))[:1]:
            _check_finite(rows[at], f"points[{at}].vector" + (f".{name}" if name else ""))
    vectors = {name: rows.tolist() for name, rows in columns.vectors.items()}
    batch = {"ids": _listed(columns.ids), "vectors": vectors[""] if list(vectors) == [""] else vectors}
    if columns.payloads is None:
        return batch
    try:
        return {**batch, **plain({"payloads": columns.payloads})}
    except InvalidArgument as error:
        raise error.within("batch") from error.__cause__


def _check_finite(vector: npt.NDArray[Any], field: str) -> None:
    import numpy as np

    for at in np.flatnonzero(~np.isfinite(vector))[:1]:
        raise InvalidArgument(f"is {named(vector[at])}; every element must be a finite number", f"{field}[{at}]")


def _parts(url: str) -> SplitResult:
    example = "http://127.0.0.1:6333"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise InvalidArgument(f"`{url}` is no address such as {example}: {error}", "path") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgument(f"`{url}` is no address such as {example}", "path")
    if parts.username is not None:
        # It is not repeated: errors are written down.
        raise InvalidArgument("has a name or a password in it; a key is given as api_key=", "path")
    if parts.query or parts.fragment:
        raise InvalidArgument(f"`{url}` has more than an address; end it before ? and #", "path")
    return parts


def _key(api_key: str | None) -> dict[str, str]:
    if not api_key:
        return {}
    if not api_key.isascii() or not api_key.isprintable() or api_key != api_key.strip():
        raise InvalidArgument("has a sign that no key has: a space or an end of line at its end, perhaps", "api_key")
    return {"api-key": api_key}


def _seconds(given: float, field: str, *, is_zero: bool) -> float:
    least = "from 0 on" if is_zero else "more than 0"
    if not math.isfinite(given) or given < 0 or (given == 0 and not is_zero):
        raise InvalidArgument(f"is {given}; give seconds, {least}", field)
    return given


def _context(trusted: Trusted) -> ssl.SSLContext:
    import ssl

    if isinstance(trusted, ssl.SSLContext):
        return trusted
    try:
        return ssl.create_default_context(cafile=None if trusted is None else os.fspath(trusted))
    except OSError as error:
        raise InvalidArgument(f"`{trusted}` is no file of certificates (PEM): {error}", "tls") from error


def _pause_s(response: HTTPResponse, is_harmless: bool) -> float | None:
    """When to ask again, if the server refused only because it is busy. What writes was refused before anything was
    done only if it is this server that says so, and nobody between."""
    is_ours = response.status == 429 or response.headers["kithdb-error-kind"] == "busy"
    if response.status not in (429, 503) or not (is_harmless or is_ours):
        return None
    told = response.headers["retry-after"]
    return float(told) if told is not None and told.isascii() and told.isdigit() else None


def _refused(response: HTTPResponse) -> Exception:
    kind, field = (response.headers[f"kithdb-error-{name}"] for name in ("kind", "field"))
    return answered(response.status, kind, field, response.read())


def _is_lost(connection: HTTPConnection) -> bool:
    """It was closed: by an answer that was the last, or by the server after a pause, so that something comes although
    nothing was asked."""
    if connection.sock is None:
        return True
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
