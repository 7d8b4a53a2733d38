"""The one way from a source into a collection: made, filled batch by batch, looked at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from kithdb.errors import AlreadyExists, InvalidArgument
from kithdb.importers.batches import Batch, Source, listed
from kithdb.importers.checking import LIMIT, Sample, Truth
from kithdb.importers.report import Moved, Report, Searches
from kithdb.rows import Progress, teller

if TYPE_CHECKING:
    import numpy.typing as npt

    from kithdb.collection import Collection
    from kithdb.database import Database


def move(
    place: str,
    sources: Iterable[Source],
    db: Database,
    *,
    name: Callable[[str], str] = str,
    exist_ok: bool = False,
    progress: Progress = False,
) -> Report:
    """Moves collections, one after the other. `name` says what each is called here."""
    report = Report(place)
    for source in sources:
        report.moved.append(_move_one(source, db, name(source.name), exist_ok, progress))
    return report


def _move_one(source: Source, db: Database, name: str, exist_ok: bool, progress: Progress) -> Moved:
    began = time.perf_counter()
    collection = _made(source, db, name, exist_ok)
    before = collection.count()
    told = Moved(source.name, name, source.count, text=source.text, notes=list(source.notes))
    told.spaces = _described(source)
    dense = {at: space for at, space in source.spaces.items() if "multivector_config" not in space}
    sample, truths = Sample(), [Truth(at, str(space["distance"])) for at, space in dense.items()]
    with teller(progress, source.count) as tell:
        for batch in source.batches:
            ids = set(listed(batch.ids))
            sample.see(batch, ids)
            for truth in truths:
                truth.see(batch, ids)
            _write(collection, batch)
            told.written += len(batch.ids)
            tell(told.written)
    told.count = collection.count()
    told.elapsed_s = time.perf_counter() - began
    told.compared, told.differences = sample.compare(collection)
    _count(told, before)
    if before:
        told.notes.append(f"there were {before:,} points before, so no searches were compared")
    else:
        _ask(told, source, collection, truths)
    return told


def _made(source: Source, db: Database, name: str, exist_ok: bool) -> Collection:
    spaces = source.spaces[""] if list(source.spaces) == [""] else source.spaces
    settings: dict[str, Any] = {"vectors": spaces} if source.spaces else {}
    if source.text:
        settings["text"] = source.text
    if source.sparse:
        settings["sparse"] = source.sparse
    try:
        collection = db.create_collection(name, **_separate(settings))
    except AlreadyExists as error:
        if not exist_ok:
            error.hint = "With exist_ok=True the points go into it, and replace those with the same ids."
            raise
        collection = db.collection(name)
        _check_spaces(source, collection)
    for field, schema in source.fields.items():
        options = {"kind": schema} if isinstance(schema, str) else {"kind": schema["type"], **schema}
        collection.create_index(field, **{name: value for name, value in options.items() if name != "type"})
    return collection


def _separate(settings: dict[str, Any]) -> dict[str, Any]:
    """The unnamed vectors stand under the name that is empty."""
    vectors = settings.get("vectors")
    return {**settings, "vectors": {"": vectors}} if vectors and "size" in vectors else settings


def _check_spaces(source: Source, collection: Collection) -> None:
    there = collection.describe()["vectors"] or {}
    for name, space in source.spaces.items():
        wanted = (space["size"], str(space["distance"]).lower())
        own = there.get(name)
        found = None if own is None else (own["size"], str(own["distance"]).lower())
        if found != wanted:
            what = "has none of that name" if found is None else f"has {found[0]} elements, {found[1]}"
            message = f"`{name}` of the source has {wanted[0]} elements, {wanted[1]}; `{collection.name}` {what}"
            raise InvalidArgument(message, "vectors")


def _described(source: Source) -> dict[str, str]:
    told = {}
    for name, space in source.spaces.items():
        many = "many of " if "multivector_config" in space else ""
        told[name] = f"{many}{space['size']}, {str(space['distance']).lower()}"
    return told | dict.fromkeys(source.sparse, "sparse")


def _write(collection: Collection, batch: Batch) -> None:
    if batch.others is None:
        collection.upsert(ids=batch.ids, vectors=batch.vectors or None, payload=batch.payloads)
        return
    collection.upsert([batch.point(at) for at in range(len(batch.ids))])


def _count(told: Moved, before: int) -> None:
    if told.source_count is not None and told.written != told.source_count:
        told.differences.append(f"the source counts {told.source_count:,} points, and gave {told.written:,}")
    if not before and told.count != told.written:
        twice = told.written - told.count
        told.differences.append(f"{twice:,} points had the id of another, whose place they took; name a unique `id`")
    if before and told.count < told.written:
        told.differences.append(f"{told.written:,} points were written, and {told.count:,} are there")


def _ask(told: Moved, source: Source, collection: Collection, truths: list[Truth]) -> None:
    for truth in truths:
        asked = truth.ask(collection)
        if asked is not None:
            _judge(told, asked, 1.0)
    if source.known is not None:
        # Of points that are equally near the source names some, and this database others.
        _judge(told, _ask_known(collection, *source.known), 0.99)


def _judge(told: Moved, searches: Searches, least: float) -> None:
    told.searches.append(searches)
    if searches.exact < least:
        told.differences.append(f"exact searches find {searches.exact:.1%} of what they should: vectors differ")


def _ask_known(collection: Collection, questions: npt.NDArray[Any], nearest: list[list[int]]) -> Searches:
    """The questions that the source itself brings, with its own answers."""
    shares = []
    for is_exact in (True, None):
        found = collection.search_many(questions, limit=LIMIT, exact=is_exact)
        hit = sum(len({one for one, _ in found[at]} & set(true[:LIMIT])) for at, true in enumerate(nearest))
        shares.append(hit / max(1, sum(len(true[:LIMIT]) for true in nearest)))
    return Searches("", len(questions), LIMIT, *shares)
