#!/usr/bin/env bash
# The Python package: a wheel, and its tests against the wheel, in an environment of its own below the cache.
#   scripts/python.sh [file...]     all tests without arguments
#
# The wheel is built in the target directory of everything else: maturin takes what `cargo build --workspace` compiled,
# but for the crates that bind Python, whose settings it makes itself (about half a minute). Where the environment cannot
# be installed there is nothing to test with; that is said, and no failure.
#
# With KITHDB_PROFILE=wheel it is the wheel that is published: every crate is compiled anew. It ends with an error, after the
# tests, where the wheel is larger than it may be; benches/RESULTS.md says by how much it is.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
home="$kithdb_cache/python"
needs="$kithdb_root/python/requirements.txt"
wheels="$KITHDB_TARGET/wheels"
profile="${KITHDB_PROFILE:-release}"
wheel_bytes_max=20000000

install() {
    cmp --silent "$needs" "$home/installed" && return
    rm -rf "$home"
    python3 -m venv "$home" && "$home/bin/pip" install --quiet --disable-pip-version-check -r "$needs" &&
        cp "$needs" "$home/installed"
}

if ! install; then
    echo 'python: skipped: its environment cannot be installed here'
    exit 0
fi
cd "$kithdb_root/python"
rm -rf "$wheels"
VIRTUAL_ENV="$home" CARGO_TARGET_DIR="$KITHDB_TARGET" "$home/bin/maturin" build --quiet --profile "$profile" --locked \
    --compression-level 9 --out "$wheels"
"$home/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps "$wheels"/*.whl
ls -l "$wheels" | awk 'NR > 1 { printf "%s: %.1f MB\n", $NF, $5 / 1e6 }'
tests=("${@:-tests}")
tests=("${tests[@]/#/$kithdb_root/python/}")
# From another folder: in this one `import kithdb` would find the sources, without the extension module.
cd "$wheels"
"$home/bin/pytest" --quiet -c "$kithdb_root/python/pyproject.toml" "${tests[@]}"
if [ "$profile" = wheel ] && [ "$(stat -c %s "$wheels"/*.whl)" -ge "$wheel_bytes_max" ]; then
    echo "python: a wheel that is published has less than $wheel_bytes_max bytes" >&2
    exit 1
fi
