// Hashes that must never change: names of files and the order of data sets depend on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>

namespace crosstate {

/// FNV-1a (Fowler, Noll, Vo) of 32 or 64 bits.
template <class Word>
class Fnv1a {
  static_assert(std::is_same_v<Word, std::uint32_t> || std::is_same_v<Word, std::uint64_t>);

 public:
  void add(const void* bytes, std::size_t count) {
    const auto* at = static_cast<const unsigned char*>(bytes);
    for (std::size_t i = 0; i < count; ++i) value_ = (value_ ^ at[i]) * kPrime;
  }
  void add(std::string_view text) { add(text.data(), text.size()); }

  Word value() const { return value_; }
  /// All hexadecimal digits, in lower case.
  std::string text() const {
    char digits[2 * sizeof(Word) + 1];
    std::snprintf(digits, sizeof digits, "%0*llx", static_cast<int>(2 * sizeof(Word)),
                  static_cast<unsigned long long>(value_));
    return digits;
  }

 private:
  static constexpr bool kWide = sizeof(Word) == 8;
  static constexpr Word kPrime = static_cast<Word>(kWide ? 0x100000001b3u : 0x01000193u);
  Word value_ = static_cast<Word>(kWide ? 0xcbf29ce484222325u : 0x811c9dc5u);
};

/// 64-bit FNV-1a with the final mix of SplitMix64, without which the upper bits of short names
/// hardly differ.
inline std::uint64_t name_hash(std::string_view text) {
  Fnv1a<std::uint64_t> hash;
  hash.add(text);
  std::uint64_t value = hash.value();
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace crosstate
