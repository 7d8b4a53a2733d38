"""The same tests through both doors: in this process, and over HTTP from a server that this package brings along."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kithdb


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server, which runs for all tests."""
    data = tmp_path_factory.mktemp("server") / "data"
    command = [sys.executable, "-m", "kithdb", "serve", "--data", str(data), "--listen", "127.0.0.1:0", "--no-model"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = next((line for line in process.stdout if line.strip().startswith("listening")), "")
        assert told, "the server did not start"
        yield told.split()[-1]
        process.terminate()
        assert "everything acknowledged is on disk" in process.stdout.read()
    assert process.returncode == 0


@pytest.fixture(params=["embedded", "remote"])
def db(request: pytest.FixtureRequest) -> Iterator[kithdb.Database]:
    """An empty database, through each door."""
    place = ":memory:" if request.param == "embedded" else request.getfixturevalue("server")
    with kithdb.open(place) as db:
        yield db
        for name in db:
            db.drop_collection(name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A place for a database on disk."""
    return tmp_path / "data"


BOOKS = [
    {
        "id": 1,
        "vector": [1.0, 0.0],
        "title": "A crate for vectors",
        "lang": "en",
        "year": 2024,
        "tags": ["db", "rust"],
    },
    {"id": 2, "vector": [0.8, 0.6], "title": "Ein Buch über Vektoren", "lang": "de", "year": 2021, "tags": ["db"]},
    {"id": 3, "vector": [0.0, 1.0], "title": "A book on gardens", "lang": "en", "year": 2019, "tags": []},
    {"id": 4, "vector": [-1.0, 0.0], "title": "Crates of apples", "lang": "en", "year": 2020, "tags": ["food"]},
]


@pytest.fixture
def books(db: kithdb.Database) -> kithdb.Collection:
    """Four books."""
    return db.create_collection("books", BOOKS, text=["title"], fields={"lang": "keyword"}, history_s=600)
