#!/usr/bin/env python3
"""The mixed load of `kithdb-bench mixed` on other databases that run in the process: qdrant-edge and lancedb.

    python3 -m venv venv && venv/bin/pip install numpy qdrant-edge-py lancedb
    cargo run --release -p kithdb-benches -- mixed --data DIR --rows 100000 --seconds 30
    venv/bin/python benches/compare/mixed.py qdrant-edge --data DIR --rows 100000 --seconds 30
    venv/bin/python benches/compare/mixed.py lancedb     --data DIR --rows 100000 --seconds 30

and each again with --turnover. DIR holds base.fbin, query.fbin, meta.json, and attr.npy if rows have numbers of their
own; --synthetic 20000x64 needs none. It needs databases.py beside it and what its first line installs; nothing depends
on it.

One thread asks and one writes, with the index built before; shares, batches, filter and tables are those of the
program in Rust. What differs, and must be said beside the figures:
- Calls come from Python, and its lock is part of every latency; requests and points are made outside of what is timed,
  but in the same process. The interpreter changes threads every 0.1 ms instead of 5 ms, which helps these databases.
- Neither indexes what is written later by itself. With --optimize-seconds they are told to, on a third thread; optimize() of
  qdrant-edge does not let go of Python's lock, so all else stands still meanwhile.
- Durability is theirs by default: qdrant-edge writes a log without fsync, lancedb files without fsync.
- The load is a closed loop: a call that stands still for seconds is one slow call, seen in the longest and in calls a
  second, not in p99.
- Exact answers are computed here, from what was written and not deleted, not by the database.
"""
import argparse
import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
import threading
import time

import numpy as np

from databases import DATABASES, FIELD, HITS, LABELS

RECALL_QUERIES = 200
UPSERT_POINTS, REPLACED, DELETE_POINTS = 100, 50, 50
AHEAD_MAX, WAIT, IDLE_MAX = 100, 1e-4, 10
NOISE = 0.1  # of added vectors, of the mean distance between nearest neighbours


# ------------------------------------------------------------------------------------------------------- the set
class Set:
    """Vectors, queries and numbers; and, from a shuffled order of its rows, what is loaded and what is written."""

    def __init__(self, arguments):
        if arguments.synthetic:
            self.metric, self.base, self.queries = "cosine", *synthetic(arguments.synthetic)
        else:
            meta = json.load(open(os.path.join(arguments.data, "meta.json")))
            self.metric = "l2" if meta["metric"] == "l2" else "cosine" if meta.get("cosine") else "dot"
            self.base, self.queries = (fbin(os.path.join(arguments.data, name)) for name in ("base.fbin", "query.fbin"))
        if self.metric == "cosine":
            for vectors in (self.base, self.queries):
                vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        self.dim, rng = self.base.shape[1], np.random.default_rng(1)
        attr = os.path.join(arguments.data or "", "attr.npy")
        has_attr = arguments.data and os.path.exists(attr)
        self.numbers = np.load(attr) if has_attr else rng.integers(0, LABELS, len(self.base))
        self.rows = min(arguments.rows or len(self.base) * 2 // 3, len(self.base))
        self.order = rng.permutation(len(self.base))
        self.spread = NOISE * self.neighbour_distance() / np.sqrt(self.dim)

    def neighbour_distance(self):
        sample = self.base[:: max(1, len(self.base) // 200)]
        squares = (self.base**2).sum(1)
        apart = (sample**2).sum(1)[:, None] + squares - 2 * sample @ self.base.T
        return float(np.sqrt(np.maximum(np.partition(apart, 1, axis=1)[:, 1], 0)).mean())

    def loaded(self, places):
        rows = self.order[places]
        return self.base[rows], self.numbers[rows]

    def fresh(self, batch):
        """The vectors and numbers of a batch, the same ones each time: rows not loaded, then rows with noise."""
        held_back = self.order[self.rows :]
        pool = held_back if len(held_back) else self.order
        places = np.arange(batch * UPSERT_POINTS, (batch + 1) * UPSERT_POINTS)
        rows = pool[places % len(pool)]
        vectors, numbers = self.base[rows], self.numbers[rows].copy()
        noisy = places >= len(held_back)
        if noisy.any():
            rng = np.random.default_rng(batch)
            noise = rng.standard_normal((int(noisy.sum()), self.dim), np.float32)
            vectors[noisy] += np.float32(self.spread) * noise
            numbers[noisy] = rng.integers(0, LABELS, len(noise))
        return vectors, numbers


def fbin(path):
    with open(path, "rb") as file:
        rows, dim = (int(number) for number in np.fromfile(file, np.uint32, 2))
        return np.fromfile(file, np.float32, rows * dim).reshape(rows, dim)


def synthetic(shape):
    rows, dim = (int(number) for number in shape.split("x"))
    rng = np.random.default_rng(2)
    axes, centres = rng.normal(size=(24, dim)), rng.normal(size=(200, 24))
    count = rows + max(1, min(1000, rows // 10))
    inner = centres[rng.integers(0, 200, count)] + 0.5 * rng.normal(size=(count, 24))
    vectors = (inner @ axes + 0.25 * rng.normal(size=(count, dim))).astype(np.float32)
    return vectors[:rows], vectors[rows:]


# ------------------------------------------------------------------------------------------------------- the load
class Bench:
    def __init__(self, arguments, path):
        self.arguments, self.set = arguments, Set(arguments)
        self.memory_before = resident_bytes()
        self.database = DATABASES[arguments.database](path, self.set.dim, self.set.metric, arguments.ef)
        self.requests = [
            [self.database.request(vector, is_filtered) for vector in self.set.queries] for is_filtered in (False, True)
        ]
        # By id: the place in the order of loaded rows (from 0), or the place among fresh ones (from -1 down).
        self.alive = {id: id for id in range(self.set.rows)}
        size = 10_000
        for start in range(0, self.set.rows, size):
            places = np.arange(start, min(self.set.rows, start + size))
            self.database.upsert(self.database.points(places, *self.set.loaded(places)))
        head = ["state", "points", "segments", "rows without index"]
        self.states = [head + ["p50", "recall@10", "p50, filter", "recall@10, filter"]]

    def vectors_alive(self):
        ids = np.fromiter(self.alive.keys(), np.int64)
        places = np.fromiter(self.alive.values(), np.int64)
        vectors, numbers = np.empty((len(ids), self.set.dim), np.float32), np.empty(len(ids), np.int64)
        loaded = places >= 0
        vectors[loaded], numbers[loaded] = self.set.loaded(places[loaded])
        fresh = -1 - places
        for batch in np.unique(fresh[~loaded] // UPSERT_POINTS):
            own = ~loaded & (fresh // UPSERT_POINTS == batch)
            all_vectors, all_numbers = self.set.fresh(int(batch))
            places_in_batch = fresh[own] % UPSERT_POINTS
            vectors[own], numbers[own] = all_vectors[places_in_batch], all_numbers[places_in_batch]
        return ids, vectors, numbers

    def answered(self, is_filtered, alive):
        """The median latency of some queries, and their recall."""
        ids, vectors, numbers = alive
        requests, latencies, answers = self.requests[is_filtered][:RECALL_QUERIES], [], []
        for request in requests:
            answers.append(timed(latencies, self.database.ask, request))
        if is_filtered:
            ids, vectors = ids[numbers < LABELS // 10], vectors[numbers < LABELS // 10]
        found = wanted = 0
        for query, answer in zip(self.set.queries, answers):
            best = set(ids[nearest(self.set.metric, query, vectors)].tolist())
            dead = set(answer) - self.alive.keys()
            if dead:
                print(f"hits that were deleted: {sorted(dead)}", file=sys.stderr)
            found, wanted = found + len(best & set(answer)), wanted + len(best)
        return milliseconds(latencies, 50), f"{found / max(1, wanted):.3f}"

    def state(self, name):
        say(name)
        alive = self.vectors_alive()
        segments, without = self.database.shape()
        figures = [*self.answered(False, alive), *self.answered(True, alive)]
        self.states.append([name, str(len(self.alive)), str(segments), str(without), *figures])

    def optimized(self, name):
        say("optimizing")
        self.database.optimize()
        self.state(f"{name}, optimised")


class Load:
    """Reads, and writes if there is a share of them, for some seconds."""

    def __init__(self, bench, seconds, share):
        self.bench, self.share = bench, share
        self.reads, self.upserts, self.deletes, self.optimizes, self.errors = ([], []), [], [], [], []
        self.asked = self.written = self.upserted = self.deleted = 0
        self.waited = {"reader": 0.0, "writer": 0.0}
        self.memory_max, begun = 0, time.perf_counter()
        self.until = begun + seconds
        parts = [self.read] + ([self.write, self.watch] if share else [])
        if share and bench.arguments.optimize_seconds:
            parts.append(self.optimize)
        threads = [threading.Thread(target=self.guarded, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.elapsed = time.perf_counter() - begun
        if self.errors:
            raise self.errors[0]

    def guarded(self, part):
        try:
            part()
        except Exception as error:
            self.errors.append(error)
            self.until = 0

    def is_on(self):
        return time.perf_counter() < self.until

    def ahead(self):
        return self.asked * self.share - self.written * (1 - self.share)

    def wait(self, who, may):
        begun = time.perf_counter()
        while not may() and self.is_on():
            time.sleep(WAIT)
        self.waited[who] += time.perf_counter() - begun

    def read(self):
        while True:
            if self.share:
                self.wait("reader", lambda: self.ahead() <= AHEAD_MAX)
            if not self.is_on():
                return
            requests = self.bench.requests[self.asked % 2]
            request = requests[self.asked // 2 % len(requests)]
            timed(self.reads[self.asked % 2], self.bench.database.ask, request)
            self.asked += 1

    def write(self):
        bench, rng, batch = self.bench, np.random.default_rng(3), 0
        database, ids, next_id = bench.database, list(bench.alive), bench.set.rows
        while True:
            self.wait("writer", lambda: self.ahead() >= -AHEAD_MAX)
            if not self.is_on():
                return
            replaced = min(REPLACED, len(ids))
            written = [ids[at] for at in rng.choice(len(ids), replaced, replace=False)]
            new = list(range(next_id, next_id + UPSERT_POINTS - replaced))
            next_id, written, ids = next_id + len(new), written + new, ids + new
            points = database.points(written, *bench.set.fresh(batch))
            timed(self.upserts, self.patient, database.upsert, points)
            for at, id in enumerate(written):
                bench.alive[id] = -1 - (batch * UPSERT_POINTS + at)
            self.upserted, self.written, batch = self.upserted + len(written), self.written + len(written), batch + 1
            dead = []
            while len(dead) < DELETE_POINTS and ids:
                at = int(rng.integers(len(ids)))
                ids[at], ids[-1] = ids[-1], ids[at]
                dead.append(ids.pop())
            timed(self.deletes, self.patient, database.delete, database.ids(dead))
            for id in dead:
                del bench.alive[id]
            self.deleted, self.written = self.deleted + len(dead), self.written + len(dead)

    def patient(self, call, what):
        """Again where a commit of the optimisation came between; anything else is an error."""
        for attempt in range(10):
            try:
                return call(what)
            except Exception as error:
                if "conflict" not in str(error).lower() or attempt == 9:
                    raise
                say(f"again after: {str(error)[:80]}")

    def optimize(self):
        while self.is_on():
            time.sleep(min(self.bench.arguments.optimize_seconds, max(0, self.until - time.perf_counter())))
            if self.is_on():
                timed(self.optimizes, self.patient, lambda _: self.bench.database.optimize(), None)

    def watch(self):
        while self.is_on():
            self.memory_max = max(self.memory_max, resident_bytes())
            time.sleep(0.02)


def mixed(bench):
    arguments = bench.arguments
    bench.optimized("loaded")
    memory_loaded = resident_bytes()
    say("reads alone")
    idle = Load(bench, min(arguments.seconds, IDLE_MAX), 0)
    say("reads and writes")
    load = Load(bench, arguments.seconds, arguments.write_share)
    (segments, without), memory_end = bench.database.shape(), resident_bytes()
    bench.state("right after")
    bench.optimized("right after")
    percent = lambda part, whole: f"{100 * part / whole:.1f} %"
    own = [
        ["mixed load", ""],
        ["threads that read, that write", "1, 1"],
        ["writes, of all operations", percent(load.written, max(1, load.written + load.asked))],
        ["readers waited for writers", percent(load.waited["reader"], load.elapsed)],
        ["writers waited for readers", percent(load.waited["writer"], load.elapsed)],
        ["optimisations that were told", str(len(load.optimizes))],
        ["longest optimisation", milliseconds(load.optimizes, 100)],
        ["segments at the end", str(segments)],
        ["rows without index at the end", str(without)],
        ["memory before, the set in it", megabytes(bench.memory_before)],
        ["memory after the load", megabytes(memory_loaded)],
        ["memory at most, reads and writes", megabytes(load.memory_max)],
        ["memory at the end", megabytes(memory_end)],
    ]
    writes = [
        write_row(f"upsert of {UPSERT_POINTS} points", load.upserts, load.upserted, load.elapsed),
        write_row(f"delete of {DELETE_POINTS} points", load.deletes, load.deleted, load.elapsed),
        write_row("all writes", load.upserts + load.deletes, load.written, load.elapsed),
    ]
    return [reads_table(idle, load), [WRITES_HEAD, *writes], own, bench.states]


def turnover(bench):
    rng, rows, database = np.random.default_rng(4), bench.set.rows, bench.database
    bench.state("loaded")
    bench.optimized("loaded")
    others, upserts, deletes = rng.permutation(rows), [], []
    for ids in batches(rng.permutation(rows)):
        timed(upserts, database.upsert, database.points(ids, *bench.set.loaded(others[ids])))
        bench.alive.update((int(id), int(others[id])) for id in ids)
    bench.state("replaced")
    bench.optimized("replaced")
    deleted = rng.permutation(rows)[: rows // 2]
    for ids in batches(deleted):
        timed(deletes, database.delete, database.ids(ids.tolist()))
        for id in ids:
            del bench.alive[int(id)]
    bench.state("deleted")
    bench.optimized("deleted")
    writes = [
        write_row(f"upsert of {UPSERT_POINTS} points", upserts, rows, sum(upserts)),
        write_row(f"delete of {UPSERT_POINTS} points", deletes, len(deleted), sum(deletes)),
    ]
    return [bench.states, [WRITES_HEAD, *writes]]


def batches(ids):
    return (ids[start : start + UPSERT_POINTS] for start in range(0, len(ids), UPSERT_POINTS))


def nearest(metric, query, vectors):
    products = vectors @ query
    if metric == "l2":
        distances = (vectors**2).sum(1) - 2 * products
    elif metric == "cosine":
        distances = -products / np.linalg.norm(vectors, axis=1)
    else:
        distances = -products
    count = min(HITS, len(distances))
    return np.argpartition(distances, count - 1)[:count] if count else np.empty(0, np.int64)


# -------------------------------------------------------------------------------------------------------- figures
WRITES_HEAD = ["writes", "calls", "points/s", "p50", "p99", "longest"]


def reads_table(idle, load):
    table = [
        ["reads, 10 hits", "idle/s", "idle p50", "idle p99", "mixed/s", "mixed p50", "mixed p99", "longest"]
        + ["p50 ratio", "p99 ratio"]
    ]
    kinds = {"all reads": (0, 1), "without filter": (0,), "filter passes 10 %": (1,)}
    for name, which in kinds.items():
        alone, both = (sum((each.reads[kind] for kind in which), []) for each in (idle, load))
        row = [name]
        for latencies, elapsed in ((alone, idle.elapsed), (both, load.elapsed)):
            row += [f"{len(latencies) / elapsed:.0f}", milliseconds(latencies, 50), milliseconds(latencies, 99)]
        row.append(milliseconds(both, 100))
        ratio = lambda percent: percentile(both, percent) / max(percentile(alone, percent), 1e-9)
        table.append(row + [f"{ratio(50):.2f}", f"{ratio(99):.2f}"])
    return table


def write_row(name, latencies, points, elapsed):
    figures = [milliseconds(latencies, percent) for percent in (50, 99, 100)]
    return [name, str(len(latencies)), f"{points / max(elapsed, 1e-9):.0f}", *figures]


def timed(latencies, call, *what):
    begun = time.perf_counter()
    answer = call(*what)
    latencies.append(time.perf_counter() - begun)
    return answer


def percentile(latencies, percent):
    return float(np.percentile(latencies, percent, method="inverted_cdf")) if latencies else 0.0


def milliseconds(latencies, percent):
    value = percentile(latencies, percent) * 1e3
    return f"{value:.{3 if value < 1 else 2 if value < 100 else 0}f} ms"


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def megabytes(count):
    return f"{count / 1e6:.1f} MB"


def markdown(table):
    widths = [max(3, *(len(row[column]) for row in table)) for column in range(len(table[0]))]
    lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |" for row in table]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def say(text):
    print(text, file=sys.stderr, flush=True)


def share(text):
    if not 0.01 <= float(text) <= 0.99:
        raise argparse.ArgumentTypeError("expected a number from 0.01 to 0.99")
    return float(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("database", choices=DATABASES)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", help="a folder with base.fbin, query.fbin, meta.json")
    source.add_argument("--synthetic", help="instead of a folder: ROWSxDIM")
    parser.add_argument("--rows", type=int, help="points that are loaded; two thirds of the set if absent")
    parser.add_argument("--seconds", type=float, default=30, help="how long reads and writes last")
    parser.add_argument("--write-share", type=share, default=0.5, help="which part of all operations are writes")
    parser.add_argument("--ef", type=int, default=64, help="the beam of their graph search")
    parser.add_argument("--optimize-seconds", type=float, default=0, help="optimise so often while writing; 0: never")
    parser.add_argument("--turnover", action="store_true", help="instead: replace every point, then delete half")
    parser.add_argument("--folder", help="where the database is made, in a folder that is removed afterwards")
    arguments = parser.parse_args()
    sys.setswitchinterval(1e-4)
    path = tempfile.mkdtemp(dir=arguments.folder)
    try:
        bench = Bench(arguments, os.path.join(path, "database"))
        tables = (turnover if arguments.turnover else mixed)(bench)
        bench.database.close()
    finally:
        shutil.rmtree(path, ignore_errors=True)
    set_name = os.path.basename(os.path.normpath(arguments.data)) if arguments.data else "synthetic"
    package = DATABASES[arguments.database].package
    print(
        f"{package} {importlib.metadata.version(package)}, ef {arguments.ef}; {set_name}: {bench.set.rows} points of "
        f"{bench.set.dim} elements, {bench.set.metric}; optimised "
        + (f"every {arguments.optimize_seconds:g} s." if arguments.optimize_seconds else "before and after only.")
    )
    print("\n" + "\n\n".join(markdown(table) for table in tables))


if __name__ == "__main__":
    main()
