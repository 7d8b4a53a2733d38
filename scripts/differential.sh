#!/usr/bin/env bash
# Random questions, asked of a server of this build and of Qdrant's own engine; fails where the answers differ.
#   scripts/differential.sh [questions of each kind]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
venv="$kithdb_cache/differential"
count="${1:-2000}"

if ! "$venv/bin/python" -c 'import qdrant_client, qdrant_edge' 2>/dev/null; then
    wanted=(qdrant-edge-py==0.9.0 qdrant-client==1.20.0)
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet "${wanted[@]}"; }; then
        echo "skipped: the engine to compare with (${wanted[*]}, from PyPI) cannot be installed here"
        exit 0
    fi
fi

differ=()
for kind in filters scores fusion formula facets order writes; do
    echo "$kind:"
    "$venv/bin/python" "$kithdb_root/tests/differential/$kind.py" \
        --binary "$KITHDB_TARGET/release/kithdb" --count "$count" || differ+=("$kind")
done
if [ "${#differ[@]}" -gt 0 ]; then
    echo "answers differ: ${differ[*]}"
    exit 1
fi
