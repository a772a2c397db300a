#include "crosstate/device/draws.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "crosstate/base/random.h"

namespace crosstate::device {
namespace {

constexpr std::uint32_t kCells = 20000;

using Path = double (CellDraws::*)(double) const;

std::vector<double> sample(Path path, double u) {
  std::vector<double> values;
  for (std::uint32_t i = 0; i < kCells; ++i) values.push_back((CellDraws({5, 2, i}).*path)(u));
  return values;
}

double product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum / static_cast<double>(a.size());
}

TEST(Draws, ProgrammingIsThatOfTheSequentialGenerator) {
  Random random(5, Stream::kProgramming, 2, 9);
  EXPECT_EQ(CellDraws({5, 2, 9}).programming(), random.normal());
}

TEST(Draws, PathsBeginAtZero) {
  EXPECT_EQ(CellDraws({5, 2, 9}).flicker(0), 0);
  EXPECT_EQ(CellDraws({5, 2, 9}).relaxation(0), 0);
}

// Within an interval that is not divided further: at its ends, at its midpoint, and elsewhere.
TEST(Draws, PathsHaveTheVarianceOfTheirClock) {
  for (const Path path : {&CellDraws::flicker, &CellDraws::relaxation}) {
    for (const double u : {0.003, 0.5, 17.5 + 1.0 / 128, 17.5 + 1.0 / 64, 31.84, 64.0}) {
      const std::vector<double> w = sample(path, u);
      double sum = 0, fourth = 0;
      for (const double v : w) {
        sum += v;
        fourth += v * v * v * v;
      }
      EXPECT_NEAR(sum / kCells, 0, 4 * std::sqrt(u / kCells)) << u;
      EXPECT_NEAR(product(w, w) / u, 1, 4 * std::sqrt(2.0 / kCells)) << u;
      EXPECT_NEAR(fourth / kCells / (3 * u * u), 1, 4 * std::sqrt(96.0 / 9 / kCells)) << u;
    }
  }
}

TEST(Draws, StepsOfAPathAreIndependent) {
  const std::vector<double> a = sample(&CellDraws::flicker, 17.5),
                            b = sample(&CellDraws::flicker, 21.25);
  std::vector<double> step;
  for (std::size_t i = 0; i < a.size(); ++i) step.push_back(b[i] - a[i]);
  EXPECT_NEAR(product(step, step) / 3.75, 1, 4 * std::sqrt(2.0 / kCells));
  EXPECT_NEAR(product(a, step), 0, 4 * std::sqrt(17.5 * 3.75 / kCells));
}

TEST(Draws, APathHasNoJumps) {
  const CellDraws cell({1, 1, 1});
  for (double u = 0; u < 64; u += 0.37) {
    EXPECT_NEAR(cell.flicker(u), cell.flicker(u + 1e-10), 1e-4) << u;
  }
}

TEST(Draws, OfOneCellAreIndependentOfEachOther) {
  std::vector<std::vector<double>> draws(6);
  for (std::uint32_t i = 0; i < kCells; ++i) {
    const CellDraws cell({8, 0, i});
    const double values[] = {cell.programming(), cell.drift(),    cell.pulse(0),
                             cell.verify(0),     cell.flicker(1), cell.relaxation(1)};
    for (std::size_t k = 0; k < draws.size(); ++k) draws[k].push_back(values[k]);
  }
  for (std::size_t j = 0; j < draws.size(); ++j) {
    for (std::size_t k = 0; k < j; ++k) {
      EXPECT_NEAR(product(draws[j], draws[k]), 0, 4.5 / std::sqrt(kCells)) << j << ' ' << k;
    }
  }
}

TEST(Draws, DependOnEveryPartOfTheAddress) {
  const double w = CellDraws({1, 2, 3}).flicker(20);
  EXPECT_NE(CellDraws({2, 2, 3}).flicker(20), w);
  EXPECT_NE(CellDraws({1, 3, 3}).flicker(20), w);
  EXPECT_NE(CellDraws({1, 2, 4}).flicker(20), w);
  EXPECT_NE(CellDraws({1, 2, 3}).relaxation(20), w);
}

}  // namespace
}  // namespace crosstate::device
