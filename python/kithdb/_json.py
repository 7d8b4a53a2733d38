"""Values as JSON, for the routes. Arrays, dates, UUIDs and filters are understood; what is no number is null."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from kithdb.errors import InvalidArgument
from kithdb.filters import Condition

_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, default=lambda value: _plain(value))

#: What stands for a missing value in frames of pandas.
_MISSING = ("NAType", "NaTType")


def _plain(value: Any) -> Any:
    if isinstance(value, Condition):
        return value.to_dict()
    if type(value).__name__ in _MISSING:
        return None
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    if type(value).__name__ == "UUID":
        return str(value)
    raise InvalidArgument(f"a {type(value).__name__} has no form in JSON; give text or numbers", "body")


def dumps(value: Any) -> bytes:
    """The JSON of a value, in UTF-8."""
    try:
        return _encoder.encode(value).encode()
    except InvalidArgument:
        raise
    except ValueError:
        # Not a number, or not finite. It is rare, so that only then every value is looked at.
        return _encoder.encode(_finite(value)).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, (str, int)) or value is None:
        return value
    if isinstance(value, Mapping):
        return {name: _finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return _finite(_plain(value))
