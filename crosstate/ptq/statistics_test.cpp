#include "crosstate/ptq/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"

namespace crosstate::ptq {
namespace {

using model::reference::batch_of;
using model::reference::random_set;
using testing::HasSubstr;
using testing::ThrowsMessage;

class StatisticsOfSites : public testing::Test {
 protected:
  // States are rounded at random, with draws of their own at each step.
  model::Network stochastic(const model::Network& network, const std::string& preset,
                            const data::Batch& batch) {
    model::Network rounded = network;
    quant::QuantOptions format = quant::quant_preset(preset);
    format.state.rounding = quant::StateRounding::kStochastic;
    rounded.quantize(format, {&batch, 1}, pool_);
    return rounded;
  }
  // Sums over samples, one sample at a time.
  struct Sums {
    std::size_t inputs, outputs;
    std::vector<double> gram, cross;

    Sums(std::size_t in, std::size_t out)
        : inputs(in), outputs(out), gram((in + 1) * (in + 1)), cross(out * (in + 1)) {}
    void add(std::vector<double> x, const std::vector<double>& y) {
      ASSERT_EQ(x.size(), inputs);
      ASSERT_EQ(y.size(), outputs);
      x.push_back(1);
      for (std::size_t i = 0; i < x.size(); ++i) {
        for (std::size_t k = 0; k < x.size(); ++k) gram[i * x.size() + k] += x[i] * x[k];
        for (std::size_t o = 0; o < outputs; ++o) cross[o * x.size() + i] += y[o] * x[i];
      }
    }
  };
  static void expect_sums(const Moments& got, const Sums& wanted) {
    ASSERT_EQ(got.inputs, wanted.inputs);
    ASSERT_EQ(got.outputs, wanted.outputs);
    ASSERT_EQ(got.gram.size(), wanted.gram.size());
    ASSERT_EQ(got.cross.size(), wanted.cross.size());
    EXPECT_EQ(got.count(), wanted.gram.back());
    const double largest = *std::ranges::max_element(wanted.gram);
    for (std::size_t i = 0; i < got.gram.size(); ++i) {
      EXPECT_NEAR(got.gram[i], wanted.gram[i], 1e-5 * largest) << i;
    }
    double of_outputs = 0;
    for (const double v : wanted.cross) of_outputs = std::max(of_outputs, std::abs(v));
    for (std::size_t i = 0; i < got.cross.size(); ++i) {
      EXPECT_NEAR(got.cross[i], wanted.cross[i], 1e-4 * of_outputs) << i;
    }
  }

  // Every value of the reference for one sequence.
  struct Trace {
    using Rows = std::vector<std::vector<double>>;  // [step][row]
    Rows input, output;                             // of the network
    std::vector<Rows> stream;  // [layers + 1], the residual stream before each block and at the end
    std::vector<Rows> ssm, activation, linear;  // [layers]
    std::vector<Rows> states;  // [layers], real and imaginary parts of all modes by turns
  };
  static Trace trace(const model::Network& network, const data::Dataset& set, std::size_t i) {
    const auto values = model::reference::values_of<double>(network);
    using model::reference::Site;
    const std::size_t layers = values.blocks.size(), H = network.state().channels();
    std::vector<double> stream;
    std::vector<std::vector<double>> ssm(layers), activation(layers), linear(layers);
    std::vector<std::vector<std::vector<double>>> states(layers);  // by mode
    const auto see = [&](Site site, std::size_t at, double x) {
      if (site == Site::kResidual) stream.push_back(x);
      if (site == Site::kSsmOutput) ssm[at].push_back(x);
      if (site == Site::kActivation) activation[at].push_back(x);
      if (site == Site::kLinear) linear[at].push_back(x);
      if (site == Site::kState) {
        std::size_t layer = 0;
        while (layer + 1 < layers && at >= network.state().first_mode(layer + 1)) ++layer;
        states[layer].resize(network.state().shapes[layer].modes());
        states[layer][at - network.state().first_mode(layer)].push_back(x);
      }
      return x;
    };
    Trace t;
    t.input = model::reference::sequence_of(set, i);
    t.output = model::reference::outputs(values, t.input, model::reference::Form::kRecurrence, see);
    const std::size_t steps = t.input.size();
    const auto rows = [&](const std::vector<double>& of, std::size_t first, std::size_t count) {
      Trace::Rows out;
      for (std::size_t k = 0; k < steps; ++k) {
        const auto at = of.begin() + static_cast<std::ptrdiff_t>(first + k * count);
        out.emplace_back(at, at + static_cast<std::ptrdiff_t>(count));
      }
      return out;
    };
    for (std::size_t l = 0; l <= layers; ++l) t.stream.push_back(rows(stream, l * steps * H, H));
    for (std::size_t l = 0; l < layers; ++l) {
      const std::size_t S = network.state().shapes[l].size();
      t.ssm.push_back(rows(ssm[l], 0, S));
      t.activation.push_back(rows(activation[l], 0, S));
      // The reference takes, channel by channel, the input of the gate and then what it gates.
      Trace::Rows z = rows(linear[l], 0, 2 * H);
      for (std::vector<double>& of_step : z) {
        const std::vector<double> turns = of_step;
        for (std::size_t h = 0; h < H; ++h) {
          of_step[H + h] = turns[2 * h];
          of_step[h] = turns[2 * h + 1];
        }
      }
      t.linear.push_back(std::move(z));
      Trace::Rows& x = t.states.emplace_back(steps);
      for (const std::vector<double>& of_mode : states[l]) {
        for (std::size_t k = 0; k < steps; ++k) {
          x[k].insert(x[k].end(), {of_mode[2 * k], of_mode[2 * k + 1]});
        }
      }
    }
    return t;
  }

  static model::ModelOptions options(bool real, task::Scope readout, model::Pooling pooling) {
    model::ModelOptions o = model::reference::small_options();
    o.norm = model::Norm::kNone;
    o.layers = 2;
    o.readout = readout;
    o.pooling = pooling;
    if (real) {
      o.modes = model::ModeKind::kReal;
      o.init = model::PoleStart::kReal;
    }
    return o;
  }

  ThreadPool pool_{1};
};

// In the float network itself, inputs and outputs of every site are those of the reference.
TEST_F(StatisticsOfSites, AreSumsOverTheStepsOfAllSequences) {
  const data::Dataset set = random_set(1, 23, 19, model::kTask, true),
                      steps = model::reference::random_step_set(1, 23, 19, model::kTask, true);
  std::vector<std::uint32_t> head, tail;  // more than one group, and one that is not full
  for (std::uint32_t i = 0; i < 23; ++i) (i < 18 ? head : tail).push_back(i);
  for (int number = 0; number < 6; ++number) {
    SCOPED_TRACE(number);
    const bool every_step = number % 3 == 2;
    const data::Dataset& data = every_step ? steps : set;
    const model::Network whole = model::reference::random_network(
        options(number % 2 == 1, every_step ? task::Scope::kStep : task::Scope::kSequence,
                number % 3 == 1 ? model::Pooling::kLast : model::Pooling::kMean),
        model::kTask);
    const model::Network network =
        number < 3 ? whole : whole.part(model::reference::random_parts(whole, 1));
    const std::vector<data::Batch> batches = {batch_of(data, head), batch_of(data, tail, 40)};
    const Statistics statistics(network, batches, pool_);
    const model::Network::State& s = network.state();
    const std::size_t H = s.channels(), parts = s.complex() ? 2 : 1;

    Sums encoder(2, H), decoder(H, 4);
    std::vector<Sums> linear;
    std::vector<std::vector<Sums>> recurrence(2);
    for (std::size_t l = 0; l < 2; ++l) {
      linear.emplace_back(s.shapes[l].size(), 2 * H);
      for (const std::size_t modes : s.shapes[l].counts()) {
        recurrence[l].emplace_back(parts * modes + 1, 1);
      }
    }
    for (std::size_t i = 0; i < 23; ++i) {
      const Trace t = trace(network, data, i);
      std::vector<double> pooled(H, 0);
      for (std::size_t k = 0; k < t.input.size(); ++k) {
        encoder.add(t.input[k], t.stream[0][k]);
        for (std::size_t l = 0; l < 2; ++l) {
          linear[l].add(t.activation[l][k], t.linear[l][k]);
          const model::BlockShape& shape = s.shapes[l];
          for (std::size_t c = 0; c < shape.size(); ++c) {
            std::vector<double> x;
            for (std::size_t part = 0; part < parts; ++part) {
              for (std::size_t n = shape.first[c]; n < shape.first[c + 1]; ++n) {
                x.push_back(part == 0 ? t.states[l][k][2 * n] : -t.states[l][k][2 * n + 1]);
              }
            }
            x.push_back(t.stream[l][k][shape.channels[c]]);
            recurrence[l][c].add(x, {t.ssm[l][k][c]});
          }
        }
        for (std::size_t h = 0; h < H; ++h) {
          if (s.options.pooling == model::Pooling::kLast) pooled[h] = 0;
          pooled[h] += t.stream[2][k][h];
        }
        if (every_step) decoder.add(t.stream[2][k], t.output[k]);
      }
      if (s.options.pooling == model::Pooling::kMean) {
        for (double& p : pooled) p /= static_cast<double>(t.input.size());
      }
      if (!every_step) decoder.add(pooled, t.output[0]);
    }

    expect_sums(statistics.encoder(network), encoder);
    expect_sums(statistics.decoder(network), decoder);
    for (std::size_t l = 0; l < 2; ++l) {
      expect_sums(statistics.linear(network, l), linear[l]);
      const std::vector<Moments> by_channel = statistics.recurrence(network, l);
      ASSERT_EQ(by_channel.size(), recurrence[l].size());
      for (std::size_t c = 0; c < by_channel.size(); ++c) {
        expect_sums(by_channel[c], recurrence[l][c]);
      }
    }
  }
}

// The inputs change with the formats, and the desired outputs do not.
TEST_F(StatisticsOfSites, TakeInputsWithAndOutputsWithoutQuantization) {
  const data::Dataset set = random_set(1, 19, 23, model::kTask, true);
  const data::Batch batch = batch_of(set);
  const model::Network network = model::reference::random_network(
      options(false, task::Scope::kSequence, model::Pooling::kMean), model::kTask);
  model::Network rounded = network;
  rounded.quantize(quant::quant_preset("w4a4s6"), {&batch, 1}, pool_);
  const Statistics statistics(network, {&batch, 1}, pool_);

  const auto expect_outputs = [](const Moments& got, const Moments& plain) {
    ASSERT_EQ(got.outputs, plain.outputs);
    EXPECT_EQ(got.count(), plain.count());
    EXPECT_NE(got.gram, plain.gram);
    for (std::size_t o = 0; o < got.outputs; ++o) {
      EXPECT_EQ(got.output_mean(o), plain.output_mean(o));
    }
  };
  const Moments encoder = statistics.encoder(rounded);
  expect_outputs(encoder, statistics.encoder(network));
  expect_outputs(statistics.decoder(rounded), statistics.decoder(network));
  for (std::size_t l = 0; l < 2; ++l) {
    expect_outputs(statistics.linear(rounded, l), statistics.linear(network, l));
    const std::vector<Moments> by_channel = statistics.recurrence(rounded, l),
                               plain = statistics.recurrence(network, l);
    for (std::size_t c = 0; c < by_channel.size(); ++c) expect_outputs(by_channel[c], plain[c]);
  }

  // The input of the encoder, and the states of the first block, from their formats.
  const model::Coefficients c = rounded.state().coefficients();
  const auto code = [](const model::Quantizer& q, double x) {
    return std::clamp(std::nearbyint(x / static_cast<double>(q.scale[0])),
                      static_cast<double>(q.low), static_cast<double>(q.high));
  };
  Sums inputs(2, 3);
  std::vector<Sums> states(3, Sums(5, 1));  // two complex modes and the input of the channel
  const model::BlockCoefficients& block = c.blocks[0];
  for (std::size_t i = 0; i < set.count; ++i) {
    const Trace t = trace(network, set, i);
    std::vector<std::complex<double>> x(6, 0);
    for (std::size_t k = 0; k < t.input.size(); ++k) {
      std::vector<double> in = t.input[k];
      for (double& v : in) v = code(c.input, v) * static_cast<double>(c.input.scale[0]);
      inputs.add(in, t.stream[0][k]);
      for (std::size_t h = 0; h < 3; ++h) {
        double sum = c.encoder_bias[h];
        for (std::size_t n = 0; n < 2; ++n) {
          sum += static_cast<double>(c.encoder[h * 2 + n]) * in[n];
        }
        const double u = code(c.residual, sum);
        std::vector<double> of_channel(5);
        for (std::size_t n = 0; n < 2; ++n) {
          const std::size_t m = 2 * h + n;
          const std::complex<double> next = std::complex<double>(block.ar[m], block.ai[m]) * x[m] +
                                            static_cast<double>(block.gain[m]) * u;
          const double limit = c.rounding.limit;
          x[m] = {std::clamp(std::floor(next.real() + 0.5), -limit, limit),
                  std::clamp(std::floor(next.imag() + 0.5), -limit, limit)};
          of_channel[n] = x[m].real();
          of_channel[2 + n] = -x[m].imag();
        }
        of_channel[4] = u * static_cast<double>(c.residual.scale[0]);
        states[h].add(of_channel, {t.ssm[0][k][h]});
      }
    }
  }
  expect_sums(encoder, inputs);
  const std::vector<Moments> by_channel = statistics.recurrence(rounded, 0);
  for (std::size_t h = 0; h < 3; ++h) expect_sums(by_channel[h], states[h]);
}

// Of more than kMostSamples steps, every third one counts: the third, the sixth ...
TEST_F(StatisticsOfSites, SampleLongSequencesEvenly) {
  constexpr std::size_t kSteps = 4101;
  data::Dataset set = random_set(1, 16, kSteps, model::kTask, true);
  set.lengths[0] = kSteps;
  const data::Batch batch = batch_of(set, 100);  // blocks that begin between two samples
  const model::Network network = model::reference::random_network(
      options(false, task::Scope::kSequence, model::Pooling::kMean), model::kTask);
  const std::size_t stride =
      (kLanes * batch.length + Statistics::kMostSamples - 1) / Statistics::kMostSamples;
  ASSERT_EQ(stride, 3u);
  const Statistics statistics(network, {&batch, 1}, pool_);
  const auto values = model::reference::values_of<double>(network);
  Sums encoder(2, 3);
  std::size_t samples = 0;
  for (std::size_t i = 0; i < set.count; ++i) {
    const auto input = model::reference::sequence_of(set, i);
    for (std::size_t t = stride - 1; t < input.size(); t += stride) {
      encoder.add(input[t],
                  model::reference::linear(values.encoder, values.encoder_bias, input[t]));
      ++samples;
    }
  }
  EXPECT_LE(samples, Statistics::kMostSamples);
  expect_sums(statistics.encoder(network), encoder);
  // The recurrence runs through all steps and is sampled at the same ones: its outputs in the float
  // network are a linear map of the states there.
  const std::vector<Moments> by_channel = statistics.recurrence(network, 1);
  for (std::size_t s = 0; s < 3; ++s) {
    const Moments& m = by_channel[s];
    EXPECT_EQ(m.count(), static_cast<double>(samples));
    std::vector<double> weights;
    for (const auto& mode : values.blocks[1].modes[s]) weights.push_back(mode.c.real());
    for (const auto& mode : values.blocks[1].modes[s]) weights.push_back(mode.c.imag());
    weights.push_back(values.blocks[1].d[s]);
    ASSERT_EQ(weights.size(), m.inputs);
    for (std::size_t i = 0; i <= m.inputs; ++i) {
      double wanted = 0, size = 0;
      for (std::size_t k = 0; k < m.inputs; ++k) {
        wanted += weights[k] * m.gram[k * (m.inputs + 1) + i];
        size += std::abs(weights[k] * m.gram[k * (m.inputs + 1) + i]);
      }
      EXPECT_NEAR(m.cross[i], wanted, 1e-4 * size);
    }
  }
  EXPECT_EQ(statistics.linear(network, 0).count(), static_cast<double>(samples));
  EXPECT_EQ(statistics.decoder(network).count(), 16);
}

// Of short sequences all steps count, even if they are more than kMostSamples.
TEST_F(StatisticsOfSites, KeepEveryStepOfVeryShortSequences) {
  const data::Dataset set = random_set(1, 4700, 7, model::kTask);
  const data::Batch batch = batch_of(set);
  ASSERT_GT(set.count * set.length, Statistics::kMostSamples);
  const model::Network network(options(false, task::Scope::kSequence, model::Pooling::kMean),
                               model::kTask, 1);
  const Statistics statistics(network, {&batch, 1}, pool_);
  EXPECT_EQ(statistics.encoder(network).count(), static_cast<double>(set.count * set.length));
}

TEST_F(StatisticsOfSites, KeepTheInputsOfTheFirstGroup) {
  const data::Dataset set = random_set(1, 20, 19, model::kTask, true);
  const model::Network whole = model::reference::random_network(
      options(false, task::Scope::kSequence, model::Pooling::kMean), model::kTask);
  const model::Network network = whole.part(model::reference::random_parts(whole, 2));
  const std::vector<data::Batch> batches = {batch_of(set), batch_of(set, {3, 4})};
  const Statistics statistics(network, batches, pool_);
  for (std::size_t l = 0; l < 2; ++l) {
    const model::BlockShape& shape = network.state().shapes[l];
    ASSERT_EQ(statistics.stream(l).size(), shape.size());
    for (std::size_t s = 0; s < shape.size(); ++s) {
      ASSERT_EQ(statistics.stream(l)[s].size(), batches[0].length * kLanes);
    }
    for (std::size_t i = 0; i < kLanes; ++i) {
      const Trace t = trace(network, set, i);
      for (std::size_t k = 0; k < t.input.size(); ++k) {
        for (std::size_t s = 0; s < shape.size(); ++s) {
          EXPECT_NEAR(statistics.stream(l)[s][k * kLanes + i], t.stream[l][k][shape.channels[s]],
                      1e-5);
        }
      }
    }
  }
}

TEST_F(StatisticsOfSites, HaveTheSameBitsOnAnyNumberOfThreads) {
  const data::Dataset set = random_set(1, 40, 23, model::kTask, true);
  const data::Batch batch = batch_of(set);
  const model::Network network = model::reference::random_network(
      options(false, task::Scope::kSequence, model::Pooling::kMean), model::kTask);
  const model::Network rounded = stochastic(network, "w4a6s6", batch);
  ThreadPool three(3);
  const Statistics one(network, {&batch, 1}, pool_), other(network, {&batch, 1}, three);
  const auto expect_same = [](const Moments& a, const Moments& b) {
    EXPECT_EQ(a.gram, b.gram);
    EXPECT_EQ(a.cross, b.cross);
  };
  expect_same(one.encoder(rounded), other.encoder(rounded));
  expect_same(one.linear(rounded, 1), other.linear(rounded, 1));
  expect_same(one.decoder(rounded), other.decoder(rounded));
  for (std::size_t s = 0; s < 3; ++s) {
    expect_same(one.recurrence(rounded, 1)[s], other.recurrence(rounded, 1)[s]);
  }
}

// The recurrence is run from sample to sample, with the random draws of each step.
TEST_F(StatisticsOfSites, DoNotDependOnBlocksOfTime) {
  const data::Dataset set = random_set(1, 19, 23, model::kTask, true);
  const data::Batch batch = batch_of(set);
  const model::Network network = model::reference::random_network(
      options(false, task::Scope::kSequence, model::Pooling::kMean), model::kTask);
  const model::Network rounded = stochastic(network, "w4a6s4", batch);
  const data::Batch by_step = batch_of(set, 1), whole = batch_of(set, 64);
  const Statistics one(network, {&by_step, 1}, pool_), many(network, {&whole, 1}, pool_);
  for (std::size_t l = 0; l < 2; ++l) {
    const std::vector<Moments> a = one.recurrence(rounded, l), b = many.recurrence(rounded, l);
    for (std::size_t s = 0; s < a.size(); ++s) {
      for (std::size_t n = 0; n < 4; ++n) {  // sums of whole numbers
        EXPECT_EQ(a[s].gram[n * 6 + n], b[s].gram[n * 6 + n]);
        EXPECT_EQ(a[s].gram[n * 6 + 5], b[s].gram[n * 6 + 5]);
      }
    }
  }
}

TEST_F(StatisticsOfSites, EndWhereTheyAreToldTo) {
  const data::Dataset set = random_set(1, 20, 9, model::kTask);
  const std::vector<data::Batch> batches = {batch_of(set, {0, 1}), batch_of(set, {2}),
                                            batch_of(set, {5, 6, 7})};
  const model::Network network(options(false, task::Scope::kSequence, model::Pooling::kMean),
                               model::kTask, 1);
  int left = 5;  // parts of the measurements
  const Check check = [&] {
    if (left-- == 0) fail("check", "enough");
  };
  EXPECT_THAT(
      [&] {
        const Statistics statistics(network, batches, pool_, check);
        EXPECT_EQ(left, 2);
        statistics.encoder(network);
      },
      ThrowsMessage<Error>(HasSubstr("enough")));
  EXPECT_EQ(left, -1);
}

}  // namespace
}  // namespace crosstate::ptq
