#include "crosstate/circuit/cell_law.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate::circuit {
namespace {

TEST(CellLaw, IsThePolynomialAsWritten) {
  const CellLaw law{.nl2 = 2e-5, .nl3 = 3e-4};
  EXPECT_FALSE(law.is_linear());
  EXPECT_TRUE(CellLaw().is_linear());
  for (const double v : {-0.7, -0.1, 0.0, 0.3, 2.0}) {
    const CellResponse response = respond(law, 1e-4, v);
    EXPECT_NEAR(response.current, 1e-4 * v + 2e-5 * v * v + 3e-4 * v * v * v, 1e-18);
    EXPECT_NEAR(response.slope, 1e-4 + 4e-5 * v + 9e-4 * v * v, 1e-18);
  }
  EXPECT_NEAR(respond(law, 0, -1).current, 2e-5 - 3e-4, 1e-18) << "a cell of 0 S has both terms";
}

// Cell and selector carry the same current; their voltages add.
TEST(CellLaw, SharesTheVoltageWithItsSelector) {
  for (const double g : {1e-9, 1e-6, 1e-2}) {
    for (const double scale : {1e-15, 1e-6, 1e-1}) {
      for (const double volts : {1e-12, 1e-3, 0.2, 1.5, 40.0}) {
        const CellLaw law{.selector_current = scale, .selector_voltage = 0.025};
        const CellResponse response = respond(law, g, volts);
        const double needed = response.current / g + 0.025 * std::asinh(response.current / scale);
        EXPECT_NEAR(needed / volts, 1, 1e-12) << g << ' ' << scale << ' ' << volts;
        EXPECT_NEAR(respond(law, g, -volts).current / -response.current, 1, 1e-12);
        const double slope = 1 / (1 / g + 0.025 / std::hypot(scale, response.current));
        EXPECT_NEAR(response.slope / slope, 1, 1e-9);
      }
    }
  }
}

TEST(CellLaw, EndsForEveryCellBehindASelector) {
  for (const CellLaw& law : std::vector<CellLaw>{{1e-3, 0, 1e-9, 0.01},
                                                 {-1e-3, -1e-2, 1e-6, 0.1},
                                                 {1e3, -1e3, 1e3, 1e-3},
                                                 {0, 1e3, 1e-30, 1e3}}) {
    for (const double volts : {-1e6, -1.0, -1e-9, 0.0, 1e-9, 1.0, 1e6}) {
      const CellResponse response = respond(law, 1e-5, volts);
      EXPECT_TRUE(std::isfinite(response.current) && std::isfinite(response.slope)) << volts;
    }
  }
  EXPECT_EQ(respond({.selector_current = 1e-6}, 1e-4, 0).current, 0);
}

TEST(CellLaw, IsChecked) {
  EXPECT_THROW(validate(CellLaw{.nl2 = std::nan("")}), Error);
  EXPECT_THROW(validate(CellLaw{.selector_current = -1}), Error);
  EXPECT_THROW(validate(CellLaw{.selector_voltage = 0}), Error);
}

}  // namespace
}  // namespace crosstate::circuit
