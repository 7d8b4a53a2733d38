#!/usr/bin/env python3
"""Queries by words, and by words and a vector, beside other engines that run in the process: one run, one machine.

    python3 -m venv venv && venv/bin/pip install numpy qdrant-edge-py lancedb tantivy PyStemmer ./python
    venv/bin/python benches/compare/hybrid.py --rows 100000

Every engine has the same rows: a vector near a surface of 24 dimensions, and 40 words that are as frequent as in a
language (Zipf's law over 50,000 words). It is asked by 3 words, then by 3 words and a vector; 10 hits, ids only, one
thread, calls from Python. What differs, and must be said beside the figures:
- tantivy has no vectors: it shows what words alone cost.
- qdrant-edge knows no texts: words are sparse vectors, made here and outside of what is timed, their rarity counted by it.
- lancedb's and qdrant-edge's hybrid query is their reciprocal rank fusion; ours is the default, by scores. Each leg has
  100 candidates.
"""

import argparse
import importlib.metadata
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

HITS, LEG, BATCH = 10, 100, 5_000
WORDS, TEXT_WORDS, ASKED_WORDS = 50_000, 40, 3
SYLLABLES = ["ba", "do", "ki", "lu", "mo", "ne", "po", "ra", "tu", "zi"]


def word(rank):
    return "".join(SYLLABLES[int(digit)] for digit in str(rank))


class Rows:
    """Vectors (n, dim) of length 1, texts, and questions of both."""

    def __init__(self, count, dim, questions):
        dice = np.random.default_rng(7)
        axes, centres = dice.standard_normal((24, dim)), dice.standard_normal((200, 24))

        def vectors(rows):
            inner = centres[dice.integers(0, 200, rows)] + 0.5 * dice.standard_normal((rows, 24))
            made = inner @ axes + 0.05 * 24**0.5 * dice.standard_normal((rows, dim))
            return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)

        shares = 1 / np.arange(1, WORDS + 1)
        drawn = dice.choice(WORDS, (count, TEXT_WORDS), p=shares / shares.sum())
        self.vectors, self.ranks = vectors(count), drawn
        self.texts = [" ".join(word(rank) for rank in row) for row in drawn]
        asked = dice.integers(100, 5_000, (questions, ASKED_WORDS))
        self.asked_ranks = asked
        self.asked = list(zip(vectors(questions), (" ".join(word(rank) for rank in row) for row in asked)))


class KithDB:
    package = "kithdb"

    def __init__(self, folder, rows):
        import kithdb

        self.db = kithdb.open(folder)
        self.points = self.db.create_collection("points", dim=rows.vectors.shape[1], text=["text"])
        for start in range(0, len(rows.texts), BATCH):
            part = slice(start, start + BATCH)
            ids = list(range(start, start + len(rows.texts[part])))
            self.points.upsert(ids=ids, vectors=rows.vectors[part], payload={"text": rows.texts[part]})
        self.points.optimize()

    def by_words(self, vector, text, at):
        return self.points.search(text=text, limit=HITS, with_payload=False).ids

    def by_both(self, vector, text, at):
        return self.points.search(vector, text=text, limit=HITS, with_payload=False).ids

    def close(self):
        self.db.close()


class Tantivy:
    package = "tantivy"

    def __init__(self, folder, rows):
        import tantivy

        builder = tantivy.SchemaBuilder()
        builder.add_unsigned_field("id", stored=True, fast=True)
        builder.add_text_field("text", tokenizer_name="en_stem")
        self.index = tantivy.Index(builder.build(), path=folder)
        writer = self.index.writer(heap_size=256_000_000, num_threads=1)
        for id, text in enumerate(rows.texts):
            document = tantivy.Document(text=text)
            document.add_unsigned("id", id)
            writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()

    def by_words(self, vector, text, at):
        found = self.searcher.search(self.index.parse_query(text, ["text"]), HITS, count=False).hits
        return [self.searcher.doc(address)["id"][0] for _, address in found]

    by_both = None

    def close(self):
        pass


class QdrantEdge:
    package = "qdrant-edge-py"

    def __init__(self, folder, rows):
        import qdrant_edge as q

        self.q = q
        graph = q.HnswIndexConfig(16, 200, 10_000, 2)
        optimizers = q.EdgeOptimizersConfig(
            default_segment_number=1, max_segment_size=10_000_000, indexing_threshold=1000
        )
        vectors = {"dense": q.EdgeVectorParams(rows.vectors.shape[1], q.Distance.Cosine, hnsw_config=graph)}
        words = {"words": q.EdgeSparseVectorParams(modifier=q.Modifier.Idf)}
        self.shard = q.EdgeShard.create(
            folder, q.EdgeConfig(vectors, words, hnsw_config=graph, optimizers=optimizers)
        )
        for start in range(0, len(rows.texts), BATCH):
            end = min(start + BATCH, len(rows.texts))
            points = [
                q.Point(row, {"dense": rows.vectors[row].tolist(), "words": self.weighted(rows.ranks[row])}, {})
                for row in range(start, end)
            ]
            self.shard.update(q.UpdateOperation.upsert_points(points))
        while self.shard.optimize():
            pass
        self.shard.flush()
        self.requests = [self.of(*one) for one in zip(rows.asked, rows.asked_ranks)]

    def weighted(self, ranks):
        """BM25 without rarity, which the engine counts; all texts are of one length."""
        words, counts = np.unique(ranks, return_counts=True)
        return self.q.SparseVector(words.tolist(), (counts * 2.2 / (counts + 1.2)).tolist())

    def of(self, asked, ranks):
        q, (vector, _) = self.q, asked
        words = np.unique(ranks)
        nearest = q.Query.Nearest(vector.tolist(), "dense")
        sought = q.Query.Nearest(q.SparseVector(words.tolist(), [1.0] * len(words)), "words")
        legs = [q.Prefetch(limit=LEG, query=nearest), q.Prefetch(limit=LEG, query=sought)]
        return (
            q.QueryRequest(limit=HITS, query=sought),
            q.QueryRequest(limit=HITS, query=q.Fusion.Rrf(60), prefetches=legs),
        )

    def by_words(self, vector, text, at):
        return [point.id for point in self.shard.query(self.requests[at][0])]

    def by_both(self, vector, text, at):
        return [point.id for point in self.shard.query(self.requests[at][1])]

    def close(self):
        self.shard.close()


class LanceDB:
    package = "lancedb"

    def __init__(self, folder, rows):
        import lancedb
        import pyarrow as pa
        from lancedb.index import FTS, HnswSq

        columns = {
            "id": pa.array(np.arange(len(rows.texts))),
            "text": pa.array(rows.texts),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(rows.vectors.ravel()), rows.vectors.shape[1]),
        }
        self.table = lancedb.connect(folder).create_table("points", pa.table(columns))
        graph = HnswSq(distance_type="cosine", num_partitions=1, m=16, ef_construction=200)
        self.table.create_index("vector", config=graph)
        self.table.create_index("text", config=FTS())

    def by_words(self, vector, text, at):
        query = self.table.search(text, query_type="fts").limit(HITS).select(["id", "_score"])
        return query.to_arrow()["id"].to_pylist()

    def by_both(self, vector, text, at):
        query = self.table.search(query_type="hybrid").vector(vector).text(text).limit(HITS)
        return query.to_arrow()["id"].to_pylist()

    def close(self):
        pass


ENGINES = {"kithdb": KithDB, "tantivy": Tantivy, "qdrant-edge": QdrantEdge, "lancedb": LanceDB}


def measured(ask, asked, seconds):
    """Queries a second, and p50 and p99 in ms."""
    for at, (vector, text) in enumerate(asked[:50]):
        assert ask(vector, text, at), "no hits"
    took, began = [], time.perf_counter()
    while time.perf_counter() - began < seconds:
        for at, (vector, text) in enumerate(asked):
            before = time.perf_counter()
            ask(vector, text, at)
            took.append(time.perf_counter() - before)
            if time.perf_counter() - began >= seconds:
                break
    return [len(took) / sum(took), *(float(np.percentile(took, share)) * 1e3 for share in (50, 99))]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("engines", nargs="*", help=", ".join(ENGINES))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rows, opened = Rows(given.rows, given.dim, 1_000), {}
    root = Path(tempfile.mkdtemp())
    try:
        built = {}
        for name in given.engines or ENGINES:
            (root / name).mkdir()
            began = time.perf_counter()
            opened[name] = ENGINES[name](str(root / name), rows)
            built[name] = time.perf_counter() - began
        figures = {}
        for _ in range(given.rounds):
            for name, engine in opened.items():
                for kind in ("by_words", "by_both"):
                    if ask := getattr(engine, kind):
                        figures.setdefault((kind, name), []).append(measured(ask, rows.asked, given.seconds))
        print(f"{given.rows} x {given.dim}; median of {given.rounds} rounds of {given.seconds:g} s\n")
        print("| 10 hits | engine | queries/s | p50 ms | p99 ms | loaded and indexed s |")
        print("| --- | --- | --- | --- | --- | --- |")
        for (kind, name), rounds in sorted(figures.items(), key=lambda one: one[0][0], reverse=True):
            rate, p50, p99 = np.median(rounds, axis=0)
            version = importlib.metadata.version(ENGINES[name].package)
            what = "3 words" if kind == "by_words" else "3 words and a vector"
            print(f"| {what} | {name} {version} | {rate:.0f} | {p50:.3f} | {p99:.3f} | {built[name]:.1f} |")
    finally:
        for engine in opened.values():
            engine.close()
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()
