#!/usr/bin/env bash
# Gives a RocksDB that is kept checksums by SSE 4.2 and carry-less products where the processor has them: every byte of
# its log and of its blobs goes through them, at 27 GB/s instead of 1.2. RocksDB decides that when it is compiled, for
# processors that all have them. Here it is decided when it runs, so one library serves every processor, and its bytes
# are the same. Elsewhere than on x86-64 Linux nothing is changed.
#
#   scripts/crc32c.sh LIBRARY SOURCES    librocksdb.a, and the folder `rocksdb` of the crate librocksdb-sys
set -euo pipefail

[ "$(uname -sm)" = 'Linux x86_64' ] || exit 0
library="$(realpath "$1")" sources="$(realpath "$2")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

# rocksdb::crc32c::Extend(unsigned int, char const*, unsigned long)
extend=_ZN7rocksdb6crc32c6ExtendEjPKcm
plain="$(ar t "$library" | grep -- '-crc32c\.o$')"
ar x "$library" "$plain"
nm "$plain" | grep -q " T $extend\$"
objcopy --redefine-sym "$extend=kithdb_crc32c_plain" "$plain"

flags=(-O3 -std=c++20 -fPIC -DNDEBUG -DOS_LINUX -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX)
flags_fast=("${flags[@]}" -msse4.2 -mpclmul -I"$sources" -I"$sources/include")
c++ "${flags_fast[@]}" -c "$sources/util/crc32c.cc" -o kithdb-crc32c-fast.o
# Nothing else of it may be found by anybody: it is code that an old processor does not have.
objcopy --redefine-sym "$extend=kithdb_crc32c_fast" --keep-global-symbol=kithdb_crc32c_fast kithdb-crc32c-fast.o

cat >choice.cc <<'CC'
#include <cstddef>
#include <cstdint>

extern "C" uint32_t kithdb_crc32c_plain(uint32_t crc, const char* bytes, size_t count);
extern "C" uint32_t kithdb_crc32c_fast(uint32_t crc, const char* bytes, size_t count);

static bool has_both() {
  // Others may ask before the constructors have run that would do it.
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
}

namespace rocksdb {
namespace crc32c {

uint32_t Extend(uint32_t crc, const char* bytes, size_t count) {
  static const bool is_fast = has_both();
  return is_fast ? kithdb_crc32c_fast(crc, bytes, count) : kithdb_crc32c_plain(crc, bytes, count);
}

}  // namespace crc32c
}  // namespace rocksdb
CC
c++ "${flags[@]}" -c choice.cc -o kithdb-crc32c-choice.o

# Before anything is stored with them: the value that the definition gives, and one answer whatever the length.
cat >check.cc <<'CC'
#include <cstddef>
#include <cstdint>
#include <vector>

extern "C" uint32_t kithdb_crc32c_plain(uint32_t crc, const char* bytes, size_t count);

namespace rocksdb {
namespace crc32c {
uint32_t Extend(uint32_t crc, const char* bytes, size_t count);
}
}  // namespace rocksdb

int main() {
  if (rocksdb::crc32c::Extend(0, "123456789", 9) != 0xe3069283) return 1;
  std::vector<char> bytes(70'000);
  uint32_t next = 1;
  for (char& byte : bytes) byte = static_cast<char>((next = next * 1664525 + 1013904223) >> 24);
  for (size_t count = 0; count < bytes.size(); count += count < 4'500 ? 1 : 997) {
    for (size_t start : {0, 1, 5}) {
      if (start + count > bytes.size()) continue;
      const char* from = bytes.data() + start;
      if (rocksdb::crc32c::Extend(next, from, count) != kithdb_crc32c_plain(next, from, count)) return 2;
    }
  }
}
CC
c++ "${flags[@]}" check.cc kithdb-crc32c-choice.o kithdb-crc32c-fast.o "$plain" -o check
./check
ar rs "$library" "$plain" kithdb-crc32c-fast.o kithdb-crc32c-choice.o 2>/dev/null
