"""KithDB as one more engine of a harness of approximate-nearest-neighbour peers, through its Python package.

    peers.py run --plugin benches/compare/peer.py --engines kithdb,hnswlib,qdrant-edge-f32 --datasets fashion

The harness has a class `Engine` to be derived from, and drives what is in ENGINES: build, open, sweep, filters, updates.
Everything here is an ordinary call of the package, with its defaults: fsync for each commit, vectors on disk, and the
answers with their exact scores.
"""

import kithdb
import peers

BATCH_POINTS = 10_000


class KithDB(peers.Engine):
    """A collection with two integer fields, sealed into one segment by `optimize`."""

    name = "kithdb"
    pkg = "kithdb"
    kind = "db"
    has_filter = has_update = True

    def build(self, base, attr, clu):
        with kithdb.open(self.path) as db:
            metric = "euclid" if self.metric == "l2" else "cosine"
            fields = {"attr": "integer", "clu": "integer"}
            points = db.create_collection("points", dim=self.dim, metric=metric, fields=fields)
            for start in range(0, len(base), BATCH_POINTS):
                self._write(points, range(start, min(start + BATCH_POINTS, len(base))), base, attr, clu)
            points.optimize()
            return {"segments": points.status()["segments_count"]}

    def _write(self, points, rows, vectors, attr, clu):
        part = slice(rows.start, rows.stop)
        payload = {"attr": attr[part].tolist(), "clu": clu[part].tolist()}
        points.upsert(ids=list(rows), vectors=vectors[part], payload=payload)

    def open(self):
        self.db = kithdb.open(self.path)
        self.points = self.db.collection("points")
        self.width = 64

    def set(self, v):
        self.width = v

    def search(self, q, k, flt=None):
        where = None
        if flt is not None:
            name, value = flt
            where = kithdb.f.attr < int(value) if name == "attr" else kithdb.f.clu == int(value)
        return self.points.search(q, where=where, limit=k, ef=self.width, with_payload=False).ids

    def batch(self, Q, k, threads):
        return self.points.search_many(Q, limit=k, ef=self.width).ids

    def delete(self, ids):
        self.points.delete([int(one) for one in ids])

    def upsert(self, ids, X, attr, clu):
        payload = {"attr": [int(one) for one in attr], "clu": [int(one) for one in clu]}
        self.points.upsert(ids=[int(one) for one in ids], vectors=X, payload=payload)

    def close(self):
        self.db.close()


ENGINES = [KithDB]
