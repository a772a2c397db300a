// Products whose weights differ from lane to lane, that is, from sequence to sequence.
#pragma once

#include <cstddef>
#include <cstdint>

#include "crosstate/kernels/pointwise.h"

namespace crosstate::crossbar {

/// out[t][lane] = sum_i weights[i][lane] in[rows[i]][t][lane] for `count` weights, over `steps`
/// time steps of 16 lanes. rows: null for 0, 1, 2, ...; weights and out are aligned.
void lane_product(const float* weights, const std::uint32_t* rows, std::size_t count,
                  std::size_t steps, kernels::ConstRows in, float* out);

}  // namespace crosstate::crossbar
