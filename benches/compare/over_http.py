#!/usr/bin/env python3
"""Searches over HTTP beside the same searches in process: requests a second, latencies, and the CPU time that HTTP adds.

Fills a collection with clustered vectors, asks it by `wrk` over 1, 8 and 64 connections, stops the server, and asks the
same of its directory in process (`kithdb-bench embedded`), all in one run. The client takes CPU time too: on a machine
of few cores the rates are those of both together, so what HTTP adds is told by the server's own CPU time. Needs numpy,
and Debian's wrk.

    over_http.py --release target/release
"""

import argparse
import http.client
import json
import pathlib
import re
import subprocess
import tempfile
import time

import numpy

PORT = 6399
NAME = "searched"
LUA = """
local bodies, next_body = {}, 0
function init(args)
  for line in io.lines("BODIES") do bodies[#bodies + 1] = line end
  wrk.method, wrk.headers["Content-Type"] = "POST", "application/json"
end
function request()
  next_body = next_body % #bodies + 1
  return wrk.format(nil, nil, nil, bodies[next_body])
end
"""


def call(method, path, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=600)
    connection.request(method, path, json.dumps(body) if body is not None else None, {"content-type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text[:500]
    return json.loads(text) if text.startswith(b"{") else text


def clustered(dice, rows, dim):
    """Vectors near a surface of 24 dimensions, as those of `benches/src/clusters.rs`."""
    axes, centres = dice.standard_normal((24, dim)), dice.standard_normal((200, 24))
    inner = centres[dice.integers(0, 200, rows)] + 0.5 * dice.standard_normal((rows, 24))
    vectors = inner @ axes + 0.05 * 24**0.5 * dice.standard_normal((rows, dim))
    return (vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)).astype(numpy.float32)


def fill(vectors, batch=1000):
    call("PUT", f"/collections/{NAME}", {"vectors": {"size": vectors.shape[1], "distance": "Cosine"}})
    for start in range(0, len(vectors), batch):
        rows = vectors[start : start + batch].tolist()
        points = [{"id": start + row, "vector": vector} for row, vector in enumerate(rows)]
        call("PUT", f"/collections/{NAME}/points?wait=true", {"points": points})
    call("POST", f"/api/v1/collections/{NAME}/optimize", {"wait": True})


def cpu_s(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}[unit]


def load(process, script, connections, seconds):
    """Requests a second, p50 and p99 in ms, CPU time of the server a request in µs."""
    url = f"http://127.0.0.1:{PORT}/collections/{NAME}/points/query"
    before = cpu_s(process)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = cpu_s(process) - before
    assert "Non-2xx" not in told and "Socket errors" not in told, told
    count = int(re.search(r"(\d+) requests in", told)[1])
    p50, p99 = (milliseconds(re.search(rf"^ +{share}%\s+(\S+)", told, re.M)[1]) for share in (50, 99))
    return count / seconds, p50, p99, used / count * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--release", type=pathlib.Path, default=pathlib.Path("target/release"))
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    dice = numpy.random.default_rng(7)
    vectors = clustered(dice, given.rows + 1000, given.dim)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        bodies = folder / "bodies.jsonl"
        queries = [{"query": [round(x, 6) for x in vector], "limit": given.limit} for vector in vectors[given.rows :].tolist()]
        bodies.write_text("\n".join(json.dumps(query) for query in queries) + "\n")
        script = folder / "ask.lua"
        script.write_text(LUA.replace("BODIES", str(bodies)))
        serve = [given.release / "kithdb", "serve", "--data", folder / "db", "--listen", f"127.0.0.1:{PORT}", "--sampled", "0"]
        # A server that nobody waits for writes more to its log than a pipe holds.
        process = subprocess.Popen(serve, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            deadline = time.time() + 60
            while time.time() < deadline:
                try:
                    call("GET", "/readyz")
                    break
                except OSError:
                    time.sleep(0.1)
            fill(vectors[: given.rows])
            load(process, script, 8, 3)
            found = {connections: [load(process, script, connections, given.seconds) for _ in range(given.rounds)]
                     for connections in (1, 8, 64)}
        finally:
            process.terminate()
            process.wait()
        embedded = [given.release / "kithdb-bench", "embedded", "--data", folder / "db", "--collection", NAME,
                    "--bodies", bodies, "--seconds", str(given.seconds)]
        rounds = [json.loads(subprocess.run(embedded, check=True, capture_output=True, text=True).stdout) for _ in range(given.rounds)]
    median = lambda values: float(numpy.median(list(values)))
    own = median(one["cpu_us"] for one in rounds)
    print(f"{given.rows} x {given.dim}, {given.limit} hits, median of {given.rounds} rounds of {given.seconds} s\n")
    print("| connections | requests/s | p50 ms | p99 ms | server CPU µs a request | over in process µs |")
    print("| --- | --- | --- | --- | --- | --- |")
    p50, p99 = (median(one[name] / 1e3 for one in rounds) for name in ("p50_us", "p99_us"))
    print(f"| in process | {1e6 / own:.0f} | {p50:.3f} | {p99:.3f} | {own:.1f} | |")
    for connections, loads in found.items():
        rate, p50, p99, cpu = (median(values) for values in zip(*loads))
        print(f"| {connections} | {rate:.0f} | {p50:.3f} | {p99:.3f} | {cpu:.1f} | {cpu - own:.1f} |")


if __name__ == "__main__":
    main()
