"""Answers from a folder of documents, with citations.

    python answers.py FOLDER "how often do I rotate the keys?" [http://127.0.0.1:8080/v1]

The last argument is a serving engine with OpenAI's API for chat (vLLM, llama.cpp, Ollama), which writes the answer.
Without one it is made of quotes. Either way each citation has the words that it rests on, and where they stand.
"""

from __future__ import annotations

import sys

import kithdb


def main(folder: str, question: str, engine: str | None = None, data: str = "./data") -> None:
    with kithdb.open(data, engine=engine) as db:
        db.ingest(folder)
        with db.ask(question, stream=True) as answering:
            for piece in answering:
                print(piece, end="", flush=True)
        answer = answering.answer()
        print(f"\n\n{answer.outcome}; {len(answer.unsupported)} sentences that no document supports")
        for citation in answer.citations:
            first, last = citation.span
            print(f"[{citation.number}] {citation.path}, bytes {first} to {last}: {citation.quote!r}")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
