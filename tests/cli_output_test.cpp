// Directories that already hold results, or that another process writes, and inputs that differ
// from those of the results.
#include <chrono>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "crosstate/formats/safetensors.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using Arguments = std::vector<std::string>;

Arguments with(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

class CliOutput : public Cli {
 protected:
  // MNIST files of 20 images of 4 x 4 in four classes by brightness and half.
  std::string images(const std::string& name, int seed = 0, bool other_labels = false) const {
    const auto header = [](char kind, std::vector<int> sizes) {
      std::string text{'\0', '\0', '\x08', kind};
      for (const int size : sizes) text += std::string{'\0', '\0', '\0', static_cast<char>(size)};
      return text;
    };
    for (const std::string part : {"train", "t10k"}) {
      std::string pixels, labels;
      for (int i = 0; i < 20; ++i) {
        for (int k = 0; k < 16; ++k) {
          const bool lit = (i % 4 < 2) == (k < 8);
          pixels += static_cast<char>((i * 7 + k * 13 + seed) % 64 + (lit ? 64 * (i % 2) + 60 : 0));
        }
        labels += static_cast<char>(other_labels && part == "t10k" ? (i + 1) % 4 : i % 4);
      }
      write(name + "/" + part + "-images-idx3-ubyte", header(3, {20, 4, 4}) + pixels);
      write(name + "/" + part + "-labels-idx1-ubyte", header(1, {20}) + labels);
    }
    return path(name);
  }
  Arguments train(const std::string& out, const Arguments& more = {},
                  const std::string& data = "data") const {
    return with(tiny("train", path(out), {"--data", path(data), "--quiet"}), more);
  }
  std::string model(const std::string& out = "model") const {
    return path(out + "/qat.safetensors");
  }

  std::map<std::string, std::string> contents(const std::string& directory) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(path(directory))) {
      if (entry.is_regular_file()) all[entry.path().string()] = read_file(entry.path());
    }
    return all;
  }
  void SetUp() override {
    Cli::SetUp();
    images("data");
    write("stdin.txt", "0.5\n0.1\n");
    write("sweep.toml",
          "[model]\nchannels = 4\nstates = 4\nlayers = 1\n[train]\nepochs = 2\nbatch = 10\n[qat]\n"
          "epochs = 1\nbatch = 10\n[grid]\n\"run.seed\" = [1]\n");
  }
};

TEST_F(CliOutput, KeepsAnEarlierRunOfEveryCommandUntilItIsToldToReplaceIt) {
  ASSERT_EQ(call(train("model")).code, 0);
  const std::string data = path("data");
  const std::map<std::string, Arguments> commands = {
      {"train", train("train")},
      {"prune", with(tiny("prune", path("prune"), {"--data", data, "--set", "prune.retrain=false"}),
                     {model(), "--set", "prune.batches=1"})},
      {"quantize",
       {"quantize", path("model/float.safetensors"), "--data", data, "--set",
        "quant.preset=w8a8s8"}},
      {"deploy", {"deploy", model(), "--target", "generic-64x64", "--maps"}},
      {"simulate", {"simulate", model(), "--data", data, "--target", "ideal", "--chips", "1"}},
      {"sweep", {"sweep", path("sweep.toml"), "--data", data}},
      {"eval", {"eval", model(), "--data", data}},
      {"info", {"info", model()}},
      {"stream", {"stream", model()}},
      {"cost", {"cost", model(), "--set", "cost.steps=16"}},
      {"break-even", {"break-even"}},
      {"device", {"device", "pcm", "--count", "100"}},
      {"bench-scan", {"bench", "scan", "--channels", "1", "--length", "28", "--repeats", "1"}}};
  for (const auto& [name, arguments] : commands) {
    Arguments once = arguments;
    if (std::count(once.begin(), once.end(), "--out") == 0) {
      once = with(once, {"--out", path(name)});
    }
    const Result first = call(once);
    ASSERT_EQ(first.code, 0) << name << ": " << first.err;
    write(name + "/notes.txt", "mine");
    const auto before = contents(name);
    expect_refused(once, {path(name), "already holds results", "--overwrite"});
    EXPECT_EQ(contents(name), before) << name;
    const Result again = call(with(once, {"--overwrite"}));
    EXPECT_EQ(again.code, 0) << name << ": " << again.err;
    std::map<std::string, std::string> after = contents(name);
    EXPECT_EQ(after.size(), before.size()) << name;
    EXPECT_EQ(after[path(name + "/notes.txt")], "mine");
    EXPECT_FALSE(fs::exists(path(name + "/lock")));
    // Nor beside a run of another command.
    if (fs::exists(path(name + "/" + name + ".json")) && name != "prune") continue;
    expect_refused({"simulate", model(), "--data", data, "--out", path(name)},
                   {"holds results of " + name, "simulate does not continue"});
  }
  expect_refused(with(train("train"), {"--overwrite", "--resume"}), {"--overwrite", "--resume"});
  expect_refused({"eval", model(), "--data", data, "--overwrite"}, {"--overwrite", "--out"});
}

TEST_F(CliOutput, ReplacesNothingBeforeItsInputsAreGood) {
  ASSERT_EQ(call(train("model")).code, 0);
  const auto before = contents("model");
  expect_refused(train("model", {"--overwrite"}, "absent"), {"absent"});
  EXPECT_EQ(contents("model"), before);
}

TEST_F(CliOutput, IsLeftAloneByAnEvaluationWithoutData) {
  const std::string data = images("data");
  ASSERT_EQ(call(train("model")).code, 0);
  expect_refused({"eval", model(), "--data", path("absent"), "--out", path("e")}, {"absent"});
  EXPECT_FALSE(fs::exists(path("e")));
  const Result one = call({"eval", model(), "--data", data, "--set", "data.test_limit=1"});
  EXPECT_EQ(one.code, 0);
  EXPECT_THAT(one.err, HasSubstr("every test sequence is of class 0"));
  EXPECT_EQ(call({"eval", model(), "--data", data}).err, "");
}

TEST_F(CliOutput, DemonstratesAgainWithoutBeingTold) {
  const Arguments demo = tiny("demo", path("demo"),
                              {"--data", path("data"), "--quiet", "--set", "sweep.noise=0", "--set",
                               "sweep.chips=1", "--set", "simulate.chips=1"});
  ASSERT_EQ(call(demo).code, 0);
  EXPECT_EQ(call(demo).code, 0);
  expect_refused(train("demo"), {"holds results of demo"});
  ASSERT_EQ(call(train("train")).code, 0);
  Arguments elsewhere = demo;
  elsewhere[2] = path("train");
  expect_refused(elsewhere, {"holds results of train"});
}

TEST_F(CliOutput, SaysWhereThereIsNothingToContinue) {
  ASSERT_EQ(call(train("model")).code, 0);
  for (const Arguments& arguments :
       {tiny("train", path("a"), {"--data", path("data")}),
        Arguments{"simulate", model(), "--data", path("data"), "--out", path("b"), "--chips", "1"},
        Arguments{"sweep", path("sweep.toml"), "--data", path("data"), "--out", path("c")}}) {
    const Result result = call(with(arguments, {"--resume"}));
    EXPECT_EQ(result.code, 0) << result.err;
    EXPECT_THAT(result.err, HasSubstr("nothing to continue in " + directory_.string()));
    const Result again = call(with(arguments, {"--resume"}));
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_THAT(again.err, Not(HasSubstr("nothing to continue")));
  }
}

TEST_F(CliOutput, SaysHowToContinueASimulation) {
  ASSERT_EQ(call(train("model")).code, 0);
  const Process first(directory_, {"simulate", model(), "--data", path("data"), "--out",
                                   path("chips"), "--chips", "90000", "--times", "0 1h"});
  ASSERT_TRUE(first.wait_for_file(path("chips/simulate.jsonl")));
  first.send(SIGINT);
  EXPECT_EQ(first.wait(), 130);
  EXPECT_THAT(first.err(), HasSubstr("simulate " + model() + " --chips 90000 --times '0 1h'"));
}

// --- several processes
// -------------------------------------------------------------------------------------

TEST_F(CliOutput, IsWrittenByOneProcessAtATime) {
  ASSERT_EQ(call(train("model")).code, 0);
  const Process first(directory_, train("out", {"--set", "qat.epochs=100000"}));
  ASSERT_TRUE(first.wait_for_file(path("out/ptq.safetensors")));
  const std::string data = path("data"), out = path("out");
  const std::vector<Arguments> others = {
      train("out", {"--seed", "2"}),
      train("out", {"--overwrite"}),
      train("out", {"--resume"}),
      tiny("demo", out),
      with(tiny("prune", out), {model()}),
      {"quantize", path("model/float.safetensors"), "--data", data, "--out", out},
      {"deploy", model(), "--out", out},
      {"simulate", model(), "--data", data, "--out", out},
      {"sweep", path("sweep.toml"), "--data", data, "--out", out},
      {"search", "--data", data, "--out", out},
      {"eval", model(), "--data", data, "--out", out},
      {"cost", model(), "--out", out},
      {"bench", "array", "--out", out}};
  // Each with its own directory for the streams.
  fs::create_directories(path("streams"));
  for (const Arguments& arguments : others) {
    const Process second(path("streams"), arguments);
    EXPECT_EQ(second.wait(), 2) << arguments[0];
    EXPECT_THAT(second.err(), AllOf(HasSubstr(out), HasSubstr("another crosstate")))
        << arguments[0];
  }
  first.send(SIGKILL);
  EXPECT_EQ(first.wait(), -SIGKILL);
  EXPECT_TRUE(fs::exists(path("out/lock")));
  expect_refused(train("out"), {"--resume continues them"});
  const std::ptrdiff_t epochs = lines_of(path("out/qat.jsonl"));
  const Process rest(directory_, train("out", {"--set", "qat.epochs=100000", "--resume"}));
  ASSERT_TRUE(rest.wait_until([&] { return lines_of(path("out/qat.jsonl")) > epochs; }));
  rest.send(SIGINT);
  EXPECT_EQ(rest.wait(), 130) << rest.err();
  EXPECT_FALSE(fs::exists(path("out/lock")));
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(CliOutput, GoesOnWhereTheFileSystemHasNoLocks) {
  const auto without_locks = [] { setenv("LD_PRELOAD", CROSSTATE_NO_LOCKS, 1); };
  const auto with_locks = [] { unsetenv("LD_PRELOAD"); };
  const Arguments sweep = {"sweep", path("sweep.toml"), "--data", path("data"), "--out"};
  without_locks();
  const Result swept = call(with(sweep, {path("sweep")}));
  const Result dumped = call({"sweep", "--dump", "--out", path("sweep")});
  const Process first(directory_, train("out", {"--set", "qat.epochs=100000"}));
  ASSERT_TRUE(first.wait_for_file(path("out/qat.jsonl")));
  fs::create_directories(path("streams"));
  const Process second(path("streams"), train("out", {"--resume"}));
  EXPECT_EQ(second.wait(), 2);
  first.send(SIGKILL);
  first.wait();
  EXPECT_TRUE(fs::exists(path("out/lock.owner")));
  const std::ptrdiff_t epochs = lines_of(path("out/qat.jsonl"));
  const Process rest(path("streams"), train("out", {"--set", "qat.epochs=100000", "--resume"}));
  EXPECT_TRUE(rest.wait_until([&] { return lines_of(path("out/qat.jsonl")) > epochs; }));
  rest.send(SIGINT);
  const int code = rest.wait();
  with_locks();
  EXPECT_EQ(code, 130) << rest.err();
  EXPECT_FALSE(fs::exists(path("out/lock.owner")));
  EXPECT_EQ(swept.code, 0) << swept.err;
  EXPECT_THAT(swept.err, HasSubstr("its file system has no locks"));
  EXPECT_THAT(dumped.out, HasSubstr("run.seed=1,done"));
  ASSERT_EQ(call(with(sweep, {path("locked")})).code, 0);
  EXPECT_EQ(call({"sweep", "--dump", "--out", path("locked")}).out, dumped.out);
}
#endif

#ifdef CROSSTATE_MPIRUN
TEST_F(CliOutput, RefusesRanksThatWouldWriteTheSame) {
  const std::string command = std::string(CROSSTATE_MPIRUN) +
                              " --oversubscribe --allow-run-as-root --enable-recovery --bind-to "
                              "none -np 2 " CROSSTATE_PROGRAM;
  std::string line = command;
  for (const std::string& word : train("out", {"--set", "qat.epochs=300"})) line += ' ' + word;
  line += " 2>" + path("log");
  [[maybe_unused]] const int code = std::system(line.c_str());
  const std::string log = read_file(path("log"));
  EXPECT_THAT(log, testing::AnyOf(AllOf(HasSubstr("another crosstate"), HasSubstr("mpirun")),
                                  HasSubstr("already holds results")));
  const Result info = call({"info", path("out/float.safetensors")});
  EXPECT_EQ(info.code, 0) << info.err;
}
#endif

// --- other inputs
// -----------------------------------------------------------------------------------------

class CliIdentity : public CliOutput {
 protected:
  void SetUp() override {
    CliOutput::SetUp();
    ASSERT_EQ(call(train("model")).code, 0);
  }
  Arguments simulate(const Arguments& more = {}, const std::string& data = "data",
                     const std::string& table = "table.csv", const std::string& chips = "2") const {
    return with({"simulate", path("model.safetensors"), "--data", path(data), "--out", path("out"),
                 "--set", "device.model=table", "--set", "device.table=" + path(table), "--chips",
                 chips, "--threads", "1", "--quiet"},
                more);
  }
  void write_table(double deviation) const {
    std::string text = "time,target,mean,sigma\n";
    for (const char* time : {"0", "86400"}) {
      for (const char* target : {"1", "50"}) {
        text += std::string(time) + ',' + target + ',' + target + ',' + std::to_string(deviation) +
                '\n';
      }
    }
    write("table.csv", text);
  }
  void use_model(const std::string& out) const {
    write("model.safetensors", read_file(path(out + "/qat.safetensors")));
  }
};

TEST_F(CliIdentity, SimulationsContinueWithTheSameContentAlone) {
  ASSERT_EQ(call(train("second", {"--seed", "2"})).code, 0);
  use_model("model");
  write_table(0.5);
  ASSERT_EQ(call(simulate()).code, 0);
  const auto before = contents("out");
  const auto expect_other = [&](const std::string& part, const Arguments& more = {}) {
    expect_refused(simulate(with(more, {"--resume"})), {"simulate.jsonl", part});
    EXPECT_EQ(contents("out"), before) << part;
  };
  use_model("second");
  expect_other("model.checksum was");
  use_model("model");
  write_table(0.6);
  expect_other("device.table.checksum was");
  write_table(0.5);
  images("data", 0, true);
  expect_other("data.test.checksum was");
  images("data", 1);
  expect_other("data.test.checksum was");
  images("data");
  expect_other("data.test.", {"--set", "data.test_limit=4"});
  expect_other("seed was", {"--seed", "3"});
  expect_other("crossbar.adc_bits was", {"--set", "crossbar.adc_bits=5"});

  // Other names and places do not matter, and the number of chips may increase.
  fs::rename(path("data"), path("moved"));
  fs::rename(path("table.csv"), path("t.csv"));
  const Result more = call(simulate({"--resume"}, "moved", "t.csv", "3"));
  EXPECT_EQ(more.code, 0) << more.err;
}

TEST_F(CliIdentity, SweepsContinueWithTheSameDataAlone) {
  const auto sweep = [&](const std::string& out, const Arguments& more = {}) {
    return with({"sweep", path("sweep.toml"), "--data", path("data"), "--out", path(out)}, more);
  };
  ASSERT_EQ(call(sweep("out")).code, 0);
  const auto before = contents("out");
  for (const auto& change : std::vector<std::function<void()>>{[&] { images("data", 1); },
                                                               [&] { images("data", 0, true); }}) {
    change();
    expect_refused(sweep("out", {"--resume"}), {"sweep.sqlite", "data.", "checksum was"});
    EXPECT_EQ(contents("out"), before);
  }
  images("data");
  EXPECT_EQ(call(sweep("out", {"--resume"})).code, 0);
  images("data", 1);
  const Result replaced = call(sweep("out", {"--overwrite"}));
  EXPECT_EQ(replaced.code, 0) << replaced.err;
  ASSERT_EQ(call(sweep("fresh")).code, 0);
  EXPECT_EQ(call({"sweep", "--dump", "--out", path("out")}).out,
            call({"sweep", "--dump", "--out", path("fresh")}).out);
}

TEST_F(CliIdentity, SearchesContinueWithTheSameDataAlone) {
  const Arguments search =
      with(tiny("search", path("out"), {"--data", path("data"), "--quiet"}),
           {"--set", "search.population=4", "--set", "search.generations=0", "--set",
            "search.candidates=1", "--set", "search.bits=4 8", "--set", "train.validation=0.3"});
  ASSERT_EQ(call(search).code, 0);
  EXPECT_EQ(call(with(search, {"--resume"})).code, 0);
  images("data", 1);
  expect_refused(with(search, {"--resume"}), {"sweep.sqlite", "checksum was"});
}

TEST_F(CliIdentity, TrainingContinuesWithTheSameDataWhereverTheyAre) {
  fs::rename(path("data"), path("moved"));
  const Result moved = call(train("model", {"--resume"}, "moved"));
  EXPECT_EQ(moved.code, 0) << moved.err;
  images("moved", 0, true);
  expect_refused(train("model", {"--resume"}, "moved"),
                 {"float.checkpoint.safetensors", "data.test.checksum was"});
  images("moved", 1);
  expect_refused(train("model", {"--resume"}, "moved"),
                 {"float.checkpoint.safetensors", "checksum was"});
}

}  // namespace
}  // namespace crosstate
