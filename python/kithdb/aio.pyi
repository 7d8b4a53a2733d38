import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa

from kithdb._kithdb import Serving
from kithdb.answers import Answer
from kithdb.collection import WithPayload, WithVector, Written
from kithdb.filters import Where
from kithdb.hits import Group, Hit, Matches, Point
from kithdb.plans import Plan, WhyNot
from kithdb.rows import Id, Progress
from kithdb.writing import Part, Points

# mypy: disable-error-code="overload-overlap"
# Made by stubs.py of the classes of the same names without Async: do not edit.
__all__ = [
    "AsyncAnswering",
    "AsyncCollection",
    "AsyncDatabase",
    "AsyncHits",
    "AsyncSnapshots",
    "AsyncTransaction",
    "aopen",
]

class AsyncDatabase:
    async def close(self) -> None: ...
    async def create_collection(
        self,
        name: str,
        data: Any = None,
        *,
        dim: int | None = None,
        metric: str = "cosine",
        vectors: Mapping[str, Any] | None = None,
        sparse: Iterable[str] | Mapping[str, Any] | None = None,
        text: Sequence[str] | None = None,
        language: str | None = None,
        fields: Mapping[str, str] | None = None,
        recall: float | None = None,
        history_s: int | None = None,
        model: bool | Mapping[str, Any] = False,
        exist_ok: bool = False,
        progress: Progress = False,
        **settings: Any,
    ) -> AsyncCollection: ...
    async def collection(self, name: str) -> AsyncCollection: ...
    async def collections(self) -> list[str]: ...
    async def drop_collection(self, name: str) -> bool: ...
    async def aliases(self) -> dict[str, str]: ...
    async def change_aliases(self, set: Mapping[str, str] | None = None, drop: Iterable[str] = ()) -> None: ...
    def transaction(self) -> AsyncTransaction: ...
    @property
    def snapshots(self) -> AsyncSnapshots: ...
    async def request(self, method: str, path: str, body: Any = None) -> Any: ...
    @overload
    async def ask(
        self, question: str, collection: str = "documents", *, stream: Literal[False] = False, **asked: Any
    ) -> Answer: ...
    @overload
    async def ask(
        self, question: str, collection: str = "documents", *, stream: Literal[True], **asked: Any
    ) -> AsyncAnswering: ...
    @property
    def model(self) -> dict[str, Any] | None: ...
    async def ingest(
        self,
        path: str | os.PathLike[str],
        collection: str = "documents",
        *,
        folder_field: str = "folder",
        chunk_size: int | None = None,
        chunk_overlap: int = 0,
        metadata: Mapping[str, Any] | None = None,
        time_max_s: float | None = None,
        progress: bool | Callable[[int, int, int], object] = False,
    ) -> dict[str, Any]: ...
    async def embed(self, texts: str | Sequence[str], *, is_question: bool = False) -> npt.NDArray[np.float32]: ...
    async def flush(self) -> None: ...
    async def start(self) -> dict[str, Any]: ...
    async def verify(self, *, rebuild: bool = False) -> dict[str, Any]: ...
    async def reembed(
        self,
        source: str,
        target: str,
        *,
        model: str | os.PathLike[str] | Mapping[str, Any],
        alias: str | None = None,
        gate: float | None = None,
        progress: bool | Callable[[int, int, int], object] = False,
    ) -> dict[str, Any]: ...
    async def serve(
        self, listen: str = "127.0.0.1:6333", *, api_key: str | None = None, allow_remote: bool = False
    ) -> Serving: ...
    async def __aenter__(self) -> AsyncDatabase: ...
    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None: ...
    def __getitem__(self, name: str) -> AsyncCollection: ...

class AsyncCollection:
    @property
    def name(self) -> str: ...
    @property
    def seqno(self) -> int | None: ...
    @overload
    async def ask(
        self,
        question: str,
        *,
        stream: Literal[False] = False,
        where: Where | None = None,
        labels: Iterable[str] | None = None,
        limit: int | None = None,
        extractive: bool | None = None,
        history: Sequence[Mapping[str, Any]] = (),
        instructions: str | None = None,
        answer_tokens_max: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        **rag: Any,
    ) -> Answer: ...
    @overload
    async def ask(
        self,
        question: str,
        *,
        stream: Literal[True],
        where: Where | None = None,
        labels: Iterable[str] | None = None,
        limit: int | None = None,
        extractive: bool | None = None,
        history: Sequence[Mapping[str, Any]] = (),
        instructions: str | None = None,
        answer_tokens_max: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
        **rag: Any,
    ) -> AsyncAnswering: ...
    async def delete(self, points: Points = None, *, where: Where | None = None) -> Any: ...
    async def set_payload(
        self, payload: Mapping[str, Any], points: Points = None, *, where: Where | None = None, key: str | None = None
    ) -> Any: ...
    async def overwrite_payload(
        self, payload: Mapping[str, Any], points: Points = None, *, where: Where | None = None
    ) -> Any: ...
    async def delete_payload(
        self, keys: Iterable[str], points: Points = None, *, where: Where | None = None
    ) -> Any: ...
    async def clear_payload(self, points: Points = None, *, where: Where | None = None) -> Any: ...
    async def update_vectors(self, vectors: Mapping[Id, Any], *, where: Where | None = None) -> Any: ...
    async def delete_vectors(
        self, names: Iterable[str], points: Points = None, *, where: Where | None = None
    ) -> Any: ...
    async def describe(self) -> dict[str, Any]: ...
    async def status(self) -> dict[str, Any]: ...
    async def upsert(
        self,
        data: Any = None,
        *,
        ids: Any = None,
        vectors: Any = None,
        payload: Any = None,
        mode: Literal["upsert", "insert_only", "update_only"] = "upsert",
        where: Where | None = None,
        embed: str | None = None,
        commit_points: int | None = None,
        progress: Progress = False,
    ) -> Written: ...
    add = upsert

    async def batch(self, operations: Iterable[Mapping[str, Any]]) -> int: ...
    def as_of(self, seqno: int) -> AsyncCollection: ...
    @overload
    async def get(self, ids: Id, *, with_payload: WithPayload = True, with_vector: WithVector = False) -> Point: ...
    @overload
    async def get(
        self, ids: Iterable[Id], *, with_payload: WithPayload = True, with_vector: WithVector = False
    ) -> list[Point]: ...
    async def count(self, where: Where | None = None) -> int: ...
    async def facet(self, key: str, *, where: Where | None = None, limit: int = 10) -> dict[str | int | bool, int]: ...
    def scroll(
        self,
        where: Where | None = None,
        *,
        with_payload: WithPayload = True,
        with_vector: WithVector = False,
        start: Id | None = None,
        page: int = 256,
    ) -> AsyncIterator[Point]: ...
    async def search(
        self,
        vector: Any = None,
        *,
        text: str | Mapping[str, Any] | None = None,
        query: Any = None,
        prefetch: Any = None,
        where: Where | None = None,
        limit: int = 10,
        offset: int | None = None,
        using: str | None = None,
        with_payload: WithPayload = True,
        with_vector: WithVector = False,
        score_threshold: float | None = None,
        exact: bool | None = None,
        recall: float | None = None,
        ef: int | None = None,
        fusion: str | Mapping[str, Any] = "adaptive",
        highlight: bool | Mapping[str, Any] | None = None,
        deadline_ms: int | None = None,
        rows_max: int | None = None,
        partial: bool | None = None,
    ) -> AsyncHits: ...
    async def search_many(
        self,
        vectors: Any,
        *,
        where: Where | None = None,
        limit: int = 10,
        using: str | None = None,
        score_threshold: float | None = None,
        exact: bool | None = None,
        recall: float | None = None,
        ef: int | None = None,
    ) -> Matches: ...
    async def groups(
        self,
        by: str,
        vector: Any = None,
        *,
        text: str | None = None,
        query: Any = None,
        prefetch: Any = None,
        where: Where | None = None,
        limit: int = 10,
        group_size: int = 3,
        using: str | None = None,
        with_payload: WithPayload = True,
        with_vector: WithVector = False,
        score_threshold: float | None = None,
        exact: bool | None = None,
        recall: float | None = None,
        ef: int | None = None,
        fusion: str | Mapping[str, Any] = "adaptive",
        highlight: bool | Mapping[str, Any] | None = None,
        with_lookup: str | Mapping[str, Any] | None = None,
    ) -> list[Group]: ...
    async def query(self, body: Mapping[str, Any]) -> AsyncHits: ...
    def pages(self, body: Mapping[str, Any], *, size: int = 100) -> AsyncIterator[AsyncHits]: ...
    async def matrix(
        self, sample: int = 100, *, limit: int = 3, where: Where | None = None, using: str = ""
    ) -> Any: ...
    async def export(self, to: str | Path, *, where: Where | None = None) -> Path: ...
    async def learn_weights(
        self,
        questions: Iterable[Mapping[str, Any]] | None = None,
        *,
        using: str | None = None,
        where: Where | None = None,
        feedback: bool = False,
    ) -> dict[str, Any]: ...
    async def create_index(self, field: str, kind: str, **options: Any) -> int: ...
    async def drop_index(self, field: str) -> int: ...
    async def create_vector(self, name: str, **params: Any) -> int: ...
    async def drop_vector(self, name: str) -> int: ...
    async def configure(self, **changes: Any) -> None: ...
    async def optimize(self, *, wait: bool = True) -> None: ...
    @property
    def snapshots(self) -> AsyncSnapshots: ...
    async def recover(self, source: str | Path, *, checksum: str | None = None) -> None: ...

class AsyncHits(Sequence[Hit]):
    @property
    def seen_share(self) -> float | None: ...
    @property
    def ids(self) -> list[int | str]: ...
    @property
    def scores(self) -> list[float]: ...
    def to_dicts(self) -> list[dict[str, Any]]: ...
    def to_numpy(self) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]: ...
    def to_arrow(self) -> pa.Table: ...
    def to_pandas(self) -> pd.DataFrame: ...
    def to_polars(self) -> pl.DataFrame: ...
    async def explain(self) -> Plan: ...
    async def analyze(self) -> Plan: ...
    async def why_not(self, id: Id) -> WhyNot: ...
    @overload
    def __getitem__(self, at: int) -> Hit: ...
    @overload
    def __getitem__(self, at: slice) -> AsyncHits: ...
    def __len__(self) -> int: ...
    def _repr_html_(self) -> str: ...

class AsyncAnswering(AsyncIterator[str]):
    async def answer(self) -> Answer: ...
    async def close(self) -> None: ...
    async def __anext__(self) -> str: ...
    async def __aenter__(self) -> AsyncAnswering: ...
    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None: ...

class AsyncSnapshots:
    async def list(self) -> list[dict[str, Any]]: ...
    async def create(self) -> dict[str, Any]: ...
    async def download(self, name: str, to: str | Path) -> Path: ...
    async def delete(self, name: str) -> None: ...

class AsyncTransaction:
    @property
    def seqno(self) -> int | None: ...
    def on(self, collection: str) -> Part: ...
    async def commit(self) -> int | None: ...
    async def __aenter__(self) -> AsyncTransaction: ...
    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None: ...

async def aopen(
    path: str | os.PathLike[str],
    *,
    durability: str = "fsync",
    model: str | os.PathLike[str] | Mapping[str, Any] | None = "auto",
    engine: str | Mapping[str, Any] | None = None,
    rerank: str | Mapping[str, Any] | None = None,
    memory_limit: int | None = None,
    api_key: str | None = None,
    timeout_s: float = 60.0,
    retry_s: float = 30.0,
    tls: str | os.PathLike[str] | ssl.SSLContext | None = None,
) -> AsyncDatabase: ...
