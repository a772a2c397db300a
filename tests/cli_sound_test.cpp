// Models of recordings with a front end in whole numbers, on sound as it arrives.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "crosstate/base/files.h"
#include "crosstate/base/json.h"
#include "crosstate/data/audio.h"
#include "crosstate/data/integer_front_end.h"
#include "crosstate/formats/safetensors.h"
#include "tests/cli.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class CliSound : public Cli {
 protected:
  // A model and the recordings it is for, created once for all tests of this file.
  static void SetUpTestSuite() {
    files_ = fs::path(testing::TempDir()) / ("cli-sound-" + std::to_string(getpid()));
    fs::create_directories(files_);
    const data::Recordings set = data::reference::tone_set(48, 1);
    for (std::size_t i = 0; i < set.items.size(); ++i) {
      const data::Recording& item = set.items[i];
      data::reference::write_sound(files_ / "tones" /
                                       (set.classes[static_cast<std::size_t>(item.label)] + '_' +
                                        item.speaker + '_' + std::to_string(i / 6) + ".wav"),
                                   item.samples);
    }
    const Process training(
        files_, tiny("train", files_ / "out",
                     {"--quiet", "--data", files_ / "tones", "--set", "front_end.bands=6", "--set",
                      "front_end.arithmetic=integer", "--set", "front_end.deltas=true"}));
    ASSERT_EQ(training.wait(), 0) << training.err();
  }
  static void TearDownTestSuite() { fs::remove_all(files_); }

  static std::string model() { return files_ / "out" / "qat.integer.safetensors"; }
  static std::string recording(const std::string& name) { return files_ / "tones" / name; }

  static fs::path files_;
};
fs::path CliSound::files_;

std::string little_endian(const std::vector<float>& samples) {
  std::string bytes;
  for (const float sample : samples) {
    const auto word = static_cast<std::uint16_t>(data::pcm_of(sample));
    bytes += {static_cast<char>(word & 0xff), static_cast<char>(word >> 8)};
  }
  return bytes;
}

TEST_F(CliSound, StreamsFilesPipesAndNumbersAlike) {
  const std::string file = recording("low_ann_0.wav");
  const std::vector<float> samples = data::read_sound(file, 10).samples;
  const Result wanted = call({"stream", model(), file, "--output", "step"});
  ASSERT_EQ(wanted.code, 0) << wanted.err;
  EXPECT_EQ(std::count(wanted.out.begin(), wanted.out.end(), '\n'),
            static_cast<long>(samples.size() / 80));
  std::string numbers;
  for (const float sample : samples) {
    char line[40];
    std::snprintf(line, sizeof line, "%.9g\n", static_cast<double>(sample));
    numbers += line;
  }
  const std::string raw(reinterpret_cast<const char*>(samples.data()), samples.size() * 4);
  const std::vector<std::pair<std::string, std::string>> inputs = {{"auto", read_file(file)},
                                                                   {"wav", read_file(file)},
                                                                   {"auto", little_endian(samples)},
                                                                   {"pcm", little_endian(samples)},
                                                                   {"auto", numbers},
                                                                   {"text", numbers},
                                                                   {"raw", raw}};
  for (const auto& [format, bytes] : inputs) {
    write("stdin.txt", bytes);
    const Result found = call({"stream", model(), "--output", "step", "--input", format});
    EXPECT_EQ(found.code, 0) << format << found.err;
    EXPECT_EQ(found.out, wanted.out) << format;
  }
}

TEST_F(CliSound, StreamsWhatEvalMeasures) {
  const Result evaluated = call({"eval", model(), "--data", files_ / "tones", "--json", "-"});
  ASSERT_EQ(evaluated.code, 0) << evaluated.err;
  const json result = parse_json(evaluated.out);
  std::vector<std::string> arguments = {"stream", model()};
  std::vector<std::string> labels;
  for (const auto& entry : fs::directory_iterator(files_ / "tones")) {
    const std::string name = entry.path().filename();
    if (name[name.size() - 5] > '4') continue;  // of the training set
    arguments.push_back(entry.path());
    labels.push_back(name.substr(0, name.find('_')));
  }
  ASSERT_EQ(result["sequences"], labels.size());
  const Result streamed = call(arguments);
  ASSERT_EQ(streamed.code, 0) << streamed.err;
  std::istringstream lines(streamed.out);
  int right = 0, count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const std::size_t comma = line.find(',');
    right += line.substr(comma + 1).starts_with(labels[static_cast<std::size_t>(count)]);
  }
  EXPECT_EQ(count, static_cast<int>(labels.size()));
  EXPECT_NEAR(result["accuracy"].get<double>(), static_cast<double>(right) / count, 1e-9);
}

TEST_F(CliSound, ReportsHowLongProcessingTakes) {
  const Result result = call({"stream", model(), recording("low_ann_0.wav"),
                              recording("middle_bob_0.wav"), "--json", path("s.json")});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("s of sound at 8000 Hz"));
  EXPECT_THAT(result.err, HasSubstr("real-time factor"));
  EXPECT_THAT(result.err, HasSubstr("a step every 10 ms"));
  const json sound = parse_json(read_file(path("s.json")))["sound"];
  EXPECT_EQ(sound["sample_rate"], 8000);
  const std::size_t samples = data::read_sound(recording("low_ann_0.wav"), 10).samples.size() +
                              data::read_sound(recording("middle_bob_0.wav"), 10).samples.size();
  EXPECT_EQ(sound["samples"], samples);
  EXPECT_NEAR(sound["seconds"].get<double>(), static_cast<double>(samples) / 8000, 1e-9);
  EXPECT_GT(sound["real_time_factor"].get<double>(), 0);
  EXPECT_GE(sound["latency_seconds"]["longest"].get<double>(),
            sound["latency_seconds"]["mean"].get<double>());
  EXPECT_EQ(call({"stream", model(), recording("low_ann_0.wav"), "--quiet"}).err, "");
}

TEST_F(CliSound, RefusesOtherSound) {
  data::reference::write_sound(path("fast.wav"), data::reference::tone(300, 800), 16000);
  expect_refused({"stream", model(), path("fast.wav")},
                 {"fast.wav", "16000 Hz, expected the 8000"});
  expect_refused({"stream", model(), path("absent.wav")}, {"absent.wav"});
  expect_refused({"stream", model(), recording("low_ann_0.wav"), "--input", "pcm"},
                 {"stream.input = \"pcm\" has no effect on files"});
  write("stdin.txt", read_file(path("fast.wav")));
  expect_refused({"stream", model()}, {"standard input: 16000 Hz"});
  write("stdin.txt", std::string(3, '\0'));
  expect_refused({"stream", model()}, {"standard input, sample 1: ends after 1 byte, expected 2"});
  data::reference::write_sound(path("short.wav"), data::reference::tone(300, 79), 8000);
  expect_refused({"stream", model(), path("short.wav"), recording("low_ann_0.wav")},
                 {"short.wav: 79 samples, expected at least the 80 of one frame"});
  write("stdin.txt", std::string("fLaC\0\0\0\x22", 8));
  expect_refused({"stream", model()}, {"like FLAC", "give the file by its name"});
  write("stdin.txt", std::string("RIFX\0\0\0\x22", 8));
  expect_refused({"stream", model()}, {"like big-endian WAV", "stream.input = \"pcm\""});
  write("stdin.txt", std::string(5, '\0'));
  expect_refused({"stream", model(), "--input", "wav"}, {"ends within the header"});
}

TEST_F(CliSound, FloorsBelowTheRangeOf16BitsEndBeforeTraining) {
  expect_refused(tiny("train", path("no"),
                      {"--data", files_ / "tones", "--set", "front_end.arithmetic=integer", "--set",
                       "front_end.floor=-110"}),
                 {"front_end.floor = -110, expected at least -100"});
  EXPECT_FALSE(fs::exists(path("no")));
}

TEST_F(CliSound, FrontEndsAreExchanged) {
  const std::string floats = path("floats.safetensors"), whole = path("whole.safetensors");
  const Result made =
      call({"convert", model(), "--set", "front_end.arithmetic=float", "--out", floats});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_THAT(made.out, HasSubstr("front end now in floating point; crosstate eval measures"));
  EXPECT_THAT(call({"info", floats}).out, Not(HasSubstr("in whole numbers")));
  EXPECT_EQ(call({"eval", floats, "--data", files_ / "tones"}).code, 0);
  const Result back = call({"convert", floats, "--front-end", "integer", "--out", whole, "--json",
                            path("convert.json")});
  ASSERT_EQ(back.code, 0) << back.err;
  EXPECT_THAT(back.out, HasSubstr("front end now in whole numbers"));
  EXPECT_EQ(parse_json(read_file(path("convert.json")))["front_end"]["arithmetic"], "integer");
  EXPECT_TRUE(read_file(whole) == read_file(model()));
  // While a quantized model is converted, and without a change.
  const std::string quantized = files_ / "out" / "qat.safetensors";
  const Result both = call({"convert", quantized, "--front-end", "float", "--out", floats});
  EXPECT_EQ(both.code, 0) << both.err;
  const Result same = call({"convert", quantized, "--front-end", "integer", "--out", whole});
  EXPECT_THAT(same.out, Not(HasSubstr("front end now")));
  EXPECT_TRUE(read_file(whole) == read_file(model()));

  expect_refused({"convert", model(), "--front-end", "float"}, {"--out: is missing"});
  expect_refused({"convert", model()}, {"already an integer network", "front_end.arithmetic"});
  expect_refused({"convert", CROSSTATE_SOURCE_DIR "/models/smnist.safetensors", "--front-end",
                  "integer", "--out", path("no.safetensors")},
                 {"smnist.safetensors: has no front end"});
  expect_refused({"convert", model(), "--front-end", "double", "--out", path("no.safetensors")},
                 {"--front-end double", "float, integer"});
  EXPECT_FALSE(fs::exists(path("no.safetensors")));
}

TEST_F(CliSound, NewerFrontEndsAreRefused) {
  formats::Safetensors file = formats::read_safetensors(model());
  EXPECT_EQ(file.metadata.at("front_end.format"), "crosstate front end 2");
  file.metadata["front_end.format"] = "crosstate front end 3";
  write_file(path("new.safetensors"), formats::format_safetensors(file));
  expect_refused({"info", path("new.safetensors")}, {"written by a newer version of crosstate"});
  const Result known = call({"info", model()});
  EXPECT_THAT(known.out, HasSubstr("in whole numbers, from 8000 Hz"));
}

}  // namespace
}  // namespace crosstate
