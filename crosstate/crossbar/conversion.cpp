// One pass over every row.
#include "crosstate/crossbar/conversion.h"

#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/crossbar/conversion.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/crossbar/conversion-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::crossbar {
namespace HWY_NAMESPACE {

void ConvertColumns(std::span<const ColumnConversion> conversions, std::size_t columns,
                    kernels::Rows sums) {
  for (std::size_t c = 0; c < conversions.size(); ++c) {
    float* const x = sums.row(c);
    for (std::size_t k = 0; k < columns; k += kN) {
      hn::Store(converted(conversions[c], hn::Load(d, x + k)), d, x + k);
    }
  }
}

void DriveRows(std::span<const float> bends, float inverse_range, std::size_t columns,
               kernels::ConstRows codes, kernels::Rows driven) {
  for (std::size_t r = 0; r < bends.size(); ++r) {
    for (std::size_t k = 0; k < columns; k += kN) {
      const V x = hn::Load(d, codes.row(r) + k);
      hn::Store(with_inl(bends[r], inverse_range, x), d, driven.row(r) + k);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::crossbar
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::crossbar {

HWY_EXPORT(ConvertColumns);
HWY_EXPORT(DriveRows);

void convert_columns(std::span<const ColumnConversion> conversions, std::size_t columns,
                     kernels::Rows sums) {
  HWY_DYNAMIC_DISPATCH(ConvertColumns)(conversions, columns, sums);
}

void drive_rows(std::span<const float> bends, float inverse_range, std::size_t columns,
                kernels::ConstRows codes, kernels::Rows driven) {
  HWY_DYNAMIC_DISPATCH(DriveRows)(bends, inverse_range, columns, codes, driven);
}

}  // namespace crosstate::crossbar
#endif
