"""The package as others use it: typed, documented by examples that run, quick to import."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import kithdb

#: Modules over packages that need not be there.
OPTIONAL = {"kithdb.dspy", "kithdb.haystack", "kithdb.langchain", "kithdb.llama_index"}


def modules() -> list[str]:
    found = [module.name for module in pkgutil.iter_modules(kithdb.__path__, "kithdb.")]
    return ["kithdb", *(name for name in found if name not in OPTIONAL | {"kithdb.__main__", "kithdb._kithdb"})]


@pytest.mark.parametrize("name", modules())
def test_examples_in_the_documentation_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_example_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    program = readme.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    exec(compile(program, "README.md", "exec"), {})


def test_the_first_example_shows_what_it_says_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (Path(__file__).parent.parent.parent / "README.md").read_text()
    program, after = readme.split("```python\n")[1].split("```", 1)
    shown = after.split("```\n")[1]
    monkeypatch.chdir(tmp_path)
    # Whoever tries it tries it twice.
    for _ in range(2):
        exec(compile(program, "README.md", "exec"), {})
        assert capsys.readouterr().out == shown


def test_everything_public_is_documented() -> None:
    silent = [name for name in kithdb.__all__ if not getattr(getattr(kithdb, name), "__doc__", None)]
    for kind in (kithdb.Database, kithdb.Collection, kithdb.Hits, kithdb.Transaction, kithdb.Field):
        members = [name for name in dir(kind) if not name.startswith("_")]
        silent += [f"{kind.__name__}.{name}" for name in members if not getattr(kind, name).__doc__]
    assert silent == []


@pytest.mark.parametrize(
    "check",
    [
        ["mypy", "--strict", "kithdb", "tests"],
        ["stubtest", "--mypy-config-file", "pyproject.toml", "kithdb._kithdb", "kithdb.aio"],
        ["ruff", "check", "--quiet", "kithdb", "tests"],
        ["ruff", "format", "--check", "--quiet", "kithdb", "tests"],
    ],
    ids=" ".join,
)
def test_the_sources_are_sound(check: list[str]) -> None:
    program, *arguments = check
    root = Path(__file__).parent.parent
    command = [str(Path(sys.executable).parent / program), *arguments]
    checked = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_import_is_quick() -> None:
    # Of the processor: what else runs on the machine does not count.
    program = "import time; began = time.process_time(); import kithdb; print(time.process_time() - began)"
    took = min(
        float(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout)
        for _ in range(10)
    )
    assert took < 0.1, f"{took:.3f} s"
    program = "import sys, kithdb; print('numpy' in sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == "False", "NumPy is imported when it is needed"


def searched_s(db: kithdb.Database) -> float:
    """Seconds that the engine has searched."""
    told = str(db.request("GET", "/metrics"))
    return float(told.split('kithdb_operation_seconds_sum{operation="search"} ')[1].split()[0])


def test_a_call_costs_little_beside_the_search_itself() -> None:
    rows = np.random.default_rng(1).normal(size=(500, 384)).astype(np.float32)
    payload = {"title": [f"number {at}" for at in range(len(rows))], "year": list(range(len(rows)))}
    with kithdb.open(":memory:") as db:
        points = db.create_collection("points", dim=rows.shape[1])
        points.upsert(ids=np.arange(len(rows)), vectors=rows, payload=payload)
        points.search(rows[0])
        over_us = []
        for _ in range(20):
            before_s, began = searched_s(db), time.perf_counter()
            for row in rows:
                points.search(row)
            took_s = time.perf_counter() - began
            engine_s = searched_s(db) - before_s
            assert engine_s > 0
            over_us.append((took_s - engine_s) / len(rows) * 1e6)
        # The best of the rounds: what else runs on the machine does not count. RESULTS.md says what it is, about 17; a
        # second look-up of the schema, or a hit that is made by way of JSON, costs far more.
        assert min(over_us) < 50, f"{min(over_us):.1f} µs over the engine's own"
