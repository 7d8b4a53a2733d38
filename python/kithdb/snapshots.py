"""Snapshots: a file with what a collection, or every one, held at one commit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from kithdb.doors import Door


class Snapshots:
    """The snapshots of a collection (`collection.snapshots`) or of everything (`db.snapshots`)."""

    def __init__(self, door: Door, collection: str | None) -> None:
        self._door, self._collection = door, collection
        below = "" if collection is None else f"/collections/{quote(collection, safe='')}"
        self._path = f"{below}/snapshots"

    def list(self) -> list[dict[str, Any]]:
        """The snapshots: `name`, `creation_time`, `size` in bytes, `checksum` (SHA-256)."""
        told: list[dict[str, Any]] = self._door.call("GET", self._path)
        return told

    def create(self) -> dict[str, Any]:
        """Makes one, while writers go on. What is made is what `list` tells of it."""
        told: dict[str, Any] = self._door.call("POST", self._path)
        return told

    def download(self, name: str, to: str | Path) -> Path:
        """Copies one to a file, or under its name into a folder; the file."""
        target = Path(to) / name if Path(to).is_dir() else Path(to)
        self._door.download(self._path, self._collection, name, target)
        return target

    def delete(self, name: str) -> None:
        """Deletes one."""
        self._door.call("DELETE", f"{self._path}/{quote(name, safe='')}")
