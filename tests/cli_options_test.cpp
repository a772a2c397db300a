// The options that every subcommand takes, and those of bench and stream.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/files.h"
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
  json json_of(const std::string& name) const { return json::parse(read_file(path(name))); }

  // A scan of a few steps, told its size by options of its own.
  Result scan(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"bench",    "scan", "--states",  "4",
                                          "--length", "29",   "--repeats", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return call(arguments);
  }
};

TEST_F(CliOptions, AreTheSameEverywhere) {
  for (const std::vector<std::string>& command :
       std::vector<std::vector<std::string>>{{"demo"},
                                             {"train"},
                                             {"eval"},
                                             {"quantize"},
                                             {"stream"},
                                             {"info"},
                                             {"device"},
                                             {"sweep"},
                                             {"search"},
                                             {"bench", "train"},
                                             {"bench", "scan"},
                                             {"bench", "infer"}}) {
    std::vector<std::string> arguments = command;
    arguments.push_back("--help");
    const Result help = call(arguments);
    EXPECT_EQ(help.code, 0) << command.back();
    for (const char* option : {"--config FILE", "--set SECTION.KEY=VALUE", "--out DIR", "--resume",
                               "--seed N", "--threads N", "--json FILE", "--quiet", "default"}) {
      EXPECT_THAT(help.out, HasSubstr(option)) << command.back();
    }
  }
}

TEST_F(CliOptions, OfBenchComeFromOneList) {
  struct Case {
    std::string name;
    std::vector<std::string> with, without;
  };
  for (const Case& c : std::vector<Case>{
           {"train", {"layers", "batch", "norm", "state-bits", "preset", "weight-noise"}, {}},
           {"scan", {"state-bits"}, {"layers", "batch", "norm", "preset"}},
           {"infer", {"layers", "batch", "preset"}, {"norm", "state-bits"}},
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
  const json settings = json::parse(result.out)["settings"];
  EXPECT_EQ(settings["channels"], 4);
  EXPECT_EQ(settings["states"], 6);
  EXPECT_EQ(settings["length"], 28);
  EXPECT_EQ(settings["state_bits"], 4);
  EXPECT_EQ(settings["seed"], 7);
  EXPECT_EQ(settings["state_rounding"], "nearest");
}

TEST_F(CliOptions, OfBenchAreChecked) {
  write("range.toml", "[bench]\n\nlength = 0\n");
  write("unknown.toml", "[bench]\nlenght = 9\n");
  write("run.toml", "[model]\nchannels = 9\n");
  expect_refused({"bench", "scan", "--config", path("range.toml")},
                 {"range.toml:3", "bench.length", "1 to 1e+06"});
  expect_refused({"bench", "scan", "--config", path("unknown.toml")},
                 {"unknown.toml:2", "lenght", "bench.length"});
  expect_refused({"bench", "scan", "--config", path("run.toml")}, {"run.toml:1", "[bench]"});
  expect_refused({"bench", "train", "--set", "bench.chanels=3"},
                 {"bench.chanels", "\"bench.channels\""});
  expect_refused({"bench", "infer", "--set", "bench.batch=0"}, {"bench.batch", "1 to 65536"});
  expect_refused({"bench", "train", "--set", "bench.states=5"}, {"bench.states", "even"});
  expect_refused({"bench", "scan", "--set", "bench.batch=3"}, {"unknown key", "bench.batch"});
  expect_refused({"bench", "scan", "--channels", "0"}, {"--channels 0", "1 to 4096"});
  expect_refused({"bench", "scan", "--channels", "2x"}, {"--channels 2x", "whole number"});
  expect_refused({"bench", "scan", "--channels", ""}, {"--channels", "empty"});
  expect_refused({"bench", "scan", "--layers", "2"}, {"--layers", "bench scan --help"});
  expect_refused({"bench", "infer", "--preset", "w99"}, {"w99"});
  expect_refused({"bench", "scan", "--seed", "-1"}, {"--seed", "-1"});
  write("file", "x");
  expect_refused({"bench", "scan", "--out", path("file") + "/out"}, {path("file")});
}

TEST_F(CliOptions, OfBenchPlaceItsResults) {
  const Result shown = scan({"--out", path("out"), "--json", path("copy.json"), "--resume"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  EXPECT_EQ(json::parse(shown.out), json_of("copy.json"));
  EXPECT_EQ(json_of("out/bench-scan.json"), json_of("copy.json"));
  EXPECT_EQ(json_of("copy.json")["threads"], 1);
  const Result quiet = scan({"--out", path("quiet"), "--quiet"});
  EXPECT_EQ(quiet.out, "");
  EXPECT_TRUE(json_of("quiet/bench-scan.json").contains("forward_ns"));

  const std::vector<std::string> small = {
      "--channels", "2",     "--states",  "4",         "--layers",  "1",
      "--length",   "29",    "--batch",   "5",         "--repeats", "1",
      "--quiet",    "--out", path("out"), "--threads", "2"};
  for (const std::string name : {"train", "infer"}) {
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
}

TEST_F(CliOptions, LetScansRunSideBySide) {
  const Result result = scan({"--channels", "3", "--threads", "3", "--state-bits", "8"});
  ASSERT_EQ(result.code, 0) << result.err;
  const json both = json::parse(result.out);
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
                                          "--json", path("copy.json"), "--resume"};
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
  EXPECT_EQ(expect_result("quantize", few)["integer"], true);
  EXPECT_TRUE(fs::exists(path("results/ptq.safetensors")));
  expect_refused({"eval", path("absent"), "--out", path("no")}, {"absent"});
  expect_refused({"info", path("absent"), "--out", path("no")}, {"absent"});
  EXPECT_FALSE(fs::exists(path("no")));
}

TEST_F(CliOptions, OfStream) {
  const std::string out = path("out"), model = out + "/qat.safetensors";
  ASSERT_EQ(call(tiny("train", out)).code, 0);
  write("stdin.txt", "0.5\n0.25\n\n\n0.125\n");
  // A run's file serves, too.
  write("run.toml", "[model]\nchannels = 4\n[stream]\noutput = \"sequence\"\n");
  const Result steps = call({"stream", model, "--config", path("run.toml"), "--set",
                             "stream.output=step", "--json", path("copy.json")});
  ASSERT_EQ(steps.code, 0) << steps.err;
  EXPECT_EQ(std::count(steps.out.begin(), steps.out.end(), '\n'), 3) << steps.out;
  EXPECT_EQ(json_of("copy.json"), json({{"model", model}, {"sequences", 2}, {"steps", 3}}));

  const Result sequences =
      call({"stream", model, "--output", "sequence", "--set", "stream.output=step", "--out",
            path("results"), "--resume", "--seed", "3", "--threads", "2"});
  ASSERT_EQ(sequences.code, 0) << sequences.err;
  EXPECT_EQ(std::count(sequences.out.begin(), sequences.out.end(), '\n'), 2) << sequences.out;
  EXPECT_EQ(json_of("results/stream.json"), json_of("copy.json"));

  EXPECT_EQ(json::parse(call({"stream", model, "--json", "-"}).out), json_of("copy.json"));
  EXPECT_EQ(call({"stream", model, "--quiet"}).out, "");

  expect_refused({"stream", model, "--set", "stream.inptu=raw"},
                 {"stream.inptu", "\"stream.input\""});
  expect_refused({"stream", model, "--set", "stream.output=all"}, {"all", "sequence, step"});
  expect_refused({"stream", model, "--input", "xml"}, {"--input xml", "text, raw"});
  expect_refused({"stream", model, "--set", "model.channels=0"}, {"model.channels", "1 to 4096"});
  expect_refused({"stream", model, "--json", path("new") + "/"}, {path("new")});
}

TEST_F(CliOptions, SayWhereNothingContinues) {
  const std::string line = "nothing to continue in " + path("out") + ": ";
  for (const std::string command : {"train", "demo"}) {
    const Result damaged = call({command, "--out", path("out"), "--resume", "--data", path("no")});
    EXPECT_EQ(damaged.code, 2);
    EXPECT_THAT(damaged.err, StartsWith(line)) << command;
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
