"""The same for `asyncio`: `await kithdb.aopen(...)`, and methods that are awaited.

>>> import asyncio, kithdb
>>> async def main() -> list[int | str]:
...     async with await kithdb.aopen(":memory:") as db:
...         notes = await db.create_collection("notes", dim=2, text=["text"])
...         await notes.upsert([{"id": 1, "vector": [1.0, 0.0], "text": "A crate for vectors"}])
...         return (await notes.search([0.9, 0.1], text="crates")).ids
>>> asyncio.run(main())
[1]

Each class here has the methods of the one that it is named after, made of them when this module is imported: what works
on the database is awaited and runs on a thread of the database, what gives one thing after the other is iterated by
`async for`, the rest is as it is. What is called back (`progress`) is called on that thread. `aio.pyi`, made of the
same classes by `stubs.py`, tells all of it to type checkers.

A call whose task is cancelled is given up: one that waits for a thread never begins, one that asks the engine several
times (an upsert of several commits, say) ends before it asks again, and what the engine has begun it carries through,
unheard. `close` waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import FunctionType
from typing import Any

from kithdb import doors
from kithdb.answers import Answering
from kithdb.collection import Collection
from kithdb.database import Database, open
from kithdb.errors import Closed
from kithdb.hits import Hit, Hits
from kithdb.snapshots import Snapshots
from kithdb.writing import Transaction

__all__ = [
    "AsyncAnswering",
    "AsyncCollection",
    "AsyncDatabase",
    "AsyncHits",
    "AsyncSnapshots",
    "AsyncTransaction",
    "aopen",
]

#: Calls of one database that run at once.
_THREADS = min(32, (os.cpu_count() or 1) + 4)

#: By class: what is iterated, what is as it is because it asks nothing of the database, and what an object has.
PARTS: dict[type, tuple[set[str], set[str], set[str]]] = {
    Database: (set(), {"transaction"}, set()),
    Collection: ({"scroll", "pages"}, {"as_of"}, {"name", "seqno"}),
    Hits: (set(), {"to_dicts", "to_numpy", "to_arrow", "to_pandas", "to_polars"}, {"seen_share"}),
    Answering: (set(), set(), set()),
    Snapshots: (set(), set(), set()),
    Transaction: (set(), {"on"}, {"seqno"}),
}


class _Runner:
    """The threads of a database."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="kithdb")
        self._is_closed = False

    def begin(self, is_given_up: Event, call: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        if self._is_closed:
            raise Closed("the database is closed; open it again")

        def work() -> Any:
            with doors.unless(is_given_up.is_set):
                return call(*arguments, **named)

        return self._threads.submit(work)

    async def run(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        is_given_up = Event()
        future = self.begin(is_given_up, call, *arguments, **named)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            is_given_up.set()
            raise

    def close(self) -> None:
        self._is_closed = True
        self._threads.shutdown(wait=False)


class _Twin:
    """What the asynchronous classes share: an object of the other class, and the threads."""

    _inner: Any
    _runner: _Runner

    def __repr__(self) -> str:
        return repr(self._inner)


def _twin(value: Any, runner: _Runner) -> Any:
    """What a call gave, in its asynchronous class if it has one."""
    kind = _TWINS.get(type(value))
    if kind is None:
        return value
    made: Any = object.__new__(kind)
    made._inner, made._runner = value, runner
    return made


def _awaited(method: FunctionType) -> Any:
    @functools.wraps(method)
    async def call(self: _Twin, *arguments: Any, **named: Any) -> Any:
        return _twin(await self._runner.run(method, self._inner, *arguments, **named), self._runner)

    return call


_END = object()


def _iterated(method: FunctionType) -> Any:
    @functools.wraps(method)
    async def call(self: _Twin, *arguments: Any, **named: Any) -> AsyncIterator[Any]:
        given: Any = method(self._inner, *arguments, **named)
        try:
            while (one := await self._runner.run(next, given, _END)) is not _END:
                yield _twin(one, self._runner)
        finally:
            # What is left on a server is given back, also by who is cancelled; with the database there is nothing left.
            with contextlib.suppress(Closed):
                await asyncio.shield(self._runner.run(given.close))

    return call


def _as_it_is(method: FunctionType) -> Any:
    @functools.wraps(method)
    def call(self: _Twin, *arguments: Any, **named: Any) -> Any:
        return _twin(method(self._inner, *arguments, **named), self._runner)

    return call


def _had(name: str, doc: str | None = None) -> property:
    return property(lambda self: _twin(getattr(self._inner, name), self._runner), doc=doc)


def members(kind: type) -> dict[str, Any]:
    """What is public of a class of this package, and of those that it inherits from."""
    own = [one for one in reversed(kind.__mro__) if one.__module__.startswith("kithdb")]
    return {name: member for one in own for name, member in vars(one).items() if not name.startswith("_")}


def _fill(twin: type, kind: type) -> None:
    """Gives a class the methods of another."""
    iterated, kept, attributes = PARTS[kind]
    for name, member in members(kind).items():
        if name in vars(twin):
            continue
        if isinstance(member, property):
            setattr(twin, name, _had(name, member.__doc__))
        elif isinstance(member, FunctionType):
            way = _iterated if name in iterated else _as_it_is if name in kept else _awaited
            setattr(twin, name, way(member))
    for name in attributes:
        setattr(twin, name, _had(name))


class AsyncDatabase(_Twin):
    """As `Database`. An asynchronous context manager, which closes it at the end.

    `db["notes"]` does not look whether there is such a collection; `await db.collection("notes")` does. `model` is not
    awaited: the first time a server is asked for it, the loop waits.
    """

    async def __aenter__(self) -> AsyncDatabase:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None:
        await self.close()

    def __getitem__(self, name: str) -> AsyncCollection:
        found: AsyncCollection = _twin(Collection(self._inner._door, name), self._runner)
        return found

    async def close(self) -> None:
        """Waits for calls that run, makes every write durable, closes the directory; again, it does nothing."""
        self._runner.close()
        # Not on a thread of the database: all of them may be busy.
        await asyncio.shield(asyncio.to_thread(self._inner.close))


class AsyncCollection(_Twin):
    """As `Collection`."""


class AsyncHits(_Twin, Sequence[Hit]):
    """As `Hits`: a sequence, whose `explain`, `analyze` and `why_not` are awaited."""

    def __getitem__(self, at: Any) -> Any:
        return _twin(self._inner[at], self._runner)

    def __len__(self) -> int:
        return len(self._inner)

    def _repr_html_(self) -> str:
        shown: str = self._inner._repr_html_()
        return shown


class AsyncAnswering(_Twin, AsyncIterator[str]):
    """As `Answering`: iterated by `async for`, and an asynchronous context manager.

    A step whose task is cancelled breaks the answer off: in this process at once, over HTTP when the server next sends
    something, which is within 15 seconds.
    """

    async def __anext__(self) -> str:
        piece = await self._runner.run(next, self._inner, _END)
        if piece is _END:
            raise StopAsyncIteration
        return str(piece)

    async def __aenter__(self) -> AsyncAnswering:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None:
        self._inner.close()


class AsyncSnapshots(_Twin):
    """As `Snapshots`."""


class AsyncTransaction(_Twin):
    """As `Transaction`: an asynchronous context manager."""

    async def __aenter__(self) -> AsyncTransaction:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None:
        await self._runner.run(self._inner.__exit__, kind, error, at)


_TWINS: dict[type, type[_Twin]] = {
    Database: AsyncDatabase,
    Collection: AsyncCollection,
    Hits: AsyncHits,
    Answering: AsyncAnswering,
    Snapshots: AsyncSnapshots,
    Transaction: AsyncTransaction,
}

for _kind, _own in _TWINS.items():
    _fill(_own, _kind)


@functools.wraps(open)
async def aopen(*arguments: Any, **named: Any) -> AsyncDatabase:
    runner = _Runner()
    future = runner.begin(Event(), open, *arguments, **named)
    try:
        opened: AsyncDatabase = _twin(await asyncio.wrap_future(future), runner)
    except asyncio.CancelledError:
        future.add_done_callback(_close)
        raise
    return opened


def _close(future: Future[Database]) -> None:
    """Closes what was opened for nobody."""
    if not future.cancelled() and future.exception() is None:
        future.result().close()
