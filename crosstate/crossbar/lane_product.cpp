// Four time steps share each load of the weights.
#include "crosstate/crossbar/lane_product.h"

#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/crossbar/lane_product.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::crossbar {
namespace HWY_NAMESPACE {
using namespace kernels::HWY_NAMESPACE;
namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE std::size_t row_of(const std::uint32_t* rows, std::size_t i) {
  return rows == nullptr ? i : rows[i];
}

void LaneProduct(const float* weights, const std::uint32_t* rows, std::size_t count,
                 std::size_t steps, kernels::ConstRows in, float* out) {
  for (std::size_t lane = 0; lane < kLanes; lane += kN) {
    const float* const w = weights + lane;
    std::size_t t = 0;
    for (; t + 4 <= steps; t += 4) {
      const std::size_t at = t * kLanes + lane;
      V a = hn::Zero(d), b = a, c = a, e = a;
      for (std::size_t i = 0; i < count; ++i) {
        const V by = hn::Load(d, w + i * kLanes);
        const float* const x = in.row(row_of(rows, i)) + at;
        a = hn::MulAdd(by, hn::LoadU(d, x), a);
        b = hn::MulAdd(by, hn::LoadU(d, x + kLanes), b);
        c = hn::MulAdd(by, hn::LoadU(d, x + 2 * kLanes), c);
        e = hn::MulAdd(by, hn::LoadU(d, x + 3 * kLanes), e);
      }
      hn::Store(a, d, out + at);
      hn::Store(b, d, out + at + kLanes);
      hn::Store(c, d, out + at + 2 * kLanes);
      hn::Store(e, d, out + at + 3 * kLanes);
    }
    for (; t < steps; ++t) {
      const std::size_t at = t * kLanes + lane;
      V sum = hn::Zero(d);
      for (std::size_t i = 0; i < count; ++i) {
        const V x = hn::LoadU(d, in.row(row_of(rows, i)) + at);
        sum = hn::MulAdd(hn::Load(d, w + i * kLanes), x, sum);
      }
      hn::Store(sum, d, out + at);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::crossbar
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::crossbar {

HWY_EXPORT(LaneProduct);

void lane_product(const float* weights, const std::uint32_t* rows, std::size_t count,
                  std::size_t steps, kernels::ConstRows in, float* out) {
  HWY_DYNAMIC_DISPATCH(LaneProduct)(weights, rows, count, steps, in, out);
}

}  // namespace crosstate::crossbar
#endif
