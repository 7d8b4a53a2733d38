#!/usr/bin/env python3
"""Random queries of every kind that ranks by vectors: does KithDB give the hits and scores that Qdrant's engine gives?

Points have several vectors, and lack some; half of the rounds have small whole numbers as elements, so that many scores
are equal. The mean of examples is asked of `qdrant-client` in local mode: the engine is given the mean by its server.

    python tests/differential/scores.py --count 2000
"""

import harness
import queries

METRICS = {"dot": "Dot", "cos": "Cosine", "euc": "Euclid", "man": "Manhattan"}
SIZE = 4
SPACES = {name: (SIZE, metric) for name, metric in METRICS.items()}
MULTI = {f"m_{name}": (3, metric, "multi") for name, metric in METRICS.items()}
SPARSE = {"plain": False, "idf": True}
POINTS = 60


class Draft:
    """Everything that is random. With `is_even` elements are whole numbers."""

    def __init__(self, seed, is_even):
        self.dice, self.is_even = harness.dice(seed), is_even
        self.points = [(number, self.vectors(), self.payload()) for number in range(1, POINTS + 1)]
        self.stored = {number: vectors for number, vectors, _ in self.points}

    def one(self, items):
        return self.dice.choice(items)

    def some(self, make, most=3, least=0):
        return [make() for _ in range(self.dice.randint(least, most))]

    def element(self):
        return float(self.dice.randint(-2, 2)) if self.is_even else self.dice.gauss(0, 1)

    def dense(self, size=SIZE):
        """Never of length 0: under cosine such a vector has no direction."""
        vector = [self.element() for _ in range(size)]
        return vector if any(vector) else self.dense(size)

    def sparse(self):
        indices = self.dice.sample(range(12), self.dice.randint(1, 5))
        return {"indices": indices, "values": [self.element() or 1.0 for _ in indices]}

    def rows(self):
        return self.some(lambda: self.dense(3), 3, 1)

    def vector(self, using):
        return self.sparse() if using in SPARSE else self.rows() if using in MULTI else self.dense()

    def vectors(self):
        return {using: self.vector(using) for using in [*SPACES, *MULTI, *SPARSE] if self.dice.random() < 0.8}

    def payload(self):
        payload = {"n": self.dice.randint(0, 3), "k": self.one("ab")}
        return {key: value for key, value in payload.items() if self.dice.random() < 0.8}

    def filter(self):
        makes = [
            lambda: {"key": "n", "match": {"value": self.dice.randint(0, 3)}},
            lambda: {"key": "n", "range": {"gte": self.dice.randint(0, 3)}},
            lambda: {"key": "k", "match": {"value": self.one("ab")}},
            lambda: {"is_empty": {"key": self.one("nk")}},
            lambda: {"has_id": self.dice.sample(range(1, POINTS + 1), 20)},
            lambda: {"has_vector": self.one([*SPACES])},
        ]
        return {self.one(["must", "should", "must_not"]): self.some(lambda: self.one(makes)(), 2, 1)}

    def input(self, using):
        """A vector, or sometimes the id of a point that may lack it, or not exist."""
        return self.dice.randint(1, POINTS + 1) if self.dice.random() < 0.2 else self.vector(using)

    def pair(self, using):
        return {"positive": self.input(using), "negative": self.input(using)}

    def query(self, kind, using):
        examples = lambda least: self.some(lambda: self.input(using), 3, least)
        if kind == "nearest":
            return {"nearest": self.input(using)}
        if kind == "mmr":
            # Under Manhattan a half makes many equal: all that lie behind what was chosen.
            diversity = self.one([0.0, 0.2, 0.4 if using == "man" else 0.5, 1.0])
            mmr = {"diversity": diversity, "candidates_limit": self.dice.randint(1, 30)}
            return {"nearest": self.input(using), "mmr": mmr}
        if kind in ("best_score", "sum_scores"):
            positive = examples(0)
            return {"recommend": {"positive": positive, "negative": examples(not positive), "strategy": kind}}
        if kind == "average_vector":
            return {"recommend": {"positive": examples(1), "negative": examples(0), "strategy": kind}}
        pairs = self.some(lambda: self.pair(using), 3, 1)
        if kind == "context":
            return {"context": pairs}
        return {"discover": {"target": self.input(using), "context": pairs}}

    def threshold(self, using, kind):
        if kind in ("best_score", "discover"):
            return self.one([-0.5, 0.0, 0.25, 0.5, 1.0])
        if kind == "context":
            return self.one([-1.5, -0.5, 0.0])
        if using.endswith("cos"):
            return self.one([-0.5, 0.0, 0.25, 0.8])
        # A mean has thirds, whose last bit would decide: nothing lies at a tenth.
        tenth = 0.1 if kind == "average_vector" else 0.0
        return tenth + float(self.dice.randint(0 if using.endswith(("euc", "man")) else -4, 8))

    def body(self):
        kind = self.one(["nearest"] * 4 + KINDS)
        using = self.one([*SPACES, *MULTI, *SPARSE] if kind == "nearest" else [*SPACES])
        if self.is_even and (kind == "mmr" or kind in BY_SIDES and using == "cos"):
            # Which of equal candidates is looked at decides what else is chosen, and the last bit on which side it is.
            return self.body()
        body = {"query": self.query(kind, using), "using": using, "limit": self.one([1, 3, 10, 100])}
        body["params"] = {"exact": True}
        if self.dice.random() < 0.3:
            body["offset"] = self.dice.randint(0, 20)
        if self.dice.random() < 0.4:
            body["filter"] = self.filter()
        if self.dice.random() < 0.3 and kind != "mmr":
            body["score_threshold"] = self.threshold(using, kind)
        return kind, body


BY_SIDES = ["best_score", "discover", "context"]
KINDS = ["mmr", "best_score", "sum_scores", "average_vector", "discover", "context"]


def is_even(pair, stored):
    """Whether some point has similarity 0 with both sides of a pair."""
    both = [stored.get(one, {}).get("dot", []) if isinstance(one, int) else one for one in pair.values()]
    zero = lambda one, other: sum(a * b for a, b in zip(one, other)) == 0.0
    return any(all(zero(vectors["dot"], one) for one in both) for vectors in stored.values() if "dot" in vectors)


def reason(kind, body, everything, stored):
    """Why docs/differences.md expects another answer, if it may."""
    by_examples = kind in ("best_score", "sum_scores", "discover", "context")
    if by_examples and body["using"] in ("euc", "man") and "score_threshold" in body:
        return "thresholds of ratings"
    threshold = body.get("score_threshold")
    if threshold is not None and any(harness.is_close(score, threshold) for _, score in everything):
        return "thresholds at the same score"
    pairs = body["query"].get("discover", {}).get("context", [])
    if body["using"] == "dot" and any(is_even(pair, stored) for pair in pairs):
        return "zeros with a sign"
    is_filtered = "filter" in body or isinstance(body["query"].get("nearest"), int)
    if body["using"] in SPARSE and is_filtered and any(score == 0.0 for _, score in everything):
        return "sparse products that add up to 0"
    return None


class Local:
    """The same points in the local mode of the client."""

    def __init__(self, points):
        # Here, since it takes a second, and only this script asks it.
        from qdrant_client import QdrantClient, models

        self.models, self.client = models, QdrantClient(":memory:")
        params = {name: models.VectorParams(size=size, distance=metric) for name, (size, metric) in SPACES.items()}
        self.client.create_collection("c", params)
        only = lambda vectors: {name: vector for name, vector in vectors.items() if name in SPACES}
        make = lambda number, vectors, payload: models.PointStruct(id=number, vector=only(vectors), payload=payload)
        self.client.upsert("c", [make(*point) for point in points])

    def query(self, body):
        query = self.models.RecommendQuery.model_validate({"recommend": body["query"]["recommend"]})
        filters = self.models.Filter.model_validate(body["filter"]) if "filter" in body else None
        try:
            hits = self.client.query_points(
                "c", query=query, using=body["using"], query_filter=filters, limit=body["limit"],
                offset=body.get("offset"), score_threshold=body.get("score_threshold"),
            )
        except (ValueError, AssertionError) as error:
            return harness.Refused(error)
        return [(hit.id, hit.score) for hit in hits.points]


# Differences after which the right answer can be told from all scores.
COMPUTED = ["thresholds of ratings", "thresholds at the same score", "sparse products that add up to 0"]


def ours(kind, body, everything):
    """What docs/differences.md says that KithDB answers; three answers, since the last bits of a score may decide."""
    using, threshold, offset = body["using"], body.get("score_threshold"), body.get("offset", 0)
    sign = -1.0 if using.endswith(("euc", "man")) and kind in ("nearest", "average_vector") else 1.0
    for slack in (1e-6, 0.0, -1e-6):
        passes = lambda score: threshold is None or sign * score >= sign * threshold - slack
        kept = [hit for hit in everything if passes(hit[1]) and not (using in SPARSE and hit[1] == 0.0)]
        yield kept[offset:offset + body["limit"]]


def ask_there(pair, local, kind, body, stored):
    if kind == "average_vector":
        return local.query(body)
    try:
        return pair.query_there(queries.there(body, stored))
    except queries.Refusal as refusal:
        return harness.Refused(refusal)


def compare(tally, pair, local, kind, body, stored):
    here, there = pair.query_here(body), ask_there(pair, local, kind, body, stored)
    whole = {name: value for name, value in body.items() if name not in ("offset", "score_threshold")}
    everything = ask_there(pair, local, kind, {**whole, "limit": 10 * POINTS}, stored)
    if isinstance(everything, harness.Refused):
        everything = []
    why, same = reason(kind, body, everything, stored), harness.same_ranking(here, there, everything)
    if kind == "mmr" and not isinstance(here, harness.Refused) and not isinstance(there, harness.Refused):
        same = same and [number for number, _ in here] == [number for number, _ in there]
    if why in COMPUTED and not any(harness.same_ranking(here, one, everything) for one in ours(kind, body, everything)):
        why = None
    tally.compare(body, here, there, why, same)


def main():
    given = harness.arguments(__doc__.split("\n")[0], 2000)
    tally = harness.Tally()
    with harness.Server(given.url, given.binary) as server:
        rounds = max(4, given.count // 250)
        for turn in range(rounds):
            draft = Draft(given.seed * 1000 + turn, turn % 2 == 0)
            fields = [("n", "integer"), ("k", "keyword")] if turn % 4 < 2 else []
            pair = harness.Pair(server, "differential_scores", {**SPACES, **MULTI}, draft.points, fields, SPARSE)
            local = Local(draft.points)
            for _ in range(given.count // rounds):
                compare(tally, pair, local, *draft.body(), draft.stored)
            pair.close()
    tally.finish()


if __name__ == "__main__":
    main()
