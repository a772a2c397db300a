// The diagonal state-space recurrence over 16 sequences at once: forward and adjoint.
//
//   x_k = round(A x_{k-1} + b u_k)        y_k += Re(c x_k)
//
// A and c are complex per mode; b is real (a complex input gain is folded into c, since scaling the
// state does not change a diagonal A). `c` includes the factor 2 of the conjugate pair. The state
// is in units of quantization steps, so that it is rounded to integers; without rounding the unit
// is arbitrary. A rounded state is the nearest integer to the sum A x_{k-1} + b u_k + o_k and
// saturates at +-limit; the rounding modes differ in the offset o_k of each part:
//
//   nearest      o_k = 2^-15 (kScanTie)
//   stochastic   o_k = s ((r_k + 1/2) 2^-14 - 1/2), r_k uniform in [0, 2^14) (state_draws.h): with
//                a spread s of 1, x_k is A x_{k-1} + b u_k in the mean; others are noise of
//                converters
//   noise-shaped o_k = e_{k-1}; the sum is rounded to r bits of fraction, S_k, and then to the
//                state x_k, ties upwards in both. e_k = S_k - x_k in [-1/2, 1/2), or 0 where x_k
//                saturates: rounding errors do not accumulate. r is a number of each mode; 0 is
//                nearest (residue.h)
//
// Where states, poles and gains are multiples of 2^-14 together, no sum lies on a tie then, and no
// rounding error of a float decides one: nearest sends ties upwards, as a rounding shift on
// integers has them, and stochastic is floor(A x_{k-1} + b u_k + r_k 2^-14).
//
// Sources: S4D (Gu et al., arXiv 2206.11893); the state rounded in the loop: QS4D (arXiv
// 2507.06079).
#pragma once

#include <cstddef>
#include <cstdint>

namespace crosstate::kernels {

/// The modes of one channel, `modes` values in each array. Real modes: ai and ci are null.
/// b null means b = 1; no b is 0.
struct ScanModes {
  std::size_t modes = 0;
  const float* ar = nullptr;
  const float* ai = nullptr;
  const float* b = nullptr;
  const float* cr = nullptr;
  const float* ci = nullptr;
};

inline constexpr float kScanTie = 1.0f / (1 << 15);

enum class RoundingMode { kNearest, kStochastic, kNoiseShaped };

/// The address of the draws of stochastic rounding; ignored by the other modes.
struct DrawAddress {
  const std::uint32_t* seeds = nullptr;  // [16], one per sequence
  std::uint32_t first_mode = 0;          // number of the channel's first mode in the network
  std::uint32_t first_step = 0;          // number of the first time step in the sequence
};

/// limit = 0: the state is not rounded. Otherwise an integer, 127 for 8 bits.
struct StateRounding {
  float limit = 0;
  RoundingMode mode = RoundingMode::kNearest;
  DrawAddress draws = {};
  // stochastic: widths of the offsets of real and imaginary part of every mode, [modes][2], whose
  // deviation is a sqrt(12)th of it; null: 1
  const float* spread = nullptr;
  /// noise-shaped: bits of the residue of every mode, [modes], each 0 .. kMostResidueBits. In these
  /// lanes a state of b bits has at most 22 - b, and its sums are rounded to the same number of
  /// fraction bits.
  const std::uint8_t* residue_bits = nullptr;
};

/// Sums of dL/d(coefficient) over time and lanes, `modes` values each; added to. b null: its
/// gradient is not wanted.
struct ScanGradients {
  double* ar = nullptr;
  double* ai = nullptr;
  double* b = nullptr;
  double* cr = nullptr;
  double* ci = nullptr;
};

/// Floats of state per channel: real and imaginary parts of every mode in 16 lanes,
/// [modes][2][16]; the imaginary half of a real mode stays unused. The residues e of a noise-shaped
/// state follow in the same form.
std::size_t scan_state_size(std::size_t modes, RoundingMode mode = RoundingMode::kNearest);

/// Floats of scratch memory that scan_adjoint needs per time step: the states of up to four modes.
inline constexpr std::size_t kScanScratch = 4 * 2 * 16;

/// Runs `steps` time steps of one channel. u, y: [steps][16]; y is added to. state: in, out.
/// The state is stored after the last step, so a sequence may be cut anywhere.
void scan_forward(const ScanModes& modes, const StateRounding& rounding, std::size_t steps,
                  const float* u, float* y, float* state);

/// The adjoint of scan_forward over the same steps. `start` is the state before the first step;
/// the states between are recomputed into `scratch` (kScanScratch * steps floats), so the adjoint
/// needs no other memory. gy: [steps][16] dL/dy; gu: [steps][16], added to; carry: [modes][2][16],
/// the adjoint state A^H lambda entering from later steps, replaced by the one for earlier steps.
/// Rounding passes gradients straight through where the state did not saturate, in every mode.
/// Residues have no gradient: with the straight-through derivatives of S and x, that of
/// e = S - x is 0.
void scan_adjoint(const ScanModes& modes, const StateRounding& rounding, std::size_t steps,
                  const float* u, const float* start, const float* gy, float* gu, float* carry,
                  const ScanGradients& gradients, float* scratch);

/// Relative bound on |fast - reference| for a channel: outputs, states and gradients differ by at
/// most this times the largest magnitude in the array, for |A| <= 1 (tests read it).
inline constexpr double kScanTolerance = 2e-5;

/// Floating-point operations of one mode, one step and one lane (an FMA counts as two), complex
/// modes with unit b, rounding not counted: forward, and adjoint with its recomputation.
inline constexpr double kScanForwardFlops = 11;
inline constexpr double kScanAdjointFlops = 7 + 27;

}  // namespace crosstate::kernels
