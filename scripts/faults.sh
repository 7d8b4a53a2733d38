#!/usr/bin/env bash
# The long form of the tests that break things: docs/reliability.md has its results. The kinds come one after the other,
# so that each has the cores. Losses of power need the right to mount, and are left out without it.
#
# KILLS, ROUNDS (deaths at each waypoint), DISKS, CUTS, HISTORIES (of calls at once): how many of each; 0 leaves it out,
# and SWEEP=0 the damage of every block. SEED repeats a run as far as chance allows. JOBS runs so many processes of a kind
# at once, each with its share, a directory and a seed of its own: a kill waits for the disk most of the time. The first
# writes to the disk, the others to memory where there is /dev/shm: SIGKILL takes nothing from the system, so what a file
# system in memory is handed is as safe there, and more happens between two kills.
#
# The last lines are the rows of the table of results; what each process said is in the folder that is named.
set -euo pipefail
# Each process with its children is a group of its own, which can be ended.
set -m
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$kithdb_root"

logs="$(mktemp -d)"
work="$(mktemp -d)"
failed=0

# Nothing stays mounted, whatever ended the run: what is still in use goes when that does.
clean() {
    local pid mount
    for pid in $(jobs -p); do kill -- "-$pid" 2>/dev/null || true; done
    while read -r mount; do umount -l "$mount" || true; done \
        < <(awk -v below="$work/" 'index($2, below) == 1 { print $2 }' /proc/mounts 2>/dev/null)
    rm -rf "$work" "/dev/shm/${work##*/}"
}
trap clean EXIT
trap 'exit 130' INT TERM

has_memory() { # of a gibibyte
    [ -w /dev/shm ] && [ "$(df -k --output=avail /dev/shm | tail -n 1)" -gt $((1 << 20)) ]
}

run() { # run TEST VARIABLE COUNT JOBS
    local test="$1" variable="$2" count="$3" jobs="$4" job share place pids=()
    [ "$count" != 0 ] || return 0
    [ "$jobs" -le "$count" ] || jobs="$count"
    for ((job = 0; job < jobs; job++)); do
        share=$((count / jobs + (job < count % jobs)))
        place="$work"
        if [ "$job" -gt 0 ] && has_memory; then place="/dev/shm/${work##*/}"; fi
        mkdir -p "$place"
        env "$variable=$share" TMPDIR="$place" ${SEED:+KITHDB_CRASH_SEED="$((SEED + job))"} \
            cargo test --release --locked --workspace --test it -- --nocapture --exact "$test" \
            >"$logs/${test##*:}.$job" 2>&1 &
        pids+=($!)
    done
    for job in "${!pids[@]}"; do
        if ! wait "${pids[job]}"; then
            failed=1
            printf 'FAILED: %s, see %s\n' "$test" "$logs/${test##*:}.$job"
            tail -n 20 "$logs/${test##*:}.$job"
        fi
    done
}

# One process builds, and each of the others finds that done.
cargo test --release --locked --workspace --test it --no-run
jobs="${JOBS:-1}"
began="$SECONDS"
run crash::what_was_acknowledged_survives_a_kill_at_any_instant KITHDB_CRASH_CYCLES "${KILLS:-2000}" "$jobs"
run crash::what_was_acknowledged_survives_a_death_at_every_waypoint KITHDB_CRASH_ROUNDS "${ROUNDS:-10}" "$jobs"
run crash::disk::a_disk_that_fails_is_told_and_costs_nothing_that_was_acknowledged \
    KITHDB_CRASH_DISKS "${DISKS:-500}" "$jobs"
if [ "$(id -u)" = 0 ] && [ -e /dev/loop-control ]; then
    run full::a_disk_that_fills_up_and_empties_needs_no_restart KITHDB_MOUNTS "${CUTS:-100}" 1
    run crash::power::what_was_synced_survives_a_loss_of_power KITHDB_POWER_CUTS "${CUTS:-100}" 1
fi
run linear::each_point_behaves_as_if_calls_came_one_after_the_other KITHDB_LINEAR_HISTORIES "${HISTORIES:-200}" "$jobs"
run sweep::damage_of_any_file_is_found_or_harmless_and_never_answered_with KITHDB_SWEEP_ALL "${SWEEP:-1}" 1

printf '\n%d s with %d at once; all that was said: %s\n\n' "$((SECONDS - began))" "$jobs" "$logs"
echo '| what | count | acknowledged, none lost | copies equal to one commit | seeds |'
echo '|---|---|---|---|---|'
sed -n 's/^result: //p' "$logs"/* | awk -F ' [|] ' '
    { kills[$1] += $2; acknowledged[$1] += $3; copies[$1] += $4; seeds[$1] = seeds[$1] " " $5 }
    END {
        for (what in kills)
            printf "| %s | %d | %.0f | %d |%s |\n", what, kills[what], acknowledged[what], copies[what], seeds[what]
    }'
sed -n -e '/cuts under fsync/p' -e '/histories of/p' "$logs"/*
exit "$failed"
