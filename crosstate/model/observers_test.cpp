// Observed values of every site against those of the scalar reference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "crosstate/base/error.h"
#include "crosstate/model/pass.h"
#include "crosstate/model/testing.h"

namespace crosstate::model {
namespace {

class ObservedValues : public testing::Test {
 protected:
  // All values of a site by row.
  using Rows = std::vector<std::vector<double>>;
  struct Values {
    Rows input, residual, output;
    std::vector<Rows> ssm_output, activation, linear;
    std::vector<std::vector<double>> state;  // [layer][N] largest magnitudes
  };

  static Network network(int number) {
    const Norm norms[] = {Norm::kNone, Norm::kBatch, Norm::kLayer};
    return reference::small_network(norms[number % 3], number % 2 == 1, number >= 3, kTask);
  }

  static Values values_of(const Network& network, const data::Dataset& set) {
    const auto coefficients = reference::values_of<double>(network);
    const std::size_t H = network.state().channels(), layers = coefficients.blocks.size();
    Values all;
    all.input.resize(2);
    all.residual.resize(H);
    all.output.resize(H);
    for (const BlockShape& shape : network.state().shapes) {
      all.ssm_output.emplace_back(shape.size());
      all.activation.emplace_back(shape.size());
      all.linear.emplace_back(2 * H);
      all.state.emplace_back(shape.modes(), 0);
    }
    for (std::size_t i = 0; i < set.count; ++i) {
      std::vector<double> stream;
      std::vector<std::size_t> seen(3 * layers, 0);
      const auto to_row = [&](Rows& rows, std::size_t& next, double x) {
        rows[next++ % rows.size()].push_back(x);
      };
      const auto see = [&](reference::Site site, std::size_t at, double x) {
        using reference::Site;
        if (site == Site::kResidual) stream.push_back(x);
        if (site == Site::kSsmOutput) to_row(all.ssm_output[at], seen[3 * at], x);
        if (site == Site::kActivation) to_row(all.activation[at], seen[3 * at + 1], x);
        if (site == Site::kLinear) {
          // Channel by channel, the input of the gate and then what it gates.
          const std::size_t turn = seen[3 * at + 2]++ % (2 * H);
          all.linear[at][turn / 2 + (turn % 2 == 0 ? H : 0)].push_back(x);
        }
        if (site == Site::kState) {
          const std::size_t l = at < network.state().first_mode(1) ? 0 : 1;
          double& largest = all.state[l][at - network.state().first_mode(l)];
          largest = std::max(largest, std::abs(x));
        }
        return x;
      };
      const auto u = reference::sequence_of(set, i);
      reference::logits(coefficients, u, reference::Form::kRecurrence, see);
      for (std::size_t t = 0; t < u.size(); ++t) {
        for (std::size_t c = 0; c < 2; ++c) all.input[c].push_back(u[t][c]);
      }
      for (std::size_t k = 0; k < stream.size(); ++k) {
        all.residual[k % H].push_back(stream[k]);
        if (k >= layers * u.size() * H) all.output[k % H].push_back(stream[k]);
      }
    }
    return all;
  }

  template <class See>
  static void for_each_site(const Observers& got, const Values& wanted, See see) {
    see("input", got.input, wanted.input);
    see("residual", got.residual, wanted.residual);
    see("output", got.output, wanted.output);
    for (std::size_t l = 0; l < got.blocks.size(); ++l) {
      see("ssm_output", got.blocks[l].ssm_output, wanted.ssm_output[l]);
      see("activation", got.blocks[l].activation, wanted.activation[l]);
      see("linear", got.blocks[l].linear, wanted.linear[l]);
    }
  }

  static void expect_values(const Observers& got, const Values& wanted) {
    for_each_site(got, wanted, [](const char* site, const Observer& observer, const Rows& rows) {
      SCOPED_TRACE(site);
      double low = 0, high = 0, squares = 0, count = 0;
      ASSERT_EQ(observer.row_sums.size(), rows.size());
      for (std::size_t r = 0; r < rows.size(); ++r) {
        double sum = 0, size = 0;
        for (const double v : rows[r]) {
          low = std::min(low, v);
          high = std::max(high, v);
          squares += v * v;
          sum += v;
          size += std::abs(v);
          ++count;
        }
        EXPECT_NEAR(observer.row_sums[r], sum, 1e-5 * size);
        EXPECT_NEAR(observer.mean(r), sum / static_cast<double>(rows[r].size()),
                    1e-5 * size / static_cast<double>(rows[r].size()));
      }
      EXPECT_EQ(observer.count, count);
      EXPECT_NEAR(observer.squares, squares, 1e-5 * squares);
      EXPECT_NEAR(observer.low, low, 1e-5 * (high - low));
      EXPECT_NEAR(observer.high, high, 1e-5 * (high - low));
      EXPECT_EQ(observer.peak(), std::max(-observer.low, observer.high));
    });
    for (std::size_t l = 0; l < got.blocks.size(); ++l) {
      ASSERT_EQ(got.blocks[l].state.size(), wanted.state[l].size());
      for (std::size_t i = 0; i < wanted.state[l].size(); ++i) {
        EXPECT_NEAR(got.blocks[l].state[i], wanted.state[l][i], 1e-5 * wanted.state[l][i]);
      }
    }
  }

  Observers observe(const Network& network, const std::vector<data::Batch>& batches,
                    bool histograms = false, int threads = 1) const {
    ThreadPool pool(threads);
    return measure_observers(network.state(), network.state().coefficients(), batches, pool,
                             histograms);
  }

  const data::Dataset set_ = reference::random_set(1, 23, 21, kTask, true);
  // More than one group, one that is not full, and blocks of time of different lengths.
  const std::vector<data::Batch> batches_ = [&] {
    std::vector<std::uint32_t> head, tail;
    for (std::uint32_t i = 0; i < 23; ++i) (i < 18 ? head : tail).push_back(i);
    return std::vector{reference::batch_of(set_, head), reference::batch_of(set_, tail, 4)};
  }();
};

TEST_F(ObservedValues, AreThoseOfTheReferenceAtEverySite) {
  for (int number = 0; number < 6; ++number) {
    SCOPED_TRACE(number);
    const Network some = network(number);
    expect_values(observe(some, batches_), values_of(some, set_));
  }
}

// Each histogram against the number of values below every edge of its bins.
TEST_F(ObservedValues, AreCountedInEqualBins) {
  for (int number = 0; number < 6; ++number) {
    SCOPED_TRACE(number);
    const Network some = network(number);
    const Observers counted = observe(some, batches_, true);
    const Values wanted = values_of(some, set_);
    for_each_site(counted, wanted, [](const char* site, const Observer& got, const Rows& rows) {
      SCOPED_TRACE(site);
      std::vector<double> values;
      for (const std::vector<double>& row : rows)
        values.insert(values.end(), row.begin(), row.end());
      std::ranges::sort(values);
      const auto below = [&](double x) {
        return static_cast<double>(std::ranges::lower_bound(values, x) - values.begin());
      };
      ASSERT_EQ(got.histogram.size(), kObserverBins);
      const double range = static_cast<double>(got.high) - got.low, width = range / kObserverBins;
      double sum = 0;
      for (std::size_t i = 0; i < kObserverBins; ++i) {
        const double edge = got.low + static_cast<double>(i) * width;
        EXPECT_GE(sum, i == 0 ? 0 : below(edge - 1e-5 * range));
        EXPECT_LE(sum, below(edge + 1e-5 * range));
        sum += got.histogram[i];
      }
      EXPECT_EQ(sum, static_cast<double>(values.size()));
    });
    // The rest is as without histograms, although there is a second pass.
    expect_values(counted, wanted);
  }
}

TEST_F(ObservedValues, OfBatchesAddUp) {
  const Network some = network(0);
  Observers sum = observe(some, {batches_[0]});
  sum |= observe(some, {batches_[1]});
  const Observers both = observe(some, batches_);
  const auto expect_same = [](const Observer& a, const Observer& b) {
    EXPECT_EQ(a.low, b.low);
    EXPECT_EQ(a.high, b.high);
    EXPECT_EQ(a.count, b.count);
    EXPECT_DOUBLE_EQ(a.squares, b.squares);
    ASSERT_EQ(a.row_sums.size(), b.row_sums.size());
    for (std::size_t r = 0; r < a.row_sums.size(); ++r) {
      EXPECT_NEAR(a.row_sums[r], b.row_sums[r], 1e-12 * a.count);
    }
  };
  expect_same(sum.input, both.input);
  expect_same(sum.residual, both.residual);
  expect_same(sum.output, both.output);
  for (std::size_t l = 0; l < 2; ++l) {
    expect_same(sum.blocks[l].ssm_output, both.blocks[l].ssm_output);
    expect_same(sum.blocks[l].activation, both.blocks[l].activation);
    expect_same(sum.blocks[l].linear, both.blocks[l].linear);
    EXPECT_EQ(sum.blocks[l].state, both.blocks[l].state);
  }
}

TEST_F(ObservedValues, OfObserversWithDifferentListsAddUp) {
  Observer a{.low = -1, .high = 2, .squares = 3, .count = 4, .row_sums = {1, 2}, .histogram = {}};
  const Observer b{
      .low = -3, .high = 1, .squares = 5, .count = 6, .row_sums = {}, .histogram = {7}};
  a |= b;
  EXPECT_EQ(a.low, -3);
  EXPECT_EQ(a.high, 2);
  EXPECT_EQ(a.squares, 8);
  EXPECT_EQ(a.count, 10);
  EXPECT_THAT(a.row_sums, testing::ElementsAre(1, 2));
  EXPECT_THAT(a.histogram, testing::ElementsAre(7));
  a |= a;
  EXPECT_THAT(a.row_sums, testing::ElementsAre(2, 4));
  EXPECT_THAT(a.histogram, testing::ElementsAre(14));
}

TEST_F(ObservedValues, HaveTheSameBitsOnAnyNumberOfThreads) {
  const Network some = network(1);
  const Observers one = observe(some, batches_, true), three = observe(some, batches_, true, 3);
  EXPECT_EQ(one.residual.squares, three.residual.squares);
  EXPECT_EQ(one.residual.row_sums, three.residual.row_sums);
  EXPECT_EQ(one.residual.histogram, three.residual.histogram);
  EXPECT_EQ(one.blocks[1].linear.row_sums, three.blocks[1].linear.row_sums);
  EXPECT_EQ(one.blocks[1].state, three.blocks[1].state);
}

// Of a site whose values are all zero, they have no range.
TEST_F(ObservedValues, MayAllBeZero) {
  Network silent = network(0);
  for (const std::size_t p : {silent.state().blocks[0].c, silent.state().blocks[0].d}) {
    std::ranges::fill(silent.parameters()[p].value, 0.0f);
  }
  const Observers counted = observe(silent, batches_, true);
  const Observer& zeros = counted.blocks[0].ssm_output;
  EXPECT_EQ(zeros.low, 0);
  EXPECT_EQ(zeros.high, 0);
  EXPECT_EQ(zeros.squares, 0);
  EXPECT_GT(zeros.count, 0);
  EXPECT_EQ(zeros.histogram[0], zeros.count);
  EXPECT_EQ(std::accumulate(zeros.histogram.begin(), zeros.histogram.end(), 0.0), zeros.count);
  EXPECT_GT(counted.blocks[0].state[0], 0);  // C and D come after the states

  const Observers nothing = observe(silent, {}, true);
  EXPECT_EQ(nothing.input.count, 0);
  EXPECT_EQ(nothing.input.peak(), 0);
  EXPECT_EQ(nothing.blocks[1].state, std::vector<float>(nothing.blocks[1].state.size(), 0));
}

// Bins and ranges cannot be computed from infinite values.
TEST_F(ObservedValues, AreFinite) {
  using testing::AllOf;
  using testing::HasSubstr;
  const auto refused = [&](const Network& some, const std::vector<data::Batch>& batches,
                           const std::string& sites) {
    for (const bool histograms : {false, true}) {
      EXPECT_THAT(
          [&] { observe(some, batches, histograms); },
          testing::ThrowsMessage<Error>(AllOf(HasSubstr("calibration: values of " + sites),
                                              HasSubstr("the network overflows on these sequences"),
                                              HasSubstr("expected smaller inputs or weights"))));
    }
  };
  Network loud = network(0);
  std::ranges::fill(loud.parameters()[loud.state().encoder].value, 3e38f);
  refused(loud, batches_, "residual, layers.0.state, layers.0.ssm_output and ");
  loud = network(0);
  std::ranges::fill(loud.parameters()[loud.state().decoder].value, 3e38f);
  EXPECT_NO_THROW(observe(loud, batches_, true));  // nothing is rounded behind the decoder
  for (const float value :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    data::Dataset set = set_;
    set.values[3] = value;
    refused(network(0), {reference::batch_of(set)}, "input, residual, ");
  }
  // Padding is not observed.
  std::vector<data::Batch> padded = {batches_[0]};
  const std::size_t last = padded[0].length - 1;
  for (std::size_t i = 0; i < kLanes; ++i) {
    if (padded[0].lengths[i] > last) continue;
    padded[0].values[padded[0].offset(0, last, i)] = std::numeric_limits<float>::infinity();
  }
  EXPECT_NO_THROW(observe(network(0), padded));

  Observers by_hand(loud.state());
  EXPECT_NO_THROW(require_finite(by_hand));
  by_hand.blocks[1].state[0] = std::numeric_limits<float>::infinity();
  by_hand.output.squares = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT([&] { require_finite(by_hand); },
              testing::ThrowsMessage<Error>(HasSubstr("values of layers.1.state, output are not")));
}

// States are observed step by step, with the random draws of each step.
TEST_F(ObservedValues, DoNotDependOnBlocksOfTime) {
  Network rounded = network(0);
  ThreadPool pool(1);
  quant::QuantOptions format = quant::quant_preset("w8a8s4");
  format.state.rounding = quant::StateRounding::kStochastic;
  rounded.quantize(format, batches_, pool);
  const Observers one = observe(rounded, {reference::batch_of(set_, 1)}),
                  many = observe(rounded, {reference::batch_of(set_, 64)});
  for (std::size_t l = 0; l < 2; ++l) {
    EXPECT_EQ(one.blocks[l].state, many.blocks[l].state);
    EXPECT_EQ(one.blocks[l].ssm_output.low, many.blocks[l].ssm_output.low);
    EXPECT_EQ(one.blocks[l].ssm_output.high, many.blocks[l].ssm_output.high);
    EXPECT_EQ(one.blocks[l].linear.high, many.blocks[l].linear.high);
  }
}

// With the formats of all sites: the inputs of the encoder and of the linear layers are codes, the
// outputs of the recurrences are still sums.
TEST_F(ObservedValues, OfARoundedNetworkAreThoseThatItComputes) {
  Network rounded = network(0);
  ThreadPool pool(1);
  rounded.quantize(quant::quant_preset("w8a4s5"), batches_, pool);
  data::Dataset louder = set_;
  for (float& v : louder.values) v *= 8;
  const Observers seen = observe(rounded, {reference::batch_of(louder)});
  const Coefficients c = rounded.state().coefficients();
  const auto most = [](const Quantizer& q) { return q.high * q.scale[0]; };
  EXPECT_EQ(seen.input.high, most(c.input));
  EXPECT_GT(seen.blocks[0].ssm_output.high, most(c.quantizers[0].ssm_output));
  EXPECT_LE(seen.blocks[0].activation.high, most(c.quantizers[0].activation));
  for (const float x : seen.blocks[0].state) {
    EXPECT_EQ(x, std::nearbyint(x));
    EXPECT_LE(x, 15);
  }
}

}  // namespace
}  // namespace crosstate::model
