"""The package as others use it: typed, documented by examples that run, quick to import."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import subprocess
import sys
import time
from pathlib import Path

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


def test_a_call_costs_little() -> None:
    with kithdb.open(":memory:") as db:
        one = db.create_collection("one", [{"id": 1, "vector": [1.0]}], metric="dot")
        vector = importlib.import_module("numpy").ones(1, "float32")
        times = []
        for _ in range(2_000):
            began = time.perf_counter()
            one.search(vector, limit=1)
            times.append(time.perf_counter() - began)
        assert sorted(times)[1_000] < 200e-6
