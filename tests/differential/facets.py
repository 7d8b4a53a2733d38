#!/usr/bin/env python3
"""Random facets over random payloads: does KithDB count what Qdrant's engine counts?

Fields have an index each, since the engine counts nothing without. Values of equal counts are in any order.

    python tests/differential/facets.py --count 2000
"""

import filters
import harness
import qdrant_edge as edge

UUIDS = [f"550e8400-e29b-41d4-a716-44665544000{digit}" for digit in range(5)]
INDEXES = [
    ("k", "keyword"), ("n", "integer"), ("b", "bool"), ("u", "uuid"), ("l", "integer"), ("o.x", "integer"),
    ("o.l[]", "integer"), ("a[].x", "integer"), ("a[].y", "integer"), ("m", "keyword"),
]
ALL = 1000


class Draft(filters.Draft):
    """Everything that is random. With `is_plain` every value is of its index's type."""

    def __init__(self, seed, is_plain):
        super().__init__(seed)
        self.is_plain = is_plain

    def payload(self):
        payload = super().payload()
        if self.dice.random() < 0.7:
            uuid = lambda: self.one(UUIDS)
            payload["u"] = self.one([uuid(), uuid(), self.some(uuid), None, "no UUID", UUIDS[0].upper()])
        if self.is_plain:
            payload = {field: value for field, value in payload.items() if is_plain({field: value}, INDEXES)}
        return payload

    def body(self):
        body = {"key": self.one(INDEXES)[0], "exact": True}
        if self.dice.random() < 0.8:
            body["limit"] = self.one([1, 2, 3, 5, 100])
        if self.dice.random() < 0.6:
            body["filter"] = self.filter()
        return body


def ask_here(pair, body):
    answer = pair.ask("POST", "/facet", body)
    return answer if isinstance(answer, harness.Refused) else [(hit["value"], hit["count"]) for hit in answer["hits"]]


def ask_there(pair, body):
    request = {name: value for name, value in body.items() if name != "filter"}
    if "filter" in body:
        request["filter"] = filters.there(body["filter"])
    try:
        return [(hit.value, hit.count) for hit in pair.shard.facet(edge.FacetRequest(**request))]
    except Exception as error:  # The binding raises classes of its own.
        return harness.Refused(error)


def is_plain(payload, fields):
    """Whether every value is of its index's type."""
    fits = lambda value, kind: value in UUIDS if kind == "uuid" else harness.fits(value, kind)
    return all(fits(value, kind) for key, kind in fields for value in harness.values(payload, key))


def reason(body, points, kinds):
    """Why docs/differences.md expects another answer, if it may."""
    field = [(body["key"], kinds[body["key"]])]
    if not all(is_plain(payload, field) for _, _, payload in points):
        return "facets over values of another type than the index's"
    return filters.reason(body["filter"], kinds) if "filter" in body else None


def same(here, there, everything):
    """Whether the counts are the same, in order, and each value has its own."""
    if isinstance(here, harness.Refused) or isinstance(there, harness.Refused):
        return here == there
    counts = {(type(value), value): count for value, count in everything}
    own = all(counts.get((type(value), value)) == count for value, count in here)
    return own and [count for _, count in here] == [count for _, count in there] and len(set(here)) == len(here)


def main():
    given = harness.arguments(__doc__.split("\n")[0], 2000)
    tally, kinds = harness.Tally(), dict(INDEXES)
    with harness.Server(given.url, given.binary) as server:
        rounds = max(2, given.count // 250)
        for turn in range(rounds):
            draft = Draft(given.seed * 1000 + turn, turn % 2 == 0)
            points = [(number, [1.0, 0.0], draft.payload()) for number in range(1, 61)]
            pair = harness.Pair(server, "differential_facets", 2, points, INDEXES)
            for _ in range(given.count // rounds):
                body = draft.body()
                here, there = ask_here(pair, body), ask_there(pair, body)
                whole = {**body, "limit": ALL}
                alike = same(here, there, ask_there(pair, whole))
                tally.compare(body, here, there, reason(body, points, kinds), alike)
            pair.close()
    tally.finish()


if __name__ == "__main__":
    main()
