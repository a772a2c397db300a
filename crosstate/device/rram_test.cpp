// Filamentary RRAM against the published polynomials, with values computed from docs/devices.md.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "crosstate/device/models.h"
#include "crosstate/device/testing.h"

namespace crosstate::device {
namespace {

using reference::aged;
using reference::expect_normal;
using reference::programmed_cells;

constexpr double kDay = 86400;
constexpr std::size_t kCells = 10000;

ModelPointer model_of(const char* name) {
  DeviceOptions options;
  options.model = name;
  return make_device_model(options);
}

TEST(Rram, HasTheRangesAndTheTimesOfItsSources) {
  const ModelPointer neurram = model_of("neurram"), cubic = model_of("neurram-cubic"),
                     milo = model_of("milo");
  EXPECT_EQ(neurram->range().low, 0);
  EXPECT_EQ(neurram->range().high, 40);
  EXPECT_EQ(neurram->last_time(), 2 * kDay);
  EXPECT_EQ(cubic->range().high, 39.26);
  EXPECT_EQ(cubic->last_time(), 1);
  EXPECT_EQ(milo->range().low, 50);
  EXPECT_EQ(milo->range().high, 225);
  EXPECT_EQ(milo->last_time(), kLongestTime);
  for (const ModelPointer& model : {neurram, cubic, milo}) {
    EXPECT_EQ(model->read_deviation(model->range().high), 0);
  }
}

TEST(Rram, OfNeurramSpreadsWithTime) {
  struct Published {
    double target, second, day, two;
  };
  for (const Published& p :
       {Published{4, 1.5561815, 2.4473192, 2.4101986},
        Published{17, 2.1758279, 3.9950053, 3.9957343}, Published{40, 1.103, 2.651, 2.677}}) {
    SCOPED_TRACE(p.target);
    const ModelPointer model = model_of("neurram");
    const std::vector<double> g = programmed_cells(*model, p.target, kCells);
    expect_normal(g, p.target, p.second);
    // Conductances are clipped at 0, which the lowest target would show.
    if (p.target < 10) continue;
    expect_normal(aged(*model, g, 1, 5, p.target), p.target, p.second);
    expect_normal(aged(*model, g, kDay, 5, p.target), p.target, p.day);
    expect_normal(aged(*model, g, 2 * kDay, 5, p.target), p.target, p.two);
    // Halfway between two published times, in the logarithm of time.
    expect_normal(aged(*model, g, std::sqrt(kDay), 5, p.target), p.target, (p.second + p.day) / 2);
  }
}

TEST(Rram, OfNeurramAgesFromOneState) {
  const ModelPointer model = model_of("neurram");
  const std::vector<double> g = programmed_cells(*model, 20, 50);
  EXPECT_EQ(aged(*model, g, 0.5, 5, 20), g);  // nothing is published before 1 s
  EXPECT_EQ(aged(*model, g, 1, 5, 20), g);
  EXPECT_NE(aged(*model, g, 2, 5, 20), g);
}

TEST(Rram, OfNeurramAsACubicSpreads) {
  for (const auto& [target, sigma] : {std::pair{10.0, 2.4136}, {39.26, 1.6806414}}) {
    expect_normal(programmed_cells(*model_of("neurram-cubic"), target, kCells), target, sigma);
  }
}

TEST(Rram, OfMiloSpreadsAndStays) {
  const ModelPointer model = model_of("milo");
  for (const auto& [target, sigma] :
       {std::pair{50.0, 4.32665}, {130.0, 3.59809}, {225.0, 2.732925}}) {
    const std::vector<double> g = programmed_cells(*model, target, kCells);
    expect_normal(g, target, sigma);
    EXPECT_EQ(aged(*model, g, 1e9, 5, target), g);
  }
}

TEST(Rram, DependsOnTheSeedAlone) {
  const ModelPointer model = model_of("neurram");
  EXPECT_EQ(programmed_cells(*model, 20, 9), programmed_cells(*model, 20, 9));
  EXPECT_NE(programmed_cells(*model, 20, 1), programmed_cells(*model, 20, 1, 6));
}

}  // namespace
}  // namespace crosstate::device
