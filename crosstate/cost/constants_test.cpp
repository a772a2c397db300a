#include <gtest/gtest.h>

#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include "crosstate/cost/energy.h"
#include "crosstate/cost/testing.h"

namespace crosstate::cost {
namespace {

constexpr TargetKind kKinds[] = {TargetKind::kMicrocontroller, TargetKind::kAccelerator,
                                 TargetKind::kCrossbar};

TEST(Constants, HaveNamesUnitsAndMeanings) {
  std::map<std::string, std::string> units;
  for (const TargetKind kind : kKinds) {
    std::set<std::string> names;
    for (const ConstantDefinition& c : constants_of(kind)) {
      EXPECT_TRUE(names.insert(c.name).second) << c.name << " twice";
      EXPECT_STRNE(c.unit, "") << c.name;
      EXPECT_STRNE(c.meaning, "") << c.name;
      // A section of a file has one unit for all kinds of targets.
      EXPECT_EQ(units.try_emplace(c.name, c.unit).first->second, c.unit) << c.name;
    }
  }
}

// A technology that lacks any of them cannot be estimated: every required constant is used.
TEST(Constants, AreAllUsed) {
  const model::Network network =
      fixtures::rounded(fixtures::shape(3, 6, true, true), {2, 5}, quant::quant_preset("w8a8s8"));
  const integer::IntegerNetwork integers = integer::to_integers(network);
  OperationSummary operations;
  operations.sites = {{.macs = 1, .weight_bits = 8, .input_bits = 8},
                      {.macs = 1, .in_floats = true}};
  const auto estimate_on = [&](const Technology& t) {
    if (t.kind == TargetKind::kCrossbar) return estimate_on_crossbars(integers, 9, t);
    estimate(operations, {100, 10}, true, t, {.weights = WeightMemory::kNonvolatile});
    return estimate(operations, {100, 10}, true, t);
  };
  for (const TargetKind kind : kKinds) {
    const Technology whole = fixtures::plain_technology(kind);
    EXPECT_NO_THROW(estimate_on(whole));
    for (const ConstantDefinition& c : constants_of(kind)) {
      Technology without = whole;
      without.constants.erase(c.name);
      EXPECT_THROW(estimate_on(without), std::logic_error) << c.name;
    }
  }
}

}  // namespace
}  // namespace crosstate::cost
