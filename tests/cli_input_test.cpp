// Input from instruments and files that fail or write numbers in unusual ways, and failures of the
// program's own output.
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
using testing::Not;
using testing::StartsWith;

class CliInput : public Cli {
 protected:
  // A model with one value per step, created once for all tests of this file.
  static void SetUpTestSuite() {
    models_ = fs::path(testing::TempDir()) / ("cli-input-" + std::to_string(getpid()));
    fs::create_directories(models_);
    const Process plain(models_, tiny("train", models_ / "plain", {"--quiet"}));
    ASSERT_EQ(plain.wait(), 0) << plain.err();
    const Process permuted(models_, tiny("train", models_ / "permuted",
                                         {"--quiet", "--set", "data.permutation_seed=7"}));
    ASSERT_EQ(permuted.wait(), 0) << permuted.err();
  }
  static void TearDownTestSuite() { fs::remove_all(models_); }

  static std::string model(const std::string& run = "plain") {
    return models_ / run / "qat.safetensors";
  }

  // Runs a shell line in which "stream" is the program with its model.
  Result shell(const std::string& redirected, const std::string& arguments = "stream") const {
    const std::string line = std::string(CROSSTATE_PROGRAM) + ' ' + arguments + ' ' +
                             (arguments == "stream" ? model() : "") + " 2>" + path("err") + ' ' +
                             redirected;
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, "", read_file(path("err"))};
  }

  void expect_streamed(const std::string& input, const std::string& like) const {
    write("stdin.txt", like);
    const Result expected = call({"stream", model()});
    ASSERT_EQ(expected.code, 0) << expected.err;
    write("stdin.txt", input);
    const Result found = call({"stream", model()});
    EXPECT_EQ(found.code, 0) << found.err;
    EXPECT_EQ(found.out, expected.out) << input;
  }

  void expect_stream_refused(const std::string& input, const std::vector<std::string>& parts) {
    write("stdin.txt", input);
    const Result result = call({"stream", model(), "--output", "step"});
    EXPECT_EQ(result.code, 2) << input;
    for (const std::string& part : parts) EXPECT_THAT(result.err, HasSubstr(part)) << input;
  }

  static fs::path models_;
};
fs::path CliInput::models_;

TEST_F(CliInput, TellsAFailureOfStandardInputFromItsEnd) {
  for (const std::string more : {"", " --input raw"}) {
    const Result directory = shell(more + " </ >/dev/null");
    EXPECT_EQ(directory.code, 2);
    EXPECT_THAT(directory.err, HasSubstr("standard input: cannot read: Is a directory"));
    const Result closed = shell(more + " <&- >/dev/null");
    EXPECT_EQ(closed.code, 2);
    EXPECT_THAT(closed.err, HasSubstr("standard input: cannot read: Bad file descriptor"));
  }
  EXPECT_EQ(shell("</dev/null >/dev/null").code, 0) << "an empty input is no failure";
}

TEST_F(CliInput, FailsWhereStandardOutputDoes) {
  write("samples.txt", "0.5\n\n0.25\n");
  const std::string from = "<" + path("samples.txt");
  const Result full = shell(from + " >/dev/full");
  EXPECT_EQ(full.code, 2);
  EXPECT_THAT(full.err, HasSubstr("standard output: cannot write: No space left on device"));
  const Result closed = shell(from + " >&-");
  EXPECT_EQ(closed.code, 2);
  EXPECT_THAT(closed.err, HasSubstr("standard output: cannot write"));
  // An endless input does not prevent the program from ending.
  const Result endless = shell("--output step >/dev/full </dev/zero --input raw");
  EXPECT_EQ(endless.code, 2);
  for (const char* what : {"--help", "--version", "train --help", "device pcm --count 10",
                           "device --list", "device pcm --count 10 --json -"}) {
    const Result refused = shell(">/dev/full", what);
    EXPECT_EQ(refused.code, 2) << what;
    EXPECT_THAT(refused.err, StartsWith("crosstate: standard output: cannot write")) << what;
    EXPECT_EQ(shell(">&-", what).code, 2) << what;
    EXPECT_EQ(shell(">/dev/null", what).code, 0) << what;
  }
}

TEST_F(CliInput, FailsWhereAFileCannotGrow) {
  const std::string line = "sh -c 'ulimit -f 0; exec " + std::string(CROSSTATE_PROGRAM) +
                           " device pcm --count 10 --quiet --json " + path("big.json") +
                           "' 2>/dev/full";
  const int status = std::system(line.c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 2);
  EXPECT_FALSE(fs::exists(path("big.json")));
}

// A closed stream would be reused by the first file that is opened.
TEST_F(CliInput, WritesNoResultOverAClosedStream) {
  const Result closed = shell("<&- >&- --quiet --out " + path("results"), "device pcm --count 10");
  EXPECT_EQ(closed.code, 0) << closed.err;
  EXPECT_EQ(parse_json(read_file(path("results/device.json")))["count"], 10);
}

TEST_F(CliInput, StreamsNumbersAsInstrumentsWriteThem) {
  expect_streamed("+0.5\n+5.0E-01\n", "0.5\n0.5\n");
  expect_streamed("0.1\n1e-50\n", "0.1\n0\n");
  expect_streamed(
      "\xEF\xBB\xBF"
      "0.5\n0.25\n",
      "0.5\n0.25\n");
  expect_streamed(" 0.5 \r\n\t.25,\r\n", "0.5\n0.25\n");
  expect_streamed("0.5\r\n\r\n0.25\r\n", "0.5\n\n0.25\n");
}

TEST_F(CliInput, NamesLineAndTextOfWhatIsNoNumber) {
  expect_stream_refused("0.5\n0x1p3\n", {"standard input:2: \"0x1p3\" is hexadecimal"});
  expect_stream_refused("0.5\n\n1e400\n", {"standard input:3: \"1e400\" is too large"});
  expect_stream_refused("1e39\n", {"standard input:1: \"1e39\" is too large"});
  expect_stream_refused("9.91E+37\n", {"standard input:1: \"9.91E+37\"", "overload"});
  expect_stream_refused("-9.9E+37\n", {"standard input:1: \"-9.9E+37\"", "overload"});
  expect_stream_refused("0.5V\n", {"\"0.5V\" is not a number"});
  expect_stream_refused("1-2\n", {"\"1-2\" is not a number"});
  expect_stream_refused("0.5\n-inf\n", {"standard input:2: \"-inf\" is not finite"});
  expect_stream_refused(",\n", {"standard input:1: \"\" is empty"});
  expect_stream_refused(
      "0.5\n\xEF\xBB\xBF"
      "0.5\n",
      {"standard input:2", "is not a number"});
  expect_stream_refused(std::string("\xFF\xFE"
                                    "1\0\n\0",
                                    6),
                        {"standard input:1", "UTF-16"});
  expect_stream_refused(std::string(1 << 20, '0'), {"standard input:1: more than", "in one line"});
}

TEST_F(CliInput, StreamsNoPermutedSteps) {
  expect_refused({"stream", model("permuted")}, {"permuted order, which cannot be streamed"});
  EXPECT_EQ(call({"eval", model("permuted"), "--set", "data.test_limit=32"}).code, 0);
}

TEST_F(CliInput, DeploysNoYoungerChip) {
  const std::string first = path("first");
  const std::vector<std::string> deploy = {"deploy", model(), "--set", "device.model=pcm",
                                           "--quiet"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), deploy.begin(), deploy.end());
    return more;
  };
  ASSERT_EQ(call(with({"--age", "1d", "--out", first})).code, 0);
  const std::string chip = first + "/chip.safetensors";
  const auto age_of = [&](const std::string& out) {
    return parse_json(read_file(out + "/deploy.json"))["seconds_since_programming"];
  };
  EXPECT_EQ(age_of(first), 86400);
  for (const char* age : {"3600", "0", "86399.9", "1h"}) {
    expect_refused(with({"--chip", chip, "--age", age, "--out", path("no")}),
                   {std::string("--age ") + age, "86400 s old"});
  }
  for (const char* age : {"nan", "-1", "1e13", "1x", "1e400"}) {
    expect_refused(with({"--age", age, "--out", path("no")}), {std::string("--age ") + age});
  }
  EXPECT_FALSE(fs::exists(path("no/deploy.json")));
  for (const std::vector<std::string>& more :
       {std::vector<std::string>{}, {"--age", "86400"}, {"--age", "+8.64E+04"}}) {
    std::vector<std::string> arguments =
        with({"--chip", chip, "--out", path("later"), "--overwrite"});
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Result later = call(arguments);
    ASSERT_EQ(later.code, 0) << later.err;
    EXPECT_EQ(age_of(path("later")), 86400);
  }
  // The cells are already saved, so they are no longer a setting.
  expect_refused(with({"--chip", chip, "--set", "device.drift=false", "--out", path("no")}),
                 {chip, "device.drift (true, not false)"});
}

TEST_F(CliInput, DropsNoPartOfWhatDeviceIsAsked) {
  expect_refused({"device", "pcm", "--set", "device.model=milo"}, {"device.model=milo"});
  expect_refused({"device", "--set", "device.drift=false"}, {"no NAME"});
  expect_refused({"device", "pcm", "--list"}, {"--list"});
  expect_refused({"device", "--list", "--count", "5"}, {"--list"});
}

TEST_F(CliInput, ReadsMatricesAsInstrumentsWriteThem) {
  write("v.csv", "+1.0E-01\n0.2\n");
  const auto currents = [&](const std::string& cells) {
    write("g.csv", cells);
    return call({"array", "--conductance", path("g.csv"), "--voltage", path("v.csv")});
  };
  const std::string expected = currents("1e-6,0\n3e-6,4e-6\n").out;
  EXPECT_EQ(currents("\xEF\xBB\xBF+1E-06,1e-400\r\n 3e-6,4e-6\r\n").out, expected);
  EXPECT_THAT(currents("1e-6,1\n3e-6,1e400\n").err,
              HasSubstr("g.csv:2: column 2: \"1e400\" is too large"));
  EXPECT_THAT(currents("1e-6,9.91E+37\n3e-6,1\n").err, HasSubstr("overload"));
}

}  // namespace
}  // namespace crosstate
