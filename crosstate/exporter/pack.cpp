#include "crosstate/exporter/pack.h"

#include <algorithm>
#include <cstddef>

namespace crosstate::exporter {

int packed_bits(int width, std::span<const std::int64_t> codes) {
  if (width > 2) return width;
  const bool zeros = std::count(codes.begin(), codes.end(), 0) > 0;
  return width == 2 || zeros ? 2 : 1;
}

std::vector<std::int64_t> in_stream(int bits, std::span<const std::int64_t> codes) {
  std::vector<std::int64_t> bytes;
  std::uint32_t held = 0;
  int count = 0;
  for (const std::int64_t code : codes) {
    const std::int64_t field =
        bits == 1 ? (code > 0 ? 1 : 0) : code + (std::int64_t{1} << (bits - 1));
    held |= static_cast<std::uint32_t>(field) << count;
    for (count += bits; count >= 8; count -= 8, held >>= 8) bytes.push_back(held & 0xff);
  }
  if (count > 0) bytes.push_back(held & 0xff);
  return bytes;
}

std::vector<std::int64_t> in_words(int bits, std::span<const std::int64_t> row) {
  std::vector<std::int64_t> words;
  const std::size_t most = codes_per_word(bits);
  for (std::size_t begin = 0; begin < row.size(); begin += most) {
    std::int64_t word = 0;
    for (std::size_t k = 0; k < std::min(most, row.size() - begin); ++k) {
      word |= (row[begin + k] + word_offset(bits)) << (k * static_cast<std::size_t>(bits));
    }
    words.push_back(word);
  }
  return words;
}

}  // namespace crosstate::exporter
