"""Filters in Python: `kithdb.f.year >= 2020`, joined by `&`, `|` and `~`.

>>> from kithdb import f
>>> (f.lang == "en") & (f.year >= 2020)
Condition({'must': [{'key': 'lang', 'match': {'value': 'en'}}, {'key': 'year', 'range': {'gte': 2020}}]})

Wherever a filter is asked for (`where=`), a text (`"lang = 'en' AND year >= 2020"`) or a filter in the words of Qdrant
may stand instead, and a text may be joined to an expression: `(f.year >= 2020) & "lang = 'en'"`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

from kithdb.errors import InvalidArgument

#: A value that a field is compared with.
Scalar: TypeAlias = str | int | bool
#: A bound of a range: a number, or a time.
Bound: TypeAlias = int | float | Decimal | date | str
#: Longitude and latitude, in degrees.
Place: TypeAlias = tuple[float, float]


class Condition:
    """A condition on points. Join conditions by `&`, `|` and `~`; Python's `and`, `or` and `not` cannot be."""

    __slots__ = ("_condition",)

    def __init__(self, condition: Mapping[str, Any]) -> None:
        self._condition = dict(condition)

    def to_dict(self) -> dict[str, Any]:
        """The condition in the words of Qdrant."""
        return self._condition

    def _parts(self, word: str) -> list[dict[str, Any]]:
        is_joined_so = list(self._condition) == [word] and isinstance(self._condition[word], list)
        return list(self._condition[word]) if is_joined_so else [self._condition]

    def _joined(self, word: str, other: Where) -> Condition:
        return Condition({word: [*self._parts(word), *condition(other)._parts(word)]})

    def __and__(self, other: Where) -> Condition:
        return self._joined("must", other)

    def __rand__(self, other: Where) -> Condition:
        return condition(other)._joined("must", self)

    def __or__(self, other: Where) -> Condition:
        return self._joined("should", other)

    def __ror__(self, other: Where) -> Condition:
        return condition(other)._joined("should", self)

    def __invert__(self) -> Condition:
        return Condition({"must_not": [self._condition]})

    def __bool__(self) -> bool:
        raise TypeError("a condition is neither true nor false: join conditions by &, | and ~, in parentheses")

    def __repr__(self) -> str:
        return f"Condition({self._condition!r})"


#: A filter: a text, an expression, or a dict in the words of Qdrant.
Where: TypeAlias = str | Mapping[str, Any] | Condition


def condition(where: Where) -> Condition:
    """A filter of any form as a condition."""
    if isinstance(where, Condition):
        return where
    if isinstance(where, str):
        return Condition({"filter": where})
    if isinstance(where, Mapping):
        return Condition(where)
    raise InvalidArgument(
        f"is a {type(where).__name__}; give a text, an expression such as kithdb.f.year >= 2020, or a dict", "where"
    )


def wire(where: Where | None) -> str | dict[str, Any] | None:
    """A filter of any form as the routes take it."""
    if where is None or isinstance(where, str):
        return where
    found = condition(where).to_dict()
    clauses = {"must", "should", "must_not", "min_should"}
    return found if not found or clauses & found.keys() else {"must": [found]}


def _test(path: str, **tests: Any) -> Condition:
    return Condition({"key": path, **tests})


def _scalar(value: Any) -> Any:
    """A value as one of Python, also where it is a scalar of NumPy or a decimal."""
    if hasattr(value, "astype") and getattr(value, "dtype", None) is not None and value.dtype.kind == "M":
        # Of nanoseconds NumPy itself makes integers.
        value = value.astype("datetime64[us]")
    if hasattr(value, "item") and not getattr(value, "ndim", 0):
        value = value.item()
    return float(value) if isinstance(value, Decimal) else value


def _bound(value: Any) -> Any:
    """A bound, which is there: without it everything would match."""
    bound = _scalar(value)
    is_missing = bound is None or type(bound).__name__ in ("NAType", "NaTType")
    if is_missing or (isinstance(bound, float) and not math.isfinite(bound)):
        raise InvalidArgument(f"is {value}, which is no bound; give a finite number, or a time", "value")
    return bound


def _contains(path: str, how: str, words: str) -> Condition:
    # As text: `match.text` of the dialect is a part of the string where the field has no index of texts.
    field, text = path.replace("`", "``"), words.replace("'", "''")
    return Condition({"filter": f"`{field}` CONTAINS {how}'{text}'"})


class Field:
    """A field of the payload: `kithdb.f.year`, `kithdb.f.author.name`, `kithdb.f["parts[].kind"]`."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):
            raise AttributeError(name)
        return Field(f"{self._path}.{name}")

    def __getitem__(self, path: str) -> Field:
        return Field(f"{self._path}.{path}")

    def __eq__(self, value: Scalar | float | Decimal | date) -> Condition:  # type: ignore[override]
        value = _scalar(value)
        if value is None:
            raise InvalidArgument("is None, which nothing equals; ask is_null() or is_empty()", "value")
        if isinstance(value, (float, date)):
            # A moment can be written in several ways, and is one all the same.
            return self.between(value, value)
        return _test(self._path, match={"value": value})

    def __ne__(self, value: Scalar | float | Decimal | date) -> Condition:  # type: ignore[override]
        return ~(self == value)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, bound: Bound) -> Condition:
        return _test(self._path, range={"lt": _bound(bound)})

    def __le__(self, bound: Bound) -> Condition:
        return _test(self._path, range={"lte": _bound(bound)})

    def __gt__(self, bound: Bound) -> Condition:
        return _test(self._path, range={"gt": _bound(bound)})

    def __ge__(self, bound: Bound) -> Condition:
        return _test(self._path, range={"gte": _bound(bound)})

    def between(self, low: Bound, high: Bound) -> Condition:
        """From one bound to another, both included: numbers, or times."""
        return _test(self._path, range={"gte": _bound(low), "lte": _bound(high)})

    def isin(self, values: Iterable[Scalar | float | Decimal | date]) -> Condition:
        """One of these values."""
        if isinstance(values, str):
            raise InvalidArgument(f"is one text; give a list of values, or ask whether it is == {values!r}", "values")
        listed = [_scalar(value) for value in values]
        if any(isinstance(value, (float, date)) for value in listed):
            return Condition({"should": [(self == value).to_dict() for value in listed]})
        return _test(self._path, match={"any": listed})

    def contains(self, words: str) -> Condition:
        """A text with all of these words."""
        return _contains(self._path, "", words)

    def contains_any(self, words: str) -> Condition:
        """A text with any of these words."""
        return _contains(self._path, "ANY ", words)

    def contains_phrase(self, phrase: str) -> Condition:
        """A text with these words, one after the other."""
        return _contains(self._path, "PHRASE ", phrase)

    def startswith(self, prefix: str) -> Condition:
        """A string that begins so."""
        return _test(self._path, match={"prefix": prefix})

    def is_null(self) -> Condition:
        """The field is there, and null."""
        return Condition({"is_null": {"key": self._path}})

    def is_empty(self) -> Condition:
        """The field is missing, null, or an empty list."""
        return Condition({"is_empty": {"key": self._path}})

    def counts(self, at_least: int | None = None, at_most: int | None = None) -> Condition:
        """The field has so many values."""
        bounds = {"gte": at_least, "lte": at_most}
        return _test(self._path, values_count={name: n for name, n in bounds.items() if n is not None})

    def any_object(self, where: Where) -> Condition:
        """One object of the list satisfies all of a filter, whose fields are those of the object."""
        return Condition({"nested": {"key": self._path, "filter": wire(where)}})

    def within_radius(self, center: Place, meters: float) -> Condition:
        """A place not further away, on the sphere. Places are (longitude, latitude), in degrees."""
        return _test(self._path, geo_radius={"center": _place(center), "radius": meters})

    def within_box(self, north_west: Place, south_east: Place) -> Condition:
        """A place between two corners."""
        corners = {"top_left": _place(north_west), "bottom_right": _place(south_east)}
        return _test(self._path, geo_bounding_box=corners)

    def within_polygon(self, ring: Sequence[Place], holes: Sequence[Sequence[Place]] = ()) -> Condition:
        """A place in a ring, and in none of the holes. A ring ends where it begins."""
        exterior, *interiors = ({"points": [_place(place) for place in one]} for one in (ring, *holes))
        return _test(self._path, geo_polygon={"exterior": exterior, "interiors": interiors})

    def __call__(self, *arguments: Any, **named: Any) -> Condition:
        path, _, name = self._path.rpartition(".")
        tests = ", ".join(test for test in vars(Field) if not test.startswith("_"))
        raise TypeError(f"a field ({path or name}) has no test `{name}`; there are {tests}, and ==, !=, <, <=, >, >=")

    def __repr__(self) -> str:
        return f"f[{self._path!r}]"


def quoted(key: str) -> str:
    """A key as a part of a path: in quotes where it has other signs than those of words.

    >>> quoted("year"), quoted("a.b")
    ('year', '"a.b"')
    """
    if key.isascii() and key.replace("_", "").replace("-", "").isalnum():
        return key
    if '"' in key:
        raise InvalidArgument(f"`{key}` has a quote in it, and paths have no way to say that", "key")
    return f'"{key}"'


def _place(place: Place) -> dict[str, float]:
    longitude, latitude = place
    return {"lon": longitude, "lat": latitude}


class Fields:
    """All fields: `kithdb.f`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Field:
        if name.startswith("__"):
            raise AttributeError(name)
        return Field(name)

    def __getitem__(self, path: str) -> Field:
        return Field(path)

    def __repr__(self) -> str:
        return "f"


#: The fields of the payload, to make conditions of: `kithdb.f.year >= 2020`.
f = Fields()


def has_id(ids: int | str | UUID | Iterable[int | str | UUID]) -> Condition:
    """The point has one of these ids, or this one."""
    listed = [ids] if isinstance(ids, (str, int, UUID)) or not isinstance(ids, Iterable) else list(ids)
    return Condition({"has_id": [str(one) if isinstance(one, UUID) else one for one in listed]})


def has_vector(name: str = "") -> Condition:
    """The point has a vector of this name."""
    return Condition({"has_vector": name})


def at_least(count: int, conditions: Iterable[Where]) -> Condition:
    """So many of the conditions hold."""
    all_of_them = [condition(one).to_dict() for one in conditions]
    return Condition({"min_should": {"conditions": all_of_them, "min_count": count}})
