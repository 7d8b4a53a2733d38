#!/usr/bin/env python3
"""Passages and spans found for questions with known answers, by `kithdb ingest` and `kithdb eval`.

    cargo build --release --workspace
    python3 benches/compare/passages.py --kithdb target/release/kithdb --data DIR [--size 200] [--out DIR]

DIR holds `chunk_eval` (spans.jsonl: the answers' characters in five long documents) and `clapnq` (passages that are
judged whole), in the layout of BEIR. Writes a folder of documents and a file of questions for each, ingests the one, and
asks the other by keywords, by meaning and by both. Prints recall, precision and intersection over union of the retrieved
bytes, the share of questions whose spans were found whole, and the recall of whole passages, all among the first five.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def chunk_eval(data, to):
    """Documents and questions of spans; their characters become bytes."""
    texts = {}
    for document in lines(data / "corpus.jsonl"):
        texts[document["_id"]] = document["text"]
        (to / f"{document['_id']}.txt").write_text(document["text"], newline="")
    asked = {query["_id"]: query["text"] for query in lines(data / "queries.jsonl")}
    questions = []
    for answer in lines(data / "spans.jsonl"):
        text = texts[answer["corpus_id"]]
        place = lambda at: len(text[:at].encode())
        spans = [{"path": f"{answer['corpus_id']}.txt", "start": place(start), "end": place(end)}
                 for start, end in answer["spans"]]
        questions.append({"question": asked[answer["query_id"]], "expected": spans})
    return questions


def judged(data, to):
    """A document a passage, and questions that expect some of them."""
    for passage in lines(data / "corpus.jsonl"):
        (to / f"{passage['_id']}.txt").write_text(f"{passage['title']}\n\n{passage['text']}", newline="")
    expected = {}
    for line in (data / "qrels/test.tsv").read_text().splitlines()[1:]:
        query, passage, grade = line.split("\t")
        if int(grade) > 0:
            expected.setdefault(query, []).append({"path": f"{passage}.txt", "grade": int(grade)})
    return [{"question": query["text"], "expected": expected.get(query["_id"], [])}
            for query in lines(data / "queries.jsonl")]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--kithdb", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--size", type=int, action="append")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--only")
    args = parser.parse_args()
    work = args.out or pathlib.Path(tempfile.mkdtemp())
    sets = [("chunk_eval", chunk_eval, args.size or [200, 120]), ("clapnq", judged, [200])]
    for name, write, sizes in sets:
        if args.only and args.only != name:
            continue
        folder = work / name
        folder.mkdir(parents=True, exist_ok=True)
        questions = write(args.data / name, folder)
        (work / f"{name}.jsonl").write_text("\n".join(map(json.dumps, questions)) + "\n")
        for size in sizes:
            data = work / f"{name}-{size}.db"
            run = lambda *more: subprocess.run([args.kithdb, *more, "--data", data, "--json"], check=True,
                                               capture_output=True, text=True).stdout
            if not data.exists():
                report = json.loads(run("ingest", folder, "-c", name, "--chunk-size", str(size)))
                print(f"{name} {size}: {report['added']} documents, {report['chunks']} chunks, "
                      f"{report['elapsed_ms'] / 1e3:.1f} s", flush=True)
            for mode in ["keyword", "vector", "hybrid"]:
                html = work / f"{name}-{size}-{mode}.html"
                result = json.loads(run("eval", "-c", name, "--questions", work / f"{name}.jsonl", "--mode", mode,
                                        "--html", html))["runs"][0]
                mean = result["mean"]
                whole = sum(row["measures"]["context_recall"] > 0.9999 for row in result["rows"]) / len(result["rows"])
                print(f"{name} {size} {mode}: " + ", ".join(f"{key} {mean[key]:.4f}" for key in mean)
                      + f", whole {whole:.4f}", flush=True)


if __name__ == "__main__":
    main()
