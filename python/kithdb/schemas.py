"""What a handle knows of the schema of its collection, which others may change meanwhile.

For a question that hangs on it, a mark says in this process whether it is still so; over HTTP what was learned holds
for a moment, so that not every call is two. A call that is refused by what was known is made once more by what is so
now. Rows are read by what is known, however old, but a member that may be a vector of a new space is not taken for
payload before that was looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from kithdb.errors import Error, InvalidArgument, NotFound
from kithdb.rows import Spaces

if TYPE_CHECKING:
    from kithdb.doors import Door

_T = TypeVar("_T")

#: What of a description is its schema; the rest changes with every write.
_PARTS = ("vectors", "sparse_vectors", "multivectors", "keyword")


class Schema:
    """The schema of a collection, as far as it was looked up."""

    def __init__(self, door: Door, collection: str, path: str) -> None:
        self._door, self._collection, self._path = door, collection, path
        #: What it was when it was looked up, and its mark. Threads replace it as a whole.
        self._known: tuple[dict[str, Any], int] | None = None

    def __getstate__(self) -> dict[str, Any]:
        # The marks of another process are others.
        return {**vars(self), "_known": None}

    def look_up(self) -> dict[str, Any]:
        """What the database tells of the collection now."""
        # The mark first: what changes meanwhile has another one.
        mark = self._door.schema_mark(self._collection)
        told: dict[str, Any] = self._door.call("GET", self._path)
        self._known = (told, mark)
        return told

    def forget(self) -> None:
        """It was changed."""
        self._known = None

    def _now(self) -> dict[str, Any]:
        known = self._known
        if known is None:
            return self.look_up()
        told, mark = known
        return told if mark == self._door.schema_mark(self._collection) else self.look_up()

    def spaces(self) -> Spaces:
        """The names of the spaces, for rows to be written: looked up where nothing is known, and once more at what may
        be a vector of a further one. That one of them is gone, the database says itself."""
        known = self._known
        if known is None:
            return Spaces(_spaces(self.look_up()))
        return Spaces(_spaces(known[0]), lambda: _spaces(self.look_up()))

    def model(self, using: str) -> dict[str, Any] | None:
        """The model that the vectors of a space belong to."""
        space: Mapping[str, Any] = (self._now().get("vectors") or {}).get(using) or {}
        return space.get("model")

    def has_keywords(self) -> bool:
        """Whether texts are sought by their words."""
        return bool(self._now().get("keyword"))

    def is_multi(self, using: str) -> bool:
        """Whether the vectors of a space have several rows."""
        return using in (self._now().get("multivectors") or ())

    def tried(self, call: Callable[[], _T], may_repeat: Callable[[], bool] = lambda: True) -> _T:
        """Does what hangs on the schema; once more if it is refused, and the schema has become another one."""
        before = self._known
        try:
            return call()
        except (InvalidArgument, NotFound):
            if before is None or not may_repeat():
                self.forget()
                raise
            if not self._has_changed(before):
                raise
        return call()

    def _has_changed(self, before: tuple[dict[str, Any], int]) -> bool:
        if self._known is before:
            try:
                self.look_up()
            except Error:
                # The first error says what is wrong.
                self.forget()
        known = self._known
        return known is not None and any(known[0].get(part) != before[0].get(part) for part in _PARTS)


def _spaces(told: Mapping[str, Any]) -> set[str]:
    return {name for kind in ("vectors", "sparse_vectors") for name in told.get(kind) or {} if name}
