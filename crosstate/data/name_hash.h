// A hash of names that never changes: it decides parts and orders of sets.
#pragma once

#include <cstdint>
#include <string_view>

namespace crosstate {

/// FNV-1a of 64 bits with a final mix (that of SplitMix64), without which the upper bits of short
/// names hardly differ.
inline std::uint64_t name_hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace crosstate
