#!/usr/bin/env python3
"""Rows a second into a server over HTTP: columns (Arrow IPC, Parquet) beside JSON upserts of 1,000 points.

Bodies are made before the clock runs, so the client only sends. Each way fills a collection of its own, and is waited
for until graphs cover all rows but a last part that is too small for one. Needs numpy and pyarrow.

    bulk.py --url http://127.0.0.1:6333 --rows 100000 --dim 384
"""

import argparse
import http.client
import io
import json
import time
from urllib.parse import urlparse

import numpy
import pyarrow
import pyarrow.parquet

# Fewer rows than these get no graph: a scan of them is faster.
GRAPH_ROWS_MIN = 4096


def call(address, method, path, body=None, kind="application/json"):
    """Sends a request; what is answered."""
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=600)
    connection.request(method, path, body, {"content-type": kind})
    answer = connection.getresponse()
    text = answer.read()
    assert answer.status == 200, text[:500]
    return json.loads(text)


def table(vectors):
    flat = pyarrow.array(vectors.reshape(-1), pyarrow.float32())
    column = pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    ids = pyarrow.array(range(len(vectors)), pyarrow.uint64())
    return pyarrow.table({"id": ids, "vector": column})


def json_bodies(vectors, batch):
    for start in range(0, len(vectors), batch):
        points = [
            {"id": start + row, "vector": vector}
            for row, vector in enumerate(vectors[start : start + batch].tolist())
        ]
        yield json.dumps({"points": points}).encode()


def upsert(address, name, bodies):
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=600)
    for body in bodies:
        connection.request("PUT", f"/collections/{name}/points?wait=true", body, {"content-type": "application/json"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()


def column_bodies(vectors):
    columns, stream, parquet = table(vectors), io.BytesIO(), io.BytesIO()
    with pyarrow.ipc.new_stream(stream, columns.schema) as writer:
        writer.write_table(columns, max_chunksize=8192)
    pyarrow.parquet.write_table(columns, parquet)
    return {"arrow": stream.getvalue(), "parquet": parquet.getvalue()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", default="http://127.0.0.1:6333")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ways", default="json,arrow,parquet")
    arguments = parser.parse_args()
    address = urlparse(arguments.url)
    vectors = numpy.random.default_rng(7).standard_normal((arguments.rows, arguments.dim), dtype=numpy.float32)
    lines = list(json_bodies(vectors, arguments.batch))
    columns = column_bodies(vectors)
    print("| way | bytes | seconds | rows/s | until indexed |")
    print("| --- | ----- | ------- | ------ | ------------- |")
    for _ in range(arguments.rounds):
        for way in arguments.ways.split(","):
            name = f"bulk_{way}"
            call(address, "DELETE", f"/collections/{name}")
            schema = {"vectors": {"size": arguments.dim, "distance": "Cosine"}}
            call(address, "PUT", f"/collections/{name}", json.dumps(schema))
            began = time.perf_counter()
            if way == "json":
                upsert(address, name, lines)
            else:
                body, kind = columns[way], f"application/vnd.apache.{way}" + (".stream" if way == "arrow" else "")
                call(address, "POST", f"/api/v1/collections/{name}/import", body, kind)
            seconds = time.perf_counter() - began
            while True:
                told = call(address, "GET", f"/collections/{name}")["result"]
                if told["indexed_vectors_count"] > arguments.rows - GRAPH_ROWS_MIN:
                    break
                time.sleep(0.02)
            indexed = time.perf_counter() - began
            assert told["points_count"] == arguments.rows, told
            sent = sum(map(len, lines)) if way == "json" else len(columns[way])
            rate = arguments.rows / seconds
            print(f"| {way} | {sent:,} | {seconds:.2f} | {rate:,.0f} | {indexed:.2f} |", flush=True)


if __name__ == "__main__":
    main()
