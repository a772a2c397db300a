// Training with a teacher, with averaged weights and through several formats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/model/network_state.h"
#include "crosstate/train/testing.h"
#include "crosstate/train/trainer.h"

namespace crosstate::train {
namespace {

namespace fs = std::filesystem;
using reference::level_set;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class StagesTest : public testing::Test {
 protected:
  StagesTest() {
    fs::remove_all(directory_);
    data::fill_batch(training_, data::shuffled(training_.count, 1, 0), 5,
                     calibration_.emplace_back());
    options_.epochs = 5;
    options_.batch = 20;
    context_.stage = "qat";
    context_.seed = 7;
    context_.directory = directory_;
    context_.pool = &pool_;
    context_.stop = [] { return false; };
    context_.calibration = calibration_;
    context_.stages = {stage("w8a0s0", 2), stage("w8a8s0", 1), stage("w2a8s8", 2)};
  }
  ~StagesTest() override { fs::remove_all(directory_); }

  static QuantStage stage(const std::string& preset, int epochs) {
    return {preset, epochs, quant::quant_preset(preset)};
  }
  static model::Network float_network(std::uint64_t seed = 3) {
    model::ModelOptions model;
    model.channels = 4;
    model.states = 4;
    model.layers = 1;
    model.dropout = 0.1;
    model.block_length = 5;
    return model::Network(model, model::TaskShape{.inputs = 1, .outputs = 3}, seed);
  }
  model::Network network(const std::string& preset = "w8a0s0") {
    model::Network result = float_network();
    result.quantize(quant::quant_preset(preset), calibration_, pool_);
    return result;
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
  static std::string bytes(const model::Network& network) {
    return formats::format_safetensors(network.to_tensors());
  }
  void expect_refused(const std::string& message) {
    model::Network start = network();
    EXPECT_THAT([&] { run(start, context_); }, ThrowsMessage<Error>(HasSubstr(message)));
  }

  // 5 batches of training and 2 of validation per epoch, the last ones not full.
  static constexpr int kBatches = 7;
  const fs::path directory_ =
      fs::temp_directory_path() / ("crosstate-stages-" + std::to_string(getpid()));
  const data::Dataset training_ = level_set("toy train", 90, 1);
  const data::Dataset validation_ = level_set("toy validation", 30, 2);
  std::vector<data::Batch> calibration_;
  ThreadPool pool_{2};
  TrainOptions options_;
  TrainContext context_;
};

TEST_F(StagesTest, ContinueToTheSameBitsAcrossTheirBorders) {
  const model::Network teacher = float_network(11);
  context_.teacher = {{&teacher}, 0.4, 3};
  options_.average = 0.9;
  options_.norm_batches = 2;
  model::Network straight = network();
  const TrainSummary whole = run(straight, context_);
  EXPECT_EQ(straight.quant_options(), quant::quant_preset("w2a8s8"));
  EXPECT_GE(whole.best_epoch, 4);

  // Interrupted within a stage, at borders; in the first epoch of a stage: in training, in its
  // norms, in its validation.
  constexpr int kAll = kBatches + 2;
  for (const int batches : {kAll + 3, 2 * kAll, 2 * kAll + 2, 3 * kAll, 3 * kAll + 1, 3 * kAll + 6,
                            3 * kAll + 8, 4 * kAll}) {
    SCOPED_TRACE(batches);
    model::Network first = network();
    EXPECT_TRUE(run(first, stopped_after(batches)).interrupted);
    model::Network second = network();
    const TrainSummary rest = run(second, resumed());
    EXPECT_TRUE(bytes(second) == bytes(straight));
    EXPECT_EQ(rest.best_epoch, whole.best_epoch);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(rest.epochs[i].train_loss, whole.epochs[i].train_loss);
      EXPECT_EQ(rest.epochs[i].validation_loss, whole.epochs[i].validation_loss);
    }
  }
}

TEST_F(StagesTest, AreNamedWhereTheirProgressIsReported) {
  std::vector<std::string> named;
  context_.progress = [&](const TrainProgress& p) {
    if (p.epoch_end) named.push_back(p.stage + " " + p.log.stage);
  };
  model::Network several = network();
  run(several, context_);
  EXPECT_THAT(named, ElementsAre("qat w8a0s0 w8a0s0", "qat w8a0s0 w8a0s0", "qat w8a8s0 w8a8s0",
                                 "qat w2a8s8 w2a8s8", "qat w2a8s8 w2a8s8"));
  named.clear();
  context_.stages = {stage("w8a0s0", 5)};
  model::Network single = network();
  run(single, context_);
  EXPECT_THAT(named, testing::Each("qat "));
}

// One stage, given explicitly or not, and the same stage twice: nothing changes between them.
TEST_F(StagesTest, ChangeNothingWhereTheFormatsStay) {
  const auto trained = [&](std::vector<QuantStage> stages) {
    context_.stages = std::move(stages);
    context_.directory.clear();
    model::Network result = network("w4a8s8");
    train(result, training_, {}, options_, context_);
    return bytes(result);
  };
  const std::string plain = trained({});
  EXPECT_TRUE(trained({stage("w4a8s8", 5)}) == plain);
  EXPECT_TRUE(trained({stage("w4a8s8", 2), stage("w4a8s8", 3)}) == plain);
}

TEST_F(StagesTest, OnlyTheLastHasABestEpochAndPatience) {
  options_.patience = 1;
  options_.epochs = 9;
  options_.learning_rate = options_.recurrence_rate = options_.range_rate = 0;
  context_.stages = {stage("w8a0s0", 4), stage("w8a8s8", 5)};
  model::Network result = network();
  const TrainSummary summary = run(result, context_);
  EXPECT_TRUE(summary.stopped_early);
  EXPECT_GE(summary.best_epoch, 5);
  EXPECT_EQ(static_cast<int>(summary.epochs.size()), summary.best_epoch + 1);
  EXPECT_EQ(result.quant_options(), quant::quant_preset("w8a8s8"));
}

TEST_F(StagesTest, RefuseWhatDoesNotFit) {
  context_.stages[1].epochs = 3;
  expect_refused("stages of 7 epochs in all, expected 5");
  context_.stages[1].epochs = 0;
  expect_refused("stage w8a8s0 has 0 epochs, expected at least 1");
  context_.stages = {stage("w8a8s8", 5)};
  expect_refused("not in the formats of the first stage");

  context_.stages.clear();
  context_.teacher = {{}, 0.5, 2};
  expect_refused("a weight above 0, but no network");
  const model::Network teacher = float_network();
  context_.teacher = {{&teacher}, 1.5, 2};
  expect_refused("a weight of 1.5");
  context_.teacher = {{&teacher}, 0.5, 0};
  expect_refused("a temperature of 0.0");
  const model::Network other({}, model::TaskShape{.inputs = 1, .outputs = 4}, 1);
  context_.teacher = {{&other}, 0.5, 2};
  expect_refused("3 classes, but the network has 4");
  context_.teacher = {{&teacher}, 0, 2, -1};
  expect_refused("a weight of streams of -1");
  context_.teacher = {{}, 0, 2, 1};
  expect_refused("a weight above 0, but no network");
  model::ModelOptions wider = teacher.options();
  wider.channels += 1;
  const model::Network wide(wider, teacher.task(), 1);
  context_.teacher = {{&wide}, 0, 2, 1};
  expect_refused("residual streams of " + std::to_string(wider.channels) + " channels");
  context_.teacher = {{&teacher, &teacher}, 0, 2, 1};
  expect_refused("a weight of streams and 2 networks, expected one");
}

TEST_F(StagesTest, RefuseTheCheckpointOfOtherStagesAndTeachers) {
  const model::Network teacher = float_network(11), other = float_network(12);
  context_.teacher = {{&teacher}, 0.4, 3};
  model::Network first = network();
  run(first, stopped_after(kBatches));
  context_.resume = true;
  context_.teacher.networks = {&other};
  expect_refused("the checksum of qat.teacher was");
  context_.teacher.networks = {&teacher, &other};
  expect_refused("the checksum of qat.teacher");
  context_.teacher = {{&teacher}, 0.5, 3};
  expect_refused("qat.distill was 0.4 and is now 0.5");
  context_.teacher = {{&teacher}, 0.4, 3, 1};
  expect_refused("qat.distill_streams was missing and is now 1");
  context_.teacher = {};
  expect_refused("qat.distill was 0.4 and is now missing");
  context_.teacher = {{&teacher}, 0.4, 3};
  context_.stages[0].epochs = 1;
  context_.stages[1].epochs = 2;
  expect_refused("qat.stages.0.epochs was 2 and is now 1");
}

TEST_F(StagesTest, TeachersTeachTheMeanOfTheirOutputs) {
  context_.directory.clear();
  const model::Network teacher = float_network(11);
  const auto taught_by = [&](std::vector<const model::Network*> networks) {
    context_.teacher = {std::move(networks), 0.4, 3};
    model::Network student = network();
    run(student, context_);
    return bytes(student);
  };
  // Outputs are linear in the decoder: those of one are exactly doubled, those of the other are 0.
  model::Network doubled = teacher, silent = teacher;
  for (model::Network* one : {&doubled, &silent}) {
    for (model::Parameter& parameter : one->parameters()) {
      if (!parameter.name.starts_with("decoder.")) continue;
      for (float& value : parameter.value) value *= one == &doubled ? 2.0f : 0.0f;
    }
  }
  const std::string alone = taught_by({&teacher});
  EXPECT_TRUE(taught_by({&teacher, &teacher}) == alone);
  EXPECT_FALSE(taught_by({&doubled}) == alone);
  EXPECT_TRUE(taught_by({&doubled, &silent}) == alone);
}

TEST_F(StagesTest, ATeacherStandsInForLabels) {
  options_.epochs = 12;
  options_.learning_rate = 0.03;
  context_.directory.clear();
  context_.stages.clear();
  model::Network teacher = float_network();
  EXPECT_GT(run(teacher, context_).best_validation_metric, 0.8);

  data::Dataset scrambled = training_;
  for (float& label : scrambled.targets) label = label < 2 ? label + 1 : 0;
  context_.teacher = {{&teacher}, 1, 2};
  model::Network student = float_network(4);
  const auto accuracy = [&] {
    return train(student, scrambled, validation_, options_, context_).best_validation_metric;
  };
  EXPECT_GT(accuracy(), 0.8);
  context_.teacher.weight = 0;
  student = float_network(4);
  EXPECT_LT(accuracy(), 0.5);
}

TEST_F(StagesTest, TheAverageFollowsItsFormula) {
  options_.epochs = 2;
  options_.average = 0.4;  // reached after some steps of warm-up
  options_.log_every = 1;
  context_.directory.clear();
  context_.stages.clear();
  model::Network result = float_network();
  const auto values = [&] {
    std::vector<double> all;
    for (const model::Parameter& p : result.parameters()) {
      all.insert(all.end(), p.value.begin(), p.value.end());
    }
    for (const model::RunningStatistics& s : result.state().statistics) {
      all.insert(all.end(), s.mean.begin(), s.mean.end());
      all.insert(all.end(), s.variance.begin(), s.variance.end());
    }
    return all;
  };
  std::vector<double> average = values();
  double step = 0, moved = 0;
  context_.progress = [&](const TrainProgress& progress) {
    if (progress.epoch_end) return;
    const double decay = std::min(0.4, (1 + step) / (10 + step));
    const std::vector<double> now = values();
    for (std::size_t i = 0; i < now.size(); ++i) {
      average[i] = decay * average[i] + (1 - decay) * now[i];
      moved = std::max(moved, std::abs(average[i] - now[i]));
    }
    ++step;
  };
  train(result, training_, {}, options_, context_);
  EXPECT_EQ(step, 10);
  EXPECT_GT(moved, 1e-3);
  const std::vector<double> found = values();
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], average[i], 2e-6);
}

TEST_F(StagesTest, TheAverageIsWhatIsValidatedAndKept) {
  options_.average = 0.95;
  model::Network result = network();
  const TrainSummary summary = run(result, context_);
  const EpochLog& best = summary.epochs[static_cast<std::size_t>(summary.best_epoch - 1)];
  double loss = 0;
  EXPECT_EQ(evaluate_metric(result, validation_, options_.batch, pool_, &loss),
            summary.best_validation_metric);
  EXPECT_EQ(loss, best.validation_loss);
  const formats::Safetensors checkpoint =
      formats::read_safetensors(directory_ / "qat.checkpoint.safetensors");
  EXPECT_TRUE(checkpoint.tensors.contains("average.encoder.weight"));
  EXPECT_NE(checkpoint.tensors.at("average.encoder.weight").bytes,
            checkpoint.tensors.at("encoder.weight").bytes);

  options_.average = 0;
  model::Network plain = network();
  EXPECT_NE(run(plain, context_).epochs[0].validation_loss, summary.epochs[0].validation_loss);
}

// Statistics of the saved network, over all batches of an epoch that has fewer than requested.
TEST_F(StagesTest, NormsAreMeasuredAnewAfterEachEpoch) {
  context_.directory.clear();
  context_.stages.clear();
  options_.epochs = 1;
  options_.norm_batches = 100;
  for (const double average : {0.0, 0.9}) {
    options_.average = average;
    model::Network result = network("w2a8s8");
    train(result, training_, {}, options_, context_);
    model::Network measured = result;
    const std::vector<std::uint32_t> order = data::training_order(training_, 20, context_.seed, 0);
    data::Batch batch;
    for (std::size_t i = 0; i < 5; ++i) {
      data::fill_batch(training_,
                       std::span(order).subspan(20 * i, std::min<std::size_t>(20, 90 - 20 * i)), 5,
                       batch);
      measured.measure_norms(batch, 1.0 / static_cast<double>(i + 1), pool_);
    }
    const model::RunningStatistics& wanted = measured.state().statistics[0];
    const model::RunningStatistics& found = result.state().statistics[0];
    for (std::size_t o = 0; o < wanted.mean.size(); ++o) {
      EXPECT_NEAR(found.mean[o], wanted.mean[o], 1e-6);
      EXPECT_NEAR(found.variance[o], wanted.variance[o], 1e-6);
    }
  }
}

}  // namespace
}  // namespace crosstate::train
