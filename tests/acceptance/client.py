"""Every method of the Python client that has an operation here, on a server, beside the client's own engine in memory.

    client.py URL

Both are asked the same in the same order, and must answer alike wherever the engine in memory has an answer. Ends with
one line, `N methods agree`. The collections of the server that are used are removed first.
"""

import sys
import time

import numpy as np
from qdrant_client import QdrantClient, models

URL = sys.argv[1]
METHODS = set()
DIM = 8
RANDOM = np.random.default_rng(7)


def vector():
    return [float(x) for x in RANDOM.normal(size=DIM).round(4)]


def plain(answer):
    """What of an answer both must agree on."""
    if isinstance(answer, list):
        return [plain(one) for one in answer]
    if isinstance(answer, tuple):
        return tuple(plain(one) for one in answer)
    has = lambda *names: all(hasattr(answer, name) for name in names)
    if has("id", "payload", "vector"):
        score = round(answer.score, 4) if has("score") else None
        return (answer.id, score, answer.payload or None, plain(answer.vector))
    if has("points"):
        return plain(answer.points)
    if has("groups"):
        return [(group.id, plain(group.hits)) for group in answer.groups]
    if has("hits"):
        return [(hit.value, hit.count) for hit in answer.hits]
    if has("operation_id"):
        return "updated"
    if has("collections"):
        return sorted(one.name for one in answer.collections)
    if has("aliases"):
        return sorted((one.alias_name, one.collection_name) for one in answer.aliases)
    if has("count") and not isinstance(answer, (str, bytes)):
        return answer.count
    if isinstance(answer, dict):
        return {name: plain(one) for name, one in answer.items()}
    if has("indices", "values"):
        pairs = sorted(zip(answer.indices, answer.values))
        return [(index, round(value, 4)) for index, value in pairs]
    if isinstance(answer, float):
        return round(answer, 4)
    return answer


class Both:
    """The server and the engine in memory."""

    def __init__(self):
        self.server = QdrantClient(url=URL, timeout=60)
        self.memory = QdrantClient(":memory:")

    def __getattr__(self, method):
        def ask(*args, **kwargs):
            METHODS.add(method)
            there = getattr(self.memory, method)(*args, **kwargs)
            here = getattr(self.server, method)(*args, **kwargs)
            if plain(here) != plain(there):
                raise AssertionError(f"{method}{args}{kwargs}\n  here:  {plain(here)}\n  there: {plain(there)}")
            return here

        return ask

    def alone(self, method, *args, **kwargs):
        """Asks the server alone: the engine in memory has no such operation."""
        METHODS.add(method)
        return getattr(self.server, method)(*args, **kwargs)


def points(ids):
    return [
        models.PointStruct(
            id=i,
            vector={"": vector(), "other": vector(), "s": models.SparseVector(indices=[i % 5, 7], values=[1 + i / 64, 0.5])},
            payload={"n": i, "tag": ["a", "b"][i % 2], "deep": {"list": [{"x": i}, {"x": i + 1}]}},
        )
        for i in ids
    ]


def collections(both):
    for name in ("client", "renamed", "second"):
        both.server.delete_collection(name)
    dense = models.VectorParams(size=DIM, distance=models.Distance.COSINE)
    both.create_collection(
        "client",
        vectors_config={"": dense, "other": models.VectorParams(size=DIM, distance=models.Distance.EUCLID)},
        sparse_vectors_config={"s": models.SparseVectorParams()},
        metadata={"owner": "tests"},
    )
    assert both.collection_exists("client") and not both.collection_exists("nothing")
    assert "client" in plain(both.alone("get_collections"))
    info = both.alone("get_collection", "client")
    assert info.config.params.vectors["other"].distance == models.Distance.EUCLID
    assert info.config.metadata == {"owner": "tests"}
    both.update_collection("client", metadata={"more": 1})
    assert both.server.get_collection("client").config.metadata == {"owner": "tests", "more": 1}
    both.alone("info")
    both.alone("get_optimizations", "client")
    both.alone("recreate_collection", "second", vectors_config=dense)
    both.server.delete_collection("second")


def writes(both):
    both.upsert("client", points(range(1, 41)))
    both.upload_points("client", points(range(41, 61)), batch_size=8, wait=True)
    both.upload_collection("client", vectors=[{"other": vector()} for _ in range(3)], ids=[61, 62, 63], wait=True)
    both.set_payload("client", {"extra": {"y": 1}}, points=[1, 2])
    both.set_payload("client", {"z": 2}, points=models.Filter(must=[models.HasIdCondition(has_id=[3])]))
    both.overwrite_payload("client", {"only": True}, points=[4])
    both.delete_payload("client", ["tag"], points=[5])
    both.clear_payload("client", points_selector=[6])
    both.update_vectors("client", [models.PointVectors(id=7, vector={"other": [1.0] * DIM})])
    both.delete_vectors("client", ["s"], points=[8])
    both.delete("client", points_selector=[9])
    both.batch_update_points(
        "client",
        [
            models.UpsertOperation(upsert=models.PointsList(points=points([70, 71]))),
            models.SetPayloadOperation(set_payload=models.SetPayload(payload={"b": 1}, points=[70])),
            models.DeleteOperation(delete=models.PointIdsList(points=[71])),
        ],
    )
    both.retrieve("client", ids=list(range(1, 72)), with_payload=True, with_vectors=["other", "s"])


def reads(both):
    odd = models.Filter(must=[models.FieldCondition(key="tag", match=models.MatchValue(value="b"))])
    both.count("client", count_filter=odd)
    both.scroll("client", scroll_filter=odd, limit=7, with_payload=True)
    both.scroll("client", offset=20, limit=7)
    asked = vector()
    for using in ("", "other"):
        both.query_points("client", query=asked, using=using, limit=9)
        both.query_points("client", query=asked, using=using, query_filter=odd, limit=5, with_payload=["n"])
        both.query_points("client", query=1, using=using, limit=5)
        for strategy in models.RecommendStrategy:
            examples = models.RecommendInput(positive=[1, 2], negative=[3], strategy=strategy)
            both.query_points("client", query=models.RecommendQuery(recommend=examples), using=using, limit=5)
        pair = models.ContextPair(positive=1, negative=2)
        discover = models.DiscoverInput(target=asked, context=[pair])
        both.query_points("client", query=models.DiscoverQuery(discover=discover), using=using, limit=5)
    sparse = models.SparseVector(indices=[1, 7], values=[1.0, 0.25])
    both.query_points("client", query=sparse, using="s", limit=3)
    legs = [models.Prefetch(query=asked, limit=9), models.Prefetch(query=vector(), limit=9)]
    both.query_points("client", prefetch=legs, query=models.FusionQuery(fusion=models.Fusion.RRF), limit=1)
    both.query_points("client", prefetch=legs, query=models.FusionQuery(fusion=models.Fusion.DBSF), limit=6)
    mmr = models.NearestQuery(nearest=asked, mmr=models.Mmr(diversity=0.5, candidates_limit=20))
    both.query_points("client", query=mmr, limit=5)
    both.query_batch_points("client", [models.QueryRequest(query=asked, limit=3), models.QueryRequest(query=2, limit=2)])
    both.query_points_groups("client", group_by="tag", query=asked, limit=2, group_size=2)
    both.facet("client", key="tag")
    both.alone("search_matrix_pairs", "client", sample=5, limit=2)
    both.alone("search_matrix_offsets", "client", sample=5, limit=2)


def indexes_and_names(both):
    both.create_payload_index("client", "tag", models.PayloadSchemaType.KEYWORD)
    both.create_payload_index("client", "n", models.IntegerIndexParams(type="integer", lookup=True, range=True))
    both.scroll("client", order_by="n", limit=5)
    both.delete_payload_index("client", "tag")
    alias = models.CreateAlias(collection_name="client", alias_name="renamed")
    both.update_collection_aliases([models.CreateAliasOperation(create_alias=alias)])
    both.get_aliases()
    both.get_collection_aliases("client")
    both.count("renamed")
    drop = models.DeleteAlias(alias_name="renamed")
    both.update_collection_aliases([models.DeleteAliasOperation(delete_alias=drop)])
    late = models.DenseVectorNameConfig(dense=models.DenseVectorConfig(size=4, distance=models.Distance.DOT))
    both.alone("create_vector_name", "client", "late", late)
    both.alone("delete_vector_name", "client", "late")


def snapshots(both):
    made = both.alone("create_snapshot", "client")
    assert made.name in [one.name for one in both.alone("list_snapshots", "client")]
    before = both.server.count("client").count
    both.server.delete("client", points_selector=[1, 2, 3])
    url = f"{URL.rstrip('/')}/collections/client/snapshots/{made.name}"
    assert both.alone("recover_snapshot", "client", url)
    assert both.server.count("client").count == before
    both.alone("delete_snapshot", "client", made.name)
    part = both.alone("create_shard_snapshot", "client", 0)
    assert part.name in [one.name for one in both.alone("list_shard_snapshots", "client", 0)]
    both.server.delete("client", points_selector=[1, 2, 3])
    url = f"{URL.rstrip('/')}/collections/client/shards/0/snapshots/{part.name}"
    assert both.alone("recover_shard_snapshot", "client", 0, url)
    assert both.server.count("client").count == before
    both.alone("delete_shard_snapshot", "client", 0, part.name)
    whole = both.alone("create_full_snapshot")
    assert whole.name in [one.name for one in both.alone("list_full_snapshots")]
    both.alone("delete_full_snapshot", whole.name)


def node(both):
    both.alone("cluster_status")
    both.alone("collection_cluster_info", "client")
    both.alone("list_shard_keys", "client")
    target = QdrantClient(":memory:")
    METHODS.add("migrate")
    both.server.migrate(target, collection_names=["client"])
    assert target.count("client").count == both.server.count("client").count
    both.delete_collection("client")


def main():
    both, began = Both(), time.monotonic()
    for part in (collections, writes, reads, indexes_and_names, snapshots, node):
        part(both)
    print(f"{len(METHODS)} methods agree in {time.monotonic() - began:.1f} s")


main()
