"""What sources are asked for by name: collections, columns, measures. The same words and the same errors for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from kithdb.errors import InvalidArgument
from kithdb.rows import names_of

#: Columns of vectors: one, several, or by the names of the spaces they go to.
Vectors: TypeAlias = str | Sequence[str] | Mapping[str, str] | None

#: Measures of nearness by their names here, and over HTTP.
_METRICS = {"cosine": "Cosine", "dot": "Dot", "euclid": "Euclid", "manhattan": "Manhattan"}


def distance(metric: str) -> str:
    """A measure of nearness as the body of a new collection names it."""
    found = _METRICS.get(metric.lower())
    if found is None:
        raise InvalidArgument(f"`{metric}` is no measure; there are {', '.join(_METRICS)}", "metric")
    return found


def wanted(names: Sequence[str] | None, there: Iterable[str], field: str) -> list[str]:
    """The collections or tables that were named, or all that there are."""
    known = list(there)
    chosen = known if names is None else names_of(names)
    for name in chosen:
        if name not in known:
            raise InvalidArgument(f"has no `{name}`; there are: {', '.join(known) or 'none'}", field)
    return chosen


def check_columns(names: Iterable[str], there: Sequence[str], field: str) -> None:
    """Lets no column be named that there is not."""
    for name in names:
        if name not in there:
            raise InvalidArgument(f"names no column `{name}`; there are: {', '.join(there)}", field)


def spaces_of(vectors: str | Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """The space of each column of vectors that was named."""
    if isinstance(vectors, str):
        return {vectors: ""}
    return dict(vectors) if isinstance(vectors, Mapping) else {name: name for name in vectors}


def texts_of(text: Sequence[str] | None) -> list[str]:
    """What is sought by words."""
    return names_of(text or ())
