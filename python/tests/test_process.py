"""The database and the process: threads, signals, forks, opening and closing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import kithdb


def filled(place: str | Path, rows: int = 20_000, dim: int = 64) -> tuple[kithdb.Database, kithdb.Collection]:
    db = kithdb.open(place, durability="none")
    points = db.create_collection("p", dim=dim, metric="dot")
    points.upsert(ids=np.arange(rows), vectors=np.random.default_rng(1).normal(size=(rows, dim)).astype(np.float32))
    return db, points


def test_what_was_written_is_there_again(folder: Path) -> None:
    with kithdb.open(folder) as db:
        db.create_collection("a", [{"id": 1, "vector": [1.0], "n": 1}], metric="dot")
        with pytest.raises(kithdb.Busy) as caught:
            kithdb.open(folder)
        assert isinstance(caught.value, OSError) and caught.value.hint
    with pytest.raises(kithdb.Closed):
        db.collections()
    db.close()
    with kithdb.open(str(folder)) as db:
        assert db["a"].get(1)["n"] == 1 and db.start()["points"] == 1
        db.flush()


def test_what_is_stored_is_verified(folder: Path) -> None:
    with kithdb.open(folder) as db:
        db.create_collection("a", [{"id": 1, "vector": [1.0], "text": "a crate"}], text=["text"])
        for rebuild in (False, True):
            told = db.verify(rebuild=rebuild)
            assert (told["collections"], told["points"], told["vectors"], told["faults"]) == (1, 1, 1, [])
        assert db["a"].search(text="crate").ids == [1]


def test_memory_has_a_limit() -> None:
    rows = [{"id": at, "vector": [1.0], "text": "x" * 600_000} for at in range(3)]
    for limit, is_allowed in [(None, True), (1, False)]:
        with kithdb.open(":memory:", memory_limit=limit) as db:
            points = db.create_collection("p", rows)
            if is_allowed:
                assert len(points.get([0, 1, 2])) == 3
            else:
                with pytest.raises(kithdb.LimitExceeded):
                    points.get([0, 1, 2])
    with pytest.raises(kithdb.InvalidArgument) as caught:
        kithdb.open(":memory:", memory_limit=0)
    assert caught.value.field == "memory_limit"
    with pytest.raises(kithdb.Unsupported):
        kithdb.open("http://127.0.0.1:6333", memory_limit=1)


def test_places_that_are_none(folder: Path) -> None:
    folder.write_text("a file")
    with pytest.raises(OSError):
        kithdb.open(folder)
    for place, field in [("ftp://x", "path"), ("http://", "path"), ("localhost:6333", "path")]:
        with pytest.raises(kithdb.InvalidArgument) as caught:
            kithdb.open(place)
        assert caught.value.field == field
    with pytest.raises(kithdb.InvalidArgument) as caught:
        kithdb.open(":memory:", durability="hope")
    assert caught.value.field == "durability"
    with pytest.raises(kithdb.InvalidArgument) as caught:
        kithdb.open(":memory:", model=folder.parent / "none")
    assert caught.value.field == "model"
    with pytest.raises(kithdb.Unreachable), kithdb.open("http://127.0.0.1:9") as db:
        db.collections()


def test_the_interpreter_runs_while_the_engine_works() -> None:
    db, points = filled(":memory:")
    asked = np.random.default_rng(2).normal(size=(2_000, 64)).astype(np.float32)
    points.search_many(asked[:10])
    ticks, done = [0], threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks[0] += 1
            time.sleep(0.001)

    beside = threading.Thread(target=tick)
    beside.start()
    began = time.perf_counter()
    points.search_many(asked, exact=True)
    took = time.perf_counter() - began
    done.set()
    beside.join()
    # Held for as long as a call, the lock would let the thread through once a batch.
    assert ticks[0] > took * 100, f"{ticks[0]} ticks in {took:.2f} s"
    db.close()


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="nothing is at once on one core")
def test_two_threads_search_at_once() -> None:
    db, points = filled(":memory:")
    # What is built in the background would be counted, too.
    points.optimize()
    asked = np.random.default_rng(2).normal(size=(100, 64)).astype(np.float32)

    def search() -> None:
        for row in asked:
            points.search(row, exact=True, with_payload=False)

    def cores() -> float:
        began, used = time.perf_counter(), time.process_time()
        threads = [threading.Thread(target=search) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (time.process_time() - used) / (time.perf_counter() - began)

    # With the lock held it would be one; where others have the cores it takes a few rounds.
    assert any(cores() > 1.25 for _ in range(30))
    db.close()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="nothing is held to a core here")
def test_a_call_that_is_held_to_one_core_leaves_the_others_to_those_after_it() -> None:
    program = """
import os, pathlib, sys, kithdb
db = kithdb.open(":memory:")
points = db.create_collection("p", [{"id": 1, "vector": [1.0]}], metric="dot")
if sys.argv[1] == "held":
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
points.search_many([[1.0]])
names = [(task / "comm").read_text() for task in pathlib.Path("/proc/self/task").iterdir()]
print(sum(name.startswith("kithdb-rows") for name in names))
"""
    command = [sys.executable, "-c", program]
    threads = [subprocess.run([*command, how], capture_output=True, text=True, check=True) for how in ("free", "held")]
    assert threads[0].stdout == threads[1].stdout != "0\n"


CALLS: dict[str, Callable[[kithdb.Collection], object]] = {
    "search": lambda points: points.search(np.ones(64, np.float32)),
    "set_payload": lambda points: points.set_payload({"seen": True}, where={}),
    "count": lambda points: points.count("seen = false"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_closing_waits_for_calls_that_run(call: Callable[[kithdb.Collection], object]) -> None:
    db, points = filled(":memory:")
    outcomes: list[str] = []

    def ask() -> None:
        try:
            while True:
                call(points)
                outcomes.append("answered")
        except Exception as error:  # noqa: BLE001
            outcomes.append(type(error).__name__)

    thread = threading.Thread(target=ask)
    thread.start()
    while not outcomes:
        time.sleep(0.001)
    db.close()
    thread.join(10)
    assert outcomes[-1] == "Closed" and outcomes[0] == "answered"


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)", "del points; del db"])
def test_a_program_may_end_without_closing(folder: Path, ending: str) -> None:
    program = f"""
import kithdb, threading, time
db = kithdb.open({str(folder)!r})
points = db.create_collection("a", [{{"id": 1, "vector": [1.0]}}], metric="dot")
def ask(points):
    while True:
        points.count()
if not {ending!r}:
    threading.Thread(target=ask, args=[points], daemon=True).start()
    time.sleep(0.1)
{ending}
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, check=False)
    assert done.returncode == (3 if "raise" in ending else 0)
    with kithdb.open(folder) as db:
        assert db["a"].count() == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_is_told(folder: Path) -> None:
    program = f"""
import os, kithdb
db = kithdb.open({str(folder)!r})
db.create_collection("a", [{{"id": 1, "vector": [1.0]}}], metric="dot")
child = os.fork()
if child == 0:
    try:
        db["a"].count()
    except kithdb.Forked as error:
        assert "after the fork" in str(error) and isinstance(error, RuntimeError)
        del db
        os._exit(7)
    os._exit(1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert db["a"].count() == 1
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


WORK = {
    "search_many": "points.search_many(np.tile(rows, (50, 1)), exact=True)",
    "upsert": "points.upsert(np.tile(rows, (50, 1)))",
}


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_ctrl_c_ends_long_work(folder: Path, work: str) -> None:
    program = f"""
import kithdb, numpy as np
db = kithdb.open({str(folder)!r}, durability="none")
points = db.create_collection("p", dim=64, metric="dot")
rows = np.random.default_rng(1).normal(size=(20_000, 64)).astype(np.float32)
points.upsert(rows)
print("ready", flush=True)
try:
    {work}
except KeyboardInterrupt:
    db.close()
    print("ended", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        time.sleep(0.3)
        asked = time.perf_counter()
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "ended\n"
        assert time.perf_counter() - asked < 10
    assert process.returncode == 0


def test_it_serves_what_it_uses(folder: Path) -> None:
    db, points = filled(folder, rows=10)
    serving = db.serve("127.0.0.1:0")
    with kithdb.open(serving.url) as remote:
        assert remote["p"].count() == 10
        remote["p"].delete([1])
        assert points.count() == 9
        with pytest.raises(kithdb.Unsupported):
            remote.flush()
    serving.stop()
    serving.stop()
    serving = db.serve("127.0.0.1:0", api_key="a-key-of-some-length")
    with kithdb.open(serving.url) as remote, pytest.raises(kithdb.AccessDenied):
        remote.collections()
    with kithdb.open(serving.url, api_key="a-key-of-some-length") as remote:
        assert remote["p"].count() == 9
    serving.stop()
    # The key counts wherever it is reached from.
    serving = db.serve("127.0.0.1:0", api_key="a-key-of-some-length", allow_remote=True)
    with kithdb.open(serving.url) as remote, pytest.raises(kithdb.AccessDenied):
        remote.collections()
    serving.stop()
    with pytest.raises(kithdb.InvalidArgument) as caught:
        db.serve("127.0.0.1:0", api_key="")
    assert caught.value.field == "api_key"
    with pytest.raises(kithdb.InvalidArgument) as caught:
        db.serve("0.0.0.0:0")
    assert caught.value.field == "listen"
    with pytest.raises(kithdb.InvalidArgument):
        db.serve("nowhere")
    db.close()


def test_the_command_line_comes_along(folder: Path) -> None:
    run = [sys.executable, "-m", "kithdb"]
    told = subprocess.run([*run, "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == f"kithdb {kithdb.__version__}"
    with kithdb.open(folder) as db:
        db.create_collection("a", [{"id": 1, "vector": [1.0]}], metric="dot")
    subprocess.run([*run, "doctor", "--data", str(folder)], check=True, capture_output=True)
    wrong = subprocess.run([*run, "nonsense"], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2 and "nonsense" in wrong.stderr
    unread = [*run, "serve", "--config", str(folder / "none.toml")]
    told = subprocess.run(unread, capture_output=True, text=True, check=False)
    assert told.returncode == 2 and "none.toml cannot be read" in told.stderr
