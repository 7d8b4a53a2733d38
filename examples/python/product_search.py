"""Hybrid product search: by meaning and by words at once, under filters, with counts beside the hits.

    python product_search.py

Vectors are made by a stand-in, so that nothing need be downloaded: put your own model in its place.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

import kithdb
from kithdb import f

PRODUCTS = [
    ("Trail running shoes", "Light shoes with grip for mud and rock", "shoes", "Fell", 119.0, 4.6, True),
    ("Road running shoes", "Cushioned trainers for long runs on asphalt", "shoes", "Pace", 139.0, 4.4, True),
    ("Hiking boots", "Waterproof leather boots with ankle support", "shoes", "Fell", 189.0, 4.8, True),
    ("Rain jacket", "Waterproof shell with taped seams", "jackets", "Fell", 159.0, 4.2, True),
    ("Down jacket", "Warm and light, packs into its own pocket", "jackets", "Nord", 229.0, 4.7, False),
    ("Running belt", "Carries a phone and keys without bouncing", "accessories", "Pace", 25.0, 4.1, True),
    ("Wool socks", "Merino socks that stay warm when wet", "accessories", "Nord", 19.0, 4.5, True),
    ("Head torch", "Bright light for running at night", "accessories", "Nord", 59.0, 4.3, True),
]


def embed(texts: list[str]) -> npt.NDArray[np.float32]:
    """A stand-in for a model: the three-letter parts of words, each at a place that its hash gives."""
    rows = np.zeros((len(texts), 256), np.float32)
    for row, text in zip(rows, texts):
        for word in text.lower().split():
            for at in range(len(word) - 2):
                digest = hashlib.blake2b(word[at : at + 3].encode(), digest_size=2).digest()
                row[int.from_bytes(digest, "little") % 256] += 1.0
    return rows


def fill(db: kithdb.Database) -> kithdb.Collection:
    names = ("name", "text", "category", "brand", "price", "rating", "in_stock")
    rows = [dict(zip(names, product)) for product in PRODUCTS]
    products = db.create_collection(
        "products",
        dim=256,
        text=["name", "text"],
        fields={"category": "keyword", "brand": "keyword", "price": "float", "in_stock": "bool"},
        exist_ok=True,
    )
    vectors = embed([f"{row['name']} {row['text']}" for row in rows])
    products.upsert(ids=range(1, len(rows) + 1), vectors=vectors, payload=rows)
    return products


def main() -> None:
    with kithdb.open(":memory:") as db:
        products = fill(db)
        asked = "shoes to run in the rain"
        wanted = (f.price <= 150) & (f.in_stock == True)  # noqa: E712

        hits = products.search(embed([asked])[0], text=asked, where=wanted, limit=3, with_payload=["name", "price"])
        print(asked, hits, sep="\n", end="\n\n")

        print("By category:", products.facet("category", where=wanted))
        for group in products.groups("brand", embed([asked])[0], where=wanted, limit=2, group_size=1):
            print(f"Best of {group.value}: {group.hits[0]['name']}")

        # The same filter as text, as it would come from a form or a URL.
        found = products.search(text="waterproof", where="price < 200 AND category IN ('shoes', 'jackets')")
        print("Waterproof:", [hit["name"] for hit in found])

        print("\nWhy are the hiking boots not among them?", hits.why_not(3), sep="\n")


if __name__ == "__main__":
    main()
