"""Evaluation: which way to ask finds what should be found, and what does it cost?

    python evaluation.py

For questions whose right answers are known, each way to ask gets the share of the right answers among its hits
(recall), how far up they stand (reciprocal rank, nDCG), and its time. The data here are made up on the spot: put your
own questions and judgements in their place.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection

import numpy as np

import kithdb

K = 10


def dcg(gains: list[float]) -> float:
    return sum(gain / math.log2(at + 2) for at, gain in enumerate(gains))


def measure(ids: list[int], right: Collection[int]) -> tuple[float, float, float]:
    """Recall, reciprocal rank and nDCG of the hits of one question."""
    gains = [1.0 if one in right else 0.0 for one in ids[:K]]
    first = next((1.0 / (at + 1) for at, gain in enumerate(gains) if gain), 0.0)
    return sum(gains) / min(K, len(right)), first, dcg(gains) / dcg([1.0] * min(K, len(right)))


def corpus(topics: int = 40, texts: int = 25, dim: int = 64) -> tuple[list[str], np.ndarray, list[str], np.ndarray]:
    """Texts of some topics. A text has a word of its topic half of the time; its vector lies near that of the topic."""
    rng = np.random.default_rng(1)
    centers = rng.normal(size=(topics, dim))
    words = [f"topic{at}" for at in range(topics)]
    vectors = np.repeat(centers, texts, axis=0) + rng.normal(scale=1.6, size=(topics * texts, dim))
    said = [f"{words[at // texts] if rng.random() < 0.5 else 'text'} number {at}" for at in range(topics * texts)]
    asked = centers + rng.normal(scale=0.8, size=centers.shape)
    return said, vectors.astype(np.float32), words, asked.astype(np.float32)


def main() -> None:
    said, vectors, questions, asked = corpus()
    with kithdb.open(":memory:") as db:
        texts = db.create_collection("texts", dim=vectors.shape[1], text=["text"])
        texts.upsert(ids=np.arange(len(said)), vectors=vectors, payload={"text": said})
        ways: dict[str, Callable[[int], kithdb.Hits]] = {
            "words": lambda at: texts.search(text=questions[at], limit=K),
            "vectors": lambda at: texts.search(asked[at], limit=K),
            "both, rrf": lambda at: texts.search(asked[at], text=questions[at], fusion="rrf", limit=K),
            "both, adaptive": lambda at: texts.search(asked[at], text=questions[at], limit=K),
        }
        print(f"{'way':16}{'recall':>9}{'first':>9}{'nDCG':>9}{'ms':>9}")
        for name, way in ways.items():
            began = time.perf_counter()
            found = [way(at).ids for at in range(len(questions))]
            took_ms = (time.perf_counter() - began) * 1e3 / len(questions)
            right = [range(at * 25, (at + 1) * 25) for at in range(len(questions))]
            figures = np.mean([measure(ids, one) for ids, one in zip(found, right)], axis=0)
            print(f"{name:16}" + "".join(f"{figure:9.3f}" for figure in figures) + f"{took_ms:9.2f}")

        # Is it the index that misses, or the vectors? The same, exactly.
        usual, exact = (texts.search_many(asked, limit=K, exact=is_exact) for is_exact in (None, True))
        same = np.mean([len(np.intersect1d(*pair)) / K for pair in zip(usual.ids, exact.ids)])
        print(f"\nOf the true nearest the index finds {same:.1%}.")


if __name__ == "__main__":
    main()
