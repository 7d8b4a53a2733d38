#!/usr/bin/env bash
# What only time, little memory and many collections show of a server of this build: docs/reliability.md has the results.
#
# MINUTES of mixed load (30), TENANTS (10000), MEMORY_MIB (512) and TIMES (5), the size of the collection beside it; 0
# leaves one out. FOLDER is where the databases are made; one takes some gigabytes. Run as root, the memory is limited by
# a control group as well.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$kithdb_root"

kithdb="$KITHDB_TARGET/release/kithdb"
folder=(${FOLDER:+--folder "$FOLDER"})
failed=0

run() { # run AMOUNT SCRIPT OPTIONS...
    [ "$1" != 0 ] || return 0
    shift
    echo
    python3 "tests/faults/$1" "$kithdb" "${@:2}" "${folder[@]}" || failed=1
}

run "${TENANTS:-10000}" tenants.py --tenants "${TENANTS:-10000}"
run "${MEMORY_MIB:-512}" memory.py --limit-mib "${MEMORY_MIB:-512}" --times "${TIMES:-5}"
run "${MINUTES:-30}" load.py --minutes "${MINUTES:-30}"
exit "$failed"
