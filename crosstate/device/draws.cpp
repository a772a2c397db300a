#include "crosstate/device/draws.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "crosstate/base/random.h"

namespace crosstate {
namespace {

// Counters of Stream::kProgramming; pulse k has kFirstPulse + k.
constexpr std::uint32_t kPrepared = 0, kFate = 1, kFirstPulse = 2;

std::array<std::uint32_t, 4> block(const CellAddress& at, Stream stream, std::uint32_t counter) {
  return philox(at.seed, counter, at.cell, at.array, static_cast<std::uint32_t>(stream));
}

double uniform(std::uint32_t bits) { return (bits + 0.5) * 0x1p-32; }

// The first of the pair of Random::normal().
double normal(std::uint32_t first, std::uint32_t second) {
  const double radius = std::sqrt(-2 * std::log(uniform(first)));
  return radius * std::cos(2 * std::numbers::pi * uniform(second));
}

// Node 0 is the motion's end, node 2^l + i the middle of interval i of level l. The last node is
// the middle of an interval that is not divided further: there the motion leaves its chord by one
// deviate times the bridge's deviation, which keeps the variance right at every u.
double brownian(double u, const CellAddress& at, Stream stream) {
  constexpr int kLevels = 12;
  const auto node = [&](std::uint32_t number) {
    const auto words = block(at, stream, number);
    return normal(words[0], words[1]);
  };
  u = std::clamp(u, 0.0, kPathEnd);
  double low = 0, width = kPathEnd;
  double left = 0, right = std::sqrt(width) * node(0);
  std::uint32_t number = 1;
  for (int level = 0; level < kLevels; ++level) {
    const double middle = 0.5 * (left + right) + 0.5 * std::sqrt(width) * node(number);
    width /= 2;
    const bool upper = u >= low + width;
    low += upper ? width : 0;
    (upper ? left : right) = middle;
    number = 2 * number + (upper ? 1 : 0);
  }
  const double share = (u - low) / width;
  return left + share * (right - left) + std::sqrt(share * (1 - share) * width) * node(number);
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

}  // namespace crosstate
