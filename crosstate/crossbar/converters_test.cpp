#include "crosstate/crossbar/converters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace crosstate::crossbar {
namespace {

const ConverterAddress kAddress{5, 2};
constexpr std::size_t kLane = 16;  // columns of a panel

// What the converters of columns first, first + 1, ... make of one sum each.
std::vector<float> converted(const ColumnConverters& converters, const std::vector<float>& sums,
                             std::size_t first = 0) {
  AlignedFloats panel(sums.size() * kLane);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    std::fill_n(panel.begin() + static_cast<std::ptrdiff_t>(i * kLane), kLane, sums[i]);
  }
  converters.convert(first, sums.size(), kLane, {panel.data(), kLane});
  std::vector<float> out;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    out.push_back(panel[i * kLane]);
    EXPECT_EQ(panel[i * kLane + kLane - 1], out.back());
  }
  return out;
}

TEST(ColumnConverters, WithTheRangeOfTheCodesLeaveRoundingToThem) {
  const ColumnConverters ideal({.adc_bits = 2}, std::vector<ColumnRange>(3, {.step = 4}), {1, 1, 1},
                               kAddress);
  EXPECT_EQ(converted(ideal, {0.3f, -1000.7f, 12}), (std::vector<float>{0.3f, -1000.7f, 12}));
  EXPECT_EQ(ideal.noise(), nullptr);
}

TEST(ColumnConverters, RoundPartialSumsOverTheirRange) {
  const std::vector<ColumnRange> columns = {{.range = 14, .partial = true},
                                            {.range = 14, .partial = false}};
  const ColumnConverters rounds({.partial_bits = 4}, columns, {1, 1}, kAddress);  // steps of 2
  EXPECT_EQ(converted(rounds, {4.9f, 4.9f}), (std::vector<float>{4, 4.9f}));
  EXPECT_EQ(converted(rounds, {-5.1f, 99}), (std::vector<float>{-6, 99}));
  EXPECT_EQ(converted(rounds, {99, 0}), (std::vector<float>{14, 0}));  // the end of the range
  EXPECT_EQ(converted(rounds, {-99, 0}), (std::vector<float>{-14, 0}));
  const ColumnConverters exact({.partial_bits = 0}, columns, {1, 1}, kAddress);
  EXPECT_EQ(converted(exact, {4.9f, 4.9f}), (std::vector<float>{4.9f, 4.9f}));
}

TEST(ColumnConverters, OfTheirOwnRangeReadAtStepsOrHalfwayBetween) {
  const ColumnConverters own({.adc_bits = 4}, {{.range = 7, .own = true}}, {1}, kAddress);
  EXPECT_EQ(converted(own, {2.4f}), std::vector<float>{2});
  EXPECT_EQ(converted(own, {2.9f}), std::vector<float>{3});
  const ColumnConverters between({.adc_bits = 4}, {{.range = 7, .own = true, .between = true}}, {1},
                                 kAddress);
  EXPECT_EQ(converted(between, {2.4f}), std::vector<float>{2.5f});
  EXPECT_EQ(converted(between, {2.9f}), std::vector<float>{2.5f});
  EXPECT_EQ(converted(between, {-0.2f}), std::vector<float>{-0.5f});
}

TEST(ColumnConverters, HaveFixedRangesOfTheLargestSums) {
  const CrossbarOptions options{
      .adc_bits = 4, .adc_range = AdcRange::kFixed, .adc_full_scale = 0.25};
  // Ranges of 28 and, where no sum is possible, of the column's own; 7 steps on either side.
  const ColumnConverters fixed(options, std::vector<ColumnRange>(2, {.range = 7}), {112, 0},
                               kAddress);
  EXPECT_EQ(converted(fixed, {9.5f, 2.4f}), (std::vector<float>{8, 2}));
  EXPECT_EQ(converted(fixed, {100, 100}), (std::vector<float>{28, 7}));
  EXPECT_EQ(converted(fixed, {9.5f}, 1), std::vector<float>{7});  // the second column alone
}

TEST(ColumnConverters, AreCalibratedToTheSumsSeen) {
  const CrossbarOptions options{
      .adc_bits = 4, .adc_range = AdcRange::kCalibrated, .adc_margin = 1.5};
  ColumnConverters converters(options, std::vector<ColumnRange>(2, {.range = 7}), {1, 1}, kAddress);
  EXPECT_EQ(converted(converters, {20, 20}), (std::vector<float>{7, 7}));
  converters.calibrate({14, 0});  // no sum was seen in the second
  EXPECT_EQ(converted(converters, {20, 20}), (std::vector<float>{21, 7}));
  EXPECT_EQ(converted(converters, {4.4f, 4.4f}), (std::vector<float>{3, 4}));
  ColumnConverters learned({}, {{.range = 7}}, {1}, kAddress);
  learned.calibrate({14});  // the ranges of codes do not depend on data
  EXPECT_EQ(converted(learned, {20}), std::vector<float>{20});
}

TEST(ColumnConverters, HaveNoiseInTheirSteps) {
  const ColumnConverters codes({.adc_noise = 0.5}, {{.step = 4}, {.step = 1}}, {1, 1}, kAddress);
  ASSERT_NE(codes.noise(), nullptr);
  EXPECT_EQ(codes.noise()[0], 4);  // a variance
  EXPECT_EQ(codes.noise()[1], 0.25f);
}

// An amplifier that fits a small sum to the range does not reduce what the converter adds in uA.
TEST(ColumnConverters, HaveNoiseThatNoRangeReduces) {
  const std::vector<ColumnRange> ranges = {{.range = 127, .own = true}, {.range = 1, .own = true}};
  const CrossbarOptions options{.adc_noise_floor = 0.5};
  ColumnConverters converters(options, ranges, {1, 1}, kAddress, {2, 8});  // uA per unit
  ASSERT_NE(converters.noise(), nullptr);
  EXPECT_FLOAT_EQ(converters.noise()[0], 0.25f * 0.25f);
  EXPECT_FLOAT_EQ(converters.noise()[1], 0.0625f * 0.0625f);
  converters.correct({2, 1});  // a digital factor multiplies it
  EXPECT_FLOAT_EQ(converters.noise()[0], 0.25f);
  EXPECT_FLOAT_EQ(converters.noise()[1], 0.0625f * 0.0625f);
  const CrossbarOptions both{.adc_noise = 0.5, .adc_noise_floor = 0.5};
  EXPECT_FLOAT_EQ(ColumnConverters(both, ranges, {1, 1}, kAddress, {2, 8}).noise()[0],
                  0.25f + 0.25f * 0.25f);
  EXPECT_EQ(ColumnConverters(options, ranges, {1, 1}, kAddress).noise(), nullptr);
}

TEST(ColumnConverters, HaveOffsetsThatNoRangeReduces) {
  constexpr std::size_t kColumns = 4000;
  const CrossbarOptions options{.adc_bits = 16, .adc_offset_floor = 3};
  const std::vector<float> sums(kColumns, 0), largest(kColumns, 1);
  std::vector<float> first;
  for (const float range : {100.0f, 10000.0f}) {
    ColumnConverters converters(options, std::vector<ColumnRange>(kColumns, {.range = range}),
                                largest, kAddress, std::vector<double>(kColumns, 2));
    const std::vector<float> offsets = converted(converters, sums);
    double squares = 0;
    for (const float v : offsets) squares += v * v;
    EXPECT_NEAR(std::sqrt(squares / kColumns), 1.5, 4 * 1.5 / std::sqrt(2.0 * kColumns));
    if (first.empty()) first = offsets;
    for (std::size_t c = 0; c < kColumns; ++c) ASSERT_NEAR(offsets[c], first[c], 1e-3);
    converters.correct(std::vector<float>(kColumns, 2));
    const std::vector<float> twice = converted(converters, sums);
    for (std::size_t c = 0; c < kColumns; ++c) ASSERT_NEAR(twice[c], 2 * first[c], 1e-3);
  }
}

TEST(ColumnConverters, DeviateFromColumnToColumnByTheirAddress) {
  constexpr std::size_t kColumns = 4000;
  const std::vector<ColumnRange> columns(kColumns, {.step = 2, .range = 1000});
  const std::vector<float> largest(kColumns, 1), sums(kColumns, 500);
  const auto of = [&](const CrossbarOptions& options, const ConverterAddress& address) {
    return converted(ColumnConverters(options, columns, largest, address), sums);
  };
  const auto deviation = [](const std::vector<float>& values, double mean) {
    double squares = 0;
    for (const float v : values) squares += (v - mean) * (v - mean);
    return std::sqrt(squares / static_cast<double>(values.size()));
  };
  const double slack = 4 / std::sqrt(2.0 * kColumns);
  const CrossbarOptions gains{.adc_gain_error = 0.1}, offsets{.adc_offset = 3};
  EXPECT_NEAR(deviation(of(gains, kAddress), 500), 0.1 * 500, slack * 50);
  EXPECT_NEAR(deviation(of(offsets, kAddress), 500), 3 * 2, slack * 6);  // 3 steps of 2
  EXPECT_EQ(of(gains, kAddress), of(gains, kAddress));
  EXPECT_NE(of(gains, kAddress), of(gains, {5, 3}));
  EXPECT_NE(of(gains, kAddress), of(gains, {6, 2}));
}

// INL vanishes at 0 and at the ends, is odd, and has its largest value at 1 / sqrt(3) of the range.
TEST(ColumnConverters, BendBetweenZeroAndTheEnds) {
  const ColumnConverters bent({.adc_inl = 2}, {{.step = 1, .range = 300}}, {1}, kAddress);
  const auto inl = [&](float sum) { return converted(bent, {sum})[0] - sum; };
  EXPECT_EQ(inl(0), 0);
  EXPECT_NEAR(inl(300), 0, 1e-4);
  EXPECT_NEAR(inl(-300), 0, 1e-4);
  const float top = inl(300 / std::sqrt(3.0f));
  EXPECT_GT(std::abs(top), 0.01);
  EXPECT_NEAR(inl(-300 / std::sqrt(3.0f)), -top, 1e-4);
  for (const float t : {0.1f, 0.4f, 0.7f, 0.95f}) {
    EXPECT_NEAR(inl(300 * t), top * 2.5980762f * (t - t * t * t), 1e-3);
    EXPECT_LE(std::abs(inl(300 * t)), std::abs(top) + 1e-4);
  }
  EXPECT_NEAR(inl(450), 0, 1e-3);  // beyond its range it is that of the end
}

TEST(RowDrivers, AreIdealWithoutErrors) {
  const RowDrivers ideal({}, 3, 127, kAddress);
  EXPECT_FALSE(ideal.has_inl());
  EXPECT_EQ(ideal.gain(2), 1);
}

TEST(RowDrivers, HaveGainsAndBend) {
  constexpr std::size_t kRows = 4000;
  const CrossbarOptions options{.dac_gain_error = 0.05, .dac_inl = 1.5};
  const RowDrivers drivers(options, kRows, 127, kAddress), same(options, kRows, 127, kAddress);
  double squares = 0;
  for (std::size_t r = 0; r < kRows; ++r) {
    squares += std::pow(drivers.gain(r) - 1, 2);
    ASSERT_EQ(drivers.gain(r), same.gain(r));
  }
  EXPECT_NEAR(std::sqrt(squares / kRows), 0.05, 4 * 0.05 / std::sqrt(2.0 * kRows));

  ASSERT_TRUE(drivers.has_inl());
  const float codes[] = {0, 127, -127, 127 / std::sqrt(3.0f), -127 / std::sqrt(3.0f)};
  AlignedFloats in(kRows * kLane, 0), out(kRows * kLane);
  for (std::size_t r = 0; r < kRows; ++r)
    std::copy(std::begin(codes), std::end(codes), &in[r * kLane]);
  drivers.drive(kLane, {in.data(), kLane}, {out.data(), kLane});
  double bends = 0;
  for (std::size_t r = 0; r < kRows; ++r) {
    const float* driven = &out[r * kLane];
    EXPECT_EQ(driven[0], 0);
    EXPECT_NEAR(driven[1], 127, 1e-3);
    EXPECT_NEAR(driven[2], -127, 1e-3);
    EXPECT_NEAR(driven[3], -driven[4], 1e-4);
    bends += std::pow(driven[3] - codes[3], 2);  // the largest INL, in codes
  }
  EXPECT_NEAR(std::sqrt(bends / kRows), 1.5, 4 * 1.5 / std::sqrt(2.0 * kRows));
}

}  // namespace
}  // namespace crosstate::crossbar
