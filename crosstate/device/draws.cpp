#include "crosstate/device/draws.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "crosstate/base/random.h"

namespace crosstate::device {
namespace {

// Counters of Stream::kProgramming; pulse k has kFirstPulse + k.
constexpr std::uint32_t kPrepared = 0, kFate = 1, kFirstPulse = 2;

std::array<std::uint32_t, 4> block(const CellAddress& at, Stream stream, std::uint32_t counter) {
  return philox(at.seed, counter, at.cell, at.array, static_cast<std::uint32_t>(stream));
}

double uniform(std::uint32_t bits) { return (bits + 0.5) * 0x1p-32; }

// The first of the pair returned by Random::normal().
double normal(std::uint32_t first, std::uint32_t second) {
  const double radius = std::sqrt(-2 * std::log(uniform(first)));
  return radius * std::cos(2 * std::numbers::pi * uniform(second));
}

struct Pair {
  double first, second;
};

// Both normals of the first two words.
Pair pair(const std::array<std::uint32_t, 4>& words) {
  const double radius = std::sqrt(-2 * std::log(uniform(words[0])));
  const double angle = 2 * std::numbers::pi * uniform(words[1]);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

// A Brownian motion between two times, which are bisected repeatedly.
struct Bridge {
  double u;  // the time to evaluate
  double low = 0, width = kPathEnd;
  double left = 0, right = 0;  // values of the motion at low and at low + width

  // Computes the midpoint from its deviate, and keeps the half that contains u: true for the upper.
  bool halve(double xi) {
    const double middle = 0.5 * (left + right) + 0.5 * std::sqrt(width) * xi;
    width /= 2;
    const bool upper = u >= low + width;
    low += upper ? width : 0;
    (upper ? left : right) = middle;
    return upper;
  }

  // Within an interval the motion is its chord plus one deviate times the standard deviation of the
  // bridge, which gives the right variance at every u.
  double at_u(double xi) const {
    const double share = (u - low) / width;
    return left + share * (right - left) + std::sqrt(share * (1 - share) * width) * xi;
  }
};

// Block 0 has the end of the motion; block 2^l + i, for every second level l, the midpoint of
// interval i and those of its two halves. The last block has the deviate of the remaining interval.
double brownian(double u, const CellAddress& at, Stream stream) {
  constexpr int kLevels = 12;
  Bridge bridge{.u = std::clamp(u, 0.0, kPathEnd)};
  bridge.right = std::sqrt(kPathEnd) * pair(block(at, stream, 0)).first;
  std::uint32_t number = 1;
  for (int level = 0; level < kLevels; level += 2) {
    const auto words = block(at, stream, number);
    const Pair middle_and_lower = pair(words);
    const bool upper = bridge.halve(middle_and_lower.first);
    const double xi = upper ? normal(words[2], words[3]) : middle_and_lower.second;
    const bool upper_again = bridge.halve(xi);
    number = 4 * number + (upper ? 2 : 0) + (upper_again ? 1 : 0);
  }
  return bridge.at_u(pair(block(at, stream, number)).first);
}

}  // namespace

double CellDraws::programming() const {
  const auto words = block(at_, Stream::kProgramming, kPrepared);
  return normal(words[0], words[1]);
}

double CellDraws::drift() const {
  const auto words = block(at_, Stream::kProgramming, kPrepared);
  return normal(words[2], words[3]);
}

double CellDraws::pulse(std::uint32_t k) const {
  const auto words = block(at_, Stream::kProgramming, kFirstPulse + k);
  return normal(words[0], words[1]);
}

double CellDraws::verify(std::uint32_t k) const {
  const auto words = block(at_, Stream::kProgramming, kFirstPulse + k);
  return normal(words[2], words[3]);
}

double CellDraws::fault() const { return uniform(block(at_, Stream::kProgramming, kFate)[0]); }

double CellDraws::lifetime() const { return uniform(block(at_, Stream::kProgramming, kFate)[1]); }

double CellDraws::flicker(double u) const { return brownian(u, at_, Stream::kFlicker); }

double CellDraws::relaxation(double u) const { return brownian(u, at_, Stream::kRelaxation); }

}  // namespace crosstate::device
