#include "crosstate/simulate/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/data/mnist.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/convert.h"
#include "crosstate/integer/engine.h"
#include "crosstate/integer/testing.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/parts.h"
#include "crosstate/simulate/chip.h"
#include "crosstate/simulate/conversion.h"
#include "crosstate/train/adamw.h"

namespace crosstate::simulate {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t kStride = 7;  // every seventh pixel, for speed: 112 time steps

// Every seventh pixel of the first `count` digits.
data::Dataset thinned(const data::Dataset& from, std::size_t count) {
  data::Dataset to;
  to.name = from.name;
  to.count = count;
  to.length = from.length / kStride;
  to.targets.assign(from.targets.begin(),
                    from.targets.begin() + static_cast<std::ptrdiff_t>(count));
  to.readout = from.readout;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t t = 0; t < to.length; ++t) to.values.push_back(from.sequence(i)[t * kStride]);
  }
  return to;
}

struct Digits {
  data::Dataset train, test;
  Digits() {
    const data::TrainTest sample = data::read_mnist_sample();
    train = thinned(sample.train, 2048);
    test = thinned(sample.test, sample.test.count);
  }
};
const Digits& digits() {
  static const Digits d;
  return d;
}

data::Batch batch_of(const data::Dataset& data, std::size_t first, std::size_t count) {
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), static_cast<std::uint32_t>(first));
  data::Batch batch;
  data::fill_batch(data, order, 28, batch);
  return batch;
}

// Two short epochs, enough for an accuracy above chance.
model::Network trained(const model::ModelOptions& options, const quant::QuantOptions& quant) {
  ThreadPool pool(2);
  model::Network network(options, {1, 10}, 1);
  train::AdamW optimizer(network.parameters(), {});
  for (std::uint64_t step = 0; step < 64; ++step) {
    const data::Batch batch = batch_of(digits().train, step % 32 * 64, 64);
    network.train_step(batch, {.step = step}, pool);
    optimizer.step(network.parameters(), 1);
  }
  network.fold_norms();
  const data::Batch calibration = batch_of(digits().train, 0, 128);
  network.quantize(quant, std::span(&calibration, 1), pool);
  return network;
}

const model::Network& rounded_classifier() {
  static const model::Network n = trained({}, {});
  return n;
}
const integer::IntegerNetwork& classifier() {
  static const integer::IntegerNetwork n = integer::to_integers(rounded_classifier());
  return n;
}

crossbar::Target ideal() {
  crossbar::Target target;
  target.device.programming_noise = 0;
  target.device.read_noise = 0;
  return target;
}

crossbar::Target noisy(double programming, double read) {
  crossbar::Target target;
  target.device.programming_noise = programming;
  target.device.read_noise = read;
  return target;
}

std::vector<ChipResult> on_chip(const integer::IntegerNetwork& network,
                                const crossbar::Target& target, const data::Batch& batch,
                                std::uint32_t number = 0, std::uint32_t sequence = 0) {
  ThreadPool pool(2);
  const mapping::Mapping mapping = mapping::map_network(network, target.crossbar, batch.length);
  return Chip(network, mapping, target, 1, number).run(batch, sequence, pool);
}

std::vector<double> scores_of(const std::vector<ChipResult>& results) {
  std::vector<double> scores;
  for (const ChipResult& r : results) scores.insert(scores.end(), r.scores.begin(), r.scores.end());
  return scores;
}

// Bit-identical to the scores of the integer executor.
void expect_integers(const integer::IntegerNetwork& network, const crossbar::Target& target,
                     const data::Batch& batch) {
  ThreadPool pool(2);
  const std::vector<integer::IntegerResult> want = integer::IntegerEngine(network).run(batch, pool);
  const std::vector<ChipResult> found = on_chip(network, target, batch);
  ASSERT_EQ(found.size(), want.size());
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_EQ(found[i].scores, std::vector<double>(want[i].scores.begin(), want[i].scores.end()))
        << "sequence " << i;
    EXPECT_EQ(found[i].logits(), want[i].logits());
    EXPECT_EQ(found[i].best(), want[i].best());
  }
}

void expect_integers_either_way(const integer::IntegerNetwork& network, crossbar::Target target,
                                const data::Batch& batch) {
  target.crossbar.recurrence = crossbar::PoleStorage::kDirect;
  target.crossbar.driven = crossbar::DrivenRows::kAll;
  expect_integers(network, target, batch);
  target.crossbar.recurrence = crossbar::PoleStorage::kIncrement;
  target.crossbar.driven = crossbar::DrivenRows::kBlocks;
  expect_integers(network, target, batch);
}

TEST(Chip, IdealIsTheIntegerNetwork) {
  expect_integers_either_way(classifier(), ideal(), batch_of(digits().test, 0, 1000));
}

TEST(Chip, IdealIsTheIntegerNetworkInEveryFormat) {
  for (int number = 0; number < 24; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = integer::fixtures::sequences(number);
    const integer::IntegerNetwork network =
        integer::fixtures::network(number, set, integer::fixtures::format(number, number % 3 != 2));
    crossbar::Target target = ideal();
    target.crossbar.adc_bits = 16;
    expect_integers_either_way(network, target, model::reference::batch_of(set));
  }
}

TEST(Chip, IdealIsTheIntegerNetworkAtEveryStep) {
  for (int number = 0; number < 12; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = integer::fixtures::sequences(number);
    integer::IntegerNetwork network =
        integer::fixtures::network(number, set, integer::fixtures::format(number, number % 3 != 2));
    network.every_step = network.pool_last = true;
    crossbar::Target target = ideal();
    target.crossbar.adc_bits = 16;
    target.crossbar.dac_bits = number % 2 == 0 ? 16 : 4;  // one slice of a code, or several
    expect_integers_either_way(network, target, model::reference::batch_of(set));
    const mapping::Mapping mapping = mapping::map_network(network, target.crossbar, set.length);
    EXPECT_EQ(mapping.decoder_slices > 1, number % 2 == 1);
    EXPECT_EQ(mapping.conversions_per_sequence(), 0u);
    network.every_step = false;
    const mapping::Mapping once = mapping::map_network(network, target.crossbar, set.length);
    EXPECT_EQ(mapping.conversions_per_step(),
              once.conversions_per_step() + once.conversions_per_sequence());
  }
}

// Read noise of a step depends on its sequence, not on its batch and the other steps.
TEST(Chip, ReadsTheSameStepsInBatchesOfAnySize) {
  const data::Dataset set = integer::fixtures::sequences(4);
  integer::IntegerNetwork network =
      integer::fixtures::network(4, set, integer::fixtures::format(4, true));
  network.every_step = network.pool_last = true;
  const crossbar::Target target = noisy(0.02, 0.02);
  const data::Batch whole = model::reference::batch_of(set);
  const std::vector<ChipResult> all = on_chip(network, target, whole);
  const std::vector<std::size_t> first = data::first_reads(whole, task::Scope::kStep);
  ASSERT_EQ(all.size(), first.back());
  std::vector<std::uint32_t> rows(16);
  for (std::uint32_t i = 0; i < 16; ++i) rows[i] = 16 + i;
  data::Batch second = model::reference::batch_of(set, rows);
  ASSERT_LE(second.length, whole.length);
  const std::vector<double> got = scores_of(on_chip(network, target, second, 0, 16));
  const std::vector<double> scores = scores_of(all);
  const auto from = scores.begin() + static_cast<std::ptrdiff_t>(first[16] * network.outputs);
  ASSERT_EQ(got.size(), (first[32] - first[16]) * network.outputs);
  EXPECT_TRUE(std::equal(got.begin(), got.end(), from));
  const auto exact = scores_of(on_chip(network, ideal(), second, 0, 16));
  EXPECT_NE(got, exact);
}

TEST(Chip, IdealCellsMayLeak) {
  crossbar::Target target = ideal();
  target.device.g_min = 2.5;
  expect_integers_either_way(classifier(), target, batch_of(digits().test, 0, 100));
}

// Rounding the values of a finer converter equals rounding the sum itself, except for ties.
TEST(Chip, FittedConvertersRoundOnce) {
  const data::Batch batch = batch_of(digits().test, 0, 200);
  ThreadPool pool(2);
  const std::vector<integer::IntegerResult> want =
      integer::IntegerEngine(classifier()).run(batch, pool);
  for (const int bits : {8, 12}) {
    crossbar::Target target = ideal();
    target.crossbar.adc_bits = bits;
    target.crossbar.increment_range = crossbar::IncrementRange::kFitted;
    const std::vector<ChipResult> found = on_chip(classifier(), target, batch);
    std::size_t same = 0;
    for (std::size_t i = 0; i < want.size(); ++i) same += found[i].best() == want[i].best() ? 1 : 0;
    EXPECT_GE(same, want.size() - 1) << bits;
  }
}

// One converter per register, with all of its places.
TEST(Chip, IdealIsTheIntegerNetworkWithEveryResidue) {
  for (int number = 0; number < 24; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = integer::fixtures::sequences(number);
    quant::QuantOptions format = integer::fixtures::format(number, number % 3 != 2);
    integer::fixtures::round_state(
        format.state, number % 4 == 3 ? "by-pole" : "residue " + std::to_string(1 + number % 14));
    const integer::IntegerNetwork network = integer::fixtures::network(number, set, format);
    crossbar::Target target = ideal();
    target.crossbar.adc_bits = 24;
    expect_integers_either_way(network, target, model::reference::batch_of(set));
  }
}

// The digits with 4 bits of residue, about as many as 8-bit converters of increments resolve.
TEST(Chip, ConvertersOfEightBitsFillARegister) {
  quant::QuantOptions quant;
  quant.state.residue_bits = 4;
  const integer::IntegerNetwork network = integer::to_integers(trained({}, quant));
  const data::Batch batch = batch_of(digits().test, 0, 200);
  crossbar::Target fine = ideal();
  fine.crossbar.adc_bits = 16;
  expect_integers_either_way(network, fine, batch);
  ThreadPool pool(2);
  const std::vector<integer::IntegerResult> want = integer::IntegerEngine(network).run(batch, pool);
  const auto agreeing = [&](int adc_bits, crossbar::AdcRange range) {
    crossbar::Target target = ideal();
    target.crossbar.adc_bits = adc_bits;
    target.crossbar.adc_range = range;
    target.crossbar.adc_full_scale = 1;
    const std::vector<ChipResult> found = on_chip(network, target, batch);
    std::size_t same = 0;
    for (std::size_t i = 0; i < want.size(); ++i) same += found[i].best() == want[i].best() ? 1 : 0;
    return same;
  };
  EXPECT_GE(agreeing(8, crossbar::AdcRange::kLearned), 190u);
  EXPECT_GE(agreeing(16, crossbar::AdcRange::kFixed), 190u);
}

TEST(Conversion, RegistersTakeTheStepsThatConvertersHave) {
  crossbar::CrossbarOptions options;
  options.adc_bits = 8;
  const crossbar::ColumnRange codes{1, 127};
  // Increments of up to 5 codes: steps of a sixteenth, or those of the register if it has fewer
  // places.
  crossbar::ColumnRange range = register_range(codes, 7, 5, options);
  EXPECT_TRUE(range.own);
  EXPECT_FALSE(range.between);
  EXPECT_EQ(range.step, 1.0f / 16);
  EXPECT_GE(range.range, 5);
  range = register_range(codes, 3, 5, options);
  EXPECT_EQ(range.step, 1.0f / 8);
  EXPECT_EQ(range.range, 127.0f / 8);
  EXPECT_EQ(register_range(codes, 0, 5, options).step, 1);
  // Increments beyond the codes, and no increments: the range of the codes.
  EXPECT_FALSE(register_range(codes, 7, 200, options).own);
  EXPECT_EQ(register_range(codes, 7, 200, options).step, 1);
  range = register_range(codes, 7, 0, options);
  EXPECT_FALSE(range.own);
  EXPECT_EQ(range.step, 1);
  options.adc_bits = 11;
  EXPECT_EQ(register_range(codes, 7, 0, options).step, 1.0f / 8);
  EXPECT_EQ(register_range(codes, 2, 0, options).step, 1.0f / 4);
  // Ranges that are not learned have their own steps.
  options.adc_bits = 4;
  options.adc_range = crossbar::AdcRange::kFixed;
  EXPECT_EQ(register_range(codes, 7, 5, options).step, 1.0f / 128);
}

TEST(Conversion, ARegisterTellsHowManyBitsItsConverterNeeds) {
  // -127 .. 127 in steps of 2^-r, or increments of up to 5.
  for (int residue = 0; residue <= 14; ++residue) {
    EXPECT_EQ(analog::register_converter_bits(127, residue, 0), 8 + residue);
    EXPECT_EQ(analog::register_converter_bits(127, residue, 5), 4 + residue);
    EXPECT_EQ(analog::register_converter_bits(127, residue, 1000), 8 + residue);
  }
}

TEST(Conversion, IncrementsTakeTheFinestStepsThatReach) {
  const crossbar::ColumnRange codes{1, 127};
  const crossbar::ColumnRange fine = increment_range(codes, 5, 8);
  EXPECT_TRUE(fine.own);
  EXPECT_EQ(fine.step, 1.0f / 16);
  EXPECT_GE(fine.range, 5);
  EXPECT_LT(fine.range, 10);
  EXPECT_FALSE(increment_range(codes, 100, 8).own);  // would not be finer than the codes
  EXPECT_TRUE(increment_range(codes, 100, 12).own);
  const crossbar::ColumnRange coarse{4, 127};  // the converter lacks two bits
  EXPECT_EQ(increment_range(coarse, 20, 6).step, 1);
  EXPECT_EQ(increment_range(coarse, 500, 6).step, 4);
}

TEST(Chip, TilesPiecesAndSlicesAddUp) {
  crossbar::Target target = ideal();
  target.crossbar.rows = 9;
  target.crossbar.columns = 12;
  expect_integers_either_way(classifier(), target, batch_of(digits().test, 0, 100));
  target.crossbar.packing = crossbar::ChannelPacking::kSingle;
  target.crossbar.dac_bits = 3;
  expect_integers_either_way(classifier(), target, batch_of(digits().test, 0, 32));
}

TEST(Chip, IdealIsThePrunedNetwork) {
  model::NetworkParts parts = model::NetworkParts::of(rounded_classifier());
  for (model::NetworkParts::Block& block : parts.blocks) {
    // Channels of different sizes; one has no modes, one is missing in the block.
    std::erase_if(block.modes, [](std::size_t i) { return i < 8 || i % 3 == 1; });
    std::erase(block.channels, 5);
  }
  std::erase(parts.stream, 9);
  const integer::IntegerNetwork pruned = integer::to_integers(rounded_classifier().part(parts));
  const mapping::Mapping whole = mapping::map_network(classifier(), {}, 100),
                         small = mapping::map_network(pruned, {}, 100);
  EXPECT_LT(small.used_pairs(), whole.used_pairs());
  EXPECT_LT(small.conversions_per_step(), whole.conversions_per_step());
  const data::Batch batch = batch_of(digits().test, 0, 100);
  expect_integers_either_way(pruned, ideal(), batch);
  crossbar::Target tiny = ideal();
  tiny.crossbar.rows = tiny.crossbar.columns = 5;
  expect_integers_either_way(pruned, tiny, batch);
}

TEST(Chip, NoiseIgnoresTheCutIntoBatches) {
  crossbar::Target flickering;
  flickering.device.model = "pcm";
  flickering.device.inference_time = 0.042;
  for (const crossbar::Target& target : {crossbar::Target(), flickering}) {
    const auto run = [&](std::size_t first, std::size_t count) {
      return scores_of(on_chip(classifier(), target, batch_of(digits().test, first, count), 0,
                               static_cast<std::uint32_t>(first)));
    };
    std::vector<double> first = run(0, 32);
    // Twice the same batch: the second half is other inferences.
    EXPECT_NE(scores_of(on_chip(classifier(), target, batch_of(digits().test, 0, 32), 0, 32)),
              first);
    const std::vector<double> second = run(32, 48);
    first.insert(first.end(), second.begin(), second.end());
    EXPECT_EQ(first, run(0, 80));
  }
}

TEST(Chip, ChipsOfOneSeedDiffer) {
  const data::Batch batch = batch_of(digits().test, 0, 16);
  const std::vector<double> a = scores_of(on_chip(classifier(), {}, batch, 0));
  EXPECT_NE(a, scores_of(on_chip(classifier(), {}, batch, 1)));
  EXPECT_EQ(a, scores_of(on_chip(classifier(), {}, batch, 0)));
}

TEST(Chip, StatesSaturateUnderAnyNoise) {
  const data::Batch batch = batch_of(digits().test, 0, 64);
  for (const device::NoiseBase base : {device::NoiseBase::kTarget, device::NoiseBase::kGmax}) {
    crossbar::Target target = noisy(0.5, 0.5);
    target.device.noise_relative_to = base;
    for (const ChipResult& r : on_chip(classifier(), target, batch)) {
      for (const float v : r.logits()) {
        ASSERT_TRUE(std::isfinite(v));
        ASSERT_LT(std::abs(v), 1e4);
      }
    }
  }
}

double accuracy_on(const crossbar::Target& target, const data::Batch& batch) {
  std::size_t correct = 0;
  const std::vector<ChipResult> results = on_chip(classifier(), target, batch);
  for (std::size_t i = 0; i < batch.count; ++i) {
    correct += results[i].best() == static_cast<std::size_t>(batch.targets[i]) ? 1 : 0;
  }
  return static_cast<double>(correct) / static_cast<double>(batch.count);
}

TEST(Chip, DigitalSitesMakeNoErrors) {
  crossbar::Target target = noisy(0.3, 0.3);
  target.crossbar.adc_bits = 6;
  target.crossbar.adc_noise = 1;
  const data::Batch batch = batch_of(digits().test, 0, 3);
  const auto path_with = [&](const crossbar::Target& t) {
    const mapping::Mapping mapping = mapping::map_network(classifier(), t.crossbar, batch.length);
    return Chip(classifier(), mapping, t, 1, 0).state_path(batch, 0);
  };
  const std::vector<float> wanted = path_with(ideal());
  const std::size_t of_block = 2 * classifier().blocks[0].shape.modes(), of_step = 2 * of_block;
  const auto equal = [&](const std::string& sites, std::size_t block) {
    target.crossbar.digital = sites;
    const std::vector<float> path = path_with(target);
    bool same = true;
    for (std::size_t t = 0; t < batch.lengths[0]; ++t) {
      const auto at = static_cast<std::ptrdiff_t>(t * of_step + block * of_block);
      same = same && std::equal(path.begin() + at, path.begin() + at + std::ptrdiff_t(of_block),
                                wanted.begin() + at);
    }
    return same;
  };
  EXPECT_FALSE(equal("", 0));
  EXPECT_FALSE(equal("A", 0));  // the stream behind the encoder has errors
  EXPECT_FALSE(equal("encoder, C", 0));
  EXPECT_TRUE(equal("encoder, A.0", 0));
  EXPECT_TRUE(equal("encoder, A, C", 0));
  EXPECT_FALSE(equal("encoder, A", 1));
  EXPECT_FALSE(equal("encoder, A, C", 1));
  EXPECT_TRUE(equal("encoder, A, C.0, pointwise.0", 1));
  target.crossbar.digital = "encoder, A, C, pointwise";
  EXPECT_NE(scores_of(on_chip(classifier(), target, batch)),
            scores_of(on_chip(classifier(), ideal(), batch)));
}

TEST(Chip, RefusesLongerSequencesThanItsMapping) {
  const data::Batch batch = batch_of(digits().test, 0, 3);
  const mapping::Mapping mapping = mapping::map_network(classifier(), {}, 1);
  ThreadPool pool(1);
  EXPECT_THAT(
      [&] { Chip(classifier(), mapping, ideal(), 1, 0).run(batch, 0, pool); },
      ThrowsMessage<Error>(HasSubstr("112 time steps, but the network was mapped for at most")));
}

// The steps of a fitted converter shrink with its range; what it adds in uA does not.
TEST(Chip, StatesPayForTheGainOfTheirConverters) {
  const data::Batch batch = batch_of(digits().test, 0, 320);
  crossbar::Target target = ideal();
  target.crossbar.increment_range = crossbar::IncrementRange::kFitted;
  const double exact = accuracy_on(target, batch);
  target.crossbar.adc_noise = 0.5;
  EXPECT_NEAR(accuracy_on(target, batch), exact, 0.04);
  target.crossbar.adc_noise = 0;
  target.crossbar.adc_noise_floor = 2;  // 0.4 of the current of the largest cell
  EXPECT_LT(accuracy_on(target, batch), exact - 0.05);
}

// A pooled value of 14 bits takes two slices of 7 bits, or two of 9 bits of which 4 would remain
// unused. If these were the upper ones, the noise of the scores would be 16 times as large.
TEST(Chip, ScoresUseTheWholeRangeOfTheUpperSlice) {
  const data::Batch batch = batch_of(digits().test, 0, 160);
  const auto deviation = [&](int dac_bits) {
    crossbar::Target target = ideal();
    target.crossbar.dac_bits = dac_bits;
    const std::vector<double> want = scores_of(on_chip(classifier(), target, batch));
    target.crossbar.adc_noise_floor = 0.002;  // far below all other steps
    const std::vector<double> found = scores_of(on_chip(classifier(), target, batch));
    double squares = 0;
    for (std::size_t i = 0; i < want.size(); ++i) squares += std::pow(found[i] - want[i], 2);
    return std::sqrt(squares / static_cast<double>(want.size()));
  };
  const double of_seven = deviation(8), of_nine = deviation(10);
  EXPECT_GT(of_seven, 0);
  EXPECT_LT(of_nine, 2 * of_seven);
}

TEST(Chip, NarrowConvertersCostAccuracy) {
  const data::Batch batch = batch_of(digits().test, 0, 320);
  crossbar::Target narrow = ideal();
  narrow.crossbar.adc_bits = 3;
  EXPECT_LT(accuracy_on(narrow, batch), accuracy_on(ideal(), batch));
}

// Converters with their own range round before the codes do; with many bits this is negligible.
TEST(Chip, FineConvertersOfAFixedRangeCostLittle) {
  const data::Batch batch = batch_of(digits().test, 0, 320);
  crossbar::Target fixed = ideal();
  fixed.crossbar.adc_range = crossbar::AdcRange::kFixed;
  fixed.crossbar.adc_full_scale = 1;
  fixed.crossbar.adc_bits = 16;
  EXPECT_NEAR(accuracy_on(fixed, batch), accuracy_on(ideal(), batch), 0.03);
  fixed.crossbar.adc_bits = 4;
  EXPECT_LT(accuracy_on(fixed, batch), accuracy_on(ideal(), batch));
}

TEST(Chip, CalibrationFindsTheRanges) {
  const data::Batch batch = batch_of(digits().test, 0, 320);
  crossbar::Target target = ideal();
  target.crossbar.adc_range = crossbar::AdcRange::kCalibrated;
  target.crossbar.adc_bits = 12;
  ThreadPool pool(2);
  const mapping::Mapping mapping =
      mapping::map_network(classifier(), target.crossbar, batch.length);
  Chip chip(classifier(), mapping, target, 1, 0);
  chip.calibrate(batch_of(digits().train, 0, 64));
  std::size_t correct = 0;
  const std::vector<ChipResult> results = chip.run(batch, 0, pool);
  for (std::size_t i = 0; i < batch.count; ++i) {
    correct += results[i].best() == static_cast<std::size_t>(batch.targets[i]) ? 1 : 0;
  }
  EXPECT_NEAR(static_cast<double>(correct) / 320, accuracy_on(ideal(), batch), 0.03);
}

TEST(Chip, SavedAndAgedIsAgedInOneGo) {
  ThreadPool pool(2);
  crossbar::Target target;
  target.device = {};
  target.device.model = "pcm";
  const data::Batch batch = batch_of(digits().test, 0, 32);
  const mapping::Mapping mapping =
      mapping::map_network(classifier(), target.crossbar, batch.length);
  Chip whole(classifier(), mapping, target, 1, 3), part(classifier(), mapping, target, 1, 3),
      later(classifier(), mapping, target, 1, 3);
  whole.age_to(3e7);
  part.age_to(25);
  const formats::Safetensors saved =
      formats::parse_safetensors(formats::format_safetensors(part.save()), "chip");
  later.restore(saved, "chip");
  EXPECT_EQ(scores_of(later.run(batch, 0, pool)), scores_of(part.run(batch, 0, pool)));
  later.age_to(3e7);
  EXPECT_EQ(scores_of(later.run(batch, 0, pool)), scores_of(whole.run(batch, 0, pool)));

  Chip other(classifier(), mapping, target, 2, 3);
  EXPECT_THAT([&] { other.restore(saved, "chip.safetensors"); },
              ThrowsMessage<Error>(HasSubstr("chip.safetensors: a chip of another seed")));
  formats::Safetensors newer = saved;
  newer.metadata["format"] = "crosstate chip 2";
  EXPECT_THAT(
      [&] { later.restore(newer, "chip.safetensors"); },
      ThrowsMessage<Error>(HasSubstr("chip.safetensors: format 'crosstate chip 2', expected "
                                     "'crosstate chip 1': it was written by a newer")));
  formats::Safetensors unknown = saved;
  unknown.metadata["number"] = "1";
  EXPECT_THAT([&] { later.restore(unknown, "chip.safetensors"); },
              ThrowsMessage<Error>("chip.safetensors: unknown key 'number' in the metadata"));
  EXPECT_THAT([&] { later.restore({}, "chip.safetensors"); },
              ThrowsMessage<Error>(HasSubstr("chip.safetensors: not a chip")));
  target.device.retention = 1e6;
  Chip forgetful(classifier(), mapping, target, 1, 3);
  EXPECT_THAT([&] { forgetful.restore(saved, "chip.safetensors"); },
              ThrowsMessage<Error>(HasSubstr("chip.safetensors: made with another "
                                             "device.retention (0.0, not 1000000.0)")));
}

TEST(SimulateOptions, ReadTimes) {
  for (const auto& [text, seconds] :
       std::vector<std::pair<std::string, double>>{{"0", 0},
                                                   {"3600", 3600},
                                                   {"+3.6E+03", 3600},
                                                   {"1e-400", 0},
                                                   {".5min", 30},
                                                   {"1.h", 3600},
                                                   {"1e1h", 36000},
                                                   {"1d", 86400},
                                                   {"2y", 2 * 365.25 * 86400},
                                                   {"7s", 7},
                                                   {" 7s ", 7}}) {
    EXPECT_EQ(read_time(text), seconds) << text;
  }
  for (const char* text : {"", "s", "-1", "nan", "inf", "1e400", "1e308y", "1x", "1 h", "1h2", "h1",
                           "0x10", "1hh", "d", "."}) {
    EXPECT_FALSE(read_time(text)) << text;
  }
  EXPECT_EQ(simulated_times({.times = "0 +1.0E+02 1h"}), (std::vector<double>{0, 100, 3600}));
  for (const char* times : {"1e400", "0 nan", "1h 1s", "0x10", ""}) {
    EXPECT_THROW(simulated_times({.times = times}), Error) << times;
  }
}

TEST(Chip, OfOffsetCellsIsTheIntegerNetworkIfTheyAreIdeal) {
  ThreadPool pool(2);
  const data::Batch batch = batch_of(digits().test, 0, 16);
  crossbar::Target pairs = crossbar::ideal_target({}), offset = pairs;
  offset.crossbar.encoding = crossbar::WeightEncoding::kOffset;
  const mapping::Mapping mapping = mapping::map_network(classifier(), pairs.crossbar, batch.length);
  const Chip first(classifier(), mapping, pairs, 1, 0), second(classifier(), mapping, offset, 1, 0);
  EXPECT_EQ(scores_of(second.run(batch, 0, pool)), scores_of(first.run(batch, 0, pool)));
}

TEST(Chip, SavesAllCopies) {
  ThreadPool pool(2);
  crossbar::Target target = noisy(0.05, 0.02);
  target.crossbar.slices = 2;
  target.crossbar.slice_base = 4;
  const data::Batch batch = batch_of(digits().test, 0, 16);
  const mapping::Mapping mapping =
      mapping::map_network(classifier(), target.crossbar, batch.length);
  EXPECT_EQ(mapping.built(), 2 * mapping.arrays.size());
  EXPECT_EQ(mapping.conversions_per_step(),
            2 * mapping::map_network(classifier(), {}, batch.length).conversions_per_step());
  Chip first(classifier(), mapping, target, 1, 3), second(classifier(), mapping, target, 1, 3);
  const formats::Safetensors saved =
      formats::parse_safetensors(formats::format_safetensors(first.save()), "chip");
  second.restore(saved, "chip");
  EXPECT_EQ(formats::format_safetensors(second.save()), formats::format_safetensors(first.save()));
  EXPECT_EQ(scores_of(second.run(batch, 0, pool)), scores_of(first.run(batch, 0, pool)));

  target.crossbar.slice_base = 8;
  Chip other(classifier(), mapping, target, 1, 3);
  EXPECT_THAT([&] { other.restore(saved, "chip.safetensors"); },
              ThrowsMessage<Error>(HasSubstr("conductance targets differ")));
}

TEST(Simulate, IsTheSameOnAnyNumberOfThreads) {
  const data::Dataset data = thinned(data::read_mnist_sample().test, 200);
  std::vector<SimulateSummary> all;
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    all.push_back(simulate(classifier(), data, noisy(0.02, 0.1), {.chips = 3}, 7, pool));
    EXPECT_EQ(all.back().first().metric, all.front().first().metric);
    EXPECT_EQ(all.back().first().mean, all.front().first().mean);
    EXPECT_EQ(all.back().first().deviation, all.front().first().deviation);
  }
  // Accuracies are coarse; the scores are compared bit for bit.
  const data::Batch batch = batch_of(data, 0, 200);
  const mapping::Mapping mapping = mapping::map_network(classifier(), {}, batch.length);
  const Chip chip(classifier(), mapping, {}, 7, 0);
  ThreadPool single(1), several(4);
  EXPECT_EQ(scores_of(chip.run(batch, 0, single)), scores_of(chip.run(batch, 0, several)));
}

TEST(Simulate, ProgramsAndAgesTheSameChipOnAnyNumberOfThreads) {
  ThreadPool several(4);
  const crossbar::Target target = crossbar::read_target("hermes");
  const data::Batch batch = batch_of(digits().test, 0, 32);
  const mapping::Mapping mapping =
      mapping::map_network(classifier(), target.crossbar, batch.length);
  Chip serial(classifier(), mapping, target, 5, 2);
  Chip parallel(classifier(), mapping, target, 5, 2, nullptr, &several);
  ASSERT_GT(parallel.arrays().size(), 2u);
  EXPECT_EQ(formats::format_safetensors(parallel.save()),
            formats::format_safetensors(serial.save()));
  serial.age_to(3600);
  parallel.age_to(3600, &several);
  EXPECT_EQ(scores_of(parallel.run(batch, 0, several)), scores_of(serial.run(batch, 0, several)));
}

TEST(Simulate, SummarisesItsChips) {
  ThreadPool pool(2);
  const data::Dataset data = thinned(data::read_mnist_sample().test, 200);
  const SimulateSummary summary = simulate(classifier(), data, {}, {.chips = 4}, 1, pool);
  const AgeSummary& s = summary.first();
  ASSERT_EQ(s.metric.size(), 4u);
  double mean = 0, squares = 0;
  for (const double a : s.metric) mean += a / 4;
  for (const double a : s.metric) squares += (a - mean) * (a - mean);
  EXPECT_GT(s.mean, 0.15);  // better than chance
  EXPECT_DOUBLE_EQ(s.mean, mean);
  EXPECT_DOUBLE_EQ(s.deviation, std::sqrt(squares / 3));
  EXPECT_EQ(s.worst, *std::min_element(s.metric.begin(), s.metric.end()));
  EXPECT_EQ(summary.arrays, 16u);
  EXPECT_GT(summary.utilisation, 0);
  EXPECT_GT(summary.seconds, 0);
  EXPECT_EQ(simulate(classifier(), data, {}, {.chips = 1}, 1, pool).first().deviation, 0);
}

TEST(Simulate, TakesWhatIsKnownAndTellsTheRest) {
  ThreadPool pool(2);
  const data::Dataset data = thinned(data::read_mnist_sample().test, 64);
  const SimulateOptions options{.chips = 3, .times = "0 1h"};
  std::map<std::pair<int, std::size_t>, SimulateContext::Sums> told;
  SimulateContext context;
  context.finished = [&](int chip, std::size_t age, const SimulateContext::Sums& sums) {
    told[{chip, age}] = sums;
  };
  const SimulateSummary whole = simulate(classifier(), data, {}, options, 1, pool, context);
  EXPECT_EQ(told.size(), 6u);
  std::size_t again = 0;
  context.known = [&](int chip, std::size_t age) {
    return chip < 2 ? std::optional(told.at({chip, age})) : std::nullopt;
  };
  context.finished = [&](int, std::size_t, const SimulateContext::Sums&) { ++again; };
  const SimulateSummary rest = simulate(classifier(), data, {}, options, 1, pool, context);
  EXPECT_EQ(again, 2u);
  for (std::size_t age = 0; age < 2; ++age) {
    EXPECT_EQ(rest.ages[age].metric, whole.ages[age].metric);
    EXPECT_EQ(rest.ages[age].sums, whole.ages[age].sums);
  }
}

TEST(Simulate, ErrorsOfStatesVanishOnAnIdealChip) {
  const data::Dataset data = thinned(data::read_mnist_sample().test, 4);
  const auto largest = [&](const crossbar::Target& target) {
    double most = 0;
    for (const auto& group : state_errors(classifier(), data, target, 1, 0, 2).groups) {
      most = std::max(most, *std::max_element(group.rms.begin(), group.rms.end()));
    }
    return most;
  };
  EXPECT_EQ(largest(ideal()), 0);
  EXPECT_GT(largest(noisy(0.02, 0.01)), 0.001);
  EXPECT_LT(largest(noisy(0.02, 0.01)), 1);
}

TEST(Simulate, StopsWithinAChip) {
  ThreadPool pool(1);
  const data::Dataset data = thinned(data::read_mnist_sample().test, 200);
  // Each chip asks once before its sequences, and before each of 13 groups of them.
  const auto stop = [left = 2 * 14 + 5]() mutable { return left-- == 0; };
  const SimulateSummary s =
      simulate(classifier(), data, {}, {.chips = 100000}, 1, pool, {.stop = stop});
  EXPECT_TRUE(s.interrupted);
  EXPECT_EQ(s.first().metric.size(), 2u);
}

TEST(Simulate, RejectsBadInput) {
  ThreadPool pool(1);
  data::Dataset data = thinned(digits().test, 16);
  EXPECT_THAT([&] { simulate(classifier(), data, {}, {.chips = 0}, 1, pool); },
              ThrowsMessage<Error>(HasSubstr("simulate.chips")));
  data::Dataset empty;
  empty.name = "none";
  EXPECT_THAT([&] { simulate(classifier(), empty, {}, {}, 1, pool); },
              ThrowsMessage<Error>(HasSubstr("none: no sequences")));
  data.channels = 2;
  data.length /= 2;
  EXPECT_THAT([&] { simulate(classifier(), data, {}, {}, 1, pool); },
              ThrowsMessage<Error>(HasSubstr("2 channels")));
}

TEST(Simulate, RejectsStepsWithoutTargets) {
  ThreadPool pool(1);
  integer::IntegerNetwork network = classifier();
  network.every_step = network.pool_last = true;
  data::Dataset data = thinned(digits().test, 4);
  data.readout.scope = task::Scope::kStep;
  data.targets.assign(data.count * data.length, task::kNotCounted);
  EXPECT_THAT([&] { simulate(network, data, ideal(), {.chips = 1}, 1, pool); },
              ThrowsMessage<Error>(HasSubstr("no step has a target, expected at least one")));
  data.targets.back() = 1;  // of the last sequence
  EXPECT_THAT([&] { simulate(network, data, ideal(), {.chips = 1, .sequences = 3}, 1, pool); },
              ThrowsMessage<Error>(HasSubstr("no step of the first 3 sequences has a target with "
                                             "simulate.sequences = 3")));
}

TEST(Simulate, TakesASavedModel) {
  ThreadPool pool(2);
  const data::Dataset some = data::first(digits().test, 20);
  const SimulateSummary expected =
      simulate(classifier(), some, noisy(0.05, 0.02), {.chips = 2}, 3, pool);
  const SimulateSummary found = simulate(inference::Model(rounded_classifier()), noisy(0.05, 0.02),
                                         some, pool, {.chips = 2}, 3);
  EXPECT_EQ(found.first().metric, expected.first().metric);
  EXPECT_EQ(found.arrays, expected.arrays);
  data::Dataset wide = some;
  wide.channels = 2;
  EXPECT_THROW(simulate(inference::Model(rounded_classifier()), ideal(), wide, pool), Error);
}

// The statistics of the other targets end earlier: NeuRRAM after two days, SONOS after five.
TEST(Simulate, AYearIsAnAgeOfTheseTargets) {
  SimulateOptions options;
  options.times = "1d 1y";
  for (const char* name : {"generic-64x64", "hermes", "pcm", "rram-cmo", "taox-64x64"}) {
    EXPECT_NO_THROW(require_possible(crossbar::read_target(name), options)) << name;
  }
  EXPECT_THAT([&] { require_possible(crossbar::read_target("neurram"), options); },
              ThrowsMessage<Error>(HasSubstr("172800")));
}

}  // namespace
}  // namespace crosstate::simulate
