#include "crosstate/kernels/noise.h"

#include "crosstate/kernels/simd/targets.h"
#include "crosstate/kernels/state_draws.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/kernels/simd/noise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/kernels/simd/lanes-inl.h"
#include "crosstate/kernels/simd/rounding-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::kernels {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

HWY_INLINE V byte_sum(VU bits) {
  const VU bytes = hn::Set(du, 0x00FF00FF);
  const VU pairs = hn::Add(hn::And(bits, bytes), hn::And(hn::ShiftRight<8>(bits), bytes));
  const VU sum = hn::And(hn::Add(pairs, hn::ShiftRight<16>(pairs)), hn::Set(du, 0xFFFF));
  return hn::ConvertTo(d, hn::BitCast(di, sum));
}

void AddNoise(const NoiseAddress& a, std::size_t rows, std::size_t steps, const float* deviation,
              ConstRows x, Rows y) {
  const V mean = hn::Set(d, kByteSumMean);
  for (std::size_t r = 0; r < rows; ++r) {
    const V scale = hn::Set(d, deviation[r] / kByteSumDeviation);
    const VU row = hn::Set(du, mix(a.first_row + static_cast<std::uint32_t>(r)));
    for (std::size_t lane = 0; lane < kLanes; lane += kN) {
      const VU key = mix_lanes(hn::Xor(hn::LoadU(du, a.seeds + lane), row));
      for (std::size_t t = 0; t < steps; ++t) {
        const VU step = hn::Set(du, mix(a.first_step + static_cast<std::uint32_t>(t)));
        const V deviate = hn::Sub(byte_sum(mix_lanes(hn::Xor(key, step))), mean);
        const std::size_t at = t * kLanes + lane;
        hn::Store(hn::MulAdd(deviate, scale, hn::Load(d, x.row(r) + at)), d, y.row(r) + at);
      }
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace crosstate::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace crosstate::kernels {

HWY_EXPORT(AddNoise);

void add_noise(const NoiseAddress& address, std::size_t rows, std::size_t steps,
               const float* deviation, ConstRows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(AddNoise)(address, rows, steps, deviation, x, y);
}

}  // namespace crosstate::kernels
#endif
