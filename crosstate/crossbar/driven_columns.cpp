// Four columns share a block of random words; sums stay in registers until they are corrected.
#include "crosstate/crossbar/driven_columns.h"

#include <algorithm>

#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/crossbar/driven_columns.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/crossbar/conversion-inl.h"
#include "crosstate/crossbar/normal-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::crossbar {
namespace HWY_NAMESPACE {

struct Inputs {
  kernels::ConstRows codes, driven;
  const float* weights;  // by driven row and lane; null: the table's
};

// Sum and variance of column c in the lanes starting at `lane`, at `at` in the rows of the panel.
HWY_INLINE V sum_of(const DrivenColumns& table, std::size_t c, const Inputs& in, std::size_t at,
                    std::size_t lane) {
  V sum = hn::Zero(d);
  for (std::size_t i = table.first[c]; i < table.first[c + 1]; ++i) {
    const V x = hn::Load(d, in.driven.row(table.rows[i]) + at);
    if (in.weights != nullptr) {
      sum = hn::MulAdd(hn::Load(d, in.weights + i * kLanes + lane), x, sum);
    } else {
      sum = hn::Add(sum, hn::Mul(hn::Set(d, table.weights[i]), x));
    }
  }
  return sum;
}
HWY_INLINE V variance_of(const DrivenColumns& table, std::size_t c, const Inputs& in,
                         std::size_t at) {
  V sum = hn::Set(d, table.fixed_variance[c]);
  if (table.variances.empty()) return sum;
  for (std::size_t i = table.first[c]; i < table.first[c + 1]; ++i) {
    const V x = hn::Load(d, in.driven.row(table.rows[i]) + at);
    sum = hn::Add(sum, hn::Mul(hn::Set(d, table.variances[i]), hn::Mul(x, x)));
  }
  return sum;
}

HWY_INLINE V corrected(const DrivenColumns& table, std::size_t c, kernels::ConstRows codes,
                       std::size_t at, V x) {
  if (!table.shift.empty()) x = hn::Add(x, hn::Set(d, table.shift[c]));
  if (table.own.empty() || table.own[c] == 0) return x;
  const V code = hn::Load(d, codes.row(table.own_row[c]) + at);
  return hn::Add(x, hn::Mul(hn::Set(d, table.own[c]), code));
}

void ReadDriven(const DrivenColumns& table, const ReadAddress& address, std::size_t first,
                std::size_t count, std::size_t steps, kernels::ConstRows codes,
                kernels::ConstRows driven, const float* weights, kernels::Rows out) {
  const Inputs in{codes, driven, weights};
  const bool noisy = !table.fixed_variance.empty();
  for (std::size_t t = 0; t < steps; ++t) {
    for (std::size_t k = 0; k < count; k += 4) {
      const std::size_t columns = std::min<std::size_t>(count - k, 4);
      for (std::size_t lane = 0; lane < kLanes; lane += kN) {
        const std::size_t at = t * kLanes + lane;
        V sums[4];
        for (std::size_t i = 0; i < columns; ++i) {
          sums[i] = sum_of(table, first + k + i, in, at, lane);
        }
        if (noisy) {
          const FourNormals normals(address, t, lane, first + k, columns);
          for (std::size_t i = 0; i < columns; ++i) {
            sums[i] = normals.disturb(i, variance_of(table, first + k + i, in, at), sums[i]);
          }
        }
        for (std::size_t i = 0; i < columns; ++i) {
          const std::size_t c = first + k + i;
          const V x = converted(table.conversions[c], sums[i]);
          hn::Store(corrected(table, c, in.codes, at, x), d, out.row(k + i) + at);
        }
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::crossbar
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::crossbar {

HWY_EXPORT(ReadDriven);

void read_driven(const DrivenColumns& table, const ReadAddress& address, std::size_t first,
                 std::size_t count, std::size_t steps, kernels::ConstRows codes,
                 kernels::ConstRows driven, const float* weights, kernels::Rows out) {
  HWY_DYNAMIC_DISPATCH(ReadDriven)
  (table, address, first, count, steps, codes, driven, weights, out);
}

}  // namespace crosstate::crossbar
#endif
