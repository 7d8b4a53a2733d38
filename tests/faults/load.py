"""Reads, writes, deletes and snapshots at once for half an hour: whether anything fails, slows down, grows or is lost.

    load.py KITHDB [--minutes 30] [--points 50000] [--readers 3] [--writers 2]

A closed loop: each of the threads asks again when it is answered, so the server is as busy as they can make it.
Writers own their ids: replace, delete and insert them in turn, so that the number of points stays about the same, and
know at the end what must be there. After a minute of warming up the time has three thirds. Fails if
- a request fails, or is answered by anything but 200,
- p99 of reads or writes is in the last third more than 1.3 times that of the first,
- memory that no file backs, or file handles, are in the last third more than a tenth above the second,
- at the end a point is not as it was acknowledged, or is not so after SIGKILL in the midst of writes and a new start,
  or the doctor finds something,
- under five times as many askers as are admitted anything but 200, 429 or 503 comes, one of these without
  `Retry-After`, none of them at all, or reads take longer than before five seconds after it.
"""

import argparse
import json
import random
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from server import Client, Report, Server, Watch, end_all, mib, quantile

DIM = 128
BATCH = 50
ADMITTED = 16
WARM_S = 60
CALM_S = 5


def vector(chance: random.Random) -> list[float]:
    return [round(chance.uniform(-1, 1), 3) for _ in range(DIM)]


class Load:
    def __init__(self, server: Server, arguments: argparse.Namespace) -> None:
        self.server, self.arguments = server, arguments
        self.until = 0.0
        self.faults: list[str] = []
        self.seen: dict[str, list[tuple[float, float]]] = {"read": [], "write": [], "snapshot": []}
        self.lock = threading.Lock()
        # Of each writer: the version of each of its points, none where it was deleted.
        self.known: list[dict[int, int | None]] = [{} for _ in range(arguments.writers)]
        # What was under way when the server was killed: as before, or as it would have become.
        self.doubtful: dict[int, int | None] = {}
        self.is_dying = False

    def timed(self, client: Client, kind: str, method: str, path: str, body: object) -> bool:
        """Whether it was done."""
        began = time.monotonic()
        try:
            status, answer, _ = client.ask(method, path, body)
        except OSError as error:
            status, answer = 0, str(error).encode()
        ended = time.monotonic()
        with self.lock:
            self.seen[kind].append((ended, ended - began))
            if status != 200 and not self.is_dying:
                self.faults.append(f"{method} {path}: {status} {answer[:300]!r}")
        return status == 200

    def change(self, client: Client, number: int, path: str, body: object, becomes: dict[int, int | None]) -> None:
        method = "POST" if path.endswith("delete?wait=true") else "PUT"
        if self.timed(client, "write", method, path, body):
            self.known[number].update(becomes)
        elif self.is_dying:
            # Only the first one of a writer that fails can have come to anything.
            with self.lock:
                self.doubtful = {**becomes, **self.doubtful}

    def put(self, client: Client, number: int, ids: list[int], version: int, chance: random.Random) -> None:
        points = []
        for one in ids:
            payload = {"version": version, "group": one % 100, "text": f"w{one}"}
            points.append({"id": one, "vector": vector(chance), "payload": payload})
        becomes = dict.fromkeys(ids, version)
        self.change(client, number, "/collections/load/points?wait=true", {"points": points}, becomes)

    def own(self, number: int) -> list[int]:
        return list(range(number, self.arguments.points, self.arguments.writers))

    def fill(self, number: int) -> None:
        client, chance, ids = Client(self.server), random.Random(number), self.own(number)
        for at in range(0, len(ids), 500):
            self.put(client, number, ids[at : at + 500], 0, chance)

    def write(self, number: int) -> None:
        client, chance, ids = Client(self.server), random.Random(100 + number), self.own(number)
        version = max((known for known in self.known[number].values() if known is not None), default=0)
        while time.monotonic() < self.until and self.server.is_alive():
            version += 1
            some = chance.sample(ids, min(2 * BATCH, len(ids)))
            self.put(client, number, some[:BATCH], version, chance)
            gone = some[BATCH:]
            path = "/collections/load/points/delete?wait=true"
            self.change(client, number, path, {"points": gone}, dict.fromkeys(gone))
            # What is deleted comes back with the next turns, so that the number of points has a level.
            missing = [one for one, known in self.known[number].items() if known is None]
            self.put(client, number, chance.sample(missing, min(BATCH, len(missing))), version, chance)

    def read(self, number: int) -> None:
        client, chance = Client(self.server), random.Random(200 + number)
        while time.monotonic() < self.until:
            body: dict[str, object] = {"query": vector(chance), "limit": 10, "with_payload": True}
            if chance.random() < 0.5:
                body["filter"] = {"must": [{"key": "group", "match": {"value": chance.randrange(100)}}]}
            self.timed(client, "read", "POST", "/collections/load/points/query", body)

    def keep(self) -> None:
        client = Client(self.server)
        while time.monotonic() < self.until:
            self.timed(client, "snapshot", "POST", "/collections/load/snapshots", None)
            for one in client.result("GET", "/collections/load/snapshots"):
                client.result("DELETE", f"/collections/load/snapshots/{one['name']}")
            time.sleep(10)

    def run(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds
        numbers = [(self.read, self.arguments.readers), (self.write, self.arguments.writers)]
        threads = [threading.Thread(target=of, args=(number,)) for of, count in numbers for number in range(count)]
        threads.append(threading.Thread(target=self.keep))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def die(self) -> None:
        """Has the server killed while all write."""
        self.is_dying, self.until = True, time.monotonic() + 60
        threads = [threading.Thread(target=self.write, args=(number,)) for number in range(self.arguments.writers)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        self.server.process.kill()
        self.server.process.wait()
        for thread in threads:
            thread.join()

    def lost(self) -> list[str]:
        """What is not as it was acknowledged."""
        client, found, start = Client(self.server), {}, None
        while True:
            body = {"limit": 1000, "with_payload": True, "offset": start}
            page = client.result("POST", "/collections/load/points/scroll", body)
            found.update((point["id"], point["payload"]["version"]) for point in page["points"])
            start = page["next_page_offset"]
            if start is None:
                break
        expected = {one: known for of in self.known for one, known in of.items() if known is not None}
        wrong = [one for one in expected.keys() | found.keys() if expected.get(one) != found.get(one)]
        wrong = [one for one in wrong if one not in self.doubtful or found.get(one) != self.doubtful[one]]
        return [f"point {one}: {found.get(one)}, acknowledged was {expected.get(one)}" for one in wrong]


def thirds(seen: list[tuple[float, float]], began: float, ended: float) -> list[list[float]]:
    length = (ended - began) / 3
    parts: list[list[float]] = [[], [], []]
    for at, value in seen:
        if began <= at < ended:
            parts[min(2, int((at - began) / length))].append(value)
    return parts


def overload(server: Server, report: Report, before: float) -> None:
    """Five times as many as are admitted, with questions that take long."""
    statuses: dict[int, int] = {}
    silent: list[int] = []
    until, lock = time.monotonic() + 15, threading.Lock()

    def ask(number: int) -> None:
        client, chance = Client(server), random.Random(number)
        while time.monotonic() < until:
            body = {"query": vector(chance), "limit": 500, "with_payload": True, "params": {"exact": True}}
            try:
                status, _, headers = client.ask("POST", "/collections/load/points/query", body)
            except OSError:
                status, headers = 0, {}
            with lock:
                statuses[status] = statuses.get(status, 0) + 1
                if status in (429, 503) and "retry-after" not in headers:
                    silent.append(status)
            if status != 200:
                time.sleep(0.05)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5 * ADMITTED)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(CALM_S)
    client, chance, times = Client(server), random.Random(7), []
    for _ in range(300):
        began = time.monotonic()
        client.result("POST", "/collections/load/points/query", {"query": vector(chance), "limit": 10})
        times.append(time.monotonic() - began)
    after = quantile(times, 0.5)
    report.row("answers under five times as many askers as are admitted", dict(sorted(statuses.items())))
    report.row(f"p50 of a read {CALM_S} s after that", f"{1000 * after:.1f} ms")
    report.must(set(statuses) <= {200, 429, 503}, f"overload was answered by {statuses}")
    report.must(bool(statuses.keys() & {429, 503}), "there was no overload: ask for more")
    report.must(not silent, f"{len(silent)} refusals did not say when to come back")
    report.must(after <= 1.3 * before, f"reads take {after:.4f} s after overload, {before:.4f} s before")


def measure(arguments: argparse.Namespace, folder: Path) -> int:
    server = Server(arguments.kithdb, folder, "--requests-max", str(ADMITTED))
    client = Client(server)
    client.result("PUT", "/collections/load", {"vectors": {"size": DIM, "distance": "Cosine"}})
    index = {"field_name": "group", "field_schema": "integer"}
    client.result("PUT", "/collections/load/index?wait=true", index)
    load, seconds = Load(server, arguments), 60 * arguments.minutes
    fillers = [threading.Thread(target=load.fill, args=(number,)) for number in range(arguments.writers)]
    for filler in fillers:
        filler.start()
    for filler in fillers:
        filler.join()
    warm = min(WARM_S, seconds / 10)
    load.run(warm)
    watch, began = Watch(server, 1), time.monotonic()
    load.run(seconds)
    ended, takes = time.monotonic(), watch.stop()
    report = Report(f"{arguments.minutes:g} minutes, {arguments.readers} read, {arguments.writers} write, snapshots")
    for kind in ["read", "write"]:
        parts = thirds(load.seen[kind], began, began + seconds)
        p50, p99 = [[1000 * quantile(part, of) for part in parts] for of in (0.5, 0.99)]
        report.row(f"{kind}s", f"{sum(map(len, parts)):,}")
        report.row(f"p50 of a {kind}, by thirds, ms", " / ".join(f"{value:.1f}" for value in p50))
        report.row(f"p99 of a {kind}, by thirds, ms", " / ".join(f"{value:.1f}" for value in p99))
        report.must(all(parts) and p99[2] <= 1.3 * p99[0], f"p99 of {kind}s is not flat: {p99}")
    report.row("snapshots made and removed", len(load.seen["snapshot"]))
    for what, name in [("anon", "memory that no file backs"), ("rss", "memory"), ("files", "file handles")]:
        levels = [max(part, default=0) for part in thirds([(at, one[what]) for at, one in takes], 0, ended - began)]
        shown = levels if what == "files" else [mib(level) for level in levels]
        report.row(f"{name} at most, by thirds", " / ".join(map(str, shown)))
        # Of what is mapped the system keeps what it has room for.
        flat = levels[2] <= 1.1 * levels[1] + (8 if what == "files" else 0)
        report.must(what == "rss" or flat, f"{name} grows: {levels}")
    report.must(not load.faults, f"{len(load.faults)} requests failed, the first: {load.faults[:1]}")
    lost = load.lost()
    report.row("points that are not as they were acknowledged", len(lost))
    report.must(not lost, f"lost, or there again: {lost[:3]}")
    alone = []
    for number in range(300):
        asked = time.monotonic()
        body = {"query": vector(random.Random(number)), "limit": 10}
        client.result("POST", "/collections/load/points/query", body)
        alone.append(time.monotonic() - asked)
    overload(server, report, quantile(alone, 0.5))
    load.die()
    load.server = Server(arguments.kithdb, folder)
    report.row("a start after SIGKILL in the midst of writes", f"{load.server.ready_s:.1f} s")
    lost = load.lost()
    report.row("points that are not as they were acknowledged, after it", len(lost))
    report.must(not lost, f"lost by SIGKILL: {lost[:3]}")
    report.row("a clean end", f"{load.server.stop():.1f} s")
    command = [arguments.kithdb, "doctor", "--data", str(folder / "data")]
    doctor = subprocess.run(command, check=False, capture_output=True, text=True)
    report.must(doctor.returncode == 0, f"the doctor: {doctor.stdout[-500:]}{doctor.stderr[-500:]}")
    load.server = Server(arguments.kithdb, folder)
    report.row("the next start", f"{load.server.ready_s:.1f} s")
    report.must(not load.lost(), "something is lost after the next start")
    load.server.stop()
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"faults": report.faults, "takes": takes}))
    return report.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kithdb")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--points", type=int, default=50_000)
    parser.add_argument("--readers", type=int, default=3)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--folder", help="where the database is made; it is removed afterwards")
    parser.add_argument("--json", help="a file for what was seen of the process, second by second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        try:
            return measure(arguments, Path(folder))
        finally:
            end_all()


if __name__ == "__main__":
    raise SystemExit(main())
