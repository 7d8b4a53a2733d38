"""A plugin of pytest: clients that would keep their data in memory talk to the server at KITHDB_URL instead.

Suites that were written for the in-memory client run against a server so. Before each test its collections are removed.
"""

import functools
import json
import os
import urllib.parse
import urllib.request

import pytest
import qdrant_client

URL = os.environ["KITHDB_URL"]


def redirected(init):
    """The constructor of a client, which goes to the server wherever it was sent."""

    @functools.wraps(init)
    def connect(self, location=None, *rest, **options):
        if location != ":memory:" and not options.get("path"):
            return init(self, location, *rest, **options)
        return init(self, url=URL, check_compatibility=False, timeout=options.get("timeout"))

    return connect


for client in (qdrant_client.QdrantClient, qdrant_client.AsyncQdrantClient):
    client.__init__ = redirected(client.__init__)


def asked(method, path):
    """What the server answers."""
    with urllib.request.urlopen(urllib.request.Request(URL + path, method=method)) as answer:
        return json.load(answer)["result"]


@pytest.fixture(autouse=True)
def empty_server():
    """Every test begins without collections."""
    for collection in asked("GET", "/collections")["collections"]:
        asked("DELETE", "/collections/" + urllib.parse.quote(collection["name"], safe=""))
    yield
