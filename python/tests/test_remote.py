"""What is of its own to a database on a server: connections that are lost, refusals, files, forks."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
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
    return door._threads.connection


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
