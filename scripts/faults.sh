#!/usr/bin/env bash
# The long form of the tests that break things: docs/reliability.md has its results. One after the other, so that each
# has the cores. Losses of power need the right to mount, and are left out without it.
#
# KILLS, ROUNDS (deaths at each waypoint), DISKS, CUTS: how many of each; 0 leaves it out. SEED repeats a run as far as
# chance allows.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"

run() { # run TEST VARIABLE COUNT
    [ "$3" != 0 ] || return 0
    env "$2=$3" ${SEED:+KITHDB_CRASH_SEED="$SEED"} \
        cargo test --release --locked --workspace --test it -- --nocapture --exact "$1"
}

run crash::what_was_acknowledged_survives_a_kill_at_any_instant KITHDB_CRASH_CYCLES "${KILLS:-2000}"
run crash::what_was_acknowledged_survives_a_death_at_every_waypoint KITHDB_CRASH_ROUNDS "${ROUNDS:-10}"
run crash::disk::a_disk_that_fails_is_told_and_costs_nothing_that_was_acknowledged KITHDB_CRASH_DISKS "${DISKS:-500}"
if [ "$(id -u)" = 0 ] && [ -e /dev/loop-control ]; then
    run full::a_disk_that_fills_up_and_empties_needs_no_restart KITHDB_MOUNTS "${CUTS:-100}"
    run crash::power::what_was_synced_survives_a_loss_of_power KITHDB_POWER_CUTS "${CUTS:-100}"
fi
run sweep::damage_of_any_file_is_found_or_harmless_and_never_answered_with KITHDB_SWEEP_ALL 1
