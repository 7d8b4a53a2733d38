"""Thousands of small collections in one server: what each of them takes, and what a start with all of them.

    tenants.py KITHDB [--tenants 10000] [--bytes-max 65536] [--handles-max 1024]

Each is made, gets a few points and is asked. What the process takes is looked at on the way, and after a new start.
Fails if a request fails, if memory that no file backs grows by more than `bytes-max` a collection between a tenth and
all of them, if there are more file handles than `handles-max`, or if a point is missing after the new start.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path

from server import Client, Report, Server, end_all, mib, quantile

DIM = 32
POINTS = 5
ASKED = 500


def vector(chance: random.Random) -> list[float]:
    return [round(chance.uniform(-1, 1), 3) for _ in range(DIM)]


def make(client: Client, number: int, chance: random.Random) -> None:
    client.result("PUT", f"/collections/tenant{number}", {"vectors": {"size": DIM, "distance": "Cosine"}})
    points = [{"id": one, "vector": vector(chance), "payload": {"tenant": number}} for one in range(POINTS)]
    client.result("PUT", f"/collections/tenant{number}/points?wait=true", {"points": points})


def ask(client: Client, tenants: int, report: Report) -> list[float]:
    """Asks some of them: how long that takes."""
    chance, times = random.Random(3), []
    for _ in range(ASKED):
        number, began = chance.randrange(tenants), time.monotonic()
        body = {"query": vector(chance), "limit": POINTS, "with_payload": True}
        found = client.result("POST", f"/collections/tenant{number}/points/query", body)["points"]
        times.append(time.monotonic() - began)
        right = len(found) == POINTS and all(point["payload"]["tenant"] == number for point in found)
        report.must(right, f"tenant {number} answers {found}")
    return times


def measure(arguments: argparse.Namespace, folder: Path) -> int:
    tenants = arguments.tenants
    report = Report(f"{tenants:,} collections of {POINTS} points")
    server = Server(arguments.kithdb, folder)
    client, chance = Client(server), random.Random(2)
    steps = sorted({max(1, tenants // part) for part in (100, 10, 2, 1)})
    began, levels = time.monotonic(), {}
    for number in range(tenants):
        make(client, number, chance)
        if number + 1 in steps:
            levels[number + 1] = takes = server.takes()
            told = f"{mib(takes['anon'])}, {takes['files']} handles, {takes['maps']} maps, {takes['threads']} threads"
            report.row(f"with {number + 1:,}", told)
    report.row("made and filled, each", f"{1000 * (time.monotonic() - began) / tenants:.1f} ms")
    least, most = min(steps, key=lambda step: abs(step - tenants // 10)), tenants
    if most > least:
        each = (levels[most]["anon"] - levels[least]["anon"]) / (most - least)
        report.row("memory of a collection", f"{each / 1024:.1f} KiB")
        report.must(each <= arguments.bytes_max, f"a collection takes {each:.0f} bytes")
    times = ask(client, tenants, report)
    p50, p99 = [1000 * quantile(times, part) for part in (0.5, 0.99)]
    report.row("a question, p50 and p99", f"{p50:.1f} and {p99:.1f} ms")
    report.row("a clean end", f"{server.stop():.1f} s")
    again = Server(arguments.kithdb, folder)
    client, takes = Client(again), again.takes()
    told = f"{mib(takes['anon'])}, {takes['files']} handles, {takes['maps']} maps, {takes['threads']} threads"
    report.row("a new start", f"{again.ready_s:.1f} s: {told}")
    found = len(client.result("GET", "/collections")["collections"])
    report.must(found == tenants, f"{found} of {tenants} collections are there")
    ask(client, tenants, report)
    takes = max([*levels.values(), takes, again.takes()], key=lambda one: one["files"])
    report.must(takes["files"] <= arguments.handles_max, f"{takes['files']} file handles are open")
    again.stop()
    return report.end()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kithdb")
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--bytes-max", type=int, default=64 << 10)
    parser.add_argument("--handles-max", type=int, default=1_024)
    parser.add_argument("--folder", help="where the database is made; it is removed afterwards")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        try:
            return measure(arguments, Path(folder))
        finally:
            end_all()


if __name__ == "__main__":
    raise SystemExit(main())
