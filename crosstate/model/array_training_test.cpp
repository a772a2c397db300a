// Training for arrays: noise of converters, partial sums, levels of cells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/model/network.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

using reference::batch_of;
using reference::random_network;
using reference::random_set;
using testing::HasSubstr;
using testing::ThrowsMessage;

class ArrayTraining : public testing::Test {
 protected:
  static ModelOptions model(Norm norm = Norm::kNone) {
    ModelOptions o = reference::small_options();
    o.channels = 6;
    o.layers = 2;
    o.norm = norm;
    return o;
  }
  Network quantized(const quant::ArraySite& array, const std::string& preset = "w8a8s8",
                    Norm norm = Norm::kNone,
                    quant::NoiseRecurrence recurrence = quant::NoiseRecurrence::kIncrement) {
    Network network = random_network(model(norm), kTask);
    quant::QuantOptions quant = quant::quant_preset(preset);
    quant.array = array;
    quant.noise_recurrence = recurrence;
    quant = quant::resolved(quant);
    network.quantize(quant, {&batch_, 1}, pool_);
    return network;
  }
  // Codes of the input of the recurrence whose values are larger by the factor `by`.
  static void rescale_residual(Network& network, float by) {
    for (Parameter& p : network.parameters()) {
      if (p.name == "range.residual") p.value[0] += std::log(by);
    }
  }
  double loss(Network& network, std::uint64_t step = 0) {
    LossOptions options;
    options.seed = 3;
    options.step = step;
    return network.train_step(batch_, options, pool_).loss;
  }

  ThreadPool pool_{2};
  const data::Batch batch_ = batch_of(random_set(3, 37, 23, kTask, true));
};

TEST_F(ArrayTraining, IsTheSameOnArraysThatHoldEverythingAndAddNothing) {
  Network plain = quantized({}), on_arrays = quantized({.rows = 64, .partial_bits = 3});
  EXPECT_EQ(loss(plain), loss(on_arrays));
  for (std::size_t p = 0; p < plain.parameters().size(); ++p) {
    EXPECT_EQ(plain.parameters()[p].gradient, on_arrays.parameters()[p].gradient);
  }
}

TEST_F(ArrayTraining, DrawsNoiseByTheStepAndNoneOutsideOfTraining) {
  for (const quant::ArraySite& array :
       {quant::ArraySite{.noise = 2}, quant::ArraySite{.state_bits = 8, .noise = 40}}) {
    Network plain = quantized({}), noisy = quantized(array), again = quantized(array);
    EXPECT_EQ(loss(noisy, 5), loss(again, 5));
    EXPECT_NE(loss(noisy, 5), loss(noisy, 6));
    EXPECT_NE(loss(noisy, 5), loss(plain, 5));
    EXPECT_EQ(noisy.evaluate(batch_, pool_).loss, plain.evaluate(batch_, pool_).loss);
  }
}

// Converters of increments have finer steps for slower modes. A state changes by (A - 1) times
// itself and by the contribution of the input, B in codes of the state; the real part has both
// terms, the imaginary part only the first.
TEST_F(ArrayTraining, GivesStatesTheNoiseOfTheirConverters) {
  const TrainingStep step{1, 0};
  Network codes = quantized({.state_bits = 0, .noise = 3});
  const Coefficients coarse = codes.state().coefficients(&step);
  EXPECT_EQ(coarse.rounding.mode, kernels::RoundingMode::kStochastic);
  for (const float s : coarse.blocks[0].state_spread) EXPECT_NEAR(s, 3 * std::sqrt(12.0), 1e-5);
  EXPECT_EQ(codes.state().coefficients().rounding.mode, kernels::RoundingMode::kNearest);

  for (const float scale : {0.3f, 1.0f, 50.0f}) {
    Network fine = quantized({.state_bits = 12, .noise = 3});
    rescale_residual(fine, scale);
    const Coefficients c = fine.state().coefficients(&step);
    const BlockCoefficients& block = c.blocks[0];
    const double input = c.residual.scale[0];
    ASSERT_EQ(block.state_spread.size(), 2 * block.ar.size());
    for (std::size_t i = 0; i < 2 * block.ar.size(); ++i) {
      const std::size_t mode = i / 2;
      const double pole = std::abs(1 - block.ar[mode]) + std::abs(block.ai[mode]);
      const double largest = 127 * (pole + (i % 2 == 0 ? block.b[mode] * input : 0));
      const double reach = block.state_spread[i] / std::sqrt(12.0) / 3 * 2047;
      EXPECT_GT(largest, 0.499 * reach);
      const bool at_codes = reach > 2046;  // the steps are never coarser than codes
      EXPECT_TRUE(at_codes || reach * 1.0001 >= largest) << reach << " " << largest;
    }
  }
  // If cells hold A itself, there are no increments to resolve.
  Network direct = quantized({.state_bits = 12, .noise = 3}, "w8a8s8", Norm::kNone,
                             quant::NoiseRecurrence::kDirect);
  const Coefficients of_codes = direct.state().coefficients(&step);
  for (const float s : of_codes.blocks[0].state_spread) EXPECT_NEAR(s, 3 * std::sqrt(12.0), 1e-5);
}

// An absolute noise is relative to the largest cell of a bit line, whatever the steps are.
TEST_F(ArrayTraining, GivesEveryConversionTheFloorOfItsBitLine) {
  const TrainingStep step{1, 0};
  constexpr double kFloor = 0.02;
  for (const int rows : {0, 2}) {
    SCOPED_TRACE(rows);
    Network network = quantized({.rows = rows, .state_bits = 8, .noise_floor = kFloor});
    const Coefficients c = network.state().coefficients(&step);
    const BlockCoefficients& block = c.blocks[0];
    const double input = c.input.scale[0] * c.input.high;
    ASSERT_EQ(c.encoder_noise.size(), 6u);
    if (c.encoder.size() == 6) {
      EXPECT_NEAR(c.encoder_noise[0], kFloor * std::abs(c.encoder[0]) * input, 1e-6);
    }
    const Quantizer& activation = c.quantizers[0].activation;
    const double drive = activation.scale[0] * std::max(-activation.low, activation.high);
    const std::size_t inputs = 6, most = rows == 0 ? inputs : 2;
    double squares = 0;
    for (std::size_t first = 0; first < inputs; first += most) {
      float largest = 0;
      for (std::size_t i = first; i < first + most; ++i) {
        largest = std::max(largest, std::abs(block.weight[i]));
      }
      squares += std::pow(kFloor * largest * drive, 2);
    }
    EXPECT_NEAR(block.linear_noise[0], std::sqrt(squares), 1e-5 * std::sqrt(squares));
    EXPECT_GT(block.output_noise[0], 0);
  }

  // The real part: at full levels, the larger of gain and 1 - A is the largest cell.
  Network network = quantized({.drive_halvings = 0, .noise_floor = kFloor});
  const Coefficients c = network.state().coefficients(&step);
  const BlockCoefficients& block = c.blocks[0];
  for (std::size_t i = 0; i < block.ar.size(); ++i) {
    const float unit = std::max({block.gain[i], 1 - block.ar[i], std::abs(block.ai[i])});
    const float wanted = std::sqrt(12.0f) * static_cast<float>(kFloor) * unit * 127;
    EXPECT_NEAR(block.state_spread[2 * i], wanted, 1e-4 * wanted);
  }
  Network kept = quantized({.noise_floor = kFloor});
  EXPECT_NE(loss(kept, 5), loss(kept, 6));
}

TEST_F(ArrayTraining, DisturbsNoImaginaryPartOfRealModes) {
  ModelOptions o = model();
  o.modes = ModeKind::kReal;
  o.init = PoleStart::kReal;
  Network network = random_network(o, kTask);
  quant::QuantOptions quant = quant::quant_preset("w8a8s8");
  quant.weight_noise = 0.2;
  quant.noise_unit = quant::NoiseUnit::kLargest;
  network.quantize(quant, {&batch_, 1}, pool_);
  const TrainingStep step{1, 0};
  const Coefficients c = network.state().coefficients(&step);
  for (const float ai : c.blocks[0].ai) EXPECT_EQ(ai, 0);
}

TEST_F(ArrayTraining, SumsPartsWithConvertersOfTheirOwn) {
  for (const Norm norm : {Norm::kNone, Norm::kBatch}) {
    SCOPED_TRACE(name_of(norm));
    Network whole = quantized({}, "w8a8s8", norm);
    Network fine = quantized({.rows = 4, .partial_bits = 16}, "w8a8s8", norm);
    Network coarse = quantized({.rows = 4, .partial_bits = 3}, "w8a8s8", norm);
    const double wanted = loss(whole);
    const double error = std::abs(loss(fine) - wanted);
    EXPECT_LT(error, 1e-4 * wanted);
    EXPECT_GT(std::abs(loss(coarse) - wanted), 5 * error);
    const TrainingStep step{1, 0};
    const Coefficients c = coarse.state().coefficients(&step);
    ASSERT_EQ(c.blocks[0].tiles.size(), 2u);
    // Two equal parts, as in the mapping.
    EXPECT_EQ(c.blocks[0].tiles[1].first, 3u);
    EXPECT_EQ(c.blocks[0].tiles[1].count, 3u);
    EXPECT_TRUE(coarse.state().coefficients().blocks[0].tiles.empty());
  }
}

TEST_F(ArrayTraining, SumsPartsOfTheEncoder) {
  Network whole = quantized({});
  const quant::ArraySite two{.rows = 1, .partial_bits = 16};
  Network fine = quantized(two);
  const TrainingStep step{1, 0};
  EXPECT_EQ(fine.state().coefficients(&step).encoder_tiles.size(), 2u);
  const double wanted = loss(whole), error = std::abs(loss(fine) - wanted);
  EXPECT_LT(error, 1e-4 * wanted);
  Network coarse = quantized({.rows = 1, .partial_bits = 3});
  EXPECT_GT(std::abs(loss(coarse) - wanted), 5 * error);
}

// Channels of two modes on arrays of three columns: one mode each.
TEST_F(ArrayTraining, SumsOutputsOfChannelsOnSeveralArrays) {
  Network whole = quantized({.noise = 0.5}), plain = quantized({});
  Network fine = quantized({.columns = 3, .partial_bits = 16});
  Network coarse = quantized({.columns = 3, .partial_bits = 4});
  const double wanted = loss(plain), error = std::abs(loss(fine) - wanted);
  EXPECT_LT(error, 1e-4 * wanted);
  EXPECT_GT(std::abs(loss(coarse) - wanted), 5 * error);
  const TrainingStep step{1, 0};
  const Coefficients c = coarse.state().coefficients(&step);
  ASSERT_EQ(c.blocks[1].pieces.cuts.size(), 6u);
  EXPECT_EQ(c.blocks[1].pieces.cuts[0], (std::vector<std::size_t>{0, 1, 2}));
  EXPECT_TRUE(coarse.state().coefficients().blocks[0].pieces.cuts.empty());

  Network pieces = quantized({.columns = 3, .noise = 0.5});
  const auto noise = [&](const Network& n) {
    return n.state().coefficients(&step).blocks[0].output_noise[0];
  };
  EXPECT_NEAR(noise(pieces), std::sqrt(2.0) * noise(whole), 1e-6 * noise(pieces));
}

TEST_F(ArrayTraining, AddsUpTheNoiseOfParts) {
  const TrainingStep step{1, 0};
  Network whole = quantized({.noise = 0.5}), parts = quantized({.rows = 2, .noise = 0.5});
  const auto noise = [&](const Network& n) {
    return n.state().coefficients(&step).blocks[0].linear_noise[0];
  };
  EXPECT_NEAR(noise(parts), std::sqrt(3.0) * noise(whole), 1e-6 * noise(parts));
}

TEST_F(ArrayTraining, HoldsWeightsAtTheLevelsOfCells) {
  const TrainingStep step{1, 0};
  Network network = quantized({.levels = 3});
  const Coefficients c = network.state().coefficients(&step);
  const AlignedFloats& weight = c.blocks[0].weight;
  const std::size_t columns = 6;
  for (std::size_t o = 0; o * columns < weight.size(); ++o) {
    std::set<float> sizes;
    for (std::size_t i = 0; i < columns; ++i) sizes.insert(std::abs(weight[o * columns + i]));
    EXPECT_LE(sizes.size(), 3u);
    if (sizes.size() < 3) continue;
    EXPECT_NEAR(*sizes.rbegin(), 2 * *std::next(sizes.begin()), 1e-6);
  }
}

TEST_F(ArrayTraining, LeavesDigitalSitesExact) {
  const TrainingStep step{1, 0};
  const auto coefficients = [&](const std::string& digital, bool noisy) {
    quant::ArraySite array{.rows = 2,
                           .columns = 4,
                           .levels = 5,
                           .partial_bits = 4,
                           .state_bits = 8,
                           .noise = 2,
                           .noise_floor = 0.01};
    array.digital = digital;
    return quantized(array).state().coefficients(noisy ? &step : nullptr);
  };
  const Coefficients exact = coefficients("", false), all = coefficients("", true);
  const Coefficients a = coefficients("A.0", true), c = coefficients("C", true);
  const Coefficients rest = coefficients("encoder, pointwise.1", true);
  EXPECT_NE(all.blocks[0].ar, exact.blocks[0].ar);
  EXPECT_NE(all.blocks[0].cr, exact.blocks[0].cr);
  EXPECT_FALSE(all.blocks[0].pieces.cuts.empty());

  EXPECT_EQ(a.blocks[0].ar, exact.blocks[0].ar);
  EXPECT_EQ(a.blocks[0].b, exact.blocks[0].b);
  EXPECT_THAT(a.blocks[0].state_spread, testing::Each(0));
  EXPECT_THAT(a.blocks[1].state_spread, testing::Contains(testing::Gt(0)));
  // The draws of the other sites stay, and C does not depend on the number of columns any more.
  EXPECT_EQ(a.blocks[1].ar, all.blocks[1].ar);
  EXPECT_EQ(a.encoder, all.encoder);
  EXPECT_FALSE(a.blocks[0].output_noise.empty());

  EXPECT_EQ(c.blocks[0].cr, exact.blocks[0].cr);
  EXPECT_EQ(c.blocks[0].ci, exact.blocks[0].ci);
  EXPECT_EQ(c.blocks[0].ar, all.blocks[0].ar);
  EXPECT_TRUE(c.blocks[0].output_noise.empty());
  EXPECT_TRUE(c.blocks[0].pieces.cuts.empty());

  EXPECT_EQ(rest.encoder, exact.encoder);
  EXPECT_TRUE(rest.encoder_noise.empty());
  EXPECT_EQ(rest.blocks[1].weight, exact.blocks[1].weight);
  EXPECT_TRUE(rest.blocks[1].tiles.empty() && rest.blocks[1].linear_noise.empty());
  EXPECT_FALSE(rest.blocks[0].linear_noise.empty());

  EXPECT_THAT([&] { coefficients("A.7", true); },
              ThrowsMessage<Error>(HasSubstr("quant.array.digital: \"A.7\"")));
}

// With fine codes and coarse noise the loss is nearly smooth. Finite differences then equal the
// gradient only if the adjoint draws the same noise again.
TEST_F(ArrayTraining, HasTheGradientOfTheNoisyLoss) {
  for (const Norm norm : {Norm::kNone, Norm::kBatch}) {
    SCOPED_TRACE(name_of(norm));
    quant::QuantOptions quant = quant::quant_preset("w0a16s0");
    quant.gate.bits = 0;  // its codes do not reach 1
    quant.array = {.rows = 4, .noise = 300};
    quant = quant::resolved(quant);
    Network network = random_network(model(norm), kTask);
    network.quantize(quant, {&batch_, 1}, pool_);
    // Ranges so wide that no value exceeds them, and noise of 300 codes is a fifth of the values.
    for (Parameter& p : network.parameters()) {
      if (p.group == ParameterGroup::kRange) p.value[0] += 2.5f;
    }
    loss(network);
    for (const char* name : {"layers.0.linear.weight", "layers.1.D", "layers.0.C"}) {
      Parameter* found = nullptr;
      for (Parameter& p : network.parameters()) found = p.name == name ? &p : found;
      ASSERT_NE(found, nullptr) << name;
      loss(network);
      const std::vector<double> gradient = found->gradient;
      double largest = 0;
      for (const double g : gradient) largest = std::max(largest, std::abs(g));
      ASSERT_GT(largest, 0) << name;
      for (std::size_t i = 0; i < std::min<std::size_t>(6, gradient.size()); ++i) {
        constexpr float kStep = 0.1f;
        const float kept = found->value[i];
        found->value[i] = kept + kStep;
        const double up = loss(network);
        found->value[i] = kept - kStep;
        const double down = loss(network);
        found->value[i] = kept;
        EXPECT_NEAR((up - down) / (2 * kStep), gradient[i], 0.05 * largest) << name << " " << i;
      }
    }
  }
}

TEST(ArrayOptions, RefuseNoiseOfStatesThatKeepResidues) {
  quant::QuantOptions quant;
  quant.state.residue_bits = 4;
  quant.array.noise = 0.5;
  EXPECT_EQ(quant::resolved(quant).array.state_noise, 0);
  quant.array.state_noise = 0.25;
  EXPECT_THAT([&] { quant::validate(quant); },
              ThrowsMessage<Error>(HasSubstr("quant.state.residue_bits = 4 with "
                                             "quant.array.state_noise = 0.25")));
  quant.state.residue_bits = 0;
  EXPECT_EQ(quant::resolved(quant).array.state_noise, 0.25);
  quant.array.state_noise = -1;
  EXPECT_EQ(quant::resolved(quant).array.state_noise, 0.5);
}

TEST(ArrayOptions, RefuseOneLevelAndOneBit) {
  quant::QuantOptions quant;
  quant.array.levels = 1;
  EXPECT_THAT([&] { quant::validate(quant); },
              ThrowsMessage<Error>(HasSubstr("quant.array.levels = 1")));
  quant.array.levels = 2;
  quant.array.state_bits = 1;
  EXPECT_THAT([&] { quant::validate(quant); },
              ThrowsMessage<Error>(HasSubstr("quant.array.state_bits = 1")));
}

TEST(ArrayOptions, ComeFromThePresetOneByOne) {
  quant::QuantOptions quant;
  quant.preset = "analog-64x64";
  quant.array.levels = 16;
  const quant::ArraySite array = quant::resolved(quant).array;
  EXPECT_EQ(array.levels, 16);
  EXPECT_EQ(array.rows, 64);
  EXPECT_EQ(array.state_bits, 8);
  EXPECT_EQ(array.noise, 0.25);
  EXPECT_EQ(array.state_noise, 0.25);
  quant.array.noise = 0;
  EXPECT_EQ(quant::resolved(quant).array.noise, 0);
  EXPECT_EQ(quant::resolved(quant).array.state_noise, 0);
  EXPECT_EQ(quant::quant_preset("w8a8s8").array.rows, 0);
}

}  // namespace
}  // namespace crosstate::model
