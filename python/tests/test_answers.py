"""Answers from documents: whole and piece by piece, in quotes and by an engine, in this process and over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import kithdb

ASKED = "How often do I rotate the keys?"


class Engine(BaseHTTPRequestHandler):
    """A serving engine: it says what it is set to, and then waits for its client to go if it is told so."""

    protocol_version = "HTTP/1.1"
    said = ["Rotate the keys every month [1]. ", "The moon is made of cheese."]
    waits = False
    asked: dict[str, Any] = {}
    ranked: dict[str, Any] = {}
    is_left = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            self._answer(200, b'{"data": [{"id": "tiny"}]}')
        else:
            self._answer(404, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/v1/rerank":
            Engine.ranked = json.loads(body)
            results = [{"index": at, "relevance_score": 0.9} for at in range(len(Engine.ranked["documents"]))]
            self._answer(200, json.dumps({"results": results}).encode())
            return
        if self.path != "/v1/chat/completions":
            self._answer(404, b"{}")
            return
        Engine.asked = json.loads(body)
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        try:
            for piece in Engine.said:
                self._event({"choices": [{"delta": {"content": piece}, "finish_reason": None}]})
            while Engine.waits and not Engine.is_left.wait(0.05):
                self.wfile.write(b": waiting\n\n")
            self._event({"choices": [{"delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            Engine.is_left.set()

    def _event(self, event: dict[str, Any]) -> None:
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an engine."""
    monkeypatch.setattr(Engine, "is_left", threading.Event())
    with ThreadingHTTPServer(("127.0.0.1", 0), Engine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        Engine.is_left.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def folder_of_keys(tmp_path: Path) -> Path:
    """A document."""
    folder = tmp_path / "documents"
    (folder / "ops").mkdir(parents=True)
    (folder / "ops" / "keys.md").write_text("# Keys\n\nRotate the keys every month.\n")
    return folder


@pytest.fixture(params=["embedded", "remote"])
def opened(request: pytest.FixtureRequest, folder_of_keys: Path) -> Iterator[kithdb.Database]:
    """A database with documents, and the engine if the test has one."""
    has_engine = "engine" in request.fixturenames
    engine = {"url": request.getfixturevalue("engine"), "model": "tiny"} if has_engine else None
    with kithdb.open(":memory:", model=None, engine=engine) as db:
        db.ingest(folder_of_keys)
        if request.param == "embedded":
            yield db
            return
        serving = db.serve("127.0.0.1:0")
        with kithdb.open(serving.url) as remote:
            yield remote
        serving.stop()


def test_without_an_engine_it_is_made_of_quotes(opened: kithdb.Database) -> None:
    answer = opened.ask(ASKED)
    assert answer.outcome == "extractive" and "Rotate the keys every month" in answer.text
    citation = answer.citations[0]
    assert "Rotate the keys every month" in citation.quote and citation.path == "ops/keys.md"
    assert answer.cited[0].number == citation.number and "ops/keys.md" in str(answer).split("Sources:")[1]
    assert "Rotate the keys" in answer._repr_html_() and answer.unsupported == []
    is_remote = opened._door.place.startswith("http")
    assert (answer.passages[0].url is not None) == is_remote, "in this process nothing has an address"
    nothing = opened.ask("Which mushrooms grow in Siberian forests?")
    assert nothing.outcome == "nothing_found" and nothing.citations == [] and str(nothing) == nothing.text


def test_it_comes_piece_by_piece(opened: kithdb.Database) -> None:
    answering = opened["documents"].ask(ASKED, stream=True)
    text = "".join(answering)
    assert answering.answer().text == text == opened.ask(ASKED).text and list(answering) == []
    with opened.ask(ASKED, stream=True) as left:
        assert opened["documents"].count() > 0, "other calls go on"
    assert list(left) == []
    with pytest.raises(kithdb.Closed):
        left.answer()


def test_an_engine_writes_it(engine: str, opened: kithdb.Database) -> None:
    turns = [{"role": "user", "content": "Which keys?"}, {"role": "assistant", "content": "All."}]
    answer = opened.ask(ASKED, where=kithdb.f.folder == "ops", history=turns, instructions="Be short.", seed=7)
    assert (answer.outcome, answer.finish) == ("generated", "stop")
    assert answer.citations and "Rotate the keys every month" in answer.citations[0].quote
    first, last = answer.citations[0].at
    assert answer.text[first:last] == "[1]" and answer.citations[0].number == 1
    assert len(answer.unsupported) == 1 and "cheese" in answer.unsupported[0]
    assert Engine.asked["seed"] == 7 and "Be short." in json.dumps(Engine.asked["messages"])
    quotes = opened.ask(ASKED, extractive=True)
    assert quotes.outcome == "extractive"
    nothing = opened.ask(ASKED, where=kithdb.f.folder == "elsewhere")
    assert nothing.outcome == "nothing_found"


def test_passages_are_ranked(engine: str, folder_of_keys: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder_of_keys / "doors.md").write_text("# Doors\n\nRotate the keys in the doors.\n")
    monkeypatch.setattr(Engine, "ranked", {})
    with kithdb.open(":memory:", model=None) as db:
        db.ingest(folder_of_keys)
        with pytest.raises(kithdb.Error):
            db.ask(ASKED, rerank=True)
    ways: list[Any] = [engine, {"url": engine, "model": "tiny"}]
    for rerank in ways:
        with kithdb.open(":memory:", model=None, rerank=rerank) as db:
            db.ingest(folder_of_keys)
            assert "Rotate the keys" in db.ask(ASKED).text
        assert Engine.ranked["query"] == ASKED and len(Engine.ranked["documents"]) == 2
    assert Engine.ranked["model"] == "tiny"
    faults: list[tuple[Any, str]] = [({"protocl": "tei"}, "rerank"), ({"batch": 0}, "rerank_batch")]
    for wrong, field in faults:
        with pytest.raises(kithdb.InvalidArgument) as caught:
            kithdb.open(":memory:", rerank={"url": engine, **wrong})
        assert caught.value.field == field


def test_who_leaves_ends_the_work_of_the_engine(
    engine: str, opened: kithdb.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "waits", True)
    with opened.ask(ASKED, stream=True) as answering:
        assert "Rotate" in next(answering)
    assert Engine.is_left.wait(20)


def test_what_cannot_be_asked_names_the_field(opened: kithdb.Database) -> None:
    cases: list[tuple[dict[str, Any], type[Exception], str | None]] = [
        ({"limit": 0}, kithdb.InvalidArgument, "rag.top_k"),
        ({"mode": "guess"}, kithdb.InvalidArgument, "rag.mode"),
        ({"labl": ["a"]}, kithdb.InvalidArgument, "rag.labl"),
        ({"temperature": 9.0}, kithdb.InvalidArgument, "temperature"),
        ({"collection": "none"}, kithdb.NotFound, None),
    ]
    for asked, kind, field in cases:
        for stream in (False, True):
            with pytest.raises(kind) as caught:
                opened.ask(ASKED, stream=stream, **asked)
            assert field is None or getattr(caught.value, "field") == field, (asked, caught.value)  # noqa: B009
    with pytest.raises(kithdb.InvalidArgument):
        opened["documents"].as_of(1).ask(ASKED)


def test_an_engine_that_is_none(opened: kithdb.Database) -> None:
    wrong: list[tuple[Any, str]] = [("ftp://x", "engine_url"), ({"url": "http://x", "modl": "y"}, "engine")]
    for engine, field in wrong:
        with pytest.raises(kithdb.InvalidArgument) as caught:
            kithdb.open(":memory:", engine=engine)
        assert caught.value.field == field
    with pytest.raises(kithdb.Unsupported):
        kithdb.open("http://127.0.0.1:9", engine="http://127.0.0.1:9")
    with kithdb.open(":memory:", model=None, engine={"url": "http://127.0.0.1:9/v1", "model": "m"}) as db:
        db.request("PUT", "/collections/c", {})
        with pytest.raises(kithdb.Error):
            db.ask(ASKED, "c")


async def test_it_is_iterated_asynchronously(engine: str, folder_of_keys: Path) -> None:
    async with await kithdb.aopen(":memory:", model=None, engine=engine) as db:
        await db.ingest(folder_of_keys)
        answering = await db.ask(ASKED, stream=True)
        text = "".join([piece async for piece in answering])
        assert (await answering.answer()).text == text == (await db["documents"].ask(ASKED)).text
