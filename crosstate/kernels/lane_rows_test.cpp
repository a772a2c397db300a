#include "crosstate/kernels/lane_rows.h"

#include <gtest/gtest.h>

#include <vector>

#include "crosstate/kernels/reference/testing.h"

namespace crosstate::kernels {
namespace {

using reference::on_every_target;

// Value of column c of row r of lane i.
float value(std::size_t i, std::size_t r, std::size_t c) {
  return static_cast<float>(10000 * i + 100 * r + c);
}

TEST(LaneRows, EveryValueHasItsPlaceInThePanelAndBack) {
  on_every_target([] {
    for (const std::size_t columns : {1, 3, 4, 15, 16, 28, 39}) {
      const std::size_t rows = 3, by_row = columns + 2, of_lane = rows * by_row + 1;
      std::vector<float> from(kLanes * of_lane, -1), back(from);
      LaneRows<const float> in{{}, static_cast<std::ptrdiff_t>(by_row)};
      LaneRows<float> out{{}, in.by_row};
      for (std::size_t i = 0; i < kLanes; ++i) {
        in.lane[i] = from.data() + i * of_lane + 1;
        out.lane[i] = back.data() + i * of_lane + 1;
        for (std::size_t r = 0; r < rows; ++r) {
          for (std::size_t c = 0; c < columns; ++c) {
            from[i * of_lane + 1 + r * by_row + c] = value(i, r, c);
          }
        }
      }
      for (const PanelPlaces places :
           {PanelPlaces{columns * kLanes, kLanes}, PanelPlaces{kLanes, rows * kLanes}}) {
        AlignedFloats panel(rows * columns * kLanes);
        to_panel(in, rows, columns, places, panel.data());
        for (std::size_t i = 0; i < kLanes; ++i) {
          for (std::size_t r = 0; r < rows; ++r) {
            for (std::size_t c = 0; c < columns; ++c) {
              ASSERT_EQ(panel[r * places.by_row + c * places.by_column + i], value(i, r, c))
                  << columns << " columns: " << i << " " << r << " " << c;
            }
          }
        }
        std::fill(back.begin(), back.end(), -1.0f);
        from_panel(panel.data(), places, rows, columns, out);
        // Nothing is written between the rows.
        EXPECT_EQ(back, from) << columns;
      }
    }
  });
}

}  // namespace
}  // namespace crosstate::kernels
