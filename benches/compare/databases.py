"""Databases that run in the process, driven in one way: made, written to, asked, told to optimise. For mixed.py."""
import numpy as np

HITS, LABELS, FIELD = 10, 1000, "number"  # hits of a query; numbers of points are below that, in this field
LINKS, BUILD_WINDOW = 16, 200  # of the graphs: M and efConstruction


class QdrantEdge:
    package = "qdrant-edge-py"

    def __init__(self, path, dim, metric, window):
        import qdrant_edge as q

        self.q, self.window, operation = q, window, q.UpdateOperation
        distance = {"l2": q.Distance.Euclid, "cosine": q.Distance.Cosine, "dot": q.Distance.Dot}[metric]
        graph = q.HnswIndexConfig(LINKS, BUILD_WINDOW, 10_000, 2)
        optimizers = q.EdgeOptimizersConfig(
            default_segment_number=1, max_segment_size=10_000_000, indexing_threshold=1000
        )
        vectors = q.EdgeVectorParams(dim, distance, hnsw_config=graph)
        self.shard = q.EdgeShard.create(
            path, q.EdgeConfig(vectors=vectors, hnsw_config=graph, optimizers=optimizers)
        )
        self.shard.update(operation.create_field_index(FIELD, q.PayloadSchemaType.Integer))

    def points(self, ids, vectors, numbers):
        point = lambda id, vector, number: self.q.Point(int(id), vector.tolist(), {FIELD: int(number)})
        return self.q.UpdateOperation.upsert_points([point(*each) for each in zip(ids, vectors, numbers)])

    def ids(self, ids):
        return self.q.UpdateOperation.delete_points([int(id) for id in ids])

    def write(self, operation):
        self.shard.update(operation)

    upsert = delete = write

    def request(self, vector, is_filtered):
        q, below = self.q, LABELS // 10
        tenth = q.Filter(must=[q.FieldCondition(FIELD, range=q.RangeFloat(lt=below))])
        return q.QueryRequest(
            limit=HITS,
            query=q.Query.Nearest(vector.tolist()),
            filter=tenth if is_filtered else None,
            with_payload=True,
            params=q.SearchParams(hnsw_ef=self.window),
        )

    def ask(self, request):
        return [point.id for point in self.shard.query(request)]

    def optimize(self):
        while self.shard.optimize():
            pass
        self.shard.flush()

    def shape(self):
        # It counts deleted vectors among those that its index has, so that it does not tell what is without one.
        return self.shard.info().segments_count, "not told"

    def close(self):
        self.shard.close()


class LanceDB:
    package = "lancedb"

    def __init__(self, path, dim, metric, window):
        import lancedb
        import pyarrow as pa

        self.pa, self.dim, self.metric, self.window = pa, dim, metric, window
        vector = pa.list_(pa.float32(), dim)
        schema = pa.schema([("id", pa.int64()), (FIELD, pa.int64()), ("vector", vector)])
        self.table = lancedb.connect(path).create_table("points", schema=schema)
        self.is_indexed = False

    def points(self, ids, vectors, numbers):
        pa, flat = self.pa, np.ascontiguousarray(vectors, np.float32).ravel()
        columns = {
            "id": pa.array(np.asarray(ids, np.int64)),
            FIELD: pa.array(np.asarray(numbers, np.int64)),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(flat), self.dim),
        }
        return pa.table(columns)

    def ids(self, ids):
        return "id in (" + ",".join(str(id) for id in ids) + ")"

    def upsert(self, points):
        merge = self.table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(points)

    def delete(self, condition):
        self.table.delete(condition)

    def request(self, vector, is_filtered):
        return vector, is_filtered

    def ask(self, request):
        vector, is_filtered = request
        query = self.table.search(vector).distance_type(self.metric).limit(HITS).select(["id", FIELD, "_distance"])
        query = query.nprobes(1).ef(self.window).refine_factor(2)
        if is_filtered:
            query = query.where(f"{FIELD} < {LABELS // 10}", prefilter=True)
        return query.to_arrow()["id"].to_pylist()

    def optimize(self):
        if self.is_indexed:
            self.table.optimize()
            return
        from lancedb.index import BTree, HnswSq

        graph = HnswSq(distance_type=self.metric, num_partitions=1, m=LINKS, ef_construction=BUILD_WINDOW)
        for column, config in (("vector", graph), ("id", BTree()), (FIELD, BTree())):
            self.table.create_index(column, config=config)
        self.is_indexed = True

    def shape(self):
        fragments = self.table.stats()["fragment_stats"]["num_fragments"]
        if not self.is_indexed:
            return fragments, self.table.count_rows()
        return fragments, self.table.index_stats("vector_idx").num_unindexed_rows

    def close(self):
        pass


DATABASES = {"qdrant-edge": QdrantEdge, "lancedb": LanceDB}
