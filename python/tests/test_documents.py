"""Documents and the model that embeds them, in this process and on a server."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kithdb

#: The model of `scripts/setup.sh model`, where it lies unless KITHDB_MODEL says otherwise.
SHARED = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
MODEL = Path(os.environ.get("KITHDB_MODEL") or SHARED / "kithdb/models/all-MiniLM-L6-v2")
needs_model = pytest.mark.skipif(not (MODEL / "model.safetensors").is_file(), reason="there is no model: make demo")

TITLES = ["How to mend a bicycle tyre", "A recipe for apple cake", "The orbit of the moon"]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "ops").mkdir(parents=True)
    (folder / "ops" / "keys.md").write_text("# Keys\n\nRotate the keys every month.\n")
    (folder / "readme.txt").write_text("Nothing of interest.\n")
    return folder


@pytest.fixture(params=["embedded", "remote"])
def opened(request: pytest.FixtureRequest) -> Iterator[kithdb.Database]:
    """A database without a model, in this process and on a server."""
    place = ":memory:" if request.param == "embedded" else request.getfixturevalue("server")
    with kithdb.open(place, model=None) as db:
        yield db
        for name in db:
            db.drop_collection(name)


def test_a_folder_is_kept_in_step(files: Path, opened: kithdb.Database) -> None:
    told: list[tuple[int, int, int]] = []
    db = opened
    done = db.ingest(files, "docs", progress=lambda *so_far: told.append(so_far))
    assert (done["added"], done["has_vectors"], done["skipped"]) == (2, False, [])
    assert told[-1][:2] == (2, 2) and told[-1][2] == done["chunks"] == db["docs"].count()
    assert db.ingest(files, "docs", progress=True)["unchanged"] == 2
    hit = db["docs"].search(text="rotate keys", where=kithdb.f.folder == "ops")[0]
    assert hit["path"] == "ops/keys.md"
    (files / "readme.txt").unlink()
    again = db.ingest(files, "docs")
    assert (again["added"], again["unchanged"], again["removed"]) == (0, 1, 1)
    assert set(again) == set(done)
    with pytest.raises(kithdb.InvalidArgument) as caught:
        db.ingest(files / "none", "docs")
    assert caught.value.field == "path"
    with pytest.raises(kithdb.InvalidArgument, match="time_max_s"):
        db.ingest(files, "docs", time_max_s=-1.0)


def test_documents_are_cut_and_labelled_as_is_said(files: Path, opened: kithdb.Database) -> None:
    (files / "long.txt").write_text("One sentence of some words. " * 40)
    metadata = {"author": "A", "labels": ["staff"], "attributes": {"department": "ops"}}
    whole = opened.ingest(files, "whole", metadata=metadata)
    cut = opened.ingest(files, "cut", chunk_size=60, chunk_overlap=10)
    assert cut["chunks"] > whole["chunks"]
    for_staff = kithdb.f.labels == "staff"
    assert opened["whole"].count(for_staff) == whole["chunks"] and opened["cut"].count(for_staff) == 0
    with pytest.raises(kithdb.InvalidArgument) as caught:
        opened.ingest(files, "wrong", metadata={"time": "yesterday"})
    assert str(caught.value.field).endswith("metadata.time")
    with pytest.raises(kithdb.InvalidArgument, match="moon"):
        opened.ingest(files, "wrong", metadata={"moon": 1})
    with pytest.raises(kithdb.InvalidArgument, match="chunk_size"):
        opened.ingest(files, "wrong", chunk_size=0)


def test_what_is_passed_over_says_why_and_stays(files: Path, opened: kithdb.Database) -> None:
    assert opened.ingest(files, "docs")["added"] == 2
    (files / "readme.txt").write_bytes(b"x" * (9 << 20))
    (files / ".hidden.md").write_text("x")
    (files / "picture.png").write_bytes(b"x")
    (files / "ops" / "broken.md").write_bytes(b"a\0b")
    done = opened.ingest(files, "docs")
    assert {path for path, _ in done["skipped"]} == {"readme.txt", ".hidden.md", "picture.png", "ops/broken.md"}
    assert all(reason for _, reason in done["skipped"])
    assert (done["unchanged"], done["removed"]) == (1, 0), "what cannot be read any more stays as it was"
    alone = opened.ingest(files / "ops" / "keys.md", "docs")
    assert (alone["added"], alone["removed"]) == (1, 0), "one file says nothing of its neighbours"


def test_a_folder_of_many_files_and_one_of_none(files: Path, opened: kithdb.Database) -> None:
    empty = files / "empty"
    empty.mkdir()
    assert opened.ingest(empty, "none")["added"] == 0 and opened["none"].count() == 0
    for at in range(300):
        (files / f"{at}.txt").write_text(f"Text number {at} of many.")
    later = opened.ingest(files, "docs", time_max_s=0.0)
    assert (later["added"], later["left"]) == (0, 302)
    told: list[tuple[int, int, int]] = []
    done = opened.ingest(files, "docs", progress=lambda *so_far: told.append(so_far))
    assert (done["added"], done["left"]) == (302, 0) and opened["docs.sources"].count() == 302
    assert told == sorted(told) and told[-1] == (302, 302, done["chunks"])


class Embedding(BaseHTTPRequestHandler):
    """A server that embeds: what is a question gets other vectors than what is found."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        rows = [list(hashlib.sha256(text.encode()).digest()[:4]) for text in asked["input"]]
        data = [{"index": at, "object": "embedding", "embedding": row} for at, row in enumerate(rows)]
        body = json.dumps({"object": "list", "model": asked["model"], "data": data, "usage": {}}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@pytest.fixture
def model() -> Iterator[str]:
    """The address of a server that embeds."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Embedding) as model:
        thread = threading.Thread(target=model.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{model.server_port}/v1"
        model.shutdown()
        thread.join()


@pytest.fixture
def embedding(tmp_path: Path, model: str) -> Iterator[str]:
    """The address of a server with a model, which another server runs."""
    named = ["--embed-url", model, "--embed-model", "tiny", "--embed-query-prefix", "query: "]
    data = ["--data", str(tmp_path / "served"), "--listen", "127.0.0.1:0"]
    command = [sys.executable, "-m", "kithdb", "serve", *data, *named]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        told = next((line for line in process.stdout if line.strip().startswith("listening")), "")
        assert told, "the server did not start"
        yield told.split()[-1]
        process.terminate()
        process.stdout.read()


def test_a_server_embeds_as_this_process_does(embedding: str, files: Path) -> None:
    with kithdb.open(embedding) as db:
        assert db.model is not None and (db.model["name"], db.model["dim"]) == ("tiny", 4) and db.model["revision"]
        vectors = db.embed([f"text {at}" for at in range(300)])
        assert vectors.shape == (300, 4) and vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
        np.testing.assert_array_equal(db.embed("text 299"), vectors[299])
        assert not np.array_equal(db.embed("text 299", is_question=True), vectors[299])
        assert db.embed([]).shape == (0, 4)
        for wrong in ("", None):
            texts: Any = ["a", wrong]
            with pytest.raises(kithdb.InvalidArgument) as caught:
                db.embed(texts)
            assert caught.value.field == "texts[1]"
        docs = db.create_collection("docs", model=True, text=["title"])
        docs.upsert([{"id": at, "title": title} for at, title in enumerate(TITLES)], embed="title")
        assert docs.search(db.embed(TITLES[1]), limit=1).ids == [1]
        assert db["docs"].search(text=TITLES[2]).explain().tree["legs"]
        done = db.ingest(files, "library")
        assert done["has_vectors"] and done["embedded"] == done["chunks"] > 0


def test_this_process_embeds_by_a_server(model: str, files: Path) -> None:
    with kithdb.open(":memory:", model={"url": model, "model": "tiny", "query_prefix": "query: "}) as db:
        assert db.model is not None and (db.model["name"], db.model["dim"]) == ("tiny", 4)
        assert not np.array_equal(db.embed("text", is_question=True), db.embed("text"))
        docs = db.create_collection("docs", model=True, text=["title"])
        docs.upsert([{"id": at, "title": title} for at, title in enumerate(TITLES)], embed="title")
        assert docs.search(db.embed(TITLES[1]), limit=1).ids == [1]
        done = db.ingest(files, "library")
        assert done["has_vectors"] and done["embedded"] == done["chunks"] > 0
    named = {"url": model, "model": "tiny"}
    faults: list[tuple[dict[str, Any], str]] = [
        ({"model": "tiny"}, "model"),
        ({"url": model}, "model"),
        ({**named, "protocol": "x"}, "model.protocol"),
        ({**named, "batch": 0}, "model.batch"),
    ]
    for wrong, field in faults:
        with pytest.raises(kithdb.InvalidArgument) as caught:
            kithdb.open(":memory:", model=wrong)
        assert caught.value.field == field


def test_documents_are_moved_to_another_model(model: str, files: Path) -> None:
    with kithdb.open(":memory:", model={"url": model, "model": "tiny"}) as db:
        db.ingest(files, "docs")
        other = {"url": model, "model": "other", "document_prefix": "passage: "}
        told: list[tuple[int, int, int]] = []
        moved = db.reembed("docs", "docs-2", model=other, alias="current", progress=lambda *so_far: told.append(so_far))
        assert (moved["documents"], moved["is_switched"], moved["ndcg"]) == (2, True, None) and told
        assert db["docs-2"].count() == db["docs"].count() == moved["chunks"]
        assert db.aliases() == {"current": "docs-2"}
        assert db["docs-2"].describe()["vectors"][""]["model"]["name"] == "other"
        again = db.reembed("docs", "docs-2", model=other)
        assert (again["documents"], again["unchanged"], again["is_switched"]) == (0, 2, False)
        with pytest.raises(kithdb.Error):
            db.reembed("none", "docs-3", model=other)
        with pytest.raises(kithdb.InvalidArgument) as caught:
            db.reembed("docs", "docs-2", model=other, alias="other", gate=float("nan"))
        assert caught.value.field == "gate" and "other" not in db.aliases()


def test_a_server_without_a_model_says_so(server: str) -> None:
    with kithdb.open(server) as db:
        assert db.model is None
        for call in (lambda: db.embed("x"), lambda: db.create_collection("a", model=True)):
            with pytest.raises(kithdb.InvalidArgument) as caught:
                call()
            assert caught.value.field == "model"


def test_what_breaks_it_off_comes_through(files: Path) -> None:
    def stop(*_: int) -> None:
        raise RuntimeError("enough")

    with kithdb.open(":memory:", model=None) as db:
        counts: list[int] = []
        db.ingest(files, "first", progress=lambda *_: counts.append(db["first"].count()))
        assert len(counts) == 3, "what is called may ask"
        with pytest.raises(RuntimeError, match="enough"):
            db.ingest(files, "docs", progress=stop)
        assert db["docs.sources"].count() == 1, "what was done until then stays"
        assert db.ingest(files, "docs")["added"] == 1


def test_without_a_model_there_are_no_vectors() -> None:
    with kithdb.open(":memory:", model=None) as db:
        assert db.model is None
        for call in (lambda: db.embed("x"), lambda: db.create_collection("a", model=True)):
            with pytest.raises(kithdb.InvalidArgument) as caught:
                call()
            assert caught.value.field == "model"
        with pytest.raises(kithdb.InvalidArgument, match="belong to no model, and none is open"):
            db.create_collection("b", dim=2).upsert([{"title": "x"}], embed="title")


@needs_model
def test_texts_are_found_by_their_meaning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with kithdb.open(tmp_path / "data", model=MODEL) as db:
        docs = db.create_collection("docs", model=True, text=["title"])
        docs.upsert([{"id": at, "title": title} for at, title in enumerate(TITLES)], embed="title")
        assert docs.search(text="astronomy", limit=1).ids == [2]
        assert docs.search(text="astronomy").explain().tree["legs"]
        assert docs.search(db.embed("repairing a bike", is_question=True), limit=1).ids == [0]
        vectors = db.embed(TITLES)
        assert vectors.shape == (3, db.model["dim"] if db.model else 0)
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
        with pytest.raises(kithdb.InvalidArgument) as caught:
            docs.upsert([{"id": 7, "title": None}], embed="title")
        assert caught.value.field == "points[0].title" and docs.count() == 3
    monkeypatch.setenv("KITHDB_MODEL", str(MODEL))
    with kithdb.open(tmp_path / "data") as db:
        assert db["docs"].search(text="dessert", limit=1).ids == [1], "the model that a collection belongs to is found"
