"""What the document says of every route beside what the route does, as schemathesis finds it out.

    openapi.py URL SCHEMATHESIS [EXAMPLES [SECONDS]]

Each route is asked with the examples of the document, with values at the edges of its schemas, and with EXAMPLES made at
random, right ones and wrong ones. A fault is an answer of 500 or more, a status that is not in the document, a type of
content that is not, a body that has not the schema, or a header that has not. Prints what it found.
"""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
]


def ask(url: str, method: str, body: object = None) -> object:
    """What a route answers, from out of the envelope."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def fill(url: str, document: dict) -> None:
    """A collection as the examples of the document make it."""

    def example(path: str, method: str) -> object:
        return document["paths"][path][method]["requestBody"]["content"]["application/json"]["example"]

    ask(f"{url}/collections/books", "DELETE")
    for path, method in [
        ("/collections/{collection}", "put"),
        ("/collections/{collection}/points", "put"),
        ("/collections/{collection}/index", "put"),
    ]:
        ask(url + path.format(collection="books"), method.upper(), example(path, method))


def run(url: str, command: str, examples: int, seconds: int | None) -> int:
    """Runs schemathesis; its exit code."""
    fill(url, ask(f"{url}/openapi.json", "GET"))
    arguments = [
        command,
        "--config-file",
        str(Path(__file__).with_name("schemathesis.toml")),
        "run",
        f"{url}/openapi.json",
        "--checks",
        ",".join(CHECKS),
        "--phases",
        "examples,coverage,fuzzing",
        # Its bodies are columns and files, which it cannot make.
        "--exclude-operation-id",
        "import",
        "--max-examples",
        str(examples),
        "--seed",
        "1",
        "--suppress-health-check",
        "all",
        "--request-timeout",
        "60",
        "--warnings",
        "off",
        "--continue-on-failure",
        "--no-shrink",
        "--no-color",
    ]
    if seconds is not None:
        arguments += ["--max-time", str(seconds)]
    ran = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(ran.stdout)
    cases = re.search(r"(\d+) generated", ran.stdout)
    print(f"{cases.group(1) if cases else 'some'} cases were asked")
    print("no fault" if ran.returncode == 0 else "faults")
    return ran.returncode


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[3:]] + [None, None]
    sys.exit(run(sys.argv[1], sys.argv[2], numbers[0] or 5, numbers[1]))
