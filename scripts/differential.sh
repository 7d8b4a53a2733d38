#!/usr/bin/env bash
# Random filters and writes, given to a server of this build and to Qdrant's own engine; fails where they differ.
#   scripts/differential.sh [filters and writes]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
venv="$kithdb_cache/differential"

if ! "$venv/bin/python" -c 'import qdrant_edge' 2>/dev/null; then
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install --quiet qdrant-edge-py==0.9.0; }; then
        echo 'skipped: the engine to compare with (qdrant-edge-py, from PyPI) cannot be installed here'
        exit 0
    fi
fi
for asked in filters writes; do
    "$venv/bin/python" "$kithdb_root/tests/differential/$asked.py" --binary "$KITHDB_TARGET/release/kithdb" --count "${1:-2000}"
done
