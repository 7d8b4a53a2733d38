"""The two ways to a database: in this process, and over HTTP. Whatever is asked through them is the same.

Most of it is a request to a route, as `docs/http.md` describes them. What is large or frequent has a method of its
own, so that the database in this process takes arrays without JSON: points in columns, questions, questions by the
row.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from kithdb._json import dumps
from kithdb._kithdb import Embedded
from kithdb.errors import POSITION, of_kind
from kithdb.rows import COMMIT_BYTES

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from kithdb.rows import Columns

#: Texts that are embedded at once.
TEXTS = 128

#: What is told how far an ingestion is: documents done, documents there are, chunks written.
Told: TypeAlias = Callable[[int, int, int], object]

#: The body of a question, for a vector that is put where it belongs.
Body: TypeAlias = Callable[[Sequence[float]], dict[str, Any]]


class GivenUp(BaseException):
    """Nobody waits for the call any more. It ends before it asks the engine again."""


_calls = threading.local()


@contextmanager
def unless(is_given_up: Callable[[], bool]) -> Iterator[None]:
    """Lets the calls that this thread makes meanwhile end when nobody waits for them any more."""
    _calls.is_given_up = is_given_up
    try:
        yield
    finally:
        del _calls.is_given_up


def go_on() -> None:
    """Ends a call that nobody waits for: what stands before every question to the engine."""
    is_given_up: Callable[[], bool] | None = getattr(_calls, "is_given_up", None)
    if is_given_up is not None and is_given_up():
        raise GivenUp


class Door(Protocol):
    """A way to a database."""

    #: Where it leads: a directory, `:memory:`, or an address.
    place: str
    #: Bytes of vectors that go into one commit, about.
    commit_bytes: int

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Sends a request to a route; what it answers as its `result`."""

    def stream(self, path: str, body: Any = None) -> Iterator[bytes]:
        """Posts to a route whose answer is taken as it comes, or gets it where there is nothing to post. Whoever closes
        the iterator breaks it off."""

    def upsert(self, collection: str, columns: Columns, conditions: dict[str, Any]) -> int:
        """Writes points in one commit; its number."""

    def query(self, collection: str, body: Body, vector: npt.NDArray[np.float32] | None) -> dict[str, Any]:
        """Answers a question."""

    def query_rows(
        self, collection: str, body: Body, matrix: npt.NDArray[np.float32], width: int
    ) -> tuple[Any, npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
        """Answers a question for each row: ids, scores, and how many hits each row has."""

    def download(self, path: str, collection: str | None, name: str, to: Path) -> None:
        """Copies a snapshot into a file."""

    def recover(self, path: str, collection: str, source: Path, checksum: str | None) -> None:
        """Makes a collection of a snapshot in a file."""

    def schema_mark(self, collection: str) -> int:
        """A number that stays while what was looked up of the schema holds."""

    def model(self) -> dict[str, Any] | None:
        """The model that makes vectors of texts, as a new collection names the one that it belongs to."""

    def embed(self, texts: list[str], *, is_question: bool) -> npt.NDArray[np.float32]:
        """The vectors of texts, a row each."""

    def ingest(
        self, path: Path, collection: str, said: dict[str, Any], time_max_s: float | None, tell: Told
    ) -> dict[str, Any]:
        """Brings a collection in step with a folder of documents; what was done. What is said of them are members of
        the body of an upload."""

    def close(self) -> None:
        """Lets go of the database."""


class EmbeddedDoor:
    """To a database in this process."""

    def __init__(
        self,
        path: Path | None,
        durability: str,
        model: str | None,
        elsewhere: Mapping[str, Any],
        memory_limit: int | None,
    ) -> None:
        self.place = ":memory:" if path is None else str(path)
        self.commit_bytes = COMMIT_BYTES
        #: The database itself. What writes answers is a part of it, of the same name elsewhere.
        self.engine = Embedded(path, durability, model, dumps(elsewhere), memory_limit)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        go_on()
        sent = b"" if body is None else dumps(body)
        status, kind, field, answer = self.engine.call(method, path, sent)
        if status >= 400:
            raise answered(status, kind, field, answer)
        return result(answer)

    def stream(self, path: str, body: Any = None) -> Iterator[bytes]:
        go_on()
        method, sent = ("GET", b"") if body is None else ("POST", dumps(body))
        pieces = self.engine.stream(method, path, sent)
        try:
            while True:
                piece = pieces.next()
                go_on()
                if piece is None:
                    continue
                status, kind, field, sent = piece
                if status >= 400:
                    raise answered(status, kind, field, sent)
                if not sent:
                    return
                yield sent
        finally:
            pieces.close()

    def upsert(self, collection: str, columns: Columns, conditions: dict[str, Any]) -> int:
        go_on()
        body = dumps({"points": [], **conditions})
        return self.engine.upsert(collection, body, columns.ids, columns.vectors, columns.payloads)

    def query(self, collection: str, body: Body, vector: npt.NDArray[np.float32] | None) -> dict[str, Any]:
        go_on()
        return self.engine.query(collection, dumps(body(())), vector)

    def query_rows(
        self, collection: str, body: Body, matrix: npt.NDArray[np.float32], width: int
    ) -> tuple[Any, npt.NDArray[np.float32], npt.NDArray[np.uint32]]:
        go_on()
        return self.engine.query_rows(collection, dumps(body(())), matrix, width)

    def schema_mark(self, collection: str) -> int:
        return self.engine.schema_mark(collection)

    def model(self) -> dict[str, Any] | None:
        return self.engine.model()

    def embed(self, texts: list[str], *, is_question: bool) -> npt.NDArray[np.float32]:
        """The vectors of texts. Ctrl-C is looked for in between."""
        parts = []
        for first in range(0, max(1, len(texts)), TEXTS):
            go_on()
            parts.append(self.engine.embed(texts[first : first + TEXTS], is_question))
        return stacked(parts, len(texts), self.model())

    def ingest(
        self, path: Path, collection: str, said: dict[str, Any], time_max_s: float | None, tell: Told
    ) -> dict[str, Any]:
        go_on()
        return self.engine.ingest(path, collection, dumps(said), time_max_s, tell)

    def download(self, path: str, collection: str | None, name: str, to: Path) -> None:
        from shutil import copyfile

        copyfile(self.engine.snapshot_path(collection, name), to)

    def recover(self, path: str, collection: str, source: Path, checksum: str | None) -> None:
        self.engine.recover(collection, source, checksum)

    def close(self) -> None:
        self.engine.close()

    def __reduce__(self) -> Any:
        raise TypeError(
            "a database of this process is none of another: serve it, db.serve(), and open its address there"
        )


def stacked(
    parts: Sequence[npt.NDArray[np.float32]], count: int, model: dict[str, Any] | None
) -> npt.NDArray[np.float32]:
    """The rows of so many texts; of none at all, a matrix that has their width all the same."""
    import numpy as np

    if not count:
        return np.empty((0, 0 if model is None else int(model["dim"])), np.float32)
    return np.concatenate(parts)


def result(answer: bytes) -> Any:
    """What a route answered: the `result` of the envelope where there is one, else all of it; text if it is no JSON."""
    try:
        told = json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace")
    return told["result"] if isinstance(told, dict) and "result" in told else told


def answered(status: int, kind: str | None, field: str | None, answer: bytes) -> Exception:
    """The exception for what a route answered in place of a result."""
    try:
        told = json.loads(answer)
        # The dialect of OpenAI has an envelope of its own.
        message = str(told["error"]["message"] if "error" in told else told["status"]["error"])
    except (ValueError, LookupError, TypeError):
        message = answer.decode(errors="replace") or f"the status is {status}"
    found = _KINDS_BY_STATUS.get(status) or kind or _KINDS_OF_STATUS.get(status, "internal")
    error = of_kind(found, message, field)
    if field is not None:
        error.message = _without_field(error.message, field)
    return error


def _without_field(message: str, field: str) -> str:
    """The message alone: the field stands before it, behind it, or in brackets with it."""
    if message.startswith(f"[{field}: ") and message.endswith("]"):
        message = message[1:-1]
    return POSITION.sub("", message.removeprefix(f"{field}: ").removesuffix(f" (`{field}`)"))


#: Whatever kind is told: that of a key is the one of any argument, that of a serving engine the one of any input and
#: output.
_KINDS_BY_STATUS = {401: "access_denied", 403: "access_denied", 502: "unreachable"}

#: Of servers that do not tell the kind.
_KINDS_OF_STATUS = {
    400: "invalid_argument",
    404: "not_found",
    408: "deadline_exceeded",
    409: "already_exists",
    412: "conflict",
    413: "limit_exceeded",
    422: "invalid_argument",
    429: "busy",
    503: "busy",
    504: "deadline_exceeded",
}
