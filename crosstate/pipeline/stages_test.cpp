#include "crosstate/pipeline/stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/identity.h"
#include "crosstate/pipeline/testing.h"

namespace crosstate::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class PipelineTest : public RunDirectoryTest {
 protected:
  PipelineTest() {
    options_.data.train_limit = 64;
    options_.data.test_limit = 16;
    options_.model.channels = options_.model.states = 2;
    options_.train.epochs = 1;
  }

  model::Network network(std::uint64_t seed) const { return {options_.model, {1, 10}, seed}; }
  bool exists(const char* name) const { return fs::exists(directory_ / name); }

  // A network with no epochs of training, then one trained by the settings.
  PipelineSummary run_two(const std::vector<std::string>& settings) {
    PipelineSummary summary;
    Pipeline pipeline("train", context_, summary);
    pipeline.load(options_);
    pipeline.begin({});
    pipeline.run({{"ptq", "", {}, [&](const Stage&) { pipeline.hold("ptq", network(1)); }},
                  {"float", "", settings, [&](const Stage& stage) {
                     written_early_ = exists("ptq.safetensors");
                     model::Network trained = network(2);
                     pipeline.train(stage, trained, options_.train);
                     pipeline.finish(stage.name, trained);
                   }}});
    return summary;
  }

  RunContext context_ = context("");
  bool written_early_ = false;
};

TEST_F(PipelineTest, RunInOrderAndTellWhatTheyDo) {
  std::vector<std::string> told;
  context_.stage = [&](const std::string& what) { told.push_back(what); };
  PipelineSummary summary;
  Pipeline pipeline("train", context_, summary);
  pipeline.load(options_);
  StageRecord record;
  pipeline.run({{"a", "first", {}, [&](const Stage& stage) { told.push_back(stage.name); }},
                {"b", "", {}, [&](const Stage& stage) { told.push_back(stage.name); }, &record}});
  EXPECT_THAT(told, ElementsAre("reading the data", "first", "a", "b"));
  EXPECT_TRUE(record.done);
  EXPECT_FALSE(summary.interrupted);
  EXPECT_GE(summary.seconds, record.seconds);
  EXPECT_EQ(summary.config.at("data").at("train_limit"), 64);
  EXPECT_THAT(summary.data.back(), HasSubstr("16 sequences of 784 steps"));
}

TEST_F(PipelineTest, StopBetweenTwo) {
  bool stop = false, reached = false;
  context_.stop = [&] { return stop; };
  PipelineSummary summary;
  Pipeline pipeline("train", context_, summary);
  StageRecord first, second;
  pipeline.run({{"a", "", {}, [&](const Stage&) { stop = true; }, &first},
                {"b", "", {}, [&](const Stage&) { reached = true; }, &second}});
  EXPECT_TRUE(summary.interrupted);
  EXPECT_TRUE(first.done);
  EXPECT_FALSE(second.done);
  EXPECT_FALSE(reached);
}

TEST_F(PipelineTest, HoldNetworksUntilTheNextTrainingIsKnownToContinue) {
  EXPECT_FALSE(run_two({"model.", "train."}).interrupted);
  EXPECT_FALSE(written_early_);
  EXPECT_TRUE(exists("ptq.safetensors"));
  EXPECT_TRUE(exists("float.safetensors"));
  context_.resume = true;
  EXPECT_FALSE(run_two({"model.", "train."}).interrupted);
  fs::remove(directory_ / "ptq.safetensors");
  options_.train.learning_rate *= 2;
  EXPECT_THAT(
      [&] {
        run_two({"model.", "train."});
      },
      ThrowsMessage<CannotContinue>(HasSubstr("learning_rate was")));
  EXPECT_FALSE(exists("ptq.safetensors"));
}

TEST_F(PipelineTest, WriteHeldNetworksWhereNoTrainingFollows) {
  PipelineSummary summary;
  Pipeline pipeline("train", context_, summary);
  pipeline.load(options_);
  bool written = false;
  pipeline.run({{"ptq", "", {}, [&](const Stage&) { pipeline.hold("ptq", network(1)); }},
                {"test", "", {}, [&](const Stage&) { written = exists("ptq.safetensors"); }}});
  EXPECT_TRUE(written);
  EXPECT_FALSE(exists("ptq.integer.safetensors"));  // a float network
}

TEST_F(PipelineTest, NeedADirectory) {
  context_.directory.clear();
  PipelineSummary summary;
  EXPECT_THAT([&] { Pipeline("train", context_, summary); },
              ThrowsMessage<Error>(HasSubstr("no directory")));
}

}  // namespace
}  // namespace crosstate::pipeline
