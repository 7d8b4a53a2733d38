"""A collection: what is written to and asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload
from urllib.parse import quote, urlencode

from kithdb._json import dumps, plain
from kithdb.answers import Answers
from kithdb.errors import InvalidArgument, LimitExceeded, NotFound
from kithdb.filters import Where, wire
from kithdb.hits import Asked, Group, Hits, Matches, Point
from kithdb.questions import Question, Sought, one_row, question
from kithdb.rows import Columns, Id, Ids, Progress, columns_of, matrix, plain_id, teller, whole
from kithdb.schemas import Schema
from kithdb.snapshots import Snapshots
from kithdb.writing import Writes

if TYPE_CHECKING:
    from kithdb.doors import Door

#: What of the payload comes along: everything, nothing, what these paths reach, or `{"exclude": [...]}`.
WithPayload: TypeAlias = bool | Sequence[str] | Mapping[str, Sequence[str]]
#: Which vectors come along: all, none, those of these names.
WithVector: TypeAlias = bool | Sequence[str]

#: What points are exported as.
_FILES = ("parquet", "arrow", "jsonl")

_OPERATIONS = {
    "delete": ("POST", "/points/delete"),
    "set_payload": ("POST", "/points/payload"),
    "overwrite_payload": ("PUT", "/points/payload"),
    "delete_payload": ("POST", "/points/payload/delete"),
    "clear_payload": ("POST", "/points/payload/clear"),
    "update_vectors": ("PUT", "/points/vectors"),
    "delete_vectors": ("POST", "/points/vectors/delete"),
    "upsert": ("PUT", "/points"),
}


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an upsert."""

    #: The last commit: what `as_of` takes.
    seqno: int
    #: Points written, those included that a condition passed over.
    count: int
    #: The ids that were made for points without one, in order. Not shown: they may be very many.
    ids: list[int | str] = field(repr=False)


class Collection(Writes, Answers):
    """A collection of points with one schema. Get one from `Database.collection` or `create_collection`.

    Calls may come from several threads. Arrays are of NumPy; shapes stand in parentheses. Ids are unsigned integers
    or UUIDs; `kithdb.id_of` makes one of any text. `where` is a filter as a text (`"year >= 2020 AND lang = 'en'"`),
    an expression (`kithdb.f.year >= 2020`) or a dict in the words of Qdrant.
    """

    def __init__(self, door: Door, name: str, as_of: int | None = None) -> None:
        self._door = door
        #: Its name.
        self.name = name
        #: The commit whose state is read; the present one where it is `None`.
        self.seqno = as_of
        self._path = f"/collections/{quote(name, safe='')}"
        self._schema = Schema(door, name, f"/api/v1{self._path}")

    def __repr__(self) -> str:
        at = "" if self.seqno is None else f" as of {self.seqno}"
        return f"<collection {self.name!r}{at} in {self._door.place}>"

    def __len__(self) -> int:
        return self.count()

    # What it is.

    def describe(self) -> dict[str, Any]:
        """Its schema and where it stands: vectors, keywords, fields, points, segments, measured recall, drift.

        Raises `NotFound` when it was dropped.
        """
        told: dict[str, Any] = self._door.call("GET", f"/api/v1{self._path}")
        return told

    def status(self) -> dict[str, Any]:
        """How it stands in the words of Qdrant: `status` is `green`, or `yellow` while segments are built."""
        told: dict[str, Any] = self._door.call("GET", self._path)
        return told

    def _sought(self, using: str) -> Sought:
        return Sought(self._schema.has_keywords(), self._schema.model(using) is not None)

    # Writing.

    def upsert(
        self,
        data: Any = None,
        *,
        ids: Any = None,
        vectors: Any = None,
        payload: Any = None,
        mode: Literal["upsert", "insert_only", "update_only"] = "upsert",
        where: Where | None = None,
        embed: str | None = None,
        commit_points: int | None = None,
        progress: Progress = False,
    ) -> Written:
        """Inserts points, or replaces those that exist: vectors, payload and keywords together.

        `data` is a list or an iterator of dicts (`{"id": 1, "vector": [...], "title": "..."}`, or `payload` as a
        member), a table or a stream of record batches (pyarrow, pandas, polars, whatever has `__arrow_c_stream__`),
        or a matrix of vectors. Or give columns: `ids` (n,), `vectors` (n, dim) of `float32` or `float16`, or a dict
        of such by the name of their space, `payload` as a list of dicts or a dict of columns. Points without an id
        get a random UUID.

        With `embed`, the unnamed vectors are made of the texts in that member of the payload, by the model that the
        collection belongs to: in this process, or on the server.

        Each commit is whole or not there at all; large writes are several commits, of about 8 MiB of vectors each or
        of `commit_points`. A matrix of `float32` is copied once. `where` is what a point that exists must match to be
        replaced. `progress` is true for a bar, or is called with the number of points written.

        Raises `InvalidArgument` naming the place (`points[3].vector`, counted within the commit), `Conflict` when a
        point has another version than its `if_version`.
        """
        self._check_present()
        conditions: dict[str, Any] = {} if mode == "upsert" else {"update_mode": mode}
        if where is not None:
            conditions["update_filter"] = wire(where)
        given = data if data is not None else vectors if ids is None else ids
        total = len(given) if hasattr(given, "__len__") and not isinstance(given, Mapping) else None
        made: list[int | str] = []
        count = 0

        def write() -> Written:
            nonlocal count
            seqno = 0
            # Columns name their spaces themselves.
            spaces = () if data is None else self._schema.spaces()
            pieces = columns_of(data, ids, vectors, payload, spaces, commit_points, self._door.commit_bytes)
            with teller(progress, total) as tell:
                for columns in pieces:
                    if embed is not None:
                        self._embed(columns, embed)
                    seqno = self._commit(columns, conditions)
                    made.extend(columns.made)
                    count += len(columns.ids)
                    tell(count)
            return Written(seqno, count, made)

        # What is iterated once, or was written in part, is not begun anew.
        return self._schema.tried(write, lambda: not count and (data is None or hasattr(data, "__len__")))

    #: As `upsert`: the name that other databases have for it.
    add = upsert

    def _embed(self, columns: Columns, member: str) -> None:
        own, opened = self._schema.model(""), self._door.model()
        if own is None or opened is None or own["revision"] != opened["revision"]:
            belongs = "to no model" if own is None else f"to the model `{own['name']}`"
            offered = "none is open" if opened is None else f"`{opened['name']}` is open"
            raise InvalidArgument(f"cannot be: the vectors of `{self.name}` belong {belongs}, and {offered}", "embed")
        if columns.points is not None or columns.vectors.get("") is not None:
            raise InvalidArgument("stands beside points that have vectors of their own", "embed")
        texts: list[str] = []
        for at, payload in enumerate(columns.payloads or [None] * len(columns.ids)):
            text = (payload or {}).get(member)
            if not isinstance(text, str):
                raise InvalidArgument(f"is no text, so no vector can be made of it: {text!r}", f"points[{at}].{member}")
            texts.append(text)
        columns.vectors[""] = self._door.embed(texts, is_question=False)

    def _commit(self, columns: Columns, conditions: dict[str, Any]) -> int:
        if columns.points is not None:
            try:
                return self._write("upsert", {"points": columns.points, **conditions})
            except LimitExceeded as error:
                # Long texts: but what requires versions is one commit, or none.
                is_whole = len(columns.points) == 1 or any("if_version" in point for point in columns.points)
                if error.field != "body" or is_whole:
                    raise
                return max(self._commit(part, conditions) for part in columns.halves())
        return self._door.upsert(self.name, columns, conditions)

    def _write(self, operation: str, body: dict[str, Any]) -> int:
        self._check_present()
        method, path = _OPERATIONS[operation]
        return int(self._door.call(method, self._path + path, plain(body))["operation_id"])

    def _check_present(self) -> None:
        if self.seqno is not None:
            raise InvalidArgument("is a past state, which nothing is written to", "as_of")

    def batch(self, operations: Iterable[Mapping[str, Any]]) -> int:
        """Does operations in order, in one commit: `{"upsert": {"points": [...]}}`, `{"delete": {"points": [1]}}` and
        so on, in the words of HTTP. The number of the commit; 0 if there was nothing to do.

        Raises `InvalidArgument` naming the place; then nothing is done.
        """
        done = self._door.call("POST", f"{self._path}/points/batch", plain({"operations": list(operations)}))
        return int(done[-1]["operation_id"]) if done else 0

    # Reading.

    def as_of(self, seqno: int) -> Collection:
        """The collection as it was at a commit, to be read. It keeps past states for `history_s` of its schema.

        A commit that it does not keep (any more) is an `InvalidArgument` on `as_of`, of what is asked there.
        """
        return Collection(self._door, self.name, seqno)

    @overload
    def get(  # type: ignore[overload-overlap]
        self, ids: Id, *, with_payload: WithPayload = True, with_vector: WithVector = False
    ) -> Point: ...
    @overload
    def get(
        self, ids: Iterable[Id], *, with_payload: WithPayload = True, with_vector: WithVector = False
    ) -> list[Point]: ...
    def get(
        self, ids: Id | Iterable[Id], *, with_payload: WithPayload = True, with_vector: WithVector = False
    ) -> Point | list[Point]:
        """A point by its id, or those of several ids that exist, in the order of the ids.

        Raises `NotFound` when the one point does not exist.
        """
        is_one = isinstance(ids, (int, str)) or not isinstance(ids, Iterable)
        asked = [plain_id(ids)] if is_one else _listed(ids)  # type: ignore[arg-type]
        body = {"ids": asked, "with_payload": _shown(with_payload), "with_vector": _shown(with_vector)}
        points = [Point._of(one) for one in self._read("POST", "/points", body)]
        if not is_one:
            return points
        if not points:
            raise NotFound(f"there is no point {asked[0]} in `{self.name}`", "id")
        return points[0]

    def count(self, where: Where | None = None) -> int:
        """How many points match, exactly; all of them without `where`. Raises `InvalidArgument` on `filter`."""
        return int(self._read("POST", "/points/count", _filtered(where))["count"])

    def facet(self, key: str, *, where: Where | None = None, limit: int = 10) -> dict[str | int | bool, int]:
        """The `limit` values of a field that most of the points that match hold, and how many do; most first.

        The field needs no index. Raises `InvalidArgument` on `filter` or `limit`.
        """
        told = self._read("POST", "/facet", {"key": key, "limit": limit, **_filtered(where)})
        return {hit["value"]: hit["count"] for hit in told["hits"]}

    def scroll(
        self,
        where: Where | None = None,
        *,
        with_payload: WithPayload = True,
        with_vector: WithVector = False,
        start: Id | None = None,
        page: int = 256,
    ) -> Iterator[Point]:
        """All points that match, in the order of their ids, from `start` on; read page by page as they are taken.

        Pages are of the state in which each is read; ask a state (`as_of`) to have all of one.
        """
        body = {
            "limit": page,
            "with_payload": _shown(with_payload),
            "with_vector": _shown(with_vector),
            **_filtered(where),
        }
        after = None if start is None else plain_id(start)
        while True:
            told = self._read("POST", "/points/scroll", body if after is None else {**body, "offset": after})
            yield from map(Point._of, told["points"])
            after = told["next_page_offset"]
            if after is None:
                return

    def search(
        self,
        vector: Any = None,
        *,
        text: str | Mapping[str, Any] | None = None,
        query: Any = None,
        prefetch: Any = None,
        where: Where | None = None,
        limit: int = 10,
        offset: int | None = None,
        using: str | None = None,
        with_payload: WithPayload = True,
        with_vector: WithVector = False,
        score_threshold: float | None = None,
        exact: bool | None = None,
        recall: float | None = None,
        ef: int | None = None,
        fusion: str | Mapping[str, Any] = "adaptive",
        highlight: bool | Mapping[str, Any] | None = None,
        deadline_ms: int | None = None,
        rows_max: int | None = None,
        partial: bool | None = None,
    ) -> Hits:
        """The best hits: by nearness, by words, or by both.

        `vector` (dim,) is numbers, a sparse vector (`{"indices": [...], "values": [...]}`), a multivector (rows,
        dim), or the id of a point, whose vector is taken. `text` is sought by its words (BM25) and, where the vectors
        belong to a model that the database was opened with, by its meaning. With both, the lists are fused:
        `adaptive` (see `learn_weights`), `rrf`, `dbsf`, or as a dict says (`{"rrf": {"k": 60}}`). `query` and
        `prefetch` say whatever else can be asked, in the words of HTTP: `{"recommend": {"positive": [7]}}`,
        `{"order_by": "year"}`, `{"sample": "random"}`. With none of them, hits come by id.

        `using` names the space of the vector. `exact` scans; `recall` is the share of the true hits to find, `ef` the
        beam instead. `score_threshold` leaves worse hits out. `deadline_ms` is when the answer must be there, and
        `rows_max` about how many rows may be looked at for it: what was found until then with `partial`, else
        `DeadlineExceeded`, or `LimitExceeded` on `rows_max`.

        Raises `InvalidArgument` naming the place, `NotFound` for an id that does not exist.
        """
        members = _named(
            limit=limit,
            offset=offset,
            using=using,
            score_threshold=score_threshold,
            prefetch=prefetch,
            with_payload=_shown(with_payload),
            with_vector=_shown(with_vector) or None,
            highlight=highlight,
            deadline_ms=deadline_ms,
            rows_max=rows_max,
            partial=partial,
            as_of=self.seqno,
            params=_named(exact=exact, recall=recall, hnsw_ef=ef) or None,
        )

        def ask() -> Hits:
            return self._ask(self._asked(vector, text, query, where, using, fusion, members))

        return self._schema.tried(ask) if _hangs_on_schema(vector, text) else ask()

    def _asked(
        self,
        vector: Any,
        text: Any,
        query: Any,
        where: Where | None,
        using: str | None,
        fusion: str | Mapping[str, Any],
        members: dict[str, Any],
    ) -> Question:
        space = using or ""
        sought = self._sought(space) if text is not None and vector is None else None
        vector = one_row(vector, lambda: self._schema.is_multi(space))
        return question(vector, text, query, where, sought, fusion, dict(members))

    def _ask(self, asked: Question) -> Hits:
        def again(explain: bool | str) -> dict[str, Any]:
            def body(vector: Sequence[float]) -> dict[str, Any]:
                return {**asked.body(vector), "explain": explain}

            return self._door.query(self.name, body, asked.vector)

        def why_not(id: int | str) -> dict[str, Any]:
            query = asked.body(() if asked.vector is None else asked.vector.tolist())
            told: dict[str, Any] = self._door.call("POST", f"/api/v1{self._path}/why-not", {"query": query, "id": id})
            return told

        return Hits(self._door.query(self.name, asked.body, asked.vector), Asked(again, why_not))

    def search_many(
        self,
        vectors: Any,
        *,
        where: Where | None = None,
        limit: int = 10,
        using: str | None = None,
        score_threshold: float | None = None,
        exact: bool | None = None,
        recall: float | None = None,
        ef: int | None = None,
    ) -> Matches:
        """The best hits for each row of a matrix (n, dim), on all cores: ids and scores of shape (n, limit).

        Rows with fewer hits end with ids of 0 (`None` where there are UUIDs) and scores that are not numbers;
        `Matches.counts` says how many there are. In this process all rows are answered from one state, and Ctrl-C
        ends it between rows; over HTTP 64 at a time are, so ask a state (`as_of`) where that matters.

        Raises `InvalidArgument` naming the place.
        """
        import numpy as np

        limit = whole(limit, "limit")
        members = _named(
            limit=limit,
            using=using,
            score_threshold=score_threshold,
            as_of=self.seqno,
            params=_named(exact=exact, recall=recall, hnsw_ef=ef) or None,
        )
        asked = question(None, None, None, where, None, "", members, is_by_row=True)
        rows = np.ascontiguousarray(matrix(vectors, "vectors"), np.float32)
        ids, scores, counts = self._door.query_rows(self.name, asked.body, rows, limit)
        if isinstance(ids, list):
            listed, ids = ids, np.full((len(rows), limit), None, object)
            for at, row in enumerate(listed):
                ids[at, : len(row)] = row
        return Matches(ids, scores, counts)

    def groups(
        self,
        by: str,
        vector: Any = None,
        *,
        text: str | None = None,
        query: Any = None,
        prefetch: Any = None,
        where: Where | None = None,
        limit: int = 10,
        group_size: int = 3,
        using: str | None = None,
        with_payload: WithPayload = True,
        with_vector: WithVector = False,
        score_threshold: float | None = None,
        exact: bool | None = None,
        recall: float | None = None,
        ef: int | None = None,
        fusion: str | Mapping[str, Any] = "adaptive",
        highlight: bool | Mapping[str, Any] | None = None,
        with_lookup: str | Mapping[str, Any] | None = None,
    ) -> list[Group]:
        """The best groups of hits by the values of a field: `limit` of them, each with its `group_size` best hits.

        What else is said is as for `search`.
        """
        members = _named(
            limit=limit,
            group_by=by,
            group_size=group_size,
            using=using,
            prefetch=prefetch,
            with_payload=_shown(with_payload),
            with_vector=_shown(with_vector) or None,
            score_threshold=score_threshold,
            highlight=highlight,
            with_lookup=with_lookup,
            params=_named(exact=exact, recall=recall, hnsw_ef=ef) or None,
        )

        def ask() -> Any:
            asked = self._asked(vector, text, query, where, using, fusion, members)
            body = asked.body(() if asked.vector is None else asked.vector.tolist())
            return self._read("POST", "/points/query/groups", body)

        told = self._schema.tried(ask) if _hangs_on_schema(vector, text) else ask()
        return [Group(group["id"], Hits({"points": group["hits"]})) for group in told["groups"]]

    def query(self, body: Mapping[str, Any]) -> Hits:
        """The hits of a question in the words of HTTP: the body of `points/query`."""
        dated = {} if self.seqno is None else {"as_of": self.seqno}
        return self._ask(Question({**body, **dated}, None, None, None, None))

    def pages(self, body: Mapping[str, Any], *, size: int = 100) -> Iterator[Hits]:
        """All hits of a question in the words of HTTP, page by page: of one state, none twice, none passed over."""
        dated = {} if self.seqno is None else {"as_of": self.seqno}
        told = self._door.call("POST", f"/api/v1{self._path}/cursors", {**body, **dated, "limit": size})
        try:
            while True:
                if told["points"]:
                    yield Hits(told)
                if told["cursor"] is None:
                    return
                told = self._door.call("POST", f"/api/v1/cursors/{told['cursor']}", {})
        finally:
            if told["cursor"] is not None:
                self._door.call("DELETE", f"/api/v1/cursors/{told['cursor']}")

    def matrix(self, sample: int = 100, *, limit: int = 3, where: Where | None = None, using: str = "") -> Any:
        """Points chosen at random, each with its nearest among them: `offsets_row`, `offsets_col`, `scores`, `ids`."""
        body = {"sample": sample, "limit": limit, **({"using": using} if using else {}), **_filtered(where)}
        return self._read("POST", "/points/search/matrix/offsets", body)

    def _read(self, method: str, path: str, body: dict[str, Any]) -> Any:
        dated = body if self.seqno is None else {**body, "as_of": self.seqno}
        return self._door.call(method, self._path + path, dated)

    def export(self, to: str | Path, *, where: Where | None = None) -> Path:
        """Writes all points, or those that match, to a file: its path. How it ends says what it is: `.parquet`,
        `.arrow` (a stream of record batches) or `.jsonl`.

        Each has ids, vectors and payload, as `upsert` takes them. The points are those of one state, the present one.
        Until all of them are there, what the file was before stays.

        Raises `InvalidArgument` on `to` or `filter`.
        """
        path = Path(to)
        kind = path.suffix.removeprefix(".").lower()
        if kind not in _FILES:
            raise InvalidArgument(f"ends with `{path.suffix}`; files end with .{', .'.join(_FILES)}", "to")
        if self.seqno is not None:
            raise InvalidArgument("is a past state, and exported is the present one", "as_of")
        asked = urlencode({"format": kind, **({} if where is None else {"filter": _as_text(where)})})
        pieces = self._door.stream(f"/api/v1{self._path}/export?{asked}")
        # What is wrong with the question shows here.
        first = next(pieces, b"")
        # A part of it could be taken for all, also where this process ends meanwhile.
        part = path.with_name(f"{path.name}.part")
        try:
            with part.open("wb") as file:
                file.writelines(chain([first], pieces))
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return path

    # What it learns.

    def learn_weights(
        self,
        questions: Iterable[Mapping[str, Any]] | None = None,
        *,
        using: str | None = None,
        where: Where | None = None,
        feedback: bool = False,
    ) -> dict[str, Any]:
        """Learns what words weigh where `search` fuses them with a vector, from questions whose answers are known.

        One is `{"question": "words", "expected": [{"id": 7, "grade": 2}], "vector": [...]}`; without a vector the model
        makes it. At least 30 are needed; without `questions` those are asked that are kept with the collection. With
        `feedback` what was said of answers teaches, too. The weights are kept (`is_adopted`) if questions that did not
        choose them are ranked better by them than by the default, by more than chance. `configure(hybrid_weights={})`
        takes them back.
        """
        self._check_present()
        given: dict[str, Any] = {} if questions is None else {"questions": list(questions)}
        if feedback:
            given["feedback"] = True
        body = {**given, **_named(using=using), **_filtered(where)}
        told: dict[str, Any] = self._door.call("POST", f"/api/v1{self._path}/eval/learn", body)
        return told

    # Its schema.

    def create_index(self, field: str, kind: str, **options: Any) -> int:
        """Indexes a field of the payload: `keyword`, `integer`, `float`, `bool`, `datetime`, `uuid`, `geo`, `text`.

        Filters answer the same without an index, by reading payloads. `options` are those of the kind.
        """
        schema = {"type": kind, **options} if options else kind
        return self._alter("PUT", "/index", {"field_name": field, "field_schema": schema})

    def drop_index(self, field: str) -> int:
        """Removes the index of a field."""
        return self._alter("DELETE", f"/index/{quote(field, safe='')}", None)

    def create_vector(self, name: str, **params: Any) -> int:
        """Adds a space for vectors: `dense={"size": 384, "distance": "Cosine"}`, or `sparse={}`."""
        if not params:
            raise InvalidArgument('are missing; give dense={"size": 384, "distance": "Cosine"}, or sparse={}', "params")
        return self._alter("PUT", f"/vectors/{quote(name, safe='')}", params)

    def drop_vector(self, name: str) -> int:
        """Removes a space with all of its vectors."""
        return self._alter("DELETE", f"/vectors/{quote(name, safe='')}", None)

    def _alter(self, method: str, path: str, body: dict[str, Any] | None) -> int:
        try:
            return int(self._door.call(method, self._path + path, body)["operation_id"])
        finally:
            self._schema.forget()

    def configure(self, **changes: Any) -> None:
        """Changes settings, as `PATCH` does over HTTP: `configure(history_s=3600)`, `configure(metadata={...})`.

        Raises `InvalidArgument` naming the setting; then none is changed.
        """
        try:
            self._door.call("PATCH", self._path, changes)
        finally:
            self._schema.forget()

    def optimize(self, *, wait: bool = True) -> None:
        """Makes one segment of all rows there are: the form that is fastest to search. Ctrl-C stops waiting for it."""
        self._door.call("POST", f"/api/v1{self._path}/optimize", {"wait": wait})

    @property
    def snapshots(self) -> Snapshots:
        """Snapshots of this collection."""
        return Snapshots(self._door, self.name)

    def recover(self, source: str | Path, *, checksum: str | None = None) -> None:
        """Makes the collection what a snapshot in a file holds, in one commit. `checksum` is its SHA-256."""
        try:
            self._door.recover(f"{self._path}/snapshots", self.name, Path(source), checksum)
        finally:
            self._schema.forget()


def _named(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _hangs_on_schema(vector: Any, text: Any) -> bool:
    """Whether a question is another one for another schema: texts alone, and what may be a row or a multivector."""
    if vector is None:
        return text is not None
    shape = getattr(vector, "shape", None)
    if shape is not None:
        return len(shape) == 2
    return isinstance(vector, (list, tuple)) and len(vector) > 0 and hasattr(vector[0], "__len__")


def _shown(what: WithPayload | WithVector) -> Any:
    """What comes along, where a text names one member."""
    return [what] if isinstance(what, str) else list(what) if isinstance(what, (set, frozenset)) else what


def _filtered(where: Where | None) -> dict[str, Any]:
    return {} if where is None else {"filter": wire(where)}


def _as_text(where: Where) -> str:
    """A filter as a text, or as the JSON of what is none."""
    found = wire(where)
    return found if isinstance(found, str) else dumps(found).decode()


def _listed(ids: Ids | Iterable[Id]) -> list[int | str]:
    if hasattr(ids, "tolist"):
        return list(ids.tolist())
    return [plain_id(one) for one in ids]
