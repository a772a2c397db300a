// Weights of few bits as bytes or words.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace crosstate::exporter {

/// Bits that codes take when they are packed, which were declared to have `width` bits: 1 if all
/// are -1 or 1, 2 for ternary codes -1, 0, 1, otherwise `width`.
int packed_bits(int width, std::span<const std::int64_t> codes);

/// Bytes of codes in one stream without gaps, from the lowest bit of the first byte on: a bit for
/// the sign where `bits` is 1, otherwise code + 2^(bits-1).
std::vector<std::int64_t> in_stream(int bits, std::span<const std::int64_t> codes);

/// What is added to codes of 2 or 4 bits before they are packed into words: 1 for ternary codes, or
/// 8.
constexpr std::int64_t word_offset(int bits) {
  return bits == 2 ? 1 : std::int64_t{1} << (bits - 1);
}
/// Codes in a word of 16 bits.
constexpr std::size_t codes_per_word(int bits) { return 16 / static_cast<std::size_t>(bits); }

/// Words of 16 bits of a row of codes of 2 or 4 bits, the first code lowest; the rest of the last
/// word is 0.
std::vector<std::int64_t> in_words(int bits, std::span<const std::int64_t> row);

}  // namespace crosstate::exporter
