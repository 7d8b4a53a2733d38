"""A server of their own for the scripts beside this one, what the system says of its process, and who asks it.

Only the standard library is needed, and Linux. The client shares the cores with the server: latencies are upper bounds.
"""

import http.client
import json
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

# What a server that is short of something may answer, in the order of the table of limits.
SHORT = {400, 408, 413, 429, 503, 507}

STARTED: "list[Server]" = []


def end_all() -> None:
    """Ends what a failure left running."""
    for server in STARTED:
        server.process.kill()
        server.process.wait()


class Server:
    """`kithdb serve` on a free port, until it is stopped."""

    def __init__(self, kithdb: str, folder: Path, *flags: str, group: "Group | None" = None) -> None:
        with socket.socket() as sought:
            sought.bind(("127.0.0.1", 0))
            self.port = sought.getsockname()[1]
        self.log = folder / "log"
        with open(self.log, "ab") as log:
            listen = f"127.0.0.1:{self.port}"
            command = [kithdb, "serve", "--no-model", "--data", str(folder / "data"), "--listen", listen, *flags]
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        STARTED.append(self)
        if group is not None:
            group.take(self.process.pid)
        self.began = time.monotonic()
        self.ready_s = self.wait()

    def wait(self, most: float = 600) -> float:
        """Until it answers; how long that took."""
        while time.monotonic() - self.began < most:
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended with {self.process.returncode}: {self.tail()}")
            try:
                if Client(self).ask("GET", "/readyz")[0] == 200:
                    return time.monotonic() - self.began
            except OSError:
                pass
            time.sleep(0.02)
        raise SystemExit(f"the server is not ready after {most} s: {self.tail()}")

    def tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> float:
        """Asks it to end, and waits; how long that took."""
        began = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - began

    def takes(self) -> dict[str, int]:
        """Bytes: resident, of them anonymous, the most that was ever resident; files, maps and threads: how many."""
        place = Path(f"/proc/{self.process.pid}")
        lines = (line.split(":", 1) for line in (place / "status").read_text().splitlines())
        status = {name: value.split()[0] for name, value in lines if value.split()}
        names = [("rss", "VmRSS"), ("anon", "RssAnon"), ("peak", "VmHWM")]
        size = {name: 1024 * int(status[key]) for name, key in names}
        maps = (place / "maps").read_text().count("\n")
        return {**size, "files": len(os.listdir(place / "fd")), "maps": maps, "threads": int(status["Threads"])}


# A connection that nothing was asked on for so long is made anew: the server may end it just when it is used.
IDLE_MAX_S = 5


class Client:
    """One connection, kept; for one thread."""

    def __init__(self, server: Server, timeout: float = 300) -> None:
        self.server, self.timeout, self.connection = server, timeout, None
        self.used = 0.0

    def ask(self, method: str, path: str, body: "object | bytes | None" = None) -> tuple[int, bytes, dict[str, str]]:
        """Status, body and headers of an answer. What breaks off is an OSError."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        if self.connection is not None and time.monotonic() - self.used > IDLE_MAX_S:
            self.connection.close()
            self.connection = None
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=self.timeout)
        try:
            self.connection.request(method, path, data, {"content-type": "application/json"})
            answer = self.connection.getresponse()
            self.used = time.monotonic()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            self.connection = None
            raise OSError(f"{method} {path}: {error!r}") from error

    def result(self, method: str, path: str, body: "object | bytes | None" = None) -> object:
        """What stands in the envelope of an answer that must be well."""
        status, answer, _ = self.ask(method, path, body)
        if status != 200:
            raise SystemExit(f"{method} {path}: {status} {answer[:500]!r}")
        return json.loads(answer)["result"]


class Watch:
    """Looks at the process again and again: (seconds since the start, what it takes)."""

    def __init__(self, server: Server, every: float) -> None:
        self.seen: list[tuple[float, dict[str, int]]] = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(server, every), daemon=True)
        self.thread.start()

    def run(self, server: Server, every: float) -> None:
        began = time.monotonic()
        while not self.is_over.wait(every):
            try:
                self.seen.append((time.monotonic() - began, server.takes()))
            except (OSError, KeyError):
                # It ended; of what has ended but was not asked for its status, less is told.
                return

    def stop(self) -> list[tuple[float, dict[str, int]]]:
        self.is_over.set()
        self.thread.join()
        return self.seen


class Group:
    """A group of processes whose memory the system limits, page cache included; cgroup v2 or v1, as root."""

    def __init__(self, limit: int) -> None:
        name = f"kithdb-faults-{os.getpid()}"
        unified, memory = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")
        if (unified / "cgroup.controllers").exists():
            self.place, setting, self.events = unified / name, "memory.max", "memory.events"
        else:
            self.place, setting, self.events = memory / name, "memory.limit_in_bytes", "memory.oom_control"
        self.place.mkdir()
        try:
            (self.place / setting).write_text(str(limit))
        except OSError:
            self.remove()
            raise

    def take(self, process: int) -> None:
        (self.place / "cgroup.procs").write_text(str(process))

    def kills(self) -> int:
        lines = (self.place / self.events).read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def remove(self) -> None:
        for _ in range(50):
            try:
                return self.place.rmdir()
            except OSError:
                # What was ended is counted for a moment more.
                time.sleep(0.1)


def quantile(values: list[float], part: float) -> float:
    """The smallest value that so large a part does not exceed; 0 of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def mib(count: float) -> str:
    return f"{count / (1 << 20):,.0f} MiB"


class Report:
    """Rows of a table, and whether all that must hold does."""

    def __init__(self, title: str) -> None:
        self.faults: list[str] = []
        print(f"| {title} | |\n|---|---|", flush=True)

    def row(self, what: str, found: object) -> None:
        print(f"| {what} | {found} |", flush=True)

    def must(self, holds: bool, told: str) -> None:
        if not holds:
            self.faults.append(told)

    def end(self) -> int:
        """The code of the process."""
        for fault in self.faults:
            print(f"FAULT: {fault}", flush=True)
        return 1 if self.faults else 0
