#include "crosstate/model/panels.h"

#include <cstring>
#include <vector>

#include "crosstate/base/lanes.h"

namespace crosstate::model {

kernels::Rows take(AlignedFloats& memory, std::size_t rows, std::size_t columns) {
  if (memory.size() < rows * columns) memory.resize(rows * columns);
  return {memory.data(), columns};
}

kernels::ConstRows rounded(const Quantizer& q, std::size_t rows, std::size_t columns,
                           kernels::ConstRows x, AlignedFloats& to) {
  if (!q.on) return x;
  const kernels::Rows out = take(to, rows, columns);
  kernels::fake_quantize_forward(q.scale.data(), q.low, q.high, rows, columns, x, out);
  return out;
}

void rounded_adjoint(const Quantizer& q, std::size_t rows, std::size_t columns,
                     kernels::ConstRows x, kernels::Rows g, double* range) {
  if (!q.on || (q.passes && range == nullptr)) return;
  thread_local AlignedFloats discarded;
  std::vector<double> by_row(rows, 0);
  kernels::fake_quantize_adjoint(q.scale.data(), q.low, q.high, q.range_gradient, rows, columns, x,
                                 g, q.passes ? take(discarded, rows, columns) : g, by_row.data());
  if (range == nullptr) return;
  for (const double v : by_row) *range += v;
}

void copy(std::size_t rows, std::size_t columns, kernels::ConstRows from, kernels::Rows to) {
  for (std::size_t r = 0; r < rows; ++r) {
    std::memcpy(to.row(r), from.row(r), columns * sizeof(float));
  }
}

void scale_lanes(const AlignedFloats& factor, std::size_t rows, std::size_t columns,
                 kernels::Rows g) {
  if (factor.empty()) return;
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = g.row(r);
    const float* f = factor.data() + r * kLanes;
    for (std::size_t c = 0; c < columns; c += kLanes) {
      for (std::size_t i = 0; i < kLanes; ++i) row[c + i] *= f[i];
    }
  }
}

void mask_columns(const float* mask, std::size_t rows, std::size_t columns, kernels::Rows g) {
  if (mask == nullptr) return;
  for (std::size_t r = 0; r < rows; ++r) {
    float* row = g.row(r);
    for (std::size_t c = 0; c < columns; ++c) row[c] *= mask[c];
  }
}

}  // namespace crosstate::model
