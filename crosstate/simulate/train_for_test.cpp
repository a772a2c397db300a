// Training must assume the same arrays that the mapping and the chip derive from the network:
// levels of cells, units of noise, and steps of converters, per bit line.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/random.h"
#include "crosstate/crossbar/array.h"
#include "crosstate/crossbar/converters.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/integer/convert.h"
#include "crosstate/integer/testing.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/parts.h"
#include "crosstate/simulate/array_plan.h"
#include "crosstate/simulate/target_noise.h"

namespace crosstate::simulate {
namespace {

constexpr double kNoise = 0.01;  // of weights
constexpr double kConversionNoise = 0.25;

// The same weights in a network trained for arrays, with `noise` on the weights.
model::Network for_arrays(const model::Network& network, const crossbar::CrossbarOptions& crossbar,
                          const TargetNoise& noise) {
  model::Network out = network;
  quant::QuantOptions quant = network.quant_options();
  quant.array = {};
  quant.chip_steps = 1;
  train_for(crossbar, noise, 1, quant);
  ThreadPool pool(1);
  out.requantize(quant, {}, pool);  // formats are kept, so nothing is calibrated
  return out;
}

// Steps of the converters of an array, in units of its sums.
std::vector<double> steps_of(const crossbar::ArrayPlan& plan, crossbar::CrossbarOptions crossbar) {
  crossbar.adc_noise = 1;
  const crossbar::ColumnConverters converters(crossbar, plan.ranges,
                                              std::vector<float>(plan.columns, 0), {});
  std::vector<double> steps;
  for (std::size_t c = 0; c < plan.columns; ++c) {
    steps.push_back(std::sqrt(double{converters.noise()[c]}));
  }
  return steps;
}

// Position of a value of a recurrence: one pair, or two.
struct Place {
  std::size_t array, row, column;
};
struct ModePlaces {
  Place gain, real, imaginary, pole_of_real, pole_of_imaginary, cr, ci;
};

// A mapped network and its coefficients in training.
class Agreement {
 public:
  Agreement(const model::Network& network, const crossbar::CrossbarOptions& crossbar)
      : network_(network),
        crossbar_(crossbar),
        integers_(integer::to_integers(network)),
        mapping_(mapping::map_network(integers_, crossbar, 1)),
        clean_(network.state().coefficients()) {
    for (const mapping::MappedArray& a : mapping_.arrays) {
      std::vector<double>& units = units_.emplace_back();
      for (std::size_t c = 0; c < a.columns; ++c) units.push_back(double{a.line(c).unit()});
    }
  }

  void levels() {
    const model::Network trained = for_arrays(network_, crossbar_, {});
    const model::Coefficients c = trained.state().coefficients(&kStep);
    crossbar::Target target;
    target.crossbar = crossbar_;
    target.device.programming_noise = target.device.read_noise = 0;
    std::vector<crossbar::ProgrammedArray> arrays;
    for (std::size_t i = 0; i < mapping_.arrays.size(); ++i) {
      arrays.emplace_back(array_plan(integers_, mapping_, crossbar_, i), target, 1,
                          static_cast<std::uint32_t>(i));
    }
    const auto held = [&](const Place& p) { return arrays[p.array].aim(p.row, p.column); };
    // A weight midway between two levels may be rounded either way.
    const auto between = [&](const Place& p) {
      const mapping::MappedArray& a = mapping_.arrays[p.array];
      const bool offset = crossbar_.encoding == crossbar::WeightEncoding::kOffset;
      const double intervals = crossbar_.levels < 2 ? 1
                               : offset             ? (crossbar_.levels - 1) / 2
                                                    : crossbar_.levels - 1;
      const double share = std::abs(a.weights[p.row * a.columns + p.column]) / full(p) * intervals;
      return crossbar_.levels > 1 && std::abs(share - std::floor(share) - 0.5) < 1e-3;
    };
    const auto near = [&](double found, double want, double size, const std::string& what) {
      EXPECT_NEAR(found, want, 1e-5 * std::max(size, std::abs(want))) << what;
      ++compared_;
    };
    each_mode([&](std::size_t l, std::size_t i, double scale, const ModePlaces& at) {
      const model::BlockCoefficients& block = c.blocks[l];
      const std::string mode = "layer " + std::to_string(l) + " mode " + std::to_string(i);
      const double kept = crossbar_.recurrence == crossbar::PoleStorage::kIncrement ? 1 : 0;
      double ar = held(at.real), ai = 0;
      bool tie = between(at.real);
      if (integers_.complex) {
        ar = (ar + held(at.imaginary)) / 2;
        ai = (held(at.pole_of_imaginary) - held(at.pole_of_real)) / 2;
        tie = tie || between(at.imaginary) || between(at.pole_of_real) ||
              between(at.pole_of_imaginary);
      }
      if (!tie && std::hypot(ar + kept, ai) <= 1) {
        near(block.ar[i], ar + kept, 1, mode + " ar");
        near(block.ai[i], ai, 1, mode + " ai");
      }
      const double input = integers_.residual.scale;
      if (!between(at.gain)) near(block.b[i] * input, held(at.gain), 0, mode + " b");
      if (!between(at.cr)) near(block.cr[i], held(at.cr) * scale, 0, mode + " cr");
      if (integers_.complex && !between(at.ci)) {
        near(block.ci[i], -held(at.ci) * scale, 0, mode + " ci");
      }
    });
    each_matrix(c, [&](const AlignedFloats& values, const AlignedFloats&, std::size_t i,
                       double scale, const Place& at, const std::string& what, std::uint32_t) {
      if (!between(at)) near(values[i], held(at) * scale, 0, what);
    });
  }

  void units() {
    crossbar::CrossbarOptions any = crossbar_;
    any.levels = 0;
    const model::Network trained = for_arrays(network_, any, {.device = kNoise});
    // Noise that moves a pole beyond the unit circle is limited in training: another chip moves it
    // inwards.
    std::vector<std::vector<int>> seen;
    for (const model::BlockShape& shape : network_.state().shapes)
      seen.emplace_back(shape.modes(), 0);
    for (std::uint64_t number = 0; number < 8; ++number) {
      const model::TrainingStep step{1, number};
      const model::Coefficients c = trained.state().coefficients(&step);
      each_mode([&](std::size_t l, std::size_t i, double scale, const ModePlaces& at) {
        const model::BlockCoefficients &noisy = c.blocks[l], &clean = clean_.blocks[l];
        const std::string mode = "layer " + std::to_string(l) + " mode " + std::to_string(i);
        // After encoder and decoder: ar, ai, b, cr, ci, D and the pointwise layer of each block.
        const auto part = [&](std::uint32_t of) {
          return 2 + 7 * static_cast<std::uint32_t>(l) + of;
        };
        if (std::hypot(noisy.ar[i], noisy.ai[i]) < 1 - 1e-6f) {
          double real = full(at.real), imaginary = full(at.pole_of_real);
          if (integers_.complex) {
            real = std::hypot(real, full(at.imaginary)) / 2;
            imaginary = std::hypot(imaginary, full(at.pole_of_imaginary)) / 2;
          }
          const bool corrected = crossbar_.recurrence == crossbar::PoleStorage::kIncrement &&
                                 crossbar_.compensation == crossbar::Compensation::kColumn;
          expect_unit(noisy.ar[i] - clean.ar[i], corrected ? 0 : real, number, part(0), i, 1,
                      mode + " ar");
          if (integers_.complex) {
            expect_unit(noisy.ai[i] - clean.ai[i], imaginary, number, part(1), i, 1, mode + " ai");
          }
          seen[l][i] = 1;
        }
        const double b = clean.b[i], input = integers_.residual.scale;
        expect_unit(noisy.b[i] - b, full(at.gain) / input, number, part(2), i, b, mode + " b");
        expect_unit(noisy.cr[i] - clean.cr[i], full(at.cr) * scale, number, part(3), i,
                    std::abs(clean.cr[i]), mode + " cr");
        if (integers_.complex) {
          expect_unit(noisy.ci[i] - clean.ci[i], full(at.ci) * scale, number, part(4), i,
                      std::abs(clean.ci[i]), mode + " ci");
        }
      });
      each_matrix(c,
                  [&](const AlignedFloats& values, const AlignedFloats& clean, std::size_t i,
                      double scale, const Place& at, const std::string& what, std::uint32_t part) {
                    expect_unit(values[i] - clean[i], full(at) * scale, number, part, i,
                                std::abs(clean[i]), what);
                  });
    }
    std::size_t modes = 0, of = 0;
    for (const std::vector<int>& layer : seen) {
      of += layer.size();
      modes += static_cast<std::size_t>(std::count(layer.begin(), layer.end(), 1));
    }
    EXPECT_GE(10 * modes, of) << "poles that were compared";
  }

  void converters() {
    crossbar::CrossbarOptions noisy = crossbar_;
    noisy.adc_noise = kConversionNoise;
    const model::Network trained = for_arrays(network_, noisy, {});
    const model::Coefficients c = trained.state().coefficients(&kStep);
    std::vector<std::vector<double>> steps;
    for (std::size_t i = 0; i < mapping_.arrays.size(); ++i) {
      steps.push_back(steps_of(array_plan(integers_, mapping_, crossbar_, i), crossbar_));
    }
    const auto near = [&](double found, double want, double first, const std::string& what) {
      // Requantizers are integers, small ones if their other factor is large.
      EXPECT_NEAR(found, want, (1e-5 + 1 / std::max(1.0, std::abs(first))) * want) << what;
      ++compared_;
    };
    each_mode([&](std::size_t l, std::size_t i, double, const ModePlaces& at) {
      const AlignedFloats& spread = c.blocks[l].state_spread;
      ASSERT_EQ(spread.size(), 2 * c.blocks[l].ar.size());
      const auto of = [&](std::size_t p) {
        return double{spread[p]} / std::sqrt(12.0) / kConversionNoise;
      };
      const std::string mode = "layer " + std::to_string(l) + " mode " + std::to_string(i);
      near(of(2 * i), steps[at.real.array][at.real.column], 1e9, mode + " real part");
      if (!integers_.complex) return;
      near(of(2 * i + 1), steps[at.imaginary.array][at.imaginary.column], 1e9,
           mode + " imaginary part");
    });
    for (std::size_t l = 0; l < integers_.blocks.size(); ++l) {
      const integer::IntegerBlock& b = integers_.blocks[l];
      std::vector<double> squares(b.shape.size(), 0);
      for (const std::size_t number : mapping_.of(mapping::Site::kRecurrence, l)) {
        const mapping::MappedArray& a = mapping_.arrays[number];
        for (std::size_t p = 0; p < a.pieces.size(); ++p) {
          const double step = steps[number][a.states + p];
          squares[a.pieces[p].channel] += step * step;
        }
      }
      for (std::size_t s = 0; s < squares.size(); ++s) {
        const double scale = clean_.blocks[l].codes.c_scale[s];
        const std::string what = "layer " + std::to_string(l) + " output " + std::to_string(s);
        near(c.blocks[l].output_noise[s] / kConversionNoise, std::sqrt(squares[s]) * scale,
             b.output.first[s], what);
      }
      const model::OutputPieces& pieces = c.blocks[l].pieces;
      for (std::size_t s = 0; s < pieces.cuts.size(); ++s) {
        std::vector<std::size_t> first;
        for (const std::size_t number : mapping_.of(mapping::Site::kRecurrence, l)) {
          const mapping::MappedArray& a = mapping_.arrays[number];
          for (std::size_t p = 0; p < a.pieces.size(); ++p) {
            if (a.pieces[p].channel != s) continue;
            first.push_back(a.pieces[p].first_mode);
            if (pieces.cuts[s].size() > 2) {
              near(pieces.step,
                   steps[number][a.states + p] * double{clean_.blocks[l].codes.c_scale[s]},
                   b.output.first[s], "parts of an output");
            }
          }
        }
        if (!first.empty()) first.push_back(b.shape.modes(s));
        std::sort(first.begin(), first.end());
        EXPECT_EQ(pieces.cuts[s], first.empty() ? std::vector<std::size_t>{0} : first);
      }
      matrix_converters(mapping::Site::kLinear, l, steps, c.blocks[l].linear_noise,
                        c.blocks[l].tiles, clean_.blocks[l].codes.linear.weight.scales,
                        b.activation.scale, integers_.gated ? b.linear_codes : b.sum, near);
    }
    matrix_converters(mapping::Site::kEncoder, 0, steps, c.encoder_noise, c.encoder_tiles,
                      clean_.encoder_codes.weight.scales, integers_.input.scale,
                      integers_.encoder_codes, near);
  }

  std::size_t compared() const { return compared_; }

 private:
  static constexpr model::TrainingStep kStep{1, 0};

  // The weight that full conductance represents at a position.
  double full(const Place& p) const {
    const mapping::MappedArray& a = mapping_.arrays[p.array];
    return units_[p.array][p.column] * a.level(p.row, p.column);
  }

  // `value`: value i among those to which one draw each of `part` is added.
  void expect_unit(double moved, double unit, std::uint64_t step, std::uint32_t part, std::size_t i,
                   double size, const std::string& what) {
    const double deviate = draw(step, part, i);
    EXPECT_NEAR(moved, kNoise * unit * deviate, 2e-7 * (size + unit))
        << what << ", unit " << unit << ", deviate " << deviate;
    ++compared_;
  }
  double draw(std::uint64_t step, std::uint32_t part, std::size_t i) {
    const auto number = static_cast<std::uint32_t>(step);
    auto& [random, draws] =
        draws_
            .try_emplace({step, part}, Random(1, Stream::kDeviceNoise, number, part),
                         std::vector<double>())
            .first->second;
    while (draws.size() <= i) draws.push_back(random.normal());
    return draws[i];
  }

  // body(layer, mode, scale of C's codes, places)
  template <class Body>
  void each_mode(Body body) {
    for (std::size_t l = 0; l < integers_.blocks.size(); ++l) {
      const model::BlockShape& shape = integers_.blocks[l].shape;
      for (const std::size_t number : mapping_.of(mapping::Site::kRecurrence, l)) {
        const mapping::MappedArray& a = mapping_.arrays[number];
        for (std::size_t p = 0; p < a.pieces.size(); ++p) {
          const mapping::Piece& piece = a.pieces[p];
          for (std::size_t n = 0; n < piece.modes; ++n) {
            const std::size_t re = piece.state + (integers_.complex ? 2 : 1) * n;
            const std::size_t row = a.pieces.size() + re, y = a.states + p;
            const ModePlaces at{{number, p, re},           {number, row, re},
                                {number, row + 1, re + 1}, {number, row + 1, re},
                                {number, row, re + 1},     {number, row, y},
                                {number, row + 1, y}};
            body(l, shape.first[piece.channel] + piece.first_mode + n,
                 double{clean_.blocks[l].codes.c_scale[piece.channel]}, at);
          }
        }
      }
    }
  }

  // body(values, the same without noise, i, scale of codes, position, what, part of the draws)
  template <class Body>
  void each_matrix(const model::Coefficients& c, Body body) {
    const auto matrix = [&](mapping::Site site, std::size_t l, const AlignedFloats& values,
                            const AlignedFloats& clean, const std::vector<float>& scales,
                            std::uint32_t part) {
      const std::size_t inputs = values.size() / scales.size();
      for (const std::size_t number : mapping_.of(site, l)) {
        const mapping::MappedArray& a = mapping_.arrays[number];
        for (std::size_t r = 0; r < a.rows; ++r) {
          for (std::size_t k = 0; k < a.columns; ++k) {
            const std::size_t o = a.first_output + k, i = o * inputs + a.first_input + r;
            if (units_[number][k] == 0) continue;
            body(values, clean, i, double{scales[o]}, Place{number, r, k},
                 "matrix " + std::to_string(part) + " weight " + std::to_string(i), part);
          }
        }
      }
    };
    matrix(mapping::Site::kEncoder, 0, c.encoder, clean_.encoder,
           clean_.encoder_codes.weight.scales, 0);
    matrix(mapping::Site::kDecoder, 0, c.decoder, clean_.decoder,
           clean_.decoder_codes.weight.scales, 1);
    for (std::size_t l = 0; l < c.blocks.size(); ++l) {
      matrix(mapping::Site::kLinear, l, c.blocks[l].weight, clean_.blocks[l].weight,
             clean_.blocks[l].codes.linear.weight.scales, 8 + 7 * static_cast<std::uint32_t>(l));
    }
  }

  template <class Near>
  void matrix_converters(mapping::Site site, std::size_t l,
                         const std::vector<std::vector<double>>& steps, const AlignedFloats& noise,
                         const std::vector<model::WeightTile>& tiles,
                         const std::vector<float>& scales, double input,
                         const integer::Requantizer& r, Near near) {
    std::vector<double> squares(scales.size(), 0);
    for (const std::size_t number : mapping_.of(site, l)) {
      const mapping::MappedArray& a = mapping_.arrays[number];
      for (std::size_t k = 0; k < a.columns; ++k) {
        squares[a.first_output + k] += steps[number][k] * steps[number][k];
        const auto tile = std::find_if(tiles.begin(), tiles.end(), [&](const model::WeightTile& t) {
          return t.first == a.first_input;
        });
        if (tile == tiles.end()) continue;
        EXPECT_EQ(tile->count, a.rows);
        near(tile->step[a.first_output + k],
             steps[number][k] * double{scales[a.first_output + k]} * input,
             r.first[a.first_output + k], "step of a part");
      }
    }
    ASSERT_EQ(noise.size(), scales.size());
    for (std::size_t o = 0; o < scales.size(); ++o) {
      // A row that is rounded to 0 has a requantizer without a step.
      if (r.first[o] == 0) continue;
      near(noise[o] / kConversionNoise, std::sqrt(squares[o]) * double{scales[o]} * input,
           r.first[o], "noise of row " + std::to_string(o));
    }
  }

  const model::Network& network_;
  crossbar::CrossbarOptions crossbar_;
  integer::IntegerNetwork integers_;
  mapping::Mapping mapping_;
  model::Coefficients clean_;
  std::vector<std::vector<double>> units_;  // by array and column
  std::map<std::pair<std::uint64_t, std::uint32_t>, std::pair<Random, std::vector<double>>> draws_;
  std::size_t compared_ = 0;
};

struct Arrays {
  const char* name;
  crossbar::CrossbarOptions crossbar;
};

// Options that determine where weights are placed, and how they are stored and read.
std::vector<Arrays> arrays() {
  std::vector<Arrays> all;
  const auto add = [&](const char* name, auto set) {
    crossbar::CrossbarOptions crossbar;
    crossbar.adc_bits = 8;
    set(crossbar);
    all.push_back({name, crossbar});
  };
  add("codes", [](crossbar::CrossbarOptions&) {});
  add("fitted",
      [](crossbar::CrossbarOptions& c) { c.increment_range = crossbar::IncrementRange::kFitted; });
  add("fine", [](crossbar::CrossbarOptions& c) {
    c.increment_range = crossbar::IncrementRange::kFitted;
    c.adc_bits = 12;
    c.levels = 64;
  });
  add("small", [](crossbar::CrossbarOptions& c) {
    c.rows = 9;
    c.columns = 7;
    c.spare_columns = 2;
    c.partial_bits = 6;
    c.increment_range = crossbar::IncrementRange::kFitted;
    c.levels = 7;
  });
  add("smallest", [](crossbar::CrossbarOptions& c) {
    c.rows = c.columns = 3;
    c.levels = 16;
  });
  add("direct", [](crossbar::CrossbarOptions& c) {
    c.recurrence = crossbar::PoleStorage::kDirect;
    c.increment_range = crossbar::IncrementRange::kFitted;
    c.levels = 33;
  });
  add("all rows", [](crossbar::CrossbarOptions& c) {
    c.driven = crossbar::DrivenRows::kAll;
    c.levels = 33;
    c.increment_range = crossbar::IncrementRange::kFitted;
  });
  add("two halvings", [](crossbar::CrossbarOptions& c) {
    c.drive_halvings = 2;
    c.levels = 17;
  });
  add("offset", [](crossbar::CrossbarOptions& c) {
    c.encoding = crossbar::WeightEncoding::kOffset;
    c.levels = 31;
    c.packing = crossbar::ChannelPacking::kSingle;
  });
  add("corrected", [](crossbar::CrossbarOptions& c) {
    c.compensation = crossbar::Compensation::kColumn;
    c.increment_range = crossbar::IncrementRange::kFitted;
    c.levels = 16;
  });
  add("slices", [](crossbar::CrossbarOptions& c) {
    c.dac_bits = 3;
    c.increment_range = crossbar::IncrementRange::kFitted;
  });
  return all;
}

void expect_agreement(const model::Network& network) {
  for (const Arrays& a : arrays()) {
    SCOPED_TRACE(a.name);
    Agreement agreement(network, a.crossbar);
    agreement.levels();
    agreement.units();
    agreement.converters();
    EXPECT_GT(agreement.compared(), 100u);
    if (testing::Test::HasFailure()) return;  // one failure is enough
  }
}

TEST(TrainFor, SeesTheArraysOfEveryShippedModel) {
  std::size_t models = 0;
  for (const auto& entry : std::filesystem::directory_iterator(CROSSTATE_SOURCE_DIR "/models")) {
    if (entry.path().extension() != ".safetensors") continue;
    const formats::Safetensors content = formats::read_safetensors(entry.path().string());
    if (integer::is_integer_network(content)) continue;
    const model::Network network = model::Network::from_tensors(content, entry.path().string());
    if (!network.quantized()) continue;
    SCOPED_TRACE(entry.path().filename().string());
    expect_agreement(network);
    ++models;
  }
  EXPECT_GE(models, 5u);
}

// All formats and shapes, also with inputs of the recurrence far from the codes of 1.
TEST(TrainFor, SeesTheArraysOfRandomNetworks) {
  for (int number = 0; number < 24; ++number) {
    SCOPED_TRACE(number);
    const data::Dataset set = integer::fixtures::sequences(number);
    model::Network network = integer::fixtures::rounded_network(
        number, set, integer::fixtures::format(number, number % 3 != 2));
    const float by[] = {0, 3.7f, -2.9f, 8.3f};
    for (model::Parameter& p : network.parameters()) {
      if (p.name == "range.residual") p.value[0] += by[number % 4];
    }
    if (number % 2 == 1) network = network.part(model::reference::random_parts(network, 5));
    expect_agreement(network);
  }
}

}  // namespace
}  // namespace crosstate::simulate
