#include "crosstate/pipeline/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/identity.h"
#include "crosstate/data/mnist.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/testing.h"

namespace crosstate::pipeline {
namespace {

namespace fs = std::filesystem;

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

using RunTest = RunDirectoryTest;

TEST_F(RunTest, StopsBetweenTheTestsOfItsNetworksAndContinues) {
  const RunSummary whole = run(options_, context("whole"));
  ASSERT_FALSE(whole.interrupted);
  for (const int tested : {0, 1, 2}) {
    const std::string part = "part-" + std::to_string(tested);
    RunContext stopped = context(part);
    bool reached = false;
    int batches = 0;  // the test set is one batch
    stopped.stage = [&](const std::string& what) { reached = what == "testing"; };
    stopped.stop = [&] { return reached && batches++ == tested; };
    EXPECT_TRUE(run(options_, stopped).interrupted) << tested;
    EXPECT_FALSE(fs::exists(directory_ / part / "summary.json"));

    RunContext resumed = context(part);
    resumed.resume = true;
    const RunSummary rest = run(options_, resumed);
    EXPECT_FALSE(rest.interrupted);
    EXPECT_EQ(rest.float_stage.loss, whole.float_stage.loss);
    EXPECT_EQ(rest.ptq.loss, whole.ptq.loss);
    EXPECT_EQ(rest.qat.loss, whole.qat.loss);
    EXPECT_EQ(rest.qat.metric, whole.qat.metric);
    EXPECT_TRUE(fs::exists(directory_ / part / "summary.json"));
    EXPECT_TRUE(read_file(directory_ / part / "qat.safetensors") ==
                read_file(directory_ / "whole/qat.safetensors"));
  }
}

TEST_F(RunTest, TrainsTheSameModelsOnDataInMemory) {
  const RunSummary read = run(options_, context("read"));
  data::TrainTest sample = data::read_mnist_sample();
  const auto sets = std::make_shared<data::DataSets>(data::DataSets{
      data::first(std::move(sample.train), 160), {}, data::first(std::move(sample.test), 64)});
  options_.data.sets = sets;
  const RunSummary memory = run(options_, context("memory"));
  EXPECT_EQ(memory.qat.sums, read.qat.sums);
  const std::string model = read_file(directory_ / "read/qat.safetensors");
  EXPECT_TRUE(read_file(directory_ / "memory/qat.safetensors") == model);

  // Without a test set nothing is tested, and the models are the same.
  options_.data.sets =
      std::make_shared<data::DataSets>(data::DataSets{sets->train, {}, data::Dataset{}});
  const RunSummary untested = run(options_, context("untested"));
  EXPECT_TRUE(untested.qat.sums.empty());
  EXPECT_TRUE(read_file(directory_ / "untested/qat.safetensors") == model);
  EXPECT_THAT(read_file(directory_ / "untested/summary.json"),
              testing::Not(HasSubstr("\"accuracy\"")));

  // A validation set of its own replaces the part held out.
  options_.data.sets =
      std::make_shared<data::DataSets>(data::DataSets{sets->train, sets->test, data::Dataset{}});
  const RunSummary validated = run(options_, context("validated"));
  EXPECT_THAT(validated.data,
              testing::ElementsAre(HasSubstr("160 sequences"), HasSubstr("64 sequences")));

  options_.model.readout = task::Scope::kStep;
  EXPECT_THAT([&] { run(options_, context("steps")); },
              ThrowsMessage<Error>(HasSubstr("has a target for every sequence, expected one for "
                                             "every step (model.readout)")));
}

TEST_F(RunTest, HandsTheBestEpochOverWhenStopped) {
  RunContext stopped = context("stopped");
  bool ended = false;
  std::vector<std::string> names;
  stopped.progress = [&](const train::TrainProgress& p) { ended = ended || p.epoch_end; };
  stopped.stop = [&] { return ended; };
  stopped.best_so_far = [&](const inference::Model& model) {
    names.push_back(model.name());
    EXPECT_EQ(model.shape().outputs, 10);
    EXPECT_TRUE(model.preparation());
  };
  EXPECT_TRUE(run(options_, stopped).interrupted);
  EXPECT_EQ(names, std::vector<std::string>{"float"});
}

TEST_F(RunTest, TakesNoiseShapedStatesToChips) {
  options_.on_crossbar = true;
  options_.simulate.chips = 1;
  options_.quant.state.residue_bits = 8;
  options_.quant.state.residue = quant::ResidueRule::kByPole;
  EXPECT_FALSE(run(options_, context("chips")).interrupted);
  EXPECT_THAT(read_file(directory_ / "chips/summary.json"), HasSubstr("crossbar"));
}

TEST_F(RunTest, ContinuesFromTheSameWeightsAlone) {
  options_.quantize = false;
  run(options_, context("start"));
  options_.start = (directory_ / "start/float.safetensors").string();
  RunOptions quantized = options_;
  quantized.quantize = true;
  run(quantized, context("part"));
  options_.start.clear();
  options_.seed = 2;
  run(options_, context("other"));
  RunContext resumed = context("part");
  resumed.resume = true;
  // The result does not depend on the place.
  quantized.start = (directory_ / "moved.safetensors").string();
  write_file(quantized.start, read_file(directory_ / "start/float.safetensors"));
  EXPECT_FALSE(run(quantized, resumed).interrupted);
  write_file(quantized.start, read_file(directory_ / "other/float.safetensors"));
  EXPECT_THROW(run(quantized, resumed), CannotContinue);
}

TEST_F(RunTest, LearnsFromTheFloatModelThatQatTeacherNames) {
  options_.qat.distill = 0.5;
  run(options_, context("own"));
  RunOptions larger = options_;
  larger.model.channels = 8;
  larger.quantize = false;
  run(larger, context("larger"));
  const auto taught_by = [&](const std::string& directory, const std::string& file) {
    RunOptions options = options_;
    options.qat.teacher = (directory_ / file).string();
    run(options, context(directory));
    return read_file(directory_ / directory / "qat.safetensors");
  };
  const std::string own = read_file(directory_ / "own/qat.safetensors");
  EXPECT_TRUE(taught_by("same", "own/float.safetensors") == own);
  const std::string other = taught_by("other", "larger/float.safetensors");
  EXPECT_FALSE(other == own);
  // Several teach the mean of their outputs: that of two equal ones is their own.
  const std::string larger_file = (directory_ / "larger/float.safetensors").string();
  EXPECT_TRUE(taught_by("twice", "larger/float.safetensors:" + larger_file) == other);
  const std::string both = taught_by("both", "own/float.safetensors:" + larger_file);
  EXPECT_FALSE(both == own);
  EXPECT_FALSE(both == other);

  RunOptions another = options_;
  another.qat.teacher = (directory_ / "own/float.safetensors").string();
  EXPECT_THROW(run(another, context("other", true)), CannotContinue);
  another.qat.teacher = (directory_ / "own/qat.safetensors").string();
  EXPECT_THAT([&] { run(another, context("no")); },
              ThrowsMessage<Error>(HasSubstr("options: qat.teacher = " + another.qat.teacher +
                                             ": is already quantized")));
  another.qat.teacher = (directory_ / "own/float.safetensors").string();
  another.data.permutation_seed = 2;
  EXPECT_THAT(
      [&] { run(another, context("no")); },
      ThrowsMessage<Error>(HasSubstr("float.safetensors: was trained on other data: its ")));
  another.data.permutation_seed = 0;
  another.qat.distill_streams = 1;
  another.qat.teacher = (directory_ / "larger/float.safetensors").string();
  EXPECT_THAT(
      [&] { run(another, context("no")); },
      ThrowsMessage<Error>(HasSubstr("8 channels and 1 layers, expected those of [model]")));
  another.qat.teacher = "a.safetensors:b.safetensors";
  EXPECT_THAT([&] { run(another, context("no")); },
              ThrowsMessage<Error>(HasSubstr("expected 0 with 2 in qat.teacher")));
  for (const std::string names : {":", "a:", ":a", "a::b"}) {
    another.qat.teacher = names;
    EXPECT_THAT([&] { run(another, context("no")); },
                ThrowsMessage<Error>(HasSubstr("expected names of files, separated by single")));
  }
  another.qat.teacher.clear();
  another.quantize = false;  // without a second training
  EXPECT_FALSE(run(another, context("float")).interrupted);
}

TEST_F(RunTest, LeavesEveryFileAsItIsWhereItDoesNotContinue) {
  options_.quantize = false;
  run(options_, context("start"));
  options_.seed = 2;
  run(options_, context("other"));
  options_.seed = 1;
  options_.quantize = true;
  options_.start = (directory_ / "start/float.safetensors").string();
  run(options_, context("run"));
  const auto content = [&] {
    std::map<std::string, std::string> files;
    for (const auto& file : fs::directory_iterator(directory_ / "run")) {
      if (file.is_regular_file()) files[file.path().filename()] = read_file(file.path());
    }
    return files;
  };
  const auto before = content();
  RunContext resumed = context("run");
  resumed.resume = true;
  RunOptions other_formats = options_, other_start = options_, pruned = options_;
  other_formats.quant.preset = "w4a8s8";
  other_start.start = (directory_ / "other/float.safetensors").string();
  pruned.prune_float = true;
  for (const RunOptions& changed : {other_formats, other_start, pruned}) {
    EXPECT_THROW(run(changed, resumed), CannotContinue);
    EXPECT_TRUE(content() == before);
  }
}

TEST_F(RunTest, EndsWithThePrunedNetworkIfThatIsTheLast) {
  options_.quantize = false;
  options_.prune_float = true;
  options_.prune.states = "0.5";
  const RunSummary summary = run(options_, context("pruned"));
  ASSERT_TRUE(summary.pruned.done);
  EXPECT_EQ(summary.last().memory.total(), summary.pruned.memory.total());
  EXPECT_LT(summary.pruned.memory.total(), summary.float_stage.memory.total());
}

TEST_F(RunTest, RefusesAnEarlierRunBeforeItRemovesAnything) {
  options_.quantize = false;
  RunContext stopped = context("new");
  stopped.stop = [] { return true; };
  EXPECT_TRUE(run(options_, stopped).interrupted);
  EXPECT_FALSE(run(options_, context("new")).interrupted);  // no epoch was completed
  const std::string before = read_file(directory_ / "new/float.safetensors");
  options_.seed = 2;
  EXPECT_THROW(run(options_, context("new")), Error);
  EXPECT_EQ(read_file(directory_ / "new/float.safetensors"), before);
  OutputDirectory output(directory_ / "new", "train", Earlier::kReplace);
  RunContext replacing = context("new");
  replacing.output = &output;
  RunOptions unreadable = options_;
  unreadable.data.directory = (directory_ / "absent").string();
  EXPECT_THROW(run(unreadable, replacing), Error);
  EXPECT_EQ(read_file(directory_ / "new/float.safetensors"), before);
  RunOptions other_shape = options_;
  other_shape.start = (directory_ / "new/float.safetensors").string();
  other_shape.model.channels = 8;
  EXPECT_THAT([&] { run(other_shape, replacing); },
              ThrowsMessage<Error>(HasSubstr("options: run.start = " + other_shape.start +
                                             ": model.channels is 4, expected 8")));
  EXPECT_EQ(read_file(directory_ / "new/float.safetensors"), before);
  EXPECT_FALSE(run(options_, replacing).interrupted);
  EXPECT_NE(read_file(directory_ / "new/float.safetensors"), before);
}

}  // namespace
}  // namespace crosstate::pipeline
