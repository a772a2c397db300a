#include "crosstate/exporter/requantizers.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <limits>

namespace crosstate::exporter {
namespace {

// Places that both factors and the shift can lose.
int common_places(std::int64_t first, std::int64_t second, std::int64_t shift) {
  const auto bits = static_cast<std::uint64_t>(first) | static_cast<std::uint64_t>(second);
  return bits == 0 ? static_cast<int>(shift)
                   : std::min(std::countr_zero(bits), static_cast<int>(shift));
}

bool fits_32_bits(std::int64_t first, std::int64_t second, std::int64_t shift,
                  const SumBounds& bounds) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  constexpr std::int64_t kMostShift = 30;  // 2^shift is an int32_t
  if (shift > kMostShift || bounds.first > kMost || bounds.second > kMost) return false;
  // Factors are within +-2^24 and bounds below 2^31, so that these products fit 64 bits.
  const std::int64_t sum = bounds.first * std::abs(first) + bounds.second * std::abs(second);
  return sum + ((std::int64_t{1} << shift) >> 1) <= kMost;
}

}  // namespace

RequantizerPlan plan_requantizers(
    const std::vector<SiteRows>& blocks,
    const std::function<SumBounds(std::size_t block, std::size_t row)>& bounds) {
  RequantizerPlan plan;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const integer::Requantizer& r = *blocks[b].requantizer;
    plan.two = plan.two || !r.second.empty();
    for (PerBlock* of : {&plan.first, &plan.second, &plan.shift, &plan.early}) of->emplace_back();
    for (std::size_t row = blocks[b].begin; row < blocks[b].end; ++row) {
      std::int64_t first = r.first[row], second = r.second.empty() ? 0 : r.second[row];
      std::int64_t shift = r.shift[row];
      const int places = common_places(first, second, shift);
      first /= std::int64_t{1} << places;
      second /= std::int64_t{1} << places;
      shift -= places;
      plan.first[b].push_back(first);
      plan.second[b].push_back(second);
      plan.shift[b].push_back(shift);
      plan.early[b].push_back(r.early_of(row));
      plan.shifts_first = plan.shifts_first || r.early_of(row) != 0;
      plan.in_32_bits = plan.in_32_bits && r.early_of(row) == 0 &&
                        fits_32_bits(first, second, shift, bounds(b, row - blocks[b].begin));
    }
  }
  return plan;
}

}  // namespace crosstate::exporter
