#include "crosstate/prune/scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <limits>
#include <numeric>

#include "crosstate/base/error.h"
#include "crosstate/model/testing.h"
#include "crosstate/prune/select.h"

namespace crosstate::prune {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Networks with complex and real modes, whole and pruned.
class ScoreParts : public testing::Test {
 protected:
  using Mode = model::reference::Mode<double>;

  static model::Network network(int number, model::Norm norm = model::Norm::kNone) {
    model::ModelOptions o = model::reference::small_options();
    o.norm = norm;
    o.channels = 4;
    o.states = 6;
    o.layers = 2;
    o.train_b = number % 2 == 0;
    if (number % 4 > 1) {
      o.modes = model::ModeKind::kReal;
      o.init = model::PoleStart::kReal;
    }
    const model::Network whole = model::reference::random_network(o, model::kTask);
    if (number < 4) return whole;
    return whole.part(model::reference::random_parts(whole, static_cast<std::uint64_t>(number)));
  }
  PartScores scores(const model::Network& network, Score score) {
    return score_parts(network, score, {}, pool_);
  }

  // sum of |c a^k|^2, term by term.
  static double energy(const Mode& mode) {
    double sum = 0;
    std::complex<double> response = mode.c;
    for (int k = 0; k < 4000; ++k, response *= mode.a) sum += std::norm(response);
    return sum;
  }
  static double squares(const model::reference::Matrix<double>& weight, std::size_t column) {
    double sum = 0;
    for (const std::vector<double>& row : weight) sum += row[column] * row[column];
    return sum;
  }

  // The scores of channels from those of modes, as the header has it.
  static void expect_channels(const PartScores& got, const model::Network& network) {
    const auto values = model::reference::values_of<double>(network);
    std::vector<double> stream(network.state().channels(), 0);
    const auto share = [&](const std::vector<double>& of, const std::vector<std::size_t>& at) {
      const double sum = std::accumulate(of.begin(), of.end(), 0.0);
      for (std::size_t i = 0; i < of.size(); ++i) stream[at[i]] += of[i] / sum;
    };
    for (std::size_t l = 0; l < values.blocks.size(); ++l) {
      const auto& block = values.blocks[l];
      const model::BlockShape& shape = network.state().shapes[l];
      std::vector<double> wanted;
      for (std::size_t s = 0; s < shape.size(); ++s) {
        double through = block.d[s] * block.d[s];
        for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
          through += got.blocks[l].modes[i];
        }
        wanted.push_back(through * squares(block.weight, s));
        EXPECT_NEAR(got.blocks[l].channels[s], wanted[s], 1e-5 * wanted[s]);
      }
      share(wanted, shape.channels);
    }
    std::vector<double> decoder;
    std::vector<std::size_t> every;
    for (std::size_t h = 0; h < stream.size(); ++h) {
      decoder.push_back(squares(values.decoder, h));
      every.push_back(h);
    }
    share(decoder, every);
    for (std::size_t h = 0; h < stream.size(); ++h) {
      EXPECT_NEAR(got.stream[h], stream[h], 1e-5 * stream[h]);
    }
  }

  ThreadPool pool_{1};
};

TEST_F(ScoreParts, AreThoseOfTheImpulseResponses) {
  for (int number = 0; number < 8; ++number) {
    SCOPED_TRACE(number);
    const model::Network some = network(number);
    const auto values = model::reference::values_of<double>(some);
    const PartScores magnitude = scores(some, Score::kMagnitude), last = scores(some, Score::kLast),
                     energies = scores(some, Score::kEnergy);
    for (std::size_t l = 0; l < 2; ++l) {
      const model::BlockShape& shape = some.state().shapes[l];
      ASSERT_EQ(energies.blocks[l].modes.size(), shape.modes());
      for (std::size_t s = 0; s < shape.size(); ++s) {
        for (std::size_t n = 0; n < shape.modes(s); ++n) {
          const Mode& mode = values.blocks[l].modes[s][n];
          const std::size_t i = shape.first[s] + n;
          const double square = std::norm(mode.c), all = energy(mode),
                       gain = square / std::pow(1 - std::abs(mode.a), 2);
          EXPECT_NEAR(magnitude.blocks[l].modes[i], square, 1e-5 * square);
          EXPECT_NEAR(energies.blocks[l].modes[i], all, 1e-4 * all);
          EXPECT_NEAR(last.blocks[l].modes[i], gain, 1e-4 * gain);
        }
      }
    }
    for (const PartScores* of : {&magnitude, &last, &energies}) expect_channels(*of, some);
  }
}

// The squares of all elements of the Hankel matrix h(i + j), h the impulse response of the channel.
TEST_F(ScoreParts, OfHankelAddUpToTheHankelMatrixInTheOrderOfEnergies) {
  for (int number = 0; number < 8; ++number) {
    SCOPED_TRACE(number);
    const model::Network some = network(number);
    const auto values = model::reference::values_of<double>(some);
    const PartScores hankel = scores(some, Score::kHankel), energies = scores(some, Score::kEnergy);
    for (std::size_t l = 0; l < 2; ++l) {
      const model::BlockShape& shape = some.state().shapes[l];
      for (std::size_t s = 0; s < shape.size(); ++s) {
        double wanted = 0, got = 0;
        std::vector<Mode> modes = values.blocks[l].modes[s];
        for (int k = 0; k < 4000; ++k) {
          std::complex<double> response = 0;
          for (Mode& m : modes) {
            response += m.c;
            m.c *= m.a;
          }
          wanted += (k + 1) * std::norm(response);
        }
        for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
          got += hankel.blocks[l].modes[i];
          for (std::size_t k = shape.first[s]; k < i; ++k) {
            const double order = (hankel.blocks[l].modes[i] - hankel.blocks[l].modes[k]) *
                                 (energies.blocks[l].modes[i] - energies.blocks[l].modes[k]);
            EXPECT_GE(order, 0);
          }
        }
        EXPECT_NEAR(got, wanted, 1e-4 * wanted);
      }
    }
    expect_channels(hankel, some);
  }
}

// C and D times 4, and the column of the pointwise layer that reads the channel divided by 4.
TEST_F(ScoreParts, OfChannelsDoNotDependOnTheUnitBetweenTheirTwoMaps) {
  for (const int number : {0, 2, 5}) {
    const model::Network some = network(number);
    model::Network scaled = some;
    const model::BlockParameters& p = some.state().blocks[1];
    const model::BlockShape& shape = some.state().shapes[1];
    const auto scale = [&](std::size_t parameter, std::size_t first, std::size_t count,
                           std::size_t stride, float by) {
      for (std::size_t i = 0; i < count; ++i) {
        scaled.parameters()[parameter].value[first + i * stride] *= by;
      }
    };
    const std::size_t parts = some.state().complex() ? 2 : 1, O = some.state().linear_outputs();
    scale(p.c, parts * shape.first[1], parts * shape.modes(1), 1, 4);
    scale(p.d, 1, 1, 1, 4);
    scale(p.weight, 1, O, shape.size(), 0.25f);
    for (const Score score : {Score::kMagnitude, Score::kLast, Score::kEnergy, Score::kHankel}) {
      const PartScores before = scores(some, score), after = scores(scaled, score);
      for (std::size_t s = 0; s < shape.size(); ++s) {
        EXPECT_NEAR(after.blocks[1].channels[s], before.blocks[1].channels[s],
                    1e-6 * before.blocks[1].channels[s]);
      }
      for (std::size_t h = 0; h < before.stream.size(); ++h) {
        EXPECT_NEAR(after.stream[h], before.stream[h], 1e-6 * before.stream[h]);
      }
      for (std::size_t i = shape.first[1]; i < shape.first[2]; ++i) {
        EXPECT_NEAR(after.blocks[1].modes[i], 16 * before.blocks[1].modes[i],
                    1e-5 * after.blocks[1].modes[i]);
      }
    }
  }
}

// Of a rounded network, C is a code times a scale, and the poles are those of their codes.
TEST_F(ScoreParts, AreThoseOfTheRoundedWeights) {
  for (const int number : {0, 2, 4, 6}) {
    SCOPED_TRACE(number);
    model::Network some = network(number);
    const data::Batch batch =
        model::reference::batch_of(model::reference::random_set(1, 9, 21, model::kTask));
    some.quantize(quant::quant_preset("w3a0s0"), {&batch, 1}, pool_);
    const model::Coefficients c = some.state().coefficients();
    const PartScores magnitude = scores(some, Score::kMagnitude),
                     energies = scores(some, Score::kEnergy);
    for (std::size_t l = 0; l < 2; ++l) {
      const model::BlockCodes& codes = c.blocks[l].codes;
      const model::BlockShape& shape = some.state().shapes[l];
      for (std::size_t s = 0; s < shape.size(); ++s) {
        double through = 0;
        for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
          const double scale = codes.c_scale[s], re = codes.cr[i],
                       im = codes.ci.empty() ? 0 : codes.ci[i];
          const double square = scale * scale * (re * re + im * im);
          EXPECT_NEAR(magnitude.blocks[l].modes[i], square, 1e-5 * square);
          const std::complex<double> a(std::ldexp(codes.ar[i], -14), std::ldexp(codes.ai[i], -14));
          const double all = energy({a, scale * std::complex<double>(re, im)});
          EXPECT_NEAR(energies.blocks[l].modes[i], all, 1e-4 * all);
          through += square;
        }
        const double d = codes.d.codes[s] * static_cast<double>(codes.d.scales[s]);
        double column = 0;
        for (std::size_t o = 0; o < some.state().linear_outputs(); ++o) {
          const quant::QuantizedTensor& w = codes.linear.weight;
          column += std::pow(w.codes[o * shape.size() + s] * static_cast<double>(w.scales[o]), 2);
        }
        const double wanted = (through + d * d) * column;
        EXPECT_NEAR(magnitude.blocks[l].channels[s], wanted, 1e-5 * wanted);
      }
    }
  }
}

TEST_F(ScoreParts, OfASlopeAddUpSquaresOverBatches) {
  for (const int number : {0, 2, 5}) {
    const model::Network some = network(number, model::Norm::kBatch);
    const data::Dataset set = model::reference::random_set(3, 24, 21, model::kTask, true);
    const data::Batch one = model::reference::batch_of(set, {0, 2, 4, 6, 8}),
                      two = model::reference::batch_of(set, {1, 3, 5, 19, 23});
    const auto taylor = [&](std::vector<data::Batch> batches, int threads = 1) {
      ThreadPool pool(threads);
      return score_parts(some, Score::kTaylor, batches, pool);
    };
    const PartScores first = taylor({one}), second = taylor({two}), both = taylor({one, two});
    const PartScores repeated = taylor({one, two, one, two}), threads = taylor({one, two}, 3);
    const auto expect_sum = [](const std::vector<double>& a, const std::vector<double>& b,
                               const std::vector<double>& sum, const std::vector<double>& twice,
                               const std::vector<double>& again) {
      EXPECT_EQ(sum, again);
      for (std::size_t i = 0; i < sum.size(); ++i) {
        EXPECT_GE(a[i], 0);
        EXPECT_NEAR(sum[i], a[i] + b[i], 1e-9 * sum[i]);
        EXPECT_NEAR(twice[i], 2 * sum[i], 1e-9 * twice[i]);
      }
    };
    expect_sum(first.stream, second.stream, both.stream, repeated.stream, threads.stream);
    for (std::size_t l = 0; l < 2; ++l) {
      expect_sum(first.blocks[l].modes, second.blocks[l].modes, both.blocks[l].modes,
                 repeated.blocks[l].modes, threads.blocks[l].modes);
      expect_sum(first.blocks[l].channels, second.blocks[l].channels, both.blocks[l].channels,
                 repeated.blocks[l].channels, threads.blocks[l].channels);
    }
    EXPECT_THAT([&] { taylor({}); },
                ThrowsMessage<Error>(AllOf(HasSubstr("prune.score"), HasSubstr("batches"))));
  }
}

// What nothing reads has no influence on the loss, and what is zero contributes nothing.
TEST_F(ScoreParts, AreZeroForWhatIsSilent) {
  model::Network some = network(0);
  const model::BlockParameters& p = some.state().blocks[0];
  std::vector<float>&c = some.parameters()[p.c].value, &weight = some.parameters()[p.weight].value;
  std::fill_n(c.begin() + 2 * 4, 2, 0.0f);  // mode 4, in channel 1
  for (std::size_t o = 0; o < some.state().linear_outputs(); ++o) weight[o * 4 + 3] = 0;
  const data::Batch batch =
      model::reference::batch_of(model::reference::random_set(1, 9, 21, model::kTask));
  for (const Score score :
       {Score::kMagnitude, Score::kLast, Score::kEnergy, Score::kHankel, Score::kTaylor}) {
    const PartScores all = score_parts(some, score, {&batch, 1}, pool_);
    const PartScores::Block& block = all.blocks[0];
    for (std::size_t i = 0; i < 12; ++i) {
      const bool unread = score == Score::kTaylor && i >= 9;
      // With a silent mode, the least singular value vanishes but for rounding.
      const double most = score == Score::kHankel ? 1e-12 * block.modes[3] : 0;
      if (i == 4 || unread) {
        EXPECT_LE(block.modes[i], most) << name_of(score) << ' ' << i;
      } else {
        EXPECT_GT(block.modes[i], 0) << name_of(score) << ' ' << i;
      }
    }
    for (std::size_t h = 0; h < 4; ++h) {
      EXPECT_EQ(block.channels[h] == 0, h == 3) << name_of(score) << ' ' << h;
      EXPECT_GT(all.stream[h], 0);
    }
  }
}

// In binary32 the poles of such steps are rounded to the unit circle or beyond it.
TEST_F(ScoreParts, AreLargestForModesThatDoNotDecay) {
  for (const int number : {0, 2}) {
    for (const float log_a : {-3.0f, -4.0f, -6.0f, -20.0f}) {
      SCOPED_TRACE(testing::Message() << number << ' ' << log_a);
      model::Network some = network(number);
      // The first mode of every channel of block 0.
      const model::BlockParameters& p = some.state().blocks[0];
      const std::size_t parts = some.state().complex() ? 2 : 1;
      for (float& v : some.parameters()[p.log_dt].value) v = std::log(1e-6f);
      std::vector<float>& slow = some.parameters()[p.log_a].value;
      const std::size_t modes = some.state().shapes[0].modes(0);
      for (std::size_t i = 0; i < slow.size(); ++i) slow[i] = i % modes == 0 ? log_a : 10;
      std::size_t beyond = 0;
      const model::Coefficients c = some.state().coefficients();
      for (std::size_t i = 0; i < slow.size(); i += modes) {
        beyond +=
            std::norm(std::complex<double>(c.blocks[0].ar[i], c.blocks[0].ai[i])) >= 1 ? 1 : 0;
      }
      if (log_a < -6) {
        EXPECT_EQ(beyond, slow.size() / modes);
      }
      // Outputs of about the same size.
      for (std::size_t i = 0; i < slow.size() * parts; ++i) {
        some.parameters()[p.c].value[i] = static_cast<float>(1 + 0.01 * static_cast<double>(i));
      }
      if (some.options().train_b) {
        std::vector<float>& b = some.parameters()[p.b].value;
        for (std::size_t i = 0; i < b.size(); ++i) b[i] = i % parts == 0 ? 1 : 0;
      }
      for (const Score score : {Score::kLast, Score::kEnergy, Score::kHankel}) {
        SCOPED_TRACE(name_of(score));
        const PartScores all = scores(some, score);
        double least_slow = std::numeric_limits<double>::infinity(), most_fast = 0;
        for (std::size_t i = 0; i < slow.size(); ++i) {
          const double x = all.blocks[0].modes[i];
          ASSERT_TRUE(std::isfinite(x) && x >= 0) << i << ": " << x;
          (i % modes == 0 ? least_slow : most_fast) =
              i % modes == 0 ? std::min(least_slow, x) : std::max(most_fast, x);
        }
        EXPECT_GT(least_slow, 100 * most_fast);
        for (const double x : all.blocks[0].channels) {
          EXPECT_TRUE(std::isfinite(x));
          EXPECT_GT(x, 0);
        }
        for (const double x : all.stream) {
          EXPECT_TRUE(std::isfinite(x));
          EXPECT_GT(x, 0);
        }
        const model::NetworkParts kept =
            select_parts(some, all, {0.5, 0}, PruneScope::kStream, size_of(some));
        for (std::size_t i = 0; i < slow.size(); i += modes) {
          EXPECT_THAT(kept.blocks[0].modes, testing::Contains(i));
        }
      }
    }
  }
}

TEST_F(ScoreParts, OfASlopeAreTheSameOnEveryCall) {
  model::ModelOptions o = network(0).options();
  o.dropout = 0.5;
  model::Network some = model::reference::random_network(o, model::kTask);
  const data::Batch batch =
      model::reference::batch_of(model::reference::random_set(1, 9, 21, model::kTask));
  quant::QuantOptions noisy = quant::quant_preset("w4a8s8");
  noisy.weight_noise = 0.1;
  noisy.state.rounding = quant::StateRounding::kStochastic;
  some.quantize(noisy, {&batch, 1}, pool_);
  ThreadPool three(3);
  const PartScores one = score_parts(some, Score::kTaylor, {&batch, 1}, pool_),
                   two = score_parts(some, Score::kTaylor, {&batch, 1}, three);
  EXPECT_EQ(one.stream, two.stream);
  EXPECT_EQ(one.blocks[1].modes, two.blocks[1].modes);
}

TEST_F(ScoreParts, RefuseToOrderWhatIsNotFinite) {
  model::Network loud = network(0);
  for (float& v : loud.parameters()[loud.state().encoder].value) v = 3e38f;
  const data::Batch batch =
      model::reference::batch_of(model::reference::random_set(1, 9, 21, model::kTask));
  EXPECT_THAT(
      [&] {
        score_parts(loud, Score::kTaylor, {&batch, 1}, pool_);
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("prune.score: taylor of some parts is not finite"),
                                 HasSubstr("expected a network whose loss is finite"))));
}

TEST_F(ScoreParts, LeaveTheNetworkAsItIs) {
  const model::Network some = network(0, model::Norm::kBatch);
  const std::string before = formats::format_safetensors(some.to_tensors());
  const data::Batch batch =
      model::reference::batch_of(model::reference::random_set(1, 9, 21, model::kTask));
  score_parts(some, Score::kTaylor, {&batch, 1}, pool_);
  EXPECT_EQ(formats::format_safetensors(some.to_tensors()), before);
}

}  // namespace
}  // namespace crosstate::prune
