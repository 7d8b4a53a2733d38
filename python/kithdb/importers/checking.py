"""Was everything carried over? A sample of points, and of questions with their true answers, from one pass.

The true answers are worked out from the vectors as the source gave them, by arithmetic of NumPy: neither the source's
index nor this database's is trusted. That costs a product of each batch with a few questions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kithdb._json import plain
from kithdb.importers.batches import Batch, listed
from kithdb.importers.report import Searches

if TYPE_CHECKING:
    import numpy.typing as npt

    from kithdb.collection import Collection

#: Points that are compared, questions that are asked, and hits of each.
SAMPLE, QUESTIONS, LIMIT = 64, 20, 10

#: How far elements may be apart, beside the largest: half precision has 11 bits.
_TOLERANCE = 2e-3


class Sample:
    """Points chosen at random, each as likely as any other, from a stream of unknown length."""

    def __init__(self) -> None:
        self._rng = np.random.default_rng(7)
        self._points: list[dict[str, Any]] = []
        self._seen = 0

    def see(self, batch: Batch, ids: set[int | str]) -> None:
        """Looks at a batch, whose ids these are."""
        # A point that comes again takes the place of the one before.
        again = {point["id"] for point in self._points} & ids
        if again:
            at = {one: place for place, one in enumerate(listed(batch.ids))}
            self._points = [batch.point(at[one["id"]]) if one["id"] in again else one for one in self._points]
        count = len(batch.ids)
        chances = SAMPLE / np.arange(self._seen + 1, self._seen + count + 1)
        for row in np.flatnonzero(self._rng.random(count) < chances):
            point = batch.point(int(row))
            if any(one["id"] == point["id"] for one in self._points):
                continue
            if len(self._points) < SAMPLE:
                self._points.append(point)
            else:
                self._points[int(self._rng.integers(SAMPLE))] = point
        self._seen += count

    def compare(self, collection: Collection) -> tuple[int, list[str]]:
        """How many were looked at, and what is different about which."""
        found = {point.id: point for point in collection.get([one["id"] for one in self._points], with_vector=True)}
        metrics = {name: str(space["distance"]) for name, space in (collection.describe()["vectors"] or {}).items()}
        told = []
        for point in self._points:
            there = found.get(point["id"])
            if there is None:
                told.append(f"the point {point['id']} is missing")
                continue
            if plain(point["payload"], is_payload=True) != there.payload:
                told.append(f"the payload of the point {point['id']} is another")
            named = there.vector if isinstance(there.vector, dict) else {"": there.vector}
            for space, vector in (point["vector"] or {}).items():
                if not _is_same(vector, named.get(space), metrics.get(space)):
                    where = f" in `{space}`" if space else ""
                    told.append(f"the vector of the point {point['id']}{where} is another")
        return len(self._points), told


def _is_same(given: Any, stored: Any, metric: str | None) -> bool:
    if stored is None:
        return False
    if isinstance(given, dict):
        return sorted(given["indices"]) == sorted(stored["indices"]) and bool(
            np.allclose(_by_index(given), _by_index(stored), atol=_TOLERANCE)
        )
    one, other = (np.atleast_2d(np.asarray(vector, np.float64)) for vector in (given, stored))
    if one.shape != other.shape:
        return False
    if (metric or "").lower() == "cosine":
        one, other = _unit(one), _unit(other)
    return bool(np.abs(one - other).max(initial=0.0) <= _TOLERANCE * max(1.0, float(np.abs(one).max(initial=0.0))))


def _by_index(sparse: dict[str, Any]) -> list[float]:
    return [value for _, value in sorted(zip(sparse["indices"], sparse["values"]))]


def _unit(rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0))


def nearness(questions: npt.NDArray[Any], rows: npt.NDArray[Any], metric: str) -> npt.NDArray[np.float64]:
    """How near each row is to each question, larger for nearer: a row for each question."""
    asked, rows = questions.astype(np.float64), rows.astype(np.float64)
    if metric == "cosine":
        return np.asarray(_unit(asked) @ _unit(rows).T)
    if metric == "dot":
        return np.asarray(asked @ rows.T)
    if metric == "manhattan":
        return np.stack([-np.abs(rows - one).sum(axis=1) for one in asked])
    squares = (asked**2).sum(axis=1)[:, None] - 2.0 * (asked @ rows.T) + (rows**2).sum(axis=1)
    return np.asarray(-np.sqrt(np.maximum(squares, 0.0)))


class Truth:
    """The nearest points to a few questions in one space, found while the points go by.

    Questions lie between two points of the first batch: near to some, and the same as none.
    """

    def __init__(self, space: str, metric: str) -> None:
        self._space, self._metric = space, metric.lower()
        self._rng = np.random.default_rng(11)
        self._questions: npt.NDArray[np.float32] | None = None
        self._best: list[list[tuple[float, int | str]]] = []

    def see(self, batch: Batch, all_ids: set[int | str]) -> None:
        """Looks at a batch, whose ids these are."""
        ids, rows = batch.dense(self._space)
        if self._questions is None and len(rows) >= 2:
            one, other = self._rng.integers(len(rows), size=(2, QUESTIONS))
            self._questions = np.ascontiguousarray(0.7 * rows[one] + 0.3 * rows[other], np.float32)
            self._best = [[] for _ in range(QUESTIONS)]
        if self._questions is None:
            return
        # Points that come again, also without this vector, are not what they were.
        self._best = [[one for one in best if one[1] not in all_ids] for best in self._best]
        if not len(rows):
            return
        last = {one: at for at, one in enumerate(ids)}
        kept = sorted(last.values())
        scores = nearness(self._questions, rows[kept], self._metric)
        for best, row in zip(self._best, scores):
            count = min(LIMIT, len(row))
            near = np.argpartition(-row, count - 1)[:count]
            best += [(float(row[at]), ids[kept[at]]) for at in near]
            best.sort(key=lambda one: -one[0])
            del best[LIMIT:]

    def ask(self, collection: Collection) -> Searches | None:
        """Asks the collection the questions; nothing if there are none."""
        if self._questions is None:
            return None
        exact, usual = (self._share(collection, is_exact) for is_exact in (True, False))
        return Searches(self._space, QUESTIONS, LIMIT, exact, usual)

    def _share(self, collection: Collection, is_exact: bool) -> float:
        assert self._questions is not None
        using = self._space or None
        found = collection.search_many(self._questions, limit=LIMIT, using=using, exact=is_exact or None)
        wanted = hit = 0
        for at, (question, best) in enumerate(zip(self._questions, self._best)):
            true = {one for _, one in best}
            ids = [one for one, _ in found[at]]
            others = [one for one in ids if one not in true]
            wanted += len(best)
            hit += len(ids) - len(others) + self._as_near(collection, question, others, best[-1][0])
        return min(1.0, hit / wanted) if wanted else 1.0

    def _as_near(self, collection: Collection, question: Any, ids: list[int | str], bound: float) -> int:
        """How many of the points are as near as the last of the true ones: they stand for it as well as it does."""
        if not ids:
            return 0
        points = collection.get(ids, with_vector=[self._space] if self._space else True)
        rows = [one.vector[self._space] if isinstance(one.vector, dict) else one.vector for one in points]
        scores = nearness(question[None], np.asarray(rows), self._metric)[0]
        return int((scores >= bound - _TOLERANCE * max(1.0, abs(bound))).sum())
