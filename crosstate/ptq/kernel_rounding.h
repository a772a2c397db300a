// Rounding of the recurrence of a channel: the codes of its poles are chosen jointly by the error
// of the channel's output instead of the distance of each pole.
#pragma once

#include <complex>
#include <cstddef>
#include <span>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/model/recurrence.h"
#include "crosstate/quant/options.h"

namespace crosstate::ptq {

/// How well other poles reproduce the response of a channel to inputs. The error of a set of poles
/// is the mean square deviation of the response with the best C for them, plus the error of
/// rounding that C to `c_bits`: large coefficients that cancel each other do not survive rounding.
class KernelFit {
 public:
  /// modes: those of the channel in float. inputs: [steps][16], 16 sequences in parallel; for unit
  /// impulses the response is the impulse response.
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
  std::vector<double> response_;                    // [columns]
  double power_ = 0;                                // of the response
  mutable std::vector<Mode> cache_;                 // recently used poles
  mutable std::vector<std::complex<double>> last_;  // the set before, with its products
  mutable std::vector<double> gram_, cross_;
};

/// Float poles whose codes at a site are a better choice for the channel than its own: starting
/// from `modes`, single poles move to adjacent codes as long as the error after
/// quant::quantize_poles() decreases. Never worse than the start. Poles are not moved to 0, nor
/// real ones to the other side of it.
std::vector<std::complex<double>> choose_poles(std::span<const model::DiscreteMode> modes,
                                               bool complex, const AlignedFloats& inputs,
                                               const quant::PoleSite& site, int c_bits);

}  // namespace crosstate::ptq
