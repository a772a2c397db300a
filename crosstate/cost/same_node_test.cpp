#include "crosstate/cost/same_node.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/cost/rate.h"
#include "crosstate/cost/testing.h"

namespace crosstate::cost {
namespace {

constexpr std::uint64_t kSequence = 11;

TEST(SameNode, ScalesTheDigitalSide) {
  const model::Network network =
      fixtures::rounded(fixtures::shape(5, 6, true, true), {2, 3}, quant::quant_preset("w8a8s8"));
  const Deployment sizes = deployment(network);
  const OperationSummary operations = count_operations(sizes, kSequence);
  const Technology at_45 = find_technology("accelerator-45nm");
  const SameNode same = estimate_at_node(sizes, operations, kSequence, at_45, 45);
  const double at_home = estimate(sizes, operations, at_45).energy.total(kSequence).typical;
  EXPECT_DOUBLE_EQ(same.linear, at_home);
  EXPECT_DOUBLE_EQ(same.square, at_home);

  // But for the leakage, which stays, energies follow the node or its square.
  const SameNode small = estimate_at_node(sizes, operations, kSequence, at_45, 15);
  EXPECT_NEAR(small.linear, at_home / 3, 0.02 * at_home);
  EXPECT_NEAR(small.square, at_home / 9, 0.02 * at_home);
  EXPECT_EQ(small.sram.target, "same node, 15 nm");
  EXPECT_GT(small.nonvolatile.energy.total(kSequence).typical,
            small.sram.energy.total(kSequence).typical);
  EXPECT_LT(small.nonvolatile.rest.total(0).typical, small.sram.rest.total(0).typical);
}

TEST(SameNode, TellsRatiosAndRates) {
  const model::Network network =
      fixtures::rounded(fixtures::shape(5, 6, true, true), {2, 3}, quant::quant_preset("w8a8s8"));
  const Deployment sizes = deployment(network);
  const SameNode same = estimate_at_node(sizes, count_operations(sizes, kSequence), kSequence,
                                         find_technology("accelerator-45nm"), 14);
  const Estimate crossbars = estimate_on_crossbars(integer::to_integers(network), kSequence,
                                                   find_technology("crossbar-14nm"));
  const nlohmann::json json = to_json(same, crossbars, kSequence, 20);
  const Range over = over_digital(crossbars, same.sram, kSequence);
  EXPECT_DOUBLE_EQ(over.typical, crossbars.energy.total(kSequence).typical /
                                     same.sram.energy.total(kSequence).typical);
  EXPECT_DOUBLE_EQ(over.high,
                   crossbars.energy.total(kSequence).high / same.sram.energy.total(kSequence).low);
  EXPECT_EQ(json["crossbars_over_sram"], to_json(over));

  // Digital sites have the constants of the accelerator alone.
  const Estimate mixed =
      estimate_on_crossbars(integer::to_integers(network), kSequence,
                            find_technology("crossbar-14nm"), {.digital = "A, C, pointwise"});
  const Range shared = over_digital(mixed, same.sram, kSequence);
  const Range apart =
      ratio(mixed.energy, same.sram.energy, kSequence, kSequence, /*same_target=*/false);
  EXPECT_DOUBLE_EQ(shared.typical, apart.typical);
  EXPECT_LT(shared.high, apart.high);
  EXPECT_GT(shared.low, apart.low);
  EXPECT_EQ(json["at_rate"]["crossbars"]["energy_pj"], to_json(energy_at_rate(crossbars, 20)));
  EXPECT_FALSE(to_json(same, crossbars, kSequence, 1e12)["at_rate"]["sram"].contains("energy_pj"));
  const nlohmann::json alone = to_json(same, {}, kSequence, 0);
  EXPECT_FALSE(alone.contains("at_rate"));
  EXPECT_FALSE(alone.contains("break_even_rate"));
}

}  // namespace
}  // namespace crosstate::cost
