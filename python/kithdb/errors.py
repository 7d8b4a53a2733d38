"""What can go wrong: one tree of exceptions, by kind, and each also of Python's own kind.

>>> import kithdb
>>> issubclass(kithdb.NotFound, LookupError), issubclass(kithdb.NotFound, kithdb.Error)
(True, True)

Every error has a message that says what to do, the `field` at fault where there is one, spelt as a path
(`points[3].vector[2]`), and a `hint` where there is more to say.
"""

from __future__ import annotations

import re
from typing import ClassVar


class Error(Exception):
    """The root of every exception that KithDB raises."""

    kind: ClassVar[str] = "internal"
    _hint: ClassVar[str | None] = None

    def __init__(self, message: str, field: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        #: The part of what was given that is at fault, as a path.
        self.field = field
        #: What may help.
        self.hint = hint or self._hint

    def within(self, place: str) -> Error:
        """The same, of a part of something: the place of that stands before the field."""
        rest = self.field or ""
        self.field = f"{place}{rest}" if not rest or rest.startswith("[") else f"{place}.{rest}"
        return self

    def __str__(self) -> str:
        text = f"{self.field}: {self.message}" if self.field else self.message
        return f"{text}\n{self.hint}" if self.hint else text


class InvalidArgument(Error, ValueError):
    """What was given is malformed, or breaks the schema. Nothing was changed."""

    kind = "invalid_argument"


class LimitExceeded(InvalidArgument):
    """A documented limit was exceeded; the message names it."""

    kind = "limit_exceeded"


class NotFound(Error, LookupError):
    """There is no such collection, vector, field or point."""

    kind = "not_found"


class AlreadyExists(Error, ValueError):
    """There is a collection or a vector of that name already."""

    kind = "already_exists"


class Conflict(Error, RuntimeError):
    """A point is not of the version that the write was made for. Nothing was changed."""

    kind = "conflict"
    _hint = "Read the point again, decide anew, and write with its present version."


class Busy(Error, BlockingIOError):
    """Another process holds the database, or a queue is full."""

    kind = "busy"


class DeadlineExceeded(Error, TimeoutError):
    """The deadline passed before the answer was there."""

    kind = "deadline_exceeded"


class StorageFailed(Error, OSError):
    """The operating system refused a read or a write."""

    kind = "io"


class StorageFull(StorageFailed):
    """The disk has no room but for deletes."""

    kind = "storage_full"
    _hint = "Make room on the disk, or delete points."


class Corrupted(StorageFailed):
    """Stored bytes do not match their checksum or their format."""

    kind = "corrupted"
    _hint = "`kithdb doctor` says what is damaged."


class Poisoned(StorageFailed):
    """An earlier write failed: there are no further ones until the database is opened anew."""

    kind = "poisoned"


class UnsupportedFormat(StorageFailed):
    """The directory was written by a newer version of KithDB."""

    kind = "unsupported_format"


class Unreachable(Error, ConnectionError):
    """There is no answer from the server."""

    kind = "unreachable"


class AccessDenied(Error, PermissionError):
    """The server wants a key, or one with more rights."""

    kind = "access_denied"
    _hint = "Give the key as kithdb.open(url, api_key=...)."


class Closed(Error, ValueError):
    """The database was closed."""

    kind = "closed"


class Forked(Error, RuntimeError):
    """The process inherited an open database by a fork, without the threads that serve it.

    Such a process ends by `os._exit`, as `multiprocessing` sees to: `sys.exit` would wait for those threads.
    """

    kind = "forked"


class Unsupported(Error, NotImplementedError):
    """It can be done in the process that has the database open, and not over HTTP."""

    kind = "unsupported"


class MissingPackage(Error, ImportError):
    """It needs an optional package that is not installed."""

    kind = "missing_package"


class Internal(Error, RuntimeError):
    """A defect of KithDB; please report it."""


def _all(root: type[Error]) -> list[type[Error]]:
    return [root, *(found for child in root.__subclasses__() for found in _all(child))]


_KINDS: dict[str, type[Error]] = {found.kind: found for found in _all(Error)}


#: How texts end that tell of a body: it was made here, and whoever reads them has not seen it.
POSITION = re.compile(r" at line \d+ column \d+$")

#: How texts begin as clients of the HTTP dialect expect them.
_STARTS = (
    "Wrong input: ",
    "Format error in JSON body: ",
    "Validation error in JSON body: ",
    "Validation error in path parameters: ",
    "Timeout error: ",
)


def of_kind(kind: str, message: str, field: str | None = None) -> Error:
    """The exception of a kind, as the engine names kinds."""
    # An exception says that by its class.
    for start in _STARTS:
        message = message.removeprefix(start)
    return _KINDS.get(kind, Internal)(POSITION.sub("", message), field)


def missing(package: str, purpose: str) -> MissingPackage:
    """The exception for an optional package."""
    return MissingPackage(f"{purpose} needs {package}; install it: pip install {package}")
