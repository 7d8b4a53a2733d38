"""What is of its own to a database on a server: connections that are lost, refusals, pauses, files, forks."""

from __future__ import annotations

import gc
import json
import os
import pickle
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import kithdb
from kithdb.doors import answered
from kithdb.remote import RemoteDoor


@pytest.fixture
def remote(server: str) -> Iterator[kithdb.Database]:
    """An empty database on the server."""
    with kithdb.open(server) as db:
        yield db
        for name in db:
            db.drop_collection(name)


def points(db: kithdb.Database) -> kithdb.Collection:
    return db.create_collection("p", [{"id": at, "vector": [1.0, at], "n": at} for at in range(100)], metric="dot")


def connection(db: kithdb.Database) -> Any:
    door: Any = db._door
    return door._threads.kept.connection


#: An answer: its status, its header fields, its `result`. Nothing at all stands for a connection that is lost.
Said = tuple[int, dict[str, str], Any] | None

BUSY = {"kithdb-error-kind": "busy"}


class Scripted(BaseHTTPRequestHandler):
    """A server that says what it is told to, in order, and keeps what it was asked."""

    protocol_version = "HTTP/1.1"
    said: list[Said] = []
    asked: list[str] = []

    def _answer(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        Scripted.asked.append(f"{self.command} {self.path}")
        said = Scripted.said.pop(0)
        if said is None:
            self.close_connection = True
            return
        status, headers, told = said
        body = json.dumps({"result": told} if status < 400 else {"status": {"error": told}}).encode()
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that says what it is told to."""
    monkeypatch.setattr(Scripted, "said", [])
    monkeypatch.setattr(Scripted, "asked", [])
    with ThreadingHTTPServer(("127.0.0.1", 0), Scripted) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_write_whose_answer_is_lost_is_not_sent_again(scripted: str) -> None:
    with kithdb.open(scripted) as db:
        points = kithdb.Collection(db._door, "p")
        Scripted.said = [(200, {}, {"count": 1}), None, (200, {}, {"count": 2})]
        assert points.count() == 1 and points.count() == 2, "what reads is sent again"
        writes: list[Callable[[], object]] = [
            lambda: points.upsert(ids=[1], vectors=[[1.0]]),
            lambda: points.delete([1]),
        ]
        for write in writes:
            Scripted.said = [(200, {}, {"count": 1}), None]
            points.count()
            Scripted.asked.clear()
            with pytest.raises(kithdb.Unreachable) as caught:
                write()
            assert len(Scripted.asked) == 1 and "is not known" in str(caught.value)
    with pytest.raises(kithdb.Unreachable) as caught:
        kithdb.Collection(kithdb.open("http://127.0.0.1:9")._door, "p").delete([1])
    assert "is not known" not in str(caught.value) and "kithdb serve" in str(caught.value)


def test_a_server_that_is_busy_is_asked_again_when_it_says(scripted: str) -> None:
    now, soon, late = ({"retry-after": seconds} for seconds in ("0", "1", "600"))
    upserted = {"operation_id": 7, "status": "completed"}
    with kithdb.open(scripted) as db:
        points = kithdb.Collection(db._door, "p")
        Scripted.said = [
            (503, now, "a proxy"),
            (429, now, "a rate"),
            (503, {**BUSY, **soon}, "x"),
            (200, {}, {"count": 3}),
        ]
        began = time.monotonic()
        assert points.count() == 3 and time.monotonic() - began >= 1.0
        Scripted.said = [(503, {**BUSY, **now}, "many"), (429, now, "a rate"), (200, {}, upserted)]
        assert points.upsert(ids=[1], vectors=[[1.0]]).seqno == 7
        refused: list[tuple[Said, Callable[[], object]]] = [
            ((503, now, "a proxy, which may have passed it on"), lambda: points.delete([1])),
            ((503, {**BUSY, **late}, "for long"), points.count),
            ((503, BUSY, "for no time that is told"), points.count),
            ((503, {**BUSY, "retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, "until then"), points.count),
        ]
        for said, call in refused:
            Scripted.said, Scripted.asked[:] = [said], []
            with pytest.raises(kithdb.Busy) as caught:
                call()
            assert len(Scripted.asked) == 1
            assert ("600 s" in str(caught.value)) == (said is not None and said[1].get("retry-after") == "600")
    with kithdb.open(scripted, retry_s=0) as db:
        Scripted.said = [(429, soon, "a rate")]
        with pytest.raises(kithdb.Busy):
            kithdb.Collection(db._door, "p").count()


def test_what_opens_no_server_names_the_argument() -> None:
    place = "https://127.0.0.1:9"
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("http://127.0.0.1:port", {}, "path"),
        ("http://me:secret@127.0.0.1:6333", {}, "path"),
        ("http://127.0.0.1:6333/?a=b", {}, "path"),
        (place, {"api_key": "key\n"}, "api_key"),
        (place, {"api_key": "schlüssel"}, "api_key"),
        (place, {"timeout_s": 0}, "timeout_s"),
        (place, {"timeout_s": float("nan")}, "timeout_s"),
        (place, {"retry_s": -1}, "retry_s"),
        (place, {"tls": "none.pem"}, "tls"),
        ("http://127.0.0.1:9", {"tls": ssl.create_default_context()}, "tls"),
    ]
    for url, named, field in cases:
        with pytest.raises(kithdb.InvalidArgument) as caught:
            kithdb.open(url, **named)
        assert caught.value.field == field and "secret" not in str(caught.value)
    with pytest.raises(kithdb.Unreachable), kithdb.open(place, tls=ssl.create_default_context()) as db:
        db.collections()


def test_the_connection_of_a_thread_ends_with_it(remote: kithdb.Database) -> None:
    made = points(remote)
    door: Any = remote._door
    for _ in range(5):
        thread = threading.Thread(target=made.count)
        thread.start()
        thread.join()
    gc.collect()
    assert len(door._connections) == 1


def test_who_waits_while_another_thread_closes_is_told(scripted: str) -> None:
    db = kithdb.open(scripted)
    Scripted.said = [(503, {**BUSY, "retry-after": "20"}, "many")]
    closing = threading.Timer(0.3, db.close)
    closing.start()
    began = time.monotonic()
    with pytest.raises(kithdb.Closed):
        kithdb.Collection(db._door, "p").count()
    closing.join()
    assert time.monotonic() - began < 10


def test_what_the_server_refuses_is_no_loss_of_the_server(remote: kithdb.Database, tmp_path: Path) -> None:
    made = points(remote)
    kept = connection(remote)
    refused: list[tuple[Callable[[], object], type[kithdb.Error]]] = [
        (lambda: made.get(1_000), kithdb.NotFound),
        (lambda: made.search([1.0]), kithdb.InvalidArgument),
        (lambda: remote.create_collection("p", dim=2), kithdb.AlreadyExists),
    ]
    for wrong, kind in refused:
        with pytest.raises(kind):
            wrong()
    assert connection(remote) is kept, "what was answered leaves the connection as it was"
    name = made.snapshots.create()["name"]
    with pytest.raises(FileNotFoundError):
        made.snapshots.download(name, tmp_path / "none" / "file")
    assert made.delete([1]) and made.count() == 99


def test_a_deadline_is_one_on_a_server_too() -> None:
    # As the server answers it: a status of its own, which is also a TimeoutError of Python.
    refused = answered(408, "deadline_exceeded", None, b'{"status": {"error": "Timeout error: late"}}')
    door = RemoteDoor("http://127.0.0.1:9", None, 1.0)
    with pytest.raises(kithdb.DeadlineExceeded), door._reached():
        raise refused
    with pytest.raises(kithdb.Unreachable), door._reached():
        raise TimeoutError("silence")


def test_a_connection_that_the_server_closed_is_not_used(remote: kithdb.Database) -> None:
    made = points(remote)
    # What a server does after a pause, seen from here.
    connection(remote).sock.shutdown(0)
    made.delete([1])
    made.set_payload({"seen": True}, [2])
    assert made.count() == 99


def test_what_was_broken_off_leaves_nothing_behind(remote: kithdb.Database, monkeypatch: pytest.MonkeyPatch) -> None:
    made = points(remote)

    def interrupted(*_: Any) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("http.client.HTTPResponse.read", interrupted)
        with pytest.raises(KeyboardInterrupt):
            made.count()
    made.delete([1])
    assert made.count() == 99


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_has_connections_of_its_own(server: str) -> None:
    program = f"""
import os, kithdb
db = kithdb.open({server!r})
made = db.create_collection("forked", [{{"id": 1, "vector": [1.0]}}], metric="dot", exist_ok=True)
children = []
for at in range(4):
    child = os.fork()
    if child == 0:
        os._exit(0 if all(made.count() == 1 for _ in range(50)) else 1)
    children.append(child)
assert all(made.count() == 1 for _ in range(50))
assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * 4
db.drop_collection("forked")
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_database_on_a_server_can_be_sent_to_another_process(remote: kithdb.Database) -> None:
    made = points(remote)
    sent = pickle.loads(pickle.dumps(made))
    assert sent.count() == made.count() == 100 and sent.name == "p"
    with kithdb.open(":memory:") as db, pytest.raises(TypeError, match="serve"):
        pickle.dumps(db)
