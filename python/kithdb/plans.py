"""Why an answer is as it is: the plan of a question, and why a point is no hit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any


class Plan:
    """The plan of a question; `str(plan)` is for people, `plan.tree` for programs."""

    def __init__(self, told: Mapping[str, Any]) -> None:
        #: The plan as text.
        self.text: str = told["text"]
        #: The plan as it is told over HTTP.
        self.tree: dict[str, Any] = told["tree"]

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.text)}</pre>"


#: What became of a point, for people.
_REASONS = {
    "hit": "it is a hit",
    "passed_over_by_offset": "it is passed over by the offset",
    "no_such_point": "there is no such point",
    "filtered_out": "the filter shuts it out",
    "no_vector": "it has no vector in the space that is asked",
    "found_by_no_leg": "no leg found it",
    "no_score": "it gets no score",
    "below_threshold": "its score is below the threshold",
    "not_reached_by_the_graph": "the graph did not reach it; ask for more recall",
    "mistaken_by_codes": "its codes put it too far away; ask for more recall",
    "outranked": "others are better",
}


class WhyNot:
    """Why a point is not among the hits, at each level of the question."""

    def __init__(self, id: int | str, told: Mapping[str, Any]) -> None:
        #: The point.
        self.id = id
        #: The reason, in a word: `outranked`, `filtered_out`, `no_such_point` and so on.
        self.why: str = told["why"]
        #: Where it would stand among all points, from 1 on, if that was worked out.
        self.rank: int | None = told.get("rank")
        #: Its score, if it has one.
        self.score: float | None = told.get("score")
        #: The conditions that shut it out, by their places in the filter.
        self.filter: list[str] = told.get("filter", [])
        #: The same conditions, as filters are written: what must hold and does not.
        self.conditions: list[str] = told.get("conditions", [])
        #: The same at the legs of a hybrid question.
        self.legs: list[WhyNot] = [WhyNot(id, leg) for leg in told.get("legs", [])]

    def _lines(self, depth: int) -> Iterator[str]:
        figures = [f"rank {self.rank}"] * (self.rank is not None)
        figures += [f"score {self.score:.6g}"] if self.score is not None else []
        figures += [f"{place}: {condition}" for place, condition in zip(self.filter, self.conditions)]
        behind = f" ({', '.join(figures)})" if figures else ""
        yield "  " * depth + _REASONS.get(self.why, self.why) + behind
        for at, leg in enumerate(self.legs):
            first, *rest = leg._lines(depth + 1)
            yield "  " * (depth + 1) + f"leg {at}: {first.strip()}"
            yield from rest

    def __str__(self) -> str:
        return "\n".join([f"point {self.id}: " + line if not at else line for at, line in enumerate(self._lines(0))])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
