#include "crosstate/crossbar/lane_product.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"

namespace crosstate::crossbar {
namespace {

TEST(LaneProduct, IsTheSumOfEveryLane) {
  constexpr std::size_t kRows = 9, kCount = 5;
  const std::uint32_t rows[kCount] = {8, 0, 3, 4, 7};
  Random random(1, Stream::kResidual, 0);
  for (const std::size_t steps : {1, 3, 4, 7}) {
    const std::size_t panel = steps * kLanes;
    AlignedFloats weights(kRows * kLanes), in(kRows * panel), out(panel);
    for (float& w : weights) w = static_cast<float>(random.normal());
    for (float& x : in) x = static_cast<float>(random.normal());
    for (const bool all : {false, true}) {
      const std::size_t count = all ? kRows : kCount;
      lane_product(weights.data(), all ? nullptr : rows, count, steps, {in.data(), panel},
                   out.data());
      for (std::size_t k = 0; k < panel; ++k) {
        double sum = 0;
        for (std::size_t i = 0; i < count; ++i) {
          sum += double{weights[i * kLanes + k % kLanes]} * in[(all ? i : rows[i]) * panel + k];
        }
        EXPECT_NEAR(out[k], sum, 1e-5) << steps << ' ' << k;
      }
    }
  }
}

}  // namespace
}  // namespace crosstate::crossbar
