"""A question in the words of Python, as the body that the routes take.

One vector at most is put where the body leaves a place for it (an empty vector), so that it need not become JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from kithdb.errors import InvalidArgument
from kithdb.filters import Where, wire
from kithdb.rows import numbers, plain_id

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Each leg of a hybrid question ranks so many hits, or four times the hits wanted if that is more.
_LEG_HITS_MIN = 100


@dataclass(frozen=True)
class Sought:
    """What a collection offers to be sought by, where a text is given."""

    has_keywords: bool
    has_model: bool


@dataclass
class Question:
    """A question: its body but for one vector, and that vector."""

    rest: dict[str, Any]
    #: What ranks, and of hybrid questions the legs, for the vector that is given apart.
    nearest: Any
    words: Any
    vector: npt.NDArray[np.float32] | None
    fusion: Any

    def body(self, vector: Sequence[float]) -> dict[str, Any]:
        """The body, with a vector in its place; an empty one leaves the place open."""
        nearest = list(vector) if self.vector is not None or self.nearest is _PLACE else self.nearest
        if nearest is None:
            return self.rest if self.words is None else {**self.rest, "query": self.words}
        if self.words is None:
            return {**self.rest, "query": _ranking(nearest)}
        limit = max(_LEG_HITS_MIN, 4 * (self.rest["limit"] + self.rest.get("offset", 0)))
        params = {"params": self.rest["params"]} if "params" in self.rest else {}
        rest = {name: value for name, value in self.rest.items() if name not in ("using", "params")}
        using = {"using": self.rest["using"]} if "using" in self.rest else {}
        legs = [
            {"query": _ranking(nearest), **using, "limit": limit, **params},
            {"query": self.words, "limit": limit},
        ]
        return {**rest, "prefetch": legs, "query": self.fusion}


#: Stands for the rows of a matrix, which come one after the other.
_PLACE = object()


def _ranking(nearest: Any) -> Any:
    return nearest if isinstance(nearest, Mapping) and "nearest" in nearest else {"nearest": nearest}


def question(
    vector: Any,
    text: Any,
    query: Any,
    where: Where | None,
    sought: Sought | None,
    fusion: str | Mapping[str, Any],
    members: dict[str, Any],
    *,
    is_by_row: bool = False,
) -> Question:
    """The question of these parts. `members` are further members of its body."""
    rest = members
    if where is not None:
        rest["filter"] = wire(where)
    fused = {"fusion": fusion} if isinstance(fusion, str) else fusion
    if query is not None:
        if vector is not None or text is not None:
            raise InvalidArgument("stands beside `vector` or `text`; put those into it", "query")
        return Question({**rest, "query": query}, None, None, None, fused)
    if is_by_row:
        return Question(rest, _PLACE, None, None, fused)
    nearest, array = (None, None) if vector is None else _vector(vector)
    words = None
    if text is not None:
        words = {"keyword": text}
        if vector is None and sought is not None and sought.has_model:
            nearest = {"nearest": {"text": text}}
            words = words if sought.has_keywords else None
        if "prefetch" in rest and (array is not None or nearest is not None) and words is not None:
            raise InvalidArgument(
                "stands beside a hybrid question, which makes its own; say it all by `query`", "prefetch"
            )
    return Question(rest, nearest, words, array, fused)


def one_row(vector: Any, is_multi: Callable[[], bool]) -> Any:
    """The row alone of a matrix of one, which models make of a list of one text; as it is what is a multivector."""
    shape = getattr(vector, "shape", None)
    if (
        isinstance(vector, (list, tuple))
        and vector
        and hasattr(vector[0], "__len__")
        and not isinstance(vector[0], str)
    ):
        shape = (len(vector), len(vector[0]))
    if shape is None or len(shape) != 2 or is_multi():
        return vector
    if shape[0] != 1:
        message = f"has the shape {tuple(shape)}, and there are no multivectors here; give one row"
        raise InvalidArgument(message, "vector", "search_many answers a question for each row of a matrix.")
    return vector[0]


def _vector(vector: Any) -> tuple[Any, npt.NDArray[np.float32] | None]:
    """What stands for a vector in a body, or the vector, to go beside it."""
    if isinstance(vector, UUID):
        return str(vector), None
    if isinstance(vector, str) and not _is_uuid(vector):
        raise InvalidArgument(
            f"{vector!r} is no id of a point",
            "vector",
            "To search by words: search(text=...), with or without a vector.",
        )
    if isinstance(vector, (int, str, Mapping)):
        return vector, None
    if getattr(vector, "ndim", None) == 0:
        return plain_id(vector), None
    array = numbers(vector, "vector")
    if array.ndim == 2:
        return array.tolist(), None
    if array.ndim != 1 or not len(array):
        raise InvalidArgument(f"has the shape {array.shape}; give one row of numbers", "vector")
    return None, array


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
