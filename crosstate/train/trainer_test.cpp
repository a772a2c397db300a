#include "crosstate/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/memory.h"
#include "crosstate/data/batch.h"
#include "crosstate/train/testing.h"

namespace crosstate::train {
namespace {

namespace fs = std::filesystem;
using reference::level_set;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() {
    fs::remove_all(directory_);
    options_.epochs = 4;
    options_.batch = 20;
    context_.stage = "float";
    context_.seed = 7;
    context_.directory = directory_;
    context_.pool = &pool_;
    context_.config = {{"model", {{"channels", 4}}}};
    context_.stop = [] { return false; };
  }
  ~TrainerTest() override { fs::remove_all(directory_); }

  static model::Network new_network() {
    model::ModelOptions model;
    model.channels = 4;
    model.states = 4;
    model.layers = 1;
    model.dropout = 0.1;
    model.block_length = 5;
    return model::Network(model, model::TaskShape{.inputs = 1, .outputs = 3}, 3);
  }
  TrainSummary run(model::Network& network, const TrainContext& context) {
    return train(network, training_, validation_, options_, context);
  }
  // Stops after `batches` batches of training or validation.
  TrainContext stopped_after(int batches) const {
    TrainContext context = context_;
    context.stop = [left = batches]() mutable { return left-- <= 0; };
    return context;
  }
  TrainContext resumed() const {
    TrainContext context = context_;
    context.resume = true;
    return context;
  }
  fs::path checkpoint() const { return directory_ / "float.checkpoint.safetensors"; }
  std::string log() const { return read_file(directory_ / "float.jsonl"); }

  static void expect_equal(const model::Network& a, const model::Network& b) {
    EXPECT_EQ(formats::format_safetensors(a.to_tensors()),
              formats::format_safetensors(b.to_tensors()));
  }
  // Everything except times.
  static void expect_equal(const TrainSummary& a, const TrainSummary& b) {
    EXPECT_EQ(a.best_epoch, b.best_epoch);
    EXPECT_EQ(a.best_validation_metric, b.best_validation_metric);
    ASSERT_EQ(a.epochs.size(), b.epochs.size());
    for (std::size_t i = 0; i < a.epochs.size(); ++i) {
      EXPECT_EQ(a.epochs[i].train_loss, b.epochs[i].train_loss);
      EXPECT_EQ(a.epochs[i].train_metric, b.epochs[i].train_metric);
      EXPECT_EQ(a.epochs[i].validation_loss, b.epochs[i].validation_loss);
      EXPECT_EQ(a.epochs[i].learning_rate, b.epochs[i].learning_rate);
    }
  }

  // 5 batches of training and 2 of validation per epoch, the last ones not full.
  static constexpr int kBatches = 7;
  const fs::path directory_ =
      fs::temp_directory_path() / ("crosstate-trainer-" + std::to_string(getpid()));
  const data::Dataset training_ = level_set("toy train", 90, 1);
  const data::Dataset validation_ = level_set("toy validation", 30, 2);
  ThreadPool pool_{2};
  TrainOptions options_;
  TrainContext context_;
};

TEST_F(TrainerTest, RefusesWhatDoesNotFitInMemory) {
  if (!available_memory()) GTEST_SKIP() << "the system does not tell its memory";
  data::Dataset endless = training_;
  endless.length = std::size_t{1} << 40;
  model::Network network = new_network();
  EXPECT_THAT(
      [&] { train(network, endless, validation_, options_, context_); },
      ThrowsMessage<Error>(AllOf(HasSubstr("training on 32 sequences of 1099511627776 steps"),
                                 HasSubstr(" GB of memory, but "))));
  EXPECT_FALSE(fs::exists(directory_));
}

TEST_F(TrainerTest, LearnsAndKeepsTheBestEpoch) {
  options_.epochs = 12;
  options_.learning_rate = 0.03;
  model::Network network = new_network();
  const TrainSummary summary = run(network, context_);
  ASSERT_EQ(summary.epochs.size(), 12u);
  EXPECT_FALSE(summary.interrupted);
  EXPECT_FALSE(summary.stopped_early);
  EXPECT_LT(summary.epochs.back().train_loss, summary.epochs.front().train_loss);
  EXPECT_GT(summary.best_validation_metric, 0.8);
  EXPECT_GT(summary.samples_per_second, 0);

  for (const EpochLog& epoch : summary.epochs) {
    EXPECT_LE(epoch.validation_metric, summary.best_validation_metric);
  }
  const EpochLog& best = summary.epochs[static_cast<std::size_t>(summary.best_epoch - 1)];
  EXPECT_EQ(best.epoch, summary.best_epoch);
  double loss = 0;
  const double accuracy = evaluate_metric(network, validation_, options_.batch, pool_, &loss);
  EXPECT_EQ(accuracy, summary.best_validation_metric);
  EXPECT_EQ(loss, best.validation_loss);
}

TEST_F(TrainerTest, ContinuesToTheSameBits) {
  model::Network straight = new_network();
  context_.directory.clear();
  const TrainSummary whole = run(straight, context_);
  context_.directory = directory_;

  // Interrupted between epochs, within training, and within validation.
  for (int batches : {2 * kBatches, 2 * kBatches + 3, 2 * kBatches + 6}) {
    model::Network first = new_network();
    const TrainSummary part = run(first, stopped_after(batches));
    EXPECT_TRUE(part.interrupted);
    EXPECT_FALSE(part.stopped_early);
    ASSERT_EQ(part.epochs.size(), 2u);

    model::Network second = new_network();
    const TrainSummary rest = run(second, resumed());
    EXPECT_FALSE(rest.interrupted);
    expect_equal(second, straight);
    expect_equal(rest, whole);
    const std::string lines = log();
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 4);
  }
}

TEST_F(TrainerTest, ContinuesAQuantizedNetworkToTheSameBits) {
  quant::QuantOptions quant;
  quant.preset = "w4a4s8";
  quant.weight_noise = 0.05;
  const std::vector<std::uint32_t> order = data::shuffled(training_.count, 1, 0);
  std::vector<data::Batch> calibration(1);
  data::fill_batch(training_, order, 5, calibration[0]);
  const auto quantized_network = [&] {
    model::Network network = new_network();
    network.fold_norms();
    network.quantize(quant, calibration, pool_);
    return network;
  };

  model::Network straight = quantized_network();
  const TrainSummary whole = run(straight, context_);
  model::Network first = quantized_network();
  EXPECT_TRUE(run(first, stopped_after(kBatches + 4)).interrupted);
  model::Network second = quantized_network();
  expect_equal(run(second, resumed()), whole);
  expect_equal(second, straight);
  EXPECT_TRUE(second.quantized());
}

TEST_F(TrainerTest, DoesNotDependOnTheNumberOfThreads) {
  model::Network two = new_network();
  run(two, context_);
  ThreadPool single(1);
  context_.pool = &single;
  model::Network one = new_network();
  run(one, context_);
  expect_equal(one, two);
}

TEST_F(TrainerTest, ContinuesWithTheSetOfEachEpoch) {
  std::vector<std::uint32_t> asked;
  data::Dataset current;
  context_.epoch_data = [&](std::uint32_t epoch) -> const data::Dataset& {
    asked.push_back(epoch);
    current = level_set("of an epoch", 90, 100 + epoch);
    current.lengths.assign(90, 12);
    for (std::size_t i = 0; i < 90; i += 2) {  // different lengths in different epochs
      current.lengths[i] = 11 - epoch;
      for (std::size_t t = current.lengths[i]; t < 12; ++t) current.values[i * 12 + t] = 0;
    }
    return current;
  };
  model::Network straight = new_network();
  const TrainSummary whole = run(straight, context_);
  EXPECT_THAT(asked, testing::ElementsAre(0, 1, 2, 3));

  model::Network first = new_network();
  EXPECT_TRUE(run(first, stopped_after(2 * kBatches + 3)).interrupted);
  asked.clear();
  model::Network second = new_network();
  expect_equal(run(second, resumed()), whole);
  EXPECT_THAT(asked, testing::ElementsAre(2, 3));
  expect_equal(second, straight);

  context_.epoch_data = nullptr;
  model::Network plain = new_network();
  run(plain, context_);
  EXPECT_NE(formats::format_safetensors(plain.to_tensors()),
            formats::format_safetensors(straight.to_tensors()));
}

TEST_F(TrainerTest, RefusesAnEpochsSetThatDoesNotFit) {
  data::Dataset set = level_set("too few", 89, 1);
  context_.epoch_data = [&](std::uint32_t) -> const data::Dataset& { return set; };
  model::Network network = new_network();
  EXPECT_THAT([&] { run(network, context_); },
              ThrowsMessage<Error>(HasSubstr("too few: 89 sequences in epoch 1, expected 90")));
  set.channels = 2;
  EXPECT_THAT([&] { run(network, context_); }, ThrowsMessage<Error>(HasSubstr("2 channels")));
}

TEST_F(TrainerTest, AFinishedStageReturnsAtOnce) {
  model::Network first = new_network();
  const TrainSummary whole = run(first, context_);
  TrainContext again = stopped_after(0);
  again.resume = true;
  model::Network second = new_network();
  const TrainSummary summary = run(second, again);
  EXPECT_FALSE(summary.interrupted);
  expect_equal(summary, whole);
  expect_equal(second, first);
}

TEST_F(TrainerTest, StoppedInTheFirstEpochItStartsAgain) {
  fs::create_directories(directory_);
  write_file(checkpoint(), "of an earlier run");
  model::Network network = new_network();
  const TrainSummary summary = run(network, stopped_after(2));
  EXPECT_TRUE(summary.interrupted);
  EXPECT_EQ(summary.best_epoch, 0);
  EXPECT_FALSE(fs::exists(checkpoint()));

  network = new_network();
  EXPECT_EQ(run(network, resumed()).epochs.size(), 4u);
}

TEST_F(TrainerTest, RefusesTheCheckpointOfAnotherRun) {
  model::Network network = new_network();
  run(network, stopped_after(kBatches));
  const auto expect_refused = [&](const TrainContext& context, const std::string& message) {
    EXPECT_THAT([&] { run(network, context); },
                ThrowsMessage<Error>(HasSubstr(checkpoint().string() + ": " + message)));
  };

  TrainContext other = resumed();
  other.config["model"]["channels"] = 8;
  expect_refused(other, "model.channels was 4 and is now 8");
  other = resumed();
  other.seed = 8;
  expect_refused(other, "seed was 7 and is now 8");
  options_.epochs = 5;
  expect_refused(resumed(), "train.epochs was 4 and is now 5");
  options_.epochs = 4;
  // Sets with the same names and sizes.
  data::Dataset edited = training_;
  edited.values[5] += 1;
  EXPECT_THAT([&] { train(network, edited, validation_, options_, resumed()); },
              ThrowsMessage<Error>(HasSubstr("data.training.checksum was")));
  edited = validation_;
  std::swap(edited.targets[0], edited.targets[1]);
  EXPECT_THAT([&] { train(network, training_, edited, options_, resumed()); },
              ThrowsMessage<Error>(HasSubstr("data.validation.checksum was")));

  options_.log_every = 1;  // only progress reports change
  EXPECT_EQ(run(network, resumed()).epochs.size(), 4u);
}

TEST_F(TrainerTest, RefusesACheckpointWithMoreThanItNeeds) {
  for (const auto& [name, message] :
       std::map<std::string, std::string>{{"more", "unknown tensor 'more'"},
                                          {"best.more", "best epoch: unknown tensor 'more'"},
                                          {"average.more", "average: unknown tensor 'more'"},
                                          {"optimizer.more", "unknown tensor 'optimizer.more'"}}) {
    model::Network network = new_network();
    run(network, stopped_after(kBatches));
    formats::Safetensors content = formats::read_safetensors(checkpoint());
    content.tensors[name] = formats::Tensor::from(std::vector<float>{1}, {1});
    write_file(checkpoint(), formats::format_safetensors(content));
    EXPECT_THAT([&] { run(network, resumed()); },
                ThrowsMessage<Error>(HasSubstr(checkpoint().string() + ": " + message)));
    fs::remove(checkpoint());
  }
}

TEST_F(TrainerTest, StopsWhenPatienceEnds) {
  options_.epochs = 30;
  options_.patience = 2;
  options_.learning_rate = options_.recurrence_rate = 0;  // only batch norm changes
  std::vector<bool> last;
  context_.progress = [&](const TrainProgress& progress) {
    if (progress.epoch_end) last.push_back(progress.last);
  };
  model::Network network = new_network();
  const TrainSummary summary = run(network, context_);
  EXPECT_TRUE(summary.stopped_early);
  EXPECT_EQ(std::count(last.begin(), last.end(), true), 1);
  EXPECT_TRUE(last.back());
  EXPECT_LT(summary.epochs.size(), 30u);
  EXPECT_EQ(static_cast<int>(summary.epochs.size()), summary.best_epoch + 2);

  model::Network again = new_network();
  expect_equal(run(again, resumed()), summary);
}

TEST_F(TrainerTest, TakesTheLastEpochWithoutAValidationSet) {
  model::Network network = new_network();
  options_.patience = 1;
  const TrainSummary summary = train(network, training_, data::Dataset{}, options_, context_);
  EXPECT_EQ(summary.epochs.size(), 4u);
  EXPECT_EQ(summary.best_epoch, 4);
  EXPECT_TRUE(std::isnan(summary.best_validation_metric));
  EXPECT_THAT(log(), HasSubstr("\"validation_accuracy\":null"));

  model::Network again = new_network();
  const TrainSummary resumed_summary =
      train(again, training_, data::Dataset{}, options_, resumed());
  EXPECT_EQ(resumed_summary.epochs.size(), 4u);
  expect_equal(again, network);
}

TEST_F(TrainerTest, ReportsItsProgress) {
  options_.log_every = 2;
  options_.epochs = 2;
  std::vector<TrainProgress> reports;
  context_.progress = [&](const TrainProgress& progress) { reports.push_back(progress); };
  model::Network network = new_network();
  const TrainSummary summary = run(network, context_);

  ASSERT_EQ(reports.size(), 8u);  // after 2, 4 and 5 batches, and at the end of the epoch
  const std::vector<std::size_t> done = {40, 80, 90, 90};
  for (std::size_t i = 0; i < reports.size(); ++i) {
    EXPECT_EQ(reports[i].stage, "float");
    EXPECT_EQ(reports[i].epoch, static_cast<int>(1 + i / 4));
    EXPECT_EQ(reports[i].epochs, 2);
    EXPECT_EQ(reports[i].done, done[i % 4]);
    EXPECT_EQ(reports[i].samples, 90u);
    EXPECT_EQ(reports[i].epoch_end, i % 4 == 3);
    EXPECT_EQ(reports[i].last, i == 7);
    EXPECT_GE(reports[i].seconds_left, 0);
  }
  EXPECT_EQ(reports[3].log.validation_loss, summary.epochs[0].validation_loss);
  EXPECT_EQ(reports[7].loss, summary.epochs[1].train_loss);
  EXPECT_EQ(reports[7].seconds_left, 0);
}

TEST_F(TrainerTest, SaysWhereTheLossBecameNaN) {
  model::Network network = new_network();
  for (model::Parameter& parameter : network.parameters()) {
    for (float& value : parameter.value) value = std::nanf("");
  }
  EXPECT_THAT([&] { run(network, context_); },
              ThrowsMessage<Error>(AllOf(HasSubstr("float: epoch 1, step 1 of 5: the loss"),
                                         HasSubstr("lower learning_rate"))));
}

TEST_F(TrainerTest, RefusesToCountPredictionsThatOverflow) {
  model::Network network = new_network();
  for (model::Parameter& parameter : network.parameters()) {
    if (parameter.name.starts_with("layers")) continue;
    for (float& value : parameter.value) value = std::numeric_limits<float>::max();
  }
  EXPECT_THAT([&] { evaluate_metric(network, validation_, 16, pool_); },
              ThrowsMessage<Error>(AllOf(HasSubstr(validation_.name), HasSubstr("finite"))));
}

TEST_F(TrainerTest, RefusesDataThatDoesNotFit) {
  model::Network network = new_network();
  data::Dataset set = training_;
  set.readout.names.push_back("more");
  EXPECT_THAT(
      [&] { train(network, set, validation_, options_, context_); },
      ThrowsMessage<Error>(HasSubstr("toy train: 4 classes, but the network has 3 outputs")));
  set = {};
  set.name = "nothing";
  EXPECT_THAT([&] { train(network, set, validation_, options_, context_); },
              ThrowsMessage<Error>(HasSubstr("nothing: no sequences to train on")));
  EXPECT_THAT([&] { evaluate_metric(network, set, 16, pool_); },
              ThrowsMessage<Error>(HasSubstr("nothing: no sequences to evaluate")));
}

TEST_F(TrainerTest, WhatHappensAfterEachStepIsPartOfARunThatGoesOn) {
  int steps = 0;
  const auto shrink = [&steps](model::Network& network, double rate) {
    ++steps;
    EXPECT_GE(rate, 0);
    for (float& v : network.parameters()[0].value) v *= static_cast<float>(1 - rate);
  };
  context_.after_step = shrink;
  model::Network straight = new_network(), plain = new_network(), cut = new_network();
  TrainContext without = context_;
  without.after_step = nullptr;
  run(plain, without);
  run(straight, context_);
  const int all = steps;
  EXPECT_GT(all, 4);
  EXPECT_NE(straight.parameters()[0].value, plain.parameters()[0].value);
  TrainContext stopped = stopped_after(all / 2);
  run(cut, stopped);
  run(cut, resumed());
  expect_equal(cut, straight);
}

}  // namespace
}  // namespace crosstate::train
