// Lanes are sequences. A draw takes 2.5 ns on one core with AVX2, a column of a product over 51
// rows 1.4 ns.
#include "crosstate/crossbar/read_noise.h"

#include <algorithm>

#include "crosstate/kernels/simd/targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "crosstate/crossbar/read_noise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "crosstate/crossbar/normal-inl.h"

HWY_BEFORE_NAMESPACE();
namespace crosstate::crossbar {
namespace HWY_NAMESPACE {
void AddReadNoise(const ReadAddress& address, std::size_t first, std::size_t count,
                  std::size_t steps, kernels::ConstRows variance, kernels::Rows out) {
  for (std::size_t t = 0; t < steps; ++t) {
    for (std::size_t c = 0; c < count; c += 4) {
      const std::size_t columns = std::min<std::size_t>(count - c, 4);
      for (std::size_t lane = 0; lane < kLanes; lane += kN) {
        const FourNormals normals(address, t, lane, first + c, columns);
        for (std::size_t i = 0; i < columns; ++i) {
          const std::size_t at = t * kLanes + lane;
          float* const x = out.row(c + i) + at;
          const V spread = hn::Load(d, variance.row(c + i) + at);
          hn::Store(normals.disturb(i, spread, hn::Load(d, x)), d, x);
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

HWY_EXPORT(AddReadNoise);

void add_read_noise(const ReadAddress& address, std::size_t first_column, std::size_t count,
                    std::size_t steps, kernels::ConstRows variance, kernels::Rows out) {
  HWY_DYNAMIC_DISPATCH(AddReadNoise)(address, first_column, count, steps, variance, out);
}

}  // namespace crosstate::crossbar
#endif
