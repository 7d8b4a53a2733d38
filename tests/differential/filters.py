#!/usr/bin/env python3
"""Random filters over random payloads: does KithDB find the points that Qdrant's engine finds?

Both are asked with and without payload indexes. A difference that docs/differences.md gives a reason for is counted
apart, and only where the filter and the indexes make it possible. Booleans are not asked for: the binding takes them
for integers.

    python tests/differential/filters.py --count 2000
"""

import harness
import qdrant_edge as edge

WORDS = ["red", "Fox", "quick", "brown", "the", "jumps"]
TEXTS = ["red", "the quick Brown fox", "fox, red", "quickly", "", "2024-06-01", "2024-06-01T12:00:00Z", "1", "true"]
TIMES = ["2024-01-01T00:00:00Z", "2024-06-01", "2024-06-01T12:00:00Z", "2024-06-01T14:00:00+02:00", "2025-01-01T00:00:00Z"]
PLACES = [(13.4, 52.5), (13.41, 52.51), (0.0, 0.0), (-179.5, 10.0), (179.5, 10.0), (2.35, 48.85)]
INDEXES = [
    ("k", "keyword"), ("n", "integer"), ("f", "float"), ("b", "bool"), ("d", "datetime"), ("g", "geo"), ("s", "text"),
    ("l", "integer"), ("a[].x", "integer"),
]
PATHS = ["k", "n", "f", "b", "d", "g", "s", "l", "m", "a", "a[].x", "a[0].y", "o.x", "o.l[]", "gone"]


class Draft:
    """Everything that is random."""

    def __init__(self, seed):
        self.dice = harness.dice(seed)

    def one(self, items):
        return self.dice.choice(items)

    def some(self, make, most=3, least=0):
        return [make() for _ in range(self.dice.randint(least, most))]

    def number(self):
        return self.dice.randint(-1, 3)

    def place(self):
        lon, lat = self.one(PLACES)
        return {"lon": lon, "lat": lat}

    def mixed(self):
        makes = [self.number, lambda: self.one(TEXTS), lambda: self.one([True, False]), lambda: None, lambda: 1.0, lambda: 0.5]
        return self.one(makes)()

    def value_of(self, field):
        item = lambda: {"x": self.number(), "y": self.number()}
        makes = {
            "k": lambda: self.one(TEXTS), "s": lambda: " ".join(self.some(lambda: self.one(WORDS), 5)),
            "n": self.number, "l": self.number, "f": lambda: self.one([-1.5, 0.0, 0.5, 1.0, 2.0, 3]),
            "b": lambda: self.one([True, False]), "d": lambda: self.one(TIMES), "g": self.place, "m": self.mixed,
            "a": item, "o": lambda: {"x": self.number(), "l": self.some(self.number)},
        }
        kind = self.dice.random()
        if kind < 0.08:
            return None
        if kind < 0.14:
            return self.mixed()
        if kind < 0.4 or field in "al":
            return self.some(makes[field])
        return makes[field]()

    def payload(self):
        fields = "k s n l f b d g m a o".split()
        return {field: self.value_of(field) for field in fields if self.dice.random() < 0.7}

    def filter(self, depth=2):
        clauses = {}
        for clause in ("must", "should", "must_not"):
            if self.dice.random() < 0.45:
                clauses[clause] = self.some(lambda: self.condition(depth), 2, 1)
        if self.dice.random() < 0.15:
            conditions = self.some(lambda: self.condition(depth), 3, 1)
            clauses["min_should"] = {"conditions": conditions, "min_count": self.dice.randint(0, 3)}
        return clauses or {"must": [self.condition(depth)]}

    def condition(self, depth):
        kind = self.dice.random()
        if depth and kind < 0.15:
            return self.filter(depth - 1)
        if depth and kind < 0.22:
            inner = self.nested_filter()
            return {"nested": {"key": self.one(["a", "a[]", "o", "gone"]), "filter": inner}}
        if kind < 0.28:
            return {"is_empty": {"key": self.one(PATHS)}}
        if kind < 0.34:
            return {"is_null": {"key": self.one(PATHS)}}
        if kind < 0.38:
            return {"has_id": self.some(lambda: self.dice.randint(1, 40), 9)}
        if kind < 0.40:
            return {"has_vector": ""}
        if kind < 0.42:
            total = self.dice.randint(1, 4)
            return {"slice": {"total": total, "index": self.dice.randint(0, total - 1)}}
        return self.test(self.one(PATHS))

    def nested_filter(self):
        test = lambda: {"key": self.one(["x", "y"]), "match": {"value": self.number()}}
        return {clause: self.some(test, 2, 1) for clause in self.one([["must"], ["should"], ["must_not"], ["must", "must_not"]])}

    def test(self, key):
        bounds = lambda make: {name: make() for name in self.one([["gte"], ["lt"], ["gt", "lte"], ["gte", "lt"]])}
        one = self.dice.random()
        if one < 0.5:
            homely = {"g": "area", "d": "times", "s": "words", "f": "range", "k": "string"}
            sort = homely.get(key, "int")
        else:
            sort = self.one(["area", "times", "words", "range", "string", "int", "count"])
        strings = lambda: self.some(lambda: self.one(TEXTS), 3, 1)
        numbers = lambda: self.some(self.number, 3, 1)
        makes = {
            "area": self.area, "times": lambda: {"range": bounds(lambda: self.one(TIMES))}, "words": self.words,
            "range": lambda: {"range": bounds(lambda: self.one([-1.0, 0.0, 0.5, 1.0, 2.0]))},
            "string": lambda: {"match": self.one([{"value": self.one(TEXTS)}, {"any": strings()}, {"except": strings()}])},
            "int": lambda: {"match": self.one([{"value": self.number()}, {"any": numbers()}, {"except": numbers()}])},
            "count": lambda: {"values_count": bounds(lambda: self.dice.randint(0, 3))},
        }
        return {"key": key, **makes[sort]()}

    def words(self):
        text = " ".join(self.some(lambda: self.one(WORDS + ["qui", "THE"]), 2, 1))
        return {"match": {self.one(["text", "text_any", "phrase", "prefix"]): text}}

    def area(self):
        kind = self.dice.randint(0, 2)
        if kind == 0:
            return {"geo_radius": {"center": self.place(), "radius": self.one([100.0, 5000.0, 9e5, 2e7])}}
        if kind == 1:
            left, right = self.one([(13.0, 14.0), (-1.0, 20.0), (170.0, -170.0)])
            top, bottom = self.one([(53.0, 52.0), (60.0, -1.0)])
            return {"geo_bounding_box": {"top_left": {"lon": left, "lat": top}, "bottom_right": {"lon": right, "lat": bottom}}}
        ring = lambda lon, lat, size: {"points": [
            {"lon": lon + x * size, "lat": lat + y * size} for x, y in [(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)]]}
        # Some have a place on an edge.
        polygon = {"exterior": self.one([ring(13.0, 52.0, 1.0), ring(-3.0, -3.0, 60.0), ring(13.4, 52.0, 1.0), ring(0.0, 0.0, 60.0)])}
        if self.dice.random() < 0.4:
            polygon["interiors"] = [self.one([ring(13.405, 52.505, 0.02), ring(13.41, 52.505, 0.25)])]
        return {"geo_polygon": polygon}


def there(tree):
    """The filter in the engine's own classes."""
    clauses = {name: [condition_there(one) for one in tree[name]] for name in ("must", "should", "must_not") if name in tree}
    if "min_should" in tree:
        least = tree["min_should"]
        clauses["min_should"] = edge.MinShould([condition_there(one) for one in least["conditions"]], least["min_count"])
    return edge.Filter(**clauses)


def condition_there(tree):
    if "nested" in tree:
        return edge.NestedCondition(tree["nested"]["key"], there(tree["nested"]["filter"]))
    if "is_empty" in tree:
        return edge.IsEmptyCondition(tree["is_empty"]["key"])
    if "is_null" in tree:
        return edge.IsNullCondition(tree["is_null"]["key"])
    if "has_id" in tree:
        return edge.HasIdCondition(set(tree["has_id"]))
    if "has_vector" in tree:
        return edge.HasVectorCondition(tree["has_vector"])
    if "slice" in tree:
        return edge.SliceCondition(tree["slice"]["total"], tree["slice"]["index"])
    if "key" not in tree:
        return there(tree)
    return edge.FieldCondition(tree["key"], **test_there(tree))


def test_there(tree):
    point = lambda tree: edge.GeoPoint(tree["lon"], tree["lat"])
    ring = lambda tree: [point(one) for one in tree["points"]]
    if "match" in tree:
        ((name, given),) = tree["match"].items()
        makes = {"value": edge.MatchValue, "any": edge.MatchAny, "except": edge.MatchExcept, "text": edge.MatchText,
                 "text_any": edge.MatchTextAny, "phrase": edge.MatchPhrase, "prefix": edge.MatchPrefix}
        return {"match": makes[name](given)}
    if "values_count" in tree:
        return {"values_count": edge.ValuesCount(**tree["values_count"])}
    if "range" in tree:
        is_of_times = any(isinstance(bound, str) for bound in tree["range"].values())
        return {"range": (edge.RangeDateTime if is_of_times else edge.RangeFloat)(**tree["range"])}
    if "geo_radius" in tree:
        return {"geo_radius": edge.GeoRadius(point(tree["geo_radius"]["center"]), tree["geo_radius"]["radius"])}
    if "geo_bounding_box" in tree:
        box = tree["geo_bounding_box"]
        return {"geo_bounding_box": edge.GeoBoundingBox(point(box["top_left"]), point(box["bottom_right"]))}
    polygon = tree["geo_polygon"]
    return {"geo_polygon": edge.GeoPolygon(ring(polygon["exterior"]), [ring(one) for one in polygon.get("interiors", [])])}


def leaves(tree):
    """Every condition on a field, nested ones aside."""
    if isinstance(tree, list):
        return [leaf for one in tree for leaf in leaves(one)]
    if "key" in tree:
        return [tree]
    lists = [tree[name] for name in ("must", "should", "must_not") if name in tree]
    lists += [tree["min_should"]["conditions"]] if "min_should" in tree else []
    return [leaf for one in lists for leaf in leaves(one)]


def reason(tree, kinds):
    """Why docs/differences.md expects another answer, if it may."""
    for leaf in leaves(tree):
        kind, match = kinds.get(leaf["key"]), leaf.get("match", {})
        if kind == "text" and ("text" in match or "phrase" in match):
            return "words of several strings, phrases"
        if kind != "text" and {"text", "text_any", "phrase"} & match.keys():
            return "texts without an index"
        if kind == "integer" and any(name in match for name in ("value", "any")):
            return "1.0 as an integer"
        if kind in ("integer", "float", "datetime") and "range" in leaf:
            is_of_times = any(isinstance(bound, str) for bound in leaf["range"].values())
            if kind == "integer" or is_of_times != (kind == "datetime"):
                return "ranges over another type"
        if kind and "except" in match:
            return "except over other types"
    return None


def main():
    given = harness.arguments(__doc__.split("\n")[0], 2000)
    tally = harness.Tally()
    with harness.Server(given.url, given.binary) as server:
        rounds = max(2, given.count // 500)
        for turn in range(rounds):
            draft = Draft(given.seed * 1000 + turn)
            points = [(number, [1.0, 0.0], draft.payload()) for number in range(1, 61)]
            fields = INDEXES if turn % 2 else []
            pair = harness.Pair(server, "differential_filters", 2, points, fields)
            for _ in range(given.count // rounds):
                tree = draft.filter()
                request = edge.ScrollRequest(limit=100, filter=there(tree))
                found, expected = pair.scroll_here({"filter": tree, "limit": 100}), pair.scroll_there(request)
                tally.compare(tree, found, expected, reason(tree, dict(fields)))
            pair.close()
    tally.finish()


if __name__ == "__main__":
    main()
