"""The same tests through every door: in this process, over HTTP from a server that this package brings along, and by
the asynchronous methods."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import kithdb


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server, which runs for all tests."""
    data = tmp_path_factory.mktemp("server") / "data"
    command = [sys.executable, "-m", "kithdb", "serve", "--data", str(data), "--listen", "127.0.0.1:0", "--no-model"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = next((line for line in process.stdout if line.strip().startswith("listening")), "")
        assert told, "the server did not start"
        yield told.split()[-1]
        process.terminate()
        assert "everything acknowledged is on disk" in process.stdout.read()
    assert process.returncode == 0


class Through:
    """An asynchronous object as if it were none: what it is asked runs on a loop of another thread."""

    def __init__(self, inner: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._inner, self._loop = inner, loop

    def _done(self, given: Any) -> Any:
        if inspect.isawaitable(given):
            given = asyncio.run_coroutine_threadsafe(_awaited(given), self._loop).result()
        if inspect.isasyncgen(given):
            return self._iterated(given)
        return Through(given, self._loop) if type(given).__module__ == "kithdb.aio" else given

    def _iterated(self, given: AsyncIterator[Any]) -> Iterator[Any]:
        end = object()
        try:
            while (one := self._done(anext(given, end))) is not end:
                yield one
        finally:
            self._done(given.aclose())  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not inspect.ismethod(found):
            return self._done(found)
        return lambda *arguments, **named: self._done(found(*arguments, **named))

    def __repr__(self) -> str:
        return repr(self._inner)

    def __getitem__(self, at: Any) -> Any:
        return self.collection(at) if isinstance(at, str) else self._done(self._inner[at])

    def __len__(self) -> int:
        if isinstance(self._inner, kithdb.AsyncCollection):
            return cast(int, self.count())
        return len(self.collections() if isinstance(self._inner, kithdb.AsyncDatabase) else self._inner)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.collections() if isinstance(self._inner, kithdb.AsyncDatabase) else self._inner)

    def __contains__(self, name: object) -> bool:
        return name in list(self)

    def __enter__(self) -> Any:
        return self._done(self._inner.__aenter__())

    def __exit__(self, *how: Any) -> None:
        self._done(self._inner.__aexit__(*how))


async def _awaited(given: Any) -> Any:
    return await given


@pytest.fixture(scope="session")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop on a thread of its own: tests may have one themselves."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(params=["embedded", "remote", "async"])
def db(request: pytest.FixtureRequest) -> Iterator[kithdb.Database]:
    """An empty database, through each door."""
    if request.param == "async":
        loop: asyncio.AbstractEventLoop = request.getfixturevalue("loop")
        opened = asyncio.run_coroutine_threadsafe(kithdb.aopen(":memory:"), loop).result()
        with Through(opened, loop) as through:
            yield cast(kithdb.Database, through)
        return
    place = ":memory:" if request.param == "embedded" else request.getfixturevalue("server")
    with kithdb.open(place) as db:
        yield db
        for name in db:
            db.drop_collection(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for a database on disk."""
    return tmp_path / "data"


BOOKS = [
    {
        "id": 1,
        "vector": [1.0, 0.0],
        "title": "A crate for vectors",
        "lang": "en",
        "year": 2024,
        "tags": ["db", "rust"],
        "added": "2024-05-01T00:00:00Z",
    },
    {"id": 2, "vector": [0.8, 0.6], "title": "Ein Buch über Vektoren", "lang": "de", "year": 2021, "tags": ["db"]},
    {"id": 3, "vector": [0.0, 1.0], "title": "A book on gardens", "lang": "en", "year": 2019, "tags": []},
    {"id": 4, "vector": [-1.0, 0.0], "title": "Crates of apples", "lang": "en", "year": 2020, "tags": ["food"]},
]


@pytest.fixture
def books(db: kithdb.Database) -> kithdb.Collection:
    """Four books."""
    return db.create_collection("books", BOOKS, text=["title"], fields={"lang": "keyword"}, history_s=600)
