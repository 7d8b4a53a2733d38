# Sourced by every recipe: where the things that scripts/setup.sh fetched or built once are found.

kithdb_cache="${XDG_CACHE_HOME:-$HOME/.cache}/kithdb"
kithdb_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export KITHDB_TARGET="${CARGO_TARGET_DIR:-$kithdb_root/target}"

# Cargo, where rustup put it, for shells that have not read its profile.
[ -d "$HOME/.cargo/bin" ] && PATH="$HOME/.cargo/bin:$PATH"

# RocksDB's C++, compiled once for all profiles and selections of packages. Cargo compiles it anew whenever the features
# of any crate below its build script change, and it takes about 15 minutes on 2 cores.
rocksdb_version="$(sed -n '/^name = "librocksdb-sys"/{n;s/^version = "\(.*\)"/\1/p}' "$kithdb_root/Cargo.lock")"
rocksdb_dir="$kithdb_cache/rocksdb-$rocksdb_version"
if [ -f "$rocksdb_dir/librocksdb.a" ]; then
    export ROCKSDB_LIB_DIR="$rocksdb_dir" ROCKSDB_STATIC=1
fi

# libclang from PyPI, where it could not be installed from the system's packages. It comes without clang's own headers:
# those of the C compiler serve.
if [ -f "$kithdb_cache/libclang/libclang.so" ]; then
    export LIBCLANG_PATH="$kithdb_cache/libclang"
    BINDGEN_EXTRA_CLANG_ARGS="-isystem $(cc -print-file-name=include)"
    export BINDGEN_EXTRA_CLANG_ARGS
fi

kithdb_model_dir="${KITHDB_MODEL:-${XDG_DATA_HOME:-$HOME/.local/share}/kithdb/models/all-MiniLM-L6-v2}"
