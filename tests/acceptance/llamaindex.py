"""LlamaIndex's Qdrant vector store on a server: add, query, filtered, hybrid, delete.

    llamaindex.py URL

Ends with one line, `N checks passed`.
"""

import sys

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import QdrantClient

WORDS = ["red", "fox", "blue", "whale"]
CHECKS = 0


def check(found, expected):
    global CHECKS
    assert found == expected, f"{found} is not {expected}"
    CHECKS += 1


def sparse(texts):
    rows = [[(at, 1.0) for at, word in enumerate(WORDS) if word in text] for text in texts]
    return [[at for at, _ in row] for row in rows], [[weight for _, weight in row] for row in rows]


def node(name, text, vector, year, source):
    related = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=source)}
    return TextNode(id_=name, text=text, embedding=vector, metadata={"year": year}, relationships=related)


def main():
    client = QdrantClient(url=sys.argv[1], timeout=60)
    client.delete_collection("llamaindex")
    store = QdrantVectorStore(
        "llamaindex", client=client, enable_hybrid=True, sparse_doc_fn=sparse, sparse_query_fn=sparse
    )
    ids = [f"00000000-0000-0000-0000-00000000000{at}" for at in range(3)]
    nodes = [
        node(ids[0], "a red fox", [1.0, 0.0], 2020, "first"),
        node(ids[1], "a blue whale", [0.0, 1.0], 2021, "second"),
        node(ids[2], "a red whale", [0.7, 0.7], 2022, "second"),
    ]
    check(store.add(nodes), ids)

    def ask(**how):
        found = store.query(VectorStoreQuery(query_embedding=[1.0, 0.1], similarity_top_k=2, **how))
        return [one.get_content() for one in found.nodes]

    check(ask(), ["a red fox", "a red whale"])
    recent = MetadataFilters(filters=[MetadataFilter(key="year", value=2021, operator=">=")])
    check(ask(filters=recent), ["a red whale", "a blue whale"])
    hybrid = ask(mode=VectorStoreQueryMode.HYBRID, query_str="blue whale", sparse_top_k=2)
    check("a blue whale" in hybrid, True)
    check(ask(mode=VectorStoreQueryMode.SPARSE, query_str="blue whale", sparse_top_k=2)[0], "a blue whale")
    check(sorted(one.node_id for one in store.get_nodes(node_ids=ids[:2])), ids[:2])
    store.delete("second")
    check(ask(), ["a red fox"])
    store.delete_nodes(node_ids=ids[:1])
    check(ask(), [])
    store.clear()
    check(client.collection_exists("llamaindex"), False)
    print(f"{CHECKS} checks passed")


main()
