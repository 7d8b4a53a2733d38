"""KithDB as one more engine of a harness of approximate-nearest-neighbour peers, through its Python package.

    pip install ./python                                              # into the environment of the harness
    peers.py list --plugin benches/compare/peer.py                    # kithdb is among them
    peers.py run --plugin benches/compare/peer.py                     # all engines and data sets, in one run
    peers.py collect && report.py                                     # every table of its RESULTS.md

The harness has a class `Engine` to be derived from, and drives what is in ENGINES: build, open, sweep, filters,
updates. Everything here is an ordinary call of the package, with its defaults: fsync for each commit, vectors on disk,
and the answers with their exact scores. The package is imported where it is needed, as those of the others are: to
import it is part of opening, and what it takes in memory part of what is measured.
"""

import time

import numpy as np
import peers

BATCH_POINTS = 10_000


class KithDB(peers.Engine):
    """A collection with two integer fields, sealed into one segment by `optimize`."""

    name = "kithdb"
    pkg = "kithdb"
    kind = "db"
    has_filter = has_update = True
    note = "one segment; every commit is durable when it is acknowledged, so there is nothing to flush"

    def build(self, base, attr, clu):
        import kithdb

        with kithdb.open(self.path) as db:
            metric = "euclid" if self.metric == "l2" else "cosine"
            fields = {"attr": "integer", "clu": "integer"}
            points = db.create_collection("points", dim=self.dim, metric=metric, fields=fields)
            for start in range(0, len(base), BATCH_POINTS):
                self._write(points, range(start, min(start + BATCH_POINTS, len(base))), base, attr, clu)
            began = time.time()
            points.optimize()
            # Graphs are built beside the writes already: this is what was left of it.
            return {"index_s": time.time() - began, "segments": points.status()["segments_count"]}

    def _write(self, points, rows, vectors, attr, clu):
        part = slice(rows.start, rows.stop)
        payload = {"attr": attr[part].tolist(), "clu": clu[part].tolist()}
        points.upsert(ids=np.arange(rows.start, rows.stop), vectors=vectors[part], payload=payload)

    def open(self):
        import kithdb

        self.fields = kithdb.f
        self.db = kithdb.open(self.path)
        self.points = self.db.collection("points")
        self.width = 64

    def set(self, v):
        self.width = v

    def search(self, q, k, flt=None):
        where = None
        if flt is not None:
            name, value = flt
            where = self.fields.attr < int(value) if name == "attr" else self.fields.clu == int(value)
        return self.points.search(q, where=where, limit=k, ef=self.width, with_payload=False).ids

    def batch(self, Q, k, threads):
        # As many threads as there are cores: the harness pins all of them to one where it asks for one.
        return self.points.search_many(Q, limit=k, ef=self.width).ids

    def delete(self, ids):
        self.points.delete(list(map(int, ids)))

    def upsert(self, ids, X, attr, clu):
        payload = {"attr": np.asarray(attr).tolist(), "clu": np.asarray(clu).tolist()}
        self.points.upsert(ids=np.asarray(ids), vectors=X, payload=payload)

    def close(self):
        self.db.close()


ENGINES = [KithDB]
