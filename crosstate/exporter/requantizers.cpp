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

// The largest number of places, at most 32, that all rows can shift by instead of their own; 0 if
// there is none, or if the factors are powers of two, which are cheaper as shifts.
int common_shift(const RequantizerPlan& plan, const std::vector<std::vector<SumBounds>>& bounds) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  constexpr std::int64_t kLargestSum = std::int64_t{1} << 62;
  std::int64_t most = 32, least = 1, largest = 0;
  for (std::size_t b = 0; b < plan.first.size(); ++b) {
    for (std::size_t row = 0; row < plan.first[b].size(); ++row) {
      const std::int64_t factor =
          std::max(std::abs(plan.first[b][row]), std::abs(plan.second[b][row]));
      if (bounds[b][row].first > kMost || bounds[b][row].second > kMost) return 0;
      least = std::max(least, plan.shift[b][row]);
      largest = std::max(largest, factor);
      // factor 2^(places - shift) <= kMost
      std::int64_t places = plan.shift[b][row];
      while (places < most && (factor << (places + 1 - plan.shift[b][row])) <= kMost) ++places;
      most = std::min(most, places);
    }
  }
  if (most < least || largest <= 1) return 0;
  for (std::size_t b = 0; b < plan.first.size(); ++b) {
    for (std::size_t row = 0; row < plan.first[b].size(); ++row) {
      const auto scaled = [&](std::int64_t factor) {
        return std::abs(factor) << (most - plan.shift[b][row]);
      };
      const std::int64_t first = bounds[b][row].first * scaled(plan.first[b][row]);
      const std::int64_t second = bounds[b][row].second * scaled(plan.second[b][row]);
      if (first > kLargestSum - second) return 0;
      if ((first + second + (std::int64_t{1} << (most - 1))) >> most > kMost) return 0;
    }
  }
  return static_cast<int>(most);
}

}  // namespace

RequantizerPlan plan_requantizers(
    const std::vector<SiteRows>& blocks,
    const std::function<SumBounds(std::size_t block, std::size_t row)>& bounds) {
  RequantizerPlan plan;
  std::vector<std::vector<SumBounds>> all_bounds;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const integer::Requantizer& r = *blocks[b].requantizer;
    plan.two = plan.two || !r.second.empty();
    for (PerBlock* of : {&plan.first, &plan.second, &plan.shift, &plan.early}) of->emplace_back();
    all_bounds.emplace_back();
    for (std::size_t row = blocks[b].begin; row < blocks[b].end; ++row) {
      const SumBounds of_row = bounds(b, row - blocks[b].begin);
      all_bounds[b].push_back(of_row);
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
      plan.in_32_bits =
          plan.in_32_bits && r.early_of(row) == 0 && fits_32_bits(first, second, shift, of_row);
    }
  }
  if (plan.in_32_bits || plan.shifts_first) return plan;
  plan.places = common_shift(plan, all_bounds);
  if (plan.places == 0) return plan;
  for (std::size_t b = 0; b < plan.first.size(); ++b) {
    for (std::size_t row = 0; row < plan.first[b].size(); ++row) {
      for (PerBlock* of : {&plan.first, &plan.second}) {
        (*of)[b][row] *= std::int64_t{1} << (plan.places - plan.shift[b][row]);
      }
    }
  }
  return plan;
}

}  // namespace crosstate::exporter
