"""A collection of several times the memory that a server may take: whether it stays within it, whatever is asked.

    memory.py KITHDB [--limit-mib 512] [--times 5] [--seconds 120]

The server has `--memory-limit`, and, as root, a control group of a tenth more: beyond that the system kills it. Vectors
of `times` the limit are written; then eight threads ask at once for what takes much (thousands of points with vectors,
exact searches, facets, orders, filters that match all, large bodies, deletes by filter), a snapshot is made and
recovered, and a new start opens everything within the same limit. Fails if
- the server ends, or memory that no file backs is ever more than a tenth above the limit,
- a request fails otherwise than by a stated limit,
- a point is missing in the end.

What is mapped counts in the control group and not in the figure: the system takes it back where it needs the room.
"""

import argparse
import random
import tempfile
import threading
import time
from pathlib import Path

from server import SHORT, Client, Group, Report, Server, Watch, end_all, mib

DIM = 1024
BATCH = 250
AT = "/collections/large"

# Texts of parts of vectors: to write gigabytes of numbers one by one would take the client longer than the server.
PARTS = 64


class Maker:
    """Points as JSON, of parts that were written down before."""

    def __init__(self) -> None:
        chance = random.Random(1)
        part = [",".join(f"{chance.uniform(-1, 1):.4f}" for _ in range(DIM // 8)) for _ in range(PARTS)]
        self.parts = part

    def vector(self, chance: random.Random) -> str:
        return "[" + ",".join(chance.choice(self.parts) for _ in range(8)) + "]"

    def points(self, ids: range, chance: random.Random) -> bytes:
        one = '{"id":%d,"vector":%s,"payload":{"group":%d,"number":%d,"text":"word%d of %d, %s"}}'
        text = "and more that is said of it " * 8
        points = [one % (at, self.vector(chance), at % 100, at, at % 1000, at, text) for at in ids]
        return ('{"points":[' + ",".join(points) + "]}").encode()


def fill(server: Server, maker: Maker, count: int) -> float:
    began = time.monotonic()

    def write(number: int) -> None:
        client, chance = Client(server), random.Random(number)
        for at in range(number * BATCH, count, 2 * BATCH):
            body = maker.points(range(at, min(at + BATCH, count)), chance)
            while True:
                status, answer, headers = client.ask("PUT", f"{AT}/points?wait=true", body)
                if status == 200:
                    break
                if status not in (429, 503):
                    raise SystemExit(f"a write was answered by {status} {answer[:300]!r}")
                time.sleep(float(headers.get("retry-after", "1")))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.monotonic() - began


def questions(maker: Maker, chance: random.Random, count: int) -> list[tuple[str, str, bytes]]:
    """What takes much, and leaves the points below `count` as they are."""
    vector, first = maker.vector(chance), chance.randrange(count)
    everything = '{"must":[{"key":"number","range":{"gte":0}}]}'
    extra = range(count + 1_000_000, count + 1_000_000 + 3_000)
    others = f'{{"filter":{{"must":[{{"key":"number","range":{{"gte":{count}}}}}]}}}}'
    return [
        ("POST", f"{AT}/points/query", f'{{"query":{vector},"limit":10}}'.encode()),
        ("POST", f"{AT}/points/query", f'{{"query":{vector},"limit":5000,"with_vector":true}}'.encode()),
        ("POST", f"{AT}/points/query", f'{{"query":{vector},"limit":9,"params":{{"exact":true}}}}'.encode()),
        ("POST", f"{AT}/points/query", f'{{"query":{vector},"limit":100,"filter":{everything}}}'.encode()),
        ("POST", f"{AT}/points/scroll", f'{{"limit":100000,"with_vector":true,"offset":{first}}}'.encode()),
        ("POST", f"{AT}/points/scroll", b'{"limit":50000,"with_payload":true,"order_by":"number"}'),
        ("POST", f"{AT}/points/count", f'{{"exact":true,"filter":{everything}}}'.encode()),
        ("POST", f"{AT}/facet", b'{"key":"text","limit":100000}'),
        ("PUT", f"{AT}/points?wait=true", maker.points(extra, chance)),
        ("POST", f"{AT}/points/delete?wait=true", others.encode()),
    ]


def press(server: Server, maker: Maker, count: int, seconds: float) -> tuple[dict[int, int], list[str]]:
    """Asks all of it at once: how often each status came, and what should not have come."""
    statuses: dict[int, int] = {}
    faults: list[str] = []
    until, lock = time.monotonic() + seconds, threading.Lock()

    def ask(number: int) -> None:
        client, chance = Client(server), random.Random(100 + number)
        while time.monotonic() < until and server.is_alive():
            method, path, body = chance.choice(questions(maker, chance, count))
            try:
                status, answer, _ = client.ask(method, path, body)
            except OSError as error:
                status, answer = 0, str(error).encode()
            with lock:
                statuses[status] = statuses.get(status, 0) + 1
                if status != 200 and status not in SHORT:
                    faults.append(f"{path} {body[:80]!r}: {status} {answer[:300]!r}")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses, faults


def rest(client: Client, most: float = 3600) -> float:
    """Waits until nothing is built any more; how long."""
    began = time.monotonic()
    while time.monotonic() - began < most and client.result("GET", AT)["status"] != "green":
        time.sleep(1)
    return time.monotonic() - began


def count_of(client: Client, upto: int) -> int:
    below = {"must": [{"key": "number", "range": {"lt": upto}}]}
    return client.result("POST", f"{AT}/points/count", {"exact": True, "filter": below})["count"]


def measure(arguments: argparse.Namespace, folder: Path, group: "Group | None") -> int:
    limit = arguments.limit_mib << 20
    count = arguments.times * limit // (4 * DIM)
    flags = ["--memory-limit", str(limit)]
    report, maker = Report(f"{arguments.limit_mib} MiB, vectors of {arguments.times} times that"), Maker()
    report.row("control group", "none: only root has one" if group is None else f"{mib(1.1 * limit)}, files included")
    server = Server(arguments.kithdb, folder, *flags, group=group)
    client = Client(server, timeout=3600)
    client.result("PUT", AT, {"vectors": {"size": DIM, "distance": "Cosine"}})
    for field in ["group", "number"]:
        client.result("PUT", f"{AT}/index?wait=true", {"field_name": field, "field_schema": "integer"})

    def phase(name: str, work) -> object:
        watch = Watch(server, 0.1)
        found = work()
        seen = watch.stop()
        most = {what: max((one[what] for _, one in seen), default=0) for what in ("anon", "rss")}
        told = f"{mib(most['anon'])} (with files {mib(most['rss'])})"
        report.row(f"{name}: memory that no file backs, at most", told)
        report.must(most["anon"] <= 1.1 * limit, f"{name} takes {mib(most['anon'])}")
        report.must(server.is_alive(), f"{name} ended the server: {server.tail()}")
        if report.faults and not server.is_alive():
            raise SystemExit(report.end())
        return found

    seconds = phase("loading", lambda: fill(server, maker, count))
    report.row("points a second, loading", f"{count / seconds:,.0f} ({count:,} points)")
    report.row("then building", f"{phase('building', lambda: rest(client)):.0f} s")
    statuses, faults = phase("asking", lambda: press(server, maker, count, arguments.seconds))
    report.row("answers", dict(sorted(statuses.items())))
    report.must(not faults, f"{len(faults)} requests failed, the first: {faults[:1]}")
    made = phase("a snapshot", lambda: client.result("POST", f"{AT}/snapshots"))
    place = (folder / "data/snapshots/collections/large" / made["name"]).resolve()
    body = {"location": f"file://{place}"}
    phase("recovering it", lambda: client.result("PUT", "/collections/copy/snapshots/recover?wait=true", body))
    client.result("DELETE", "/collections/copy")
    found = count_of(client, count)
    report.must(found == count, f"{found} of {count} points are there")
    server.stop()
    server = Server(arguments.kithdb, folder, *flags, group=group)
    client = Client(server, timeout=3600)
    report.row("a new start", f"{server.ready_s:.1f} s")
    statuses, faults = phase("asking after it", lambda: press(server, maker, count, arguments.seconds / 4))
    report.must(not faults, f"{len(faults)} requests failed after it, the first: {faults[:1]}")
    found = count_of(client, count)
    report.must(found == count, f"{found} of {count} points are there after it")
    server.stop()
    if group is not None:
        report.row("killed by the system", group.kills())
        report.must(group.kills() == 0, "the system killed it")
    return report.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kithdb")
    parser.add_argument("--limit-mib", type=int, default=512)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--folder", help="where the database is made; it is removed afterwards")
    arguments = parser.parse_args()
    try:
        group = Group(int(1.1 * (arguments.limit_mib << 20)))
    except OSError:
        group = None
    try:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            try:
                return measure(arguments, Path(folder), group)
            finally:
                end_all()
    finally:
        if group is not None:
            group.remove()


if __name__ == "__main__":
    raise SystemExit(main())
