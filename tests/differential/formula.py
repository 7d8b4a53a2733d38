#!/usr/bin/env python3
"""Random formulas over random payloads: does KithDB compute, or refuse, what Qdrant's engine computes or refuses?

Every expression there is, with and without indexes and defaults, over few points at a time: one that has no score
refuses the whole query.

    python tests/differential/formula.py --count 2000
"""

import filters
import harness
import queries

POINTS = 40
NUMBERS = ["n", "f", "l", "m", "o.x", "l[0]", "a[0].x", "a[].x", "gone"]
SCORES = ["$score", "$score[0]", "$score[1]"]
INDEXES = [("n", "integer"), ("f", "float"), ("d", "datetime"), ("g", "geo"), ("l", "integer"), ("m", "float")]


class Draft(filters.Draft):
    """Everything that is random."""

    def __init__(self, seed):
        super().__init__(seed)
        vector = lambda: [float(self.dice.randint(-3, 3)), float(self.dice.randint(-3, 3))]
        self.points = [(number, vector(), self.payload()) for number in range(1, POINTS + 1)]

    def constant(self):
        usual = [0, 1, 2, 0.5, -1, 0.25, 3.5, -2]
        return self.one(usual) if self.dice.random() < 0.97 else self.one([1e38, -1e38, 1e30, 100, 1e-30])

    def leaf(self):
        kind = self.one(["constant"] * 4 + ["number"] * 4 + ["score"] * 4 + ["condition", "time", "times", "far"])
        makes = {
            "constant": self.constant, "number": lambda: self.one(NUMBERS), "score": lambda: self.one(SCORES),
            "condition": lambda: self.condition(1), "time": lambda: {"datetime": self.one(filters.TIMES)},
            "times": lambda: {"datetime_key": self.one("ddddk")},
            "far": lambda: {"geo_distance": {"origin": self.place(), "to": self.one("ggggk")}},
        }
        return makes[kind]()

    def expression(self, depth):
        if not depth or self.dice.random() < 0.2:
            return self.leaf()
        part = lambda: self.expression(depth - 1)
        kind = self.one(["many"] * 4 + ["one"] * 3 + ["div", "pow", "decay", "decay"])
        if kind == "many":
            return {self.one(["sum", "mult", "max", "min"]): self.some(part, 3, self.dice.random() > 0.02)}
        if kind == "one":
            return {self.one(["neg", "abs", "sqrt", "exp", "ln", "log10", "acosh"]): part()}
        if kind == "pow":
            return {"pow": {"base": part(), "exponent": self.one([2, 0.5, -1, part()])}}
        if kind == "div":
            default = {"by_zero_default": self.constant()} if self.dice.random() < 0.6 else {}
            return {"div": {"left": part(), "right": part(), **default}}
        return self.decay(part)

    def decay(self, part):
        midpoint = self.one([0.3, 0.5, 0.9] * 5 + [0.0, 1.0, 1.5])
        decay = {"target": part(), "midpoint": midpoint, "scale": self.one([1.0, 0.5, 10.0, 86400.0] * 5 + [0.0, -1.0])}
        if self.dice.random() < 0.3:
            times = {"x": {"datetime_key": "d"}, "target": {"datetime": self.one(filters.TIMES)}, "scale": 1e6}
            return {self.one(["lin_decay", "gauss_decay", "exp_decay"]): times}
        kept = {name: value for name, value in decay.items() if self.dice.random() < 0.6}
        return {self.one(["lin_decay", "gauss_decay", "exp_decay"]): {"x": part(), **kept}}

    def defaults(self):
        bad = self.dice.random() < 0.05
        number = lambda: self.one(["x", [1], None]) if bad else self.one([0, 1, 2.5, -1])
        makes = {**{name: number for name in NUMBERS}, "$score": self.constant, "$score[1]": self.constant,
                 "d": lambda: self.one(filters.TIMES), "g": self.place}
        return {name: make() for name, make in makes.items() if self.dice.random() < 0.8}

    def body(self):
        ids = self.dice.sample(range(1, POINTS + 1), self.one([1, 1, 2, 3, 8]))
        leg = lambda: {"query": [self.one([1.0, -2.0]), self.one([0.5, 1.0])], "limit": POINTS}
        filtered = lambda: {"filter": self.filter(0)} if self.dice.random() < 0.2 else {}
        legs = [{**leg(), **filtered()} for _ in range(self.one([1, 2]))]
        query = {"formula": self.expression(3), "defaults": self.defaults()}
        body = {"prefetch": legs, "query": query, "filter": {"must": [{"has_id": ids}]}, "limit": self.one([1, 3, 20])}
        if self.dice.random() < 0.1:
            body["score_threshold"] = self.one([0.0, 0.5, 1.0])
        return body


def parts(tree):
    """Every part of a formula that is an object or a name; conditions are whole."""
    if isinstance(tree, list):
        return [part for one in tree for part in parts(one)]
    if not isinstance(tree, dict):
        return [tree] if isinstance(tree, str) else []
    kind, given = next(iter(tree.items()))
    if kind in ("datetime", "datetime_key", "geo_distance") or is_condition(tree):
        return [tree]
    has_names = kind in ("div", "pow") or kind.endswith("_decay")
    return [tree, *parts(list(given.values()) if has_names else given)]


def is_condition(tree):
    names = ("key", "must", "should", "must_not", "min_should", "is_empty", "is_null", "has_id", "has_vector", "nested")
    return any(name in tree for name in names)


def paths(tree):
    """Every field whose value is taken."""
    far = lambda part: [part["geo_distance"]["to"]] if "geo_distance" in part else []
    of = {str: lambda part: [] if part.startswith("$") else [part]}
    of[dict] = lambda part: [part["datetime_key"]] if "datetime_key" in part else far(part)
    return [path for part in parts(tree) for path in of[type(part)](part)]


def reason(body, points, kinds):
    """Why docs/differences.md expects another answer, if it may."""
    (ids,) = [condition["has_id"] for condition in body["filter"]["must"]]
    for path in paths(body["query"]["formula"]):
        for number in ids:
            values = harness.values(points[number - 1][2], path)
            fits = lambda value: path not in kinds or harness.fits(value, kinds[path])
            if path in kinds and len(values) != len(set(map(str, values))):
                return "a formula over a value that a point has twice, in an index"
            if any(one is None or not fits(one) for one in values):
                return "a formula over null, or over another type than the index's"
    conditions = [part for part in parts(body["query"]["formula"]) if isinstance(part, dict) and is_condition(part)]
    found = [filters.reason({"must": [one]}, kinds) for one in conditions]
    found += [filters.reason(leg["filter"], kinds) for leg in body["prefetch"] if "filter" in leg]
    return next(filter(None, found), None)


def ask_there(pair, body):
    try:
        return pair.query_there(queries.there(body, {}))
    except queries.Refusal as refusal:
        return harness.Refused(refusal)


def main():
    given = harness.arguments(__doc__.split("\n")[0], 2000)
    tally, refused = harness.Tally(), 0
    with harness.Server(given.url, given.binary) as server:
        rounds = max(2, given.count // 500)
        for turn in range(rounds):
            draft = Draft(given.seed * 1000 + turn)
            fields = INDEXES if turn % 2 else []
            pair = harness.Pair(server, "differential_formula", 2, draft.points, fields)
            for _ in range(given.count // rounds):
                body = draft.body()
                here, there = pair.query_here(body), ask_there(pair, body)
                everything = ask_there(pair, {**body, "limit": POINTS})
                same = harness.same_ranking(here, there, [] if isinstance(everything, harness.Refused) else everything)
                refused += isinstance(there, harness.Refused)
                tally.compare(body, here, there, reason(body, draft.points, dict(fields)), same)
            pair.close()
    print(f"{refused} of them refused")
    tally.finish()


if __name__ == "__main__":
    main()
