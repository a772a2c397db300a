#include "crosstate/crossbar/conversion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"
#include "crosstate/kernels/dispatch.h"

namespace crosstate::crossbar {
namespace {

float with_inl(float bend, float inverse, float x) {
  const float t = std::clamp(x * inverse, -1.0f, 1.0f);
  return x + bend * (t - t * t * t);
}

float converted(const ColumnConversion& c, float x) {
  if (c.distorts) {
    x = x * c.gain * c.inverse + c.shift;
    x = with_inl(c.bend, c.step_of_range, x) * c.step;
  }
  if (c.high == 0) return x;
  const float whole = std::floor((x - c.between) * c.inverse + 0.5f);
  return std::clamp(whole, -c.high, c.high) * c.step + c.between;
}

TEST(Conversion, EqualsItsFormulaOnEveryInstructionSet) {
  Random random(1, Stream::kResidual, 0);
  const auto normal = [&] { return static_cast<float>(random.normal()); };
  constexpr std::size_t kColumns = 60, kPanel = 3 * kLanes;
  std::vector<ColumnConversion> conversions;
  std::vector<float> bends;
  for (std::size_t c = 0; c < kColumns; ++c) {
    ColumnConversion& to = conversions.emplace_back();
    to.step = std::exp2(normal());
    to.inverse = 1 / to.step;
    to.distorts = c % 2 == 0;
    if (to.distorts) {
      to.gain = 1 + 0.1f * normal();
      to.shift = normal();
      to.bend = normal();
      to.step_of_range = 0.03f;
    }
    to.high = c % 3 == 0 ? 0 : 15;
    to.between = c % 3 == 1 ? to.step / 2 : 0;
    bends.push_back(normal());
  }
  AlignedFloats in(kColumns * kPanel);
  for (float& x : in) x = 20 * normal();
  for (const std::string& target : kernels::kernel_targets()) {
    kernels::select_kernel_target(target);
    AlignedFloats sums = in, driven(in.size());
    convert_columns(conversions, kPanel, {sums.data(), kPanel});
    drive_rows(bends, 0.02f, kPanel, {in.data(), kPanel}, {driven.data(), kPanel});
    for (std::size_t i = 0; i < in.size(); ++i) {
      const std::size_t c = i / kPanel;
      ASSERT_EQ(sums[i], converted(conversions[c], in[i])) << target << ", column " << c;
      ASSERT_EQ(driven[i], with_inl(bends[c], 0.02f, in[i])) << target << ", row " << c;
    }
  }
  kernels::select_kernel_target("best");
}

}  // namespace
}  // namespace crosstate::crossbar
