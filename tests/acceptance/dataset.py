"""A small data set in the form of VectorDBBench: vectors, queries, and the true neighbours of each query.

    python3 dataset.py FOLDER
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

VECTORS, QUERIES, DIM, NEIGHBOURS = 1000, 100, 32, 100


def unit(rows):
    """The rows, each of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def main():
    """Writes three files into the folder."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    base = rng.normal(size=(VECTORS, DIM)).astype(np.float32)
    queries = rng.normal(size=(QUERIES, DIM)).astype(np.float32)
    near = np.argsort(-(unit(queries) @ unit(base).T), axis=1)[:, :NEIGHBOURS]
    files = {
        "train": {"id": np.arange(VECTORS), "emb": list(base)},
        "test": {"id": np.arange(QUERIES), "emb": list(queries)},
        "neighbors": {"id": np.arange(QUERIES), "neighbors_id": near.tolist()},
    }
    for name, columns in files.items():
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")


if __name__ == "__main__":
    main()
