// Small operations on the panels of one block of time.
#pragma once

#include <cstddef>

#include "crosstate/base/lanes.h"
#include "crosstate/kernels/pointwise.h"
#include "crosstate/model/network_state.h"

namespace crosstate::model {

/// A panel in reused memory, with undefined contents.
kernels::Rows take(AlignedFloats& memory, std::size_t rows, std::size_t columns);

/// Quantizes x into `to` if the quantizer is enabled; otherwise returns x.
kernels::ConstRows rounded(const Quantizer& q, std::size_t rows, std::size_t columns,
                           kernels::ConstRows x, AlignedFloats& to);

/// Adjoint in place on g, which pass-through estimators leave unchanged; adds the gradient of the
/// range.
void rounded_adjoint(const Quantizer& q, std::size_t rows, std::size_t columns,
                     kernels::ConstRows x, kernels::Rows g, double* range);

/// to = from.
void copy(std::size_t rows, std::size_t columns, kernels::ConstRows from, kernels::Rows to);

/// g[r][t][lane] *= factor[r][lane].
void scale_lanes(const AlignedFloats& factor, std::size_t rows, std::size_t columns,
                 kernels::Rows g);

/// g[r][c] *= mask[c]; a null mask is all ones.
void mask_columns(const float* mask, std::size_t rows, std::size_t columns, kernels::Rows g);

}  // namespace crosstate::model
