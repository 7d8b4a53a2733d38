#!/usr/bin/env bash
# The main job on real documents: ingest, serve, ask. `make demo`, or `make demo DIR=/some/folder`.
#
# Without DIR the documents are those of the project's own dependencies (READMEs, changelogs, docs in cargo's registry
# folder), the direct ones first, as many as can be ingested in two minutes. `MORE=1` goes on where the last run ended.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$kithdb_root"

dir="${1:-}"
seconds="${KITHDB_DEMO_SECONDS:-120}"
port="${KITHDB_DEMO_PORT:-6333}"
kithdb="$KITHDB_TARGET/release/kithdb"
demo="${KITHDB_DEMO_DIR:-$KITHDB_TARGET/demo}"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# Copies the documents of each crate on standard input ("name version") to $1/<name>/.
gather() {
    local to="$1" name version from
    while read -r name version; do
        from="$(compgen -G "${CARGO_HOME:-$HOME/.cargo}/registry/src/*/$name-$version" | head -n 1)" || continue
        [ -d "$to/$name" ] && continue
        mkdir -p "$to/$name"
        find "$from" -maxdepth 3 -type f -size -48k \
            \( -iname '*.md' -o -iname '*.txt' -o -iname '*.rst' -o -iname 'readme*' -o -iname 'changelog*' \) \
            -not -ipath '*/tests/*' -not -ipath '*/target/*' -not -iname 'license*' -not -iname '*cmake*' \
            -exec cp -n {} "$to/$name/" \;
        rmdir --ignore-fail-on-non-empty "$to/$name"
    done
}

crates() { # options of cargo tree
    cargo tree --locked --workspace --edges normal --prefix none "$@" 2>/dev/null |
        awk '$2 ~ /^v/ && ($3 == "" || $3 == "(*)" || $3 == "(proc-macro)") {print $1, substr($2, 2)}' | sort -u
}

gather_documents() {
    [ -f "$demo/documents/done" ] && return
    say "Gathering the documents of this project's dependencies"
    rm -rf "$demo/documents"
    mkdir -p "$demo/documents/direct" "$demo/documents/others"
    crates --depth 1 --no-dedupe | gather "$demo/documents/direct"
    crates | while read -r name version; do
        [ -d "$demo/documents/direct/$name" ] || printf '%s %s\n' "$name" "$version"
    done | gather "$demo/documents/others"
    find "$demo/documents" -type f | wc -l | xargs printf '%s documents\n'
    touch "$demo/documents/done"
}

ingest() { # folder seconds
    [ "$2" -gt 0 ] || return 0
    "$kithdb" ingest "$1" --data "$data" --collection documents --folder-field crate --time-limit-s "$2"
}

ingest_dependencies() {
    local began=$SECONDS
    gather_documents
    if [ -f "$data/ingested" ] && [ -z "${MORE:-}" ]; then
        say "Already ingested; MORE=1 goes on where the last run ended"
        return
    fi
    say "Ingesting for at most $seconds seconds, the direct dependencies first (embedding is the slow part)"
    ingest "$demo/documents/direct" "$seconds"
    ingest "$demo/documents/others" $((seconds - (SECONDS - began)))
    touch "$data/ingested"
}

serve() {
    say "Starting the server"
    "$kithdb" serve --data "$data" --listen "127.0.0.1:$port" >"$demo/server.log" 2>&1 &
    server=$!
    trap 'kill $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
    for _ in $(seq 300); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
        kill -0 $server 2>/dev/null || break
        sleep 0.1
    done
    cat "$demo/server.log" >&2
    exit 1
}

ask() { # mode, question, further options
    local mode="$1" question="$2"
    shift 2
    say "$question   [$mode${*:+, $*}]"
    "$kithdb" search "$question" --url "$url" --collection documents --mode "$mode" --limit 3 "$@"
}

ask_about_dependencies() {
    ask keyword "minimum supported Rust version"
    ask vector "sharing a value that many threads read and that is rarely replaced"
    ask hybrid "Which lock should readers use when writes are rare?"
    ask hybrid "How do I limit the size of a request body?"
    ask hybrid "How do I share state between handlers?" --filter crate=axum
}

url="http://127.0.0.1:$port"
mkdir -p "$demo"
if [ -n "$dir" ]; then
    data="$demo/data-of-$(basename "$dir")"
    say "Ingesting $dir"
    "$kithdb" ingest "$dir" --data "$data" --collection documents
    serve
else
    data="$demo/data"
    mkdir -p "$data"
    ingest_dependencies
    serve
    ask_about_dependencies
fi

answer() { # question
    say "$1   [answered]"
    "$kithdb" ask "$1" --url "$url" --collection documents
}

[ -n "$dir" ] || answer "What is the minimum supported Rust version of tokio?"

say "Yours to go on with"
cat <<TXT
  $kithdb serve --data $data
  $kithdb search "your question" --data $data
  $kithdb ask "your question" --data $data
  curl -s $url/collections/documents       (while it serves)

So answers are made of quotes. For ones that a model writes, name a serving engine (vLLM, llama.cpp, Ollama, …):
  $kithdb serve --data $data --engine-url http://127.0.0.1:8080/v1
TXT
