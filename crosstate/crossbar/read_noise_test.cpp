#include "crosstate/crossbar/read_noise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"
#include "crosstate/kernels/dispatch.h"

namespace crosstate::crossbar {
namespace {

AlignedFloats normals(const ReadAddress& address, std::size_t first, std::size_t count,
                      std::size_t steps) {
  const AlignedFloats variance(count * steps * kLanes, 1);
  AlignedFloats out(variance.size(), 0);
  add_read_noise(address, first, count, steps, {variance.data(), steps * kLanes},
                 {out.data(), steps * kLanes});
  return out;
}

// The draw as specified in the header, in double precision.
double expected(const ReadAddress& at, std::size_t step, std::size_t lane, std::size_t first,
                std::size_t c) {
  const std::size_t base = first + c / 4 * 4;
  const auto words =
      philox(at.seed, at.step + static_cast<std::uint32_t>(step),
             at.sequence + static_cast<std::uint32_t>(lane), at.array,
             static_cast<std::uint32_t>(Stream::kRead) + 256 * static_cast<std::uint32_t>(base));
  const std::size_t pair = c % 4 / 2 * 2;
  const std::uint32_t odd = words[pair + 1];
  const double u = ((words[pair] >> 8) + 0.5) * 0x1p-24;
  const double signed_step = static_cast<std::int32_t>(odd) >> 8;
  const double angle = (signed_step + 0.5) * 0x1p-23 * std::numbers::pi / 4;
  const double cosine = odd & 1 ? -std::cos(angle) : std::cos(angle);
  const bool takes_sine = (c % 2 == 1) != ((odd & 2) != 0);
  return std::sqrt(-2 * std::log(u)) * (takes_sine ? std::sin(angle) : cosine);
}

TEST(ReadNoise, DrawsWhatItsAddressSays) {
  const ReadAddress at{0x123456789abcdef0u, 5, 1000, 77};
  for (const std::string& target : kernels::kernel_targets()) {
    kernels::select_kernel_target(target);
    for (const std::size_t count : {1u, 2u, 3u, 4u, 7u}) {
      const AlignedFloats found = normals(at, 48, count, 3);
      for (std::size_t c = 0; c < count; ++c) {
        for (std::size_t t = 0; t < 3; ++t) {
          for (std::size_t lane = 0; lane < kLanes; ++lane) {
            EXPECT_NEAR(found[(c * 3 + t) * kLanes + lane], expected(at, t, lane, 48, c),
                        kNormalTolerance)
                << target << " column " << c << " step " << t << " lane " << lane;
          }
        }
      }
    }
  }
  kernels::select_kernel_target("best");
}

TEST(ReadNoise, HasTheMomentsOfANormal) {
  constexpr std::size_t kColumns = 8, kSteps = 4000;
  const AlignedFloats x = normals({9, 1, 0, 0}, 0, kColumns, kSteps);
  const auto n = static_cast<double>(x.size());
  double sum = 0, square = 0, cube = 0, fourth = 0, neighbours = 0, beyond = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double v = x[i];
    sum += v;
    square += v * v;
    cube += v * v * v;
    fourth += v * v * v * v;
    beyond += std::abs(v) > 3 ? 1 : 0;
    if (i >= kSteps * kLanes) neighbours += v * static_cast<double>(x[i - kSteps * kLanes]);
  }
  EXPECT_NEAR(sum / n, 0, 4 / std::sqrt(n));
  EXPECT_NEAR(square / n, 1, 4 * std::sqrt(2 / n));
  EXPECT_NEAR(cube / n, 0, 4 * std::sqrt(15 / n));
  EXPECT_NEAR(fourth / n, 3, 4 * std::sqrt(96 / n));
  EXPECT_NEAR(neighbours / n, 0, 4 / std::sqrt(n));
  const double share = std::erfc(3 / std::sqrt(2.0));
  EXPECT_NEAR(beyond / n, share, 4 * std::sqrt(share / n));
}

TEST(ReadNoise, ScalesWithTheVarianceAndAddsUp) {
  const AlignedFloats unit = normals({1, 2, 3, 4}, 0, 1, 1);
  const AlignedFloats variance(kLanes, 9);
  AlignedFloats out(kLanes, 100);
  add_read_noise({1, 2, 3, 4}, 0, 1, 1, {variance.data(), kLanes}, {out.data(), kLanes});
  for (std::size_t i = 0; i < kLanes; ++i) EXPECT_NEAR(out[i], 100 + 3 * unit[i], 2e-5);
}

TEST(ReadNoise, BelongsToSequenceAndStep) {
  const AlignedFloats whole = normals({1, 2, 32, 10}, 0, 2, 5);
  const AlignedFloats later = normals({1, 2, 40, 12}, 0, 2, 1);
  for (std::size_t c = 0; c < 2; ++c) {
    for (std::size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(later[c * kLanes + i], whole[(c * 5 + 2) * kLanes + i + 8]);
    }
  }
}

}  // namespace
}  // namespace crosstate::crossbar
