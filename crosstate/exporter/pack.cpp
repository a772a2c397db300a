#include "crosstate/exporter/pack.h"

#include <algorithm>
#include <cstddef>

namespace crosstate::exporter {
namespace {

std::vector<std::int64_t> in_bits(int width, std::int64_t offset,
                                  std::span<const std::int64_t> codes) {
  std::vector<std::int64_t> bytes;
  std::uint32_t held = 0;
  int count = 0;
  for (const std::int64_t code : codes) {
    held |= static_cast<std::uint32_t>(code + offset) << count;
    for (count += width; count >= 8; count -= 8, held >>= 8) bytes.push_back(held & 0xff);
  }
  if (count > 0) bytes.push_back(held & 0xff);
  return bytes;
}

std::vector<std::int64_t> in_fives(std::span<const std::int64_t> codes) {
  constexpr std::size_t kFive = 5;
  std::vector<std::int64_t> bytes;
  for (std::size_t i = 0; i < codes.size(); i += kFive) {
    std::int64_t value = 0;
    for (std::size_t k = i; k < i + kFive; ++k) {
      value = 3 * value + (k < codes.size() ? codes[k] + 1 : 0);
    }
    bytes.push_back((value * 256 + 242) / 243);
  }
  return bytes;
}

}  // namespace

Packing packing_of(int width, std::span<const std::int64_t> codes) {
  if (width == 8 || width == 16) return Packing::kPlain;
  if (width > 2) return Packing::kBits;
  const bool zeros = std::count(codes.begin(), codes.end(), 0) > 0;
  return width == 2 || zeros ? Packing::kTernary : Packing::kSigns;
}

std::vector<std::int64_t> packed(Packing packing, int width, std::span<const std::int64_t> codes) {
  switch (packing) {
    case Packing::kPlain:
      return {codes.begin(), codes.end()};
    case Packing::kTernary:
      return in_fives(codes);
    case Packing::kSigns: {
      std::vector<std::int64_t> bits;
      for (const std::int64_t code : codes) bits.push_back(code > 0 ? 1 : 0);
      return in_bits(1, 0, bits);
    }
    case Packing::kBits:
      return in_bits(width, std::int64_t{1} << (width - 1), codes);
  }
  return {};
}

}  // namespace crosstate::exporter
