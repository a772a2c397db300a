// Which sites of a network are rounded, and how.
#pragma once

#include <string>

#include "crosstate/base/options.h"

namespace crosstate {

/// Bits per site; 0 leaves a site in floating point. Symmetric signed codes: b bits hold
/// -(2^(b-1) - 1) .. 2^(b-1) - 1, so 2 bits are ternary.
struct QuantOptions {
  int weight_bits = 8;  // encoder, pointwise layers, decoder
  int a_bits = 8;       // the discretised A, per real number
  int c_bits = 8;       // C with B and the state's scale folded in
  int d_bits = 8;
  int activation_bits = 8;  // input, residual stream, SSM output, activation, linear output, gate
  int state_bits = 8;       // real and imaginary part, rounded at every step
  std::string granularity = "channel";  // weight scales: channel | tensor
  std::string a_coding = "log-polar";   // log-polar | cartesian
  std::string scales = "pow2";          // activation scales: pow2 | free
  double weight_noise = 0;              // relative Gaussian noise on every weight while training
  std::string noise_recurrence =
      "increment";  // noise on A is relative to: increment (A - 1) | direct (A)
};

/// Binds the fields of section "quant".
void fields(FieldList& list, QuantOptions& options);
/// Throws Error for a value out of its range, and for one bit at any site.
void validate(const QuantOptions& options);

}  // namespace crosstate
