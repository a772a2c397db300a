// The program as users see it: exit codes, messages, files, interruptions.
#include "tests/cli.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/data/mnist.h"
#include "crosstate/data/testing.h"
#include "crosstate/formats/safetensors.h"
#include "crosstate/pipeline/idle.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// --- bad input
// -------------------------------------------------------------------------------------

TEST_F(Cli, RefusesBadSettingsBeforeAnyWork) {
  const std::string out = path("out");
  struct Case {
    std::string setting;
    std::vector<std::string> parts;
  };
  for (const Case& c : std::vector<Case>{
           {"model.chanels=16", {"model.chanels", "model.channels"}},
           {"model.channels=0", {"model.channels", "0", "1 to 4096"}},
           {"model.channels=many", {"model.channels", "many", "integer"}},
           {"model.states=15", {"model.states", "15", "even"}},
           {"model.norm=layer", {"model.norm", "layer", "batch"}},
           {"model.norm=group", {"model.norm", "group"}},
           {"quant.state.bits=1", {"quant.state.bits", "1", "2 to 16"}},
           {"quant.weight.bits=17", {"quant.weight.bits", "17"}},
           {"train.learning_rate=nan", {"train.learning_rate", "nan"}},
           {"qat.epochs=-1", {"qat.epochs", "-1"}},
           {"sweep.noise=0 x", {"sweep.noise", "0 x"}},
           {"run.crossbar=maybe", {"run.crossbar", "maybe"}},
           {"model.channels", {"model.channels", "="}},
           {"=", {"="}},
           {"", {"--set"}},
           {"model.chan\nnels\n\n=1", {"unknown key", "model.channels"}},
           {std::string(5000, 'x') + "=1", {"unknown key", "..."}},
       }) {
    expect_refused({"train", "--out", out, "--set", c.setting}, c.parts);
  }
  EXPECT_FALSE(fs::exists(out));
}

// The last of several options decides.
TEST_F(Cli, NamesWhatSetsASettingThatContradictsOthers) {
  const std::string out = path("out");
  const auto refused = [&](std::vector<std::string> more, const std::string& begin) {
    more.insert(more.begin(), {"train", "--out", out});
    expect_refused(more, {begin});
    EXPECT_THAT(call(more).err, testing::StartsWith("crosstate: " + begin));
  };
  refused({"--set", "model.states=4", "--set", "model.states=5"},
          "--set model.states=5: model.states = 5");
  write("odd.toml", "[quant]\npreset = \"w8a8s8\"\n[model]\nstates = 5\n");
  refused({"--config", path("odd.toml")}, path("odd.toml") + ":4: model.states = 5");
  refused({"--config", path("odd.toml"), "--set", "model.states=7"},
          "--set model.states=7: model.states = 7");
  write("odder.toml", "[model]\nstates = 9\n");
  refused({"--config", path("odd.toml"), "--config", path("odder.toml")},
          path("odder.toml") + ":2: model.states = 9");
  write("chip.toml", "[device]\ng_min = 30\ng_max = 20\n");
  refused({"--target", path("chip.toml")}, path("chip.toml") + ": device.g_m");
  refused({"--target", "taox-64x64", "--set", "quant.preset=w8a8s0"},
          "--set quant.preset=w8a8s0: quant.state.bits = 0 by quant.preset = \"w8a8s0\"");
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Cli, ComparesTwoModelsOnTheSameSequences) {
  ASSERT_EQ(call(tiny("train", path("out"))).code, 0);
  const std::string one = path("out/float.safetensors"),
                    other = path("out/qat.integer.safetensors");
  const auto compare = [&](const std::string& second, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"eval", one, "--compare", second, "--set", "data.test_limit=64"});
    return call(more);
  };
  const Result text = compare(other);
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr(one + " on"), HasSubstr(other + " on"),
                              HasSubstr("95 % interval"), HasSubstr("McNemar")));
  const json result = parse_json(compare(other, {"--json", "-"}).out);
  const json &paired = result["paired"], &compared = result["compared"];
  EXPECT_EQ(result["model"], one);
  EXPECT_EQ(compared["model"], other);
  EXPECT_EQ(compared["backend"], "integer");
  const auto count = [&](const char* key) { return paired[key].get<int>(); };
  EXPECT_EQ(count("both") + count("only_first"), result["correct"]);
  EXPECT_EQ(count("both") + count("only_second"), compared["correct"]);
  EXPECT_EQ(count("both") + count("only_first") + count("only_second") + count("neither"), 64);
  EXPECT_GT(paired["p_value"], 0);
  EXPECT_LE(paired["p_value"], 1);
  EXPECT_LT(result["accuracy_interval"][0], result["accuracy"]);
  EXPECT_GT(result["accuracy_interval"][1], result["accuracy"]);

  const json same = parse_json(compare(one, {"--json", "-"}).out)["paired"];
  EXPECT_EQ(same["only_first"], 0);
  EXPECT_EQ(same["p_value"], 1);
  expect_refused({"eval", one, "--compare", path("absent.safetensors")}, {"absent.safetensors"});
}

// Errors of the mapping or the front end are reported before the first epoch.
TEST_F(Cli, RefusesSettingsThatContradictEachOther) {
  const std::string out = path("out");
  struct Case {
    std::vector<std::string> settings, parts;
  };
  const std::string taox = "--target=taox-64x64", crossbar = "--set=run.crossbar=true";
  for (const Case& c : std::vector<Case>{
           {{taox, "--set=quant.state.bits=0"}, {"quant.state.bits = 0", "--target"}},
           {{taox, "--set=quant.gate.bits=0"}, {"quant.gate.bits = 0", "--target"}},
           {{"--set=quant.array.state_noise=0.25", "--set=quant.state.residue_bits=4"},
            {"quant.state.residue_bits = 4", "quant.array.state_noise = 0.25", "expected 0"}},
           {{"--set=quant.state.rounding=stochastic", "--set=quant.state.residue_bits=4"},
            {"quant.state.residue_bits = 4", "stochastic"}},
           {{crossbar, "--set=quant.weight.bits=0"}, {"quant.weight.bits = 0", "run.crossbar"}},
           {{crossbar, "--set=quant.preset=w0a8s8"}, {"quant.a.bits = 0", "run.crossbar"}},
           {{crossbar, "--set=run.quantize=false"}, {"run.crossbar", "run.quantize"}},
           {{"--set=augment.band_masks=1", "--set=front_end.kind=waveform"},
            {"augment.band_masks = 1", "waveform"}},
           {{"--set=augment.band_masks=1", "--set=augment.band_mask=20"},
            {"augment.band_mask = 20", "front_end.bands = 20"}}}) {
    std::vector<std::string> arguments = {"train", "--out", out};
    arguments.insert(arguments.end(), c.settings.begin(), c.settings.end());
    expect_refused(arguments, c.parts);
  }
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Cli, RefusesBadConfigurationFiles) {
  write("unknown.toml", "[model]\nchannels = 8\nwidht = 3\n");
  write("range.toml", "[train]\n\nepochs = 0\n");
  write("syntax.toml", "[train\n");
  expect_refused({"train", "--config", path("unknown.toml")}, {"unknown.toml:3", "widht"});
  expect_refused({"train", "--config", path("range.toml")}, {"range.toml:3", "train.epochs"});
  expect_refused({"train", "--config", path("syntax.toml")}, {"syntax.toml:1"});
  expect_refused({"train", "--config", path("absent.toml")}, {"absent.toml"});
}

TEST_F(Cli, RefusesBadUsage) {
  expect_refused({},
                 {"demo, train, eval, quantize, convert, export, prune, deploy, simulate, stream, "
                  "info, device, array, "
                  "cost, break-even, sweep, search, bench"});
  expect_refused({"dmeo"}, {"dmeo", "demo"});
  expect_refused({"--fast"}, {"--fast"});
  expect_refused({"train", "--fast"}, {"--fast", "train --help"});
  expect_refused({"train", "--threads", "x"}, {"--threads"});
  expect_refused({"train", "--threads", "-1"}, {"--threads"});
  expect_refused({"train", "--seed", "-1"}, {"--seed"});
  for (const char* option : {"--config", "--data", "--out", "--seed", "--json"}) {
    expect_refused({"train", option, ""}, {option, "empty"});
  }
  expect_refused({"eval"}, {"MODEL"});
  expect_refused({"eval", "absent", "--predictions", ""}, {"--predictions", "empty"});
  expect_refused({"eval", "absent", "--predictions", "-", "--json", "-"},
                 {"--predictions", "--json"});
  expect_refused({"bench"}, {"bench"});
  expect_refused({"bench", "train", "--norm", "group"}, {"group"});
  expect_refused({"bench", "train", "--states", "3"}, {"--states", "3", "even"});
  expect_refused({"bench", "scan", "--state-bits", "1"}, {"--state-bits", "1"});
  expect_refused({"bench", "scan", "--isa", "mmx"}, {"mmx"});
}

TEST_F(Cli, RefusesUnwritablePlaces) {
  write("file", "x");
  const std::string below = path("file") + "/out";
  expect_refused({"train", "--out", below}, {below});
  expect_refused({"demo", "--out", below}, {below});
  expect_refused({"train", "--out", path("out"), "--json", below}, {path("file")});
  expect_refused({"train", "--out", path("out"), "--json", directory_.string()},
                 {directory_.string()});
  // Reported before training, not after it.
  for (const std::string& place : {std::string("/dev/null"), path("new") + "/"}) {
    expect_refused({"train", "--out", path("out"), "--json", place}, {place});
    expect_refused({"eval", "absent", "--predictions", place}, {place});
  }
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(Cli, TellsThatItsOutputWasLost) {
  const Process process(
      directory_,
      {"bench", "scan", "--channels", "1", "--states", "2", "--length", "9", "--repeats", "1"},
      "/dev/full");
  EXPECT_EQ(process.wait(), 2);
  EXPECT_THAT(process.err(), HasSubstr("standard output"));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(Cli, StaysWithinTheMemoryOfTheMachine) {
  const Process process(directory_, tiny("train", path("out"), {"--set", "train.epochs=1000"}));
  ASSERT_TRUE(process.wait_for_file(path("out")));
  const std::string limits = read_file("/proc/" + std::to_string(process.id()) + "/limits");
  process.send(SIGKILL);
  process.wait();
  const std::size_t line = limits.find("Max data size");
  ASSERT_NE(line, std::string::npos);
  EXPECT_GT(std::strtoull(limits.c_str() + line + 13, nullptr, 10), 1u << 20) << limits;
}
#endif

TEST_F(Cli, KeepsItsProgressWithinOneRowOfTheTerminal) {
  const std::string shown =
      call_on_terminal(tiny("train", path("out"), {"--set", "train.log_every=1"}), 30);
  std::size_t rows = 0, longest = 0;
  const std::string erase = "\r\x1b[K";
  for (std::size_t at = 0; (at = shown.find(erase, at)) != std::string::npos; ++rows) {
    at += erase.size();
    longest = std::max(longest, shown.find_first_of("\r\n", at) - at);
  }
  EXPECT_GT(rows, 20u);
  EXPECT_EQ(longest, 29u) << shown;
}

TEST_F(Cli, EndsTheLineOfAStageThatLosesPatience) {
  // Nothing changes from epoch to epoch, so the second is no better than the first.
  const std::string shown =
      call_on_terminal(tiny("train", path("out"),
                            {"--set", "train.epochs=30", "--set", "train.patience=1", "--set",
                             "train.learning_rate=0", "--set", "train.recurrence_rate=0", "--set",
                             "model.norm=none", "--set", "run.quantize=false"}),
                       200);
  const std::size_t last = shown.rfind("float epoch");
  ASSERT_NE(last, std::string::npos) << shown;
  EXPECT_THAT(shown.substr(last), testing::StartsWith("float epoch   2/30"));
  const std::size_t end = shown.find_first_of("\r\n", last);
  EXPECT_EQ(shown.substr(end, 2), "\r\n") << shown;
}

TEST_F(Cli, RefusesDamagedData) {
  const auto refuse = [&](const std::string& data, const std::vector<std::string>& parts) {
    expect_refused({"train", "--out", path("out"), "--data", data}, parts);
  };
  refuse(path("absent"), {"absent"});
  const std::string image = "train-images-idx3-ubyte", label = "t10k-labels-idx1-ubyte";
  const std::string header("\0\0\x08\x03\0\0\0\2\0\0\0\4\0\0\0\4", 16);
  refuse(make_data("short", image, header + std::string(31, 'x')), {image, "31", "2 x 4 x 4"});
  refuse(make_data("cut", image, header.substr(0, 9)), {image, "9"});
  refuse(make_data("empty", image, ""), {image, "0 bytes"});
  refuse(make_data("magic", label, std::string("\0\0\x0d\x01\0\0\0\2ab", 10)),
         {label, "0x00000d01"});
  refuse(make_data("counts", label, std::string("\0\0\x08\x01\0\0\0\3\0\1\0", 11)), {label, "3"});
  const std::string data = make_data("gzip");
  fs::remove(fs::path(data) / image);
  write("gzip/" + image + ".gz", "not gzip");
  refuse(data, {image + ".gz"});
}

TEST_F(Cli, RefusesDamagedModels) {
  ASSERT_EQ(
      call(tiny("train", path("out"), {"--set", "train.epochs=1", "--set", "run.quantize=false"}))
          .code,
      0);
  const std::string good = read_file(path("out/float.safetensors"));
  const auto refuse = [&](const std::string& name, const std::string& bytes,
                          std::vector<std::string> parts) {
    write(name, bytes);
    parts.push_back(name);
    expect_refused({"eval", path(name)}, parts);
    expect_refused({"info", path(name)}, parts);
  };
  refuse("cut.safetensors", good.substr(0, good.size() - 5), {});
  refuse("short.safetensors", good.substr(0, 6), {});
  refuse("header.safetensors", std::string(8, '\xff') + good.substr(8), {});
  std::string bad_json = good;
  bad_json[8] = '[';
  refuse("json.safetensors", bad_json, {});
  refuse("text.safetensors", "hello, world: this is no model at all", {});

  formats::Safetensors content = formats::read_safetensors(path("out/float.safetensors"));
  formats::Safetensors large = content;
  for (const char* name : {"encoder.weight", "encoder.bias", "decoder.weight"}) {
    formats::Tensor& tensor = large.tensors.at(name);
    const std::vector<float> values(tensor.bytes.size() / sizeof(float), 3e38f);
    tensor = formats::Tensor::from(values, tensor.shape);
  }
  write("large.safetensors", formats::format_safetensors(large));
  expect_refused({"eval", path("large.safetensors")}, {"large.safetensors", "finite"});
  content.tensors["encoder.weight"] = formats::Tensor::from(std::vector<float>(5), {5, 1});
  refuse("shape.safetensors", formats::format_safetensors(content), {"encoder.weight"});
  content.tensors.erase("encoder.weight");
  refuse("missing.safetensors", formats::format_safetensors(content), {"encoder.weight"});
  content.metadata.clear();
  refuse("metadata.safetensors", formats::format_safetensors(content), {"metadata"});

  expect_refused({"eval", path("absent.safetensors")}, {"absent.safetensors"});
  // Two classes in this data, ten in the model.
  expect_refused({"eval", path("out/float.safetensors"), "--data", make_data("two")},
                 {"float.safetensors", "10", "2"});
}

// --- good input
// ------------------------------------------------------------------------------------

TEST_F(Cli, ExplainsItself) {
  const Result whole = call({"--help"});
  EXPECT_EQ(whole.code, 0);
  for (const char* name :
       {"demo", "train", "eval", "quantize", "stream", "info", "device", "bench"}) {
    EXPECT_THAT(whole.out, HasSubstr(name));
  }
  for (const std::string name : {"demo", "train"}) {
    const Result result = call({name, "--help"});
    EXPECT_EQ(result.code, 0);
    EXPECT_EQ(result.err, "");
    for (const char* option : {"--config", "--set", "--seed", "--threads", "--json", "--quiet"}) {
      EXPECT_THAT(result.out, HasSubstr(option)) << name;
    }
  }
  EXPECT_THAT(call({"bench", "train", "--help"}).out, HasSubstr("--state-bits"));
  EXPECT_EQ(call({"--version"}).code, 0);
}

TEST_F(Cli, TrainsEvaluatesAndDescribes) {
  const std::string out = path("out");
  const Result trained = call(tiny("train", out, {"--json", path("copy.json")}));
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(trained.out, HasSubstr("quantization-aware training"));
  // One plain line per epoch.
  EXPECT_EQ(std::count(trained.err.begin(), trained.err.end(), '\n'), 6) << trained.err;
  EXPECT_EQ(trained.err.find('\r'), std::string::npos);

  const json summary = parse_json(read_file(out + "/summary.json"));
  for (const char* stage : {"float", "ptq", "qat"}) {
    ASSERT_TRUE(summary.contains(stage)) << stage;
    for (const char* key : {"accuracy", "loss", "validation_accuracy", "seconds", "weight_bits",
                            "state_bits", "memory"}) {
      EXPECT_TRUE(summary[stage].contains(key)) << stage << ' ' << key;
    }
    EXPECT_THAT(summary[stage]["memory"]["total"].get<int>(), testing::Gt(0));
  }
  for (const char* key : {"parameters", "seconds", "seed", "threads", "machine", "config",
                          "weight_bits", "state_bits", "data"}) {
    EXPECT_TRUE(summary.contains(key)) << key;
  }
  EXPECT_EQ(summary["format"], "crosstate summary 1");
  const std::string page = read_file(out + "/report.html");
  for (const char* part : {"training and quantization", "Learning curves", "Confusion matrix",
                           "Sites after quantization-aware training", "layers.0.linear.weight"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  EXPECT_EQ(summary["float"]["history"].size(), 3u);
  EXPECT_GE(summary["qat"]["best_epoch"], 1);
  EXPECT_LT(summary["qat"]["memory"]["weights"], summary["float"]["memory"]["weights"]);
  EXPECT_EQ(parse_json(read_file(path("copy.json")))["qat"]["accuracy"],
            summary["qat"]["accuracy"]);

  for (const std::string stage : {"float", "ptq", "qat"}) {
    const std::string model = out + "/" + stage + ".safetensors";
    const Result evaluated = call({"eval", model, "--set", "data.test_limit=64", "--json", "-",
                                   "--predictions", path("predictions.csv")});
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    EXPECT_EQ(parse_json(evaluated.out)["accuracy"], summary[stage]["accuracy"]) << stage;
    const std::string csv = read_file(path("predictions.csv"));
    EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 65);
    const Result described = call({"info", model});
    ASSERT_EQ(described.code, 0) << described.err;
    for (const char* part : {"encoder.weight", "layers.0.log_dt", "4 x 2", "time constants"}) {
      EXPECT_THAT(described.out, HasSubstr(part));
    }
    const json details = parse_json(call({"info", model, "--json", "-"}).out);
    EXPECT_EQ(details["quantized"], stage != "float");
    EXPECT_LT(details["layers"][0]["a_max"], 1);
    EXPECT_EQ(details["parameters"],
              summary["parameters"].get<int>() - (stage == "float" ? 0 : 16));
  }
}

TEST_F(Cli, EvaluatesAndStreamsWholeNumbers) {
  const std::string out = path("out");
  ASSERT_EQ(call(tiny("train", out, {"--set", "quant.weight_scales=pow2"})).code, 0);
  const auto predictions = [&](const std::string& model, const std::string& backend) {
    const std::string csv = path(backend + ".csv");
    const Result result = call({"eval", out + model, "--backend", backend, "--predictions", csv,
                                "--set", "data.test_limit=64", "--json", "-"});
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(parse_json(result.out)["backend"], backend);
    return read_file(csv);
  };
  const std::string integer = predictions("/qat.integer.safetensors", "integer");
  EXPECT_EQ(integer, predictions("/qat.safetensors", "integer"));
  EXPECT_EQ(integer, predictions("/qat.safetensors", "fake"));  // all scales are powers of two
  EXPECT_NE(integer, predictions("/qat.safetensors", "float"));

  // The first test digit as text, twice; then as raw numbers.
  const data::TrainTest sets = data::read_mnist_sample();
  std::string text, raw;
  for (int copy = 0; copy < 2; ++copy) {
    for (const float v : sets.test.sequence(0)) text += std::to_string(v) + '\n';
    text += '\n';
  }
  for (const float v : sets.test.sequence(0)) {
    const float rounded = std::stof(std::to_string(v));
    raw.append(reinterpret_cast<const char*>(&rounded), sizeof rounded);
  }
  write_file(path("stdin.txt"), text);
  const Result streamed = call({"stream", out + "/qat.integer.safetensors"});
  ASSERT_EQ(streamed.code, 0) << streamed.err;
  ASSERT_EQ(std::count(streamed.out.begin(), streamed.out.end(), '\n'), 2);
  EXPECT_EQ(streamed.out.substr(0, streamed.out.size() / 2),
            streamed.out.substr(streamed.out.size() / 2));
  EXPECT_THAT(streamed.out, testing::StartsWith("784,"));
  write_file(path("stdin.txt"), raw);
  const Result binary = call({"stream", out + "/qat.safetensors", "--input", "raw"});
  EXPECT_EQ(binary.out, streamed.out.substr(0, streamed.out.size() / 2));
  const Result steps =
      call({"stream", out + "/qat.safetensors", "--input", "raw", "--output", "step"});
  EXPECT_EQ(std::count(steps.out.begin(), steps.out.end(), '\n'), 784);
  EXPECT_THAT(steps.out, testing::EndsWith(binary.out));

  write_file(path("stdin.txt"), "0.5\n0.1 0.2\n");
  expect_refused({"stream", out + "/qat.safetensors"}, {"standard input:2", "2 values"});
  write_file(path("stdin.txt"), "0.5\nnan\n");
  expect_refused({"stream", out + "/qat.safetensors"}, {"standard input:2", "not finite"});
  write_file(path("stdin.txt"), "0.5\nblack\n");
  expect_refused({"stream", out + "/qat.safetensors"}, {"standard input:2", "\"black\""});
  write_file(path("stdin.txt"), "12345");
  expect_refused({"stream", out + "/qat.safetensors", "--input", "raw"}, {"step 1", "1 bytes"});
  expect_refused({"stream", out + "/float.safetensors"}, {"float.safetensors", "float model"});
  for (const std::string backend : {"fake", "integer"}) {
    expect_refused({"eval", out + "/float.safetensors", "--backend", backend},
                   {"float.safetensors", "float model", "expected --backend float"});
  }
  EXPECT_EQ(
      call({"eval", out + "/qat.safetensors", "--predictions", "-", "--set", "data.test_limit=64"})
          .out,
      integer);
  expect_refused({"eval", out + "/qat.integer.safetensors", "--backend", "float"},
                 {"qat.integer.safetensors", "integer network"});

  const json info = parse_json(call({"info", out + "/qat.integer.safetensors", "--json", "-"}).out);
  EXPECT_EQ(info["certificate"]["fits_int32"], true);
  EXPECT_EQ(info["usage"]["sequences"], 100);
  EXPECT_TRUE(info["usage"]["saturation"].contains("layers.0.state"));
  EXPECT_EQ(info["usage"]["modes"].size(), info["layers"].size());
  EXPECT_EQ(info["certificate"]["exact_in_float"], true);
  EXPECT_THAT(call({"info", out + "/qat.safetensors"}).out, HasSubstr("Certificate"));
  const std::string tables = call({"info", out + "/qat.integer.safetensors"}).out;
  EXPECT_THAT(tables, testing::ContainsRegex("layers.0.state +8-bit +-127 to 127"));
  EXPECT_THAT(tables,
              testing::ContainsRegex("residual +8-bit +-[0-9]+ to [0-9]+ +-[0-9.]+ to [0-9.]+"));
}

TEST_F(Cli, QuantizesAfterTraining) {
  const std::string out = path("out");
  ASSERT_EQ(call(tiny("train", out)).code, 0);
  const Result result =
      call({"quantize", out + "/float.safetensors", "--out", path("ptq"), "--json", "-", "--set",
            "data.train_limit=160", "--set", "data.test_limit=64", "--set", "quant.preset=w4a8s8"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json summary = parse_json(result.out);
  EXPECT_EQ(summary["integer"], true);
  const json again = parse_json(
      call({"eval", path("ptq/ptq.safetensors"), "--json", "-", "--set", "data.test_limit=64"})
          .out);
  EXPECT_EQ(again["accuracy"], summary["accuracy"]);
  EXPECT_TRUE(fs::exists(path("ptq/ptq.integer.safetensors")));
  expect_refused({"quantize", out + "/qat.safetensors", "--out", path("no")},
                 {"qat.safetensors", "already quantized"});
  EXPECT_FALSE(fs::exists(path("no")));
}

TEST_F(Cli, SearchesTheFormatOfANetwork) {
  const std::string out = path("out"), model = out + "/float.safetensors";
  ASSERT_EQ(call(tiny("train", out)).code, 0);
  // Two sites to choose, on few sequences.
  std::vector<std::string> arguments = {"quantize", model, "--json", "-"};
  for (const char* setting :
       {"data.train_limit=160", "data.test_limit=64", "run.calibration=32", "quant.a.bits=8",
        "quant.encoder.bits=8", "quant.d.bits=8", "quant.c.bits=8", "quant.input.bits=8",
        "quant.residual.bits=8", "quant.ssm_output.bits=8", "quant.activation.bits=8",
        "quant.linear.bits=8", "quant.gate.bits=8", "quant.state.bits=8",
        "quant.state.residue_bits=4"}) {
    arguments.insert(arguments.end(), {"--set", setting});
  }
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), arguments.begin(), arguments.end());
    return more;
  };
  const Result result =
      call(with({"--out", path("loss"), "--loss", "40", "--set", "ptq.sequences=16"}));
  ASSERT_EQ(result.code, 0) << result.err;
  const json summary = parse_json(result.out);
  const json of_integers = parse_json(call({"eval", path("loss/ptq.integer.safetensors"), "--json",
                                            "-", "--set", "data.test_limit=64"})
                                          .out);
  EXPECT_EQ(summary["accuracy"], of_integers["accuracy"]);
  EXPECT_LE(summary["held_out"]["points_lost"], 40);
  EXPECT_EQ(summary["bytes"], summary["memory"]["total"]);
  EXPECT_EQ(summary["quant"]["residual"]["bits"], 8);
  EXPECT_LT(summary["quant"]["weight"]["bits"], 8);
  EXPECT_EQ(summary["choices"].size(), 13u);

  const int bytes = summary["bytes"];
  const Result best =
      call(with({"--out", path("bytes"), "--bytes", std::to_string(bytes), "--threads", "2"}));
  ASSERT_EQ(best.code, 0) << best.err;
  EXPECT_LE(parse_json(best.out)["bytes"], bytes);

  expect_refused(with({"--out", path("no"), "--bytes", "100"}),
                 {"--bytes 100: ptq.bytes = 100", "expected at least"});
  expect_refused(with({"--out", path("no"), "--bytes", "9000", "--loss", "1"}),
                 {"ptq.loss has no effect with ptq.bytes = 9000"});
  expect_refused(with({"--out", path("no"), "--loss", "1", "--set", "train.validation=0"}),
                 {"--set train.validation=0: train.validation = 0"});
  expect_refused(with({"--out", path("no"), "--loss", "1", "--set", "quant.weight.bits=0"}),
                 {"--set quant.weight.bits=0: quant.weight.bits = 0", "expected codes"});
  expect_refused(
      {"quantize", model, "--out", path("no"), "--loss", "1", "--set", "quant.preset=float"},
      {"--set quant.preset=float: quant.input.bits = 0 by quant.preset = \"float\"",
       "expected codes"});
  expect_refused({"quantize", model, "--out", path("no"), "--set", "quant.preset=float"},
                 {"--set quant.preset=float: quant.preset = \"float\" leaves every site in "
                  "floating point"});
  expect_refused(with({"--out", path("no"), "--set", "ptq.sequences=20"}),
                 {"ptq.sequences has no effect"});
  expect_refused({"quantize", model, "--set", "quant.bias_correction=true"},
                 {"quant.bias_correction has no effect"});
  expect_refused({"quantize", model, "--set", "quant.a.coding=polar"},
                 {"quant.a.coding has no effect", "quant.a.bits"});
  expect_refused({"quantize", model, "--set", "quant.weight.learned=true"},
                 {"quant.weight.learned has no effect"});
  EXPECT_FALSE(fs::exists(path("no/ptq.safetensors")));
}

// The validation part is not used to choose ranges, in either command.
TEST_F(Cli, QuantizesAsTrainingDoes) {
  write_tones("tones");
  const std::vector<std::string> sounds = {"--data", path("tones")};
  for (const std::vector<std::string>& data :
       {std::vector<std::string>{},
        sounds,
        {"--data", path("tones"), "--set", "data.validation_speaker=ann"}}) {
    const std::string out = path("out"), ptq = path("ptq");
    std::vector<std::string> more = {"--set", "qat.epochs=1", "--seed", "5"};
    more.insert(more.end(), data.begin(), data.end());
    ASSERT_EQ(call(tiny("train", out, more)).code, 0);
    std::vector<std::string> arguments = {"quantize",  out + "/float.safetensors",
                                          "--out",     ptq,
                                          "--seed",    "5",
                                          "--threads", "1",
                                          "--set",     "data.train_limit=160",
                                          "--set",     "data.test_limit=64",
                                          "--set",     "run.calibration=32",
                                          "--set",     "quant.preset=w8a8s8"};
    arguments.insert(arguments.end(), data.begin(), data.end());
    const Result result = call(arguments);
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_TRUE(read_file(ptq + "/ptq.safetensors") == read_file(out + "/ptq.safetensors"));
    fs::remove_all(ptq);
    if (data.size() <= 2) {
      arguments.insert(arguments.end(), {"--set", "train.validation=0.5"});
      ASSERT_EQ(call(arguments).code, 0);
      EXPECT_FALSE(read_file(ptq + "/ptq.safetensors") == read_file(out + "/ptq.safetensors"));
      fs::remove_all(ptq);
    }
    fs::remove_all(out);
  }
}

TEST_F(Cli, StartsFromAFloatModel) {
  ASSERT_EQ(call(tiny("train", path("whole"))).code, 0);
  const std::string start = "run.start=" + path("whole/float.safetensors");
  ASSERT_EQ(call(tiny("train", path("again"), {"--set", start})).code, 0);
  EXPECT_TRUE(read_file(path("whole/qat.safetensors")) == read_file(path("again/qat.safetensors")));
  const json summary = parse_json(read_file(path("again/summary.json")));
  EXPECT_EQ(summary["float"]["accuracy"],
            parse_json(read_file(path("whole/summary.json")))["float"]["accuracy"]);

  // Everything else is removed, including its own directory.
  ASSERT_EQ(call(tiny("train", path("whole"), {"--set", start, "--overwrite"})).code, 0);
  EXPECT_TRUE(read_file(path("whole/qat.safetensors")) == read_file(path("again/qat.safetensors")));

  expect_refused(tiny("train", path("no"), {"--set", "run.start=absent"}), {"absent"});
  expect_refused(tiny("train", path("no"), {"--set", "run.start=" + path("again/qat.safetensors")}),
                 {"again/qat.safetensors", "already quantized"});
  expect_refused(tiny("train", path("no"), {"--set", start, "--set", "model.dt_min=0.002"}),
                 {"whole/float.safetensors", "model.dt_min is", "expected 0.002"});
  expect_refused(tiny("train", path("no"), {"--set", start, "--set", "data.permutation_seed=2"}),
                 {"whole/float.safetensors", "other data"});
}

TEST_F(Cli, TrainsAndEvaluatesOnRecordings) {
  write_tones("tones");
  const std::vector<std::string> sounds = {"--data",         path("tones"), "--set",
                                           "augment.gain=6", "--set",       "front_end.bands=8"};
  ASSERT_EQ(call(tiny("train", path("whole"), sounds)).code, 0);
  const json summary = parse_json(read_file(path("whole/summary.json")));
  for (const std::string stage : {"float", "qat"}) {
    // The front end is not given.
    const Result evaluated = call(
        {"eval", path("whole/" + stage + ".safetensors"), "--data", path("tones"), "--json", "-"});
    ASSERT_EQ(evaluated.code, 0) << evaluated.err;
    EXPECT_EQ(parse_json(evaluated.out)["accuracy"], summary[stage]["accuracy"]) << stage;
    EXPECT_DOUBLE_EQ(parse_json(evaluated.out)["loss"], summary[stage]["loss"]) << stage;
  }
  for (const std::string model : {"whole/qat.safetensors", "whole/qat.integer.safetensors"}) {
    constexpr const char* kHint = "--data with recordings";
    EXPECT_THAT(call({"info", path(model)}).out, HasSubstr(kHint));
    const Result measured = call({"info", path(model), "--data", path("tones")});
    EXPECT_THAT(measured.out, AllOf(HasSubstr("Dead modes on"), Not(HasSubstr(kHint))));
  }
  EXPECT_THAT(call({"info", path("whole/qat.safetensors")}).out, HasSubstr("log-mel, 8 bands"));
  expect_refused({"eval", path("whole/qat.safetensors")}, {"qat.safetensors", "recordings"});

  // On another number of threads, and resumed: augmented epochs have addresses.
  std::vector<std::string> threads = sounds;
  threads.insert(threads.end(), {"--threads", "2"});
  ASSERT_EQ(call(tiny("train", path("threads"), threads)).code, 0);
  EXPECT_TRUE(read_file(path("whole/qat.safetensors")) ==
              read_file(path("threads/qat.safetensors")));

  write("tones/low_ann_7.wav", "no samples");
  expect_refused(tiny("train", path("no"), sounds), {"low_ann_7.wav", "WAV"});
}

TEST_F(Cli, DemonstratesEveryStage) {
  const std::string out = path("out");
  const Result result = call(tiny(
      "demo", out,
      {"--set", "train.epochs=2", "--set", "qat.epochs=2", "--set", "simulate.chips=2", "--set",
       "sweep.noise=0 0.1", "--set", "sweep.chips=1", "--set", "sweep.sequences=32"}));
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("crossbar, 2 chips"));
  const json summary = parse_json(read_file(out + "/summary.json"));
  for (const char* key : {"accuracy_mean", "accuracy_std", "accuracy_worst", "arrays",
                          "utilisation", "conversions_per_step", "seconds", "sweep"}) {
    EXPECT_TRUE(summary["crossbar"].contains(key)) << key;
  }
  EXPECT_EQ(summary["crossbar"]["sweep"].size(), 2u);
  const std::string page = read_file(out + "/report.html");
  for (const char* part : {"Learning curves", "Accuracy of each stage", "against device noise"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
  expect_refused({"demo", "--out", path("no"), "--set", "quant.state.rounding=feedback"},
                 {"quant.state.rounding", "write quant.state.residue_bits = 14"});
  EXPECT_FALSE(fs::exists(path("no")));
}

TEST_F(Cli, MeasuresSpeed) {
  const Result train =
      call({"bench", "train", "--channels", "4", "--states", "4", "--layers", "1", "--length", "28",
            "--batch", "16", "--repeats", "3", "--state-bits", "8", "--threads", "1"});
  ASSERT_EQ(train.code, 0) << train.err;
  const json result = parse_json(train.out);
  EXPECT_GT(result["seconds_per_60000"], 0);
  EXPECT_LE(result["step_ms"]["min"], result["step_ms"]["median"]);
  EXPECT_LE(result["step_ms"]["median"], result["step_ms"]["max"]);
  EXPECT_GT(result["peak_gflops"], result["gflops"]);
  for (const char* key :
       {"share_of_peak", "instruction_set", "threads", "settings", "parameters"}) {
    EXPECT_TRUE(result.contains(key)) << key;
  }
  for (const char* key : {"forward_ns", "adjoint_ns", "share_of_peak"}) {
    EXPECT_GT(result["scan"][key], 0) << key;
  }
  EXPECT_EQ(call({"bench", "scan", "--channels", "2", "--repeats", "1", "--isa", "best"}).code, 0);
}

// --- interruptions
// ---------------------------------------------------------------------------------

class CliResume : public Cli {
 protected:
  // Long enough for a signal to arrive during training.
  std::vector<std::string> arguments(const std::string& name, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"--set", "train.epochs=12", "--set", "qat.epochs=12"});
    return tiny("train", path(name), more);
  }

  // Waits until the stage has saved `epochs` of its epochs.
  bool wait_for(const Process& process, const std::string& name, const std::string& stage,
                std::ptrdiff_t epochs) const {
    const std::string log = path(name + "/" + stage + ".jsonl");
    return process.wait_until([&] { return lines_of(log) >= epochs; });
  }

  void expect_same_models(const std::string& one, const std::string& other) const {
    for (const std::string model : {"float", "ptq", "qat"}) {
      EXPECT_TRUE(read_file(path(one + "/" + model + ".safetensors")) ==
                  read_file(path(other + "/" + model + ".safetensors")))
          << model << " differs";
    }
    const json a = parse_json(read_file(path(one + "/summary.json")));
    const json b = parse_json(read_file(path(other + "/summary.json")));
    EXPECT_EQ(a["qat"]["accuracy"], b["qat"]["accuracy"]);
    EXPECT_EQ(a["qat"]["best_epoch"], b["qat"]["best_epoch"]);
  }
};

TEST_F(CliResume, ContinuesAfterCtrlC) {
  ASSERT_EQ(call(arguments("whole")).code, 0);
  for (const std::string stage : {"float", "qat"}) {
    const Process process(directory_, arguments(stage));
    ASSERT_TRUE(wait_for(process, stage, stage, 3));
    process.send(SIGINT);
    ASSERT_EQ(process.wait(), 130) << process.err();
    EXPECT_THAT(process.err(), HasSubstr("--resume"));
    EXPECT_FALSE(fs::exists(path(stage + "/qat.safetensors")));
    const Result resumed = call(arguments(stage, {"--resume"}));
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    expect_same_models("whole", stage);
  }
}

TEST_F(CliResume, StopsWhileItSimulatesChips) {
  const Process process(directory_, tiny("demo", path("out"), {"--set", "simulate.chips=100000"}));
  ASSERT_TRUE(wait_for(process, "out", "qat", 3));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  process.send(SIGINT);
  EXPECT_EQ(process.wait(), 130) << process.err();
  EXPECT_FALSE(fs::exists(path("out/summary.json")));
}

TEST_F(CliResume, ContinuesAfterKill) {
  ASSERT_EQ(call(arguments("whole")).code, 0);
  for (const std::string stage : {"float", "qat"}) {
    const Process process(directory_, arguments(stage));
    ASSERT_TRUE(wait_for(process, stage, stage, 2));
    process.send(SIGKILL);
    ASSERT_EQ(process.wait(), -SIGKILL);
    const Result resumed = call(arguments(stage, {"--resume", "--threads", "2"}));
    ASSERT_EQ(resumed.code, 0) << resumed.err;
    expect_same_models("whole", stage);
  }
}

TEST_F(CliResume, ContinuesThroughStagesWithATeacherAndAverages) {
  const std::vector<std::string> more = {"--set", "qat.stages=w8a0s0:4 w8a8s8:4 w2a8s8",
                                         "--set", "quant.preset=w2a8s8",
                                         "--set", "qat.distill=0.5",
                                         "--set", "qat.average=0.9",
                                         "--set", "train.average=0.8"};
  ASSERT_EQ(call(arguments("whole", more)).code, 0);
  const Process process(directory_, arguments("part", more));
  ASSERT_TRUE(wait_for(process, "part", "qat", 4));
  process.send(SIGINT);
  ASSERT_EQ(process.wait(), 130) << process.err();
  EXPECT_THAT(process.err(), HasSubstr("qat w8a0s0"));
  std::vector<std::string> resumed = more;
  resumed.push_back("--resume");
  ASSERT_EQ(call(arguments("part", resumed)).code, 0);
  expect_same_models("whole", "part");
}

TEST_F(CliResume, ContinuesOnVariedRecordings) {
  write_tones("tones");
  const std::vector<std::string> sounds = {"--data", path("tones"),    "--set", "augment.speed=0.1",
                                           "--set",  "train.epochs=80"};
  ASSERT_EQ(call(arguments("whole", sounds)).code, 0);
  const Process process(directory_, arguments("part", sounds));
  ASSERT_TRUE(wait_for(process, "part", "float", 2));
  process.send(SIGINT);
  ASSERT_EQ(process.wait(), 130) << process.err();
  std::vector<std::string> resumed = sounds;
  resumed.push_back("--resume");
  ASSERT_EQ(call(arguments("part", resumed)).code, 0);
  expect_same_models("whole", "part");
}

TEST_F(CliResume, RefusesTheCheckpointOfAnotherRun) {
  ASSERT_EQ(call(tiny("train", path("out"))).code, 0);
  const Result result = call(tiny("train", path("out"), {"--resume", "--set", "model.channels=8"}));
  EXPECT_EQ(result.code, 2);
  EXPECT_THAT(result.err, HasSubstr("model.channels"));
  EXPECT_THAT(result.err, HasSubstr("float.checkpoint.safetensors"));
}

TEST_F(CliResume, ResumesAFinishedRunToTheSameResult) {
  ASSERT_EQ(call(tiny("train", path("out"))).code, 0);
  fs::copy(path("out"), path("copy"));
  ASSERT_EQ(call(tiny("train", path("out"), {"--resume"})).code, 0);
  expect_same_models("copy", "out");
}

TEST(Configurations, DemoFileSaysWhatIsBuiltIn) {
  pipeline::RunOptions built_in = pipeline::demo_options(), from_file;
  from_file.fields().read_toml(CROSSTATE_SOURCE_DIR "/configs/demo.toml");
  EXPECT_EQ(from_file.fields().to_toml(), built_in.fields().to_toml());
}

TEST(Configurations, EveryFileIsValid) {
  for (const auto& entry : fs::directory_iterator(CROSSTATE_SOURCE_DIR "/configs")) {
    if (entry.path().extension() != ".toml") continue;
    pipeline::RunOptions options;
    ASSERT_NO_THROW(options.fields().read_toml(entry.path())) << entry.path();
    EXPECT_NO_THROW(pipeline::validate(options)) << entry.path();
  }
}

}  // namespace
}  // namespace crosstate
