"""Documents and the model that embeds them, in this process."""

from __future__ import annotations

import os
from pathlib import Path

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


def test_a_folder_is_kept_in_step(files: Path) -> None:
    told: list[tuple[int, int, int]] = []
    with kithdb.open(":memory:", model=None) as db:
        done = db.ingest(files, "docs", progress=lambda *so_far: told.append(so_far))
        assert (done["added"], done["has_vectors"], done["skipped"]) == (2, False, [])
        assert told[-1][:2] == (2, 2)
        assert db.ingest(files, "docs", progress=True)["unchanged"] == 2
        hit = db["docs"].search(text="rotate keys", where=kithdb.f.folder == "ops")[0]
        assert hit["path"] == "ops/keys.md"
        (files / "readme.txt").unlink()
        again = db.ingest(files, "docs")
        assert (again["added"], again["unchanged"], again["removed"]) == (0, 1, 1)
        with pytest.raises(kithdb.InvalidArgument) as caught:
            db.ingest(files / "none", "docs")
        assert caught.value.field == "path"
        with pytest.raises(kithdb.InvalidArgument, match="time_max_s"):
            db.ingest(files, "docs", time_max_s=-1.0)


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
