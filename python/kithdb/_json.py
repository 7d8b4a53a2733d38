"""Values as JSON, for the routes. What else is understood is the same as in payloads that go to the engine without
JSON (`src/json.rs`): arrays, series and scalars of NumPy, pandas, polars and pyarrow, dates, UUIDs, decimals, any
mapping and sequence, and filters.

In payloads what is no number, or missing, is null. Elsewhere it is refused: a filter without its bound would match
everything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kithdb.errors import InvalidArgument
from kithdb.filters import Condition, wire

#: What stands for a missing value in frames of pandas.
_MISSING = ("NAType", "NaTType")

#: Members of bodies that hold payloads.
_PAYLOADS = ("payload", "payloads")

#: How a series, an array or a scalar gives values of Python.
_WAYS = ("tolist", "to_list", "to_pylist", "as_py")

#: Nesting beyond every limit of payloads: what refers to itself ends here.
_DEPTH_MAX = 256

#: Integers that the engine has a place for.
_LEAST, _MOST = -(2**63), 2**64 - 1

#: Up to here floats are as exact as integers.
_EXACT = 2.0**53


def _other(value: Any) -> Any:
    """What is neither of JSON nor a dict or a list, as what is; nothing for what stands for a missing value."""
    kind = type(value).__name__
    if isinstance(value, Condition):
        return wire(value)
    if kind in _MISSING:
        return None
    if kind == "Decimal":
        return _decimal(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if getattr(getattr(value, "dtype", None), "kind", "") == "M" and type(value).__module__ == "numpy":
        # Of nanoseconds NumPy itself makes integers.
        value = value.astype("datetime64[us]")
    for way in _WAYS:
        if hasattr(value, way):
            return getattr(value, way)()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return list(value)
    if kind == "UUID":
        return str(value)
    raise InvalidArgument(f"is a {kind}, which JSON has no form for; give text, numbers, lists or dicts")


def _decimal(value: Any) -> int | float:
    """The integer that it is, or the nearest number."""
    number = float(value)
    is_whole = abs(number) < _EXACT and number == value and number.is_integer()
    return int(number) if is_whole else number


def _there(value: Any) -> Any:
    """As `_other`, of what is not missing: whether that may be is told by its place, which is not known here."""
    made = _other(value)
    if made is None:
        raise ValueError("a missing value")
    return made


_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False, default=_there)


def dumps(value: Any) -> bytes:
    """The JSON of a value, in UTF-8.

    Raises `InvalidArgument` naming the place of what has no form in it.
    """
    try:
        return _encoder.encode(value).encode()
    except (ValueError, TypeError, RecursionError):
        # It is rare, so that only then every value is looked at.
        return _encoder.encode(plain(value)).encode()


def plain(value: Any, *, is_payload: bool = False, depth: int = 0) -> Any:
    """A value in which there is nothing but what JSON has, and nothing that JSON would silently make something else of.

    Raises `InvalidArgument` naming the place.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if value.isascii() else _text(value)
    if isinstance(value, float):
        return _number(value, is_payload)
    if isinstance(value, int):
        if not _LEAST <= value <= _MOST:
            raise InvalidArgument("is an integer of more than 64 bits; give it as a string")
        return value
    if depth > _DEPTH_MAX:
        raise InvalidArgument(f"is nested more than {_DEPTH_MAX} deep")
    if isinstance(value, dict):
        return _members(value, is_payload, depth)
    if isinstance(value, (list, tuple)):
        return _elements(value, is_payload, depth)
    made = _other(value)
    if made is None and not is_payload:
        raise InvalidArgument(f"is {value}, a missing value; give one, or leave the place out")
    return plain(made, is_payload=is_payload, depth=depth + 1)


def _members(value: Mapping[Any, Any], is_payload: bool, depth: int) -> dict[str, Any]:
    made = {}
    for name, one in value.items():
        if not isinstance(name, str):
            raise InvalidArgument(f"has the key {name!r}; keys are strings")
        try:
            made[_text(name)] = plain(one, is_payload=is_payload or name in _PAYLOADS, depth=depth + 1)
        except InvalidArgument as error:
            raise error.within(name) from error.__cause__
    return made


def _elements(value: Sequence[Any], is_payload: bool, depth: int) -> list[Any]:
    if set(map(type, value)) == {float} and all(map(math.isfinite, value)):
        return list(value)
    made = []
    for at, one in enumerate(value):
        try:
            made.append(plain(one, is_payload=is_payload, depth=depth + 1))
        except InvalidArgument as error:
            raise error.within(f"[{at}]") from error.__cause__
    return made


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(f"has half of a character (a lone surrogate), which is no text: {value!r}") from error
    return value


def _number(value: float, is_payload: bool) -> float | None:
    if math.isfinite(value):
        return value
    if is_payload:
        return None
    raise InvalidArgument(f"is {named(value)}; give a finite number")


def named(value: float) -> str:
    """What is no finite number, as it is named everywhere."""
    return "NaN" if math.isnan(value) else str(float(value))
