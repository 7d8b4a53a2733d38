#!/usr/bin/env python3
"""Random queries of several levels: does KithDB fuse and rescore legs as Qdrant's engine does?

Legs are nearness under every metric, dense, sparse and by rows, diversity, examples, an order and ids; levels above
fuse them, or rank them by a vector, a formula, a field. Levels have filters, limits and thresholds of their own. A leg
with two equal scores can be ordered, and cut, in either way, and where all lie close together the deviation is one of
last bits: such questions are not asked.

    python tests/differential/fusion.py --count 2000
"""

import harness
import queries
import scores

POINTS = scores.POINTS


class Draft(scores.Draft):
    """Everything that is random."""

    def __init__(self, seed):
        super().__init__(seed, is_even=False)
        for _, _, payload in self.points:
            payload["u"] = self.dice.gauss(0, 100)

    def body(self):
        body = self.fused(self.dice.randint(0, 2))
        if self.dice.random() < 0.3:
            body["offset"] = self.dice.randint(0, 5)
        return body

    def level(self, depth):
        return self.fused(depth - 1) if depth and self.dice.random() < 0.6 else self.leaf()

    def fused(self, depth):
        legs = self.some(lambda: self.level(depth), 3, 1)
        body = {"prefetch": legs, **self.merge(len(legs)), **self.bounds()}
        # The routes of the dialect refuse a threshold beside an order; its engine, which is asked here, does not.
        if self.dice.random() < 0.2 and "order_by" not in body.get("query", {}):
            body["score_threshold"] = self.one([0.2, 0.4, 0.5, 0.7])
        return body

    def merge(self, legs):
        kind = self.one(["rrf", "rrf", "dbsf", "dbsf", "plain", "vector", "formula", "mmr", "order"])
        if kind == "order":
            return {"query": {"order_by": {"key": "u", "direction": self.one(["asc", "desc"])}}}
        if kind == "formula":
            parts = [{"mult": [self.dice.random() - 0.3, f"$score[{leg}]"]} for leg in range(legs)]
            return {"query": {"formula": {"sum": parts}, "defaults": {"$score[0]": self.dice.gauss(0, 1)}}}
        if kind == "mmr":
            using = self.one([*scores.SPACES])
            return {"query": self.query(kind, using), "using": using}
        if kind == "vector":
            using = self.one([*scores.SPACES, *scores.MULTI])
            return {"query": {"nearest": self.input(using)}, "using": using}
        if kind == "rrf":
            rrf = {"k": self.one([1, 2, 10, 60]), "weights": [self.dice.random() + 0.1 for _ in range(legs)]}
            return {"query": {"rrf": {name: value for name, value in rrf.items() if self.dice.random() < 0.8}}}
        return {"query": {"fusion": "rrf" if kind == "plain" else kind}}

    def bounds(self):
        bounds = {"params": {"exact": True}}
        if self.dice.random() < 0.8:
            bounds["limit"] = self.one([1, 2, 5, 20, 100])
        if self.dice.random() < 0.3:
            bounds["filter"] = self.filter()
        return bounds

    def leaf(self):
        kind = self.one(["nearest"] * 9 + ["mmr", "best_score", "sum_scores", "discover", "order", "ids"])
        if kind == "ids":
            return self.bounds()
        if kind == "order":
            return {"query": {"order_by": {"key": "u", "direction": self.one(["asc", "desc"])}}, **self.bounds()}
        using = self.one([*scores.SPACES, *scores.MULTI, *scores.SPARSE] if kind == "nearest" else [*scores.SPACES])
        body = {"query": self.query(kind, using), "using": using, **self.bounds()}
        if kind == "nearest" and self.dice.random() < 0.2:
            body["score_threshold"] = self.threshold(using, kind)
        return body


def is_ambiguous(pair, body, stored, above=()):
    """Whether a leg has scores that are equal, or all close together, at any level."""
    filters = [*above, body["filter"]] if "filter" in body else above
    for leg in body.get("prefetch", []):
        if is_ambiguous(pair, leg, stored, filters):
            return True
        query = leg.get("query", {})
        if not query or "order_by" in query or "mmr" in query:
            continue
        own = [leg["filter"]] if "filter" in leg else []
        whole = {**leg, "filter": {"must": [*filters, *own]}, "limit": 10 * POINTS}
        hits = pair.query_there(queries.there(whole, stored))
        if not isinstance(hits, harness.Refused):
            found = [score for _, score in hits]
            if any(harness.is_close(one, other) for one, other in zip(found, found[1:])):
                return True
            taken = found[:leg.get("limit", 10)]
            if len(taken) > 1 and abs(taken[0] - taken[-1]) < 0.02 * max(1.0, abs(taken[0])):
                return True
    return False


def reason(body):
    """Why docs/differences.md expects another answer, if it may."""
    query, legs = body.get("query", {}), body.get("prefetch", [])
    is_distance = lambda leg: "nearest" in leg.get("query", {}) and leg["using"].endswith(("euc", "man"))
    if query == {"fusion": "dbsf"} and any(map(is_distance, legs)):
        return "distances in a fusion by distributions"
    if any("mmr" in leg.get("query", {}) for leg in legs):
        return "diversity in a leg"
    if any("order_by" in leg.get("query", {}) for leg in legs):
        return "an order in a leg"
    return next(filter(None, map(reason, legs)), None)


def main():
    given = harness.arguments(__doc__.split("\n")[0], 2000)
    tally = harness.Tally()
    with harness.Server(given.url, given.binary) as server:
        rounds = max(2, given.count // 250)
        for turn in range(rounds):
            draft = Draft(given.seed * 1000 + turn)
            spaces = {**scores.SPACES, **scores.MULTI}
            fields = [("u", "float"), *([("n", "integer")] if turn % 2 else [])]
            pair = harness.Pair(server, "differential_fusion", spaces, draft.points, fields, scores.SPARSE)
            asked = 0
            while asked < given.count // rounds:
                body = draft.body()
                try:
                    if not is_ambiguous(pair, body, draft.stored):
                        compare(tally, pair, body, draft.stored)
                        asked += 1
                except queries.Refusal as refusal:
                    tally.compare(body, pair.query_here(body), harness.Refused(refusal))
                    asked += 1
            pair.close()
    tally.finish()


def compare(tally, pair, body, stored):
    here, there = pair.query_here(body), pair.query_there(queries.there(body, stored))
    whole = {name: value for name, value in body.items() if name not in ("offset", "score_threshold")}
    everything = pair.query_there(queries.there({**whole, "limit": 10 * POINTS}, stored))
    same = harness.same_ranking(here, there, [] if isinstance(everything, harness.Refused) else everything)
    tally.compare(body, here, there, reason(body), same)


if __name__ == "__main__":
    main()
