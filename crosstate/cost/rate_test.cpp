#include "crosstate/cost/rate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/cost/testing.h"

namespace crosstate::cost {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

Estimate of(double picojoules, double nanoseconds, double microwatts, double wake = 0) {
  const auto once = [](double value) { return Range{value / 2, value, value * 2}; };
  Estimate e;
  e.target = "t";
  e.energy.terms = {{"p", "energy", 1, 0, once(picojoules)}};
  e.latency.terms = {{"p", "time", 1, 0, {nanoseconds, nanoseconds, nanoseconds}}};
  e.rest.terms = {{"p", "rest", 0, 1, once(microwatts)}};
  e.wake.terms = {{"p", "wake", 0, 1, once(wake)}};
  return e;
}

TEST(Rate, StepsRestUntilTheNext) {
  const Estimate e = of(100, 1000, 5, 30);
  EXPECT_DOUBLE_EQ(highest_rate(e), 1e6);
  // 10 us a step: 9 us at rest with 5 uW are 45 pJ.
  EXPECT_DOUBLE_EQ(energy_at_rate(e, 1e5).typical, 100 + 30 + 45);
  EXPECT_DOUBLE_EQ(energy_at_rate(e, 1e5).high, 2 * (100 + 30 + 45));
  EXPECT_DOUBLE_EQ(energy_at_rate(e, 1e6).typical, 100);
  EXPECT_DOUBLE_EQ(energy_at_rate(e, 1e9).typical, 100);
}

TEST(Rate, BreakEvenIsWhereBothTakeTheSame) {
  const Estimate a = of(1000, 1000, 1), b = of(100, 500, 10);
  const double rate = break_even_rate(a, b).typical;
  EXPECT_NEAR(rate, 9e6 / 900, 100);
  EXPECT_NEAR(energy_at_rate(a, rate).typical, energy_at_rate(b, rate).typical, 1e-9);
  EXPECT_LT(energy_at_rate(a, rate / 2).typical, energy_at_rate(b, rate / 2).typical);
  EXPECT_GT(energy_at_rate(a, rate * 2).typical, energy_at_rate(b, rate * 2).typical);
  const Range range = break_even_rate(a, b);
  EXPECT_LT(range.low, rate);
  EXPECT_GT(range.high, rate);
  // Each of them at the end of its range: 500 pJ and 0.5 uW against 200 pJ and 20 uW.
  EXPECT_NEAR(range.high, 19.5e6 / (500 - 0.5 - (200 - 10)), 1);
}

TEST(Rate, SomeWinAtEveryRateOrAtNone) {
  const Estimate better = of(10, 100, 1), worse = of(1000, 100, 100);
  EXPECT_TRUE(std::isinf(break_even_rate(better, worse).typical));
  EXPECT_EQ(break_even_rate(worse, better).typical, 0);
  EXPECT_TRUE(open_range_json(break_even_rate(better, worse))["typical"].is_null());
  EXPECT_EQ(open_range_json({0, 1, 2})["high"], 2);
}

TEST(Rate, NeedsAPowerAtRest) {
  Estimate e = of(1, 1, 1);
  e.rest.terms.clear();
  EXPECT_THAT([&] { energy_at_rate(e, 1); }, ThrowsMessage<Error>(HasSubstr("power at rest")));
}

}  // namespace
}  // namespace crosstate::cost
