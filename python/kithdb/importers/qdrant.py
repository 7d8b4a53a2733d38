"""Out of Qdrant: a server of its API, whichever it is, or a directory of Qdrant Edge."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from kithdb.errors import InvalidArgument, missing
from kithdb.importers.batches import Batch, Source, of_points, rows_of
from kithdb.importers.moving import move
from kithdb.importers.naming import texts_of, wanted
from kithdb.importers.report import Report
from kithdb.rows import Progress

if TYPE_CHECKING:
    from kithdb.database import Database

#: What of a vector decides what its values mean; how it is indexed is this database's own affair.
_OF_SPACE = ("size", "distance", "multivector_config", "datatype")


def from_qdrant(
    source: str,
    db: Database,
    *,
    collections: Sequence[str] | None = None,
    prefix: str = "",
    api_key: str | None = None,
    text: Sequence[str] | None = None,
    timeout_s: float = 60.0,
    exist_ok: bool = False,
    progress: Progress = False,
) -> Report:
    """Moves the collections of a server, all of them or those of these names, to collections of the same names.

    `source` is its address (`http://127.0.0.1:6333`). Ids, named, sparse and multiple vectors, payload and indexes of
    fields come along; `text` are members of the payload that are sought by words here.

    Points that are written to the server meanwhile may come along or not.

    Raises `Unreachable`, `AccessDenied` without the right `api_key`, `InvalidArgument` on `collections`,
    `AlreadyExists` unless `exist_ok`.
    """
    from kithdb.remote import RemoteDoor

    door = RemoteDoor(source, api_key, timeout_s)
    try:
        there = sorted(one["name"] for one in door.call("GET", "/collections")["collections"])
        sources = (_served(door, name, text) for name in wanted(collections, there, "collections"))
        return move(source, sources, db, name=lambda one: prefix + one, exist_ok=exist_ok, progress=progress)
    finally:
        door.close()


def _served(door: Any, name: str, text: Sequence[str] | None) -> Source:
    path = f"/collections/{quote(name, safe='')}"
    told = door.call("GET", path)
    params = told["config"]["params"]
    spaces, sparse = _spaces(params)
    step = _step(spaces)
    count = int(door.call("POST", f"{path}/points/count", {"exact": True})["count"])

    def batches() -> Iterator[Batch]:
        body = {"limit": step, "with_payload": True, "with_vector": True}
        after: Any = None
        while True:
            page = door.call("POST", f"{path}/points/scroll", body if after is None else {**body, "offset": after})
            if page["points"]:
                yield of_points(page["points"])
            after = page["next_page_offset"]
            if after is None:
                return

    fields = {field: _field(schema) for field, schema in (told.get("payload_schema") or {}).items()}
    return Source(name, count, spaces, batches(), sparse=sparse, text=texts_of(text), fields=fields)


def _field(schema: Mapping[str, Any]) -> Any:
    params = {name: value for name, value in (schema.get("params") or {}).items() if value is not None}
    return params if "type" in params else schema["data_type"]


def _spaces(params: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    vectors = params.get("vectors") or {}
    named = {"": vectors} if "size" in vectors else vectors
    spaces = {
        name: {member: space[member] for member in _OF_SPACE if space.get(member) is not None}
        for name, space in named.items()
    }
    sparse = {
        name: {"modifier": space["modifier"]} if (space or {}).get("modifier") else {}
        for name, space in (params.get("sparse_vectors") or {}).items()
    }
    return spaces, sparse


def _step(spaces: Mapping[str, Mapping[str, Any]]) -> int:
    # Of multiple vectors a point has any number.
    return rows_of(sum(space["size"] * (16 if "multivector_config" in space else 1) for space in spaces.values()))


def from_qdrant_edge(
    source: str | os.PathLike[str],
    db: Database,
    collection: str | None = None,
    *,
    text: Sequence[str] | None = None,
    exist_ok: bool = False,
    progress: Progress = False,
) -> Report:
    """Moves a directory of Qdrant Edge into a collection, which has the name of the directory if none is given.

    As `from_qdrant`. The directory must be open nowhere else.

    Raises `InvalidArgument` on `source`, `AlreadyExists` unless `exist_ok`, `MissingPackage` without
    `qdrant-edge-py`.
    """
    try:
        import qdrant_edge
    except ImportError as error:
        raise missing("qdrant-edge-py", "from_qdrant_edge()") from error
    path = Path(source)
    try:
        params = json.loads((path / "edge_config.json").read_text())
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"`{path}` is no directory of Qdrant Edge: {error}", "source") from error
    shard = qdrant_edge.EdgeShard.load(os.fspath(path))
    try:
        made = _edge(qdrant_edge, shard, params, collection or path.name, text)
        return move(f"Qdrant Edge {path}", [made], db, exist_ok=exist_ok, progress=progress)
    finally:
        shard.close()


def _edge(edge: Any, shard: Any, params: Mapping[str, Any], name: str, text: Sequence[str] | None) -> Source:
    spaces, sparse = _spaces(params)
    step = _step(spaces)
    notes = []
    if shard.info().payload_schema:
        notes.append("its indexes of fields do not come along: filters answer without, `create_index` makes them")

    def batches() -> Iterator[Batch]:
        after: Any = None
        while True:
            asked = edge.ScrollRequest(offset=after, limit=step, with_payload=True, with_vector=True)
            records, after = shard.scroll(asked)
            if records:
                yield of_points([_edge_point(one) for one in records])
            if after is None:
                return

    count = int(shard.count(edge.CountRequest(exact=True)))
    return Source(name, count, spaces, batches(), sparse=sparse, text=texts_of(text), notes=notes)


def _edge_point(record: Any) -> dict[str, Any]:
    vector = record.vector
    if isinstance(vector, Mapping):
        vector = {
            name: {"indices": list(one.indices), "values": list(one.values)} if hasattr(one, "indices") else one
            for name, one in vector.items()
        }
    return {"id": record.id, "vector": vector, "payload": record.payload}
