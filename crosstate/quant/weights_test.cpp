#include "crosstate/quant/weights.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "crosstate/base/random.h"

namespace crosstate::quant {
namespace {

using Floats = std::vector<float>;

WeightSite site(int bits, Granularity granularity = Granularity::kChannel,
                ScaleKind scales = ScaleKind::kFree, WeightRange range = WeightRange::kAuto) {
  return {bits, granularity, scales, range};
}

// Replaces weights by the values of their codes; returns the scales of the rows.
Floats fake_quantize(Floats& values, std::size_t rows, const WeightSite& of) {
  const QuantizedTensor tensor = quantize_weights(values, rows, of);
  EXPECT_EQ(tensor.codes.size(), values.size());
  for (const int q : tensor.codes) EXPECT_LE(std::abs(q), largest_code(of.bits));
  tensor.dequantize(values);
  return tensor.scales;
}

TEST(QuantizeWeights, UsesTheLargestMagnitudeFromFourBitsOn) {
  // The scale is 1, so values round to integers, ties to even.
  Floats w{127, -64, 3.4f, -3.6f, 2.5f, 0};
  EXPECT_EQ(fake_quantize(w, 1, site(8)), Floats{1});
  EXPECT_EQ(w, (Floats{127, -64, 3, -4, 2, 0}));

  w = {-3.5f, 1.2f, 0.2f};  // 4 bits: 7 codes on either side, scale 1/2
  EXPECT_EQ(fake_quantize(w, 1, site(4, Granularity::kTensor)), Floats{0.5f});
  EXPECT_EQ(w, (Floats{-3.5f, 1, 0}));
}

TEST(QuantizeWeights, HasOneScalePerRowOrOneForAll) {
  const Floats original{127, 1, -1.27f, 0.01f};
  Floats w = original;
  Floats scales = fake_quantize(w, 2, site(8));
  ASSERT_EQ(scales.size(), 2u);
  EXPECT_FLOAT_EQ(scales[0], 1);
  EXPECT_FLOAT_EQ(scales[1], 0.01f);
  for (std::size_t i = 0; i < w.size(); ++i) EXPECT_FLOAT_EQ(w[i], original[i]);

  w = original;
  scales = fake_quantize(w, 2, site(8, Granularity::kTensor));
  EXPECT_EQ(scales, (Floats{1, 1}));
  EXPECT_EQ(w, (Floats{127, 1, -1, 0}));
}

TEST(QuantizeWeights, TakesLearnedScalesRelativeToTheMeanMagnitude) {
  const Floats w{0.5f, -1.5f, 3, -3};  // mean magnitudes 1 and 3
  const Floats ratios{std::log(0.5f), std::log(2.0f)};
  const QuantizedTensor tensor = quantize_weights(w, 2, site(2), ratios);
  EXPECT_FLOAT_EQ(tensor.scales[0], 0.5f);
  EXPECT_FLOAT_EQ(tensor.scales[1], 6);
  EXPECT_EQ(tensor.codes, (std::vector<std::int16_t>{1, -1, 0, 0}));

  // Scaling a row does not change its codes.
  const QuantizedTensor larger = quantize_weights(Floats{5, -15, 9, -9}, 2, site(2), ratios);
  EXPECT_EQ(larger.codes, tensor.codes);
  EXPECT_FLOAT_EQ(larger.scales[0], 5);

  for (const int bits : {1, 2, 4, 8}) {
    const Floats chosen{chosen_log_ratio(w, site(bits, Granularity::kTensor))};
    const float expected = quantize_weights(w, 1, site(bits, Granularity::kTensor)).scales[0];
    const Floats scales = quantize_weights(w, 1, site(bits, Granularity::kTensor), chosen).scales;
    EXPECT_NEAR(scales[0], expected, 1e-6 * expected);
  }
  const Floats zeros(4, 0);
  EXPECT_EQ(chosen_log_ratio(zeros, site(2)), 0);
  EXPECT_EQ(quantize_weights(zeros, 2, site(2), ratios).scales, (Floats{1, 1}));
}

TEST(QuantizeWeights, GradientOfAScaleIsThatOfRoundingAndClipping) {
  const Floats w{0.3f, 2, -0.75f, -4};
  const std::vector<double> gradient{10, 100, 1000, 10000};
  const std::vector<std::int16_t> codes{0, 1, -1, -1};
  EXPECT_NEAR(scale_gradient(w, gradient, codes, 1, 2),
              10 * (0 - 0.3) + 100 * 1 + 1000 * (-1 + 0.75) + 10000 * -1, 1e-4);
}

TEST(QuantizeWeights, LeavesRowsOfZerosAlone) {
  for (const int bits : {2, 3, 4, 8, 16}) {
    Floats w{0, 0, 2, -1};
    const Floats scales = fake_quantize(w, 2, site(bits));
    EXPECT_EQ(scales[0], 1) << bits;
    EXPECT_EQ(w[0], 0) << bits;
    EXPECT_EQ(w[1], 0) << bits;
    EXPECT_GT(scales[1], 0) << bits;
  }
  Floats none;
  EXPECT_TRUE(fake_quantize(none, 0, site(8)).empty());
}

TEST(QuantizeWeights, BinaryRowsOfZerosStaySmall) {
  Floats w{0, 0, 2, -1};
  const Floats scales = fake_quantize(w, 2, site(1));
  EXPECT_LT(std::abs(w[0]), scales[1] / 1000);
  EXPECT_LT(std::abs(w[1]), scales[1] / 1000);
  EXPECT_GT(scales[0], 0);
}

TEST(QuantizeWeights, TernaryWeightsHaveThreeLevelsAndTheSearchHelps) {
  Random random(1, Stream::kTest);
  Floats w(1000);
  for (float& v : w) v = static_cast<float>(random.normal());
  const Floats original = w;
  const Floats scales = fake_quantize(w, 1, site(2));
  EXPECT_EQ(std::set<float>(w.begin(), w.end()), (std::set<float>{-scales[0], 0, scales[0]}));
  // The optimal ternary scale of a normal distribution is 1.224 (Lloyd-Max, three levels).
  EXPECT_NEAR(scales[0], 1.224, 0.1);

  const float peak = *std::max_element(original.begin(), original.end());
  double searched = 0, widest = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    searched += std::pow(w[i] - original[i], 2);
    widest += std::pow(std::nearbyint(original[i] / peak) * peak - original[i], 2);
  }
  EXPECT_LT(searched, 0.5 * widest);
}

TEST(QuantizeWeights, BinaryWeightsAreSignsTimesTheMeanMagnitude) {
  Floats w{0.5f, -1.5f, 0, 2};
  for (const WeightRange range : {WeightRange::kAuto, WeightRange::kMse, WeightRange::kMean}) {
    Floats v = w;
    EXPECT_EQ(fake_quantize(v, 1, site(1, Granularity::kChannel, ScaleKind::kFree, range)),
              Floats{1});
    EXPECT_EQ(v, (Floats{1, -1, 1, 1}));
  }
}

TEST(QuantizeWeights, TernaryByTheMeanMagnitude) {
  Floats w{0.5f, -1.5f, 0.1f, 1.9f};  // mean 1: ties to even, so 0.5 becomes 0
  EXPECT_EQ(
      fake_quantize(w, 1, site(2, Granularity::kChannel, ScaleKind::kFree, WeightRange::kMean)),
      Floats{1});
  EXPECT_EQ(w, (Floats{0, -1, 0, 1}));
}

TEST(QuantizeWeights, TheSearchNeverLosesToTheLargestMagnitude) {
  Random random(5, Stream::kTest);
  for (int bits = 2; bits <= 8; ++bits) {
    Floats w(37);
    for (float& v : w) v = static_cast<float>(std::pow(random.normal(), 3));
    Floats wide = w, searched = w;
    fake_quantize(wide, 1,
                  site(bits, Granularity::kTensor, ScaleKind::kFree, WeightRange::kAbsmax));
    fake_quantize(searched, 1,
                  site(bits, Granularity::kTensor, ScaleKind::kFree, WeightRange::kMse));
    double of_wide = 0, of_searched = 0;
    for (std::size_t i = 0; i < w.size(); ++i) {
      of_wide += std::pow(wide[i] - w[i], 2);
      of_searched += std::pow(searched[i] - w[i], 2);
    }
    EXPECT_LE(of_searched, of_wide) << bits;
  }
}

TEST(QuantizeWeights, StaysOnTheGridWithinHalfAStep) {
  Random random(2, Stream::kTest);
  for (int bits = 2; bits <= 16; ++bits) {
    for (const bool power_of_two : {false, true}) {
      Floats w(64);
      for (float& v : w) v = static_cast<float>(random.normal());
      const Floats original = w;
      const double limit = std::exp2(bits - 1) - 1;
      const Floats scales =
          fake_quantize(w, 4,
                        site(bits, Granularity::kChannel,
                             power_of_two ? ScaleKind::kPowerOfTwo : ScaleKind::kFree));
      ASSERT_EQ(scales.size(), 4u);
      for (std::size_t i = 0; i < w.size(); ++i) {
        const double scale = scales[i / 16], code = w[i] / scale;
        EXPECT_NEAR(code, std::nearbyint(code), 1e-6 * limit) << bits;
        EXPECT_LE(std::abs(code), limit * (1 + 1e-6)) << bits;
        if (std::abs(original[i]) <= limit * scale) {
          EXPECT_LE(std::abs(w[i] - original[i]), 0.5001 * scale) << bits;
        }
        if (power_of_two) {
          EXPECT_EQ(std::exp2(std::nearbyint(std::log2(scale))), scale);
        }
      }
    }
  }
}

TEST(QuantizeWeights, GivesCodesAndTheScaleOfEachRow) {
  const Floats w{3.5f, -1.2f, 0.2f, 0, 7, -7};
  const QuantizedTensor by_row = quantize_weights(w, 2, site(4));
  EXPECT_EQ(by_row.scales, (Floats{0.5f, 1}));
  EXPECT_EQ(by_row.codes, (std::vector<std::int16_t>{7, -2, 0, 0, 7, -7}));
  const QuantizedTensor one_scale = quantize_weights(w, 2, site(4, Granularity::kTensor));
  EXPECT_EQ(one_scale.scales, (Floats{1, 1}));
  EXPECT_EQ(one_scale.codes, (std::vector<std::int16_t>{4, -1, 0, 0, 7, -7}));
}

TEST(QuantizeWeights, ValuesThatAreNotFiniteStayVisible) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    for (const int bits : {1, 2, 8}) {
      for (const ScaleKind scales : {ScaleKind::kFree, ScaleKind::kPowerOfTwo}) {
        Floats w{1, bad, 1, 2};
        fake_quantize(w, 2, site(bits, Granularity::kChannel, scales));
        EXPECT_TRUE(std::isnan(w[0]) && std::isnan(w[1])) << bits << bad;
        EXPECT_TRUE(std::isfinite(w[2]) && std::isfinite(w[3])) << bits << bad;
      }
    }
  }
}

TEST(QuantizeBias, CountsInStepsOfTheAccumulator) {
  QuantizedLinear linear{{{1, -1, 1, 1}, {0.5f, 2}}, {}};
  Floats bias{0.3f, -1.1f};
  quantize_bias(bias, 0.25f, linear);
  EXPECT_EQ(linear.bias, (std::vector<double>{2, -2}));
  EXPECT_EQ(bias, (Floats{0.25f, -1}));
}

TEST(QuantizeBias, RowsOfZerosTakeTheScaleThatTheirBiasNeeds) {
  QuantizedLinear linear{{{0, 0, 0}, {1, 1, 1}}, {}};
  Floats bias{0.001f, 0, -300};
  quantize_bias(bias, 0.5f, linear);
  EXPECT_EQ(linear.weight.scales[1], 1);
  EXPECT_EQ(bias[1], 0);
  for (const std::size_t o : {0, 2}) {
    EXPECT_EQ(nearest_power_of_two(linear.weight.scales[o]), linear.weight.scales[o]);
    EXPECT_GT(std::abs(linear.bias[o]), 1 << 14);
    EXPECT_EQ(bias[o], linear.bias[o] * linear.weight.scales[o] * 0.5);
  }
  EXPECT_NEAR(bias[0], 0.001, 1e-7);
  EXPECT_NEAR(bias[2], -300, 0.01);
}

// With more than 24 bits the code is that of the binary32 value.
TEST(QuantizeBias, CodeAndValueAgreeAtEverySize) {
  Random random(7, Stream::kTest);
  for (int i = 0; i < 10000; ++i) {
    const auto scale = static_cast<float>(std::exp(random.uniform(-30, 0)));
    const auto input = static_cast<float>(std::exp(random.uniform(-10, 0)));
    QuantizedLinear linear{{{1}, {scale}}, {}};
    Floats bias{static_cast<float>(random.normal())};
    const double exact = bias[0], step = double{scale} * input;
    quantize_bias(bias, input, linear);
    EXPECT_EQ(bias[0], static_cast<float>(linear.bias[0] * step));
    EXPECT_NEAR(bias[0], exact, 0.5001 * step + 1e-7 * std::abs(exact));
  }
}

TEST(NearestPowerOfTwo, RoundsTheExponent) {
  for (int e = -20; e <= 20; ++e) {
    EXPECT_EQ(nearest_power_of_two(std::exp2(e)), std::exp2(e));
    EXPECT_EQ(nearest_power_of_two(1.41 * std::exp2(e)), std::exp2(e));
    EXPECT_EQ(nearest_power_of_two(1.42 * std::exp2(e)), std::exp2(e + 1));
  }
}

}  // namespace
}  // namespace crosstate::quant
