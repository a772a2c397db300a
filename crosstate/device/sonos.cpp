// Charge-trap memory in subthreshold, Agrawal et al., IEDM 2022. Its statistics are given for the
// cell current I, up to 1600 nA; at the read voltage of 0.1 V this is 16 uS.
#include <cmath>

#include "crosstate/device/families.h"

namespace crosstate::device {
namespace {

constexpr double kDay = 86400;
constexpr double kMicrosiemens = 100;  // nA at 0.1 V

struct Saturating {
  double a, b;  // nA
  double operator()(double g) const {
    return a * (1 - std::exp(-g * kMicrosiemens / b)) / kMicrosiemens;
  }
};

constexpr Saturating kState[] = {{19.89, 176.3}, {25.59, 186.9}, {34.58, 207.3}};
constexpr Saturating kRead = {12.58, 215.4};

}  // namespace

ModelPointer make_sonos(const DeviceOptions& options) {
  return make_timed(options, {.range = {0, 16},
                              .times = {0, kDay, 5 * kDay},
                              .at =
                                  [](std::size_t time, double target) {
                                    return Moments{target, kState[time](target)};
                                  },
                              .read_deviation = [](double g) { return kRead(g); },
                              .source = {}});
}

}  // namespace crosstate::device
