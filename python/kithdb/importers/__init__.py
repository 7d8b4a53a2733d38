"""Moving in: points of other vector databases and files, with ids, vectors, payload and texts.

```python
from kithdb import importers

with kithdb.open("./data") as db:
    report = importers.from_chroma("./chroma", db, progress=True)
    print(report)                # what was moved, what was left, and how both answer alike
    assert report.is_whole
```

| from | function | needs |
|---|---|---|
| Chroma, a directory | `from_chroma` | `chromadb` |
| LanceDB, a directory | `from_lancedb` | `lancedb` |
| Qdrant, or any server of its API | `from_qdrant` | nothing |
| Qdrant Edge, a directory | `from_qdrant_edge` | `qdrant-edge-py` |
| PostgreSQL with pgvector, or with arrays | `from_pgvector` | `psycopg` |
| an index of FAISS | `from_faiss` | `faiss-cpu` |
| an index of hnswlib | `from_hnswlib` | nothing |
| Parquet, a file or a folder | `from_parquet` | `pyarrow` |
| HDF5, as ann-benchmarks lays it out | `from_hdf5` | `h5py` |

Each goes through its source once, batch by batch, so that memory is bounded by a batch. On the way a sample of points
is put aside, and the exact answers to a sample of questions are worked out from what the source gave; at the end the
sample is read back and the questions are asked. The source is only read.

An id that is no unsigned integer and no UUID stands for a UUID (`kithdb.id_of`), and is kept in the payload, under
`id_field`. An import that broke off goes on by `exist_ok=True`: points that are there already are replaced by
themselves.
"""

from kithdb.importers.chroma import from_chroma
from kithdb.importers.faiss import from_faiss
from kithdb.importers.hdf5 import from_hdf5
from kithdb.importers.hnswlib import from_hnswlib
from kithdb.importers.lancedb import from_lancedb
from kithdb.importers.parquet import from_parquet
from kithdb.importers.pgvector import from_pgvector
from kithdb.importers.qdrant import from_qdrant, from_qdrant_edge
from kithdb.importers.report import Moved, Report, Searches

__all__ = [
    "Moved",
    "Report",
    "Searches",
    "from_chroma",
    "from_faiss",
    "from_hdf5",
    "from_hnswlib",
    "from_lancedb",
    "from_parquet",
    "from_pgvector",
    "from_qdrant",
    "from_qdrant_edge",
]
