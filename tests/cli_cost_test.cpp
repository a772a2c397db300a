// crosstate cost and the memory of integer files in crosstate info.
#include <nlohmann/json.hpp>

#include "crosstate/base/json.h"
#include "crosstate/cost/technology.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CliCost : public Cli {
 protected:
  void SetUp() override {
    Cli::SetUp();
    const Result trained = call(tiny("train", path("run"), {"--quiet"}));
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  std::string model(const std::string& name) const { return path("run/" + name + ".safetensors"); }

  json cost(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "cost");
    arguments.insert(arguments.end(), {"--json", "-", "--set", "cost.samples=2"});
    const Result result = call(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return parse_json(result.out);
  }
};

TEST_F(CliCost, ComparesAFloatNetworkWithItsQuantizedForm) {
  const json result = cost({model("float"), model("qat"), "--target", "accelerator-45nm",
                            "--target", "crossbar-14nm", "--out", path("out")});
  const json& models = result["models"];
  EXPECT_EQ(models[0]["operations"]["steps"], 784);
  EXPECT_EQ(models[0]["weights_and_biases"], models[1]["weights_and_biases"]);
  EXPECT_GT(models[0]["parameters"], models[1]["parameters"]);  // norms are folded
  // 4 channels of 2 complex modes: encoder 4, A 32, C 16, D 4, pointwise 32, gate 4.
  EXPECT_EQ(models[1]["operations"]["per_step"]["macs"], 92);
  EXPECT_EQ(models[1]["operations"]["per_inference"]["macs"], 784 * 92 + 40);
  EXPECT_EQ(models[0]["operations"]["per_inference"]["bit_operations"], (784 * 92 + 40) * 1024);
  EXPECT_LT(result["comparisons"][0]["weight_bits"], 0.5);
  EXPECT_GT(models[1]["neurobench"]["synaptic_operations_per_sample"]["Effective_MACs"], 0);
  EXPECT_FALSE(models[0]["neurobench"].contains("activation_sparsity"));
  // The float network cannot run on arrays, so the accelerator is used.
  const json& crossbar = result["targets"][1]["estimates"];
  EXPECT_EQ(crossbar[0]["target"], "accelerator-45nm");
  EXPECT_EQ(crossbar[1]["target"], "crossbar-14nm");
  for (const json& target : result["targets"]) {
    const json& r = target["estimates"][1]["over_first"]["energy"];
    EXPECT_GT(r["low"], 0);
    EXPECT_LE(r["low"], r["typical"]);
    EXPECT_LE(r["typical"], r["high"]);
    for (const auto& [name, constant] : target["technology"]["constants"].items()) {
      EXPECT_FALSE(constant["source"].get<std::string>().empty()) << name;
    }
  }
  EXPECT_EQ(result["peers"].size(), 3u);
  EXPECT_EQ(parse_json(read_file(path("out/cost.json"))), result);
  EXPECT_THAT(read_file(path("out/cost.html")), HasSubstr("Constants of crossbar-14nm"));
}

TEST_F(CliCost, TellsTheSameOfAnIntegerFile) {
  const json a = cost({model("qat"), "--target", "mcu-int8"});
  const json info = parse_json(call({"info", model("qat.integer"), "--json", "-"}).out);
  EXPECT_EQ(info["memory"], a["models"][0]["memory_bytes"]);
  EXPECT_THAT(call({"info", model("qat.integer")}).out, HasSubstr("layers.0.state"));
}

// On every target, for every shipped network.
TEST_F(CliCost, OfAnIntegerFileIsThatOfItsOrigin) {
  const auto cost_of = [&](const std::string& file, bool parameters) {
    std::vector<std::string> arguments = {file};
    for (const std::string& target : cost::shipped_technologies()) {
      arguments.insert(arguments.end(), {"--target", target});
    }
    json result = cost(std::move(arguments));
    result["models"][0].erase("file");
    for (json& target : result["targets"]) target["estimates"][0].erase("model");
    if (!parameters) {
      result["models"][0].erase("parameters");
      result.erase("peers");
    }
    return result;
  };
  std::vector<std::string> models = {model("qat")};
  const std::string shipped = CROSSTATE_SOURCE_DIR "/models/";
  for (const char* name :
       {"smnist", "smnist-pruned", "smnist-pruned-w4", "smnist-taox", "smnist-pcm-1y"}) {
    models.push_back(shipped + name + ".safetensors");
  }
  for (const std::string& file : models) {
    SCOPED_TRACE(file);
    const std::string integers = path("integers.safetensors");
    ASSERT_EQ(call({"convert", file, "--out", integers, "--overwrite", "--quiet"}).code, 0);
    EXPECT_EQ(cost_of(integers, true), cost_of(file, true));
  }
  // A file of version 1, which does not record the number of trained parameters.
  EXPECT_EQ(cost_of(shipped + "smnist.integer.safetensors", false),
            cost_of(shipped + "smnist.safetensors", false));
}

// Tones have 400 to 1,300 samples; the first is not the longest.
TEST_F(CliCost, TakesTheStepsOfTheLongestTestSequence) {
  write_tones("tones");
  ASSERT_EQ(call(tiny("train", path("sounds"), {"--quiet", "--data", path("tones")})).code, 0);
  const auto counted = [&](const std::string& samples) {
    const Result result = call({"cost", path("sounds/qat.safetensors"), "--data", path("tones"),
                                "--json", "-", "--set", "cost.samples=" + samples});
    EXPECT_EQ(result.code, 0) << result.err;
    return parse_json(result.out)["models"][0];
  };
  const json one = counted("1"), all = counted("1000");
  EXPECT_EQ(one["operations"], all["operations"]);
  EXPECT_EQ(one["neurobench"]["samples"], 1);
  EXPECT_GT(all["neurobench"]["samples"], 1);
  EXPECT_LT(one["neurobench"]["synaptic_operations_per_sample"]["Dense"],
            one["operations"]["per_inference"]["macs"]);
}

TEST_F(CliCost, PrintsTables) {
  const Result result = call({"cost", model("float"), model("qat"), "--sources", "--set",
                              "cost.samples=2", "--set", "peers.lstm=9"});
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char* text : {"bit operations", "2 / 1", "energy per inference", "peak RAM",
                           "Horowitz", "effective MACs", "LSTM, 9 units", "Transformer"}) {
    EXPECT_THAT(result.out, HasSubstr(text));
  }
}

TEST_F(CliCost, RefusesWhatItCannotCount) {
  expect_refused({"cost", model("qat"), "--target", "crossbar-7nm"},
                 {"crossbar-7nm", "crossbar-14nm"});
  expect_refused({"cost", path("nothing.safetensors")}, {"nothing.safetensors"});
  expect_refused({"cost", model("qat"), "--set", "cost.step=3"}, {"cost.step", "cost.steps"});
  write("mine.toml", "[target]\nkind = \"accelerator\"\nnode = 7.0\n[clock]\nlow = 1\nhihg = 2\n");
  expect_refused({"cost", model("qat"), "--target", path("mine.toml")},
                 {"mine.toml:6", "clock.hihg", "clock.high"});
  expect_refused(
      {"cost", model("float"), "--target", "mcu-int8", "--set", "cost.float_target=mcu-int8"},
      {"mcu-int8", "float network"});
  expect_refused({"cost", model("qat"), "--set", "cost.float_target=crossbar-14nm"},
                 {"cost.float_target", "crossbar-14nm", "accelerator"});
  expect_refused(
      {"cost", model("qat"), "--set", "cost.steps=1000000000", "--set", "peers.transformer=64"},
      {"cost.steps", "1000000000", "Transformer"});
}

}  // namespace
}  // namespace crosstate
