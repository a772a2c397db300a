#include "crosstate/mapping/mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/integer/convert.h"
#include "crosstate/integer/lanes.h"

namespace crosstate::mapping {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

model::Network network(const model::ModelOptions& options, int inputs,
                       const quant::QuantOptions& quant = {}) {
  data::Dataset data;
  data.name = "noise";
  data.count = 16;
  data.length = 30;
  data.channels = static_cast<std::size_t>(inputs);
  data.targets.assign(16, 0);
  data.readout.names = {"a", "b", "c"};
  Random random(3, Stream::kTest);
  data.values.resize(data.count * data.length * data.channels);
  for (float& v : data.values) v = static_cast<float>(random.uniform(-1, 1));
  std::vector<std::uint32_t> order(16);
  std::iota(order.begin(), order.end(), 0u);
  data::Batch batch;
  data::fill_batch(data, order, 10, batch);
  ThreadPool pool(1);
  model::Network n(options, {inputs, 3}, 1);
  n.fold_norms();
  n.quantize(quant, std::span(&batch, 1), pool);
  return n;
}

struct Case {
  const char* name;
  int channels, states;
  model::ModeKind modes;
  int rows, columns;
};

class Placement : public testing::TestWithParam<Case> {
 protected:
  Placement() {
    model::ModelOptions options;
    options.channels = GetParam().channels;
    options.states = GetParam().states;
    options.modes = GetParam().modes;
    if (options.modes == model::ModeKind::kReal) options.init = model::PoleStart::kReal;
    crossbar_.rows = GetParam().rows;
    crossbar_.columns = GetParam().columns;
    network_ = integer::to_integers(network(options, 2));
    mapping_ = map_network(network_, crossbar_, 100);
  }
  crossbar::CrossbarOptions crossbar_;
  integer::IntegerNetwork network_;
  Mapping mapping_;
};

TEST_P(Placement, FitsItsArrays) {
  for (const MappedArray& a : mapping_.arrays) {
    EXPECT_LE(a.rows, static_cast<std::size_t>(crossbar_.rows));
    EXPECT_LE(a.columns, static_cast<std::size_t>(crossbar_.columns));
    EXPECT_EQ(a.weights.size(), a.rows * a.columns);
    const auto filled = a.weights.size() - static_cast<std::size_t>(std::count(
                                               a.weights.begin(), a.weights.end(), 0.0f));
    EXPECT_LE(filled, a.used);
  }
  EXPECT_EQ(mapping_.pairs_per_array,
            static_cast<std::size_t>(crossbar_.rows) * static_cast<std::size_t>(crossbar_.columns));
}

TEST_P(Placement, HoldsEveryMatrixWeightOnce) {
  const auto check = [&](Site site, std::size_t layer, const integer::IntegerMatrix& m) {
    std::vector<int> seen(m.weight.size(), 0);
    for (const std::size_t i : mapping_.of(site, layer)) {
      const MappedArray& a = mapping_.arrays[i];
      EXPECT_EQ(a.used, a.rows * a.columns);
      for (std::size_t r = 0; r < a.rows; ++r) {
        for (std::size_t k = 0; k < a.columns; ++k) {
          const std::size_t at = (a.first_output + k) * m.columns + a.first_input + r;
          ++seen[at];
          EXPECT_EQ(a.weights[r * a.columns + k], m.weight[at]);
        }
      }
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<std::ptrdiff_t>(seen.size()));
  };
  check(Site::kEncoder, 0, network_.encoder);
  check(Site::kDecoder, 0, network_.decoder);
  for (std::size_t l = 0; l < network_.blocks.size(); ++l) {
    check(Site::kLinear, l, network_.blocks[l].linear_map);
  }
}

TEST_P(Placement, HoldsEveryModeOnce) {
  const integer::IntegerNetwork& n = network_;
  const std::size_t per_mode = n.complex ? 2 : 1;
  const float kept = crossbar_.recurrence == crossbar::PoleStorage::kIncrement ? 1 : 0;
  for (std::size_t l = 0; l < n.blocks.size(); ++l) {
    const integer::IntegerBlock& b = n.blocks[l];
    std::vector<int> modes(n.channels * n.modes, 0);
    for (const std::size_t number : mapping_.of(Site::kRecurrence, l)) {
      const MappedArray& a = mapping_.arrays[number];
      const std::size_t inputs = a.pieces.size();
      std::vector<float> left = a.weights;
      std::size_t used = 0, states = 0;
      const auto take = [&](std::size_t row, std::size_t column, float w) {
        EXPECT_EQ(left[row * a.columns + column], w);
        left[row * a.columns + column] = 0;
        ++used;
      };
      for (std::size_t i = 0; i < inputs; ++i) {
        const Piece& p = a.pieces[i];
        EXPECT_EQ(p.state, states);
        states += p.modes * per_mode;
        for (std::size_t k = 0; k < p.modes; ++k) {
          const std::size_t m = p.channel * n.modes + p.first_mode + k;
          const std::size_t re = p.state + k * per_mode, y = a.states + i;
          ++modes[m];
          take(i, re, quant::gain_value(b.input_shift[m]));
          take(inputs + re, re, quant::pole_value(b.ar[m]) - kept);
          take(inputs + re, y, b.cr[m]);
          if (!n.complex) continue;
          take(inputs + re + 1, re, -quant::pole_value(b.ai[m]));
          take(inputs + re, re + 1, quant::pole_value(b.ai[m]));
          take(inputs + re + 1, re + 1, quant::pole_value(b.ar[m]) - kept);
          take(inputs + re + 1, y, -static_cast<float>(b.ci[m]));
        }
      }
      EXPECT_EQ(states, a.states);
      EXPECT_EQ(used, a.used);
      EXPECT_EQ(std::count(left.begin(), left.end(), 0.0f),
                static_cast<std::ptrdiff_t>(left.size()));
    }
    EXPECT_EQ(std::count(modes.begin(), modes.end(), 1), static_cast<std::ptrdiff_t>(modes.size()));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Placement,
    testing::Values(Case{"Packed", 16, 16, model::ModeKind::kComplex, 64, 64},
                    Case{"Real", 16, 5, model::ModeKind::kReal, 64, 64},
                    Case{"SplitModes", 4, 64, model::ModeKind::kComplex, 64, 64},
                    Case{"SplitMatrices", 20, 8, model::ModeKind::kComplex, 9, 12},
                    Case{"Smallest", 3, 4, model::ModeKind::kComplex, 3, 3}),
    [](const auto& test) { return test.param.name; });

TEST(Mapping, LeavesSpareColumnsFree) {
  const integer::IntegerNetwork n = integer::to_integers(network({.channels = 6, .states = 8}, 2));
  const crossbar::CrossbarOptions spare{.rows = 16, .columns = 16, .spare_columns = 5};
  std::size_t widest = 0;
  for (const MappedArray& a : map_network(n, spare, 30).arrays) {
    widest = std::max(widest, a.columns);
    EXPECT_LE(a.columns, 11u);
  }
  EXPECT_GT(widest, 6u);
}

TEST(Mapping, CountsPairsAndConversions) {
  const Mapping m = map_network(integer::to_integers(network({}, 1)), {}, 784);
  // Three blocks of 8 modes per array: 6 arrays per layer.
  EXPECT_EQ(m.of(Site::kRecurrence, 0).size(), 6u);
  EXPECT_EQ(m.arrays.size(), 1 + 2 * (6 + 1) + 1u);
  const std::size_t block = 8 * (4 + 1 + 2);
  EXPECT_EQ(m.used_pairs(), 16 + 2 * (16 * block + 32 * 16) + 3 * 16);
  EXPECT_DOUBLE_EQ(m.utilisation(), static_cast<double>(m.used_pairs()) / (16 * 64 * 64));
  EXPECT_EQ(m.conversions_per_step(), 16 + 2 * (16 * 17 + 32u));
  // 127 * 784 needs 17 bits: three slices of 7.
  EXPECT_EQ(m.decoder_slices, 3u);
  EXPECT_EQ(m.conversions_per_sequence(), 3 * 3u);
}

TEST(Mapping, LeavesDigitalSitesOut) {
  const integer::IntegerNetwork n = integer::to_integers(network({}, 1));
  // 16 channels of 8 complex modes.
  const Mapping c = map_network(n, {.digital = "A, encoder, pointwise.0"}, 784);
  EXPECT_TRUE(c.of(Site::kEncoder).empty());
  EXPECT_TRUE(c.of(Site::kLinear, 0).empty());
  EXPECT_EQ(c.of(Site::kLinear, 1).size(), 1u);
  ASSERT_EQ(c.of(Site::kRecurrence, 0).size(), 4u);  // four channels of 16 states on 64 rows
  const Mapping whole = map_network(n, {}, 784);
  for (const std::size_t i : c.of(Site::kRecurrence, 1)) {
    const MappedArray& a = c.arrays[i];
    EXPECT_EQ(a.rows, 64u);
    EXPECT_EQ(a.columns, 4u);
    EXPECT_EQ(a.used, 64u);
    EXPECT_EQ(c.products(i), 4u);
    // The weights of C are those of arrays that have A as well.
    const MappedArray& both = whole.arrays[whole.of(Site::kRecurrence, 1)[0]];
    if (a.pieces[0].channel > 0) continue;
    for (std::size_t s = 0; s < 16; ++s) {
      EXPECT_EQ(a.weights[s * a.columns],
                both.weights[(both.input_rows + s) * both.columns + both.state_columns]);
    }
  }
  EXPECT_EQ(c.conversions_per_step(), 2 * 16 + 32u);

  const Mapping a = map_network(n, {.digital = "C"}, 784);
  for (const std::size_t i : a.of(Site::kRecurrence, 0)) {
    const MappedArray& array = a.arrays[i];
    EXPECT_EQ(array.columns, array.states);
    EXPECT_EQ(array.rows, array.states + array.pieces.size());
    EXPECT_EQ(a.products(i), 8 * array.pieces.size());
  }
  EXPECT_TRUE(map_network(n, {.digital = "A, C.1"}, 784).of(Site::kRecurrence, 1).empty());
}

TEST(Mapping, RejectsImpossibleDigitalSites) {
  const integer::IntegerNetwork n = integer::to_integers(network({}, 1));
  const auto message = [&](const std::string& sites, const std::string& what) {
    crossbar::CrossbarOptions options;
    options.digital = sites;
    EXPECT_THAT([&] { map_network(n, options, 10); }, ThrowsMessage<Error>(HasSubstr(what)));
  };
  message("encoder, A, C, pointwise, decoder", "leaves no site for arrays");
  message("A.2", "but the network has 2 blocks");
  message("poles", "\"poles\" is not a site");
}

TEST(Mapping, DrivesOneBlockAfterTheOtherAtBalancedLevels) {
  const integer::IntegerNetwork n = integer::to_integers(network({}, 1));
  const Mapping blocks = map_network(n, {}, 784),
                all = map_network(n, {.driven = crossbar::DrivenRows::kAll}, 784);
  for (const std::size_t number : blocks.of(Site::kRecurrence, 1)) {
    const MappedArray& a = blocks.arrays[number];
    EXPECT_TRUE(all.arrays[number].drive.empty());
    EXPECT_EQ(a.weights, all.arrays[number].weights);
    EXPECT_EQ(all.products(number), 2u);
    EXPECT_EQ(blocks.products(number), a.pieces.size() * (8 + 1));
    const std::size_t inputs = a.pieces.size();
    for (std::size_t c = 0; c < a.columns; ++c) {
      std::size_t driven = 0;
      float gain = 0, pole = 0;  // largest weight of each
      bool bounded = false;
      for (std::size_t r = 0; r < a.rows; ++r) {
        const float w = a.weights[r * a.columns + c], level = a.drive[r * a.columns + c];
        if (level == 0) {
          EXPECT_EQ(w, 0);
          continue;
        }
        ++driven;
        EXPECT_LE(level, 1);
        EXPECT_GE(level, std::exp2(-6.0f));
        bounded = bounded || level == std::exp2(-6.0f);
        float& cell = r < inputs ? gain : pole;
        cell = std::max(cell, std::abs(w) / level);
      }
      // u and the two states of a mode, or the 16 states of a channel.
      EXPECT_EQ(driven, c < a.states ? 3u : 16u);
      if (c >= a.states || gain == 0 || bounded) continue;
      EXPECT_LE(std::max(gain, pole) / std::min(gain, pole), 1.5f);
    }
  }
  const Mapping full = map_network(n, {.drive_halvings = 0}, 784);
  for (const float level : full.arrays[full.of(Site::kRecurrence, 0)[0]].drive) {
    EXPECT_TRUE(level == 0 || level == 1);
  }
}

TEST(Mapping, MayGiveEveryChannelAnArray) {
  const Mapping m = map_network(integer::to_integers(network({}, 1)),
                                {.packing = crossbar::ChannelPacking::kSingle}, 784);
  EXPECT_EQ(m.of(Site::kRecurrence, 0).size(), 16u);
  for (const std::size_t i : m.of(Site::kRecurrence, 1)) {
    EXPECT_EQ(m.arrays[i].pieces.size(), 1u);
  }
}

TEST(Mapping, WideCodesGoInBySlices) {
  const integer::IntegerNetwork n =
      integer::to_integers(network({}, 1, quant::quant_preset("w8a10s12")));
  const Mapping m = map_network(n, {}, 10);
  EXPECT_EQ(m.input_slices, 2u);
  EXPECT_EQ(m.state_slices, 2u);
  EXPECT_EQ(m.activation_slices, 2u);
  EXPECT_EQ(m.conversions_per_step(), 2 * (16 + 2 * (16 * 17 + 32u)));
  EXPECT_EQ(map_network(n, {.dac_bits = 12}, 10).state_slices, 1u);
  // A sign and one bit: as many products as the magnitude has bits.
  EXPECT_EQ(map_network(n, {.dac_bits = 2}, 10).state_slices, 11u);
}

TEST(Mapping, RejectsStochasticRounding) {
  quant::QuantOptions quant;
  quant.state.rounding = quant::StateRounding::kStochastic;
  const integer::IntegerNetwork other = integer::to_integers(network({}, 1, quant));
  EXPECT_THAT([&] { map_network(other, {}, 10); },
              ThrowsMessage<Error>(HasSubstr("quant.state.rounding = \"stochastic\"")));
}

// Residues are in digital registers: the arrays are those of a state rounded to nearest.
TEST(Mapping, PlacesNoiseShapedStatesAsOthers) {
  quant::QuantOptions quant;
  const Mapping nearest = map_network(integer::to_integers(network({}, 1, quant)), {}, 10);
  quant.state.residue_bits = 4;
  const Mapping shaped = map_network(integer::to_integers(network({}, 1, quant)), {}, 10);
  ASSERT_EQ(shaped.arrays.size(), nearest.arrays.size());
  for (std::size_t i = 0; i < shaped.arrays.size(); ++i) {
    EXPECT_EQ(shaped.arrays[i].rows, nearest.arrays[i].rows);
    EXPECT_EQ(shaped.arrays[i].columns, nearest.arrays[i].columns);
    EXPECT_EQ(shaped.arrays[i].used, nearest.arrays[i].used);
  }
  EXPECT_EQ(shaped.conversions_per_step(), nearest.conversions_per_step());
  EXPECT_EQ(shaped.state_slices, nearest.state_slices);
}

}  // namespace
}  // namespace crosstate::mapping
