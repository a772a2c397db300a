// Cells whose statistics are given at some times: what happens between and after them.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "crosstate/device/families.h"
#include "crosstate/device/testing.h"

namespace crosstate::device {
namespace {

using reference::aged;
using reference::draws_of;
using reference::expect_normal;
using reference::programmed_cells;

constexpr double kTarget = 50;
constexpr std::size_t kCells = 10000;

// The deviation grows and shrinks again, and the mean falls: (50, 1), (48, 3), (45, 2).
TimedStatistics statistics(std::vector<double> times) {
  TimedStatistics result;
  result.range = {1, 100};
  result.times = std::move(times);
  result.at = [](std::size_t time, double target) {
    constexpr double kShift[] = {0, -2, -5}, kDeviation[] = {1, 3, 2};
    return Moments{target + kShift[time], kDeviation[time]};
  };
  return result;
}

std::vector<double> at(const DeviceModel& model, const std::vector<double>& programmed, double t) {
  return aged(model, programmed, t, 5, kTarget);
}

TEST(Timed, HasTheStatisticsOfEveryTime) {
  const ModelPointer model = make_timed({}, statistics({10, 1000, 100000}));
  EXPECT_EQ(model->range().low, 1);
  EXPECT_EQ(model->last_time(), 100000);
  EXPECT_EQ(model->read_deviation(50), 0);
  const std::vector<double> g = programmed_cells(*model, kTarget, kCells);
  expect_normal(g, 50, 1);
  EXPECT_EQ(at(*model, g, 10), g);
  EXPECT_EQ(at(*model, g, 3), g);  // before the first time
  expect_normal(at(*model, g, 1000), 48, 3);
  expect_normal(at(*model, g, 100000), 45, 2);
}

TEST(Timed, InterpolatesOverTheLogarithmOfTime) {
  const ModelPointer model = make_timed({}, statistics({10, 1000, 100000}));
  const std::vector<double> g = programmed_cells(*model, kTarget, kCells);
  expect_normal(at(*model, g, 100), 49, 2);
  expect_normal(at(*model, g, 10000), 46.5, 2.5);
  // An interval from 0, which has no logarithm, is one of ln(1 + t / 1 s).
  const ModelPointer from_zero = make_timed({}, statistics({0, 99, 9999}));
  expect_normal(at(*from_zero, g, 9), 49, 2);
  expect_normal(at(*from_zero, g, 99), 48, 3);
}

// Independent steps add up while the deviation grows; where it shrinks, that of every cell shrinks.
TEST(Timed, MovesEveryCellAlongOnePath) {
  const ModelPointer model = make_timed({}, statistics({10, 1000, 100000}));
  const std::vector<double> g = programmed_cells(*model, kTarget, kCells);
  const std::vector<double> middle = at(*model, g, 1000), late = at(*model, g, 100000);
  std::vector<double> step;
  double product = 0;
  for (std::size_t i = 0; i < g.size(); ++i) {
    step.push_back(middle[i] - g[i]);
    product += (g[i] - 50) * (step[i] + 2);
    EXPECT_NEAR(late[i] - 45, (middle[i] - 48) * 2 / 3, 1e-9);
  }
  expect_normal(step, -2, std::sqrt(9.0 - 1));
  EXPECT_NEAR(product / kCells, 0, 4 * std::sqrt(8.0 / kCells));
}

TEST(Timed, KeepsTheDeviationThatWriteVerifyLeft) {
  DeviceOptions options;
  options.write_verify = true;
  const ModelPointer model = make_timed(options, statistics({10, 1000, 100000}));
  const ModelPointer published = make_timed({}, statistics({10, 1000, 100000}));
  // All cells are programmed exactly to the target: the later steps of the walk remain.
  const std::vector<double> exact(kCells, kTarget);
  const std::vector<double> g = at(*model, exact, 1000);
  expect_normal(g, 48, std::sqrt(9.0 - 1));
  const std::vector<double> walked = programmed_cells(*published, kTarget, kCells);
  const std::vector<double> with_walk = at(*published, walked, 1000);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_NEAR(g[i], with_walk[i] - (walked[i] - kTarget), 1e-9);
  }
}

TEST(Timed, StaysWithoutDriftOrAgeing) {
  DeviceOptions still;
  still.drift = false;
  TimedStatistics kept = statistics({0});
  kept.ages = false;
  for (const ModelPointer& model :
       {make_timed(still, statistics({10, 1000, 100000})), make_timed({}, kept)}) {
    const std::vector<double> g = programmed_cells(*model, kTarget, 20);
    EXPECT_EQ(at(*model, g, 1000), g);
  }
  EXPECT_EQ(make_timed({}, kept)->last_time(), kLongestTime);
  // Conductances are never negative.
  EXPECT_EQ(aged(*make_timed(still, statistics({10})), {-3, 2}, 100, 5, kTarget),
            (std::vector<double>{0, 2}));
}

TEST(Timed, DrawsOfACellAreThoseOfItsAddress) {
  const ModelPointer model = make_timed({}, statistics({10, 1000, 100000}));
  EXPECT_EQ(model->programmed(kTarget, draws_of(3)), model->programmed(kTarget, draws_of(3)));
  EXPECT_NE(model->programmed(kTarget, draws_of(3)), model->programmed(kTarget, draws_of(4)));
  EXPECT_NE(model->programmed(kTarget, draws_of(3)), model->programmed(kTarget, draws_of(3, 6)));
}

}  // namespace
}  // namespace crosstate::device
