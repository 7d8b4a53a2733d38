"""How well questions without an answer are told from those with one: precision and recall of refusals.

Usage: refusal.py KITHDB FOLDER [PORT]. KITHDB is the binary; FOLDER has corpus.jsonl and queries.jsonl in the layout of BEIR,
where `metadata.answerable` of a query says whether the corpus has its answer (clapnq has). No serving engine is needed: what
is measured is decided before one is asked. `default` is what the server does by itself; the other lines are what single
thresholds would do, by the evidence that comes with each answer.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

kithdb, folder = sys.argv[1], pathlib.Path(sys.argv[2])
port = sys.argv[3] if len(sys.argv) > 3 else "6399"
url = f"http://127.0.0.1:{port}"


def lines(name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def ask(question):
    body = {"model": "rag:documents", "messages": [{"role": "user", "content": question}], "rag": {"extractive": True}}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["rag"]


def table(name, refuses, asked):
    refused = [has_answer for evidence, has_answer in asked if refuses(evidence)]
    right = refused.count(False)
    without = sum(not has_answer for _, has_answer in asked)
    precision = right / len(refused) if refused else 1.0
    print(f"{name:34} refused {len(refused):4}  precision {precision:.3f}  recall {right / without:.3f}")


def run(data):
    for document in lines("corpus.jsonl"):
        text = f"# {document['title']}\n\n{document['text']}\n"
        (data / "documents" / f"{document['_id']}.md").write_text(text)
    subprocess.run([kithdb, "ingest", data / "documents", "--data", data / "data"], check=True, stdout=subprocess.DEVNULL)
    server = subprocess.Popen([kithdb, "serve", "--data", data / "data", "--listen", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/readyz")
                break
            except OSError:
                time.sleep(0.1)
        queries = lines("queries.jsonl")
        asked, defaults = [], []
        for query in queries:
            has_answer = query["metadata"]["answerable"]
            answer = ask(query["text"])
            asked.append((answer["evidence"], has_answer))
            defaults.append((answer["outcome"], has_answer))
        print(f"{len(queries)} questions, {sum(not has_answer for _, has_answer in asked)} of them without an answer")
        table("default", lambda outcome: outcome == "nothing_found", defaults)
        for least in (0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7):
            table(f"similarity below {least}", lambda seen: (seen["similarity"] or 0) < least, asked)
        for least in (0.2, 0.34, 0.5, 0.67, 0.8):
            table(f"coverage below {least}", lambda seen: seen["coverage"] < least, asked)
    finally:
        server.terminate()
        server.wait()


with tempfile.TemporaryDirectory() as place:
    data = pathlib.Path(place)
    (data / "documents").mkdir()
    run(data)
