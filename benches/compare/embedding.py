#!/usr/bin/env python3
"""Texts a second of the embedder in process, beside the same weights under sentence-transformers, in one run.

    python3 -m venv venv && venv/bin/pip install torch sentence-transformers
    cargo build --release --workspace
    venv/bin/python benches/compare/embedding.py --bench target/release/kithdb-bench --model DIR --texts FILE

FILE has a JSON object with `text` a line. Both take turns, round by round, so that what else the machine does falls on
both; the ratio is that of the medians. Both use all cores, and sort texts by length.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--texts", required=True, type=pathlib.Path)
    parser.add_argument("--limit", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from sentence_transformers import SentenceTransformer

    texts = [json.loads(line)["text"] for line in args.texts.read_text().splitlines()][: args.limit]
    model = SentenceTransformer(args.model, device="cpu")
    model.max_seq_length = 256
    own = subprocess.Popen([args.bench, "embedding", "--texts", args.texts, "--limit", str(args.limit), "--model",
                            args.model], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ours():
        own.stdin.write("\n")
        own.stdin.flush()
        count, seconds = own.stdout.readline().split()
        assert int(count) == len(texts)
        return float(seconds)

    def theirs(batch):
        began = time.perf_counter()
        model.encode(texts, batch_size=batch, show_progress_bar=False)
        return time.perf_counter() - began

    times = {"kithdb": [], "torch 32": [], "torch 8": []}
    for round_ in range(args.rounds + 1):
        taken = [("kithdb", ours()), ("torch 32", theirs(32)), ("torch 8", theirs(8))]
        for name, seconds in taken if round_ else []:
            times[name].append(seconds)
    own.stdin.close()
    own.wait()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {len(texts)} texts, {args.rounds} rounds")
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        print(f"{name}: {len(texts) / middle:.1f} texts/s (median; {len(texts) / max(seconds):.1f} to "
              f"{len(texts) / min(seconds):.1f})")
    best = min(statistics.median(times["torch 32"]), statistics.median(times["torch 8"]))
    print(f"ratio to the better of torch: {best / statistics.median(times['kithdb']):.2f}")


if __name__ == "__main__":
    main()
