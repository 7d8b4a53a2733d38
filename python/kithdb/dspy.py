"""DSPy: a retriever over a collection. Needs `dspy`.

```python
search = KithRetriever(kithdb.open("./data")["notes"], embedder)       # a dspy.Embedder, or any function of texts
search("databases").passages
dspy.configure(rm=search.passages)                                      # for programs with dspy.Retrieve
```

Passages are the texts under `text_field`. Without an embedder a question goes by its words, and by its meaning if the
vectors belong to a model that the database was opened with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

try:
    import dspy
    from dspy.dsp.utils import dotdict
except ImportError as error:
    from kithdb.errors import missing

    raise missing("dspy", "kithdb.dspy") from error

from kithdb.collection import Collection
from kithdb.errors import InvalidArgument
from kithdb.filters import Where
from kithdb.hits import Hits

#: How a question is asked: by its vector, by its words, or by both, fused.
Mode = Literal["vector", "text", "hybrid"]


class KithRetriever(dspy.Retrieve):  # type: ignore[misc]
    """The best passages of a collection for a question: a part of a program, and the retrieval of one.

    `embedder` makes the vector of a question: a `dspy.Embedder`, or a function from a list of texts to vectors.
    `where` is a filter: a text, an expression, or a dict. `k`, `mode` and `where` may be said again with a call.
    """

    def __init__(
        self,
        collection: Collection,
        embedder: Callable[[list[str]], Any] | None = None,
        *,
        text_field: str = "text",
        k: int = 5,
        mode: Mode = "hybrid",
        where: Where | None = None,
    ) -> None:
        super().__init__(k=k)
        self.collection, self.embedder = collection, embedder
        self.text_field, self.mode, self.where = text_field, mode, where

    def forward(self, query: str, k: int | None = None, **asked: Any) -> dspy.Prediction:
        """A prediction with `passages`, and for each of them `ids`, `scores` and `payloads`, best first.

        Further arguments are `mode`, `where`, and those of `Collection.search`.
        """
        hits = self._hits(query, k, **asked)
        return dspy.Prediction(
            passages=[str(hit.get(self.text_field, "")) for hit in hits],
            ids=hits.ids,
            scores=hits.scores,
            payloads=[hit.payload for hit in hits],
        )

    async def aforward(self, query: str, k: int | None = None, **asked: Any) -> dspy.Prediction:
        """As `forward`, on a thread of its own, where the engine holds no lock of the interpreter."""
        return await asyncio.to_thread(self.forward, query, k, **asked)

    async def acall(self, query: str, k: int | None = None, **asked: Any) -> dspy.Prediction:
        """As `aforward`."""
        return await self.aforward(query, k, **asked)

    def passages(self, query: str, k: int | None = None, **asked: Any) -> list[Any]:
        """The same in the form that `dspy.configure(rm=...)` asks for: `long_text`, `id` and `score` of each."""
        return [
            dotdict(long_text=str(hit.get(self.text_field, "")), id=hit.id, score=hit.score)
            for hit in self._hits(query, k, **asked)
        ]

    def _hits(self, query: str, k: int | None, **asked: Any) -> Hits:
        mode, where = asked.pop("mode", self.mode), asked.pop("where", self.where)
        members = {"limit": self.k if k is None else k, "where": where, **asked}
        if mode == "text":
            return self.collection.search(query={"keyword": query}, **members)
        if self.embedder is None:
            if mode == "vector":
                raise InvalidArgument("needs an embedder; give one, or ask by `text` or `hybrid`", "mode")
            return self.collection.search(text=query, **members)
        vector = self.embedder([query])[0]
        return self.collection.search(vector, text=query if mode == "hybrid" else None, **members)
