"""Asks KithDB and Qdrant's engine the same questions, and tells where the answers differ.

What is asked is the caller's business; here a server is started, points are loaded into both, and answers are compared.
Needs `qdrant-edge-py` (0.9), and the `kithdb` binary or the address of a server that runs.
"""

import argparse
import collections
import json
import random
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import qdrant_edge as edge

# The binary that a release build leaves.
BINARY = Path(__file__).resolve().parents[2] / "target" / "release" / "kithdb"

# How far apart scores may lie that are the same.
TOLERANCE = 1e-5


def arguments(description, count):
    """The arguments that every script takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--url", help="a running server; without it one is started on a directory that is removed")
    parser.add_argument("--binary", default=str(BINARY), help="the server to start")
    parser.add_argument("--seed", type=int, default=1, help="decides everything that is random")
    parser.add_argument("--count", type=int, default=count, help="how many questions are asked")
    return parser.parse_args()


class Server:
    """A KithDB server; of its own, unless an address is given."""

    def __init__(self, url, binary):
        self.process, self.folder = None, None
        if url:
            self.url = url.rstrip("/")
            return
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.folder = tempfile.TemporaryDirectory()
        self.url = f"http://127.0.0.1:{port}"
        command = [binary, "serve", "--data", f"{self.folder.name}/data", "--listen", f"127.0.0.1:{port}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url + "/healthz", timeout=1).read()
                return
            except OSError:
                time.sleep(0.05)
        self.close()
        raise SystemExit("the server does not answer")

    def call(self, method, path, body=None):
        """The result, or the text of the error as a `Refused`."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["result"]
        except urllib.error.HTTPError as error:
            return Refused(error.read().decode())

    def close(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Refused(str):
    """What was said instead of an answer. Two of them are equal: texts are not compared."""

    def __eq__(self, other):
        return isinstance(other, Refused)

    __hash__ = str.__hash__


class Pair:
    """One collection in both. `points` is a list of (id, vector or vectors by name, payload); `fields` are names and
    kinds of indexes. `spaces` is the size of the one vector, compared by dot product, or has (size, metric) or
    (size, metric, "multi") by name; `sparse` has by name whether there is idf."""

    def __init__(self, server, name, spaces, points, fields=(), sparse=None):
        self.server, self.name, self.folder = server, name, tempfile.TemporaryDirectory()
        spaces = {"": (spaces, "Dot")} if isinstance(spaces, int) else spaces
        self.create(spaces, sparse or {})
        for field, kind in fields:
            self.must("PUT", "/index", {"field_name": field, "field_schema": kind})
            schema = getattr(edge.PayloadSchemaType, kind.capitalize())
            self.shard.update(edge.UpdateOperation.create_field_index(field, schema))
        there = [edge.Point(number, vector_there(vector), payload) for number, vector, payload in points]
        self.shard.update(edge.UpdateOperation.upsert_points(there))
        here = [{"id": number, "vector": vector, "payload": payload} for number, vector, payload in points]
        self.must("PUT", "/points?wait=true", {"points": here})

    def create(self, spaces, sparse):
        max_sim = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
        here, there = {}, {}
        for name, (size, distance, *multi) in spaces.items():
            here[name] = {"size": size, "distance": distance}
            if multi:
                here[name]["multivector_config"] = {"comparator": "max_sim"}
            metric = getattr(edge.Distance, distance)
            there[name] = edge.EdgeVectorParams(size, metric, multivector_config=max_sim if multi else None)
        modifier = lambda idf: edge.Modifier.Idf if idf else None
        weights = {name: edge.EdgeSparseVectorParams(modifier=modifier(idf)) for name, idf in sparse.items()}
        self.shard = edge.EdgeShard.create(f"{self.folder.name}/shard", edge.EdgeConfig(there, weights, wal_enabled=False))
        self.server.call("DELETE", f"/collections/{self.name}")
        modifiers = {name: {"modifier": "idf"} if idf else {} for name, idf in sparse.items()}
        body = {"vectors": here.get("", here)}
        self.must("PUT", "", {**body, "sparse_vectors": modifiers} if sparse else body)

    def must(self, method, path, body):
        answer = self.ask(method, path, body)
        if isinstance(answer, Refused):
            raise SystemExit(f"{path or 'create'}: {answer}")
        return answer

    def ask(self, method, path, body):
        return self.server.call(method, f"/collections/{self.name}{path}", body)

    def scroll_here(self, body):
        """The ids of a page."""
        answer = self.ask("POST", "/points/scroll", body)
        return answer if isinstance(answer, Refused) else [point["id"] for point in answer["points"]]

    def scroll_there(self, request):
        try:
            return [point.id for point in self.shard.scroll(request)[0]]
        except Exception as error:  # The binding raises classes of its own.
            return Refused(error)

    def query_here(self, body):
        """The hits: (id, score)."""
        answer = self.ask("POST", "/points/query", body)
        return answer if isinstance(answer, Refused) else [(hit["id"], hit["score"]) for hit in answer["points"]]

    def query_there(self, request):
        try:
            return [(hit.id, hit.score) for hit in self.shard.query(request)]
        except BaseException as error:  # The binding raises classes of its own, and panics.
            if isinstance(error, KeyboardInterrupt):
                raise
            return Refused(error)

    def close(self):
        self.shard.close()
        self.folder.cleanup()


class Tally:
    """Counts questions, and prints each difference that is not a known one."""

    def __init__(self):
        self.asked, self.known, self.differences = 0, collections.Counter(), 0

    def compare(self, question, here, there, reason=None, same=None):
        """`same` says whether answers agree that need not be equal."""
        self.asked += 1
        if here == there if same is None else same:
            return
        if reason:
            self.known[reason] += 1
            return
        self.differences += 1
        print(f"DIFFERENT {json.dumps(question)}\n  here  {here}\n  there {there}")

    def finish(self):
        known = sum(self.known.values())
        print(f"{self.asked} questions, {self.differences} differences, {known} more that are written down")
        for reason, count in sorted(self.known.items()):
            print(f"  {count} of: {reason}")
        raise SystemExit(1 if self.differences else 0)


def vector_there(vector):
    """A vector, or vectors by name, in the engine's own classes."""
    if not isinstance(vector, dict):
        return vector
    if "indices" in vector:
        return edge.SparseVector(vector["indices"], vector["values"])
    return {name: vector_there(one) for name, one in vector.items()}


def values(payload, path):
    """What a path leads to; of a list at its end, what is in the list."""
    found = [payload]
    for step in path.split("."):
        name, *marks = step.split("[")
        found = [one[name] for one in found if isinstance(one, dict) and name in one]
        for mark in marks:
            lists = [one for one in found if isinstance(one, list)]
            found = [item for one in lists for item in (one if mark == "]" else one[int(mark[:-1]):][:1])]
    return [item for one in found for item in (one if isinstance(one, list) else [one])]


def fits(value, kind):
    """Whether an index of a kind holds a value as it is."""
    if kind == "datetime":
        return str(value).startswith("202")
    types = {"keyword": [str], "integer": [int], "float": [int, float], "bool": [bool], "geo": [dict]}
    return type(value) in types[kind]


def is_close(one, other):
    return abs(one - other) <= TOLERANCE * max(1.0, abs(one), abs(other))


def same_ranking(here, there, everything):
    """Whether two lists of (id, score) are one ranking. Equal scores are in any order, so ids are looked up in
    `everything`, the scores of all that could have been hits."""
    if isinstance(here, Refused) or isinstance(there, Refused):
        return here == there
    scores = dict(everything)
    ids = [number for number, _ in here]
    if len(here) != len(there) or len(set(ids)) != len(ids) or not scores.keys() >= set(ids):
        return False
    pairs = zip(here, there)
    return all(is_close(one, other) and is_close(one, scores[number]) for (number, one), (_, other) in pairs)


def dice(seed):
    return random.Random(seed)
