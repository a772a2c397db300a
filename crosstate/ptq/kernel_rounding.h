// Rounding of the recurrence of a channel: poles with codes chosen together, by what the channel
// computes with them instead of by the distance of each.
#pragma once

#include <complex>
#include <cstddef>
#include <span>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/model/recurrence.h"
#include "crosstate/quant/options.h"

namespace crosstate::ptq {

/// How well other poles reproduce the response of a channel to inputs. The error of poles is the
/// mean square of what the best C for them leaves of the response, plus what rounding that C to
/// `c_bits` adds: large coefficients that cancel each other do not survive it.
class KernelFit {
 public:
  /// modes: of the channel in floating point. inputs: [steps][16], 16 sequences side by side; unit
  /// impulses make the response the impulse response.
  KernelFit(std::span<const model::DiscreteMode> modes, bool complex, const AlignedFloats& inputs,
            int c_bits);

  double error(std::span<const std::complex<double>> poles) const;

 private:
  struct Mode {
    std::complex<double> pole;
    std::vector<double> re, im;  // samples of the state; negative imaginary parts, none if real
  };
  Mode run(std::complex<double> pole) const;
  const Mode& mode(std::complex<double> pole) const;

  bool complex_;
  std::size_t steps_, stride_, columns_;
  const AlignedFloats& inputs_;
  double limit_;
  std::vector<double> response_;     // [columns]
  double power_ = 0;                 // of the response
  mutable std::vector<Mode> cache_;  // of poles seen lately
};

/// Poles in floating point whose codes at a site are a better choice for the channel than those of
/// its own: starting from those of `modes`, single poles move to neighbouring codes as long as the
/// error of what quant::quantize_poles() makes of all of them falls. Never worse than the start.
std::vector<std::complex<double>> choose_poles(std::span<const model::DiscreteMode> modes,
                                               bool complex, const AlignedFloats& inputs,
                                               const quant::PoleSite& site, int c_bits);

}  // namespace crosstate::ptq
