// `crosstate sweep` and `crosstate search` as users run them: killed, resumed, on several ranks.
#include <sqlite3.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/task/statistics.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kTiny =
    "[data]\ntrain_limit = 160\ntest_limit = 64\n[run]\ncalibration = 32\n"
    "[model]\nchannels = 4\nstates = 4\nlayers = 1\n"
    "[train]\nepochs = 2\nbatch = 32\n[qat]\nepochs = 2\nbatch = 32\n";

class CliSweep : public Cli {
 protected:
  void write_sweep(const std::string& name, const std::string& points) const {
    write(name, kTiny + points);
  }
  std::string dump(const std::string& out) const {
    const Result result = call({"sweep", "--dump", "--out", path(out)});
    EXPECT_EQ(result.code, 0) << result.err;
    return result.out;
  }
  // Contents of the database without times.
  std::string rows(const std::string& out) const { return table(out, "points"); }
  std::string table(const std::string& out, const std::string& name) const {
    sqlite3* database = nullptr;
    std::string text;
    const auto add = [](void* to, int count, char** values, char**) {
      for (int i = 0; i < count; ++i) {
        *static_cast<std::string*>(to) += values[i] == nullptr ? "NULL" : values[i];
        *static_cast<std::string*>(to) += '|';
      }
      *static_cast<std::string*>(to) += '\n';
      return 0;
    };
    EXPECT_EQ(sqlite3_open(path(out + "/sweep.sqlite").c_str(), &database), SQLITE_OK);
    for (const std::string& query :
         {std::string("PRAGMA integrity_check"), "SELECT * FROM " + name}) {
      EXPECT_EQ(sqlite3_exec(database, query.c_str(), add, &text, nullptr), SQLITE_OK);
    }
    sqlite3_close(database);
    return text;
  }
  static std::size_t lines(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
};

constexpr const char* kSixPoints =
    "[grid]\n\"quant.preset\" = [\"w8a8s8\", \"w4a8s8\", \"w2a8s8\"]\n\"run.seed\" = [1, 2]\n";

TEST_F(CliSweep, RecordsEveryPoint) {
  write_sweep("s.toml", kSixPoints);
  const Result result =
      call({"sweep", path("s.toml"), "--out", path("out"), "--json", path("out.json")});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("quant.preset"), HasSubstr("w2a8s8"), HasSubstr("±")));
  EXPECT_THAT(result.err, HasSubstr("[6/6]"));
  const json summary = parse_json(read_file(path("out.json")));
  EXPECT_EQ(summary.at("done"), 6);
  for (const json& point : summary.at("points")) {
    const json& metrics = point.at("metrics");
    const double accuracy = metrics.at("accuracy");
    EXPECT_EQ(accuracy, metrics.at("integer_accuracy"));
    const task::Interval interval = task::wilson(accuracy * 64, 64);
    EXPECT_DOUBLE_EQ(metrics.at("accuracy_low"), interval.low);
    EXPECT_DOUBLE_EQ(metrics.at("accuracy_high"), interval.high);
    EXPECT_GT(metrics.at("weight_bytes"), 0);
    EXPECT_EQ(metrics.at("bytes"), metrics.at("qat_bytes"));
  }
  // Two float networks, independent of the number of points.
  const fs::path out = path("out");
  EXPECT_EQ(std::distance(fs::directory_iterator(out / "float"), fs::directory_iterator()), 2);
  EXPECT_EQ(lines(read_file(out / "results.csv")), 7u);
  EXPECT_THAT(read_file(out / "front.csv"), HasSubstr("quant.preset,runs,bytes,bytes_deviation"));
  EXPECT_THAT(read_file(out / "report.html"), HasSubstr("quant.preset"));
  EXPECT_EQ(lines(dump("out")), 7u);

  // The same results as a separate run.
  write("base.toml", kTiny);
  ASSERT_EQ(call({"train", "--config", path("base.toml"), "--threads", "1", "--seed", "2", "--set",
                  "quant.preset=w2a8s8", "--out", path("alone")})
                .code,
            0);
  const json run = parse_json(read_file(path("alone/summary.json")));
  for (const json& point : summary.at("points")) {
    if (point.at("point") != "quant.preset=w2a8s8 run.seed=2") continue;
    for (const std::string stage : {"float", "ptq", "qat"}) {
      EXPECT_EQ(point.at("metrics").at(stage + "_accuracy"), run.at(stage).at("accuracy"));
    }
  }
}

TEST_F(CliSweep, ReportsPrunedFloatNetworks) {
  write("base.toml", kTiny);
  write("prune.toml",
        "[sweep]\nbase = \"base.toml\"\n[run]\nprune = true\nquantize = false\n[prune]\n"
        "channels = \"0\"\n[grid]\n"
        "\"prune.states\" = [\"0\", \"0.5\"]\n");
  const Result result = call(
      {"sweep", path("prune.toml"), "--out", path("out"), "--quiet", "--json", path("out.json")});
  ASSERT_EQ(result.code, 0) << result.err;
  const json points = parse_json(read_file(path("out.json"))).at("points");
  ASSERT_EQ(points.size(), 2u);
  const json whole = points[0].at("metrics"), half = points[1].at("metrics");
  EXPECT_EQ(whole.at("bytes"), whole.at("float_bytes"));
  EXPECT_LT(half.at("bytes"), half.at("float_bytes"));
  EXPECT_LT(half.at("state_bytes"), whole.at("state_bytes"));
  EXPECT_LT(half.at("parameters"), whole.at("parameters"));
}

TEST_F(CliSweep, EndsWithTheSameRowsHoweverOftenItIsKilled) {
  write_sweep("s.toml", kSixPoints);
  ASSERT_EQ(call({"sweep", path("s.toml"), "--out", path("whole")}).code, 0);
  const std::string whole = rows("whole");
  int delay = 40, kills = 0;
  for (int code = -SIGKILL; code == -SIGKILL; delay += delay / 3) {
    ASSERT_LT(kills, 60);
    const Process process(
        directory_, {"sweep", path("s.toml"), "--out", path("killed"), "--resume", "--quiet"});
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    process.send(SIGKILL);
    code = process.wait();
    kills += code == -SIGKILL;
    ASSERT_TRUE(code == -SIGKILL || code == 0) << process.err();
  }
  EXPECT_GT(kills, 3);
  EXPECT_EQ(rows("killed"), whole);
  EXPECT_EQ(dump("killed"), dump("whole"));

  // Nothing is left to do.
  const auto before = fs::last_write_time(path("killed/sweep.sqlite"));
  const Result again = call({"sweep", path("s.toml"), "--out", path("killed"), "--resume"});
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.err, "");
  EXPECT_EQ(fs::last_write_time(path("killed/sweep.sqlite")), before);
}

TEST_F(CliSweep, GoesOnAfterAPointThatFails) {
  // How large the noise of the target is follows from the trained network.
  write_sweep("s.toml",
              "[device]\nprogramming_noise = 1\n"
              "[[list]]\n\"quant.preset\" = \"w8a8s8\"\n[[list]]\n\"qat.target_noise\" = 3\n"
              "[[list]]\n\"quant.preset\" = \"w4a8s8\"\n");
  const Result result = call({"sweep", path("s.toml"), "--out", path("out"), "--workers", "2"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("1 of 3 points failed"), HasSubstr("exceeds that weight")));
  EXPECT_THAT(dump("out"), AllOf(HasSubstr("quant.preset=w4a8s8,done"),
                                 HasSubstr("qat.target_noise=3.0,failed,")));
  const std::vector<std::string> again = {"sweep", path("s.toml"), "--out", path("out"),
                                          "--resume"};
  const Result kept = call(again);
  EXPECT_EQ(kept.code, 1);
  EXPECT_EQ(kept.err, "");
  std::vector<std::string> retry = again;
  retry.push_back("--retry-failed");
  EXPECT_THAT(call(retry).err,
              AllOf(HasSubstr("[3/3] qat.target_noise=3.0: FAILED"), Not(HasSubstr("w8"))));
}

TEST_F(CliSweep, RefusesBadFilesBeforeAnyWork) {
  const std::string out = path("out");
  const auto refuse = [&](const std::string& points, const std::vector<std::string>& parts,
                          std::vector<std::string> more = {}) {
    write("s.toml", points);
    std::vector<std::string> arguments = {"sweep", path("s.toml"), "--out", out};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refused(arguments, parts);
  };
  refuse("[grid]\n\"model.chanels\" = [8]\n", {"s.toml:2", "model.channels"});
  refuse("[grid]\n\"model.channels\" = [8, \"x\"]\n", {"s.toml:2", "integer"});
  refuse("[sweep]\nobjectives = \"min x\"\n[[list]]\n", {"s.toml:2", "sweep.objectives", "min x"});
  refuse("[sweep]\nseries = \"model.width\"\n[[list]]\n",
         {"s.toml:2", "sweep.series", "model.width"});
  refuse("[grid]\n\"run.seed\" = [1]\n", {"run.seed", "varies"}, {"--seed", "3"});
  refuse("", {"s.toml", "[grid]"});
  refuse("[[list]]\n", {"data.directory = \"absent\""}, {"--data", "absent"});
  refuse("[grid]\n\"data.directory\" = [\"\", \"absent\"]\n", {"data.directory = \"absent\""});
  refuse("[run]\nstart = \"absent\"\n[[list]]\n", {"run.start = absent"});
  // Also if only one of the points names the file.
  refuse("[[list]]\n\"run.seed\" = 1\n[[list]]\n\"run.start\" = \"absent\"\n",
         {"run.start = absent"});
  refuse("[qat]\ndistill = 0.5\n[grid]\n\"qat.teacher\" = [\"\", \"absent\"]\n",
         {"qat.teacher = absent"});
  const std::string quantized = CROSSTATE_SOURCE_DIR "/models/smnist.safetensors";
  refuse("[run]\nstart = \"" + quantized + "\"\n[[list]]\n",
         {"run.start = " + quantized, "is already quantized"});
  expect_refused({"sweep", "--out", out}, {"FILE"});
  expect_refused({"sweep", path("absent.toml"), "--out", out}, {"absent.toml"});
  expect_refused({"sweep", "--dump", "--out", out}, {out});
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(CliSweep, KeepsResultsOfAnotherSweep) {
  write_sweep("s.toml", "[[list]]\n\"run.quantize\" = false\n");
  ASSERT_EQ(call({"sweep", path("s.toml"), "--out", path("out")}).code, 0);
  const std::string before = rows("out");
  expect_refused({"sweep", path("s.toml"), "--out", path("out")}, {"--resume"});
  expect_refused(
      {"sweep", path("s.toml"), "--out", path("out"), "--resume", "--set", "train.epochs=3"},
      {"epochs", "2", "3"});
  EXPECT_EQ(rows("out"), before);
  // Points may be added.
  write_sweep("s.toml", "[[list]]\n\"run.quantize\" = false\n[[list]]\n\"run.seed\" = 3\n");
  ASSERT_EQ(call({"sweep", path("s.toml"), "--out", path("out"), "--resume"}).code, 0);
  EXPECT_EQ(lines(dump("out")), 3u);
}

TEST_F(CliSweep, StopsAtCtrlCAndContinues) {
  write_sweep("my sweep.toml", kSixPoints);
  const Process process(directory_, {"sweep", path("my sweep.toml"), "--out", path("out"),
                                     "--workers", "2", "--set", "train.epochs=2000"});
  ASSERT_TRUE(process.wait_for_file(path("out/float")));
  process.send(SIGINT);
  EXPECT_EQ(process.wait(), 130);
  EXPECT_THAT(process.err(),
              HasSubstr("crosstate sweep '" + path("my sweep.toml") + "' --workers 2"));
  EXPECT_THAT(dump("out"), AllOf(HasSubstr("pending"), Not(HasSubstr("done"))));
}

TEST_F(CliSweep, SearchesForBitsAndContinues) {
  write("base.toml", kTiny);
  const auto search = [&](const std::string& out, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"search",
                                          "--config",
                                          path("base.toml"),
                                          "--out",
                                          path(out),
                                          "--set",
                                          "search.population=8",
                                          "--set",
                                          "search.generations=3",
                                          "--set",
                                          "search.candidates=2",
                                          "--set",
                                          "search.sequences=16",
                                          "--set",
                                          "search.bits=2 4 8"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const Result whole = call(search("whole"));
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_THAT(whole.out, AllOf(HasSubstr("state"), HasSubstr("QAT (%)")));
  // 13 sites at 2 and 4 bits.
  EXPECT_EQ(lines(read_file(path("whole/sensitivity.csv"))), 27u);
  EXPECT_GE(lines(rows("whole")), 3u);
  int kills = 0, delay = 60;
  for (int code = -SIGKILL; code == -SIGKILL; delay += 250) {
    ASSERT_LT(kills, 60);
    const Process process(directory_, search("killed", {"--resume", "--quiet"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    process.send(SIGKILL);
    code = process.wait();
    kills += code == -SIGKILL;
    ASSERT_TRUE(code == -SIGKILL || code == 0) << process.err();
  }
  EXPECT_EQ(rows("killed"), rows("whole"));
  EXPECT_EQ(read_file(path("killed/proxy-front.csv")), read_file(path("whole/proxy-front.csv")));

  const std::string front = read_file(path("whole/proxy-front.csv"));
  std::istringstream in(front);
  double least = 1e9;
  for (std::string line; std::getline(in, line);) {
    if (line[0] == 'e') continue;  // the header
    least = std::min(least, std::stod(line.substr(line.rfind(',') + 1)));
  }
  const std::string budget = std::to_string(static_cast<int>(least) + 40);
  ASSERT_EQ(call(search("small", {"--set", "search.bytes=" + budget})).code, 0);
  std::istringstream small(read_file(path("small/proxy-front.csv")));
  for (std::string line; std::getline(small, line);) {
    if (line[0] == 'e') continue;  // the header
    EXPECT_LE(std::stod(line.substr(line.rfind(',') + 1)), std::stod(budget));
  }
  const Result sized = call(search(
      "sized", {"--set", "search.states=0 0.5", "--set", "search.channels=0 0.25", "--quiet"}));
  ASSERT_EQ(sized.code, 0) << sized.err;
  EXPECT_THAT(read_file(path("sized/proxy-front.csv")),
              HasSubstr(",state,states_removed,channels_removed,loss,bytes\n"));
  // One reference of every size.
  for (const char* size :
       {"prune.channels=0 prune.states=0 ", "prune.channels=0.25 prune.states=0 ",
        "prune.channels=0 prune.states=0.5 ", "prune.channels=0.25 prune.states=0.5 "}) {
    EXPECT_THAT(rows("sized"), HasSubstr(size));
  }
  const std::string smallest = "expected at least " + std::to_string(static_cast<int>(least));
  expect_refused(search("none", {"--quiet", "--set", "search.bytes=10"}),
                 {"search.bytes = 10", smallest});
  expect_refused(
      search("none", {"--quiet", "--set", "qat.teacher=absent", "--set", "qat.distill=0.5"}),
      {"qat.teacher = absent"});
  expect_refused(search("none", {"--quiet", "--set", "search.objectives=min x"}),
                 {"search.objectives", "min x"});
  expect_refused(search("none", {"--quiet", "--data", "absent"}), {"data.directory = \"absent\""});
  expect_refused(search("none", {"--quiet", "--set", "search.bits=8"}), {"search.bits"});
  expect_refused(search("none", {"--quiet", "--set", "search.states=0.5 0.2"}), {"search.states"});
  expect_refused(search("none", {"--quiet", "--set", "train.validation=0"}), {"train.validation"});
  EXPECT_FALSE(fs::exists(path("none")));
  // The size of a pruned network follows from what was pruned.
  const Result pruned =
      call(search("pruned", {"--set", "search.states=0 0.5", "--set", "search.bytes=10"}));
  EXPECT_EQ(pruned.code, 2);
  EXPECT_THAT(pruned.err, AllOf(HasSubstr("search.bytes = 10, expected at least "),
                                Not(HasSubstr(smallest)), Not(HasSubstr("sensitivity"))));
}

TEST_F(CliSweep, SearchesOnOnceTheReferenceCanBeTrained) {
  write("base.toml", kTiny);
  const auto search = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"search", "--config",  path("base.toml"),
                                          "--out",  path("out"), "--quiet"};
    for (const char* setting : {"search.population=4", "search.generations=0",
                                "search.candidates=1", "search.sequences=16", "search.bits=4 8"}) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  write("out/points", "in the way");
  expect_refused(search({}), {"reference", "out/points", "--retry-failed"});
  expect_refused(search({"--resume"}), {"reference", "out/points"});
  fs::remove(path("out/points"));
  EXPECT_EQ(call(search({"--resume", "--retry-failed"})).code, 0);
}

// --- the design of a chip
// ---------------------------------------------------------------------------------------

class CliDesign : public CliSweep {
 protected:
  void SetUp() override {
    CliSweep::SetUp();
    ASSERT_EQ(call(tiny("train", path("net"))).code, 0);
  }
  // On a target without wires, which would take most of the time.
  std::vector<std::string> search(const std::string& out,
                                  const std::vector<std::string>& more = {}) const {
    write("target.toml", "[device]\nprogramming_noise = 0.05\n");
    std::vector<std::string> arguments = {
        "search", path("net/qat.safetensors"), "--target", path("target.toml"), "--out", path(out)};
    for (const char* setting :
         {"data.train_limit=160", "search.technology=crossbar-14nm", "search.population=6",
          "search.generations=2", "search.sequences=16", "search.chips=2",
          "search.digital=A pointwise", "search.arrays=16x16 64x64", "search.adc_bits=3 5 8"}) {
      arguments.insert(arguments.end(), {"--set", setting});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::string front(const std::string& out) const {
    return read_file(path(out + "/design-front.csv"));
  }
};

TEST_F(CliDesign, FindsTheSameHoweverOftenItIsKilled) {
  const Result whole = call(search("whole", {"--json", path("whole.json")}));
  EXPECT_EQ(whole.code, 0) << whole.err;
  EXPECT_THAT(whole.out, AllOf(HasSubstr("energy (nJ)"), HasSubstr("do not fit"), HasSubstr("±")));
  EXPECT_THAT(whole.err, HasSubstr("generation 2 of 2"));
  const json found = parse_json(read_file(path("whole.json")));
  EXPECT_EQ(found.at("format"), "crosstate search --target 1");
  EXPECT_EQ(found.at("simulated"), found.at("designs").size());
  std::size_t on_front = 0;
  for (const json& design : found.at("designs")) on_front += design.at("front").get<bool>();
  EXPECT_EQ(lines(front("whole")), on_front + 1);

  int kills = 0, delay = 100;
  for (int code = -SIGKILL; code == -SIGKILL; delay += 100) {
    ASSERT_LT(kills, 60);
    const Process process(directory_, search("killed", {"--resume", "--quiet", "--workers", "2"}));
    std::this_thread::sleep_for(std::chrono::milliseconds(delay));
    process.send(SIGKILL);
    code = process.wait();
    kills += code == -SIGKILL;
    ASSERT_TRUE(code == -SIGKILL || code == 0) << process.err();
  }
  EXPECT_GT(kills, 0);
  EXPECT_EQ(front("killed"), front("whole"));
  EXPECT_EQ(table("killed", "proxies"), table("whole", "proxies"));

  // More generations measure only what is new.
  const Result more =
      call(search("whole", {"--resume", "--set", "search.generations=3", "--threads", "2"}));
  EXPECT_EQ(more.code, 0) << more.err;
  EXPECT_EQ(more.err.find("to simulate"), more.err.rfind("to simulate"));
  EXPECT_GE(lines(table("whole", "proxies")), lines(table("killed", "proxies")));
}

TEST_F(CliDesign, PricesAsCostDoes) {
  ASSERT_EQ(call(search("out", {"--json", path("out.json"), "--quiet"})).code, 0);
  const json found = parse_json(read_file(path("out.json")));
  for (const json& design : found.at("designs")) {
    const std::string converter = design.at("converter");
    if (converter == "target" || design.at("digital") != "A") continue;
    std::vector<std::string> cost = {
        "cost",   path("net/qat.safetensors"), "--target", "crossbar-14nm",
        "--json", path("cost.json"),           "--quiet"};
    for (const std::string& setting :
         {std::string("crossbar.digital=A"), "cost.converter=" + converter,
          "crossbar.slices=" + std::to_string(design.at("slices").get<int>()),
          "crossbar.packing=" + design.at("packing").get<std::string>(),
          "cost.rows=" + std::to_string(design.at("rows").get<int>()),
          "cost.columns=" + std::to_string(design.at("columns").get<int>()),
          "cost.converter_bits=" + std::to_string(design.at("adc_bits").get<int>())}) {
      cost.insert(cost.end(), {"--set", setting});
    }
    ASSERT_EQ(call(cost).code, 0);
    const json priced = parse_json(read_file(path("cost.json")));
    const json& estimate = priced.at("targets").at(0).at("estimates").at(0);
    EXPECT_NEAR(estimate.at("energy_pj").at("per_inference").at("typical").get<double>(),
                1e3 * design.at("energy_nj").at("typical").get<double>(), 1);
    return;
  }
  FAIL() << "no design with these choices: " << found;
}

TEST_F(CliDesign, RefusesWhatHasNoEffect) {
  const auto refused = [&](const std::vector<std::string>& more,
                           const std::vector<std::string>& parts) {
    expect_refused(search("none", more), parts);
    EXPECT_FALSE(fs::exists(path("none")));
  };
  for (const auto& [setting, why] : std::vector<std::pair<std::string, std::string>>{
           {"search.bits=4", "--target"},
           {"crossbar.rows=32", "search.arrays"},
           {"cost.converter=sar", "search.converters"},
           {"data.test_limit=3", "--target"},
           {"train.epochs=3", "--target"},
           {"run.calibration=3", "search.residue_bits"},
           {"search.adc_bits=4 x", "\"x\""},
           {"search.technology=mcu-fp32", "crossbars"},
           {"search.technology=", "search.technology"},
           {"search.digital=B", "is not a site"},
           {"train.validation=0", "train.validation"}}) {
    refused({"--set", setting}, {setting.substr(0, setting.find('=')), why});
  }
  expect_refused({"search", "--target", "taox-64x64"}, {"--target", "trained network"});
  expect_refused({"search", path("net/qat.safetensors")}, {"--target"});
  expect_refused({"search", "--set", "search.arrays=64x64"}, {"without --target"});
  expect_refused({"search", "--set", "cost.idle=gated"}, {"without --target"});
  expect_refused(search("none", {"--resume", "--retry-failed"}), {"--retry-failed", "--target"});
  // Results of either search are not continued by the other.
  ASSERT_EQ(call(search("out", {"--quiet", "--set", "search.generations=0"})).code, 0);
  expect_refused({"search", "--out", path("out"), "--resume"},
                 {"search --target", "does not continue"});
  expect_refused(search("out", {"--resume", "--set", "search.age=2d"}), {"age was", "is now"});
}

// --- several ranks
// ---------------------------------------------------------------------------------------

#ifdef CROSSTATE_MPIRUN

class Mpirun {
 public:
  Mpirun(const fs::path& log, int ranks, std::vector<std::string> arguments) : log_(log) {
    std::vector<std::string> all = {CROSSTATE_MPIRUN,
                                    "--oversubscribe",
                                    "--allow-run-as-root",
                                    "--enable-recovery",
                                    "--bind-to",
                                    "none",
                                    "-np",
                                    std::to_string(ranks),
                                    CROSSTATE_PROGRAM};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : all) argv.push_back(argument.data());
    argv.push_back(nullptr);
    id_ = fork();
    if (id_ != 0) return;
    const int to = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
    dup2(to, STDOUT_FILENO);
    dup2(to, STDERR_FILENO);
    execv(CROSSTATE_MPIRUN, argv.data());
    _exit(127);
  }
  // In the order of ranks.
  std::vector<pid_t> ranks() const {
    const std::string id = std::to_string(id_);
    std::istringstream children(read_file("/proc/" + id + "/task/" + id + "/children"));
    std::vector<pid_t> all;
    for (pid_t child = 0; children >> child;) all.push_back(child);
    return all;
  }
  int wait() const {
    int status = 0;
    waitpid(id_, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  std::string log() const { return read_file(log_); }

 private:
  fs::path log_;
  pid_t id_;
};

TEST_F(CliSweep, RunsOnSeveralRanksAndSurvivesOne) {
  write_sweep("s.toml", kSixPoints);
  ASSERT_EQ(call({"sweep", path("s.toml"), "--out", path("one")}).code, 0);
  const Mpirun two(directory_ / "two.txt", 2, {"sweep", path("s.toml"), "--out", path("two")});
  EXPECT_EQ(two.wait(), 0) << two.log();
  EXPECT_EQ(rows("two"), rows("one"));

  const Mpirun three(
      directory_ / "three.txt", 3,
      {"sweep", path("s.toml"), "--out", path("three"), "--set", "sweep.patience=2"});
  while (!fs::exists(path("three/float"))) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const std::vector<pid_t> ranks = three.ranks();
  ASSERT_EQ(ranks.size(), 3u);
  kill(ranks[1], SIGKILL);
  EXPECT_EQ(three.wait(), 0) << three.log();
  EXPECT_EQ(rows("three"), rows("one"));
}

TEST_F(CliDesign, RunsOnSeveralRanks) {
  ASSERT_EQ(call(search("one", {"--quiet"})).code, 0);
  const Mpirun two(directory_ / "two.txt", 2, search("two", {"--quiet"}));
  EXPECT_EQ(two.wait(), 0) << two.log();
  EXPECT_EQ(front("two"), front("one"));
  EXPECT_EQ(table("two", "proxies"), table("one", "proxies"));
}

#endif

}  // namespace
}  // namespace crosstate
