// 128-bit mixing for structural hashes: two 64-bit lanes, each a full-avalanche mix (the finalizer
// of splitmix64) keyed differently, so that the lanes fail independently. Not cryptographic.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace narfast {

struct Hash128 {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  auto operator<=>(const Hash128&) const = default;
};

/// Sums commute: the hash of a multiset is the sum of the mixed hashes of its members.
[[nodiscard]] constexpr Hash128 operator+(Hash128 a, Hash128 b) {
  return {a.high + b.high, a.low + b.low};
}

[[nodiscard]] constexpr std::uint64_t mix64(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Hash of the ordered pair (a, b).
[[nodiscard]] constexpr Hash128 combine(Hash128 a, Hash128 b) {
  return {mix64(mix64(a.high ^ 0x8a5cd789635d2dffu) + b.high),
          mix64(mix64(a.low ^ 0x121fd2155c472f96u) + 3 * b.low + 1)};
}

/// Hash of a word, for use as a label.
[[nodiscard]] constexpr Hash128 hash_word(std::uint64_t word) {
  return {mix64(word), mix64(word ^ 0xd6e8feb86659fd93u)};
}

struct Hash128Hasher {
  [[nodiscard]] std::size_t operator()(const Hash128& h) const {
    return static_cast<std::size_t>(h.low);
  }
};

}  // namespace narfast
