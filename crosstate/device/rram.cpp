// Filamentary RRAM whose standard deviation is a polynomial of the conductance.
#include <algorithm>

#include "crosstate/device/families.h"

namespace crosstate::device {
namespace {

constexpr double kDay = 86400;

struct Quartic {
  double c0, c1, c2, c3, c4;
  double operator()(double r) const { return c0 + r * (c1 + r * (c2 + r * (c3 + r * c4))); }
};

// Wan et al., Nature 608, 2022 (NeuRRAM), as polynomials of r = g / 40 uS.
constexpr Quartic kNeurram[] = {{0.348, 16.030, -43.853, 45.393, -16.815},   // after 1 s
                                {0.701, 22.086, -50.773, 47.095, -16.458},   // 1 day
                                {0.782, 20.274, -43.507, 37.062, -11.934}};  // 2 days

double neurram_cubic(double g) { return 1.053 + g * (0.2374 + g * (-0.01167 + g * 1.536e-4)); }

}  // namespace

ModelPointer make_neurram_cubic(const DeviceOptions& options) {
  return make_timed(options, {.range = {0, 39.26},
                              .times = {1},
                              .at =
                                  [](std::size_t, double target) {
                                    return Moments{target, neurram_cubic(target)};
                                  },
                              .read_deviation = {},
                              .source = {}});
}

ModelPointer make_neurram(const DeviceOptions& options) {
  return make_timed(options, {.range = {0, 40},
                              .times = {1, kDay, 2 * kDay},
                              .at =
                                  [](std::size_t time, double target) {
                                    return Moments{target, kNeurram[time](target / 40)};
                                  },
                              .read_deviation = {},
                              .source = {}});
}

// Milo et al., IRPS 2021: programming only.
ModelPointer make_milo(const DeviceOptions& options) {
  return make_timed(options, {.range = {50, 225},
                              .times = {0},
                              .at =
                                  [](std::size_t, double target) {
                                    return Moments{target, 4.782 - 0.009107 * target};
                                  },
                              .read_deviation = {},
                              .ages = false,
                              .source = {}});
}

}  // namespace crosstate::device
