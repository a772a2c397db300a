// Charge-trap memory in subthreshold, Agrawal et al., IEDM 2022. Its statistics are given for the
// cell current I, up to 1600 nA; at the read voltage of 0.1 V this is 16 uS.
#include <algorithm>
#include <cmath>
#include <iterator>

#include "crosstate/device/families.h"

namespace crosstate::device {
namespace {

constexpr double kDay = 86400;
constexpr double kMicrosiemens = 100;  // nA at 0.1 V

struct Saturating {
  double a, b;  // nA
  double operator()(double current) const { return a * (1 - std::exp(-current / b)); }
};

// Programming, and 1 to 5 days later.
constexpr Saturating kState[] = {{19.88665, 176.3115},  {25.59102, 186.85544},
                                 {28.72753, 193.56834}, {31.04318, 198.90332},
                                 {33.76214, 204.77023}, {34.57909, 207.34309}};
constexpr Saturating kRead = {12.58037, 215.36557};

// Change of the mean in nA after 1 to 5 days: polynomials of the programmed current in nA, the fit
// of CrossSim (sandialabs/cross-sim, simulator/devices/custom/SONOS.py) to Fig. 10(b). Above 1400
// nA the fit diverges, from -2.8 % to -15 % of 1600 nA; there the share at 1400 nA is assumed.
constexpr double kFitted = 1400;
constexpr double kChange[][11] = {
    {6.83650e-01, 6.51250e-03, -4.03163e-04, 3.37944e-06, -1.87435e-08, 5.88902e-11, -1.07685e-13,
     1.17751e-16, -7.60016e-20, 2.67255e-23, -3.94954e-27},
    {6.60925e-01, 8.60627e-03, -1.72936e-04, 7.44096e-07, -5.94866e-09, 2.36734e-11, -4.83740e-14,
     5.56072e-17, -3.65397e-20, 1.28405e-23, -1.87450e-27},
    {1.15821e+00, 1.96116e-02, -4.70807e-04, 3.67510e-06, -2.08786e-08, 6.59752e-11, -1.19499e-13,
     1.28435e-16, -8.11574e-20, 2.78802e-23, -4.02057e-27},
    {8.72216e-01, 1.70926e-02, -2.23370e-04, 1.57526e-06, -1.32779e-08, 5.08256e-11, -1.01251e-13,
     1.14633e-16, -7.46124e-20, 2.60559e-23, -3.78724e-27},
    {1.15294e+00, 1.03149e-02, -6.05199e-05, 1.76086e-08, -6.46690e-09, 3.39044e-11, -7.53872e-14,
     8.98185e-17, -6.00346e-20, 2.12615e-23, -3.11099e-27}};

// In nA; the deviation is that of the mean current.
Moments moments(std::size_t days, double current) {
  const double fitted = std::min(current, kFitted);
  double change = 0;
  for (std::size_t k = std::size(kChange[0]); days > 0 && k-- > 0;) {
    change = change * fitted + kChange[days - 1][k];
  }
  const double mean = std::max(0.0, current + change * std::max(1.0, current / kFitted));
  return {mean, kState[days](mean)};
}

}  // namespace

ModelPointer make_sonos(const DeviceOptions& options) {
  return make_timed(
      options,
      {.range = {0, 16},
       .times = {0, kDay, 2 * kDay, 3 * kDay, 4 * kDay, 5 * kDay},
       .at =
           [](std::size_t days, double target) {
             const Moments current = moments(days, target * kMicrosiemens);
             return Moments{current.mean / kMicrosiemens, current.deviation / kMicrosiemens};
           },
       .read_deviation = [](double g) { return kRead(g * kMicrosiemens) / kMicrosiemens; },
       .source = {}});
}

}  // namespace crosstate::device
