// The command prune, run as by a user.
#include <nlohmann/json.hpp>

#include "crosstate/base/json.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CliPrune : public Cli {
 protected:
  static std::vector<std::string> prune(const std::string& model, const std::string& out,
                                        std::vector<std::string> settings = {}) {
    const auto told = [&](const char* setting) {
      return std::count(settings.begin(), settings.end(), setting) > 0;
    };
    std::vector<std::string> more;
    if (!told("prune.retrain=false")) more.insert(more.end(), {"--set", "qat.epochs=2"});
    if (!told("prune.score=last")) more.insert(more.end(), {"--set", "prune.batches=2"});
    for (const std::string& setting : settings) more.insert(more.end(), {"--set", setting});
    std::vector<std::string> arguments = tiny("prune", out, more);
    arguments.insert(arguments.begin() + 1, model);
    return arguments;
  }
  json result(const std::string& out) const { return parse_json(read_file(out + "/prune.json")); }
};

TEST_F(CliPrune, LeavesASmallerModelThatEveryCommandTakes) {
  ASSERT_EQ(call(tiny("train", path("run"))).code, 0);
  const std::string qat = path("run") + "/qat.safetensors", out = path("pruned");
  const Result pruned = call(prune(qat, out, {"prune.states=0.5", "prune.channels=0.25"}));
  ASSERT_EQ(pruned.code, 0) << pruned.err;
  EXPECT_THAT(pruned.out, HasSubstr("pruned.safetensors"));
  const json model = result(out)["models"][0], point = model["points"][0];
  EXPECT_TRUE(model["quantized"]);
  EXPECT_EQ(model["states"], 16);
  EXPECT_LE(point["states"], 8);
  EXPECT_EQ(point["stream_channels"], 3);
  EXPECT_LT(point["memory"]["total"], model["memory"]["total"]);
  const std::string small = out + "/pruned.safetensors";
  for (const char* backend : {"fake", "integer"}) {
    const Result result = call({"eval", small, "--backend", backend, "--set", "data.test_limit=64",
                                "--threads", "1", "--out", path("eval"), "--overwrite"});
    EXPECT_EQ(result.code, 0) << backend << ": " << result.err;
  }
  EXPECT_EQ(call({"info", small}).code, 0);
  EXPECT_EQ(call({"info", out + "/pruned.integer.safetensors"}).code, 0);
  EXPECT_THAT(read_file(out + "/report.html"), HasSubstr("states removed"));
  // Prunes a model that is already pruned.
  EXPECT_EQ(call(prune(small, path("twice"), {"prune.scope=block"})).code, 0);
}

TEST_F(CliPrune, ComparesModelsAtSeveralShares) {
  ASSERT_EQ(call(tiny("train", path("run"))).code, 0);
  const std::string qat = path("run") + "/qat.safetensors";
  const std::string all = path("run") + "/float.safetensors";
  const Result pruned =
      call(prune(qat, path("out"),
                 {"prune.states=0.2 0.5 0.8", "prune.channels=0", "prune.retrain=false",
                  "prune.score=last", "prune.against=" + all}));
  ASSERT_EQ(pruned.code, 0) << pruned.err;
  const json models = result(path("out"))["models"];
  ASSERT_EQ(models.size(), 2u);
  EXPECT_FALSE(models[1]["quantized"]);
  EXPECT_EQ(models[1]["points"].size(), 3u);
  EXPECT_TRUE(models[0]["points"][2]["accuracy"].is_null());
  EXPECT_TRUE(fs::exists(path("out") + "/against-3.safetensors"));
}

TEST_F(CliPrune, GoesOnToTheSameBits) {
  ASSERT_EQ(call(tiny("train", path("run"), {"--set", "run.quantize=false"})).code, 0);
  const std::string model = path("run") + "/float.safetensors";
  const std::vector<std::string> settings = {"prune.schedule=gradual", "prune.steps=2",
                                             "prune.penalty=0.01"};
  ASSERT_EQ(call(prune(model, path("straight"), settings)).code, 0);
  const std::vector<std::string> arguments = prune(model, path("cut"), settings);
  const Process process(directory_, arguments);
  for (int i = 0; i < 60000; ++i) {
    if (fs::exists(path("cut") + "/pruned-step1.checkpoint.safetensors")) break;
    usleep(1000);
  }
  process.send(SIGINT);
  if (process.wait() == 130) {
    EXPECT_THAT(process.err(), HasSubstr("crosstate prune " + model + " --set"));
  }
  std::vector<std::string> again = arguments;
  again.push_back("--resume");
  ASSERT_EQ(call(again).code, 0);
  EXPECT_EQ(read_file(path("cut") + "/pruned.safetensors"),
            read_file(path("straight") + "/pruned.safetensors"));
}

TEST_F(CliPrune, ContinuesWithTheSameModelAlone) {
  const auto train = [&](const std::string& seed) {
    ASSERT_EQ(call(tiny("train", path(seed), {"--set", "run.quantize=false", "--seed", seed})).code,
              0);
  };
  train("1");
  train("2");
  const std::string out = path("out");
  const std::vector<std::string> several = {"prune.states=0.2 0.5"};
  ASSERT_EQ(call(prune(path("1/float.safetensors"), out, several)).code, 0);
  std::vector<std::string> resume = prune(path("2/float.safetensors"), out, several);
  resume.push_back("--resume");
  expect_refused(resume, {"pruned-1.checkpoint.safetensors", "checksum of the model"});

  // Files of an earlier run are removed; the model is kept.
  const std::string model = out + "/pruned-1.safetensors";
  expect_refused(prune(model, out), {out, "--overwrite"});
  std::vector<std::string> overwrite = prune(model, out);
  overwrite.push_back("--overwrite");
  ASSERT_EQ(call(overwrite).code, 0);
  EXPECT_TRUE(fs::exists(model));
  EXPECT_TRUE(fs::exists(out + "/pruned.safetensors"));
  for (const char* left : {"pruned-2.safetensors", "pruned-2.integer.safetensors",
                           "pruned-1.checkpoint.safetensors", "pruned-2.jsonl"}) {
    EXPECT_FALSE(fs::exists(out + '/' + left)) << left;
  }
}

TEST_F(CliPrune, TrainPrunesBeforeItQuantizes) {
  const Result run =
      call(tiny("train", path("run"), {"--set", "run.prune=true", "--set", "prune.batches=2"}));
  ASSERT_EQ(run.code, 0) << run.err;
  EXPECT_THAT(run.out, HasSubstr("pruned"));
  const json summary = parse_json(read_file(path("run") + "/summary.json"));
  EXPECT_LE(summary["pruned"]["states"], 6);
  EXPECT_LT(summary["qat"]["memory"]["total"], 2000);
  EXPECT_TRUE(fs::exists(path("run") + "/qat.integer.safetensors"));
}

TEST_F(CliPrune, RefusesAnotherTasksModelBeforeAnyWork) {
  write_tones("tones");
  ASSERT_EQ(call(tiny("train", path("run"))).code, 0);
  ASSERT_EQ(
      call(tiny("train", path("other"), {"--data", path("tones"), "--set", "run.quantize=false"}))
          .code,
      0);
  const std::string model = path("run") + "/qat.safetensors", out = path("out");
  for (const std::string& against :
       {path("other") + "/float.safetensors", path("run") + "/qat.integer.safetensors"}) {
    expect_refused(prune(model, out, {"prune.against=" + against}), {against});
    EXPECT_FALSE(fs::exists(out + "/pruned.safetensors"));
  }
}

TEST_F(CliPrune, RefusesSettingsThatItWouldNotFollow) {
  expect_refused(prune("none.safetensors", path("out"), {"qat.target_noise=1"}),
                 {"qat.target_noise = 1"});
  expect_refused(
      prune("none.safetensors", path("out"), {"prune.schedule=gradual", "prune.steps=3"}),
      {"prune.steps = 3", "qat.epochs = 2"});
}

TEST_F(CliPrune, RefusesSettingsWithoutEffectOnTheModel) {
  ASSERT_EQ(call(tiny("train", path("run"))).code, 0);
  const std::string all = path("run/float.safetensors"), qat = path("run/qat.safetensors");
  const std::string out = path("out");
  struct Case {
    std::string model;
    std::vector<std::string> settings;
    std::string key, why;
  };
  for (const Case& c : std::vector<Case>{
           {qat, {"qat.norm_batches=4"}, "qat.norm_batches", "already quantized"},
           {qat, {"quant.noise_unit=largest"}, "quant.noise_unit", "quant.weight_noise = 0"},
           {qat, {"quant.preset=w4a4s4"}, "quant.preset", "already quantized"},
           {all, {"quant.noise_unit=largest"}, "quant.noise_unit", "quant.weight_noise = 0"},
           {all, {"quant.array.rows=8"}, "quant.array.rows", "arrays without levels"},
           {all,
            {"run.quantize=false", "quant.weight_noise=0.1"},
            "quant.weight_noise",
            "run.quantize = false"},
           {all,
            {"run.quantize=false", "qat.range_rate=0.1"},
            "qat.range_rate",
            "run.quantize = false"},
           {all,
            {"prune.retrain=false", "prune.penalty=0.01", "qat.epochs=3"},
            "qat.epochs",
            "prune.retrain = false"},
           {qat, {"prune.states=0", "prune.refit=false"}, "prune.refit", "prune.states = 0"},
           {all, {"prune.channels=0", "prune.scope=block"}, "prune.scope", "prune.channels = 0"}}) {
    std::vector<std::string> arguments = {"prune", c.model, "--out", out};
    for (const std::string& setting : c.settings) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    expect_refused(arguments, {"--set " + c.key, c.key + " has no effect with ", c.why});
  }
  // What one of two models does not use, the other may.
  expect_refused(
      {"prune", qat, "--out", out, "--set", "prune.against=" + all, "--set", "run.quantize=false",
       "--set", "qat.norm_batches=4", "--set", "quant.scales=free"},
      {"--set quant.scales", "quant.scales has no effect"});
  // Files may have such settings.
  write("all.toml", "[quant]\nnoise_unit = \"largest\"\n[qat]\nepochs = 1\nnorm_batches = 4\n");
  const Result pruned =
      call({"prune", qat, "--out", out, "--config", path("all.toml"), "--set",
            "data.train_limit=160", "--set", "data.test_limit=64", "--threads", "1"});
  EXPECT_EQ(pruned.code, 0) << pruned.err;
}

TEST_F(CliPrune, RefusesRepeatedShares) {
  expect_refused({"prune", "none.safetensors", "--out", path("out"), "--set",
                  "prune.states=0.5 0.5", "--set", "prune.channels=0"},
                 {"prune.states = \"0.5 0.5\"", "0.5 of the states", "twice"});
}

TEST_F(CliPrune, RefusesSharesOutOfRange) {
  for (const char* setting :
       {"prune.states=1", "prune.channels=-0.1", "prune.score=luck", "prune.steps=0"}) {
    const Result result = call(prune("none.safetensors", path("out"), {setting}));
    EXPECT_EQ(result.code, 2);
    EXPECT_THAT(result.err, HasSubstr("prune."));
  }
  EXPECT_EQ(call(prune(path("none.safetensors"), path("out"))).code, 2);
}

}  // namespace
}  // namespace crosstate
