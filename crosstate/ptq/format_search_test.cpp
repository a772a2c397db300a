#include "crosstate/ptq/format_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/cost/memory.h"
#include "crosstate/integer/convert.h"
#include "crosstate/model/testing.h"

namespace crosstate::ptq {
namespace {

// A network of one block whose own decisions are the targets: in floating point it makes no error.
class FormatSearchTest : public testing::Test {
 protected:
  FormatSearchTest()
      : network_(make_network()),
        training_(model::reference::random_set(1, 64, 30, kTask)),
        held_out_(model::reference::random_set(2, 400, 30, kTask)) {
    ThreadPool pool(2);
    // Without a class that always wins, the smallest errors change decisions.
    const auto outputs =
        inference::Model(network_).predict(training_, inference::ModelBackend::kFloat, pool);
    std::vector<float>& bias = network_.parameters()[network_.state().decoder_bias].value;
    for (std::size_t i = 0; i < outputs.values.size(); ++i) {
      bias[i % bias.size()] -= outputs.values[i] / static_cast<float>(outputs.count());
    }
    const auto decided =
        inference::Model(network_).predict(held_out_, inference::ModelBackend::kFloat, pool);
    for (std::size_t i = 0; i < held_out_.count; ++i) {
      held_out_.targets[i] = static_cast<float>(decided.largest[i]);
    }
    batches_ = {model::reference::batch_of(training_)};
    // Few sites are left to choose.
    for (quant::ActivationSite* site : {&options_.input, &options_.residual, &options_.ssm_output,
                                        &options_.activation, &options_.linear, &options_.gate}) {
      site->bits = 12;
    }
    options_.encoder.bits = options_.d.bits = options_.decoder.bits = 12;
    options_.decoder.scales = options_.c.scales = quant::ScaleKind::kFree;
    options_.state = {.bits = 12, .residue_bits = 4};
  }

  static model::Network make_network() {
    model::ModelOptions o = model::reference::small_options();
    o.norm = model::Norm::kNone;
    return model::reference::random_network(o, kTask);
  }

  // Multiplies the outputs so that the largest multiplier of scores is about 2^exponent with 8 bits
  // of the decoder. With fewer bits it is larger; from 2^23 on it has no integer form.
  void enlarge_outputs(int exponent) {
    ThreadPool pool(1);
    quant::QuantOptions format = resolved_without_noise(options_);
    format.decoder.bits = 8;
    const integer::Requantizer scores =
        integer::to_integers(NetworkRounder(network_, batches_, pool).round(format)).scores;
    double largest = 0;
    for (std::size_t k = 0; k < scores.first.size(); ++k) {
      largest = std::max(largest, std::ldexp(scores.first[k], -scores.shift[k]));
    }
    const auto factor = static_cast<float>(std::exp2(exponent - std::ilogb(largest)));
    for (const std::size_t p : {network_.state().decoder, network_.state().decoder_bias}) {
      for (float& value : network_.parameters()[p].value) value *= factor;
    }
  }

  struct Search {
    Search(const FormatSearchTest& test, ThreadPool& pool)
        : some(spread(test.held_out_, 100)),
          rounder(test.network_, test.batches_, pool),
          coarse(named(test.network_), some, pool),
          fine(named(test.network_), test.held_out_, pool),
          search(rounder, test.options_, false, coarse, fine, 30, {}) {}
    static inference::Model named(const model::Network& network) {
      return inference::Model(network, std::nullopt, "x.safetensors");
    }
    FoundFormat run(const SearchOptions& options) {
      search.require_possible(options);
      search.measure(options);
      return search.find(options);
    }
    data::Dataset some;
    NetworkRounder rounder;
    Judge coarse, fine;
    FormatSearch search;
  };

  FoundFormat found(const SearchOptions& options, int threads = 2) const {
    ThreadPool pool(threads);
    return Search(*this, pool).run(options);
  }

  static constexpr model::TaskShape kTask{1, 3};
  model::Network network_;
  data::Dataset training_, held_out_;
  std::vector<data::Batch> batches_;
  quant::QuantOptions options_;
};

TEST_F(FormatSearchTest, FindsTheCheapestFormatWithinALoss) {
  const FoundFormat strict = found({.loss = 1}), loose = found({.loss = 8});
  EXPECT_TRUE(strict.verdict.meets(1));
  EXPECT_TRUE(loose.verdict.meets(8));
  EXPECT_LT(loose.cost.bytes, strict.cost.bytes);
  EXPECT_EQ(strict.cost.bytes, cost::count_memory(strict.network).total());
  EXPECT_EQ(strict.network.quant_options().weight.bits, strict.format.weight.bits);
  EXPECT_LT(strict.format.weight.bits + strict.format.c.bits + strict.format.a.bits, 8 + 8 + 14);
  for (const FoundFormat* f : {&strict, &loose}) {
    EXPECT_EQ(f->format.residual.bits, 12);  // as named
    ASSERT_EQ(f->sites.size(), 13u);
    EXPECT_FALSE(f->sites[0].choice.empty());
    EXPECT_GT(f->evaluations, 10u);
  }
}

TEST_F(FormatSearchTest, FindsTheBestFormatWithinBytes) {
  ThreadPool pool(2);
  Search search(*this, pool);
  const std::size_t least = search.search.least_bytes();
  double last = 1e300;
  for (const std::size_t more : {0, 20, 60}) {
    const auto bytes = static_cast<int>(least + more);
    const FoundFormat best = found({.bytes = bytes});
    EXPECT_LE(best.cost.bytes, least + more);
    EXPECT_EQ(best.cost.bytes, cost::count_memory(best.network).total());
    EXPECT_LE(best.verdict.error, last * 1.1) << more;
    last = best.verdict.error;
  }
}

// The residue of a mode depends on its pole, which the search moves.
TEST_F(FormatSearchTest, PricesTheNetworkThatItReturns) {
  options_.state = {
      .bits = 8, .residue_bits = 12, .residue = quant::ResidueRule::kByPole, .residue_margin = -4};
  for (const auto& [coding, bits] :
       {std::pair{quant::PoleCoding::kCartesian, 10}, std::pair{quant::PoleCoding::kIncrement, 4},
        std::pair{quant::PoleCoding::kIncrement, 6}}) {
    options_.a = {bits, coding};
    ThreadPool pool(2);
    Search search(*this, pool);
    search.run({.bytes = 100000});
    for (const FoundFormat& f : search.search.front(4)) {
      EXPECT_EQ(f.cost.bytes, cost::count_memory(f.network).total()) << name_of(coding) << bits;
    }
  }
}

TEST_F(FormatSearchTest, FindsAFrontFromTheMostPreciseToTheSmallest) {
  ThreadPool pool(2);
  Search search(*this, pool);
  const SearchOptions goal{.bytes = 100000};
  const FoundFormat precise = search.run(goal);
  const std::vector<FoundFormat> front = search.search.front(6);
  ASSERT_GE(front.size(), 4u);
  ASSERT_LE(front.size(), 6u);
  EXPECT_LE(front.front().cost.bytes, precise.cost.bytes);
  for (std::size_t i = 0; i < front.size(); ++i) {
    EXPECT_EQ(front[i].cost.bytes, cost::count_memory(front[i].network).total());
    EXPECT_EQ(front[i].network.quant_options().weight.bits, front[i].format.weight.bits);
  }
  for (std::size_t i = 1; i < front.size(); ++i) {
    EXPECT_LT(front[i].cost.bytes, front[i - 1].cost.bytes);
  }
  EXPECT_LT(front.front().verdict.error, front.back().verdict.error);
  // Each is what a search within its bytes finds.
  const FoundFormat same = found({.bytes = static_cast<int>(front[2].cost.bytes)});
  EXPECT_EQ(same.format, front[2].format);
  EXPECT_EQ(search.search.front(1).size(), 1u);
  EXPECT_TRUE(search.search.front(0).empty());
}

TEST_F(FormatSearchTest, NamesTheSmallestPossibleSize) {
  ThreadPool pool(1);
  Search search(*this, pool);
  const std::size_t least = search.search.least_bytes();
  EXPECT_NO_THROW(search.search.require_possible({.bytes = static_cast<int>(least)}));
  EXPECT_THAT([&] { search.search.require_possible({.bytes = static_cast<int>(least) - 1}); },
              testing::ThrowsMessage<Error>(testing::AllOf(
                  testing::HasSubstr("ptq.bytes = " + std::to_string(least - 1)),
                  testing::HasSubstr("expected at least " + std::to_string(least)))));
  const SearchOptions too_small{.bytes = static_cast<int>(least) - 1};
  search.search.measure(too_small);
  EXPECT_THROW(search.search.find(too_small), Error);
}

TEST_F(FormatSearchTest, RefusesALossThatNoFormatMeets) {
  options_.weight.bits = 2;
  options_.c.bits = 2;
  std::string message;
  try {
    found({.loss = 0.5});
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_THAT(message, testing::HasSubstr("ptq.loss = 0.5, but the most precise formats lose "));
  const std::string before = "expected at least ";
  ASSERT_NE(message.find(before), std::string::npos) << message;
  const double enough = std::stod(message.substr(message.find(before) + before.size()));
  EXPECT_GT(enough, 0.5);
  EXPECT_TRUE(found({.loss = enough}).verdict.meets(enough));
}

TEST_F(FormatSearchTest, LeavesOutFormatsThatAreNotInteger) {
  options_.decoder.bits = quant::kPresetBits;
  enlarge_outputs(18);
  const FoundFormat loose = found({.loss = 8});
  EXPECT_TRUE(loose.verdict.meets(8));
  EXPECT_GE(loose.format.decoder.bits, 4);

  ThreadPool pool(2);
  Search search(*this, pool);
  const auto least = static_cast<int>(search.search.least_bytes());  // with 2 bits of the decoder
  const FoundFormat best = search.run({.bytes = least + 40});
  EXPECT_LE(best.cost.bytes, static_cast<std::size_t>(least) + 40);
  EXPECT_GE(best.format.decoder.bits, 4);
  EXPECT_TRUE(std::isfinite(best.verdict.error));
  for (const Sensitivity& s : search.search.sensitivities()) {
    EXPECT_TRUE(std::isfinite(s.error) && std::isfinite(s.loss)) << s.site << s.choice;
    EXPECT_FALSE(s.site == "decoder" && s.choice == "2 bits");
  }
  for (const FoundFormat& f : search.search.front(4)) {
    EXPECT_GE(f.format.decoder.bits, 4);
    EXPECT_TRUE(std::isfinite(f.verdict.error));
  }
  EXPECT_THAT(
      [&] { search.search.find({.bytes = least}); },
      testing::ThrowsMessage<Error>(testing::AllOf(
          testing::HasSubstr("x.safetensors: decoder: the requantization multiplier is "),
          testing::HasSubstr("no format was found within ptq.bytes = " + std::to_string(least)))));
}

TEST_F(FormatSearchTest, TellsWhyNoFormatIsInteger) {
  options_.decoder.bits = quant::kPresetBits;
  enlarge_outputs(30);
  const std::string why = "x.safetensors: decoder: the requantization multiplier is ";
  EXPECT_THAT(
      [&] { found({.bytes = 100000}); },
      testing::ThrowsMessage<Error>(testing::AllOf(
          testing::HasSubstr(why), testing::HasSubstr("the format from which the search starts"))));
  EXPECT_THAT(
      [&] { found({.loss = 8}); },
      testing::ThrowsMessage<Error>(testing::AllOf(
          testing::HasSubstr(why), testing::HasSubstr("the most precise formats of the search"))));
}

TEST_F(FormatSearchTest, IsTheSameOnAnyNumberOfThreads) {
  const FoundFormat one = found({.loss = 6}, 1), three = found({.loss = 6}, 3);
  EXPECT_EQ(one.format, three.format);
  EXPECT_EQ(one.verdict.error, three.verdict.error);
  for (std::size_t p = 0; p < one.network.parameters().size(); ++p) {
    EXPECT_EQ(one.network.parameters()[p].value, three.network.parameters()[p].value);
  }
}

TEST_F(FormatSearchTest, EndsWithinAMeasurement) {
  struct Ended {};
  ThreadPool pool(2);
  int calls = 0, last = 1 << 30;
  const Check check = [&] {
    if (++calls >= last) throw Ended();
  };
  const auto begin = [&] {
    calls = 0;
    const NetworkRounder rounder(network_, batches_, pool, check);
    const Judge judge(inference::Model(network_), held_out_, pool, check);
    const int before = calls;
    judge.judge(rounder.round(quant::resolved(options_)));
    return before;
  };
  // The constructors look at a batch of training data, and at the two batches of held-out data.
  EXPECT_EQ(begin(), 3);
  const int all = calls;
  EXPECT_GE(all, 3 + 4 + 2);  // sites of the network, then the held-out data
  for (last = 1; last <= all; ++last) {
    EXPECT_THROW(begin(), Ended) << last;
    EXPECT_EQ(calls, last);
  }
}

TEST_F(FormatSearchTest, RefusesHeldOutStepsWithoutTargets) {
  ThreadPool pool(1);
  data::Dataset set = held_out_;
  set.readout.scope = task::Scope::kStep;
  set.targets.assign(set.count * set.length, task::kNotCounted);
  EXPECT_THAT([&] { Judge(inference::Model(network_), set, pool); },
              testing::ThrowsMessage<Error>(testing::HasSubstr("no step has a target")));
}

TEST_F(FormatSearchTest, ReportsWhatItMeasured) {
  ThreadPool pool(2);
  Search search(*this, pool);
  search.search.measure({.loss = 6});
  double of_7 = -1, of_4 = -1;
  for (const Sensitivity& s : search.search.sensitivities()) {
    EXPECT_GE(s.error, 0);
    EXPECT_GT(s.cost.bytes, 100u);
    if (s.site != "weight") continue;
    if (s.choice == "7 bits") of_7 = s.error;
    if (s.choice == "4 bits") of_4 = s.error;
  }
  EXPECT_GE(of_7, 0);  // found, as is the other, which is larger
  EXPECT_GT(of_4, of_7);
}

}  // namespace
}  // namespace crosstate::ptq
