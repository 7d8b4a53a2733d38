"""The examples and the notebook of the repository run, and come to what they should."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def run(name: str, folder: Path, *arguments: str) -> str:
    command = [sys.executable, str(EXAMPLES / "python" / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_folder_is_searched(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "keys.md").write_text("# Keys\n\nRotate the keys every month.\n")
    (notes / "tea.md").write_text("# Tea\n\nBoil the water first.\n")
    told = run("folder_search.py", tmp_path, str(notes), "how do I rotate the keys?")
    assert "2 added" in told and "keys.md" in told.split("\n\n")[1]
    assert "2 unchanged" in run("folder_search.py", tmp_path, str(notes), "tea")


def test_questions_are_answered_with_citations(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "keys.md").write_text("# Keys\n\nRotate the keys every month.\n")
    told = run("answers.py", tmp_path, str(notes), "how often do I rotate the keys?")
    assert "extractive" in told and "[1] keys.md, bytes" in told and "Rotate the keys every month" in told


def test_products_are_found(tmp_path: Path) -> None:
    told = run("product_search.py", tmp_path)
    assert "Trail running shoes" in told and "'shoes': 2" in told
    assert "Hiking boots" in told.split("Waterproof:")[1] and "the filter shuts it out" in told


def test_ways_to_ask_are_evaluated(tmp_path: Path) -> None:
    told = run("evaluation.py", tmp_path)
    recall = {line[:16].strip(): float(line[16:].split()[0]) for line in told.splitlines()[1:5]}
    assert recall["both, adaptive"] > max(recall["words"], recall["vectors"])
    assert "finds 9" in told or "finds 100" in told


def test_the_notebook_runs(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    notebook = nbformat.read(EXAMPLES / "quickstart.ipynb", as_version=4)
    kept = [bool(cell.get("outputs")) for cell in notebook.cells]
    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = "".join(str(output) for cell in notebook.cells for output in cell.get("outputs", []))
    assert (
        "A crate for vectors" in shown
        and "Rotate the keys every month" in shown
        and "<table>" in shown
        and "error" not in shown.lower()
    )
    # Who reads it where it cannot be run sees what it shows.
    assert kept == [bool(cell.get("outputs")) for cell in notebook.cells], "run: python notebook.py"
