#include "crosstate/pipeline/prune_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/identity.h"
#include "crosstate/integer/network.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/testing.h"
#include "crosstate/prune/prune.h"
#include "crosstate/train/evaluate.h"

namespace crosstate::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class PruneRunTest : public RunDirectoryTest {
 protected:
  PruneRunTest() {
    options_.prune.states = "0.5";
    options_.prune.channels = "0.25";
    options_.prune.batches = 2;
  }

  // Trains a model of its own seed; returns its file.
  std::string train_model(const std::string& name, std::uint64_t seed, bool quantized) {
    RunOptions options = options_;
    options.seed = seed;
    options.quantize = quantized;
    const fs::path directory = directory_ / (name + "-run");
    fs::remove_all(directory);
    run(options, context(name + "-run"));
    const std::string file = (directory_ / (name + ".safetensors")).string();
    write_file(file, read_file(directory / (quantized ? "qat.safetensors" : "float.safetensors")));
    return file;
  }

  // Contents of every file except the record of times.
  std::map<std::string, std::string> files(const std::string& name) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::directory_iterator(directory_ / name)) {
      const std::string file = entry.path().filename().string();
      if (file.ends_with(".safetensors") && !file.ends_with(".checkpoint.safetensors")) {
        all[file] = read_file(entry.path());
      }
    }
    return all;
  }

  model::Network load(const std::string& file) const {
    return model::Network::from_tensors(formats::read_safetensors(file), file);
  }
  double accuracy_of(const model::Network& network) {
    return train::evaluate_metric(network, load_run_data(options_, pool_).test, 256, pool_);
  }
};

TEST_F(PruneRunTest, ReportsWhatItLeaves) {
  const std::string model = train_model("model", 1, true);
  const std::string against = train_model("against", 2, false);
  options_.prune.against = against;
  const PruneSummary summary = prune_model(model, options_, context("out"));
  EXPECT_FALSE(summary.interrupted);
  ASSERT_EQ(summary.models.size(), 2u);
  const RunData data = load_run_data(options_, pool_);
  const prune::PruneShares shares = prune::prune_points(options_.prune).front();
  for (const PrunedModel& one : summary.models) {
    const bool first = &one == &summary.models.front();
    EXPECT_EQ(one.file, first ? model : against);
    EXPECT_EQ(one.quantized, first);
    const model::Network original = load(one.file);
    EXPECT_EQ(one.metric, accuracy_of(original));
    EXPECT_EQ(one.size.states, prune::size_of(original).states);
    ASSERT_EQ(one.points.size(), 1u);
    const PrunePoint& point = one.points.front();
    const model::Network at_once =
        prune::prune(original, options_.prune, shares, prune::size_of(original),
                     score_batches(data.training, options_), pool_);
    EXPECT_EQ(point.one_shot, accuracy_of(at_once));
    EXPECT_EQ(point.file, first ? "pruned.safetensors" : "against.safetensors");
    const model::Network left = load((directory_ / "out" / point.file).string());
    EXPECT_TRUE(left.quantized());
    EXPECT_EQ(point.retrained, accuracy_of(left));
    EXPECT_TRUE(std::isfinite(point.validation_metric));
    EXPECT_EQ(point.training.epochs.size(), 2u);
    EXPECT_EQ(point.size.states, prune::size_of(left).states);
    EXPECT_EQ(point.size.stream, prune::size_of(left).stream);
    EXPECT_LE(2 * point.size.states, one.size.states);
    EXPECT_EQ(point.size.stream, 3u);
    // The other model is a float model, without tables of activations.
    if (first) {
      EXPECT_LT(point.memory.total(), one.memory.total());
    }
    const std::string integers =
        (directory_ / "out" / point.file).replace_extension("").string() + ".integer.safetensors";
    EXPECT_NO_THROW(integer::integer_network_from(formats::read_safetensors(integers), integers));
  }
  const nlohmann::json result = to_json(summary);
  EXPECT_EQ(result.at("models").at(0).at("points").at(0).at("states"),
            summary.models[0].points[0].size.states);
  EXPECT_TRUE(fs::exists(directory_ / "out/report.html"));
}

TEST_F(PruneRunTest, PrunesAloneWithoutTraining) {
  const std::string model = train_model("model", 1, true);
  options_.prune.retrain = false;
  options_.prune.states = "0.2 0.5";
  const PruneSummary summary = prune_model(model, options_, context("out"));
  ASSERT_EQ(summary.models.at(0).points.size(), 2u);
  for (const PrunePoint& point : summary.models[0].points) {
    EXPECT_TRUE(std::isnan(point.retrained));
    EXPECT_EQ(point.one_shot, accuracy_of(load((directory_ / "out" / point.file).string())));
  }
  EXPECT_GE(summary.models[0].points[0].size.states, summary.models[0].points[1].size.states);
}

TEST_F(PruneRunTest, EndsWithTheSameBitsHoweverOftenItIsStopped) {
  const std::string model = train_model("model", 1, false);
  options_.prune.schedule = prune::PruneSchedule::kGradual;
  options_.prune.steps = 2;
  options_.prune.penalty = 0.01;
  options_.qat.distill = 0.5;
  const PruneSummary whole = prune_model(model, options_, context("whole"));
  int stops = 0;
  for (bool interrupted = true; interrupted; ++stops) {
    ASSERT_LT(stops, 100);
    RunContext part = context("part", stops > 0);
    // An epoch has 5 training batches and one test batch; each run is interrupted a little later.
    int left = 9 + stops;
    part.stop = [&] { return left-- <= 0; };
    const PruneSummary summary = prune_model(model, options_, part);
    interrupted = summary.interrupted;
    EXPECT_EQ(fs::exists(directory_ / "part/report.html"), !interrupted);
    if (interrupted) continue;
    EXPECT_EQ(summary.models.at(0).points.at(0).retrained,
              whole.models.at(0).points.at(0).retrained);
    EXPECT_EQ(summary.models[0].points[0].one_shot, whole.models[0].points[0].one_shot);
  }
  EXPECT_GT(stops, 3);
  EXPECT_EQ(files("part"), files("whole"));
}

TEST_F(PruneRunTest, ContinuesWithTheSameInputsAlone) {
  const std::string model = train_model("model", 1, true);
  const std::string bytes = read_file(model);
  prune_model(model, options_, context("out"));
  const auto before = files("out");
  const auto expect_refused = [&](const RunOptions& options, const std::string& part) {
    EXPECT_THAT([&] { prune_model(model, options, context("out", true)); },
                ThrowsMessage<CannotContinue>(
                    AllOf(HasSubstr("pruned.checkpoint.safetensors"), HasSubstr(part))));
    EXPECT_EQ(files("out"), before) << part;
  };
  RunOptions other = options_;
  other.prune.score = prune::Score::kMagnitude;
  expect_refused(other, "prune.score was");
  other = options_;
  other.qat.epochs = 3;
  expect_refused(other, "qat.epochs was");
  other = options_;
  other.data.train_limit = 150;
  expect_refused(other, "train_limit was");
  other = options_;
  other.data.permutation_seed = 0;
  other.seed = 2;
  expect_refused(other, "seed was");
  train_model("model", 2, true);  // replaces the model
  expect_refused(options_, "checksum of the model was");
  write_file(model, bytes);
  EXPECT_FALSE(prune_model(model, options_, context("out", true)).interrupted);
  EXPECT_EQ(files("out"), before);
}

TEST_F(PruneRunTest, RefusesAnEarlierRun) {
  const std::string model = train_model("model", 1, true);
  options_.prune.retrain = false;
  prune_model(model, options_, context("out"));
  EXPECT_THAT([&] { prune_model(model, options_, context("out")); },
              ThrowsMessage<Error>(HasSubstr("already holds results")));
  EXPECT_THAT([&] { prune_model(model, options_, context("model-run", true)); },
              ThrowsMessage<Error>(HasSubstr("holds results of train")));
}

}  // namespace
}  // namespace crosstate::pipeline
