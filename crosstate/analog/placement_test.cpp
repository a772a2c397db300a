#include "crosstate/analog/placement.h"

#include <gtest/gtest.h>

#include <cmath>

namespace crosstate::analog {
namespace {

TEST(Placement, CutsIntoNearlyEqualParts) {
  using Cuts = std::vector<std::size_t>;
  EXPECT_EQ(cuts(6, 4), (Cuts{0, 3, 6}));
  EXPECT_EQ(cuts(8, 4), (Cuts{0, 4, 8}));
  EXPECT_EQ(cuts(9, 4), (Cuts{0, 3, 6, 9}));
  EXPECT_EQ(cuts(5, 0), (Cuts{0, 5}));
  EXPECT_EQ(cuts(0, 4), (Cuts{0}));
}

TEST(Placement, LeavesALineForInputAndOutput) {
  EXPECT_EQ(modes_of_piece({.rows = 64, .columns = 64}, true), 31u);
  EXPECT_EQ(modes_of_piece({.rows = 64, .columns = 9}, true), 4u);
  EXPECT_EQ(modes_of_piece({.rows = 9}, false), 8u);
  EXPECT_EQ(modes_of_piece({.rows = 3, .columns = 3}, true), 1u);
  EXPECT_GT(modes_of_piece({}, true), 1u << 30);
}

// gain 1/4, A - 1 = -0.01 + 0.01 i: the rows of the state have 1/32 of full level, so that their
// cells represent 0.32, more than that of the gain.
TEST(Placement, GivesEveryBitLineItsUnit) {
  const CodeMode mode{.gain = 0.25f, .ar = 0.99f, .ai = 0.01f, .cr = 100, .ci = -12};
  const ModeUnits u = mode_units({&mode, 1}, true, {})[0];
  EXPECT_NEAR(u.gain, 0.32, 1e-5);
  EXPECT_NEAR(u.pole_real, 0.01, 1e-6);
  EXPECT_NEAR(u.pole_imaginary, 0.01, 1e-6);
  EXPECT_NEAR(u.largest_real, 0.27, 1e-6);
  EXPECT_NEAR(u.largest_imaginary, 0.02, 1e-6);
  EXPECT_EQ(u.cr, 100);  // 12 at 1/8 is 96
  EXPECT_EQ(u.ci, 12.5f);
  EXPECT_NEAR(u.real, 0.32, 1e-5);
  EXPECT_NEAR(u.imaginary, 0.32, 1e-5);
  EXPECT_EQ(u.output, 100);

  // At full levels the gain determines its own line, but not that of the imaginary part.
  const ModeUnits full = mode_units({&mode, 1}, true, {.drive_halvings = 0})[0];
  EXPECT_EQ(full.gain, 0.25f);
  EXPECT_EQ(full.pole_real, 0.25f);
  EXPECT_NEAR(full.pole_imaginary, 0.01, 1e-6);
  EXPECT_EQ(full.ci, 100);
  EXPECT_NEAR(full.imaginary, 0.01, 1e-6);
}

TEST(Placement, HoldsAllOfAWhereConvertersAddNothing) {
  const CodeMode mode{.gain = 0.25f, .ar = 0.99f, .ai = 0.01f};
  const ModeUnits u = mode_units({&mode, 1}, true, {.kept = 0})[0];
  EXPECT_FLOAT_EQ(u.pole_real, 1);  // the gain, 1/4 at 1/4
  EXPECT_FLOAT_EQ(u.largest_real, 1.25f);
  EXPECT_FLOAT_EQ(u.largest_imaginary, 1);
}

TEST(Placement, RealModesTakeOneRowAndColumn) {
  const CodeMode mode{.gain = 0.5f, .ar = 0.75f, .cr = 3};
  const ModePlacement placement(mode, false, 3, {});
  ASSERT_EQ(placement.pairs().size(), 3u);
  const ModeUnits u = mode_units({&mode, 1}, false, {})[0];
  EXPECT_EQ(u.largest_real, 0.75f);
  EXPECT_EQ(u.largest_imaginary, 0);
  EXPECT_EQ(u.cr, 3);
}

TEST(Placement, EveryPieceHasAnOutputOfItsOwn) {
  const CodeMode modes[] = {{.gain = 1, .ar = 0.5f, .cr = 100}, {.gain = 1, .ar = 0.5f, .cr = 25}};
  const std::vector<ModeUnits> together = mode_units(modes, false, {.drive_halvings = 0});
  EXPECT_EQ(together[1].cr, 100);
  const std::vector<ModeUnits> apart = mode_units(modes, false, {.rows = 2, .drive_halvings = 0});
  EXPECT_EQ(apart[0].cr, 100);
  EXPECT_EQ(apart[1].cr, 25);
}

}  // namespace
}  // namespace crosstate::analog
