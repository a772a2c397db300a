// The options common to all subcommands, and those of bench and stream.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/pipeline/options.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class CliOptions : public Cli {
 protected:
  json json_of(const std::string& name) const { return parse_json(read_file(path(name))); }

  // A scan of a few steps, with its size given by short options.
  Result scan(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"bench",    "scan", "--states",  "4",
                                          "--length", "29",   "--repeats", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return call(arguments);
  }
};

// Three of them are omitted because they would have no effect.
TEST_F(CliOptions, AreTheSameEverywhere) {
  struct Case {
    std::vector<std::string> command;
    std::string without;
  };
  for (const Case& c : std::vector<Case>{{{"demo"}, ""},
                                         {{"train"}, ""},
                                         {{"prune"}, ""},
                                         {{"simulate"}, ""},
                                         {{"sweep"}, ""},
                                         {{"search"}, ""},
                                         {{"quantize"}, "--resume"},
                                         {{"device"}, "--resume"},
                                         {{"bench", "train"}, "--resume"},
                                         {{"bench", "scan"}, "--resume"},
                                         {{"bench", "infer"}, "--resume"},
                                         {{"bench", "array"}, "--resume --threads"},
                                         {{"bench", "chip"}, "--resume"},
                                         {{"deploy"}, "--resume --threads"},
                                         {{"eval"}, "--resume --seed"},
                                         {{"info"}, "--resume --seed --threads"},
                                         {{"cost"}, "--resume --seed --threads"},
                                         {{"break-even"}, "--resume --seed --threads"},
                                         {{"stream"}, "--resume --seed --threads"},
                                         {{"export"}, "--resume --seed --threads"},
                                         {{"array"}, "--resume --seed --threads"}}) {
    std::vector<std::string> arguments = c.command;
    arguments.push_back("--help");
    const Result help = call(arguments);
    EXPECT_EQ(help.code, 0) << c.command.back();
    for (const char* option :
         {"--config FILE", "--set SECTION.KEY=VALUE", "--out ", "--json FILE", "--quiet"}) {
      EXPECT_THAT(help.out, HasSubstr(option)) << c.command.back();
    }
    for (const std::string option : {"--resume", "--seed", "--threads"}) {
      const bool listed = c.without.find(option) == std::string::npos;
      EXPECT_EQ(help.out.find("\n  " + option + ' ') != std::string::npos, listed)
          << c.command.back() << ' ' << option;
      if (listed) continue;
      arguments.back() = option;
      if (option != "--resume") arguments.push_back("1");
      expect_refused(arguments, {c.command.back(), option + " has no effect here: "});
      arguments.resize(c.command.size() + 1);
    }
  }
}

// Every listed setting of a command can be set there, and no other.
TEST_F(CliOptions, OfTheListAreThoseThatAreUsed) {
  pipeline::RunOptions options;
  const FieldList list = options.fields();
  struct Case {
    std::string command;
    std::vector<std::string> used, unused;
  };
  const json all = parse_json(call({"settings", "--json", "-"}).out);
  const auto uses = [&](const std::string& command, const std::string& key) {
    for (const json& setting : all) {
      if (setting["key"] != key) continue;
      for (const json& name : setting["commands"]) {
        if (name == command) return true;
      }
    }
    return false;
  };
  for (const Case& c : std::vector<Case>{
           {"train",
            {"model.channels", "qat.epochs", "sweep.noise"},
            {"prune.steps", "search.bits"}},
           {"demo", {"model.channels", "simulate.times"}, {"prune.against"}},
           {"sweep", {"model.channels", "sweep.patience"}, {"prune.retrain", "search.bits"}},
           {"search", {"search.bits", "qat.epochs"}, {"quant.state.bits", "sweep.series"}},
           {"eval", {"data.test_limit"}, {"quant.preset", "data.train_limit", "run.seed"}},
           {"info", {"data.test_limit"}, {"model.channels"}},
           {"quantize",
            {"quant.preset", "train.validation", "run.calibration"},
            {"qat.epochs", "model.channels", "quant.weight_noise", "quant.array.rows",
             "front_end.bands"}},
           {"prune",
            {"prune.steps", "qat.epochs", "quant.weight_noise"},
            {"model.channels", "train.epochs", "run.start", "front_end.bands"}},
           {"deploy",
            {"device.g_max", "crossbar.rows", "run.seed"},
            {"simulate.times", "data.test_limit", "external.command"}},
           {"simulate",
            {"simulate.times", "data.test_limit", "external.command"},
            {"quant.preset", "data.train_limit", "qat.target_noise"}},
           {"cost", {"cost.steps", "peers.lstm", "crossbar.encoding"}, {"device.g_max"}},
           {"device", {"device.g_max", "population.time"}, {"device.model", "crossbar.rows"}},
           {"stream", {"stream.input"}, {"model.channels"}},
           {"export", {"export.format", "export.unit"}, {"model.channels"}},
           {"array", {"wires.segment", "cells.nl3"}, {"device.g_max"}}}) {
    for (const std::string& key : c.used) EXPECT_TRUE(uses(c.command, key)) << c.command << key;
    std::vector<std::string> arguments = {c.command};
    if (c.command == "array") arguments = {"array", "--conductance", "x", "--voltage", "x"};
    if (c.command == "device") arguments = {"device", "pcm"};
    if (c.command == "sweep") {
      write("s.toml", "[grid]\n\"run.seed\" = [1]\n");
      arguments = {"sweep", path("s.toml")};
    }
    const bool model = std::string(" eval info quantize export prune deploy simulate cost stream ")
                           .find(' ' + c.command + ' ') != std::string::npos;
    if (model) arguments.push_back("absent");
    for (const std::string& key : c.unused) {
      EXPECT_FALSE(uses(c.command, key)) << c.command << ' ' << key;
      const Field* field = list.find(key);
      const std::string value = field == nullptr               ? "1"
                                : field->current().is_string() ? field->current().get<std::string>()
                                                               : exact_json_text(field->current());
      std::vector<std::string> with = arguments;
      with.insert(with.end(), {"--set", key + '=' + value});
      expect_refused(with, {"--set " + key, key + " has no effect in crosstate " + c.command,
                            "crosstate settings " + key});
    }
  }
}

TEST_F(CliOptions, AreAllListedBySettings) {
  const Result listed = call({"settings"});
  EXPECT_EQ(listed.code, 0);
  const json all = parse_json(call({"settings", "--json", "-"}).out);
  EXPECT_GT(all.size(), 200u);
  for (const json& setting : all) {
    EXPECT_THAT('\n' + listed.out, HasSubstr("\n  " + setting["key"].get<std::string>() + ' '));
    EXPECT_FALSE(setting["help"].get<std::string>().empty()) << setting["key"];
    EXPECT_FALSE(setting["commands"].empty()) << setting["key"];
  }
  const Result one = call({"settings", "crossbar.ADC_bits"});
  EXPECT_THAT(one.out, AllOf(HasSubstr("  crossbar.adc_bits"), HasSubstr("8 bits"),
                             HasSubstr("(2 to 16)"), HasSubstr("simulate")));
  EXPECT_THAT(one.out, Not(HasSubstr("dac_bits")));
  const json choice = parse_json(call({"settings", "model.norm", "--json", "-"}).out);
  EXPECT_EQ(choice[0]["choices"], json({"batch", "layer", "none"}));
  EXPECT_EQ(choice[0]["default"], "batch");
  expect_refused({"settings", "no such thing"}, {"settings", "no such thing"});
}

TEST_F(CliOptions, OfHelpFitTheTerminal) {
  for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
           {}, {"train"}, {"search"}, {"cost"}, {"array"}, {"bench", "train"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    const std::string help = call(arguments).out;
    std::size_t lines = 0;
    for (std::size_t at = 0, end; (end = help.find('\n', at)) != std::string::npos; at = end + 1) {
      ++lines;
      EXPECT_LE(end - at, 80u) << help.substr(at, end - at);
    }
    EXPECT_LT(lines, 150u) << arguments.front();
  }
  EXPECT_THAT(call({"train", "--help"}).out,
              AllOf(HasSubstr("\n  quant.preset "), HasSubstr("crosstate settings"),
                    Not(HasSubstr("\n  quant.gate.bits "))));
}

TEST_F(CliOptions, OfOtherCommandsMayStandInAFile) {
  write("all.toml",
        "[run]\nseed = 3\n[model]\nchannels = 4\nnorm = \"layer\"\n[quant]\npreset = \"w4a8s8\"\n"
        "[prune]\nsteps = 9\n[search]\nbytes = 9\n[sweep]\nname = \"x\"\n[bench]\nlength = 29\n"
        "repeats = 1\n[stream]\noutput = \"step\"\n[cells]\nnl3 = 0\n[population]\ncount = 9\n"
        "[cost]\nsteps = 9\n[peers]\nlstm = 3\n[device]\nmodel = \"taox\"\n");
  write("G.csv", "1,2\n");
  write("V.csv", "1\n");
  const std::vector<std::vector<std::string>> commands = {
      {"device", "pcm"},
      {"array", "--conductance", path("G.csv"), "--voltage", path("V.csv")},
      {"bench", "scan", "--states", "4"}};
  for (std::vector<std::string> command : commands) {
    command.insert(command.end(), {"--config", path("all.toml")});
    const Result result = call(command);
    EXPECT_EQ(result.code, 0) << result.err;
  }
  for (const auto& [text, parts] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"[model]\nchanels = 4\n", {"bad.toml:2", "model.channels"}},
           {"[modle]\n", {"bad.toml:1", "[modle]", "[model]"}},
           {"[model]\nchannels = 0\n", {"bad.toml:2", "1 to 4096"}},
           {"[model]\nchannels = 4.0\n", {"bad.toml:2", "model.channels = 4.0"}}}) {
    write("bad.toml", text);
    for (std::vector<std::string> command : commands) {
      command.insert(command.end(), {"--config", path("bad.toml")});
      expect_refused(command, parts);
    }
  }
}

TEST_F(CliOptions, AreRefusedWhereOthersMakeThemIdle) {
  write_tones("tones");
  const std::string out = path("out"), tones = "--data=" + path("tones");
  struct Case {
    std::vector<std::string> arguments;
    std::string key, why;
  };
  const auto set = [](const std::string& setting) { return "--set=" + setting; };
  for (const Case& c : std::vector<Case>{
           {{"train", set("prune.states=0.5")}, "prune.states", "run.prune = false"},
           {{"train", set("simulate.chips=3")}, "simulate.chips", "run.crossbar = false"},
           {{"train", set("sweep.chips=3")}, "sweep.chips", "run.crossbar = false"},
           {{"train", set("device.g_max=9")}, "device.g_max", "run.crossbar = false"},
           {{"train", set("external.command=x")}, "external.command", "run.crossbar = false"},
           {{"train", set("run.quantize=false"), set("quant.preset=w4a8s8")},
            "quant.preset",
            "run.quantize = false"},
           {{"train", set("run.quantize=false"), "--target=pcm"},
            "--target pcm",
            "run.quantize = false"},
           {{"train", "--target=pcm", set("quant.weight_noise=0.1")},
            "quant.weight_noise",
            "--target"},
           {{"train", "--target=pcm", set("simulate.chips=2")}, "simulate.chips", "run.crossbar"},
           {{"train", set("run.start=x"), set("train.epochs=3")}, "train.epochs", "run.start"},
           {{"train", set("qat.temperature=3")}, "qat.temperature", "qat.distill = 0"},
           {{"train", set("qat.distill=1"), set("qat.label_smoothing=0.1")},
            "qat.label_smoothing",
            "qat.distill = 1"},
           {{"train", set("quant.preset=w4a0s8"), set("qat.range_rate=0.01")},
            "qat.range_rate",
            "without learned ranges"},
           {{"train", set("quant.weight_scales=pow2"), set("qat.norm_batches=4")},
            "qat.norm_batches",
            "powers of two"},
           {{"train", set("run.prune=true"), set("prune.states=0"), set("prune.refit=false")},
            "prune.refit",
            "prune.states = 0"},
           {{"train", set("quant.chip_steps=3")}, "quant.chip_steps", "quant.device_noise = 0"},
           {{"train", set("quant.input.percentile=99")},
            "quant.input.percentile",
            "quant.input.range = \"clip\""},
           {{"train", set("quant.a.bits=0"), set("quant.a.coding=polar")},
            "quant.a.coding",
            "quant.a.bits = 0"},
           {{"train", set("quant.preset=w0a8s8"), set("quant.weight.learned=true")},
            "quant.weight.learned",
            "quant.weight.bits = 0"},
           {{"train", set("quant.preset=w8a0s8"), set("quant.scales=free")},
            "quant.scales",
            "activations"},
           {{"train", set("model.gate=none"), set("quant.gate.bits=4")},
            "quant.gate.bits",
            "model.gate = \"none\""},
           {{"train", set("front_end.bands=9")}, "front_end.bands", "images"},
           {{"train", set("front_end.arithmetic=integer")}, "front_end.arithmetic", "images"},
           {{"train", set("augment.time_mask=9")}, "augment.time_mask", "images"},
           {{"train", set("data.longest=9")}, "data.longest", "images"},
           {{"train", tones, set("augment.snr_low=9")}, "augment.snr_low", "augment.noise = 0"},
           {{"train", tones, set("front_end.kind=waveform"), set("front_end.bands=9")},
            "front_end.bands",
            "waveform"},
           {{"train", tones, set("data.test_speaker=ann"), set("data.test_indices=3")},
            "data.test_indices",
            "data.test_speaker"},
           {{"demo", set("prune.states=0.5")}, "prune.states", "run.prune = false"},
           {{"demo", set("external.timeout=3")}, "external.timeout", "external.command empty"},
           {{"eval", "absent", set("data.layout=names")}, "data.layout", "images"},
           {{"simulate", "absent", set("external.command=x"), set("wires.segment=1"), "--chips=1"},
            "wires.segment",
            "external.command"},
           {{"simulate", "absent", set("crossbar.slice_base=4")},
            "crossbar.slice_base",
            "crossbar.slices = 1"},
           {{"simulate", "absent", set("simulate.calibration=4")},
            "simulate.calibration",
            "crossbar.adc_range"},
           {{"deploy", "absent", set("device.max_pulses=4")},
            "device.max_pulses",
            "device.write_verify = false"},
           {{"device", "pcm", set("device.pulse_gain=0.5")},
            "device.pulse_gain",
            "device.write_verify = false"},
           {{"device", "gaussian", set("device.drift=false")}, "device.drift", "gaussian"},
           {{"cost", "absent", set("crossbar.packing=single")}, "crossbar.packing", "no target"},
           {{"search", set("search.states=0 0.5"), set("prune.states=0.5")},
            "prune.states",
            "search.states"},
           {{"search", set("search.states=0 0.5"), set("prune.scope=block")},
            "prune.scope",
            "prune.channels = 0"},
           {{"search", set("quant.preset=w4a8s8")}, "quant.preset", "search.bits"},
           {{"bench", "scan", set("bench.state_rounding=stochastic")},
            "bench.state_rounding",
            "bench.state_bits = 0"}}) {
    std::vector<std::string> arguments = c.arguments;
    if (c.arguments[0] != "device") arguments.insert(arguments.end(), {"--out", out});
    expect_refused(arguments, {c.key, "has no effect with ", c.why});
  }
  expect_refused({"train", "--out", out, set("train.range_rate=0.5")},
                 {"unknown key \"train.range_rate\"", "nearest key"});
  EXPECT_FALSE(fs::exists(out));

  write("s.toml", "[run]\nquantize = false\n[grid]\n\"qat.epochs\" = [1, 2]\n");
  expect_refused({"sweep", path("s.toml"), "--out", out},
                 {"s.toml:4", "qat.epochs has no effect in any point", "run.quantize = false"});
  write("s.toml", "[grid]\n\"run.quantize\" = [true, false]\n");
  expect_refused({"sweep", path("s.toml"), "--out", out, "--set", "prune.scope=block"},
                 {"--set prune.scope=block", "run.prune = false"});
  expect_refused({"sweep", "--out", out, "--dump", "--seed", "3"}, {"--dump", "--seed"});
  expect_refused({"sweep", path("s.toml"), "--out", out, "--retry-failed"}, {"--resume"});
  expect_refused({"device", "--list", "--set", "population.count=3"}, {"--list"});
  EXPECT_FALSE(fs::exists(out));
}

// Everything that can be detected before any work.
TEST_F(CliOptions, AreFoundImpossibleBeforeAnyWork) {
  const std::string out = path("out");
  const auto refuse = [&](std::vector<std::string> arguments,
                          const std::vector<std::string>& parts) {
    arguments.insert(arguments.end(), {"--out", out});
    expect_refused(arguments, parts);
    EXPECT_FALSE(fs::exists(out)) << arguments[0];
  };
  const std::vector<std::string> age = {"simulate.times", "\"0 3d\"", "259200 s", "172800 s"};
  const std::string late = "--set=simulate.times=0 3d", crossbar = "--set=run.crossbar=true";
  refuse({"train", "--target", "neurram", crossbar, late}, age);
  refuse({"demo", "--target", "neurram", late}, age);
  refuse({"train", "--target", "neurram", "--set", "simulate.times=3d"}, {"259200 s", "172800 s"});
  refuse({"simulate", "absent", "--target", "neurram", "--times", "0 3d"}, age);
  refuse({"search", "--set", "device.model=neurram", crossbar, late}, age);
  refuse({"deploy", "absent", "--target", "neurram", "--age", "259200"}, {"259200 s", "172800 s"});
  expect_refused({"device", "neurram", "--time", "259200"}, {"259200 s", "172800 s"});
  write("s.toml",
        "[run]\ncrossbar = true\n[device]\nmodel = \"neurram\"\n\n[grid]\n"
        "\"simulate.times\" = [\"0 1d\", \"0 3d\"]\n");
  refuse({"sweep", path("s.toml")}, {"s.toml:6", "simulate.times", "259200 s"});
  write("t.csv", "time,target,mean,sigma\n0,1,1,0\n0,9,8,0\n60,1,1,0\n60,9,8,0\n");
  refuse({"train", crossbar, "--set", "device.model=table", "--set",
          "device.table=" + path("t.csv"), "--set", "simulate.times=0 1h"},
         {"simulate.times", "3600 s", "60 s"});
  refuse({"train", crossbar, "--set", "device.model=table", "--set", "device.table=absent.csv"},
         {"absent.csv"});
  for (const std::string& driver : {path("absent/driver"), path("t.csv")}) {
    refuse({"train", crossbar, "--set=simulate.chips=1", "--set",
            "external.command=" + driver + " --port 1"},
           {"external.command", driver});
  }
  refuse({"train", "--target", "generic-64x64", "--set", "crossbar.adc_noise=1000", "--set",
          "qat.target_noise=2"},
         {"qat.target_noise = 2", "crossbar.adc_noise = 1000", "at most 1000"});
  refuse({"train", "--data", path("absent")}, {"absent"});
  refuse({"train", "--set", "augment.gain=3"}, {"augment", "images"});
  write("s.toml", "[augment]\ngain = 3\n[grid]\n\"run.seed\" = [1]\n");
  refuse({"sweep", path("s.toml")}, {"augment", "images"});
  fs::create_directories(path("taken/eval.json"));
  expect_refused({"eval", "absent", "--json", path("taken/eval.json")}, {"is a directory"});
}

// The value is known only when there is a network.
TEST_F(CliOptions, OfNoiseBeyondTheWeightsAreNamedAsTheyWereSet) {
  const std::string out = path("out");
  expect_refused(tiny("train", out,
                      {"--target", "pcm", "--set", "qat.target_noise=100", "--set",
                       "train.epochs=1", "--set", "qat.epochs=1", "--quiet"}),
                 {"qat.target_noise = 100 times the target's noise", "expected at most"});
  EXPECT_TRUE(fs::exists(out + "/float.safetensors"));
}

TEST_F(CliOptions, OfLaterStagesMayChangeOnResume) {
  const std::string out = path("out");
  const auto train = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--set", "train.epochs=1", "--set", "qat.epochs=1"});
    return tiny("train", out, more);
  };
  const std::vector<std::string> few = {"--set=run.crossbar=true",     "--set=simulate.chips=1",
                                        "--set=simulate.sequences=16", "--set=sweep.noise=0",
                                        "--set=sweep.chips=1",         "--set=sweep.sequences=16"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = few;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  ASSERT_EQ(call(train({})).code, 0);
  const std::string model = read_file(out + "/qat.safetensors");
  const Result chips = call(train(with({"--resume", "--set=simulate.times=0 1h"})));
  ASSERT_EQ(chips.code, 0) << chips.err;
  EXPECT_EQ(chips.err.find("epoch"), std::string::npos) << chips.err;
  EXPECT_EQ(read_file(out + "/qat.safetensors"), model);
  EXPECT_EQ(json_of("out/summary.json")["crossbar"]["ages"].size(), 2u);

  fs::remove_all(out);
  const std::string target = "--target=neurram";
  ASSERT_EQ(call(train(with({target, "--set=simulate.times=0 1h"}))).code, 0);
  EXPECT_EQ(call(train(with({target, "--set=simulate.times=0 2d", "--resume"}))).code, 0);
  expect_refused(train(with({target, "--set=simulate.times=1h", "--resume"})),
                 {"qat.checkpoint.safetensors", "first of simulate.times", "noise in training"});
}

TEST_F(CliOptions, OfBenchComeFromOneList) {
  struct Case {
    std::string name;
    std::vector<std::string> with, without;
  };
  for (const Case& c : std::vector<Case>{
           {"train", {"layers", "batch", "norm", "state-bits", "preset", "weight-noise"}, {}},
           {"scan", {"state-bits"}, {"layers", "batch", "norm", "preset"}},
           {"infer", {"layers", "batch", "preset"}, {"norm", "state-bits", "target"}},
           {"chip", {"layers", "batch", "preset", "target"}, {"norm", "state-bits"}},
       }) {
    std::vector<std::string> with = c.with;
    with.insert(with.end(), {"channels", "states", "length", "state-rounding", "repeats", "isa"});
    const std::string help = call({"bench", c.name, "--help"}).out;
    const auto key = [](std::string name) {
      std::replace(name.begin(), name.end(), '-', '_');
      return "\n  bench." + name + ' ';
    };
    for (const std::string& name : with) {
      EXPECT_THAT(help, AllOf(HasSubstr("\n  --" + name + ' '), HasSubstr(key(name)))) << c.name;
    }
    for (const std::string& name : c.without) {
      EXPECT_THAT(help, Not(HasSubstr("--" + name))) << c.name;
      EXPECT_THAT(help, Not(HasSubstr(key(name)))) << c.name;
    }
    EXPECT_THAT(help, AllOf(HasSubstr("784 steps"), HasSubstr("1 to 1000"))) << c.name;
  }
}

TEST_F(CliOptions, OfBenchWinOverSetWhichWinsOverConfig) {
  write("bench.toml",
        "[bench]\nseed = 3\nchannels = 2\nstates = 2\nlength = 28\nrepeats = 1\nstate_bits = 4\n");
  const Result result =
      call({"bench", "scan", "--channels", "4", "--config", path("bench.toml"), "--set",
            "bench.channels=3", "--set", "bench.states=6", "--set", "bench.seed=5", "--seed", "7"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json settings = parse_json(result.out)["settings"];
  EXPECT_EQ(settings["channels"], 4);
  EXPECT_EQ(settings["states"], 6);
  EXPECT_EQ(settings["length"], 28);
  EXPECT_EQ(settings["state_bits"], 4);
  EXPECT_EQ(settings["seed"], 7);
  EXPECT_EQ(settings["state_rounding"], "nearest");
  EXPECT_EQ(settings["residue_bits"], 0);
}

TEST_F(CliOptions, OfLaterFilesWinOverThoseOfEarlierOnes) {
  write("first.toml", "[bench]\nchannels = 2\nstates = 4\nlength = 28\nrepeats = 1\n");
  write("second.toml", "[bench]\nstates = 6\n");
  const Result result = call({"bench", "scan", "--config", path("first.toml"), "--config",
                              path("second.toml"), "--set", "bench.channels=3"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json settings = parse_json(result.out)["settings"];
  EXPECT_EQ(settings["channels"], 3);
  EXPECT_EQ(settings["states"], 6);
  EXPECT_EQ(settings["length"], 28);
  expect_refused({"bench", "train", "--config", path("first.toml"), "--config", ""},
                 {"--config", "empty"});
}

TEST_F(CliOptions, OfBenchAreChecked) {
  write("range.toml", "[bench]\n\nlength = 0\n");
  write("unknown.toml", "[bench]\nlenght = 9\n");
  write("run.toml", "[model]\nchannels = 0\n");
  expect_refused({"bench", "scan", "--config", path("range.toml")},
                 {"range.toml:3", "bench.length", "1 to 1000000"});
  expect_refused({"bench", "scan", "--config", path("unknown.toml")},
                 {"unknown.toml:2", "lenght", "bench.length"});
  expect_refused({"bench", "scan", "--config", path("run.toml")},
                 {"run.toml:2", "model.channels = 0"});
  expect_refused({"bench", "train", "--set", "bench.chanels=3"},
                 {"bench.chanels", "\"bench.channels\""});
  expect_refused({"bench", "infer", "--set", "bench.batch=0"}, {"bench.batch", "1 to 65536"});
  expect_refused({"bench", "train", "--set", "bench.states=5"}, {"bench.states", "even"});
  expect_refused({"bench", "scan", "--set", "bench.batch=3"},
                 {"bench.batch has no effect in crosstate bench scan"});
  expect_refused({"bench", "scan", "--channels", "0"}, {"--channels 0", "1 to 4096"});
  expect_refused({"bench", "scan", "--channels", "2x"}, {"--channels 2x", "integer"});
  expect_refused({"bench", "scan", "--channels", ""}, {"--channels", "empty"});
  expect_refused({"bench", "scan", "--layers", "2"}, {"--layers", "bench scan --help"});
  expect_refused({"bench", "infer", "--preset", "w99"}, {"w99"});
  expect_refused({"bench", "chip", "--target", "pmc"}, {"pmc", "the nearest name is pcm"});
  write("real.toml", "version = 1\n[external]\ncommand = \"true\"\n");
  expect_refused({"bench", "chip", "--target", path("real.toml")},
                 {"bench.target", "external.command"});
  expect_refused({"bench", "scan", "--seed", "-1"}, {"--seed", "-1"});
  write("file", "x");
  expect_refused({"bench", "scan", "--out", path("file") + "/out"}, {path("file")});
}

TEST_F(CliOptions, OfBenchPlaceItsResults) {
  const Result shown = scan({"--out", path("out"), "--json", path("copy.json")});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(parse_json(shown.out), json_of("copy.json"));
  EXPECT_EQ(json_of("out/bench-scan.json"), json_of("copy.json"));
  EXPECT_EQ(json_of("copy.json")["threads"], 1);
  const Result quiet = scan({"--out", path("quiet"), "--quiet"});
  EXPECT_EQ(quiet.out, "");
  EXPECT_TRUE(json_of("quiet/bench-scan.json").contains("forward_ns"));

  const std::vector<std::string> small = {
      "--channels", "2",     "--states",  "4",         "--layers",  "1",
      "--length",   "29",    "--batch",   "5",         "--repeats", "1",
      "--quiet",    "--out", path("out"), "--threads", "2"};
  for (const std::string name : {"train", "infer", "chip"}) {
    std::vector<std::string> arguments = {"bench", name};
    arguments.insert(arguments.end(), small.begin(), small.end());
    const Result result = call(arguments);
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(json_of("out/bench-" + name + ".json")["threads"], 2) << name;
  }
  const json infer = json_of("out/bench-infer.json");
  EXPECT_EQ(infer["us_per_step_by_length"].size(), 3u);
  EXPECT_GT(infer["sequences_per_second_core"], 0);
  EXPECT_GT(infer["bytes_touched"], 0);
  const json chip = json_of("out/bench-chip.json");
  EXPECT_EQ(chip["settings"]["target"], "taox-64x64");
  EXPECT_GT(chip["arrays"], 0);
  EXPECT_GT(chip["s_per_10000_sequences"], 0);
}

TEST_F(CliOptions, LetScansRunSideBySide) {
  const Result result = scan({"--channels", "3", "--threads", "3", "--state-bits", "8"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json both = parse_json(result.out);
  EXPECT_EQ(both["threads"], 3);
  for (const char* key : {"forward_ns", "adjoint_ns", "gflops", "peak_gflops", "share_of_peak"}) {
    EXPECT_GT(both[key], 0) << key;
  }
}

TEST_F(CliOptions, PlaceTheResultsOfModels) {
  const std::string out = path("out"), model = out + "/qat.safetensors";
  ASSERT_EQ(call(tiny("train", out)).code, 0);
  const auto expect_result = [&](const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {name,     "--out",           path("results"),
                                          "--json", path("copy.json"), "--overwrite"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Result result = call(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_EQ(json_of("results/" + name + ".json"), json_of("copy.json")) << name;
    return json_of("copy.json");
  };
  EXPECT_EQ(expect_result("eval", {model, "--set", "data.test_limit=64"})["sequences"], 64);
  EXPECT_EQ(expect_result("info", {model})["quantized"], true);
  EXPECT_EQ(expect_result("info", {out + "/qat.integer.safetensors"})["certificate"]["fits_int64"],
            true);
  const std::vector<std::string> few = {out + "/float.safetensors", "--set", "data.train_limit=160",
                                        "--set", "data.test_limit=64"};
  std::vector<std::string> rounded = few;
  rounded.insert(rounded.end(), {"--set", "quant.preset=w8a8s8"});
  EXPECT_EQ(expect_result("quantize", rounded)["integer"], true);
  EXPECT_TRUE(fs::exists(path("results/ptq.safetensors")));
  expect_refused({"eval", path("absent"), "--out", path("no")}, {"absent"});
  expect_refused({"info", path("absent"), "--out", path("no")}, {"absent"});
  EXPECT_FALSE(fs::exists(path("no")));
}

TEST_F(CliOptions, OfStream) {
  const std::string out = path("out"), model = out + "/qat.safetensors";
  ASSERT_EQ(call(tiny("train", out)).code, 0);
  write("stdin.txt", "0.5\n0.25\n\n\n0.125\n");
  // The file of a run is accepted as well.
  write("run.toml", "[model]\nchannels = 4\n[stream]\noutput = \"sequence\"\n");
  const Result steps = call({"stream", model, "--config", path("run.toml"), "--set",
                             "stream.output=step", "--json", path("copy.json")});
  ASSERT_EQ(steps.code, 0) << steps.err;
  EXPECT_EQ(std::count(steps.out.begin(), steps.out.end(), '\n'), 3) << steps.out;
  EXPECT_EQ(
      json_of("copy.json"),
      json({{"format", "crosstate stream 1"}, {"model", model}, {"sequences", 2}, {"steps", 3}}));

  const Result sequences = call({"stream", model, "--output", "sequence", "--set",
                                 "stream.output=step", "--out", path("results")});
  ASSERT_EQ(sequences.code, 0) << sequences.err;
  EXPECT_EQ(std::count(sequences.out.begin(), sequences.out.end(), '\n'), 2) << sequences.out;
  EXPECT_EQ(json_of("results/stream.json"), json_of("copy.json"));

  EXPECT_EQ(parse_json(call({"stream", model, "--json", "-"}).out), json_of("copy.json"));
  EXPECT_EQ(call({"stream", model, "--quiet"}).out, "");

  expect_refused({"stream", model, "--set", "stream.inptu=raw"},
                 {"stream.inptu", "\"stream.input\""});
  expect_refused({"stream", model, "--set", "stream.output=all"}, {"all", "sequence, step"});
  expect_refused({"stream", model, "--input", "xml"}, {"--input xml", "text, raw"});
  expect_refused({"stream", model, "--set", "model.channels=4"},
                 {"model.channels", "no effect in crosstate stream"});
  expect_refused({"stream", model, "--json", path("new") + "/"}, {path("new")});
}

TEST_F(CliOptions, SayWhereNothingContinues) {
  const std::string line = "nothing to continue in " + path("out") + ": ";
  for (const std::string command : {"train", "demo"}) {
    expect_refused({command, "--out", path("out"), "--resume", "--data", path("no")},
                   {path("no"), "no such directory"});
    EXPECT_FALSE(fs::exists(path("out"))) << command;
  }
  const Result quiet = call(tiny("train", path("out"), {"--resume", "--quiet"}));
  EXPECT_EQ(quiet.code, 0);
  EXPECT_EQ(quiet.err, "");
  EXPECT_EQ(call(tiny("train", path("out"), {"--resume"})).err, "");
  fs::remove_all(path("out"));
  const Result begun = call(tiny("train", path("out"), {"--resume"}));
  EXPECT_EQ(begun.code, 0);
  EXPECT_THAT(begun.err, StartsWith(line));
  EXPECT_EQ(std::count(begun.err.begin(), begun.err.end(), '\n'), 7) << begun.err;
}

}  // namespace
}  // namespace crosstate
