r"""Answers from documents: their text as it comes, and what they rest on.

>>> import kithdb, pathlib, tempfile
>>> with tempfile.TemporaryDirectory() as folder, kithdb.open(":memory:", model=None) as db:
...     _ = pathlib.Path(folder, "keys.md").write_text("# Keys\n\nRotate the keys every month.\n")
...     _ = db.ingest(folder)
...     answer = db.ask("How often do I rotate the keys?")
>>> answer.outcome, answer.citations[0].path
('extractive', 'keys.md')
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

from kithdb.doors import EmbeddedDoor
from kithdb.errors import Closed, InvalidArgument, Unreachable, of_kind
from kithdb.filters import Where, wire
from kithdb.rows import names_of

if TYPE_CHECKING:
    from kithdb.doors import Door

#: What kind of error the codes are that OpenAI has a name for; others are kinds themselves.
_KINDS_OF_CODES = {
    "context_length_exceeded": "limit_exceeded",
    "invalid_api_key": "access_denied",
    "model_not_found": "not_found",
    "rate_limit_exceeded": "busy",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that an answer was made from."""

    #: Its number, as it stands in brackets in the text.
    number: int
    title: str
    path: str
    heading: str
    #: The id of the document, the SHA-256 of its text, and the bytes of it that were read.
    source: str
    hash: str
    span: tuple[int, int]
    #: How well it was found; the cosine of question and passage, where there is a model.
    score: float
    similarity: float | None
    #: Where it can be opened: the document's own address, or that of its bytes on the server.
    url: str | None


@dataclass(frozen=True, slots=True)
class Citation:
    """What a sentence of an answer rests on: these bytes are stored, with this hash."""

    #: The number of the passage.
    number: int
    #: The words that are cited, and where they stand in the document, in bytes.
    quote: str
    path: str
    source: str
    hash: str
    span: tuple[int, int]
    #: Where the marker stands in the text, and the sentence that it stands behind, in characters.
    at: tuple[int, int]
    claim: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: `str(answer)` is its text with a list of what it cites."""

    #: The text, with `[1]` behind what passage 1 says.
    text: str
    #: How it came about: `generated`, `extractive` (in quotes, as no engine was asked) or `nothing_found`.
    outcome: str
    citations: list[Citation]
    passages: list[Passage]
    #: The sentences that no passage supports.
    unsupported: list[str]
    #: Why it ended: `stop`, or `length` where there was no room for more.
    finish: str
    #: Tokens that it took of an engine: `prompt_tokens`, `completion_tokens` and so on.
    usage: dict[str, Any]
    #: All that is told of it over HTTP: evidence, mode, documents, citations.
    told: dict[str, Any]

    @property
    def cited(self) -> list[Passage]:
        """The passages that are cited, each once."""
        numbers = {citation.number for citation in self.citations}
        return [passage for passage in self.passages if passage.number in numbers]

    def __str__(self) -> str:
        lines = [f"[{one.number}] {_named(one)}" for one in self.cited]
        return "\n".join([self.text, "", "Sources:", *lines]) if lines else self.text

    def _repr_html_(self) -> str:
        paragraphs = "".join(f"<p>{escape(part)}</p>" for part in self.text.split("\n\n"))
        lines = [f"[{one.number}] {_linked(one)}" for one in self.cited]
        return paragraphs + (f"<p>{'<br>'.join(lines)}</p>" if lines else "")


def _named(passage: Passage) -> str:
    # A title with lines of its own would list what is not cited.
    title = " ".join((passage.title or passage.path).split())
    return title if title == passage.path or not passage.path else f"{title} ({passage.path})"


def _linked(passage: Passage) -> str:
    name = escape(_named(passage))
    is_safe = passage.url is not None and passage.url.startswith(("http://", "https://"))
    return f'<a href="{escape(passage.url or "")}">{name}</a>' if is_safe else name


class Answering(Iterator[str]):
    """An answer on its way: iterate for its text, piece by piece; `answer` is all of it.

    A context manager. To leave it early, or to let it go, ends the work of the engine.
    """

    def __init__(self, pieces: Iterator[bytes], has_address: bool) -> None:
        self._events = _events(pieces)
        self._has_address = has_address
        self._text: list[str] = []
        self._told: dict[str, Any] | None = None
        self._finish, self._usage = "stop", dict[str, Any]()
        self._is_closed = False
        # What is refused is refused by the call, and not by the first step of a loop.
        try:
            self._ahead = next(self, None)
        except BaseException:
            # Ctrl-C among them: nobody has the answer who could break it off.
            self.close()
            raise

    def __next__(self) -> str:
        ahead, self._ahead = getattr(self, "_ahead", None), None
        return self._read() if ahead is None else ahead

    def _read(self) -> str:
        for event in self._events:
            if self._is_closed:
                break
            piece = self._take(event)
            if piece:
                self._text.append(piece)
                return piece
        if self._told is None and not self._is_closed:
            raise Unreachable("the answer broke off; ask again")
        self.close()
        raise StopIteration

    def _take(self, event: Mapping[str, Any]) -> str:
        if "error" in event:
            error = event["error"]
            message = str(error["message"])
            is_of_engine = error.get("code") == "io" and message.startswith("the serving engine")
            code = error.get("code") or "internal"
            kind = "unreachable" if is_of_engine else _KINDS_OF_CODES.get(code, code)
            raise of_kind(kind, message, error.get("param"))
        self._told = event.get("rag", self._told)
        self._usage = event.get("usage") or self._usage
        for choice in event.get("choices", []):
            self._finish = choice.get("finish_reason") or self._finish
            return choice["delta"].get("content") or ""
        return ""

    def answer(self) -> Answer:
        """The whole answer, also of what was iterated already. Waits for what is not there yet.

        Raises `Closed` when it was broken off before its end.
        """
        for _ in self:
            pass
        if self._told is None:
            raise Closed("the answer was broken off")
        return _answer("".join(self._text), self._told, self._finish, self._usage, self._has_address)

    def _whole(self) -> Answer:
        with self:
            return self.answer()

    def close(self) -> None:
        """Breaks it off; does nothing at its end, or the second time."""
        self._is_closed, self._ahead = True, None
        try:
            self._events.close()  # type: ignore[attr-defined]
        except ValueError:
            # Another thread waits for the next piece: it is the last that it gets.
            return

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _events(pieces: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """Events, as they are sent: lines with data, and others that only say that somebody is there."""
    rest = b""
    try:
        for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                data = line.removeprefix(b"data: ")
                if data != line and data.strip() != b"[DONE]":
                    yield json.loads(data)
    finally:
        pieces.close()  # type: ignore[attr-defined]


def _answer(text: str, told: dict[str, Any], finish: str, usage: dict[str, Any], has_address: bool) -> Answer:
    citations = [
        Citation(
            one["number"],
            one["quote"],
            one["path"],
            one["source"],
            one["hash"],
            (one["start"], one["end"]),
            (one["start_index"], one["end_index"]),
            (one["claim"]["start_index"], one["claim"]["end_index"]),
        )
        for one in told["citations"]
    ]
    passages = [
        Passage(
            one["number"],
            one["title"],
            one["path"],
            one["heading"],
            one["source"],
            one["hash"],
            (one["start"], one["end"]),
            one["score"],
            one["similarity"],
            one["url"] if has_address or not one["url"].startswith(_NOWHERE) else None,
        )
        for one in told["documents"]
    ]
    unsupported = [text[one["start_index"] : one["end_index"]] for one in told["unsupported"]]
    return Answer(text, told["outcome"], citations, passages, unsupported, finish, usage, told)


#: Where bytes of documents would be opened, if this process had an address.
_NOWHERE = "http://localhost/api/v1/collections/"


class Answers:
    """What answers from the documents of a collection."""

    _door: Door
    name: str
    seqno: int | None

    @overload
    def ask(
        self,
        question: str,
        *,
        stream: Literal[False] = False,
        where: Where | None = None,
        labels: Iterable[str] | None = None,
        limit: int | None = None,
        extractive: bool | None = None,
        history: Sequence[Mapping[str, Any]] = (),
        instructions: str | None = None,
        answer_tokens_max: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        **rag: Any,
    ) -> Answer: ...
    @overload
    def ask(
        self,
        question: str,
        *,
        stream: Literal[True],
        where: Where | None = None,
        labels: Iterable[str] | None = None,
        limit: int | None = None,
        extractive: bool | None = None,
        history: Sequence[Mapping[str, Any]] = (),
        instructions: str | None = None,
        answer_tokens_max: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        **rag: Any,
    ) -> Answering: ...
    def ask(self, question: str, *, stream: bool = False, **asked: Any) -> Answer | Answering:
        """Answers a question from the documents that `Database.ingest` put here, with citations.

        The engine that the database was opened with writes it (`kithdb.open(path, engine=...)`; of a server, its own);
        without one it is made of quotes. `stream` gives it piece by piece: an iterator of text, whose `answer` is the
        whole.

        `where` is a filter on chunks, `limit` how many are looked at (8), `labels` what who asks may see. `extractive`
        quotes also where there is an engine. `history` are earlier turns (`{"role": "user", "content": "..."}`),
        `instructions` what else the engine is told. `answer_tokens_max`, `temperature` and `seed` are for the engine.
        Further arguments are members of `rag` over HTTP: `mode`, `diversity`, `fusion`, `min_similarity` and so on.

        Raises `InvalidArgument` naming the place, `NotFound` where there are no documents; with the words of an engine
        that fails `Unreachable`, `Busy` or `DeadlineExceeded`.
        """
        answering = self._answering(question, **asked)
        return answering if stream else answering._whole()

    def _answering(
        self,
        question: str,
        *,
        where: Where | None = None,
        labels: Iterable[str] | None = None,
        limit: int | None = None,
        extractive: bool | None = None,
        history: Sequence[Mapping[str, Any]] = (),
        instructions: str | None = None,
        answer_tokens_max: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        **rag: Any,
    ) -> Answering:
        if self.seqno is not None:
            raise InvalidArgument("is a past state, and questions are answered from the present one", "as_of")
        before = [] if instructions is None else [{"role": "system", "content": instructions}]
        rag |= {"labels": None if labels is None else names_of(labels), "top_k": limit, "extractive": extractive}
        rag |= {"filter": wire(where), "collection": self.name, "list_sources": False}
        body = {
            "model": f"rag:{self.name}",
            "messages": [*before, *history, {"role": "user", "content": question}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "rag": {name: value for name, value in rag.items() if value is not None},
            "max_completion_tokens": answer_tokens_max,
            "temperature": temperature,
            "seed": seed,
        }
        sent = {name: value for name, value in body.items() if value is not None}
        return Answering(
            self._door.stream("/v1/chat/completions", sent), has_address=not isinstance(self._door, EmbeddedDoor)
        )
