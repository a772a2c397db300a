// Integer arithmetic in floating-point lanes. A float represents all integers up to 2^24 and a
// double all up to 2^53; sums and products below these are exact in any order, and fused
// multiply-adds do not round. Callers prove the bounds (integer/certificate.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "crosstate/kernels/pointwise.h"
#include "crosstate/kernels/scan.h"

namespace crosstate::kernels {

/// A look-up table indexed by the distance of a code from the lowest code.
struct LaneTable {
  const float* values = nullptr;
  // [256]: values minus the lowest value; null if there are more entries, or wider ones
  const std::uint8_t* bytes = nullptr;
  float lowest = 0;
};

/// floor((p first + q second + half) inverse) clamped to [low, high], with shifts as powers of two:
/// half = 2^(shift - 1), inverse = 2^-shift. With a table, the entry of that code. With a tie, p
/// and q are integers.
struct LaneRequantizer {
  const double* first = nullptr;
  const double* second = nullptr;  // null: no second term
  const double* half = nullptr;
  const double* inverse = nullptr;
  const float* fast_first = nullptr;   // first inverse, rounded
  const float* fast_second = nullptr;  // second inverse, rounded
  // Half of the number of which (p first + q second) inverse is a multiple, at most 1/4; 0 if it is
  // small or unknown.
  const float* tie = nullptr;
  const LaneTable* table = nullptr;  // null: the code itself
  float low = 0, high = 0;
  float second_most = 0;  // bound on |q|
};

/// With one set of factors per row of a panel. `out` may be p or q.
void requantize_rows(const LaneRequantizer& r, std::size_t rows, std::size_t columns, ConstRows p,
                     ConstRows q, Rows out);
/// With one set per element of vectors of `count` values, a multiple of 16. `out` may be p or q.
void requantize_each(const LaneRequantizer& r, std::size_t count, const float* p, const float* q,
                     float* out);

/// One time step of one sequence; lanes are channels. Every array is [modes][channels], with a
/// multiple of 16 channels; x <- round(A x + b u) as in scan_forward(), y = sum over modes of Re(c
/// x). Real modes: ai, ci and xi are null.
struct StreamModes {
  std::size_t modes = 0, channels = 0;
  const float *ar = nullptr, *ai = nullptr, *b = nullptr, *cr = nullptr, *ci = nullptr;
  float limit = 0;
  RoundingMode rounding = RoundingMode::kNearest;
  const std::uint32_t* keys = nullptr;  // state_key of every mode; stochastic only
  // HeldResidue of every mode; noise-shaped only.
  const float* rest = nullptr;
  const std::int32_t* keep = nullptr;
};
struct StreamState {
  float *xr = nullptr, *xi = nullptr;
  float *er = nullptr, *ei = nullptr;  // residues, `rest` at first; noise-shaped only
};
void stream_scan(const StreamModes& modes, std::uint32_t step, const float* u,
                 const StreamState& state, float* y);

/// y = W x + bias of one vector; transposed: [inputs][outputs], with a multiple of 16 outputs.
void stream_linear(const float* transposed, const float* bias, std::size_t inputs,
                   std::size_t outputs, const float* x, float* y);

}  // namespace crosstate::kernels
