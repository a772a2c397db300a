// crosstate device, run as by a user.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class CliDevice : public Cli {
 protected:
  json result(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "device");
    arguments.insert(arguments.end(), {"--json", "-"});
    const Result called = call(arguments);
    EXPECT_EQ(called.code, 0) << called.err;
    return parse_json(called.out);
  }
};

TEST_F(CliDevice, ListsTheModels) {
  const Result listed = call({"device"});
  EXPECT_EQ(listed.code, 0) << listed.err;
  for (const char* name : {"pcm", "hermes", "hermes-single", "neurram", "rram-cmo", "milo", "sonos",
                           "simple", "gaussian", "taox", "table"}) {
    EXPECT_THAT("\n" + listed.out, HasSubstr(std::string("\n") + name + " "));
  }
  EXPECT_THAT(listed.out, HasSubstr("assumed"));
  EXPECT_EQ(call({"device", "--list"}).out, listed.out);
  const json models = result({});
  EXPECT_EQ(models.at("models").size(), 12u);
  EXPECT_EQ(models.at("format"), "crosstate device 1");
}

TEST_F(CliDevice, TellsMeanAndDeviation) {
  const json found = result({"sonos", "--target-conductance", "8", "--count", "40000", "--time",
                             "86400", "--histogram", path("bins.csv"), "--bins", "30"});
  // The polynomial of docs/devices.md at 800 nA is -24.85 nA; 25.59 nA (1 - exp(-775.1 / 186.9)) at
  // 0.1 V.
  EXPECT_NEAR(found["mean"], 7.75148, 4 * 0.252 / 200);
  EXPECT_NEAR(found["std"], 0.25187, 4 * 0.2524 / 283);
  EXPECT_EQ(found["count"], 40000);
  EXPECT_EQ(found["programming"]["method"], "published");
  const std::string bins = read_file(path("bins.csv"));
  EXPECT_EQ(std::count(bins.begin(), bins.end(), '\n'), 31);

  const Result text = call({"device", "sonos", "--target-conductance", "8", "--count", "1000"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, testing::AllOf(HasSubstr("mean"), HasSubstr("Agrawal"),
                                       HasSubstr("from read to read")));
}

TEST_F(CliDevice, TakesSettingsOfARun) {
  write("run.toml", "[model]\nchannels = 4\n[device]\nwrite_verify = true\nopen = 0.1\n");
  const json found = result({"pcm", "--config", path("run.toml"), "--count", "1000", "--seed", "3",
                             "--set", "device.max_pulses=9"});
  EXPECT_EQ(found["target"], 12.5);
  EXPECT_EQ(found["seed"], 3);
  EXPECT_EQ(found["programming"]["method"], "write-verify");
  EXPECT_EQ(found["programming"]["most_pulses"], 9);
  EXPECT_GT(found["programming"]["open"], 50);
  EXPECT_EQ(result({"pcm", "--count", "999", "--threads", "3"}),
            result({"pcm", "--count", "999", "--threads", "1"}));
}

TEST_F(CliDevice, TakesMeasuredTables) {
  write("chip.csv", "time,target,mean,sigma\n0,1,1,0\n0,9,8,0\n");
  const std::vector<std::string> arguments = {"table", "--set", "device.table=" + path("chip.csv"),
                                              "--target-conductance", "5"};
  EXPECT_EQ(result(arguments)["mean"], 4.5);
  write("chip.csv", "time,target,mean,sigma\n0,1,1,0\n0,nine,8,0\n");
  expect_refused({"device", "table", "--set", "device.table=" + path("chip.csv")},
                 {"chip.csv:3", "column target", "nine"});
}

TEST_F(CliDevice, RefusesWhatNoModelDefines) {
  expect_refused({"device", "pmc"}, {"\"pmc\"", "nearest is pcm"});
  expect_refused({"device", "--count", "10"}, {"no NAME"});
  expect_refused({"device", "neurram", "--time", "1e9"}, {"1e+09 s", "172800 s"});
  expect_refused({"device", "pcm", "--target-conductance", "99"}, {"99 uS", "0 to 25"});
  expect_refused({"device", "pcm", "--count", "0"}, {"--count 0"});
  expect_refused({"device", "pcm", "--set", "device.read_noise=0.1"}, {"gaussian"});
  expect_refused({"device", "pcm", "--histogram", path("no") + "/"}, {path("no")});
}

}  // namespace
}  // namespace crosstate
