"""Snapshots in a bucket: made, listed, sent, taken back and deleted, over moto, which answers as S3 does.

    bucket.py KITHDB MOTO_SERVER

Both are commands, which are started here on free ports of this machine and ended again.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path


def port() -> int:
    """A free one."""
    with socket.socket() as sought:
        sought.bind(("127.0.0.1", 0))
        return sought.getsockname()[1]


def ask(url: str, method: str = "GET", body: object = None) -> tuple[int, bytes]:
    """The status and the body of an answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def result(url: str, method: str = "GET", body: object = None) -> object:
    """What stands in the envelope of an answer that must be well."""
    status, answer = ask(url, method, body)
    assert status == 200, (method, url, status, answer)
    return json.loads(answer)["result"]


def until(what, seconds: float = 30):
    """What it returns, once that is something."""
    for _ in range(int(seconds * 20)):
        try:
            found = what()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} never came")


def points(url: str, collection: str) -> list:
    return result(f"{url}/collections/{collection}/points/scroll", "POST", {"limit": 100, "with_vector": True})["points"]


class Checks:
    """What was checked, counted."""

    def __init__(self) -> None:
        self.count = 0

    def that(self, holds: bool, told: object) -> None:
        """Counts what holds; ends with what was told where it does not."""
        assert holds, told
        self.count += 1


def check(url: str, store: str, folder: Path) -> int:
    """The checks, and how many they were."""
    check = Checks()
    at = f"{url}/collections/books/snapshots"
    result(f"{url}/collections/books", "PUT", {"vectors": {"size": 2, "distance": "Dot"}})
    written = [{"id": one, "vector": [one, 1], "payload": {"text": "x" * 400_000}} for one in range(1, 51)]
    for one in written:
        result(f"{url}/collections/books/points", "PUT", {"points": [one]})
    before = points(url, "books")

    made = result(at, "POST")
    check.that(result(at) == [made] and made["checksum"] and made["size"] > 20_000_000, made)
    check.that(not list(folder.glob("snapshots/collections/books/*")), "nothing stays in the folder")
    status, body = ask(f"{store}/shelf/deep/collections/books/{made['name']}")
    check.that(status == 200 and len(body) == made["size"], "it lies where the setting says")
    status, sent = ask(f"{at}/{urllib.parse.quote(made['name'])}")
    check.that((status, sent) == (200, body), "it is sent as it lies there")

    result(f"{url}/collections/books/points/delete", "POST", {"filter": {}})
    address = f"s3://shelf/deep/collections/books/{made['name']}"
    for location in [made["name"], address]:
        recovered = result(f"{at}/recover", "PUT", {"location": location, "checksum": made["checksum"]})
        check.that(recovered is True and points(url, "books") == before, location)
        result(f"{url}/collections/books/points/delete", "POST", {"filter": {}})
    result(f"{url}/collections/other/snapshots/recover", "PUT", {"location": address})
    check.that(points(url, "other") == before, "another collection is made of it")

    for location in ["s3://shelf/else/x.snapshot", "s3://other/x.snapshot", "s3://shelf/deep/none.snapshot", "none.snapshot"]:
        status, told = ask(f"{at}/recover", "PUT", {"location": location})
        check.that(status in (400, 404), (location, status, told))
    for name in ["none.snapshot", "..%2F..%2Fsecret.snapshot", "secret"]:
        check.that(ask(f"{at}/{name}", "DELETE")[0] == 404 and ask(f"{at}/{name}")[0] == 404, name)

    full = result(f"{url}/snapshots", "POST")
    check.that([one["name"] for one in result(f"{url}/snapshots")] == [full["name"]], "one of everything")

    check.that(ask(f"{at}?wait=false", "POST")[0] == 202, "it is begun")
    second = until(lambda: [one for one in result(at) if one["name"] != made["name"]])[0]
    status, told = ask(f"{at}/{second['name']}?wait=false", "DELETE")
    check.that((status, json.loads(told)["status"]) == (202, "accepted"), told)
    until(lambda: result(at) == [made])
    check.that(result(f"{at}/{made['name']}", "DELETE") is True and result(at) == [], "it is gone")
    gone = result(f"{url}/snapshots/{full['name']}", "DELETE")
    check.that(gone is True and result(f"{url}/snapshots") == [], "so is that of everything")
    return check.count


def main(kithdb: str, moto: str) -> None:
    started = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
        store, url = port(), port()

        def start(*command: str) -> None:
            log = open(Path(folder) / f"log-{len(started)}", "wb")
            started.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))

        try:
            start(moto, "-H", "127.0.0.1", "-p", str(store))
            until(lambda: ask(f"http://127.0.0.1:{store}/shelf", "PUT")[0] == 200)
            start(
                kithdb, "serve", "--data", f"{folder}/data", "--listen", f"127.0.0.1:{url}", "--no-model",
                "--snapshot-store", "s3://shelf/deep", "--s3-endpoint", f"http://127.0.0.1:{store}", "--s3-region", "us-east-1",
            )
            until(lambda: ask(f"http://127.0.0.1:{url}/readyz")[0] == 200)
            checks = check(f"http://127.0.0.1:{url}", f"http://127.0.0.1:{store}", Path(folder) / "data")
        except BaseException:
            for log in sorted(Path(folder).glob("log-*")):
                print(log.read_text(errors="replace")[-3000:])
            raise
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait()
    print(f"{checks} checks passed")


if __name__ == "__main__":
    main(*sys.argv[1:3])
