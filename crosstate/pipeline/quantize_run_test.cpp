#include "crosstate/pipeline/quantize_run.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "crosstate/base/files.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/testing.h"

namespace crosstate::pipeline {
namespace {

class QuantizeRunTest : public RunDirectoryTest {
 protected:
  // Trains a float model; returns its file.
  std::string train_model() {
    RunOptions options = options_;
    options.quantize = false;
    run(options, context("model"));
    return (directory_ / "model/float.safetensors").string();
  }
};

TEST_F(QuantizeRunTest, ReportsNoMetricsIfItIsStopped) {
  const std::string model = train_model();
  for (const bool search : {false, true}) {
    const std::string name = search ? "search" : "format";
    RunContext stopped = context(name);
    stopped.stop = [] { return true; };
    const QuantizeSummary summary = quantize_model(model, options_, {.search = search}, stopped);
    EXPECT_TRUE(summary.interrupted);
    EXPECT_FALSE(summary.found);
    const nlohmann::json result = to_json(summary);
    EXPECT_EQ(result.size(), 2u);
    EXPECT_EQ(result.at("model"), model);
    EXPECT_FALSE(std::filesystem::exists(directory_ / name / "ptq.safetensors"));
  }
}

// Also while the float model and the first formats are measured, before the first stage ends.
TEST_F(QuantizeRunTest, StopsAtEveryMeasurement) {
  const std::string model = train_model();
  options_.ptq.loss = 50;
  const auto stopped_at = [&](int call) {
    const std::string name = "stopped-" + std::to_string(call);
    RunContext context = this->context(name);
    int calls = 0;
    context.stop = [&] { return ++calls >= call; };
    const QuantizeSummary summary = quantize_model(model, options_, {.search = true}, context);
    EXPECT_TRUE(summary.interrupted) << call;
    EXPECT_EQ(calls, call);
    EXPECT_FALSE(std::filesystem::exists(directory_ / name / "ptq.safetensors"));
  };
  for (const int call : {1, 2, 3, 4, 5, 8, 13, 30}) stopped_at(call);
}

TEST_F(QuantizeRunTest, WritesAFront) {
  const std::string model = train_model();
  options_.ptq.loss = 50;
  options_.ptq.front = 3;
  const QuantizeSummary summary =
      quantize_model(model, options_, {.search = true}, context("front"));
  ASSERT_GE(summary.front.size(), 2u);
  const nlohmann::json front = to_json(summary).at("front");
  ASSERT_EQ(front.size(), summary.front.size());
  for (std::size_t i = 0; i < front.size(); ++i) {
    const inference::Model saved =
        inference::Model::load((directory_ / "front" / summary.front[i].file).string());
    EXPECT_EQ(cost::count_memory(*saved.network()).total(), front[i].at("bytes"));
    EXPECT_EQ(front[i].at("accuracy"), summary.front[i].metric);
    EXPECT_GT(front[i].at("bit_operations"), 0);
    // The settings beside a network replace those of any other format.
    std::filesystem::path settings = directory_ / "front" / summary.front[i].file;
    RunOptions again = options_;
    again.quant.preset = "w2a3s4";
    again.quant.c = {.bits = 7, .scales = quant::ScaleKind::kPowerOfTwo};
    again.quant.state.residue_bits = 14;
    FieldList list = again.fields();
    list.read_toml(settings.replace_extension(".toml").string());
    nlohmann::json read = list.to_json().at("quant"), found = front[i].at("quant");
    read.erase("array");  // part of a target, not of a format
    found.erase("array");
    EXPECT_EQ(read, found);
  }
  EXPECT_EQ(front_table(summary).rows.size(), front.size());
  // The goal is met as without a front.
  options_.ptq.front = 0;
  quantize_model(model, options_, {.search = true}, context("goal"));
  EXPECT_EQ(read_file(directory_ / "goal/ptq.safetensors"),
            read_file(directory_ / "front/ptq.safetensors"));
}

TEST_F(QuantizeRunTest, ReportsMetricsOtherwise) {
  const std::string model = train_model();
  const QuantizeSummary summary = quantize_model(model, options_, {}, context("whole"));
  EXPECT_FALSE(summary.interrupted);
  EXPECT_EQ(to_json(summary).at("accuracy"), summary.metric);
  EXPECT_TRUE(std::filesystem::exists(directory_ / "whole/ptq.safetensors"));
}

}  // namespace
}  // namespace crosstate::pipeline
