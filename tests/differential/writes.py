#!/usr/bin/env python3
"""Random writes to KithDB and to Qdrant's engine: changes of payloads and vectors, conditional upserts.

After each write both must hold the same points. What is known to differ (docs/differences.md) is not asked: changes
of several points one of which does not exist, keys of deletions that end in `[i]`, nulls merged into an empty payload.

    python tests/differential/writes.py --count 2000
"""

import harness
import qdrant_edge as edge
from filters import there

IDS = range(1, 9)
PATHS = [
    "a", "b", "b.c", "b.l[]", "b.l[].x", "b.l[0]", "b.l[1].x", "l[]", "l[0]", "l[][]", "c.d.e", '"o.o"', '"o.o".p',
]
MODES = {"upsert": edge.UpdateMode.Upsert, "insert_only": edge.UpdateMode.InsertOnly,
         "update_only": edge.UpdateMode.UpdateOnly}


class Writes:
    """Random writes: for each the route, the body, and the operation of the engine."""

    def __init__(self, seed):
        self.random = harness.dice(seed)

    def one(self, items):
        return self.random.choice(list(items))

    def value(self, depth=2):
        kinds = ["number", "text", "null", "float"] + (["list", "object"] * 2 if depth else [])
        match self.one(kinds):
            case "number":
                return self.random.randrange(4)
            case "text":
                return self.one(["x", "y"])
            case "null":
                return None
            case "float":
                # Never whole: an integer index there takes 1.0 for 1.
                return self.random.randrange(9) / 4 + 0.125
            case "list":
                return [self.value(depth - 1) for _ in range(self.random.randrange(3))]
            case _:
                return {key: self.value(depth - 1) for key in "xpl" if self.random.random() < 0.5}

    def payload(self):
        payload = {key: self.value() for key in ["a", "l", "o.o"] if self.random.random() < 0.5}
        if self.random.random() < 0.6:
            payload["b"] = {"c": self.value(), "l": [self.value() for _ in range(self.random.randrange(3))]}
        return payload

    def vector(self):
        return [float(self.random.randrange(5)) for _ in range(2)]

    def points(self):
        return [(self.one(IDS), self.vector(), self.payload()) for _ in range(self.random.randrange(1, 5))]

    def filter(self):
        return self.one([
            {"must": [{"key": "a", "match": {"value": self.random.randrange(4)}}]},
            {"must_not": [{"key": "b.c", "match": {"value": "x"}}]},
            {"must": [{"is_empty": {"key": self.one(["a", "b", "l"])}}]},
            {"should": [{"has_id": [self.one(IDS)]}, {"has_vector": ""}]},
        ])

    def selection(self, known):
        """Points in both languages: ids that exist (or one that need not), or a filter."""
        if self.random.random() < 0.4:
            tree = self.filter()
            return {"filter": tree}, "_by_filter", there(tree)
        ids = [self.one(known)] if known else [1]
        ids = ids + [self.one(known) for _ in range(self.random.randrange(3))] if known else ids
        ids = ids if self.random.random() < 0.9 else [self.one(IDS)]
        return {"points": ids}, "", ids

    def next(self, known):
        make = edge.UpdateOperation
        kind = self.one(["set", "set", "set", "overwrite", "delete", "delete", "clear", "vectors", "names", "upsert",
                         "upsert", "upsert", "remove"])
        if kind == "upsert":
            points, body, options = self.points(), {}, {}
            if self.random.random() < 0.6:
                body["update_mode"] = self.one(MODES)
                options["update_mode"] = MODES[body["update_mode"]]
            if self.random.random() < 0.5:
                body["update_filter"] = self.filter()
                options["condition"] = there(body["update_filter"])
            body["points"] = [{"id": id, "vector": vector, "payload": payload} for id, vector, payload in points]
            return "PUT", "/points", body, make.upsert_points([edge.Point(*point) for point in points], **options)
        if kind == "vectors":
            ids = [self.one(known) for _ in range(self.random.randrange(1, 4))] if known else [1]
            points, body, options = [(id, self.vector()) for id in ids], {}, {}
            if self.random.random() < 0.5:
                body["update_filter"] = self.filter()
                options["condition"] = there(body["update_filter"])
            body["points"] = [{"id": id, "vector": vector} for id, vector in points]
            operation = make.update_vectors([edge.PointVectors(*point) for point in points], **options)
            return "PUT", "/points/vectors", body, operation
        body, by, selected = self.selection(known)
        if kind == "remove":
            body = body if by else {"points": body["points"][:1]}
            selected = selected if by else body["points"]
            return "POST", "/points/delete", body, getattr(make, "delete_points" + by)(selected)
        if kind == "names":
            operation = getattr(make, "delete_vectors" + by)(selected, [""])
            return "POST", "/points/vectors/delete", body | {"vector": [""]}, operation
        if kind == "clear":
            return "POST", "/points/payload/clear", body, getattr(make, "clear_payload" + by)(selected)
        if kind == "delete":
            paths = [path for path in PATHS if not path.endswith("[0]")]
            keys = [self.one(paths) for _ in range(self.random.randrange(1, 3))]
            operation = getattr(make, "delete_payload" + by)(selected, keys)
            return "POST", "/points/payload/delete", body | {"keys": keys}, operation
        payload = self.payload()
        if kind == "overwrite":
            operation = getattr(make, "overwrite_payload" + by)(selected, payload)
            return "PUT", "/points/payload", body | {"payload": payload}, operation
        key = self.one(PATHS) if self.random.random() < 0.6 else None
        if not all(payload for payload, _ in known.values()):
            payload = {name: value for name, value in payload.items() if value is not None}
        body |= {"payload": payload} | ({"key": key} if key else {})
        return "POST", "/points/payload", body, getattr(make, "set_payload" + by)(selected, payload, key)


def here_now(pair):
    page = pair.must("POST", "/points/scroll", {"limit": 100, "with_payload": True, "with_vector": True})
    return {point["id"]: (point["payload"], point["vector"] or None) for point in page["points"]}


def there_now(pair):
    points = pair.shard.retrieve(list(IDS), True, True)
    return {point.id: (point.payload or {}, point.vector or None) for point in points}


def main():
    asked = harness.arguments(__doc__.split("\n")[0], 2000)
    writes, tally = Writes(asked.seed), harness.Tally()
    with harness.Server(asked.url, asked.binary) as server:
        pair = harness.Pair(server, "writes", 2, [], [("a", "integer"), ("b.c", "keyword")])
        for _ in range(asked.count):
            method, path, body, operation = writes.next(here_now(pair))
            here = pair.ask(method, path + "?wait=true", body)
            try:
                pair.shard.update(operation)
                outcome = None
            except Exception as error:  # The binding raises classes of its own.
                outcome = harness.Refused(error)
            here = here if isinstance(here, harness.Refused) else None
            question = {"write": [method, path, body]}
            tally.compare(question, here, outcome)
            tally.compare(question, here_now(pair), there_now(pair))
        pair.close()
    tally.finish()


if __name__ == "__main__":
    main()
