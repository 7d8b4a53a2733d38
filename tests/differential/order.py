#!/usr/bin/env python3
"""Random orders by fields over random payloads: does KithDB order points as Qdrant's engine does?

Asked by scroll, by query, and of what legs found. Fields have an index each, since the engine orders by nothing
without. Equal values are in any order.

    python tests/differential/order.py --count 2000
"""

import filters
import harness
import queries
import qdrant_edge as edge

INDEXES = [
    ("n", "integer"), ("f", "float"), ("d", "datetime"), ("l", "integer"), ("o.x", "integer"), ("a[].x", "float"),
]
POINTS = 50


class Draft(filters.Draft):
    """Everything that is random. With `is_plain` every value is of its index's type, and no point has one twice."""

    def __init__(self, seed, is_plain):
        super().__init__(seed)
        self.is_plain = is_plain
        vector = lambda: [self.dice.random(), self.dice.random()]
        self.points = [(number, vector(), self.payload()) for number in range(1, POINTS + 1)]

    def payload(self):
        payload = super().payload()
        if self.is_plain:
            payload = {field: value for field, value in payload.items() if not any(oddities({field: value}))}
        return payload

    def order(self):
        order = {"key": self.one(INDEXES)[0]}
        if self.dice.random() < 0.7:
            order["direction"] = self.one(["asc", "desc"])
        if self.dice.random() < 0.4:
            order["start_from"] = self.begin(order["key"])
        return order

    def begin(self, key):
        kind = self.dice.random()
        if kind < 0.05:
            return "x"
        if kind < 0.15:
            return self.one([0, 1717243200000000, 0.5, 1e12])
        if key == "d":
            return self.one(filters.TIMES)
        return self.one([self.number(), 0.5, 1.5, 2.0])

    def body(self):
        door = self.one(["scroll", "query", "legs"])
        body = {"limit": self.one([1, 2, 5, 20, 200])}
        if self.dice.random() < 0.4:
            body["filter"] = self.filter()
        if door == "scroll":
            return door, {**body, "order_by": self.order(), "with_payload": False}
        if self.dice.random() < 0.3:
            body["offset"] = self.dice.randint(0, 10)
        body["query"] = {"order_by": self.order()}
        if door == "legs":
            near = lambda: {"query": [self.dice.random(), -1.0], "params": {"exact": True}}
            leg = lambda: {**near(), "limit": self.one([1, 5, 20])}
            body["prefetch"] = self.some(leg, 2, 1)
        return door, body


def ask_here(pair, door, body):
    answer = pair.ask("POST", "/points/scroll" if door == "scroll" else "/points/query", body)
    if isinstance(answer, harness.Refused):
        return answer
    return [(hit["id"], hit["order_value"]) for hit in answer["points"]]


def ask_there(pair, door, body):
    try:
        if door != "scroll":
            return [(hit.id, hit.order_value) for hit in pair.shard.query(queries.there(body, {}))]
        wanted = {"filter": filters.there(body["filter"])} if "filter" in body else {}
        order = queries.order_there(body["order_by"])
        found, _ = pair.shard.scroll(edge.ScrollRequest(limit=body["limit"], order_by=order, **wanted))
        return [(hit.id, hit.order_value) for hit in found]
    except Exception as error:  # The binding raises classes of its own.
        return harness.Refused(error)


def oddities(payload, fields=INDEXES):
    """Why points that hold these values may be ordered otherwise."""
    for key, kind in fields:
        values = harness.values(payload, key)
        if not all(harness.fits(value, kind) for value in values):
            yield "orders over values of another type than the index's"
        if len(set(map(str, values))) != len(values):
            yield "orders over a value that a point has twice"


def reason(body, points, kinds):
    """Why docs/differences.md expects another answer, if it may."""
    key = body.get("order_by", body.get("query", {}).get("order_by"))["key"]
    odd = next((odd for _, _, payload in points for odd in oddities(payload, [(key, kinds[key])])), None)
    if odd:
        return odd
    return filters.reason(body["filter"], kinds) if "filter" in body else None


def same(here, there, everything):
    """Whether the values are the same, in order, and each point has its own."""
    if isinstance(here, harness.Refused) or isinstance(there, harness.Refused):
        return here == there
    values = lambda hits: [value for _, value in hits]
    return values(here) == values(there) and len(set(here)) == len(here) and set(here) <= set(everything)


def main():
    given = harness.arguments(__doc__.split("\n")[0], 2000)
    tally, kinds = harness.Tally(), dict(INDEXES)
    with harness.Server(given.url, given.binary) as server:
        rounds = max(2, given.count // 250)
        for turn in range(rounds):
            draft = Draft(given.seed * 1000 + turn, turn % 2 == 0)
            pair = harness.Pair(server, "differential_order", 2, draft.points, INDEXES)
            for _ in range(given.count // rounds):
                door, body = draft.body()
                here, there = ask_here(pair, door, body), ask_there(pair, door, body)
                whole = {name: value for name, value in body.items() if name != "offset"}
                everything = ask_there(pair, door, {**whole, "limit": 10 * POINTS})
                tally.compare(body, here, there, reason(body, draft.points, kinds), same(here, there, everything))
            pair.close()
    tally.finish()


if __name__ == "__main__":
    main()
