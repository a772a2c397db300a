#include "crosstate/crossbar/array.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"
#include "crosstate/device/cell.h"

namespace crosstate::crossbar {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t kRows = 40, kColumns = 24;
constexpr std::uint64_t kSeed = 11;
constexpr std::uint32_t kNumber = 3;

device::DeviceOptions ideal() {
  device::DeviceOptions options;
  options.programming_noise = 0;
  options.read_noise = 0;
  return options;
}

// About a third of the pairs are idle.
const std::vector<float>& weights() {
  static const std::vector<float> all = [] {
    Random random(1, Stream::kTest);
    std::vector<float> w(kRows * kColumns);
    for (float& v : w) v = random.below(3) == 0 ? 0 : static_cast<float>(random.uniform(-2, 2));
    return w;
  }();
  return all;
}

AlignedFloats codes(std::size_t steps) {
  Random random(2, Stream::kTest);
  AlignedFloats in(kRows * steps * kLanes);
  for (float& v : in) v = static_cast<float>(random.below(255)) - 127;
  return in;
}

ProgrammedArray programmed(const device::DeviceOptions& device, std::uint64_t seed = kSeed) {
  return {{weights(), kRows, kColumns}, {device, {}, {}}, seed, kNumber};
}

ProgrammedArray on(const device::DeviceOptions& device, const CrossbarOptions& crossbar,
                   const circuit::WireOptions& wires = {}) {
  return {{weights(), kRows, kColumns}, {device, crossbar, wires}, kSeed, kNumber};
}

double mean(const AlignedFloats& values) {
  double sum = 0;
  for (const float v : values) sum += v;
  return sum / static_cast<double>(values.size());
}

TEST(Array, IsTheExactProductWithoutNoise) {
  for (const double g_min : {0.0, 2.5}) {
    device::DeviceOptions device = ideal();
    device.g_min = g_min;
    const ProgrammedArray array = programmed(device);
    const std::vector<float> w = weights();
    const AlignedFloats in = codes(2);
    AlignedFloats out(kColumns * 2 * kLanes);
    ReadScratch scratch;
    array.multiply(0, kColumns, 2, {in.data(), 2 * kLanes}, {out.data(), 2 * kLanes}, 0, 0,
                   scratch);
    for (std::size_t c = 0; c < kColumns; ++c) {
      for (std::size_t i = 0; i < 2 * kLanes; ++i) {
        double sum = 0, size = 0;
        for (std::size_t r = 0; r < kRows; ++r) {
          const double term = static_cast<double>(w[r * kColumns + c]) * in[r * 2 * kLanes + i];
          sum += term;
          size += std::abs(term);
        }
        EXPECT_NEAR(out[c * 2 * kLanes + i], sum, 1e-6 * size);
      }
    }
  }
}

TEST(Array, ProgrammedWeightsSpreadAsTheirCellsDo) {
  device::DeviceOptions device;
  device.programming_noise = 0.03;
  const std::vector<float> w = weights();
  double sum = 0, squares = 0, n = 0;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const ProgrammedArray array = programmed(device, seed);
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t c = 0; c < kColumns; ++c) {
        const double ideal_weight = w[r * kColumns + c];
        const double found = array.effective()[c * kRows + r];
        if (ideal_weight == 0) {
          EXPECT_EQ(found, 0);  // both cells are at g_min
          continue;
        }
        const double relative = found / ideal_weight - 1;
        sum += relative;
        squares += relative * relative;
        n += 1;
      }
    }
  }
  EXPECT_NEAR(sum / n, 0, 4 * 0.03 / std::sqrt(n));
  EXPECT_NEAR(std::sqrt(squares / n), 0.03, 4 * 0.03 / std::sqrt(2 * n));
}

// Conductance of one cell of a pair, computed from the rule and the address alone.
double cell(const device::DeviceOptions& device, const std::vector<float>& w, std::size_t r,
            std::size_t c, bool minus) {
  double top = 0;
  for (std::size_t k = 0; k < kRows; ++k) {
    top = std::max(top, std::abs(static_cast<double>(w[k * kColumns + c])));
  }
  const double value = minus ? -w[r * kColumns + c] : w[r * kColumns + c];
  const double target = device.g_min + std::max(0.0, value) *
                                           (device::conductance_range(device).high - device.g_min) /
                                           top;
  const std::size_t columns = 64;
  return device::program(
      device, target,
      {kSeed, kNumber, static_cast<std::uint32_t>(2 * (r * columns + c) + (minus ? 1 : 0))});
}

double weight_scale(const device::DeviceOptions& device, const std::vector<float>& w,
                    std::size_t c) {
  double top = 0;
  for (std::size_t k = 0; k < kRows; ++k) {
    top = std::max(top, std::abs(static_cast<double>(w[k * kColumns + c])));
  }
  return (device::conductance_range(device).high - device.g_min) / top;
}

TEST(Array, ReadVarianceIsThatOfItsCells) {
  for (const device::NoiseBase base : {device::NoiseBase::kTarget, device::NoiseBase::kGmax}) {
    device::DeviceOptions device;
    device.g_min = 1;
    device.noise_relative_to = base;
    const std::vector<float> w = weights();
    const ProgrammedArray array = programmed(device);
    for (std::size_t r = 0; r < kRows; ++r) {
      for (std::size_t c = 0; c < kColumns; ++c) {
        const double plus = device::read_deviation(device, cell(device, w, r, c, false));
        const double minus = device::read_deviation(device, cell(device, w, r, c, true));
        const double scale = weight_scale(device, w, c);
        const double variance = (plus * plus + minus * minus) / (scale * scale);
        EXPECT_NEAR(array.read_variance()[c * kRows + r], variance, 1e-6 * variance);
      }
    }
  }
}

TEST(Array, OneGaussianPerColumnEqualsNoiseOnEveryCell) {
  device::DeviceOptions device;
  device.g_min = 1;
  device.read_noise = 0.05;
  const std::vector<float> w = weights();
  const ProgrammedArray array = programmed(device);
  constexpr std::size_t kReads = 20000, kColumn = 5;
  AlignedFloats in(kRows * kReads);
  const AlignedFloats driven = codes(1);
  for (std::size_t r = 0; r < kRows; ++r) {
    std::fill_n(&in[r * kReads], kReads, driven[r * kLanes]);
  }
  AlignedFloats out(kReads);
  ReadScratch scratch;
  array.multiply(kColumn, 1, kReads / kLanes, {in.data(), kReads}, {out.data(), kReads}, 0, 0,
                 scratch);

  // Every cell has an independent error.
  Random random(5, Stream::kTest);
  std::vector<double> brute(kReads);
  const double scale = weight_scale(device, w, kColumn);
  for (std::size_t r = 0; r < kRows; ++r) {
    for (const bool minus : {false, true}) {
      const double g = cell(device, w, r, kColumn, minus);
      const double factor = (minus ? -1 : 1) * static_cast<double>(driven[r * kLanes]) / scale;
      for (double& b : brute)
        b += factor * (g + device::read_deviation(device, g) * random.normal());
    }
  }
  const auto moments = [&](const auto& x) {
    double mean = 0, squares = 0;
    for (const double v : x) mean += v / kReads;
    for (const double v : x) squares += (v - mean) * (v - mean) / kReads;
    return std::pair(mean, squares);
  };
  const auto [mean, variance] = moments(out);
  const auto [brute_mean, brute_variance] = moments(brute);
  EXPECT_NEAR(mean, brute_mean, 4 * std::sqrt(2 * variance / kReads));
  EXPECT_NEAR(variance / brute_variance, 1, 4 * std::sqrt(4.0 / kReads));
}

TEST(Array, IdleCellsDisturbWhereNoiseIsThatOfTheLargestConductance) {
  device::DeviceOptions device;
  device.noise_relative_to = device::NoiseBase::kGmax;
  device.programming_noise = 0;
  // Row 0 has the weight, row 1 is idle.
  const std::vector<float> w{1, 0};
  const ProgrammedArray array({w, 2, 1}, {device, {}, {}}, kSeed, 0);
  EXPECT_FLOAT_EQ(array.read_variance()[0], array.read_variance()[1]);
  EXPECT_NEAR(array.read_variance()[1], 2 * 0.01 * 0.01, 1e-9);
}

TEST(Array, PartOfTheColumnsEqualsThoseOfTheWhole) {
  const ProgrammedArray array = programmed(ideal());
  const AlignedFloats in = codes(1);
  AlignedFloats whole(kColumns * kLanes), part(4 * kLanes);
  ReadScratch scratch;
  array.multiply(0, kColumns, 1, {in.data(), kLanes}, {whole.data(), kLanes}, 0, 0, scratch);
  array.multiply(7, 4, 1, {in.data(), kLanes}, {part.data(), kLanes}, 0, 0, scratch);
  for (std::size_t i = 0; i < part.size(); ++i) EXPECT_EQ(part[i], whole[7 * kLanes + i]);
}

TEST(Array, AddsTheOffsetsOfItsConverters) {
  const ProgrammedArray array = programmed(ideal());
  const AlignedFloats in(kRows * kLanes, 0);
  const std::vector<float> offset{1.5f, -2};
  AlignedFloats out(2 * kLanes);
  ReadScratch scratch;
  array.multiply(3, 2, 1, {in.data(), kLanes}, {out.data(), kLanes}, 0, 0, scratch, offset.data());
  for (std::size_t i = 0; i < kLanes; ++i) {
    EXPECT_EQ(out[i], 1.5f);
    EXPECT_EQ(out[kLanes + i], -2);
  }
}

// A noise-free unit input per row reads the effective weights of a column.
std::vector<float> column_of(const ProgrammedArray& array, std::size_t column) {
  AlignedFloats in(array.rows() * kLanes), out(kLanes);
  std::vector<float> found;
  ReadScratch scratch;
  for (std::size_t r = 0; r < array.rows(); ++r) {
    std::fill(in.begin(), in.end(), 0.0f);
    in[r * kLanes] = 1;
    array.multiply(column, 1, 1, {in.data(), kLanes}, {out.data(), kLanes}, 0, 0, scratch);
    found.push_back(out[0]);
  }
  return found;
}

TEST(Array, CellsHaveLevels) {
  Target target{ideal(), {.levels = 4}, {}};
  const ProgrammedArray array({weights(), kRows, kColumns}, target, kSeed, kNumber);
  float top = 0;
  for (std::size_t r = 0; r < kRows; ++r) top = std::max(top, std::abs(weights()[r * kColumns]));
  for (const float w : column_of(array, 0)) {
    const float steps = std::abs(w) / top * 3;
    EXPECT_NEAR(steps, std::round(steps), 1e-4);
  }
}

TEST(Array, CompensationUndoesWhatAColumnLost) {
  Target target{ideal(), {.adc_gain_error = 0.1, .adc_offset = 2}, {}};
  target.crossbar.compensation = Compensation::kColumn;
  ProgrammedArray array({weights(), kRows, kColumns}, target, kSeed, kNumber);
  const auto error = [&] {
    double sum = 0;
    const AlignedFloats in = codes(1);
    AlignedFloats out(kColumns * kLanes);
    ReadScratch scratch;
    array.multiply(0, kColumns, 1, {in.data(), kLanes}, {out.data(), kLanes}, 0, 0, scratch);
    for (std::size_t c = 0; c < kColumns; ++c) {
      double want = 0;
      for (std::size_t r = 0; r < kRows; ++r) {
        want += double{weights()[r * kColumns + c]} * in[r * kLanes];
      }
      sum += std::abs(out[c * kLanes] - want);
    }
    return sum / kColumns;
  };
  const double before = error();
  array.compensate();
  EXPECT_LT(error(), before * 1e-2);  // a least-squares fit to rounded sums
}

// Known inputs that are wider than the codes would lose their upper bits in slices.
TEST(Array, CompensationDrivesNothingThatCodesAreNot) {
  for (const Compensation compensation : {Compensation::kGlobal, Compensation::kColumn}) {
    SCOPED_TRACE(name_of(compensation));
    const Target target{ideal(), {.dac_bits = 2, .compensation = compensation}, {}};
    ProgrammedArray array({weights(), kRows, kColumns, 7, 3}, target, kSeed, kNumber);
    array.compensate();
    for (std::size_t i = 0; i < weights().size(); ++i) {
      const std::size_t at = i % kColumns * kRows + i / kColumns;
      EXPECT_NEAR(array.effective()[at], weights()[i], 1e-5);
    }
  }
}

TEST(Array, GlobalCompensationUndoesACommonDrift) {
  Target target{{}, {.compensation = Compensation::kGlobal}, {}};
  target.device.model = "pcm";
  target.device.flicker = false;
  ProgrammedArray array({weights(), kRows, kColumns}, target, kSeed, kNumber);
  const auto size = [&] {
    double sum = 0;
    for (const float w : array.effective()) sum += std::abs(w);
    return sum;
  };
  const double fresh = size();
  array.age_to(3e7);
  EXPECT_LT(size(), 0.7 * fresh);
  array.compensate();
  EXPECT_NEAR(size(), fresh, 0.1 * fresh);
}

TEST(Array, WiresTakeFromFarCells) {
  Target target{ideal(), {}, {.segment = 2}};
  target.device.g_min = 1;
  const std::vector<float> ones(32 * 32, 1);
  const ProgrammedArray array({ones, 32, 32}, target, kSeed, kNumber);
  const std::vector<float> near = column_of(array, 0), far = column_of(array, 31);
  EXPECT_LT(far[0], near[31]);  // the longest path, and the shortest
  for (const float w : near) EXPECT_LT(w, 1);
}

TEST(Array, TargetsMakeUpForWires) {
  const auto error = [](int rounds) {
    device::DeviceOptions device = ideal();
    device.g_min = 1;
    device.g_max = 100;
    const circuit::WireOptions wires{.segment = 1, .driver = 100, .sense = 100};
    const Target target{device, {.ir_drop_iterations = rounds}, wires};
    const ProgrammedArray array({weights(), kRows, kColumns}, target, kSeed, kNumber);
    double squares = 0;
    for (std::size_t i = 0; i < weights().size(); ++i) {
      const double e = array.effective()[i % kColumns * kRows + i / kColumns] - weights()[i];
      squares += e * e;
    }
    return std::sqrt(squares / static_cast<double>(weights().size()));
  };
  const double none = error(0);
  EXPECT_GT(none, 0.1);
  EXPECT_LT(error(1), none / 3);
  EXPECT_LT(error(3), none / 20);
}

// Next to large weights, small ones are hardly represented or have the wrong sign. They must not
// invert or shrink a whole column.
TEST(Array, TargetsNeverTurnAColumnAround) {
  device::DeviceOptions device = ideal();
  device.g_min = 1;
  device.g_max = 100;
  Random random(1, Stream::kTest);
  std::vector<float> w(kRows * kColumns);
  for (float& v : w) v = static_cast<float>(random.normal());
  for (const double segment : {1.0, 10.0, 100.0}) {
    for (const int rounds : {1, 3, 10}) {
      const circuit::WireOptions wires{.segment = segment, .driver = 1e3, .sense = 1e3};
      const Target target{device, {.ir_drop_iterations = rounds}, wires};
      const ProgrammedArray array({w, kRows, kColumns}, target, kSeed, kNumber);
      for (std::size_t c = 0; c < kColumns; ++c) {
        double shown = 0, wanted = 0;
        for (std::size_t r = 0; r < kRows; ++r) {
          const double of = w[r * kColumns + c];
          shown += array.effective()[c * kRows + r] * of;
          wanted += of * of;
        }
        EXPECT_GT(shown, 0.5 * wanted) << segment << " ohm, " << rounds << " rounds, column " << c;
      }
    }
  }
}

TEST(Array, SlicesOfCodesAddUp) {
  Target target{ideal(), {.dac_bits = 3}, {}};
  const AlignedFloats in = codes(1);
  AlignedFloats whole(kColumns * kLanes), sliced(kColumns * kLanes);
  ReadScratch scratch;
  std::vector<float> w(kRows * kColumns);
  for (std::size_t i = 0; i < w.size(); ++i) w[i] = std::round(10 * weights()[i]);
  const ProgrammedArray one({w, kRows, kColumns}, {ideal(), {}, {}}, kSeed, kNumber);
  const ProgrammedArray four({w, kRows, kColumns, 127, 4}, target, kSeed, kNumber);
  one.multiply(0, kColumns, 1, {in.data(), kLanes}, {whole.data(), kLanes}, 0, 0, scratch);
  four.multiply(0, kColumns, 1, {in.data(), kLanes}, {sliced.data(), kLanes}, 0, 0, scratch);
  EXPECT_EQ(whole, sliced);
}

TEST(Array, DriversBendAndShake) {
  const AlignedFloats in = codes(1);
  const auto product = [&](const CrossbarOptions& crossbar) {
    const std::vector<ColumnRange> ranges(kColumns, {.step = 1, .range = 2000});
    const ProgrammedArray array(
        {.weights = weights(), .rows = kRows, .columns = kColumns, .ranges = ranges},
        {ideal(), crossbar, {}}, kSeed, kNumber);
    AlignedFloats out(kColumns * kLanes);
    ReadScratch scratch;
    array.multiply(0, kColumns, 1, {in.data(), kLanes}, {out.data(), kLanes}, 0, 0, scratch);
    return out;
  };
  const AlignedFloats exact = product({});
  for (const CrossbarOptions& crossbar :
       {CrossbarOptions{.dac_gain_error = 0.01}, CrossbarOptions{.dac_inl = 0.5},
        CrossbarOptions{.dac_noise = 0.3}, CrossbarOptions{.adc_noise = 0.5},
        CrossbarOptions{.adc_inl = 0.5}}) {
    const AlignedFloats found = product(crossbar);
    double error = 0, size = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
      error += std::abs(found[i] - exact[i]);
      size += std::abs(exact[i]);
    }
    EXPECT_GT(error, 1e-5 * size);
    EXPECT_LT(error, 0.05 * size);
  }
}

// 0.25 V of the code 127 at a cell of 25 uS, the largest weight of the column, is 6.25 uA.
TEST(Array, ConvertersHaveNoiseInMicroamperes) {
  const CrossbarOptions crossbar{.read_voltage = 0.25, .adc_noise_floor = 0.5};
  const ProgrammedArray one = on(ideal(), crossbar);
  CrossbarOptions with_copies = crossbar;
  with_copies.slices = 4;
  const ProgrammedArray four = on(ideal(), with_copies);
  for (std::size_t c = 0; c < kColumns; ++c) {
    double top = 0;
    for (std::size_t r = 0; r < kRows; ++r) {
      top = std::max(top, std::abs(double{weights()[r * kColumns + c]}));
    }
    const double noise = 0.5 / 6.25 * 127 * top;
    EXPECT_NEAR(std::sqrt(one.fixed_variance()[c]), noise, 1e-5 * noise);
    // The currents of four copies on one bit line are added.
    EXPECT_NEAR(std::sqrt(four.fixed_variance()[c]), noise / 4, 1e-5 * noise);
  }
  constexpr std::size_t kSteps = 1000, kPanel = kSteps * kLanes;
  AlignedFloats in(kRows * kPanel, 0), out(kPanel);
  ReadScratch scratch;
  one.multiply(3, 1, kSteps, {in.data(), kPanel}, {out.data(), kPanel}, 0, 0, scratch);
  double squares = 0;
  for (const float v : out) squares += double{v} * v;
  EXPECT_NEAR(squares / kPanel / one.fixed_variance()[3], 1, 4 * std::sqrt(2.0 / kPanel));
}

// 50 uV, where a code is 0.2 V / 127, on rows of any level.
TEST(Array, DriversHaveNoiseInMicrovolts) {
  std::vector<float> w = weights(), drive(w.size(), 1);
  for (std::size_t i = 0; i < w.size(); ++i) {
    drive[i] = i / kColumns % 2 == 0 ? 1 : 0.25f;
    w[i] *= drive[i];
  }
  const Target target{ideal(), {.read_voltage = 0.2, .dac_noise_floor = 50}, {}};
  const ProgrammedArray array({.weights = w, .rows = kRows, .columns = kColumns, .drive = drive},
                              target, kSeed, kNumber);
  for (std::size_t c = 0; c < kColumns; ++c) {
    double squares = 0;
    for (std::size_t r = 0; r < kRows; ++r) squares += std::pow(weights()[r * kColumns + c], 2);
    const double noise = 50e-6 / (0.2 / 127) * std::sqrt(squares);
    EXPECT_NEAR(std::sqrt(array.fixed_variance()[c]), noise, 1e-5 * noise);
  }
}

// What drift has weakened is amplified together with the noise and the offset of its converter, and
// compensation removes the offset in full.
TEST(Array, CompensationAmplifiesAbsoluteErrors) {
  device::DeviceOptions device;
  device.model = "pcm";
  device.flicker = false;
  ProgrammedArray array =
      on(device, {.adc_noise_floor = 0.1, .compensation = Compensation::kGlobal});
  const float before = array.fixed_variance()[0];
  const auto size = [&] {
    double sum = 0;
    for (const float w : array.effective()) sum += std::abs(w);
    return sum;
  };
  const double fresh = size();
  array.age_to(3e7);
  const double drifted = size();
  EXPECT_LT(drifted, 0.75 * fresh);
  array.compensate();
  const double slope = size() / drifted;
  EXPECT_NEAR(std::sqrt(array.fixed_variance()[0] / before), slope, 0.02 * slope);

  ProgrammedArray shifted =
      on(device, {.adc_offset_floor = 0.5, .compensation = Compensation::kColumn});
  shifted.age_to(3e7);
  shifted.compensate();
  AlignedFloats in(kRows * kLanes, 0), out(kColumns * kLanes);
  ReadScratch scratch;
  shifted.multiply(0, kColumns, 1, {in.data(), kLanes}, {out.data(), kLanes}, 0, 0, scratch);
  for (const float v : out) EXPECT_NEAR(v, 0, 0.02);
}

TEST(Array, CompensationAveragesOverItsInputs) {
  const auto offset = [](int inputs) {
    ProgrammedArray array = on(ideal(), {.adc_noise_floor = 0.5,
                                         .compensation = Compensation::kColumn,
                                         .compensation_inputs = inputs});
    array.compensate();
    const std::vector<float> noise(array.fixed_variance(), array.fixed_variance() + kColumns);
    // The mean of many products of 0.
    constexpr std::size_t kSteps = 2000, kPanel = kSteps * kLanes;
    AlignedFloats in(kRows * kPanel, 0), out(kPanel);
    ReadScratch scratch;
    double squares = 0;
    for (std::size_t c = 0; c < kColumns; ++c) {
      array.multiply(c, 1, kSteps, {in.data(), kPanel}, {out.data(), kPanel}, 0, 0, scratch);
      const double relative = mean(out) / std::sqrt(noise[c]);
      squares += relative * relative / kColumns;
    }
    return std::sqrt(squares);
  };
  EXPECT_NEAR(offset(128) * std::sqrt(128.0), 1, 0.5);
  EXPECT_NEAR(offset(2048) * std::sqrt(2048.0), 1, 0.5);
}

// Every sequence finds cells that flicker on their own, and finds them the same at every step.
TEST(Array, WeightsOfAnInferenceFlicker) {
  device::DeviceOptions device;
  device.model = "hermes";
  EXPECT_FALSE(on(device, {}).flickers());
  device.inference_time = 0.042;
  std::vector<float> w = weights(), drive(w.size(), 1);
  for (std::size_t i = 0; i < w.size(); i += 3) w[i] = drive[i] = 0;
  for (const bool blocks : {false, true}) {
    const ProgrammedArray array(
        {.weights = w,
         .rows = kRows,
         .columns = kColumns,
         .drive = blocks ? std::span<const float>(drive) : std::span<const float>()},
        {device, {}, {}}, kSeed, kNumber);
    ASSERT_TRUE(array.flickers());
    ReadScratch scratch;
    AlignedFloats first, second;
    array.draw_weights(16, first, scratch);
    array.draw_weights(24, second, scratch);
    double squares = 0, count = 0;
    std::vector<double> sums(kColumns * kLanes, 0);
    const AlignedFloats in = codes(3);
    constexpr std::size_t kPanel = 3 * kLanes;
    std::size_t i = 0;
    for (std::size_t c = 0; c < kColumns; ++c) {
      for (std::size_t r = 0; r < kRows; ++r) {
        if (blocks && drive[r * kColumns + c] == 0) continue;
        const double weight = array.effective()[c * kRows + r];
        const double variance = array.inference_variance()[c * kRows + r];
        EXPECT_EQ(first[i * kLanes + 8], second[i * kLanes]);  // the same sequence
        for (std::size_t lane = 0; lane < kLanes; ++lane) {
          sums[c * kLanes + lane] +=
              double{first[i * kLanes + lane]} * in[r * kPanel + kLanes + lane];
          if (variance == 0) continue;
          squares += std::pow(first[i * kLanes + lane] - weight, 2) / variance;
          count += 1;
        }
        ++i;
      }
    }
    EXPECT_NEAR(squares / count, 1, 4 * std::sqrt(2 / count));
    AlignedFloats out(kColumns * kPanel);
    array.multiply(0, kColumns, 3, {in.data(), kPanel}, {out.data(), kPanel}, 16, 0, scratch,
                   nullptr, nullptr, first.data());
    for (std::size_t k = 0; k < sums.size(); ++k) {
      EXPECT_NEAR(out[k / kLanes * kPanel + kLanes + k % kLanes], sums[k], 2e-3);
    }
  }
}

// Two blocks: the rows of one are grounded while the columns of the other are read.
TEST(Array, RestingRowsAddNothing) {
  device::DeviceOptions device = ideal();
  device.g_min = 1;
  device.programming_noise = 0.05;
  device.read_noise = 0.05;
  std::vector<float> w(kRows * kColumns), drive(w.size());
  for (std::size_t r = 0; r < kRows; ++r) {
    for (std::size_t c = 0; c < kColumns; ++c) {
      const std::size_t i = r * kColumns + c;
      if ((r < kRows / 2) != (c < kColumns / 2)) continue;
      drive[i] = r % 2 == 0 ? 1 : 0.25f;
      w[i] = weights()[i] * drive[i];
    }
  }
  for (const double segment : {0.0, 0.5}) {
    const Target target{device, {}, {.segment = segment}};
    const ProgrammedArray array({.weights = w, .rows = kRows, .columns = kColumns, .drive = drive},
                                target, kSeed, kNumber);
    for (std::size_t i = 0; i < w.size(); ++i) {
      const std::size_t at = i % kColumns * kRows + i / kColumns;
      if (drive[i] == 0) {
        EXPECT_EQ(array.effective()[at], 0);
        EXPECT_EQ(array.read_variance()[at], 0);
      } else if (w[i] != 0) {
        // Cells hold the weight of full level, so its error decreases with the level.
        EXPECT_NEAR(array.effective()[at], w[i], 0.6 * drive[i]);
        EXPECT_GT(array.read_variance()[at], 0);
      }
    }
  }
  device.programming_noise = 0;
  const ProgrammedArray exact({.weights = w, .rows = kRows, .columns = kColumns, .drive = drive},
                              {device, {}, {}}, kSeed, kNumber);
  for (std::size_t i = 0; i < w.size(); ++i) {
    EXPECT_EQ(exact.effective()[i % kColumns * kRows + i / kColumns], w[i]);
  }
}

// Root mean square error of effective weights, relative to the largest of their column.
double weight_error(const ProgrammedArray& array) {
  double sum = 0;
  for (std::size_t c = 0; c < kColumns; ++c) {
    double top = 0, squares = 0;
    for (std::size_t r = 0; r < kRows; ++r) {
      const double w = weights()[r * kColumns + c], error = array.effective()[c * kRows + r] - w;
      top = std::max(top, std::abs(w));
      squares += error * error;
    }
    sum += squares / (top * top);
  }
  return std::sqrt(sum / static_cast<double>(kRows * kColumns));
}

TEST(ArrayCopies, AreExactWithoutNoise) {
  for (const double slice_base : {1.0, 4.0}) {
    for (const double g_min : {0.0, 2.5}) {
      device::DeviceOptions device = ideal();
      device.g_min = g_min;
      const ProgrammedArray array = on(device, {.slices = 3, .slice_base = slice_base});
      ASSERT_EQ(array.copies().size(), 3u);
      for (std::size_t i = 0; i < weights().size(); ++i) {
        EXPECT_EQ(array.effective()[i % kColumns * kRows + i / kColumns], weights()[i]);
      }
    }
  }
}

TEST(ArrayCopies, TheFirstIsTheSameArrayAsOneAlone) {
  const ProgrammedArray one = on({}, {}), three = on({}, {.slices = 3});
  EXPECT_TRUE(std::ranges::equal(one.cells().conductance(), three.copies()[0].conductance()));
  EXPECT_FALSE(std::ranges::equal(one.cells().conductance(), three.copies()[1].conductance()));
}

TEST(ArrayCopies, OfEqualSignificanceAverageErrors) {
  device::DeviceOptions device;
  device.g_min = 1;
  device.programming_noise = 0.05;
  const ProgrammedArray one = on(device, {});
  for (const int cells : {2, 4, 8}) {
    const ProgrammedArray many = on(device, {.slices = cells});
    // 960 pairs with similar errors: the ratio has a standard deviation of about 3 %.
    EXPECT_NEAR(weight_error(many) / weight_error(one), 1 / std::sqrt(cells),
                0.1 / std::sqrt(cells));
    EXPECT_NEAR(mean(many.read_variance()) / mean(one.read_variance()), 1.0 / cells, 0.05 / cells);
  }
}

TEST(ArrayCopies, OfFallingSignificanceHoldWhatTheOthersMiss) {
  device::DeviceOptions device;
  device.read_noise = 0;
  device.noise_relative_to = device::NoiseBase::kGmax;
  for (const double slice_base : {4.0, 16.0}) {
    device.programming_noise = 0.08 / slice_base;  // errors stay within the range of the next copy
    double before = weight_error(on(device, {}));
    for (const int cells : {2, 3}) {
      const ProgrammedArray array = on(device, {.slices = cells, .slice_base = slice_base});
      EXPECT_NEAR(before / weight_error(array), slice_base, 0.15 * slice_base);
      before = weight_error(array);
    }
  }
}

TEST(ArrayCopies, CannotCorrectBeyondTheReadThatFoundAnError) {
  device::DeviceOptions device;
  device.programming_noise = 0;
  device.read_noise = 0.02;
  device.noise_relative_to = device::NoiseBase::kGmax;
  const ProgrammedArray array = on(device, {.slices = 2, .slice_base = 8});
  EXPECT_NEAR(weight_error(array), std::sqrt(2) * 0.02, 0.003);
  // Noise of the first copy, and an eighth of that of the second.
  EXPECT_NEAR(mean(array.read_variance()) / mean(on(device, {}).read_variance()), 1 + 1.0 / 64,
              1e-3);
}

TEST(ArrayCopies, HoldWhatLevelsLeave) {
  const double one = weight_error(on(ideal(), {.levels = 9}));
  const double two = weight_error(on(ideal(), {.levels = 9, .slices = 2, .slice_base = 16}));
  EXPECT_GT(one, 0.02);
  EXPECT_NEAR(two, one / 16, 0.2 * one / 16);
}

TEST(ArrayCopies, HaveWiresOfTheirOwn) {
  const circuit::WireOptions wires{.segment = 2};
  const ProgrammedArray one = on(ideal(), {}, wires), four = on(ideal(), {.slices = 4}, wires);
  for (std::size_t i = 0; i < one.effective().size(); ++i) {
    EXPECT_NEAR(four.effective()[i], one.effective()[i], 1e-6);
  }
}

TEST(ArrayCopies, AllGrowOlder) {
  device::DeviceOptions device;
  device.model = "pcm";
  device.flicker = false;
  ProgrammedArray array = on(device, {.slices = 2});
  const std::vector<device::Cells> fresh = array.copies();
  array.age_to(3e7);
  for (std::size_t k = 0; k < 2; ++k) {
    EXPECT_EQ(array.copies()[k].time(), 3e7);
    EXPECT_FALSE(std::ranges::equal(array.copies()[k].conductance(), fresh[k].conductance()));
  }
}

TEST(ArrayOffset, IsExactWithoutNoise) {
  for (const int cells : {1, 3}) {
    device::DeviceOptions device = ideal();
    device.g_min = 2.5;
    const CrossbarOptions crossbar{
        .slices = cells, .slice_base = 4, .encoding = WeightEncoding::kOffset};
    const ProgrammedArray array = on(device, crossbar);
    EXPECT_EQ(array.bit_lines(), 65u);
    EXPECT_EQ(array.cells().targets().size(), 64u * 65);
    for (std::size_t i = 0; i < weights().size(); ++i) {
      EXPECT_EQ(array.effective()[i % kColumns * kRows + i / kColumns], weights()[i]);
    }
  }
}

TEST(ArrayOffset, AimsAtBothSidesOfTheMiddle) {
  device::DeviceOptions device = ideal();
  device.g_min = 2;
  device.g_max = 10;
  const std::vector<float> w{-2, 0, 1, 2};
  const ProgrammedArray array({w, 2, 2}, {device, {.encoding = WeightEncoding::kOffset}, {}}, kSeed,
                              kNumber);
  const auto at = [&](std::size_t row, std::size_t line) {
    return array.cells().targets()[row * array.bit_lines() + line];
  };
  EXPECT_DOUBLE_EQ(at(0, 0), 2);
  EXPECT_DOUBLE_EQ(at(0, 1), 6);
  EXPECT_DOUBLE_EQ(at(1, 0), 8);
  EXPECT_DOUBLE_EQ(at(1, 1), 10);
  EXPECT_DOUBLE_EQ(at(0, 64), 6);
  EXPECT_DOUBLE_EQ(at(0, 2), 2);  // idle, outside the used part
  EXPECT_DOUBLE_EQ(at(2, 64), 2);
}

TEST(ArrayOffset, AllColumnsHaveTheErrorOfTheReference) {
  device::DeviceOptions device;
  device.programming_noise = 0.05;
  device.noise_relative_to = device::NoiseBase::kGmax;
  // Equal columns of zero weights and one that determines the scale.
  std::vector<float> w(kRows * kColumns, 0);
  std::fill_n(w.begin(), kColumns, 1.0f);
  const ProgrammedArray array({w, kRows, kColumns},
                              {device, {.encoding = WeightEncoding::kOffset}, {}}, kSeed, kNumber);
  double common = 0, all = 0;  // variances
  for (std::size_t r = 1; r < kRows; ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < kColumns; ++c) {
      const double error = array.effective()[c * kRows + r];
      sum += error;
      all += error * error;
    }
    common += sum / kColumns * sum / kColumns;
  }
  all /= (kRows - 1) * kColumns;
  common /= kRows - 1;
  // Half of the variance, plus the mean error of the others. 39 rows: a standard deviation of 23 %.
  EXPECT_NEAR(common / all, 0.5 + 0.5 / kColumns, 0.25);
  EXPECT_NEAR(std::sqrt(all), 2 * std::sqrt(2) * 0.05, 0.03);  // half the range for a weight
}

TEST(ArrayOffset, HasLevelsAroundTheMiddle) {
  const ProgrammedArray array = on(ideal(), {.levels = 5, .encoding = WeightEncoding::kOffset});
  float top = 0;
  for (std::size_t r = 0; r < kRows; ++r) top = std::max(top, std::abs(weights()[r * kColumns]));
  for (const float w : column_of(array, 0)) {
    const float steps = std::abs(w) / top * 2;
    EXPECT_NEAR(steps, std::round(steps), 1e-4);
  }
  EXPECT_THAT([] { validate(CrossbarOptions{.levels = 4, .encoding = WeightEncoding::kOffset}); },
              ThrowsMessage<Error>(HasSubstr("crossbar.levels = 4, expected an odd number")));
}

device::DeviceOptions with_faults(double stuck) {
  device::DeviceOptions device = ideal();
  device.g_min = 1;
  device.stuck_low = device.stuck_high = 0.4 * stuck;
  device.open = 0.2 * stuck;
  return device;
}

TEST(ArrayFaults, MatterLessIfTheOtherCellIsSetAgainstThem) {
  const device::DeviceOptions device = with_faults(0.01);
  const double none = weight_error(on(device, {}));
  const double cells = weight_error(on(device, {.remap = FaultRemap::kCells}));
  EXPECT_GT(none, 0.03);
  EXPECT_LT(cells, 0.6 * none);
}

TEST(ArrayFaults, MatterLessIfTheWorstColumnsMove) {
  const device::DeviceOptions device = with_faults(0.01);
  const auto error = [&](int spares, FaultRemap remap) {
    const ProgrammedArray array = on(device, {.spare_columns = spares, .remap = remap});
    EXPECT_GT(array.moved_columns(), 0u);
    EXPECT_LE(array.moved_columns(), static_cast<std::size_t>(spares));
    return weight_error(array);
  };
  const double none = weight_error(on(device, {}));
  const double few = error(4, FaultRemap::kColumns), many = error(16, FaultRemap::kColumns);
  EXPECT_LT(few, 0.9 * none);
  EXPECT_LT(many, 0.8 * few);
  EXPECT_LT(error(16, FaultRemap::kBoth),
            0.5 * weight_error(on(device, {.remap = FaultRemap::kCells})));
}

TEST(ArrayFaults, OfCopiesAreRepairedOnEach) {
  const device::DeviceOptions device = with_faults(0.01);
  for (const double slice_base : {1.0, 4.0}) {
    const auto error = [&](FaultRemap remap) {
      return weight_error(
          on(device, {.spare_columns = 8, .remap = remap, .slices = 2, .slice_base = slice_base}));
    };
    EXPECT_LT(error(FaultRemap::kBoth), 0.6 * error(FaultRemap::kNone));
  }
}

TEST(ArrayFaults, MoveColumnsOfSingleCells) {
  const device::DeviceOptions device = with_faults(0.01);
  const double none = weight_error(on(device, {.encoding = WeightEncoding::kOffset}));
  EXPECT_LT(weight_error(on(device, {.spare_columns = 16,
                                     .remap = FaultRemap::kColumns,
                                     .encoding = WeightEncoding::kOffset})),
            0.95 * none);
}

TEST(ArrayFaults, SpareColumnsAreNotForWeights) {
  const std::vector<float> nine(9, 1);
  const CrossbarOptions small{.rows = 8, .columns = 10, .spare_columns = 2};
  EXPECT_THAT(
      [&] {
        ProgrammedArray({nine, 1, 9}, {ideal(), small, {}}, 1, 0);
      },
      ThrowsMessage<Error>(HasSubstr("expected at most 8 x 8")));
  EXPECT_THAT([] { validate(CrossbarOptions{.remap = FaultRemap::kColumns}); },
              ThrowsMessage<Error>(HasSubstr("crossbar.spare_columns = 0, expected at least 1")));
  EXPECT_THAT([] { validate(CrossbarOptions{.levels = 1}); },
              ThrowsMessage<Error>(HasSubstr("crossbar.levels = 1, expected 0 (any")));
  EXPECT_THAT([] { validate(CrossbarOptions{.partial_bits = 1}); },
              ThrowsMessage<Error>(HasSubstr("crossbar.partial_bits = 1, expected 0 (no")));
  for (const int levels : {0, 2, 3, 65536}) {
    EXPECT_NO_THROW(validate(CrossbarOptions{.levels = levels}));
  }
  EXPECT_THAT([] { validate(CrossbarOptions{.columns = 8, .spare_columns = 6}); },
              ThrowsMessage<Error>(HasSubstr("at least 3 fewer than crossbar.columns = 8")));
  EXPECT_THAT(
      [] {
        validate(CrossbarOptions{.remap = FaultRemap::kCells, .encoding = WeightEncoding::kOffset});
      },
      ThrowsMessage<Error>(HasSubstr("expected none or columns")));
}

TEST(ArrayCopies, AreNotForExternalChips) {
  Target target;
  target.crossbar.slices = 4;
  target.external.command = "driver";
  EXPECT_THAT([&] { validate(target); },
              ThrowsMessage<Error>(HasSubstr("crossbar.slices = 4, expected 1")));
}

TEST(Array, RejectsWhatItCannotHold) {
  const CrossbarOptions small{.rows = 8, .columns = 8};
  const std::vector<float> nine(9, 1);
  const std::vector<float> level(9, 0);
  EXPECT_THAT(
      [&] {
        ProgrammedArray({.weights = nine, .rows = 3, .columns = 3, .drive = level},
                        {ideal(), small, {}}, 1, 0);
      },
      ThrowsMessage<Error>(HasSubstr("in a row that is grounded for this column")));
  EXPECT_THAT(
      [&] {
        ProgrammedArray({nine, 9, 1}, {ideal(), small, {}}, 1, 4);
      },
      ThrowsMessage<Error>(HasSubstr("array 4: 9 weights for 9 x 1 pairs")));
  const std::vector<float> bad{1, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THAT(
      [&] {
        ProgrammedArray({bad, 2, 1}, {ideal(), small, {}}, 1, 0);
      },
      ThrowsMessage<Error>(HasSubstr("row 1, column 0")));
}

}  // namespace
}  // namespace crosstate::crossbar
