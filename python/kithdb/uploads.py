"""A folder of documents into a collection on a server: what `Database.ingest` does there.

The folder is walked here, as it is in the process that has the database open. Its files go to the server some at a
time, and each lot is a job there, which is waited for. From its upload on a lot is kept: whoever breaks off here leaves
the server to end the job. All files go each time, since the server decides what changed; only that is done anew.

To the server the folder is a set of documents, called by its whole path: two machines that ingest folders of the same
path into the same collection keep one set, and each removes what it does not have itself.
"""

from __future__ import annotations

import os
import time
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kithdb._kithdb import walk
from kithdb.doors import go_on
from kithdb.errors import Busy, Error, LimitExceeded, NotFound

if TYPE_CHECKING:
    from kithdb.doors import Door, Told

#: Bytes and files of one job, about. A request has a third more as text, and a server takes 32 MiB of it.
_JOB_BYTES, _JOB_FILES = 8 << 20, 128

#: Seconds between two looks at a job: the first, and the longest.
_LOOK_S, _LOOK_MAX_S = 0.01, 0.5

#: Documents of a page of those that there are.
_PAGE = 1_000

#: What a job counts that is told of all of them.
_COUNTS = ("added", "changed", "unchanged", "removed", "chunks", "embedded")


class Uploading:
    """One ingestion at work."""

    def __init__(
        self, door: Door, path: Path, collection: str, said: dict[str, Any], time_max_s: float | None, tell: Told
    ) -> None:
        self._door, self._path, self._tell = door, path, tell
        self._at = f"/api/v1/collections/{quote(collection, safe='')}"
        self._said, self._time_max_s = said, time_max_s
        self._began = time.monotonic()
        self._counts = dict.fromkeys((*_COUNTS, "left", "bytes"), 0)
        self._skipped: list[tuple[str, str]] = []
        #: Files that may be there although they cannot be read, and folders of such: their documents stay.
        self._unread: list[str] = []
        self._done = self._total = 0

    def run(self) -> dict[str, Any]:
        """Does all of it; what was done."""
        root, files, skipped = walk(self._path)
        self._skipped = [(path, reason) for path, reason, _ in skipped]
        self._unread = [path.rstrip("/") for path, _, may_be_there in skipped if may_be_there]
        self._set, self._total = os.path.realpath(root), len(files)
        self._files(root, files)
        if self._path.is_dir():
            # One file says nothing of its neighbours.
            self._remove_gone(set(files))
        vectors = self._door.call("GET", self._at).get("vectors") or {}
        return {
            **self._counts,
            "has_vectors": bool((vectors.get("") or {}).get("model")),
            "elapsed_ms": int(1_000 * (time.monotonic() - self._began)),
            "skipped": self._skipped,
        }

    def _files(self, root: Path, files: list[str]) -> None:
        lot: list[dict[str, str]] = []
        held, has_sent = 0, False
        for at, name in enumerate(files):
            if self._time_max_s is not None and time.monotonic() - self._began >= self._time_max_s:
                self._counts["left"] = len(files) - at
                break
            try:
                content = (root / name).read_bytes()
            except OSError as error:
                self._skipped.append((name, f"it cannot be read: {error.strerror or error}"))
                self._unread.append(name)
                self._done += 1
                continue
            lot.append({"path": name, "content": b64encode(content).decode()})
            held += len(content)
            self._counts["bytes"] += len(content)
            if held >= _JOB_BYTES or len(lot) == _JOB_FILES:
                self._upload(lot)
                lot, held, has_sent = [], 0, True
        if lot or not has_sent:
            # For nothing a collection is made as well.
            self._upload(lot)

    def _upload(self, lot: list[dict[str, str]]) -> None:
        body = {"documents": lot, "set": self._set, **self._said}
        try:
            job = self._door.call("POST", f"{self._at}/documents", body)
        except LimitExceeded as error:
            if error.field != "body" or len(lot) < 2:
                raise
            middle = len(lot) // 2
            self._upload(lot[:middle])
            self._upload(lot[middle:])
            return
        job = self._waited(job)
        for name in _COUNTS:
            self._counts[name] += job[name]
        self._skipped += [(one["path"], one["reason"]) for one in job["skipped"]]
        self._done += len(lot)

    def _waited(self, job: dict[str, Any]) -> dict[str, Any]:
        pause_s, told = _LOOK_S, -1
        at = f"/api/v1/jobs/{job['id']}"
        while True:
            if job["documents"] != told:
                told = job["documents"]
                self._tell(self._done + told, self._total, self._counts["chunks"] + job["chunks"])
            if job["state"] == "failed":
                raise Error(f"the job {job['id']} failed: {job['error']}", "documents")
            if job["state"] == "done":
                return job
            if job.get("error"):
                hint = f"What was sent is kept, and the server tries again itself: db.request('GET', '{at}') tells."
                raise Busy(f"the server cannot go on for now: {job['error']}", "documents", hint)
            go_on()
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LOOK_MAX_S)
            job = self._door.call("GET", at)

    def _remove_gone(self, files: set[str]) -> None:
        gone = [(one["id"], one["path"]) for one in self._documents() if one["path"] not in files]
        for id, path in gone:
            if any(not place or path == place or path.startswith(f"{place}/") for place in self._unread):
                continue
            try:
                self._door.call("DELETE", f"{self._at}/documents/{id}")
            except NotFound:
                # Somebody else was quicker.
                continue
            self._counts["removed"] += 1

    def _documents(self) -> list[dict[str, Any]]:
        """The documents of the folder that the collection has."""
        at = f"{self._at}/documents?set={quote(self._set, safe='')}&limit={_PAGE}"
        found: list[dict[str, Any]] = []
        told = self._door.call("GET", at)
        while True:
            found += told["documents"]
            if told["next_offset"] is None:
                return found
            told = self._door.call("GET", f"{at}&offset={quote(told['next_offset'], safe='')}")
