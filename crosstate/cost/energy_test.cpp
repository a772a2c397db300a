#include "crosstate/cost/energy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/cost/testing.h"
#include "crosstate/integer/testing.h"

namespace crosstate::cost {
namespace {

using fixtures::rounded;
using fixtures::shape;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::uint64_t kSteps = 11;

Estimate on(const char* target, const Deployment& d, const integer::IntegerNetwork* integers) {
  const Technology t = find_technology(target);
  if (t.kind == TargetKind::kCrossbar) {
    return estimate_on_crossbars(*integers, kSteps, t);
  }
  return estimate(d, count_operations(d, kSteps), t);
}

Estimate on(const char* target, const model::Network& network) {
  if (find_technology(target).kind != TargetKind::kCrossbar) {
    return on(target, deployment(network), nullptr);
  }
  const integer::IntegerNetwork integers = integer::to_integers(network);
  return on(target, deployment(network), &integers);
}

double count(const CostList& list, const std::string& what) {
  double sum = 0;
  for (const CostTerm& t : list.terms) sum += t.what == what ? t.per_step : 0;
  return sum;
}

void expect_rising(const Range& r) {
  EXPECT_LE(r.low, r.typical);
  EXPECT_LE(r.typical, r.high);
  EXPECT_GT(r.low, 0);
}

TEST(Energy, EveryTargetGivesRangesThatItsPartsAddUpTo) {
  const model::Network network =
      rounded(shape(5, 6, true, true), {2, 3}, quant::quant_preset("w4a8s8"));
  for (const std::string& name : shipped_technologies()) {
    const Estimate e = on(name.c_str(), network);
    EXPECT_EQ(e.target, name);
    for (const CostList* list : {&e.energy, &e.latency}) {
      expect_rising(list->total(kSteps));
      Range sum;
      for (const std::string& part : list->parts()) sum += list->of_part(part, kSteps);
      EXPECT_NEAR(sum.typical, list->total(kSteps).typical, 1e-9 * sum.typical) << name;
      const double end = list->total(0).high;
      EXPECT_NEAR(list->total(kSteps).high, kSteps * list->per_step().high + end, 1e-9 * sum.high);
    }
    expect_rising(e.area.total(0));
  }
}

TEST(Energy, OfAnIntegerFileIsThatOfItsOrigin) {
  for (int number = 0; number < 14; ++number) {
    const model::Network network =
        integer::fixtures::rounded_network(number, integer::fixtures::sequences(number),
                                           integer::fixtures::format(number, number % 2 == 0));
    const integer::IntegerNetwork integers = integer::integer_network_from(
        integer::to_tensors(integer::to_integers(network)), "integers");
    for (const std::string& name : shipped_technologies()) {
      const Estimate of_file = on(name.c_str(), deployment(integers), &integers);
      EXPECT_EQ(to_json(of_file, kSteps), to_json(on(name.c_str(), network), kSteps))
          << number << name;
    }
  }
}

TEST(Energy, AMicrocontrollerTakesAProductsCyclesByItsWidth) {
  const model::Network network =
      rounded(shape(3, 6, true, true), {2, 5}, quant::quant_preset("w8a8s8"));
  const Estimate e = on("mcu-int8", network);
  // Decoded poles have 16 bits, everything else 8.
  EXPECT_EQ(count(e.energy, "mac16"), 36);
  EXPECT_EQ(count(e.energy, "mac8"), 6 + 18 + 3 + 18 + 3);
  EXPECT_EQ(count(e.energy, "mac_float"), 0);
  const Technology t = find_technology("mcu-int8");
  const Range mac = e.energy.of_part("products", 0);  // the read-out: 15 products of 8 x 12 bits
  EXPECT_DOUBLE_EQ(mac.typical, 15 * t["mac16"].typical * t["cycle_energy"].typical);
  EXPECT_DOUBLE_EQ(e.latency.of_part("products", 0).low,
                   15 * t["mac16"].low * 1e3 / t["clock"].high);
  const nlohmann::json json = to_json(e.energy, kSteps);
  EXPECT_EQ(json["factor"], to_json(t["cycle_energy"]));
  double sum = 0;
  for (const nlohmann::json& term : json["terms"]) {
    sum += term["per_step"].get<double>() * term["each"]["high"].get<double>();
  }
  EXPECT_DOUBLE_EQ(sum * json["factor"]["high"].get<double>(), json["per_step"]["high"]);
}

TEST(Energy, FloatsNeedFloatingPointUnits) {
  const model::Network network(shape(3, 6, true, true), {2, 5}, 1);
  EXPECT_THAT([&] { on("mcu-int8", network); }, ThrowsMessage<Error>(HasSubstr("float network")));
  EXPECT_EQ(count(on("mcu-fp32", network).energy, "mac_float"), 84);
  EXPECT_EQ(count(on("accelerator-45nm", network).energy, "float_multiply"), 84);
  EXPECT_THAT([&] { on("crossbar-14nm", network); },
              ThrowsMessage<Error>(HasSubstr("not quantized")));
}

TEST(Energy, CrossbarsConvertAndDriveWhatIsMapped) {
  // 3 channels of 3 complex modes on one array: 18 states, 3 inputs, 3 outputs.
  const model::Network network =
      rounded(shape(3, 6, true, true), {2, 5}, quant::quant_preset("w8a8s8"));
  const Estimate e = on("crossbar-14nm", network);
  EXPECT_EQ(e.arrays, 4u);
  // Encoder 3, states 18, outputs 3, pointwise 6; the 12-bit sums of the scores are applied in two
  // slices.
  EXPECT_EQ(e.conversions_per_step, 3u + 18 + 3 + 6);
  EXPECT_EQ(e.conversions_at_end, 5u * 2);
  // The recurrence drives the 3 rows of each of 9 modes, and the 6 rows of each of 3 channels.
  EXPECT_EQ(count(e.energy, "drive"), 2 + (27 + 18) + 3);
  // Idle columns are driven as well: all 256 pairs of a row are cells at rest.
  EXPECT_EQ(count(e.energy, "cells at rest"), (2 + (27 + 18) + 3) * 2 * 256);
  EXPECT_EQ(count(e.latency, "slice_time"), 1 + 1);
  EXPECT_EQ(count(e.latency, "block_time"), 9 + 3);

  const Estimate all =
      estimate_on_crossbars(integer::to_integers(network), kSteps, find_technology("crossbar-14nm"),
                            {.driven = crossbar::DrivenRows::kAll});
  EXPECT_EQ(all.conversions_per_step, e.conversions_per_step);
  EXPECT_EQ(count(all.energy, "drive"), 2 + 2 * 21 + 3);
  EXPECT_EQ(count(all.latency, "slice_time"), 1 + 2 + 1);
  EXPECT_EQ(count(all.latency, "block_time"), 0);
  EXPECT_LE(count(all.energy, "cells with weights"), 2 * 3 + 2 * (3 * (15 + 6 + 1) + 3) + 18);
  EXPECT_GT(count(all.energy, "cells with weights"), 0);
}

TEST(Energy, CopiesMultiplyArraysAndWeightedOnesConversions) {
  const model::Network network =
      rounded(shape(3, 6, true, true), {2, 5}, quant::quant_preset("w8a8s8"));
  const Technology technology = find_technology("crossbar-14nm");
  const Estimate one = estimate_on_crossbars(integer::to_integers(network), kSteps, technology, {});
  for (const double slice_base : {1.0, 4.0}) {
    const Estimate four = estimate_on_crossbars(integer::to_integers(network), kSteps, technology,
                                                {.slices = 4, .slice_base = slice_base});
    const std::size_t conversions = slice_base > 1 ? 4 : 1;
    EXPECT_EQ(four.arrays, 4 * one.arrays);
    EXPECT_EQ(four.conversions_per_step, conversions * one.conversions_per_step);
    EXPECT_EQ(count(four.energy, "drive"), 4 * count(one.energy, "drive"));
    EXPECT_EQ(count(four.energy, "cells at rest"), 4 * count(one.energy, "cells at rest"));
    EXPECT_NEAR(four.energy.of_part("converters", kSteps).typical,
                static_cast<double>(conversions) * one.energy.of_part("converters", kSteps).typical,
                1e-9 * four.energy.of_part("converters", kSteps).typical);
  }
}

TEST(Energy, OffsetsTakeHalfTheCellsAndDriveThemAll) {
  const model::Network network =
      rounded(shape(3, 6, true, true), {2, 5}, quant::quant_preset("w8a8s8"));
  const Technology technology = find_technology("crossbar-14nm");
  const Estimate pairs = estimate_on_crossbars(integer::to_integers(network), kSteps, technology,
                                               {.driven = crossbar::DrivenRows::kAll});
  const Estimate offset = estimate_on_crossbars(
      integer::to_integers(network), kSteps, technology,
      {.encoding = crossbar::WeightEncoding::kOffset, .driven = crossbar::DrivenRows::kAll});
  EXPECT_EQ(count(offset.energy, "cells at rest") * 512,
            count(pairs.energy, "cells at rest") * 257);
  EXPECT_GT(count(offset.energy, "cells with weights"), count(pairs.energy, "cells with weights"));
}

TEST(Energy, NarrowDriversAndCellsTakeSlices) {
  const model::Network network =
      rounded(shape(3, 6, true, true), {2, 5}, quant::quant_preset("w8a8s8"));
  // 4-bit drivers: three slices of an 8-bit code; 4-bit cells: two of an 8-bit weight.
  const Estimate e = on("crossbar-130nm", network);
  EXPECT_EQ(e.arrays, 8u);
  EXPECT_EQ(e.conversions_per_step, 30u * 3 * 2);
  const Technology serial = find_technology("crossbar-32nm");
  EXPECT_EQ(input_slices(serial, 8), 8);
  EXPECT_EQ(input_slices(find_technology("crossbar-130nm"), 8), 3);
  EXPECT_EQ(input_slices(find_technology("crossbar-14nm"), 8), 1);
  EXPECT_EQ(input_slices(find_technology("crossbar-14nm"), 9), 2);
}

// Cells of ternary weights all have the largest conductance, so the energy of the cells may rise
// although all other terms fall.
TEST(Energy, FewerBitsNeverCostMore) {
  const char* const falling[] = {"w8a8s8", "w6a8s8", "w4a8s8", "w4a6s8", "w4a6s6", "w2a4s4"};
  for (const std::string& target : shipped_technologies()) {
    Range energy{INFINITY, INFINITY, INFINITY}, latency = energy;
    for (const char* preset : falling) {
      const model::Network network =
          rounded(shape(5, 6, true, true), {2, 3}, quant::quant_preset(preset));
      const Estimate e = on(target.c_str(), network);
      Range now = e.energy.total(kSteps);
      const Range cells = e.energy.of_part("arrays", kSteps);
      now = {now.low - cells.low, now.typical - cells.typical, now.high - cells.high};
      const double slack = 1 + 1e-12;
      EXPECT_LE(now.low, energy.low * slack) << target << ' ' << preset;
      EXPECT_LE(now.typical, energy.typical * slack) << target << ' ' << preset;
      EXPECT_LE(now.high, energy.high * slack) << target << ' ' << preset;
      EXPECT_LE(e.latency.total(kSteps).high, latency.high * slack) << target << ' ' << preset;
      energy = now;
      latency = e.latency.total(kSteps);
    }
  }
}

TEST(Energy, RatioOfANetworkToItselfIsOne) {
  const model::Network network =
      rounded(shape(5, 6, true, true), {2, 3}, quant::quant_preset("w8a8s8"));
  const Estimate e = on("crossbar-32nm", network);
  const Range same = ratio(e.energy, e.energy, kSteps, kSteps, true);
  EXPECT_NEAR(same.low, 1, 1e-12);
  EXPECT_NEAR(same.high, 1, 1e-12);
  const Range twice = ratio(e.energy, e.energy, 2, 1, false);
  EXPECT_LT(twice.low, 1);
  EXPECT_GT(twice.high, 2);
}

TEST(Energy, RatioLeavesOutACyclesEnergyAndLength) {
  Technology t = find_technology("mcu-fp32");
  const Deployment a = deployment(model::Network(shape(5, 6, true, true), {2, 3}, 1));
  const Deployment b =
      deployment(rounded(shape(3, 6, true, true), {2, 3}, quant::quant_preset("w8a8s8")));
  const auto ratios = [&] {
    const Estimate of_a = estimate(a, count_operations(a, kSteps), t);
    const Estimate of_b = estimate(b, count_operations(b, kSteps), t);
    return std::pair(ratio(of_b.energy, of_a.energy, kSteps, kSteps, true),
                     ratio(of_b.latency, of_a.latency, kSteps, kSteps, true));
  };
  const auto [energy, latency] = ratios();
  EXPECT_EQ(energy, latency);  // both count cycles
  EXPECT_LT(energy.low, energy.typical);
  EXPECT_LT(energy.typical, energy.high);
  t.constants["cycle_energy"].value = {1, 10, 1000};
  t.constants["clock"].value = {1, 100, 1000};
  EXPECT_EQ(ratios(), std::pair(energy, latency));
}

// Against every corner of the box of constants.
TEST(Energy, RatioReachesTheExtremesOfItsConstants) {
  Random random(7, Stream::kTest);
  for (int trial = 0; trial < 50; ++trial) {
    constexpr std::size_t kTerms = 5;
    CostList a, b;
    for (std::size_t i = 0; i < kTerms; ++i) {
      const double low = random.uniform(0.1, 1), high = low + random.uniform(0, 5);
      const Range each{low, (low + high) / 2, high};
      const std::string what = std::to_string(i);
      if (i != 1) a.terms.push_back({"p", what, 0, random.uniform(0, 3), each});
      if (i != 3) b.terms.push_back({"p", what, 0, random.uniform(0, 3), each});
    }
    double least = INFINITY, most = 0;
    for (std::size_t corner = 0; corner < 1u << kTerms; ++corner) {
      const auto sum = [&](const CostList& list) {
        double total = 0;
        for (const CostTerm& t : list.terms) {
          const bool up = (corner >> std::stoul(t.what) & 1) != 0;
          total += t.at_end * (up ? t.each.high : t.each.low);
        }
        return total;
      };
      least = std::min(least, sum(a) / sum(b));
      most = std::max(most, sum(a) / sum(b));
    }
    const Range r = ratio(a, b, 1, 1, true);
    EXPECT_NEAR(r.low, least, 1e-12 * most);
    EXPECT_NEAR(r.high, most, 1e-12 * most);
    EXPECT_LE(r.low, r.typical);
    EXPECT_LE(r.typical, r.high);
  }
}

}  // namespace
}  // namespace crosstate::cost
