"""What was found: hits in order, and the ways to take them elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import import_module
from typing import TYPE_CHECKING, Any, overload

from kithdb.errors import InvalidArgument, missing
from kithdb.plans import Plan, WhyNot
from kithdb.rows import Id, plain_id

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd
    import polars as pl
    import pyarrow as pa

#: Rows and characters of a cell that are shown of hits in a terminal or a notebook.
_SHOWN_ROWS, _SHOWN_CHARS = 20, 60


@dataclass(frozen=True, slots=True)
class Point:
    """A point: an id, vectors, a payload.

    `vector` is a list of numbers for the unnamed space, else a dict by name; `None` if it was not asked for.
    """

    id: int | str
    payload: dict[str, Any] = field(default_factory=dict)
    vector: Any = None

    def __getitem__(self, name: str) -> Any:
        """A member of the payload."""
        return self.payload[name]

    def get(self, name: str, default: Any = None) -> Any:
        """A member of the payload, or something else if there is none."""
        return self.payload.get(name, default)

    def to_point(self) -> dict[str, Any]:
        """The point as it is written."""
        return {"id": self.id, "payload": self.payload, "vector": self.vector}

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Point:
        return cls(record["id"], record.get("payload") or {}, record.get("vector"))


@dataclass(frozen=True, slots=True)
class Hit(Point):
    """A point that was found."""

    #: How well it answers, as the metric or the fusion scores it.
    score: float = 0.0
    #: The version that was found, which `if_version` of a write can require.
    version: int = 0
    #: The value that it was ordered by, if it was.
    order_value: float | None = None
    #: What was found in its texts, if that was asked for.
    highlight: dict[str, Any] | None = None

    @classmethod
    def _of(cls, record: Mapping[str, Any]) -> Hit:
        return cls(
            record["id"],
            record.get("payload") or {},
            record.get("vector"),
            record["score"],
            record["version"],
            record.get("order_value"),
            record.get("highlight"),
        )


class Asked:
    """How a question can be asked once more, to tell about it."""

    def __init__(self, again: Callable[[Any], dict[str, Any]], why_not: Callable[[int | str], dict[str, Any]]) -> None:
        self.again, self.why_not = again, why_not


class Hits(Sequence[Hit]):
    """Hits, best first.

    A sequence, with `ids` and `scores`; `to_dicts`, `to_numpy`, `to_arrow`, `to_pandas` and `to_polars` give a row for
    each. `explain`, `analyze` and `why_not` tell how they were found.
    """

    def __init__(self, found: Mapping[str, Any], asked: Asked | None = None) -> None:
        self._points: list[dict[str, Any]] = found["points"]
        self._asked = asked
        partial: dict[str, Any] | None = found.get("partial")
        #: Where a deadline passed: the share of the rows to be looked at that was. `None` for a whole answer.
        self.seen_share: float | None = partial["seen_share"] if partial else None

    def __reduce__(self) -> tuple[Any, ...]:
        # As a copy, or in another process, they are the same hits; but nobody is there to be asked why.
        partial = {} if self.seen_share is None else {"partial": {"seen_share": self.seen_share}}
        return Hits, ({"points": self._points, **partial},)

    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> Hits: ...
    def __getitem__(self, at: int | slice) -> Hit | Hits:
        if isinstance(at, slice):
            return Hits({"points": self._points[at]}, self._asked)
        return Hit._of(self._points[at])

    def __len__(self) -> int:
        return len(self._points)

    def __iter__(self) -> Iterator[Hit]:
        return map(Hit._of, self._points)

    @property
    def ids(self) -> list[int | str]:
        """The ids: integers, and UUIDs as text."""
        return [point["id"] for point in self._points]

    @property
    def scores(self) -> list[float]:
        """The scores."""
        return [point["score"] for point in self._points]

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict for each hit: `id`, `score`, the members of the payload, and `vector` if it was asked for.

        A member of the payload with one of these names is called `payload.id` and so on.
        """
        own = ("id", "score", "vector") if any("vector" in point for point in self._points) else ("id", "score")
        return [
            {name: point.get(name) for name in own}
            | {
                f"payload.{name}" if name in own else name: value
                for name, value in (point.get("payload") or {}).items()
            }
            for point in self._points
        ]

    def to_numpy(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Ids, of shape `(n,)` and type `uint64` (`object` where there are UUIDs), and scores, of shape `(n,)`."""
        import numpy as np

        ids = self.ids
        kind = np.uint64 if all(isinstance(one, int) for one in ids) else object
        return np.array(ids, kind), np.array(self.scores, np.float32)

    def to_arrow(self) -> pa.Table:
        """A table of `pyarrow`, with the columns of `to_dicts`. A member whose values have several types is JSON; ids
        are text where some are UUIDs."""
        try:
            import pyarrow as pa
        except ImportError as error:
            raise missing("pyarrow", "to_arrow()") from error

        def column(values: list[Any]) -> Any:
            try:
                return pa.array(values)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                return pa.array([None if value is None else json.dumps(value) for value in values])

        columns = self._columns()
        columns["id"] = _of_one_type(columns["id"])
        return pa.table({name: column(values) for name, values in columns.items()})

    def to_pandas(self) -> pd.DataFrame:
        """A frame of `pandas`, with the columns of `to_dicts`."""
        try:
            import pandas as pd
        except ImportError as error:
            raise missing("pandas", "to_pandas()") from error
        frame: pd.DataFrame = pd.DataFrame(self._columns())
        return frame

    def to_polars(self) -> pl.DataFrame:
        """A frame of `polars`, with the columns of `to_dicts`."""
        try:
            import polars as pl
        except ImportError as error:
            raise missing("polars", "to_polars()") from error
        return pl.DataFrame(self._columns(), strict=False)

    def _columns(self) -> dict[str, list[Any]]:
        rows = self.to_dicts()
        names = list(dict.fromkeys(name for row in rows for name in row)) or ["id", "score"]
        return {name: [row.get(name) for row in rows] for name in names}

    def explain(self) -> Plan:
        """The plan of the question: the way taken in each part of the collection, its cost, the ways not taken."""
        return Plan(self._can_ask().again(True)["plan"])

    def analyze(self) -> Plan:
        """The plan with what was really done, asking once more: time, hops, distances, bytes, payloads read."""
        return Plan(self._can_ask().again("analyze")["plan"])

    def why_not(self, id: Id) -> WhyNot:
        """Why a point is not among the hits, at each level of the question."""
        return WhyNot(plain_id(id), self._can_ask().why_not(plain_id(id)))

    def _can_ask(self) -> Asked:
        if self._asked is None:
            raise InvalidArgument("are no answer to a question that could be asked again", "hits")
        return self._asked

    def _shown(self) -> tuple[list[str], list[list[str]]]:
        columns = self._columns()
        columns["score"] = [f"{score:.4f}" for score in columns["score"]]
        columns.pop("vector", None)
        rows = list(zip(*columns.values()))[:_SHOWN_ROWS]
        return list(columns), [[_cut(value) for value in row] for row in rows]

    def __repr__(self) -> str:
        names, rows = self._shown()
        widths = [max(map(len, column)) for column in zip(names, *rows)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in [names, *rows]]
        more = [f"... and {len(self) - len(rows)} more"] if len(self) > len(rows) else []
        return "\n".join([self._count(), *lines, *more])

    def _repr_html_(self) -> str:
        names, rows = self._shown()
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{self._count()}</p>"

    def _count(self) -> str:
        return "1 hit" if len(self) == 1 else f"{len(self)} hits"


def _cut(value: Any) -> str:
    text = "" if value is None else " ".join(str(value).split())
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


@dataclass(frozen=True, slots=True)
class Group:
    """Hits that share a value of a field."""

    value: str | int | bool
    hits: Hits


@dataclass(frozen=True, slots=True)
class Matches:
    """The hits of many questions, a row for each question. `to_dicts`, `to_arrow`, `to_pandas` and `to_polars` give all
    hits, one below the other, with the number of the question that they answer: `question`, `id`, `score`."""

    #: Shape `(n, limit)`, `uint64`; `object` where there are UUIDs. 0 or `None` where a row has fewer hits.
    ids: npt.NDArray[Any]
    #: Shape `(n, limit)`, `float32`. Not a number where a row has fewer hits.
    scores: npt.NDArray[np.float32]
    #: Shape `(n,)`: how many hits each row has.
    counts: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, at: int) -> list[tuple[int | str, float]]:
        """The hits of one question: ids and scores."""
        count = int(self.counts[at])
        return list(zip(self.ids[at, :count].tolist(), self.scores[at, :count].tolist()))

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict for each hit: `question`, `id`, `score`."""
        return [{"question": at, "id": one, "score": score} for at in range(len(self)) for one, score in self[at]]

    def to_arrow(self) -> pa.Table:
        """A table of `pyarrow`, with the columns of `to_dicts`."""
        columns = self._columns()
        if columns["id"].dtype == object:
            columns["id"] = _of_one_type(columns["id"].tolist())
        table: pa.Table = _package("pyarrow", "to_arrow()").table(columns)
        return table

    def to_pandas(self) -> pd.DataFrame:
        """A frame of `pandas`, with the columns of `to_dicts`."""
        frame: pd.DataFrame = _package("pandas", "to_pandas()").DataFrame(self._columns())
        return frame

    def to_polars(self) -> pl.DataFrame:
        """A frame of `polars`, with the columns of `to_dicts`."""
        columns = self._columns()
        if columns["id"].dtype == object:
            columns["id"] = _of_one_type(columns["id"].tolist())
        frame: pl.DataFrame = _package("polars", "to_polars()").DataFrame(columns)
        return frame

    def _columns(self) -> dict[str, Any]:
        import numpy as np

        is_hit = np.arange(self.ids.shape[1]) < self.counts[:, None]
        questions = np.repeat(np.arange(len(self), dtype=np.uint32), self.counts)
        return {"question": questions, "id": self.ids[is_hit], "score": self.scores[is_hit]}


def _of_one_type(ids: list[Any]) -> list[Any]:
    """Ids as they are where they are all numbers, else all as text."""
    return ids if all(isinstance(one, int) for one in ids) else [str(one) for one in ids]


def _package(name: str, purpose: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise missing(name, purpose) from error
