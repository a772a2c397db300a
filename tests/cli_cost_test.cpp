// crosstate cost and the memory of integer files in crosstate info.
#include <algorithm>
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

TEST_F(CliCost, ComparesCrossbarsWithTheSameNode) {
  const json result = cost({model("qat"), "--target", "crossbar-14nm", "--same-node", "--out",
                            path("same"), "--rate", "50"});
  const json& m = result["targets"][0]["same_node"][0];
  EXPECT_EQ(m["technology"]["name"], "same node, 14 nm");
  const double crossbars =
      result["targets"][0]["estimates"][0]["energy_pj"]["per_inference"]["typical"];
  const double digital = m["sram"]["energy_pj"]["per_inference"]["typical"];
  EXPECT_NEAR(m["crossbars_over_sram"]["typical"], crossbars / digital, 1e-9 * crossbars / digital);
  EXPECT_LT(m["energy_square_pj"], m["energy_linear_pj"]);
  EXPECT_LT(m["nonvolatile"]["rest_uw"]["typical"], m["sram"]["rest_uw"]["typical"]);
  EXPECT_EQ(m["at_rate"]["steps_per_second"], 50);
  // At a low rate, the power at rest counts: 1 / 50 s times it.
  const double at_rest = m["sram"]["rest_uw"]["typical"];
  EXPECT_NEAR(m["at_rate"]["sram"]["energy_pj"]["typical"].get<double>() /
                  (at_rest * 1e6 / 50 + m["sram"]["wake_pj"]["typical"].get<double>()),
              1, 0.2);
  EXPECT_TRUE(m["break_even_rate"].contains("nonvolatile"));
  EXPECT_THAT(read_file(path("same/cost.html")),
              testing::AllOf(HasSubstr("same node, 14 nm"), HasSubstr("Energy by part"),
                             HasSubstr("against the rate")));
  const Result text = call({"cost", model("qat"), "--target", "crossbar-14nm", "--same-node",
                            "--rate", "50", "--set", "cost.samples=2"});
  for (const char* line : {"same node, 14 nm", "scaled linearly", "crossbars / digital",
                           "at 50 time steps per second", "crossbars take less than digital"}) {
    EXPECT_THAT(text.out, HasSubstr(line));
  }
  EXPECT_FALSE(
      cost({model("qat"), "--target", "crossbar-14nm"})["targets"][0].contains("same_node"));
}

TEST_F(CliCost, ChoosesWhatAChipDoesWithItsParts) {
  const auto energy = [&](const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {model("qat"), "--target", "crossbar-14nm"};
    for (const std::string& s : settings) arguments.insert(arguments.end(), {"--set", s});
    const json result = cost(std::move(arguments));
    return result["targets"][0]["estimates"][0]["energy_pj"]["per_inference"]["typical"]
        .get<double>();
  };
  const double gated = energy({});
  EXPECT_EQ(std::min(energy({"cost.idle=gated"}), energy({"cost.idle=powered"})), gated);
  EXPECT_LT(energy({"cost.idle_cells=open"}), gated);
  EXPECT_LT(energy({"cost.state_converters=increments"}), gated);
  EXPECT_LT(energy({"cost.converter=sar"}), gated);
  EXPECT_GT(energy({"crossbar.compensation=column"}), gated);
  EXPECT_NE(energy({"cost.blocks=parallel"}), gated);
}

TEST_F(CliCost, TellsHowManyRowsAColumnNeeds) {
  const Result result = call({"break-even", "--json", "-"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json lines = parse_json(result.out)["lines"];
  EXPECT_EQ(lines.size(), 4u * 5);
  EXPECT_EQ(lines[0]["target"], "crossbar-14nm");
  EXPECT_EQ(lines[0]["converter"], "target");
  EXPECT_GT(lines[0]["rows"]["typical"], 30);
  EXPECT_LT(lines[0]["rows"]["typical"], 120);
  const Result text =
      call({"break-even", "--target", "crossbar-130nm", "--set", "fan_in.output_bits=4"});
  EXPECT_THAT(text.out, testing::AllOf(HasSubstr("crossbar-130nm"), HasSubstr("oscillator"),
                                       HasSubstr("conversions to 4 bits")));
  expect_refused({"break-even", "--target", "mcu-int8"}, {"mcu-int8", "expected a crossbar"});
  expect_refused({"break-even", "--accelerator", "mcu-int8"}, {"mcu-int8", "accelerator"});
}

TEST_F(CliCost, RefusesWhatItCannotCount) {
  expect_refused({"cost", model("qat"), "--same-node"}, {"--same-node", "crossbars"});
  expect_refused({"cost", model("qat"), "--rate", "5"}, {"--rate", "no target of crossbars"});
  expect_refused({"cost", model("qat"), "--target", "crossbar-14nm", "--set",
                  "cost.accelerator=accelerator-45nm"},
                 {"cost.accelerator", "--same-node"});
  expect_refused({"cost", model("qat"), "--target", "crossbar-14nm", "--same-node", "--set",
                  "cost.accelerator=mcu-int8"},
                 {"mcu-int8", "accelerator"});
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
