// RRAM of CMO/HfOx against the formulas of docs/devices.md (Falcone et al., arXiv 2502.04524).
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "crosstate/device/models.h"
#include "crosstate/device/testing.h"

namespace crosstate::device {
namespace {

using reference::aged;
using reference::draws_of;
using reference::expect_normal;

ModelPointer model_of(bool drift, bool flicker, CmoAcceptance acceptance = CmoAcceptance::kStrict,
                      double inference_time = 0) {
  DeviceOptions options;
  options.inference_time = inference_time;
  options.model = "rram-cmo";
  options.drift = drift;
  options.flicker = flicker;
  options.acceptance = acceptance;
  return make_device_model(options);
}

TEST(Cmo, HasTheRangeAndTheTimesOfItsSource) {
  const ModelPointer model = model_of(true, true);
  EXPECT_EQ(model->range().low, 9);
  EXPECT_EQ(model->range().high, 88.2);
  EXPECT_EQ(model->first_time(), 1);
  EXPECT_EQ(model->last_time(), kLongestTime);
}

TEST(Cmo, SpreadsByTheAcceptanceOfItsProgramming) {
  struct Published {
    double target, strict, wide;
  };
  for (const Published& p :
       {Published{9, 0.01043018, 0.1128312}, Published{30, 0.03287477, 0.3499275},
        Published{88.2, 0.095078348, 1.00702296}}) {
    for (std::size_t i = 0; i < 20; ++i) {
      const double xi = draws_of(i).programming();
      const auto error = [&](CmoAcceptance acceptance) {
        return model_of(true, true, acceptance)->programmed(p.target, draws_of(i)) - p.target;
      };
      EXPECT_NEAR(error(CmoAcceptance::kStrict), p.strict * xi, 1e-9) << p.target;
      EXPECT_NEAR(error(CmoAcceptance::kWide), p.wide * xi, 1e-9) << p.target;
    }
  }
}

// The shift and the deviation of the published relaxation, with the values of docs/devices.md.
TEST(Cmo, RelaxesWithTheLogarithmOfTime) {
  struct Published {
    double seconds, shift, deviation;
  };
  const std::vector<double> programmed(20000, 40);
  for (const Published& p : {Published{1, 0, 0.41183}, Published{3600, -0.7287933321, 0.7558368301},
                             Published{86400, -1.011640123, 0.8893468715}}) {
    std::vector<double> g = aged(*model_of(true, false), programmed, p.seconds);
    for (double& x : g) x -= 40;
    SCOPED_TRACE(p.seconds);
    expect_normal(g, p.shift, p.deviation);
  }
}

// The relaxation of one hour is part of that of a day: a cell has a single path.
TEST(Cmo, RelaxesAlongOnePath) {
  const std::vector<double> programmed(20000, 40);
  const std::vector<double> hour = aged(*model_of(true, false), programmed, 3600),
                            day = aged(*model_of(true, false), programmed, 86400);
  double product = 0;
  std::vector<double> step;
  for (std::size_t i = 0; i < hour.size(); ++i) {
    step.push_back(day[i] - hour[i]);
    product += (hour[i] - 40 + 0.7287933321) * (step[i] + 1.011640123 - 0.7287933321);
  }
  const double early = 0.7558368301, late = 0.8893468715;
  const double later = std::sqrt(late * late - early * early);
  expect_normal(step, -1.011640123 + 0.7287933321, later);
  EXPECT_NEAR(product / 20000, 0, 4 * early * later / std::sqrt(20000));
}

TEST(Cmo, FlickersByTheConductance) {
  const std::vector<double> programmed{0.5, 9, 30, 88.2};
  for (const double t : {1.0, 86400.0}) {
    const double tau = std::log((t + 1e-6) / 2e-6);
    const std::vector<double> g = aged(*model_of(false, true), programmed, t);
    EXPECT_EQ(g[0], 0.5);  // no data below 1 uS
    for (std::size_t i = 1; i < g.size(); ++i) {
      const double sigma = 0.02773 * std::log10(programmed[i]);
      EXPECT_NEAR(g[i] - programmed[i], sigma * draws_of(i).flicker(tau), 1e-12) << i;
    }
  }
}

TEST(Cmo, LeavesFastFlickerToTheInference) {
  const std::vector<double> programmed{0.5, 9, 30, 88.2};
  const double tau = std::log((86400 + 1e-6) / 2e-6), fast = std::log((0.042 + 1e-6) / 2e-6);
  const ModelPointer model = model_of(false, true, CmoAcceptance::kStrict, 0.042);
  const std::vector<double> g = aged(*model, programmed, 86400);
  std::vector<double> deviation(4);
  model->flicker({programmed, programmed, 5, 0}, 86400, deviation);
  EXPECT_EQ(deviation[0], 0);
  for (std::size_t i = 1; i < g.size(); ++i) {
    const double sigma = 0.02773 * std::log10(programmed[i]);
    EXPECT_NEAR(g[i] - programmed[i], sigma * draws_of(i).flicker(tau - fast), 1e-12) << i;
    EXPECT_NEAR(deviation[i], sigma * std::sqrt(fast), 1e-12) << i;
  }
}

TEST(Cmo, KeepsWhatIsProgrammedWithoutAgeing) {
  const std::vector<double> programmed{9.1, 30, 88};
  EXPECT_EQ(aged(*model_of(false, false), programmed, 1e9), programmed);
}

}  // namespace
}  // namespace crosstate::device
