// Noise of reading an array: the independent read noise of all cells of a column sums to one
// Gaussian per column and product.
#pragma once

#include <cstddef>
#include <cstdint>

#include "crosstate/kernels/pointwise.h"

namespace crosstate::crossbar {

/// The address of a product. Every draw depends on this address, its column and the first column
/// read with it, so results depend neither on threads nor on the batch size. Products of one step
/// on one array read different columns. Chips have different seeds.
struct ReadAddress {
  std::uint64_t seed = 0;
  std::uint32_t array = 0;
  std::uint32_t sequence = 0;  // of lane 0; the lanes are consecutive
  std::uint32_t step = 0;      // of the first 16 columns of the panel; consecutive
};

/// out[c] += sqrt(variance[c]) normal for `count` rows c, which are the columns of the array
/// starting at `first_column`, over `steps` time steps of 16 lanes.
///
/// Draws: columns first + 4k .. first + 4k + 3 share the Philox4x32-10 block at counter (step,
/// sequence, array, kRead + 256 (first + 4k)). Words 0 and 1 give the first two normals, words 2
/// and 3 the others, by Box-Muller: the radius from 24 bits of the even word; the angle is one of
/// 2^24 within +-45 degrees from the odd word, whose bits 0 and 1 select the quadrant. No draw
/// exceeds 5.9 standard deviations.
void add_read_noise(const ReadAddress& address, std::size_t first_column, std::size_t count,
                    std::size_t steps, kernels::ConstRows variance, kernels::Rows out);

/// Absolute bound on the error of one normal deviate compared with exact arithmetic on the same
/// words (checked by the tests).
inline constexpr double kNormalTolerance = 2e-5;

}  // namespace crosstate::crossbar
