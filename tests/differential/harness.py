"""Asks KithDB and Qdrant's engine the same questions, and tells where the answers differ.

What is asked is the caller's business; here a server is started, points are loaded into both, and answers are compared.
Needs `qdrant-edge-py` (0.9), and the `kithdb` binary or the address of a server that runs.
"""

import argparse
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
    """One collection in both. `points` is a list of (id, vector, payload); `fields` are names and kinds of indexes."""

    def __init__(self, server, name, size, points, fields=()):
        self.server, self.name, self.folder = server, name, tempfile.TemporaryDirectory()
        config = edge.EdgeConfig(vectors=edge.EdgeVectorParams(size, edge.Distance.Dot))
        self.shard = edge.EdgeShard.create(f"{self.folder.name}/shard", config)
        server.call("DELETE", f"/collections/{name}")
        self.must("PUT", "", {"vectors": {"size": size, "distance": "Dot"}})
        for field, kind in fields:
            self.must("PUT", "/index", {"field_name": field, "field_schema": kind})
            schema = getattr(edge.PayloadSchemaType, kind.capitalize())
            self.shard.update(edge.UpdateOperation.create_field_index(field, schema))
        there = [edge.Point(number, vector, payload) for number, vector, payload in points]
        self.shard.update(edge.UpdateOperation.upsert_points(there))
        here = [{"id": number, "vector": vector, "payload": payload} for number, vector, payload in points]
        self.must("PUT", "/points?wait=true", {"points": here})

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

    def close(self):
        self.shard.close()
        self.folder.cleanup()


class Tally:
    """Counts questions, and prints each difference that is not a known one."""

    def __init__(self):
        self.asked, self.known, self.differences = 0, 0, 0

    def compare(self, question, here, there, reason=None):
        self.asked += 1
        if here == there:
            return
        if reason:
            self.known += 1
            return
        self.differences += 1
        print(f"DIFFERENT {json.dumps(question)}\n  here  {here}\n  there {there}")

    def finish(self):
        print(f"{self.asked} questions, {self.differences} differences, {self.known} more that are written down")
        raise SystemExit(1 if self.differences else 0)


def dice(seed):
    return random.Random(seed)
