// Conductances of single pairs on the copies of an array, by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "crosstate/crossbar/array.h"

namespace crosstate::crossbar {
namespace {

using testing::ElementsAre;

// Ideal cells of 0 to 100 uS on arrays of 4 x 4 pairs.
Target ideal(const CrossbarOptions& crossbar) {
  Target target;
  target.device.programming_noise = target.device.read_noise = 0;
  target.device.g_max = 100;
  target.crossbar = crossbar;
  target.crossbar.rows = target.crossbar.columns = 4;
  return target;
}

ProgrammedArray array(const std::vector<float>& weights, std::size_t columns,
                      const CrossbarOptions& crossbar) {
  return {{.weights = weights, .rows = weights.size() / columns, .columns = columns},
          ideal(crossbar),
          1,
          0};
}

// The value that the pair of the second row holds, where the first row's weight is 1.
float held(double weight, const CrossbarOptions& crossbar) {
  const ProgrammedArray a = array({1, static_cast<float>(weight)}, 1, crossbar);
  EXPECT_EQ(a.copies().size(), static_cast<std::size_t>(crossbar.slices));
  EXPECT_FLOAT_EQ(a.effective()[0], 1);
  return a.effective()[1];
}

TEST(ArrayCopiesByHand, APairHoldsAWeightOnTheCellOfItsSign) {
  const ProgrammedArray a = array({1, -2, 0.5f, 0}, 2, {});
  const auto cells = a.cells().conductance();
  ASSERT_EQ(cells.size(), 4u * 8);
  EXPECT_EQ(a.bit_lines(), 8u);
  // Columns have scales of their own: 1 and 2 are 100 uS.
  EXPECT_THAT(std::vector<double>(cells.begin(), cells.begin() + 8),
              ElementsAre(100, 0, 0, 100, 0, 0, 0, 0));
  EXPECT_THAT(std::vector<double>(cells.begin() + 8, cells.begin() + 16),
              ElementsAre(50, 0, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(std::vector<double>(cells.begin() + 16, cells.end()), testing::Each(0));
}

TEST(ArrayCopiesByHand, OffsetsAreAboutTheReferenceOfTheirRow) {
  const ProgrammedArray a = array({1, -2, 0.5f, 0}, 2, {.encoding = WeightEncoding::kOffset});
  const auto cells = a.cells().conductance();
  ASSERT_EQ(cells.size(), 4u * 5);
  EXPECT_EQ(a.bit_lines(), 5u);
  // Two weights, idle cells outside the used part, and the reference; half the range is a weight.
  EXPECT_THAT(std::vector<double>(cells.begin(), cells.begin() + 5), ElementsAre(100, 0, 0, 0, 50));
  EXPECT_THAT(std::vector<double>(cells.begin() + 5, cells.begin() + 10),
              ElementsAre(75, 50, 0, 0, 50));
  EXPECT_THAT(std::vector<double>(cells.begin() + 10, cells.end()), testing::Each(0));
}

TEST(ArrayCopiesByHand, ReplicationHoldsTheWeightOnEveryCopy) {
  const ProgrammedArray a = array({1, -0.25f}, 1, {.slices = 3});
  ASSERT_EQ(a.copies().size(), 3u);
  for (const device::Cells& copy : a.copies()) {
    EXPECT_EQ(copy.conductance()[0], 100);
    EXPECT_EQ(copy.conductance()[8 + 1], 25);
  }
  EXPECT_FLOAT_EQ(a.effective()[1], -0.25f);  // their mean
}

// Cells of two conductances hold the binary digits of a weight: each copy the residual of those
// before it, doubled and rounded to -1, 0 or 1.
TEST(ArrayCopiesByHand, BitSlicesHoldWhatTheOthersMiss) {
  const auto sliced = [](double weight, int slices) {
    return held(weight, {.levels = 2, .slices = slices, .slice_base = 2});
  };
  EXPECT_FLOAT_EQ(held(0.3, {.levels = 2}), 0);
  EXPECT_FLOAT_EQ(sliced(0.3, 2), 0.5);     // 0.6 -> 1
  EXPECT_FLOAT_EQ(sliced(0.3, 3), 0.25);    // -0.8 -> -1
  EXPECT_FLOAT_EQ(sliced(0.3, 4), 0.25);    // 0.4 -> 0
  EXPECT_FLOAT_EQ(sliced(0.3, 5), 0.3125);  // 0.8 -> 1
  EXPECT_FLOAT_EQ(sliced(-0.3, 5), -0.3125);
  EXPECT_FLOAT_EQ(sliced(0, 3), 0);
  EXPECT_FLOAT_EQ(sliced(1, 3), 1);
  // Continuous cells leave nothing for a second copy.
  const ProgrammedArray a = array({1, 0.3f}, 1, {.slices = 2, .slice_base = 8});
  for (const double g : a.copies()[1].conductance()) EXPECT_NEAR(g, 0, 1e-9);
}

TEST(ArrayCopiesByHand, NoColumnMovesWithoutFaults) {
  EXPECT_EQ(array({1, 2}, 2, {.spare_columns = 1, .remap = FaultRemap::kColumns}).moved_columns(),
            0u);
}

}  // namespace
}  // namespace crosstate::crossbar
