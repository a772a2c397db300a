// Arrays on the cells of a backend that computes what ideal cells would.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "crosstate/base/random.h"
#include "crosstate/crossbar/array.h"

namespace crosstate::crossbar {
namespace {

constexpr std::size_t kRows = 5, kColumns = 4, kAllRows = 8, kAllLines = 16;
constexpr double kVolts = 0.3;

class Chip : public hardware::Backend {
 public:
  struct Read {
    hardware::BitLines lines;
    std::vector<double> voltages;
  };

  void program(std::size_t array, std::span<const double> conductances) override {
    cells[array].assign(conductances.begin(), conductances.end());
  }
  void age_to(double) override {}
  // Every other line is summed from the last row on: currents that should be equal differ by
  // rounding.
  void multiply(std::size_t array, hardware::BitLines lines, std::size_t count,
                std::span<const double> voltages, std::span<double> currents) override {
    reads.push_back({lines, {voltages.begin(), voltages.end()}});
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t i = 0; i < lines.count; ++i) {
        const std::size_t line = lines.first + i;
        double sum = 0;
        for (std::size_t n = 0; n < kAllRows; ++n) {
          const std::size_t row = line % 2 == 0 ? n : kAllRows - 1 - n;
          sum += voltages[k * kAllRows + row] * cells.at(array)[row * kAllLines + line];
        }
        currents[k * lines.count + i] = sum;
      }
    }
  }

  std::map<std::size_t, std::vector<double>> cells;
  std::vector<Read> reads;
};

class ArrayBackend : public testing::Test {
 protected:
  ArrayBackend() {
    target_.device.g_min = 2.5;
    target_.device.g_max = 25;
    target_.crossbar.rows = kAllRows;
    target_.crossbar.columns = kAllLines / 2;
    target_.external.command = "a driver";
    target_.external.voltage = kVolts;
    Random random(3, Stream::kTest);
    for (float& w : weights_) w = static_cast<float>(random.uniform(-2, 2));
    for (float& v : in_) v = static_cast<float>(random.below(255)) - 127;
  }
  ProgrammedArray array(const std::vector<float>& drive = {}) {
    return {{.weights = weights_, .rows = kRows, .columns = kColumns, .drive = drive},
            target_,
            1,
            7,
            &chip_};
  }
  void multiply(const ProgrammedArray& array, std::size_t first, std::size_t count) {
    chip_.reads.clear();
    out_.assign(count * kLanes, -1);
    array.multiply(first, count, 1, {in_.data(), kLanes}, {out_.data(), kLanes}, 0, 0, scratch_);
  }
  // The exact sum of a column in a lane, and the sum of its magnitudes.
  std::pair<double, double> exact(std::size_t column, std::size_t lane,
                                  const std::vector<float>& drive = {}) const {
    double sum = 0, size = 0;
    for (std::size_t r = 0; r < kRows; ++r) {
      if (!drive.empty() && drive[r * kColumns + column] == 0) continue;
      const double term = double{weights_[r * kColumns + column]} * in_[r * kLanes + lane];
      sum += term;
      size += std::abs(term);
    }
    return {sum, size};
  }

  Chip chip_;
  Target target_;
  std::vector<float> weights_ = std::vector<float>(kRows * kColumns);
  AlignedFloats in_ = AlignedFloats(kRows * kLanes), out_;
  ReadScratch scratch_;
};

TEST_F(ArrayBackend, ProgramsConductancesOfTheWholeArray) {
  const ProgrammedArray programmed = array();
  ASSERT_EQ(chip_.cells.count(7), 1u);
  const std::vector<double>& cells = chip_.cells[7];
  ASSERT_EQ(cells.size(), kAllRows * kAllLines);
  for (std::size_t r = 0; r < kAllRows; ++r) {
    for (std::size_t c = 0; c < kAllLines / 2; ++c) {
      const double plus = cells[r * kAllLines + 2 * c], minus = cells[r * kAllLines + 2 * c + 1];
      EXPECT_NEAR(std::min(plus, minus), 2.5e-6, 1e-18);  // one of them is idle
      EXPECT_LE(std::max(plus, minus), 25e-6 * (1 + 1e-9));
      const bool used = r < kRows && c < kColumns;
      const float w = used ? weights_[r * kColumns + c] : 0;
      EXPECT_EQ(plus > minus, w > 0);
      EXPECT_EQ(minus > plus, w < 0);
    }
  }
}

TEST_F(ArrayBackend, ReadsProductsFromCurrents) {
  const ProgrammedArray programmed = array();
  multiply(programmed, 0, kColumns);
  for (std::size_t c = 0; c < kColumns; ++c) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      const auto [sum, size] = exact(c, k);
      EXPECT_NEAR(out_[c * kLanes + k], sum, 1e-6 * size) << c << ' ' << k;
    }
  }
  ASSERT_EQ(chip_.reads.size(), 1u);
  EXPECT_EQ(chip_.reads[0].lines.first, 0u);
  EXPECT_EQ(chip_.reads[0].lines.count, 2 * kColumns);
  // The largest code has the whole voltage; rows without weights are at 0 V.
  for (std::size_t k = 0; k < kLanes; ++k) {
    for (std::size_t r = 0; r < kAllRows; ++r) {
      const double volts = chip_.reads[0].voltages[k * kAllRows + r];
      EXPECT_NEAR(volts, r < kRows ? in_[r * kLanes + k] / 127 * kVolts : 0, 1e-7);
      EXPECT_FALSE(volts == 0 && std::signbit(volts));
    }
  }
}

TEST_F(ArrayBackend, ReadsOnlyTheLinesThatAreWanted) {
  const ProgrammedArray programmed = array();
  multiply(programmed, 2, 1);
  ASSERT_EQ(chip_.reads.size(), 1u);
  EXPECT_EQ(chip_.reads[0].lines.first, 4u);
  EXPECT_EQ(chip_.reads[0].lines.count, 2u);
  EXPECT_NEAR(out_[3], exact(2, 3).first, 1e-6 * exact(2, 3).second);
}

TEST_F(ArrayBackend, ReadsColumnsOfTheSameLevelsTogether) {
  // Rows 0 to 2 at full level for columns 0 and 2, the others at half of it for 1 and 3.
  std::vector<float> drive(kRows * kColumns);
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t c = 0; c < kColumns; ++c) {
      if (c % 2 == 0 && r < 3) drive[r * kColumns + c] = 1;
      if (c % 2 == 1 && r >= 3) drive[r * kColumns + c] = 0.5f;
      if (drive[r * kColumns + c] == 0) weights_[r * kColumns + c] = 0;
    }
  }
  const ProgrammedArray programmed = array(drive);
  multiply(programmed, 0, kColumns);
  EXPECT_EQ(chip_.reads.size(), 2u);
  for (std::size_t c = 0; c < kColumns; ++c) {
    for (std::size_t k = 0; k < kLanes; ++k) {
      const auto [sum, size] = exact(c, k, drive);
      EXPECT_NEAR(out_[c * kLanes + k], sum, 1e-6 * size) << c << ' ' << k;
    }
  }
  for (std::size_t k = 0; k < kLanes; ++k) {
    EXPECT_EQ(chip_.reads[0].voltages[k * kAllRows + 4], 0);  // grounded
    EXPECT_NEAR(chip_.reads[1].voltages[k * kAllRows + 4], in_[4 * kLanes + k] / 127 * kVolts / 2,
                1e-7);
  }
}

TEST_F(ArrayBackend, EqualCurrentsAreExactlyZero) {
  weights_.assign(weights_.size(), 0);
  weights_[0] = 1;  // column 0 sets no scale for the others
  const ProgrammedArray programmed = array();
  multiply(programmed, 0, kColumns);
  bool differ = false;
  for (std::size_t k = 0; k < kLanes; ++k) {
    EXPECT_NEAR(out_[k], in_[k], 1e-4);
    for (std::size_t c = 1; c < kColumns; ++c) {
      EXPECT_EQ(out_[c * kLanes + k], 0);
      const double* currents = scratch_.currents.data() + k * 2 * kColumns + 2 * c;
      differ = differ || currents[0] != currents[1];
    }
  }
  EXPECT_TRUE(differ);  // otherwise there was nothing to suppress
}

}  // namespace
}  // namespace crosstate::crossbar
