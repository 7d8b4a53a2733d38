"""Values as JSON, for the routes. Arrays, dates, UUIDs and filters are understood."""

from __future__ import annotations

import json
from typing import Any

from kithdb.errors import InvalidArgument
from kithdb.filters import Condition

_encoder = json.JSONEncoder(separators=(",", ":"), default=lambda value: _plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Condition):
        return value.to_dict()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if hasattr(value, "tolist"):
        return value.tolist()
    if type(value).__name__ == "UUID":
        return str(value)
    raise InvalidArgument(f"a {type(value).__name__} has no form in JSON; give text or numbers", "body")


def dumps(value: Any) -> bytes:
    """The JSON of a value, in UTF-8."""
    return _encoder.encode(value).encode()
