"""Changes of points: the same words on a collection, one commit each, and in a transaction, one commit in all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from kithdb._json import plain
from kithdb.errors import InvalidArgument
from kithdb.filters import Where, wire
from kithdb.rows import Id, columns_of, names_of, plain_id

if TYPE_CHECKING:
    from kithdb.doors import Door

#: Points by their ids: one, several, or none, where a filter stands instead.
Points: TypeAlias = Id | Iterable[Id] | None


def _listed(points: Points) -> list[int | str] | None:
    if points is None:
        return None
    if hasattr(points, "tolist"):
        points = points.tolist()
    if isinstance(points, (str, int)) or not isinstance(points, Iterable):
        return [plain_id(points)]
    return [plain_id(one) for one in points]


class Writes(ABC):
    """What can be changed of points."""

    @abstractmethod
    def _write(self, operation: str, body: dict[str, Any]) -> Any:
        """Does one operation, or takes it down."""

    def delete(self, points: Points = None, *, where: Where | None = None) -> Any:
        """Deletes points by their ids, or those that a filter matches. Ids that do not exist are passed over.

        Raises `InvalidArgument` when both are given, or neither.
        """
        return self._write("delete", self._chosen(points, where))

    def set_payload(
        self, payload: Mapping[str, Any], points: Points = None, *, where: Where | None = None, key: str | None = None
    ) -> Any:
        """Merges into the payload of points that exist, below the path `key` if there is one; `None` removes a member.

        Raises `NotFound` when a point does not exist.
        """
        below = {} if key is None else {"key": key}
        return self._write("set_payload", {"payload": payload, **below, **self._chosen(points, where)})

    def overwrite_payload(
        self, payload: Mapping[str, Any], points: Points = None, *, where: Where | None = None
    ) -> Any:
        """Replaces the whole payload of points."""
        return self._write("overwrite_payload", {"payload": payload, **self._chosen(points, where)})

    def delete_payload(self, keys: Iterable[str], points: Points = None, *, where: Where | None = None) -> Any:
        """Removes what these paths reach from the payload of points."""
        return self._write("delete_payload", {"keys": names_of(keys), **self._chosen(points, where)})

    def clear_payload(self, points: Points = None, *, where: Where | None = None) -> Any:
        """Removes the payload of points."""
        return self._write("clear_payload", self._chosen(points, where))

    def update_vectors(self, vectors: Mapping[Id, Any], *, where: Where | None = None) -> Any:
        """Gives points that exist these vectors, by id; their other vectors stay. `where` must match to be changed."""
        points = [{"id": plain_id(one), "vector": vector} for one, vector in vectors.items()]
        return self._write("update_vectors", {"points": points} | _named("update_filter", where))

    def delete_vectors(self, names: Iterable[str], points: Points = None, *, where: Where | None = None) -> Any:
        """Removes the vectors of these names from points."""
        return self._write("delete_vectors", {"vector": names_of(names), **self._chosen(points, where)})

    @staticmethod
    def _chosen(points: Points, where: Where | None) -> dict[str, Any]:
        if (points is None) == (where is None):
            raise InvalidArgument("give ids or `where`, and not both", "points")
        if isinstance(where, str) and not where.strip():
            # What was to be filled in was not: too little to change every point.
            raise InvalidArgument("is empty, and every point matches that; say {} if that is meant", "where")
        return {"filter": wire(where)} if points is None else {"points": _listed(points)}


def _named(name: str, where: Where | None) -> dict[str, Any]:
    return {} if where is None else {name: wire(where)}


class Part(Writes):
    """What a transaction does to one collection."""

    def __init__(self, transaction: Transaction, collection: str) -> None:
        self._transaction, self._collection = transaction, collection

    def _write(self, operation: str, body: dict[str, Any]) -> None:
        self._transaction._take({"collection": self._collection, operation: body})

    def upsert(self, points: Iterable[Any], *, spaces: Iterable[str] = ()) -> None:
        """Inserts points, or replaces those that exist. Rows are those of `Collection.upsert`; `spaces` names the
        vectors among flat ones."""
        for columns in columns_of(points, None, None, None, set(spaces), None):
            self._write("upsert", {"points": columns.as_points()})

    def require(self, versions: Mapping[Id, int]) -> None:
        """Lets the whole transaction fail, as a `Conflict`, unless these points have these versions; 0 is no point."""
        points = [{"id": plain_id(one), "if_version": version} for one, version in versions.items()]
        self._write("require", {"points": points})


class Transaction:
    """Changes of several collections that commit together or not at all.

    A context manager: it commits at the end of its block, and does nothing when the block raises. `seqno` is the
    commit.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._operations: list[dict[str, Any]] = []
        #: The number of the commit, once there is one.
        self.seqno: int | None = None

    def on(self, collection: str) -> Part:
        """What is done to a collection."""
        return Part(self, collection)

    def _take(self, operation: dict[str, Any]) -> None:
        if self.seqno is not None:
            raise InvalidArgument("was committed already; begin another one", "transaction")
        self._operations.append(operation)

    def commit(self) -> int | None:
        """Commits, durably; the number of the commit, or nothing if there was nothing to do.

        Raises what an operation raises, naming it (`operations[2].upsert.points[0]`); then nothing is written.
        """
        if self._operations:
            done = self._door.call("POST", "/api/v1/transaction", plain({"operations": self._operations}))
            self.seqno = int(done["seqno"])
            self._operations = []
        return self.seqno

    def __enter__(self) -> Transaction:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self.commit()
