#include "crosstate/ptq/gptq.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "crosstate/base/random.h"

namespace crosstate::ptq {
namespace {

// Rows of normal weights whose inputs share some common components.
struct Problem {
  std::vector<double> wanted, gram;
  Rows rows;
  Problem(std::uint64_t seed, std::size_t count, std::size_t columns, bool diagonal = false) {
    Random random(seed, Stream::kTest);
    for (std::size_t i = 0; i < count * columns; ++i) wanted.push_back(random.normal());
    gram.assign(columns * columns, 0);
    std::vector<double> mix(columns * columns);
    for (double& m : mix) m = random.normal();
    for (std::size_t i = 0; i < columns; ++i) {
      if (diagonal) {
        gram[i * columns + i] = random.uniform(0.1, 3);
        continue;
      }
      for (std::size_t j = 0; j < columns; ++j) {
        for (std::size_t k = 0; k < columns / 2 + 1; ++k) {
          gram[i * columns + j] += mix[i * columns + k] * mix[j * columns + k];
        }
      }
      gram[i * columns + i] += 0.05;
    }
    rows = {columns, wanted, gram};
  }
  Problem(const Problem&) = delete;
};

quant::WeightSite site_of(int bits, quant::Granularity granularity = quant::Granularity::kChannel,
                          quant::ScaleKind scales = quant::ScaleKind::kFree) {
  return {bits, granularity, scales, quant::WeightRange::kAbsmax};
}

quant::QuantizedTensor nearest(const Rows& rows, const quant::WeightSite& site) {
  const std::vector<float> values(rows.wanted.begin(), rows.wanted.end());
  return quant::quantize_weights(values, rows.rows(), site);
}

TEST(RoundToOutputs, LowersTheErrorOfTheOutputs) {
  for (int bits = 2; bits <= 8; ++bits) {
    double found = 0, of_nearest = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const Problem p(seed, 4, 3 + seed % 14);
      const double error = output_error(p.rows, round_to_outputs({&p.rows, 1}, site_of(bits))[0]);
      const double plain = output_error(p.rows, nearest(p.rows, site_of(bits)));
      EXPECT_LE(error, plain * (1 + 1e-6)) << bits << " bits, seed " << seed;
      found += error;
      of_nearest += plain;
    }
    EXPECT_LT(found, 0.6 * of_nearest) << bits << " bits";
  }
}

TEST(RoundToOutputs, IsNearestWhereInputsAreUncorrelated) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    const Problem p(seed, 3, 9, true);
    const quant::QuantizedTensor found = round_to_outputs({&p.rows, 1}, site_of(8))[0];
    const quant::QuantizedTensor plain = nearest(p.rows, site_of(8));
    EXPECT_EQ(found.codes, plain.codes);
    for (std::size_t r = 0; r < 3; ++r) EXPECT_FLOAT_EQ(found.scales[r], plain.scales[r]);
  }
}

// The optimum over all codes of few weights.
TEST(RoundToOutputs, ComesNearTheBestCodes) {
  double found = 0, best_possible = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Problem p(seed, 1, 5);
    const quant::QuantizedTensor rounded = round_to_outputs({&p.rows, 1}, site_of(3))[0];
    double best = 1e300;
    quant::QuantizedTensor other = rounded;
    for (int number = 0; number < 7 * 7 * 7 * 7 * 7; ++number) {
      for (int i = 0, rest = number; i < 5; ++i, rest /= 7) {
        other.codes[static_cast<std::size_t>(i)] = static_cast<std::int16_t>(rest % 7 - 3);
      }
      best = std::min(best, output_error(p.rows, other));
    }
    const double error = output_error(p.rows, rounded);
    EXPECT_GE(error, best * (1 - 1e-9));
    found += error;
    best_possible += best;
  }
  EXPECT_LT(found, 2.5 * best_possible);
}

// In a network the resulting weights are quantized again.
TEST(RoundToOutputs, IsFoundAgainByQuantization) {
  using quant::Granularity, quant::ScaleKind;
  for (const Granularity granularity : {Granularity::kChannel, Granularity::kTensor}) {
    for (const ScaleKind scales : {ScaleKind::kFree, ScaleKind::kPowerOfTwo}) {
      for (int bits = 2; bits <= 16; ++bits) {
        const quant::WeightSite site = site_of(bits, granularity, scales);
        const Problem p(static_cast<std::uint64_t>(bits), 5, 8);
        const quant::QuantizedTensor rounded = round_to_outputs({&p.rows, 1}, site)[0];
        std::vector<float> values(p.wanted.size());
        rounded.dequantize(values);
        const quant::QuantizedTensor again = quant::quantize_weights(values, 5, site);
        EXPECT_EQ(again.codes, rounded.codes) << bits;
        for (std::size_t r = 0; r < 5; ++r) EXPECT_FLOAT_EQ(again.scales[r], rounded.scales[r]);
        if (granularity == Granularity::kTensor) {
          EXPECT_EQ(rounded.scales[0], rounded.scales[4]);
        }
      }
    }
  }
}

TEST(RoundToOutputs, TakesGroupsOfDifferentInputsWithOneScale) {
  const Problem a(1, 1, 4), b(2, 1, 7);
  const Rows groups[] = {a.rows, b.rows};
  const auto rounded = round_to_outputs(groups, site_of(4, quant::Granularity::kTensor));
  ASSERT_EQ(rounded.size(), 2u);
  EXPECT_EQ(rounded[0].codes.size(), 4u);
  EXPECT_EQ(rounded[1].codes.size(), 7u);
  EXPECT_EQ(rounded[0].scales[0], rounded[1].scales[0]);
}

TEST(RoundToOutputs, LeavesRowsOfZerosAlone) {
  const std::vector<double> wanted(6, 0), gram = {1, 0, 0, 0, 1, 0, 0, 0, 1};
  const Rows rows{3, wanted, gram};
  const auto rounded = round_to_outputs({&rows, 1}, site_of(4));
  EXPECT_EQ(rounded[0].codes, std::vector<std::int16_t>(6, 0));
  EXPECT_EQ(rounded[0].scales, std::vector<float>(2, 1));
}

}  // namespace
}  // namespace crosstate::ptq
