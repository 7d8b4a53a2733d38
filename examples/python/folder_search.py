"""Semantic search over a folder of text and Markdown.

    python folder_search.py FOLDER "how do I rotate the keys?"

Again later, only what changed in the folder is read. With an embedding model (`make demo` fetches one, or name a
directory of sentence-transformers in KITHDB_MODEL) questions go by meaning and by words, without one by words.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import kithdb


def main(folder: str, question: str, data: str = "./data") -> None:
    with kithdb.open(data, model=model()) as db:
        done = db.ingest(folder, "documents", progress=lambda at, all, _: print(f"\r{at}/{all}", end=""))
        print(f"\r{done['added']} added, {done['changed']} changed, {done['unchanged']} unchanged\n")
        hits = db["documents"].search(text=question, limit=5)
        for hit in hits:
            print(f"{hit.score:.3f}  {hit['path']}  {hit.get('heading') or ''}")
            print(f"       {' '.join(hit['text'].split())[:160]}\n")


def model() -> str | None:
    """The model that there is, if any."""
    shared = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share")
    found = os.environ.get("KITHDB_MODEL") or str(shared / "kithdb/models/all-MiniLM-L6-v2")
    return found if Path(found, "model.safetensors").is_file() else None


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
