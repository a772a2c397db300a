#include "crosstate/crossbar/repair.h"

#include <gtest/gtest.h>

namespace crosstate::crossbar {
namespace {

constexpr device::ConductanceRange kRange{1, 9};

TEST(Repair, SetsTheSoundCellAgainstTheFaultyOne) {
  const CellPair high = retargeted({5, 1, device::Fault::kNone, device::Fault::kStuckHigh}, kRange);
  EXPECT_EQ(high.plus, 9);  // exact compensation would need 13
  EXPECT_EQ(fault_error(high, 4, kRange), -4);
  const CellPair low = retargeted({1, 5, device::Fault::kStuckHigh, device::Fault::kNone}, kRange);
  EXPECT_EQ(low.minus, 9);
  EXPECT_EQ(fault_error(low, -4, kRange), 4);
  const CellPair exact =
      retargeted({5, 1, device::Fault::kStuckHigh, device::Fault::kNone}, kRange);
  EXPECT_EQ(exact.minus, 5);
  EXPECT_EQ(fault_error(exact, 4, kRange), 0);
  const CellPair open = retargeted({4, 1, device::Fault::kNone, device::Fault::kOpen}, kRange);
  EXPECT_EQ(open.plus, 3);
  EXPECT_EQ(fault_error(open, 3, kRange), 0);
}

TEST(Repair, LeavesPairsOfTwoSoundOrFaultyCells) {
  for (const device::Fault fault : {device::Fault::kNone, device::Fault::kStuckLow}) {
    const CellPair pair = retargeted({5, 1, fault, fault}, kRange);
    EXPECT_EQ(pair.plus, 5);
    EXPECT_EQ(pair.minus, 1);
  }
  EXPECT_EQ(fault_error({5, 1, device::Fault::kStuckLow, device::Fault::kOpen}, 4, kRange), -3);
}

TEST(Repair, MovesTheWorstColumnsWhereTheyAreBetter) {
  // Errors at the original places, and at places 10 and 11.
  const double errors[][3] = {{0, 0, 0}, {3, 1, 2}, {9, 4, 2}, {1, 5, 5}};
  const auto error = [&](std::size_t column, std::size_t place) {
    return errors[column][place < 10 ? 0 : place - 9];
  };
  EXPECT_EQ(place_columns(4, 10, 2, error), (std::vector<std::size_t>{0, 10, 11, 3}));
  EXPECT_EQ(place_columns(4, 10, 1, error), (std::vector<std::size_t>{0, 1, 10, 3}));
  EXPECT_EQ(place_columns(4, 10, 0, error), (std::vector<std::size_t>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace crosstate::crossbar
