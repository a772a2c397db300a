// The diagonal state-space recurrence over 16 sequences at once: forward and adjoint.
//
//   x_k = round(A x_{k-1} + b u_k)        y_k += Re(c x_k)
//
// A and c are complex per mode, b is real (a complex input gain folds into c: scaling the state
// leaves a diagonal A alone). `c` carries the factor 2 of the conjugate pair. The state is counted
// in quantization steps, so that rounding is rounding to integers; without rounding the unit is
// free. Rounding is to nearest, ties upwards as a rounding shift on integers has them, and
// saturates at +-limit: kScanTie is added before the nearest whole number is taken. Where states,
// poles and gains are multiples of 2 kScanTie together, no sum lies on a tie then, and no rounding
// error of a float decides one.
//
// Sources: S4D (Gu et al., arXiv 2206.11893); the state rounded in the loop: QS4D (arXiv
// 2507.06079).
#pragma once

#include <cstddef>

namespace crosstate {

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

/// limit = 0: the state is not rounded. Otherwise a whole number, 127 for 8 bits.
struct StateRounding {
  float limit = 0;
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
/// [modes][2][16]; the imaginary half of a real mode stays unused.
std::size_t scan_state_size(std::size_t modes);

/// Floats of scratch memory that scan_adjoint needs per time step: the states of up to four modes.
inline constexpr std::size_t kScanScratch = 4 * 2 * 16;

/// Runs `steps` time steps of one channel. u, y: [steps][16]; y is added to. state: in, out.
/// The state is stored after the last step, so a sequence may be cut anywhere.
void scan_forward(const ScanModes& modes, StateRounding rounding, std::size_t steps, const float* u,
                  float* y, float* state);

/// The adjoint of scan_forward over the same steps. `start` is the state before the first step;
/// the states between are recomputed into `scratch` (kScanScratch * steps floats), so the adjoint
/// needs no other memory. gy: [steps][16] dL/dy; gu: [steps][16], added to; carry: [modes][2][16],
/// the adjoint state A^H lambda entering from later steps, replaced by the one for earlier steps.
/// Rounding passes gradients straight through where the state did not saturate.
void scan_adjoint(const ScanModes& modes, StateRounding rounding, std::size_t steps, const float* u,
                  const float* start, const float* gy, float* gu, float* carry,
                  const ScanGradients& gradients, float* scratch);

/// Relative bound on |fast - reference| for a channel: outputs, states and gradients differ by at
/// most this times the largest magnitude in the array, for |A| <= 1 (tests read it).
inline constexpr double kScanTolerance = 2e-5;

/// Floating-point operations of one mode, one step and one lane (an FMA counts as two), complex
/// modes with unit b, rounding not counted: forward, and adjoint with its recomputation.
inline constexpr double kScanForwardFlops = 11;
inline constexpr double kScanAdjointFlops = 7 + 27;

}  // namespace crosstate
