"""Every citation of every answer, held against the stored sources by nothing but their bytes.

Usage: citations.py URL [FOLDER [QUESTIONS]]. Knows nothing of the server but its HTTP: answers are asked for (whole, in
quotes, streamed, as responses), sources are read as they are stored, and what is said of them is computed anew. Without FOLDER
the documents are a few difficult ones; with it they are corpus.jsonl and queries.jsonl in the layout of BEIR, of which QUESTIONS
(all) are asked. They are put into a collection `citations`, which is removed in the end. With a serving engine behind the server
answers are generated. Ends with an error if one citation of all is not valid, or if there is none.
"""

import copy
import hashlib
import json
import pathlib
import re
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

base = sys.argv[1].rstrip("/")
NAME = "citations"
AT = f"/api/v1/collections/{NAME}"

TOWER = "towers/eiffel.md"

# Letters of two, three and four bytes, marks that combine, lines that end in two characters, markers that are text.
DOCUMENTS = {
    TOWER: "# Eiffel tower\n\nThe Eiffel tower stands in Paris. It was built in 1889. It is 330 metres high.\n",
    "brücke.txt": "Die Brücke über den Rhein ist 400 Meter lang. Eine zweite gibt es nicht.\r\n\r\nSie ist grün.\r\n",
    "emoji.md": "# Rockets \U0001f680\n\nThe rocket \U0001f1e9\U0001f1ea was launched in 2021. Its cafe\u0301 sells \u65e5\u672c\u8a9e.\n",
    "markers.md": "# Markers\n\nThe first footnote [1] of the treaty names Lisbon. The second footnote [2] names Madrid.\n",
    "table.csv": "city,river,bridges\nCologne,Rhine,7\nVienna,Danube,11\n",
    "keys.py": 'def rotate(days=30):\n    """Rotates every key of the vault after so many days."""\n    return days\n',
}
QUESTIONS = [
    "Where does the Eiffel tower stand, and how high is it?",
    "Wie lang ist die Brücke über den Rhein?",
    "When was the rocket launched?",
    "Which city does the first footnote of the treaty name?",
    "How many bridges has Vienna over the Danube?",
    "How are the keys of the vault rotated?",
]


def send(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(base + path, data, {"content-type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=600) as answer:
        return answer.read().decode()


def ask(method, path, body=None):
    return json.loads(send(method, path, body))


def opened(url):
    """The bytes at the address of a citation; None if it is refused."""
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.load(answer)["result"]["text"]
    except urllib.error.HTTPError as error:
        if error.code in (400, 412):
            return None
        raise


def stored(source):
    """The text of a source as it is stored now."""
    return ask("GET", f"{AT}/sources/{urllib.parse.quote(source, safe='')}")["result"]["text"]


def faults(answer, read=stored):
    """What is wrong with the citations of an answer: its text, its annotations by place, and what it says it rests on."""
    text, places, rag = answer
    found = []

    def hold(is_right, what):
        if not is_right:
            found.append(what)

    citations = rag["citations"]
    hold(len(places) == len(citations), f"{len(places)} annotations of {len(citations)} citations")
    for at, one in enumerate(citations):
        about = f"citation {at}: "
        source = read(one["source"]).encode()
        hold(hashlib.sha256(source).hexdigest() == one["hash"], about + "the source has another hash")
        start, end = one["start"], one["end"]
        hold(0 <= start < end <= len(source), about + f"{start}..{end} is no place in {len(source)} bytes")
        hold(source[start:end] == one["quote"].encode(), about + "the quote is not what stands there")
        marker = text[one["start_index"] : one["end_index"]]
        hold(marker == f"[{one['number']}]", about + f"the marker is {marker!r}")
        claim = text[one["claim"]["start_index"] : one["claim"]["end_index"]]
        hold(claim.strip() and one["claim"]["end_index"] < one["start_index"], about + "there is no claim before it")
        if rag["outcome"] == "extractive":
            hold(claim == one["quote"], about + "a quote is not word for word")
        document = next((known for known in rag["documents"] if known["number"] == one["number"]), None)
        hold(document is not None, about + "no document has its number")
        if document is not None:
            same = all(document[key] == one[key] for key in ("source", "hash", "path"))
            hold(same, about + "its document is another one")
            hold(document["start"] <= start and end <= document["end"], about + "it is outside of what was read")
        if at < len(places):
            index, url = places[at]
            hold(index == one["start_index"], about + f"the annotation stands at {index}")
            hold(url is None or opened(url) == one["quote"], about + "its address opens something else")
    if rag["outcome"] == "generated":
        body = text.split("\n\nSources:")[0]
        known = {one["start_index"] for one in citations}
        loose = [match.start() for match in re.finditer(r"(?<= )\[\d+\]", body) if match.start() not in known]
        hold(not loose, f"markers at {loose} that nothing proves")
    hold(rag["outcome"] != "nothing_found" or not citations, "nothing was found, and it is cited")
    return found


def of_chat(annotations):
    return [(one["url_citation"]["start_index"], address(one["url_citation"]["url"])) for one in annotations]


def address(url):
    """Of this server; a document may have one of its own, which is nobody's proof."""
    return url if f"{AT}/sources/" in url else None


def chat(question, **more):
    return {"model": f"rag:{NAME}", "messages": [{"role": "user", "content": question}], "temperature": 0, **more}


def whole(question, **more):
    made = ask("POST", "/v1/chat/completions", chat(question, **more))
    message = made["choices"][0]["message"]
    return message["content"], of_chat(message["annotations"]), made["rag"]


def quoted(question):
    return whole(question, rag={"extractive": True})


def streamed(question):
    told = send("POST", "/v1/chat/completions", chat(question, stream=True))
    events = [line[6:] for line in told.split("\n") if line.startswith("data: ")]
    pieces = [json.loads(event) for event in events if event != "[DONE]"]
    deltas = [piece["choices"][0]["delta"] for piece in pieces if piece["choices"]]
    text = "".join(delta.get("content") or "" for delta in deltas)
    annotations = [one for delta in deltas for one in delta.get("annotations", [])]
    return text, of_chat(annotations), next(piece["rag"] for piece in reversed(pieces) if "rag" in piece)


def response(question):
    tools = [{"type": "file_search", "vector_store_ids": [NAME]}]
    body = {"model": "any", "input": question, "tools": tools, "temperature": 0, "store": False}
    made = ask("POST", "/v1/responses", body)
    content = made["output"][1]["content"][0]
    return content["text"], [(one["index"], None) for one in content["annotations"]], made["rag"]


def ingest(documents):
    documents = [{"path": path, "text": text} for path, text in documents.items()]
    for first in range(0, len(documents), 200):
        job = ask("POST", f"{AT}/documents?wait=true", {"documents": documents[first : first + 200]})["result"]
        while job["state"] == "running":
            time.sleep(0.1)
            job = ask("GET", f"/api/v1/jobs/{job['id']}")["result"]
        if job["state"] != "done":
            raise SystemExit(f"the documents could not be ingested: {job}")


def spoilt(answer):
    """The answer with one thing of its first citation made wrong, again and again."""

    def change(key, value):
        text, places, rag = copy.deepcopy(answer)
        rag["citations"][0][key] = value
        return text, places, rag

    first = answer[2]["citations"][0]
    yield "hash", change("hash", "0" * 64)
    yield "start", change("start", first["start"] + 1)
    yield "end", change("end", first["end"] - 1)
    yield "quote", change("quote", first["quote"] + "!")
    yield "number", change("number", first["number"] + 1)
    yield "marker", change("start_index", first["start_index"] - 1)
    yield "claim", change("claim", {"start_index": 0, "end_index": 0})
    yield "annotations", (answer[0], answer[1][1:], answer[2])


def check(questions):
    answers = citations = wrong = 0
    is_proven = False
    for question in questions:
        for way in (whole, quoted, streamed, response):
            answer = way(question)
            answers += 1
            citations += len(answer[2]["citations"])
            for fault in faults(answer):
                wrong += 1
                print(f"{way.__name__}: {question!r}: {fault}")
            if answer[2]["citations"] and not is_proven:
                # Who finds nothing wrong with anything has checked nothing.
                for what, spoiled in spoilt(answer):
                    if not faults(spoiled):
                        raise SystemExit(f"a wrong {what} of a citation is not noticed")
                is_proven = True
    print(f"{answers} answers, {citations} citations, {wrong} faults")
    if wrong or not citations:
        raise SystemExit("a citation is not valid" if wrong else "nothing was cited")


def check_change():
    """A document that changes: what was cited is refused from then on, and what is cited is of the new one."""
    _, places, rag = quoted(QUESTIONS[0])
    one = next(one for one in rag["citations"] if one["path"] == TOWER)
    url = next(url for index, url in places if index == one["start_index"])
    ingest({TOWER: DOCUMENTS[TOWER].replace("Paris", "the middle of Paris")})
    if opened(url) is not None:
        raise SystemExit("a citation of a document that has changed is still opened")
    again = quoted(QUESTIONS[0])
    if faults(again) or any(new["hash"] == one["hash"] for new in again[2]["citations"]):
        raise SystemExit("what has changed is cited as it was")


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def main():
    if len(sys.argv) > 2:
        folder = pathlib.Path(sys.argv[2])
        documents = {
            f"{document['_id']}.md": f"# {document['title']}\n\n{document['text']}\n"
            for document in lines(folder / "corpus.jsonl")
        }
        questions = [query["text"] for query in lines(folder / "queries.jsonl")]
        questions = questions[: int(sys.argv[3])] if len(sys.argv) > 3 else questions
    else:
        documents, questions = DOCUMENTS, QUESTIONS
    ingest(documents)
    try:
        check(questions)
        if documents is DOCUMENTS:
            check_change()
    finally:
        for name in (NAME, f"{NAME}.sources", f"{NAME}.jobs", f"{NAME}.feedback"):
            try:
                send("DELETE", f"/collections/{name}")
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise
    print("every citation is valid")


main()
