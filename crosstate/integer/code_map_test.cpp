#include "crosstate/integer/code_map.h"

#include <gtest/gtest.h>

#include <cmath>

#include "crosstate/base/random.h"
#include "crosstate/integer/reference.h"

namespace crosstate::integer {
namespace {

// Whether the map exists and agrees everywhere.
void expect_fit(std::int32_t low, std::int32_t high, const CodeFormat& format,
                const std::function<std::int32_t(std::int32_t)>& code_of) {
  const std::optional<CodeMap> map = fit_code_map(low, high, format, code_of);
  ASSERT_TRUE(map) << format.scale;
  EXPECT_GE(map->factor, 1);
  EXPECT_LE(map->factor, 1 << 30);
  const std::int32_t stride = std::max(1, (high - low) / 100'000);
  for (std::int32_t value = low; value <= high; value += stride) {
    ASSERT_EQ((*map)(value, format), code_of(value)) << value << " of scale " << format.scale;
  }
}

TEST(CodeMap, EqualsTheQuantizerOfFeatures) {
  constexpr std::int32_t kMost = 1 << 22;
  Random random(5, Stream::kTest);
  for (int trial = 0; trial < 60; ++trial) {
    const int bits = 2 + static_cast<int>(random.below(7));
    const std::int32_t most = (1 << (bits - 1)) - 1;
    const double scale = trial % 3 == 0 ? std::exp2(-static_cast<int>(random.below(10)))
                                        : std::exp(random.uniform(-5, -3));
    const CodeFormat format{trial % 2 == 0 ? -most : -static_cast<std::int32_t>(random.below(20)),
                            most, scale};
    expect_fit(-kMost, kMost, format, [&](std::int32_t z) {
      return input_code(format, static_cast<float>(z) * 0x1p-15f);
    });
  }
}

TEST(CodeMap, EqualsTheQuantizerOfPixels) {
  for (const double scale : {1.0 / 255, 1.0 / 127, 1.0 / 15, 0.0041, 1.0 / 65535}) {
    const CodeFormat format{0, scale < 0.001 ? 65535 : 255, scale};
    expect_fit(0, 255, format,
               [&](std::int32_t v) { return input_code(format, static_cast<float>(v) / 255); });
  }
}

TEST(CodeMap, OfACompletelySaturatedRangeIsConstant) {
  for (const std::int32_t low : {-1000, 500}) {
    const CodeFormat format{-7, 7, 1};
    expect_fit(low, low + 400, format,
               [&](std::int32_t v) { return input_code(format, static_cast<float>(v)); });
  }
}

TEST(CodeMap, IsNoneWhereNoneExists) {
  const CodeFormat format{0, 3, 1};
  // Steps at 1, 2 and 100.
  EXPECT_FALSE(fit_code_map(0, 200, format, [](std::int32_t v) {
    return v < 1 ? 0 : v < 2 ? 1 : v < 100 ? 2 : 3;
  }));
}

}  // namespace
}  // namespace crosstate::integer
