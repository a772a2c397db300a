#include "crosstate/integer/code_map.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace crosstate::integer {
namespace {

// The least value with at least this code; other codes have a value below.
struct Step {
  std::int32_t value, code;
};

// The steps of a function that does not decrease, those beyond the ends of the range left out.
std::vector<Step> steps_of(std::int32_t low, std::int32_t high, const CodeFormat& format,
                           const std::function<std::int32_t(std::int32_t)>& code_of) {
  std::vector<Step> steps;
  std::int32_t from = low;
  for (std::int32_t code = format.quant_min + 1; code <= format.quant_max; ++code) {
    std::int32_t below = from - 1, at = high + 1;  // code_of(below) < code <= code_of(at)
    while (at - below > 1) {
      const std::int32_t middle = below + (at - below) / 2;
      (code_of(middle) >= code ? at : below) = middle;
    }
    from = at;
    if (at > low && at <= high) steps.push_back({at, code});
  }
  return steps;
}

// How much the bias may vary with this factor, in codes; negative if there is none.
double width(const std::vector<Step>& steps, double factor) {
  double least = -std::numeric_limits<double>::infinity(), most = -least;
  for (const Step& step : steps) {
    least = std::max(least, step.code - factor * step.value);
    most = std::min(most, step.code - factor * (step.value - 1));
  }
  return most - least;
}

// The factor of the greatest width, a concave function.
double widest(const std::vector<Step>& steps) {
  const Step &first = steps.front(), &last = steps.back();
  const double slope = first.value == last.value ? 1.0
                                                 : static_cast<double>(last.code - first.code) /
                                                       (last.value - first.value);
  constexpr int kIterations = 200;
  double low = 0, high = 2 * std::max(slope, 1e-9);
  for (int i = 0; i < kIterations; ++i) {
    const double third = (high - low) / 3;
    if (width(steps, low + third) < width(steps, high - third)) {
      low += third;
    } else {
      high -= third;
    }
  }
  return (low + high) / 2;
}

}  // namespace

std::int32_t CodeMap::operator()(std::int32_t value, const CodeFormat& format) const {
  const std::int64_t code = (std::int64_t{value} * factor + bias) >> shift;
  return static_cast<std::int32_t>(
      std::clamp<std::int64_t>(code, format.quant_min, format.quant_max));
}

std::optional<CodeMap> fit_code_map(std::int32_t low, std::int32_t high, const CodeFormat& format,
                                    const std::function<std::int32_t(std::int32_t)>& code_of) {
  const std::vector<Step> steps = steps_of(low, high, format, code_of);
  if (steps.empty()) {
    CodeMap constant;
    constant.shift = 40;
    constant.bias =
        (std::int64_t{code_of(low)} << constant.shift) + (std::int64_t{1} << (constant.shift - 1));
    return constant;
  }
  constexpr int kFactorBits = 30, kMostShift = 40;
  const double factor = widest(steps);
  CodeMap map;
  while (map.shift < kMostShift && std::ldexp(factor, map.shift + 1) < (1 << kFactorBits)) {
    ++map.shift;
  }
  map.factor = static_cast<std::int32_t>(std::max(1.0, std::round(std::ldexp(factor, map.shift))));
  std::int64_t least = std::numeric_limits<std::int64_t>::min();
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  for (const Step& step : steps) {
    const std::int64_t code = std::int64_t{step.code} << map.shift;
    const std::int64_t product = std::int64_t{step.value} * map.factor;
    least = std::max(least, code - product);
    most = std::min(most, code - product + map.factor - 1);
  }
  // Codes outside the steps saturate, or the range ends before the next one.
  const std::int32_t first = code_of(low), last = code_of(high);
  if (first > format.quant_min) {
    least = std::max(least, (std::int64_t{first} << map.shift) - std::int64_t{low} * map.factor);
  }
  if (last < format.quant_max) {
    most =
        std::min(most, (std::int64_t{last + 1} << map.shift) - 1 - std::int64_t{high} * map.factor);
  }
  if (least > most) return std::nullopt;
  map.bias = least + (most - least) / 2;
  return map;
}

}  // namespace crosstate::integer
