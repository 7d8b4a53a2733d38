"""How much of a prompt a serving engine has from the one before it: two questions on the same documents.

Usage: prefix.py KITHDB ENGINE_URL [ENGINE_KEY] [PORT]. KITHDB is the binary. The engine must tell `cached_tokens`, as llama.cpp and
vLLM (with --enable-prompt-tokens-details) do. Documents are five short ones of this repository, every chunk of each in every
prompt; the questions differ. Asked for is at least 0.9.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request

kithdb, engine = sys.argv[1:3]
key = sys.argv[3] if len(sys.argv) > 3 else ""
port = sys.argv[4] if len(sys.argv) > 4 else "6398"
url = f"http://127.0.0.1:{port}"
QUESTIONS = ["What survives a loss of power?", "What is a filter with an order of words?", "Which files may be deleted?"]


def ask(question):
    body = {
        "model": "rag:documents", "messages": [{"role": "user", "content": question}], "max_tokens": 8, "temperature": 0,
        "rag": {"top_k": 6, "min_similarity": -1, "min_coverage": 0, "filter": "folder = 'a'"},
    }
    request = urllib.request.Request(
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    began = time.monotonic()
    with urllib.request.urlopen(request) as answer:
        usage = json.load(answer)["usage"]
    return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], time.monotonic() - began


def run(data):
    root = pathlib.Path(__file__).parents[2]
    text = (root / "docs" / "operating.md").read_text().split("\n## ")
    for number, part in enumerate(text[1:6]):
        (data / "documents" / "a" / f"{number}.txt").write_text(part[:700])
    subprocess.run([kithdb, "ingest", data / "documents", "--data", data / "data"], check=True, stdout=subprocess.DEVNULL)
    server = subprocess.Popen(
        [kithdb, "serve", "--data", data / "data", "--listen", f"127.0.0.1:{port}", "--engine-url", engine],
        env={**os.environ, "KITHDB_ENGINE_KEY": key}, stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/readyz")
                break
            except OSError:
                time.sleep(0.1)
        for question in QUESTIONS:
            prompt, cached, seconds = ask(question)
            print(f"{prompt:5} tokens, {cached:5} of them cached: {cached / prompt:.3f}   {seconds:6.2f} s   {question}")
    finally:
        server.terminate()
        server.wait()


with tempfile.TemporaryDirectory() as place:
    data = pathlib.Path(place)
    (data / "documents" / "a").mkdir(parents=True)
    run(data)
