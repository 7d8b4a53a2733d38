"""What is of its own to the asynchronous methods: many at once, and tasks that are cancelled. The rest is tested
through them as through the other doors."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kithdb

VECTORS = np.random.default_rng(1).normal(size=(2_000, 16)).astype(np.float32)


async def filled(place: str | Path) -> tuple[kithdb.AsyncDatabase, kithdb.AsyncCollection]:
    db = await kithdb.aopen(place, durability="none")
    points = await db.create_collection("p", dim=16, metric="dot")
    await points.upsert(ids=np.arange(2_000), vectors=VECTORS, payload=[{"n": at} for at in range(2_000)])
    return db, points


async def test_many_ask_at_once(server: str) -> None:
    for place in (":memory:", server):
        db, points = await filled(place)
        async with db:
            found = await asyncio.gather(*(points.search(row, limit=1, exact=True) for row in VECTORS[:200]))
            truth = np.argmax(VECTORS[:200] @ VECTORS.T, axis=1)
            assert [hits.ids[0] for hits in found] == truth.tolist()
            assert await db.drop_collection("p")


async def test_the_loop_runs_while_the_engine_works() -> None:
    db, points = await filled(":memory:")
    async with db:
        asked = asyncio.create_task(points.search_many(np.tile(VECTORS, (5, 1)), exact=True))
        ticks = 0
        while not asked.done():
            await asyncio.sleep(0.001)
            ticks += 1
        assert ticks > 3 and len(await asked) == 10_000


async def test_everything_has_its_asynchronous_form() -> None:
    db, points = await filled(":memory:")
    async with db:
        hits = await points.search(VECTORS[0], limit=3)
        assert isinstance(hits, kithdb.AsyncHits) and isinstance(hits[:2], kithdb.AsyncHits) and hits[0].id in hits.ids
        assert "vector" in str(await hits.explain()) and (await hits.why_not(hits.ids[0])).why == "hit"
        assert hits.to_numpy()[0].tolist() == hits.ids and "3 hits" in repr(hits) and "<table>" in hits._repr_html_()
        seen = [point.id async for point in points.scroll(kithdb.f.n < 5)]
        assert seen == [0, 1, 2, 3, 4]
        pages = [page.ids async for page in points.pages({"query": {"order_by": "n"}}, size=900)]
        assert [len(page) for page in pages] == [900, 900, 200]
        assert isinstance(points.as_of(1), kithdb.AsyncCollection) and points.name == "p" and points.seqno is None
        made = await points.snapshots.create()
        assert [one["name"] for one in await points.snapshots.list()] == [made["name"]]
        assert await db["p"].count() == 2_000
        with pytest.raises(kithdb.NotFound):
            await db.collection("q")
        with pytest.raises(kithdb.NotFound):
            await db["q"].count()
        async with db.transaction() as tx:
            tx.on("p").delete([1])
        assert tx.seqno and await points.count() == 1_999
        with pytest.raises(KeyError):
            async with db.transaction() as tx:
                tx.on("p").delete([2])
                raise KeyError
        assert await points.count() == 1_999
    await db.close()
    with pytest.raises(kithdb.Closed):
        await points.count()


async def test_a_cancelled_write_ends_before_its_next_commit() -> None:
    db, points = await filled(":memory:")
    async with db:
        written, go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def rows() -> Iterator[dict[str, Any]]:
            try:
                for at in range(10_000, 20_000):
                    if at == 10_100:
                        loop.call_soon_threadsafe(written.set)
                        assert go_on.wait(10)
                    yield {"id": at, "vector": VECTORS[0]}
            finally:
                ended.set()

        writing = asyncio.create_task(points.upsert(rows(), commit_points=100))
        await written.wait()
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
        go_on.set()
        assert await asyncio.to_thread(ended.wait, 10)
        assert await points.count(kithdb.f.n.is_empty()) == 100, "the commit that was made, and no further one"


async def test_cancelled_calls_that_wait_never_begin() -> None:
    db, points = await filled(":memory:")
    async with db:
        many = [asyncio.create_task(points.set_payload({"x": at}, where={})) for at in range(200)]
        await asyncio.sleep(0)
        for one in many:
            one.cancel()
        told = await asyncio.gather(*many, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in told)
        assert await asyncio.wait_for(points.count(), 20) == 2_000, "the threads are free again"


async def test_a_deadline_of_the_caller_counts() -> None:
    db, points = await filled(":memory:")
    async with db:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(points.search_many(np.tile(VECTORS, (100, 1)), exact=True), 0.05)


async def test_pages_that_are_left_are_given_back() -> None:
    db, points = await filled(":memory:")
    async with db:
        pages = points.pages({"query": {"order_by": "n"}}, size=10)
        async for page in pages:
            assert len(page) == 10
            break
        await pages.aclose()  # type: ignore[attr-defined]
        left = points.scroll(page=10)
        assert (await anext(left)).id == 0
    await left.aclose()  # type: ignore[attr-defined]


async def test_what_was_opened_for_nobody_is_closed(folder: Path) -> None:
    opening = asyncio.create_task(kithdb.aopen(folder))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    for _ in range(100):
        try:
            kithdb.open(folder).close()
            return
        except kithdb.Busy:
            await asyncio.sleep(0.05)
    raise AssertionError("the directory is still held")


def test_the_types_are_those_of_the_other_classes() -> None:
    root = Path(__file__).parent.parent
    program = f"import sys; sys.path.append({str(root)!r}); import stubs; print(stubs.formatted(), end='')"
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert made == (root / "kithdb" / "aio.pyi").read_text(), "run: python stubs.py"
