"""The SDK of OpenAI, with strict validation of every answer, through every operation of its dialect here.

Usage: openai_sdk.py URL [ENGINE]. ENGINE says whether a serving engine is behind the server; without it answers are quotes.
"""

import base64
import io
import struct
import sys
import urllib.parse
import urllib.request
import json

import openai

base, has_engine = sys.argv[1], len(sys.argv) > 2
client = openai.OpenAI(
    base_url=f"{base}/v1", api_key="none", max_retries=0, timeout=300, _strict_response_validation=True
)
# Asks for base64 by itself, and checks it as a list of numbers before it decodes it: nobody's answer passes that strictly.
lenient = openai.OpenAI(base_url=f"{base}/v1", api_key="none", max_retries=0, timeout=300)
passed = 0

TOWER = b"# Eiffel tower\n\nThe Eiffel tower stands in Paris. It was built in 1889. It is 330 metres high.\n"
NOTE = b"One more note."
BRIDGE = b"The Golden Gate bridge of San Francisco was opened in 1937. Its colour is orange.\n"


def check(what, holds=True):
    global passed
    if not holds:
        raise SystemExit(f"failed: {what}")
    passed += 1


def refused(kind, call):
    try:
        call()
    except kind as error:
        return check(f"{kind.__name__}", bool(error.message))
    check(f"{kind.__name__} was not raised", False)


def files():
    file = client.files.create(file=("tower.md", io.BytesIO(TOWER)), purpose="assistants")
    check("create", file.filename == "tower.md" and file.bytes == len(TOWER))
    check("retrieve", client.files.retrieve(file.id) == file)
    check("content", client.files.content(file.id).read() == TOWER)
    check("list", file.id in [one.id for one in client.files.list(purpose="assistants")])
    check("processed", client.files.wait_for_processing(file.id).status == "processed")
    other = client.files.create(file=("x.txt", io.BytesIO(b"x y z")), purpose="user_data")
    check("pages", len(list(client.files.list(limit=1))) >= 2)
    check("delete", client.files.delete(other.id).deleted)
    refused(openai.NotFoundError, lambda: client.files.retrieve(other.id))
    made = [client.files.create(file=(f"{at}.txt", io.BytesIO(b"x")), purpose="user_data").id for at in range(5)]
    listed = [one.id for one in client.files.list(purpose="user_data", order="asc") if one.id in made]
    check("in the order in which they were made", listed == made)
    for one in client.files.list(purpose="user_data", limit=2):
        client.files.delete(one.id)
    check("deleted while they were listed", not list(client.files.list(purpose="user_data")))
    refused(openai.BadRequestError, lambda: client.files.create(file=("a", io.BytesIO(b"x")), purpose="nothing"))
    return file


def stores(file):
    store = client.vector_stores.create(
        name="things", metadata={"team": "a"}, expires_after={"anchor": "last_active_at", "days": 7}
    )
    check("create", store.name == "things" and store.file_counts.total == 0 and store.expires_at)
    check("retrieve", client.vector_stores.retrieve(store.id).id == store.id)
    changed = client.vector_stores.update(store.id, name="others", metadata={"team": "b"})
    check("update", changed.name == "others" and changed.metadata == {"team": "b"} and changed.expires_after)
    check("list", store.id in [one.id for one in client.vector_stores.list()])
    refused(openai.BadRequestError, lambda: client.vector_stores.update(store.id, metadata={"team": 1}))
    member = client.vector_stores.files.create_and_poll(
        file.id, vector_store_id=store.id, attributes={"kind": "tower", "year": 1889, "open": True}
    )
    check("file", member.status == "completed" and member.attributes["year"] == 1889)
    static = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}}
    bridge = client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("bridge.txt", io.BytesIO(BRIDGE)), chunking_strategy=static
    )
    check("static chunking", bridge.chunking_strategy.static.chunk_overlap_tokens == 50)
    check("retrieve file", client.vector_stores.files.retrieve(bridge.id, vector_store_id=store.id) == bridge)
    updated = client.vector_stores.files.update(bridge.id, vector_store_id=store.id, attributes={"kind": "bridge"})
    check("attributes", updated.attributes == {"kind": "bridge"})
    check("list files", len(list(client.vector_stores.files.list(store.id, filter="completed", order="asc"))) == 2)
    content = list(client.vector_stores.files.content(bridge.id, vector_store_id=store.id))
    check("content", content[0].text == BRIDGE.decode())
    return store, bridge


def search(store):
    def names(query="How high is it in metres?", **more):
        found = client.vector_stores.search(store.id, query=query, **more)
        check("scores", all(0 <= hit.score <= 1 and hit.content[0].text for hit in found.data))
        return [hit.filename for hit in found.data]

    def leaf(kind, key, value):
        return {"type": kind, "key": key, "value": value}

    check("search", names()[0] == "tower.md")
    check("several questions", set(names(["the Eiffel tower", "the colour of the bridge"])) == {"tower.md", "bridge.txt"})
    check("eq", names("the colour of the bridge", filters=leaf("eq", "kind", "bridge")) == ["bridge.txt"])
    check("and", names(filters={"type": "and", "filters": [leaf("eq", "kind", "tower"), leaf("gte", "year", 1889)]}) == ["tower.md"])
    check("in", names(filters=leaf("in", "kind", ["tower"])) == ["tower.md"])
    check("weights", names(ranking_options={"ranker": "auto", "score_threshold": 0.0}, max_num_results=1) == ["tower.md"])
    refused(openai.BadRequestError, lambda: names(filters=leaf("gt", "kind", "x")))
    refused(openai.BadRequestError, lambda: names(max_num_results=51))


def batches(store):
    made = [client.files.create(file=(f"{at}.txt", io.BytesIO(b"Note %d." % at)), purpose="assistants") for at in range(3)]
    batch = client.vector_stores.file_batches.create_and_poll(store.id, file_ids=[file.id for file in made])
    check("batch", batch.status == "completed" and batch.file_counts.completed == 3)
    check("retrieve", client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store.id) == batch)
    listed = client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id, limit=2)
    check("list", len(list(listed)) == 3)
    check("cancel", client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store.id).id == batch.id)
    uploaded = client.vector_stores.file_batches.upload_and_poll(store.id, files=[("u.txt", io.BytesIO(NOTE))])
    check("upload", uploaded.file_counts.total == 1)
    for file in made:
        check("remove", client.vector_stores.files.delete(file.id, vector_store_id=store.id).deleted)


def models(store):
    ids = [model.id for model in client.models.list()]
    check("list", f"rag:{store.id}" in ids)
    check("retrieve", client.models.retrieve(f"rag:{store.id}").id == f"rag:{store.id}")
    refused(openai.NotFoundError, lambda: client.models.retrieve("none"))
    return next((model for model in ids if not model.startswith("rag:")), None)


def embeddings(model):
    if model is None:
        return refused(openai.NotFoundError, lambda: client.embeddings.create(model="any", input="x"))
    made = lenient.embeddings.create(model=model, input=["a tower", "a bridge"])
    check("default", len(made.data) == 2 and made.usage.prompt_tokens > 0)
    floats = client.embeddings.create(model=model, input="a tower", encoding_format="float").data[0].embedding
    check("the same", all(abs(a - b) < 1e-6 for a, b in zip(made.data[0].embedding, floats)))
    packed = lenient.embeddings.create(model=model, input="a tower", encoding_format="base64").data[0].embedding
    numbers = struct.unpack(f"<{len(floats)}f", base64.b64decode(packed))
    check("base64", all(abs(a - b) < 1e-6 for a, b in zip(numbers, floats)))
    refused(openai.BadRequestError, lambda: client.embeddings.create(model=model, input=[[1, 2, 3]]))
    refused(openai.BadRequestError, lambda: client.embeddings.create(model=model, input="x", dimensions=3))


def opened(url):
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["result"]["text"]


def chat(store):
    ask = {"model": f"rag:{store.id}", "messages": [{"role": "user", "content": "Where does the Eiffel tower stand?"}]}
    whole = client.chat.completions.create(**ask, temperature=0, max_tokens=40)
    message = whole.choices[0].message
    check("text", message.content and whole.usage.total_tokens >= 0)
    for annotation in message.annotations:
        cited = annotation.url_citation
        check("marker", message.content[cited.start_index : cited.end_index].startswith("["))
        check("proof", opened(cited.url) in (TOWER + BRIDGE + NOTE).decode())
    if not has_engine:
        check("quotes", len(message.annotations) > 0)
    chunks = list(client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True}, temperature=0, max_tokens=40))
    check("stream", "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
    check("usage", chunks[-1].usage is not None and not chunks[-1].choices)
    none = client.chat.completions.create(
        model=ask["model"], messages=[{"role": "user", "content": "Which mushrooms grow in Siberian forests?"}],
        extra_body={"rag": {"min_similarity": 0.9, "min_coverage": 0.9}},
    )
    check("nothing", "nothing" in none.choices[0].message.content and none.usage.total_tokens == 0)
    refused(openai.NotFoundError, lambda: client.chat.completions.create(model="rag:none", messages=ask["messages"]))
    refused(openai.BadRequestError, lambda: client.chat.completions.create(**ask, extra_body={"rag": {"label": []}}))
    # A model may not come to an end in so many tokens, which this part of the SDK takes for an error.
    if not has_engine:
        with client.chat.completions.stream(**ask) as stream:
            check("events", stream.get_final_completion().choices[0].message.content)


def responses(store, member):
    ask = {
        "model": "any", "input": "What is the colour of the Golden Gate bridge?", "max_output_tokens": 40,
        "tools": [{
            "type": "file_search", "vector_store_ids": [store.id], "max_num_results": 4,
            "filters": {"type": "in", "key": "kind", "value": ["bridge"]},
        }],
        "include": ["file_search_call.results"],
    }
    made = client.responses.create(**ask)
    check("search", made.output[0].type == "file_search_call" and made.output[0].results)
    check("filters", made.tools[0].filters.key == "kind")
    check("text", made.output_text and made.status in ("completed", "incomplete"))
    for annotation in made.output[1].content[0].annotations:
        check("citation", annotation.type == "file_citation" and made.output_text[annotation.index] == "[")
    if not has_engine:
        check("file", member.id in [one.file_id for one in made.output[1].content[0].annotations])
    check("retrieve", client.responses.retrieve(made.id).output_text == made.output_text)
    check("input", client.responses.input_items.list(made.id).data[0].content[0].text == ask["input"])
    events = list(client.responses.create(**ask, stream=True))
    kinds = [event.type for event in events]
    found = next(event.item for event in events if event.type == "response.output_item.done")
    check("found", found.type == "file_search_call" and found.results and found.results[0].attributes)
    check("events", kinds[0] == "response.created" and kinds[-1] in ("response.completed", "response.incomplete"))
    check("deltas", "response.output_text.delta" in kinds and "response.file_search_call.searching" in kinds)
    if not has_engine:
        with client.responses.stream(**ask) as stream:
            check("final", stream.get_final_response().output_text)
    check("next", client.responses.create(**{**ask, "input": "And when was it opened?"}, previous_response_id=made.id).output_text)
    refused(openai.BadRequestError, lambda: client.responses.cancel(made.id))
    check("delete", client.responses.delete(made.id) is None)
    refused(openai.NotFoundError, lambda: client.responses.retrieve(made.id))
    refused(openai.BadRequestError, lambda: client.responses.create(model="any", input="x", tools=[{"type": "web_search"}]))


file = files()
store, bridge = stores(file)
search(store)
batches(store)
embeddings(models(store))
chat(store)
responses(store, bridge)
check("remove", client.vector_stores.files.delete(bridge.id, vector_store_id=store.id).deleted)
check("delete", client.files.delete(file.id).deleted)
check("deleted in every store", file.id not in [one.id for one in client.vector_stores.files.list(store.id)])
refused(openai.NotFoundError, lambda: client.vector_stores.files.retrieve(file.id, vector_store_id=store.id))
check("drop", client.vector_stores.delete(store.id).deleted)
refused(openai.NotFoundError, lambda: client.vector_stores.retrieve(store.id))
for one in client.files.list():
    client.files.delete(one.id)
print(f"{passed} checks", file=sys.stderr)
print("every operation answers as the SDK expects")
