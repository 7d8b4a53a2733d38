"""KithDB: a vector database for embeddings and RAG, in your process or on a server.

>>> import kithdb
>>> db = kithdb.open(":memory:")
>>> docs = db.create_collection("docs", [
...     {"id": 1, "vector": [0.9, 0.1], "title": "A crate for vectors", "year": 2024},
...     {"id": 2, "vector": [0.1, 0.9], "title": "A book on gardens", "year": 2019},
... ], text=["title"])
>>> hits = docs.search([1.0, 0.0], where=kithdb.f.year >= 2020)
>>> [(hit.id, hit["title"]) for hit in hits]
[(1, 'A crate for vectors')]
>>> docs.search(text="gardens").ids
[2]
>>> db.close()
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from kithdb._kithdb import VERSION as __version__
from kithdb._kithdb import Serving
from kithdb.answers import Answer, Answering, Citation, Passage
from kithdb.collection import Collection, Written
from kithdb.database import Database, open
from kithdb.errors import (
    AccessDenied,
    AlreadyExists,
    Busy,
    Closed,
    Conflict,
    Corrupted,
    DeadlineExceeded,
    Error,
    Forked,
    Internal,
    InvalidArgument,
    LimitExceeded,
    MissingPackage,
    NotFound,
    Poisoned,
    StorageFailed,
    StorageFull,
    Unreachable,
    Unsupported,
    UnsupportedFormat,
)
from kithdb.filters import Condition, Field, at_least, f, has_id, has_vector
from kithdb.hits import Group, Hit, Hits, Matches, Point
from kithdb.plans import Plan, WhyNot
from kithdb.rows import id_of
from kithdb.writing import Transaction

if _TYPE_CHECKING:
    from kithdb import importers
    from kithdb.aio import (
        AsyncAnswering,
        AsyncCollection,
        AsyncDatabase,
        AsyncHits,
        AsyncSnapshots,
        AsyncTransaction,
        aopen,
    )

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "Answer",
    "Answering",
    "AsyncAnswering",
    "AsyncCollection",
    "AsyncDatabase",
    "AsyncHits",
    "AsyncSnapshots",
    "AsyncTransaction",
    "Busy",
    "Citation",
    "Closed",
    "Collection",
    "Condition",
    "Conflict",
    "Corrupted",
    "Database",
    "DeadlineExceeded",
    "Error",
    "Field",
    "Forked",
    "Group",
    "Hit",
    "Hits",
    "Internal",
    "InvalidArgument",
    "LimitExceeded",
    "Matches",
    "MissingPackage",
    "NotFound",
    "Passage",
    "Plan",
    "Point",
    "Poisoned",
    "Serving",
    "StorageFailed",
    "StorageFull",
    "Transaction",
    "Unreachable",
    "Unsupported",
    "UnsupportedFormat",
    "WhyNot",
    "Written",
    "__version__",
    "aopen",
    "at_least",
    "f",
    "has_id",
    "has_vector",
    "id_of",
    "importers",
    "open",
]


def __getattr__(name: str) -> _Any:
    # What takes longer to import than all of this package.
    if name == "importers":
        return _import_module("kithdb.importers")
    if name in __all__:
        return getattr(_import_module("kithdb.aio"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
