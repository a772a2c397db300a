// Ratios of single terms, computed by hand; energy_test.cpp compares sums with all corners of their
// constants.
#include <gtest/gtest.h>

#include <vector>

#include "crosstate/cost/energy.h"

namespace crosstate::cost {
namespace {

CostList list(std::vector<CostTerm> terms, const Range& factor = {1, 1, 1}) {
  CostList made;
  made.terms = std::move(terms);
  made.factor = factor;
  return made;
}

const Range kWide{1, 2, 10}, kOther{3, 4, 5};

TEST(Ratio, OfOneSharedConstantIsExact) {
  const CostList n = list({{"p", "x", 6, 0, kWide}}), d = list({{"p", "x", 2, 0, kWide}});
  const Range r = ratio(n, d, 1, 1, true);
  EXPECT_DOUBLE_EQ(r.low, 3);
  EXPECT_DOUBLE_EQ(r.typical, 3);
  EXPECT_DOUBLE_EQ(r.high, 3);
  // Constants of another target are independent.
  EXPECT_EQ(ratio(n, d, 1, 1, false), (Range{6.0 / 20, 3, 60.0 / 2}));
}

TEST(Ratio, OfConstantsOfTheirOwnHasTheEndsOfBoth) {
  const CostList n = list({{"p", "x", 1, 0, kWide}}), d = list({{"p", "y", 1, 0, kOther}});
  const Range r = ratio(n, d, 1, 1, true);
  EXPECT_DOUBLE_EQ(r.low, 1.0 / 5);
  EXPECT_DOUBLE_EQ(r.typical, 2.0 / 4);
  EXPECT_DOUBLE_EQ(r.high, 10.0 / 3);
}

TEST(Ratio, AddsSharedTermsOfSeveralParts) {
  const CostList n = list({{"p", "x", 1, 0, kWide}, {"q", "x", 2, 0, kWide}});
  EXPECT_DOUBLE_EQ(ratio(n, list({{"r", "x", 1, 0, kWide}}), 1, 1, true).high, 3);
}

TEST(Ratio, CountsStepsAndTheEnd) {
  const CostList n = list({{"p", "x", 2, 5, kWide}}), d = list({{"p", "x", 1, 1, kWide}});
  EXPECT_DOUBLE_EQ(ratio(n, d, 10, 4, true).typical, 25.0 / 5);
  EXPECT_DOUBLE_EQ(ratio(n, d, 0, 0, true).low, 5);
  EXPECT_DOUBLE_EQ(ratio(n, d, 10, 4, false).typical, 25.0 / 5);
}

TEST(Ratio, CancelsTheFactorOfOneTargetAlone) {
  const CostList n = list({{"p", "x", 6, 0, {1, 1, 1}}}, {2, 3, 4});
  const CostList d = list({{"p", "x", 2, 0, {1, 1, 1}}}, {2, 3, 4});
  EXPECT_EQ(ratio(n, d, 1, 1, true), (Range{3, 3, 3}));
  EXPECT_EQ(ratio(n, d, 1, 1, false), (Range{12.0 / 8, 3, 24.0 / 4}));
}

TEST(Ratio, OfNothingIsZero) {
  const CostList some = list({{"p", "x", 1, 0, kWide}});
  for (const bool same : {true, false}) {
    EXPECT_EQ(ratio({}, some, 1, 1, same), Range{}) << same;
    EXPECT_EQ(ratio(some, {}, 1, 1, same), Range{}) << same;
    EXPECT_EQ(ratio({}, {}, 1, 1, same), Range{}) << same;
  }
}

}  // namespace
}  // namespace crosstate::cost
