// A cost known to be between two values.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace crosstate::cost {

/// Units: fJ in pJ, and um2 in mm2.
inline constexpr double kPicoPerFemto = 1e-3, kMicroPerPico = 1e-6;
inline constexpr double kMillimetrePerMicrometre = 1e-6;

/// low <= typical <= high, all in one unit. Sums and products combine all lows and all highs: the
/// bounds are reached if all sources err in the same direction.
struct Range {
  double low = 0, typical = 0, high = 0;

  Range& operator+=(const Range& other) {
    low += other.low;
    typical += other.typical;
    high += other.high;
    return *this;
  }
  friend Range operator+(Range a, const Range& b) { return a += b; }
  friend Range operator*(const Range& a, const Range& b) {
    return {a.low * b.low, a.typical * b.typical, a.high * b.high};
  }
  friend Range operator*(const Range& a, double factor) {
    return {a.low * factor, a.typical * factor, a.high * factor};
  }
  friend Range operator*(double factor, const Range& a) { return a * factor; }
  bool operator==(const Range&) const = default;
};

/// 1 / r: low and high are exchanged.
inline Range inverse(const Range& r) { return {1 / r.high, 1 / r.typical, 1 / r.low}; }

/// {"low": ..., "typical": ..., "high": ...}
nlohmann::json to_json(const Range& range);

}  // namespace crosstate::cost
