#include "crosstate/simulate/array_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/integer/testing.h"
#include "crosstate/quant/poles.h"

namespace crosstate::simulate {
namespace {

using crossbar::CrossbarOptions;
using mapping::Site;

double largest_of(const integer::CodeFormat& codes) {
  return std::max(std::abs(codes.quant_min), std::abs(codes.quant_max));
}

// The smallest power of two whose multiples among these codes a converter can distinguish.
double codes_per_step(const integer::CodeFormat& codes, int bits) {
  const double width = codes.quant_max - codes.quant_min;
  double step = 1;
  while (std::floor(width / step) >= std::exp2(bits)) step *= 2;
  return step;
}

double largest_sum_of(const mapping::MappedArray& a, std::size_t column) {
  double sum = 0;
  for (std::size_t r = 0; r < a.rows; ++r) {
    if (a.level(r, column) > 0) sum += std::abs(double{a.weights[r * a.columns + column]});
  }
  return sum;
}

bool is_power_of_two(float value) {
  int exponent = 0;
  return value > 0 && std::frexp(value, &exponent) == 0.5f;
}

// A network, its arrays and their plans.
class Planned {
 public:
  Planned(const integer::IntegerNetwork& network, const CrossbarOptions& options)
      : n(network), crossbar(options), map(mapping::map_network(n, crossbar, 37)) {
    for (std::size_t i = 0; i < map.arrays.size(); ++i) {
      plans.push_back(array_plan(n, map, crossbar, i));
    }
  }

  void expect_whole_plans() const {
    for (std::size_t i = 0; i < plans.size(); ++i) {
      SCOPED_TRACE("array " + std::to_string(i));
      const crossbar::ArrayPlan& plan = plans[i];
      const mapping::MappedArray& a = map.arrays[i];
      EXPECT_EQ(plan.rows, a.rows);
      EXPECT_EQ(plan.columns, a.columns);
      EXPECT_EQ(plan.weights.data(), a.weights.data());
      EXPECT_EQ(plan.weights.size(), a.rows * a.columns);
      EXPECT_EQ(plan.drive.data(), a.drive.data());
      EXPECT_EQ(plan.drive.size(), a.drive.size());
      EXPECT_EQ(plan.ranges.size(), a.columns);
      for (const crossbar::ColumnRange& range : plan.ranges) {
        EXPECT_TRUE(std::isfinite(range.step) && range.step > 0);
        EXPECT_TRUE(std::isfinite(range.range) && range.range > 0);
        EXPECT_TRUE(range.partial || map.conversions_of_weight == 1);
      }
      EXPECT_EQ(plan.slices, slices_of(a.site));
      EXPECT_EQ(plan.largest_code, largest_code_of(a));
      switch (a.site) {
        case Site::kEncoder:
          expect_matrix(i, n.encoder_codes, n.residual, n.encoder.columns);
          break;
        case Site::kLinear: {
          const integer::IntegerBlock& b = n.blocks[a.layer];
          expect_matrix(i, n.gated ? b.linear_codes : b.sum, n.gated ? b.linear : n.residual,
                        b.linear_map.columns);
          break;
        }
        case Site::kRecurrence:
          expect_recurrence(i);
          break;
        case Site::kDecoder:
          expect_scores(i);
          break;
      }
    }
  }

  const integer::IntegerNetwork& n;
  const CrossbarOptions crossbar;
  const mapping::Mapping map;
  std::vector<crossbar::ArrayPlan> plans;

 private:
  std::size_t slices_of(Site site) const {
    return site == Site::kEncoder      ? map.input_slices
           : site == Site::kRecurrence ? map.state_slices
           : site == Site::kLinear     ? map.activation_slices
                                       : 1;
  }
  // What drives a row: codes, or slices of the pooled values.
  double largest_code_of(const mapping::MappedArray& a) const {
    if (a.site == Site::kEncoder) return largest_of(n.input);
    if (a.site == Site::kLinear) return largest_of(n.blocks[a.layer].activation);
    if (a.site == Site::kDecoder) return std::exp2(map.decoder_bits - 1) - 1;
    return std::max<double>(n.state_limit, largest_of(n.residual));
  }

  // A step of the converter is a step between the codes that it can tell apart, and its range that
  // of all codes.
  void expect_column(const crossbar::ColumnRange& found, const integer::Requantizer& r,
                     std::size_t row, const integer::CodeFormat& to, bool partial) const {
    const double first = std::abs(r.first[row]);
    const double per_code = first > 0 ? std::exp2(r.places(row)) / first : 1;
    EXPECT_FLOAT_EQ(found.step,
                    static_cast<float>(per_code * codes_per_step(to, crossbar.adc_bits)));
    EXPECT_FLOAT_EQ(found.range, static_cast<float>(per_code * largest_of(to)));
    EXPECT_EQ(found.partial, partial || map.conversions_of_weight > 1);
    EXPECT_FALSE(found.own);
    EXPECT_FALSE(found.between);
  }

  void expect_matrix(std::size_t number, const integer::Requantizer& r,
                     const integer::CodeFormat& to, std::size_t inputs) const {
    const mapping::MappedArray& a = map.arrays[number];
    std::size_t tiles = 0;  // of the same outputs
    std::size_t rows = 0;
    for (const std::size_t other : map.of(a.site, a.layer)) {
      if (map.arrays[other].first_output != a.first_output) continue;
      ++tiles;
      rows += map.arrays[other].rows;
    }
    EXPECT_EQ(rows, inputs);
    for (std::size_t c = 0; c < a.columns; ++c) {
      expect_column(plans[number].ranges[c], r, a.first_output + c, to,
                    tiles > 1 || plans[number].slices > 1);
    }
    EXPECT_TRUE(plans[number].own_row.empty());
  }

  void expect_recurrence(std::size_t number) const {
    const mapping::MappedArray& a = map.arrays[number];
    const crossbar::ArrayPlan& plan = plans[number];
    const integer::IntegerBlock& b = n.blocks[a.layer];
    const bool increments = crossbar.recurrence == crossbar::PoleStorage::kIncrement;
    EXPECT_EQ(plan.own_row.size(), increments ? a.columns : 0);
    const std::size_t parts = n.complex ? 2 : 1;
    std::size_t column = 0;
    for (const mapping::Piece& p : a.pieces) {
      for (std::size_t i = 0; a.state_columns > 0 && i < p.modes * parts; ++i, ++column) {
        const std::size_t mode = b.shape.first[p.channel] + p.first_mode + i / parts;
        expect_state(number, column, b.residue_bits.empty() ? -1 : b.residue_bits[mode]);
        if (!increments) continue;
        // The row whose weight is the pole less 1.
        ASSERT_LT(plan.own_row[column], a.rows);
        EXPECT_EQ(a.weights[plan.own_row[column] * a.columns + column],
                  quant::pole_value(b.ar[mode]) - 1);
      }
    }
    EXPECT_EQ(column, a.state_columns);
    for (std::size_t k = 0; k < a.output_columns; ++k) {
      const mapping::Piece& p = a.pieces[k];
      EXPECT_TRUE(!increments || plan.own_row[column + k] == crossbar::kNoRow);
      std::size_t modes = 0;  // of other pieces of the channel
      for (const std::size_t other : map.of(Site::kRecurrence, a.layer)) {
        for (const mapping::Piece& q : map.arrays[other].pieces) {
          modes += q.channel == p.channel && q.first_mode != p.first_mode ? q.modes : 0;
        }
      }
      expect_column(plan.ranges[column + k], b.output, p.channel, b.ssm_output,
                    modes > 0 || plan.slices > 1);
    }
  }

  void expect_state(std::size_t number, std::size_t column, int residue) const {
    const crossbar::ColumnRange& found = plans[number].ranges[column];
    const double codes_step = codes_per_step(state_format(n), crossbar.adc_bits);
    const double largest =
        largest_sum_of(map.arrays[number], column) * double{plans[number].largest_code};
    EXPECT_TRUE(is_power_of_two(found.step));
    EXPECT_EQ(found.partial, map.state_slices > 1 || map.conversions_of_weight > 1);
    const double high = std::exp2(crossbar.adc_bits - 1) - 1;
    if (found.own) {
      EXPECT_FLOAT_EQ(found.range, static_cast<float>(found.step * high));
    } else {
      EXPECT_EQ(found.range, static_cast<float>(n.state_limit));
      EXPECT_FALSE(found.between);
    }
    if (residue >= 0) {
      expect_register(found, residue, reads_increments() ? largest : 0);
      return;
    }
    if (!fits_increments(map, crossbar)) {
      EXPECT_EQ(found.step, codes_step);
      EXPECT_FALSE(found.own);
      return;
    }
    if (!found.own) {
      EXPECT_EQ(found.step, codes_step);
      EXPECT_GT(largest, high / 2);  // steps of half a code would not reach that far
      return;
    }
    EXPECT_TRUE(found.between);
    EXPECT_LE(found.step, codes_step);
    if (found.step == codes_step) return;
    // The finest steps with which the range covers every increment.
    EXPECT_GE(found.range, largest);
    EXPECT_LT(found.range / 2, std::max(largest, 1e-3));
  }

  bool reads_increments() const {
    return crossbar.recurrence == crossbar::PoleStorage::kIncrement && map.state_slices == 1;
  }

  // The last place of the register or, if the converter lacks bits, the smallest step with which it
  // covers either all codes or all increments.
  void expect_register(const crossbar::ColumnRange& found, int residue, double largest) const {
    const double place = std::exp2(-residue), high = std::exp2(crossbar.adc_bits - 1) - 1;
    if (crossbar.adc_range != crossbar::AdcRange::kLearned) {
      EXPECT_EQ(found.step, place);
      EXPECT_FALSE(found.own);
      return;
    }
    double of_codes = place, of_increments = place;
    while (std::floor(2 * n.state_limit / of_codes) >= std::exp2(crossbar.adc_bits)) of_codes *= 2;
    while (of_increments * high < largest) of_increments *= 2;
    EXPECT_EQ(found.step, largest > 0 ? std::min(of_codes, of_increments) : of_codes);
    EXPECT_TRUE(!found.own || found.range >= largest);
  }

  void expect_scores(std::size_t number) const {
    const mapping::MappedArray& a = map.arrays[number];
    for (std::size_t c = 0; c < a.columns; ++c) {
      const crossbar::ColumnRange& found = plans[number].ranges[c];
      const double largest = largest_sum_of(a, c) * double{plans[number].largest_code};
      EXPECT_FLOAT_EQ(found.range,
                      static_cast<float>(std::max(1.0, largest * crossbar.adc_full_scale)));
      EXPECT_FLOAT_EQ(found.step * (std::exp2(static_cast<float>(crossbar.adc_bits - 1)) - 1),
                      found.range);
      EXPECT_TRUE(found.partial);
    }
    EXPECT_TRUE(plans[number].own_row.empty());
  }
};

std::vector<CrossbarOptions> crossbars() {
  std::vector<CrossbarOptions> all(1);
  const auto add = [&](auto set) { set(all.emplace_back()); };
  add([](CrossbarOptions& c) {
    c.increment_range = crossbar::IncrementRange::kFitted;
    c.adc_bits = 12;
  });
  add([](CrossbarOptions& c) {
    c.rows = 9;
    c.columns = 7;
    c.increment_range = crossbar::IncrementRange::kFitted;
    c.adc_bits = 4;
  });
  add([](CrossbarOptions& c) {
    c.dac_bits = 3;
    c.adc_bits = 5;
    c.increment_range = crossbar::IncrementRange::kFitted;
  });
  add([](CrossbarOptions& c) {
    c.slices = 2;
    c.slice_base = 4;
  });
  add([](CrossbarOptions& c) {
    c.recurrence = crossbar::PoleStorage::kDirect;
    c.adc_range = crossbar::AdcRange::kFixed;
    c.increment_range = crossbar::IncrementRange::kFitted;
  });
  add([](CrossbarOptions& c) {
    c.digital = "A";
    c.adc_full_scale = 1e-6;  // ranges of scores have a lower limit
  });
  add([](CrossbarOptions& c) {
    c.digital = "C, encoder";
    c.rows = c.columns = 16;
    c.driven = crossbar::DrivenRows::kAll;
    c.adc_bits = 24;
  });
  return all;
}

// Every format and shape, also pruned ones, with states that are rounded to nearest and
// noise-shaped ones.
TEST(ArrayPlans, FollowFromTheNetworkAndItsArrays) {
  int nearest = 0, shaped = 0;
  for (int number = 0; number < 30; ++number) {
    SCOPED_TRACE("network " + std::to_string(number));
    const integer::IntegerNetwork n =
        number % 2 == 0
            ? integer::fixtures::network(number / 2, integer::fixtures::sequences(number / 2))
            : integer::fixtures::RandomNetwork(static_cast<std::uint32_t>(number)).make();
    if (n.state_rounding == kernels::RoundingMode::kStochastic) continue;  // not on arrays
    ++(n.state_rounding == kernels::RoundingMode::kNoiseShaped ? shaped : nearest);
    const std::vector<CrossbarOptions> all = crossbars();
    for (std::size_t k = 0; k < all.size(); ++k) {
      SCOPED_TRACE("crossbar " + std::to_string(k));
      Planned(n, all[k]).expect_whole_plans();
      if (HasFailure()) return;  // one is enough
    }
  }
  EXPECT_GE(nearest, 5);
  EXPECT_GE(shaped, 5);
}

// Weights whose sums are exact only with slices of fewer bits than the DACs have: the largest slice
// still drives the whole voltage, and the converters of scores have their share of the largest sum.
TEST(ArrayPlans, OfScoresFitTheSlicesThatAreDriven) {
  integer::IntegerNetwork n = integer::fixtures::RandomNetwork(2).make();
  n.decoder.bits = 16;
  std::fill(n.decoder.weight.begin(), n.decoder.weight.end(), 32767);
  const auto sum = 32767.0 * static_cast<double>(n.channels);
  for (const int dac_bits : {4, 8, 12}) {
    SCOPED_TRACE(dac_bits);
    CrossbarOptions options;
    options.dac_bits = dac_bits;
    const Planned planned(n, options);
    planned.expect_whole_plans();
    const int bits = planned.map.decoder_bits;
    EXPECT_EQ(bits, std::min(dac_bits, 24 - std::ilogb(sum)));
    for (const std::size_t i : planned.map.of(Site::kDecoder)) {
      const double largest = std::exp2(bits - 1) - 1;
      EXPECT_EQ(planned.plans[i].largest_code, largest);
      for (const crossbar::ColumnRange& range : planned.plans[i].ranges) {
        EXPECT_FLOAT_EQ(range.range, static_cast<float>(options.adc_full_scale * sum * largest));
      }
    }
  }
}

TEST(ArrayPlans, OfStatesFitTheirIncrements) {
  const integer::IntegerNetwork n = integer::fixtures::network(0, integer::fixtures::sequences(0),
                                                               integer::fixtures::format(0, true));
  CrossbarOptions options;
  options.adc_bits = 12;
  const auto steps = [&] {
    const Planned planned(n, options);
    std::vector<float> all;
    for (const std::size_t i : planned.map.of(Site::kRecurrence, 0)) {
      for (std::size_t c = 0; c < planned.map.arrays[i].state_columns; ++c) {
        all.push_back(planned.plans[i].ranges[c].step);
      }
    }
    return all;
  };
  for (const float step : steps()) EXPECT_EQ(step, 1);
  options.increment_range = crossbar::IncrementRange::kFitted;
  const std::vector<float> fitted = steps();
  EXPECT_LT(*std::min_element(fitted.begin(), fitted.end()), 1);
}

TEST(ArrayPlans, FitIncrementsOnlyWhereTheyAreRead) {
  mapping::Mapping map;
  CrossbarOptions options;
  options.increment_range = crossbar::IncrementRange::kFitted;
  EXPECT_TRUE(fits_increments(map, options));
  options.increment_range = crossbar::IncrementRange::kCodes;
  EXPECT_FALSE(fits_increments(map, options));
  options.increment_range = crossbar::IncrementRange::kFitted;
  options.recurrence = crossbar::PoleStorage::kDirect;
  EXPECT_FALSE(fits_increments(map, options));
  options.recurrence = crossbar::PoleStorage::kIncrement;
  map.state_slices = 2;  // the sum of a slice is not an increment
  EXPECT_FALSE(fits_increments(map, options));
}

TEST(ArrayPlans, HaveCodesOfStatesOfBothSigns) {
  integer::IntegerNetwork n;
  n.state_limit = 97;
  const integer::CodeFormat codes = state_format(n);
  EXPECT_EQ(codes.quant_min, -97);
  EXPECT_EQ(codes.quant_max, 97);
  EXPECT_EQ(codes.scale, 1);
}

}  // namespace
}  // namespace crosstate::simulate
