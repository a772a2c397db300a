#include "crosstate/crossbar/repair.h"

#include <algorithm>
#include <numeric>

namespace crosstate::crossbar {
namespace {

// Conductance of a cell without programming errors.
double conducts(double target, device::Fault fault, const device::ConductanceRange& range) {
  switch (fault) {
    case device::Fault::kStuckLow:
      return range.low;
    case device::Fault::kStuckHigh:
      return range.high;
    case device::Fault::kOpen:
      return 0;
    case device::Fault::kNone:
      break;
  }
  return target;
}

}  // namespace

CellPair retargeted(const CellPair& pair, const device::ConductanceRange& range) {
  CellPair out = pair;
  const double difference = pair.plus - pair.minus;
  const bool plus = pair.of_plus != device::Fault::kNone,
             minus = pair.of_minus != device::Fault::kNone;
  if (plus == minus) return out;
  if (plus) {
    const double stuck = conducts(pair.plus, pair.of_plus, range);
    out.minus = std::clamp(stuck - difference, range.low, range.high);
  } else {
    const double stuck = conducts(pair.minus, pair.of_minus, range);
    out.plus = std::clamp(stuck + difference, range.low, range.high);
  }
  return out;
}

double fault_error(const CellPair& pair, double aimed, const device::ConductanceRange& range) {
  return conducts(pair.plus, pair.of_plus, range) - conducts(pair.minus, pair.of_minus, range) -
         aimed;
}

std::vector<std::size_t> place_columns(
    std::size_t columns, std::size_t first_spare, std::size_t spares,
    const std::function<double(std::size_t column, std::size_t place)>& error) {
  std::vector<std::size_t> places(columns), worst(columns), free(spares);
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::iota(worst.begin(), worst.end(), std::size_t{0});
  std::iota(free.begin(), free.end(), first_spare);
  std::vector<double> here(columns);
  for (std::size_t c = 0; c < columns; ++c) here[c] = error(c, c);
  std::ranges::stable_sort(worst, std::ranges::greater{}, [&](std::size_t c) { return here[c]; });
  for (const std::size_t c : worst) {
    if (free.empty() || here[c] == 0) break;
    std::vector<double> there;
    for (const std::size_t place : free) there.push_back(error(c, place));
    const auto best = std::ranges::min_element(there);
    if (*best >= here[c]) continue;
    const auto at = free.begin() + (best - there.begin());
    places[c] = *at;
    free.erase(at);
  }
  return places;
}

}  // namespace crosstate::crossbar
