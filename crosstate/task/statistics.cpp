#include "crosstate/task/statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "crosstate/base/numbers.h"

namespace crosstate::task {

std::string Interval::text() const {
  return fixed_text(100 * low, 2) + " to " + fixed_text(100 * high, 2);
}

Interval wilson(double right, double count) {
  constexpr double kNormal = 1.959963984540054;  // 97.5 % of a normal distribution are below
  if (!(count > 0)) return {0, 1};
  const double p = right / count, z2 = kNormal * kNormal / count;
  const double centre = (p + z2 / 2) / (1 + z2);
  const double half = std::sqrt(z2 * (p * (1 - p) + z2 / 4)) / (1 + z2);
  // Rounding must not move the ends of shares of 0 and 1.
  return {right > 0 ? std::max(0.0, centre - half) : 0,
          right < count ? std::min(1.0, centre + half) : 1};
}

void PairedDecisions::add(bool first_is_right, bool second_is_right) {
  ++(first_is_right ? (second_is_right ? both : only_first)
                    : (second_is_right ? only_second : neither));
}

double PairedDecisions::p_value() const {
  const auto less = static_cast<double>(std::min(only_first, only_second));
  const auto all = static_cast<double>(only_first + only_second);
  // The largest terms are last, and terms below are smaller by at least less / (all - less + 1).
  double sum = 0;
  for (double k = less; k >= 0; --k) {
    const double term = std::exp(std::lgamma(all + 1) - std::lgamma(k + 1) -
                                 std::lgamma(all - k + 1) - all * std::numbers::ln2);
    sum += term;
    if (term < 1e-17 * sum) break;
  }
  return std::min(1.0, 2 * sum);
}

}  // namespace crosstate::task
