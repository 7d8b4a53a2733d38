"""Queries as bodies carry them, in the classes of Qdrant's engine.

The engine takes vectors where bodies may give ids. Ids are replaced as Qdrant's server does it: by the vector that the
point has, and the point is no hit of that level and those below it.
"""

import qdrant_edge as edge

from filters import condition_there, there as filter_there
from harness import vector_there


class Refusal(Exception):
    """What cannot be asked: the engine's classes refuse it, or a point that is asked with lacks the vector."""


def there(body, stored):
    """A query; `stored` has the vectors of points by id and name."""
    query, filters = level_there(body, stored)
    prefetches = [prefetch_there(one, stored) for one in body.get("prefetch", [])]
    return edge.QueryRequest(
        limit=body.get("limit", 10), offset=body.get("offset"), query=query, filter=filters,
        prefetches=prefetches or None, score_threshold=body.get("score_threshold"),
        params=edge.SearchParams(exact=True),
    )


def prefetch_there(body, stored):
    query, filters = level_there(body, stored)
    return edge.Prefetch(
        limit=body.get("limit", 10), query=query, filter=filters, params=edge.SearchParams(exact=True),
        prefetches=[prefetch_there(one, stored) for one in body.get("prefetch", [])] or None,
        score_threshold=body.get("score_threshold"),
    )


def level_there(body, stored):
    asked, using = [], body.get("using", "")

    def vector(given):
        if not isinstance(given, int):
            return vector_there(given)
        asked.append(given)
        if using not in stored.get(given, {}):
            raise Refusal(f"{given} {using}")
        return vector_there(stored[given][using])

    query = query_there(body["query"], using, vector) if "query" in body else None
    clauses = [filter_there(body["filter"])] if "filter" in body else []
    if asked:
        clauses.append(edge.Filter(must_not=[edge.HasIdCondition(set(asked))]))
    return query, edge.Filter(must=clauses) if clauses else None


def query_there(query, using, vector):
    if not isinstance(query, dict) or "indices" in query:
        return edge.Query.Nearest(vector(query), using)
    if "mmr" in query:
        mmr = query["mmr"]
        share = 1.0 - mmr.get("diversity", 0.5)
        return edge.Mmr(vector(query["nearest"]), share, mmr["candidates_limit"], using)
    ((kind, given),) = [(name, value) for name, value in query.items() if name not in ("mmr", "defaults")]
    pairs = lambda pairs: [edge.ContextPair(vector(one["positive"]), vector(one["negative"])) for one in pairs]
    if kind == "nearest":
        return edge.Query.Nearest(vector(given), using)
    if kind == "recommend":
        makes = {"best_score": edge.Query.RecommendBestScore, "sum_scores": edge.Query.RecommendSumScores}
        examples = [[vector(one) for one in given.get(side, [])] for side in ("positive", "negative")]
        return makes[given["strategy"]](edge.RecommendQuery(*examples), using)
    if kind == "discover":
        return edge.Query.Discover(edge.DiscoverQuery(vector(given["target"]), pairs(given["context"])), using)
    if kind == "context":
        return edge.Query.Context(edge.ContextQuery(pairs(given)), using)
    if kind == "fusion":
        return edge.Fusion.Dbsf() if given == "dbsf" else edge.Fusion.Rrf(2)
    if kind == "rrf":
        return edge.Fusion.Rrf(given.get("k", 2), given.get("weights"))
    if kind == "order_by":
        return order_there(given)
    if kind == "formula":
        try:
            return edge.Formula(expression_there(given), query.get("defaults"))
        except ValueError as error:
            raise Refusal(str(error)) from error
    raise ValueError(kind)


def order_there(order):
    ways = {"asc": edge.Direction.Asc, "desc": edge.Direction.Desc, None: None}
    return edge.OrderBy(order["key"], ways[order.get("direction")], order.get("start_from"))


def expression_there(tree):
    parts = lambda trees: [expression_there(one) for one in trees]
    if isinstance(tree, (int, float)):
        return edge.Expression.Constant(float(tree))
    if isinstance(tree, str):
        return edge.Expression.Variable(tree)
    kind, given = next(iter(tree.items()))
    if kind in ("sum", "mult", "max", "min"):
        return getattr(edge.Expression, kind.capitalize())(parts(given))
    if kind in ("neg", "abs", "sqrt", "exp", "ln", "log10", "acosh"):
        return getattr(edge.Expression, kind.capitalize())(expression_there(given))
    if kind == "div":
        return edge.Expression.Div(*parts([given["left"], given["right"]]), given.get("by_zero_default"))
    if kind == "pow":
        return edge.Expression.Pow(*parts([given["base"], given["exponent"]]))
    if kind == "datetime":
        return edge.Expression.Datetime(given)
    if kind == "datetime_key":
        return edge.Expression.DatetimeKey(given)
    if kind == "geo_distance":
        origin = edge.GeoPoint(given["origin"]["lon"], given["origin"]["lat"])
        return edge.Expression.GeoDistance(origin, given["to"])
    if kind.endswith("_decay"):
        target = expression_there(given["target"]) if "target" in given else None
        way = getattr(edge.DecayKind, kind.removesuffix("_decay").capitalize())
        x, bend = expression_there(given["x"]), (given.get("midpoint"), given.get("scale"))
        return edge.Expression.Decay(way, x, target, *bend)
    return edge.Expression.Condition(condition_there(tree))
