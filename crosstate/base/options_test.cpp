#include "crosstate/base/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"

namespace crosstate {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

enum class Mode { kFast, kExact };
constexpr auto enum_names(Mode) {
  return std::array{Named{"fast", Mode::kFast}, Named{"exact", Mode::kExact}};
}

struct Values {
  int epochs = 10;
  double rate = 0.01;
  bool shuffle = true;
  std::string optimizer = "adamw";
  std::uint64_t seed = 1;
  std::int64_t offset = -5;
  std::string name = "run";
  double drift = 0;
};

class Options : public testing::Test {
 protected:
  Options() {
    fields_.section("train");
    fields_.add("epochs", values_.epochs, "Passes over the data.").range(1, 1000);
    fields_.add("rate", values_.rate, "Step size.").range(0, 1);
    fields_.add("shuffle", values_.shuffle, "New order in each epoch.");
    fields_.add("optimizer", values_.optimizer, "Update rule.").one_of({"adamw", "sgd"});
    fields_.section("run");
    fields_.add("seed", values_.seed, "Repeats a run.");
    fields_.add("offset", values_.offset, "Any integer.");
    fields_.add("name", values_.name, "Names the outputs.");
    fields_.section("device.read");
    fields_.add("drift", values_.drift, "Time since programming.")
        .in("s")
        .range(0, std::numeric_limits<double>::infinity());
  }

  ~Options() override { std::filesystem::remove(path_); }

  void read(const std::string& toml) {
    std::ofstream(path_) << toml;
    fields_.read_toml(path_);
  }
  void expect_set_error(const std::string& assignment, const std::string& message) {
    EXPECT_THAT([&] { fields_.set(assignment); }, ThrowsMessage<Error>("option: " + message));
  }
  void expect_toml_error(const std::string& toml, int line, const std::string& message) {
    const std::string where = path_ + ":" + std::to_string(line) + ": ";
    EXPECT_THAT([&] { read(toml); }, ThrowsMessage<Error>(where + message)) << toml;
  }
  void expect_json_error(const std::string& text, const std::string& message) {
    EXPECT_THAT([&] { fields_.from_json(parse_json(text), "model.json"); },
                ThrowsMessage<Error>("model.json: " + message))
        << text;
  }

  Values values_;
  FieldList fields_;
  std::string path_ =
      testing::TempDir() + "crosstate-options-" + std::to_string(getpid()) + ".toml";
};

// --- text
// ------------------------------------------------------------------------------------------

TEST_F(Options, SetReadsEveryType) {
  fields_.set("train.epochs=20");
  fields_.set("train.rate=1e-3");
  fields_.set("train.shuffle=false");
  fields_.set("train.optimizer=sgd");
  fields_.set("run.seed=9223372036854775807");
  fields_.set("run.offset=-9223372036854775808");
  fields_.set("run.name=a=b c");
  fields_.set("device.read.drift=3600");
  EXPECT_EQ(values_.epochs, 20);
  EXPECT_EQ(values_.rate, 1e-3);
  EXPECT_FALSE(values_.shuffle);
  EXPECT_EQ(values_.optimizer, "sgd");
  EXPECT_EQ(values_.seed, 9223372036854775807u);
  EXPECT_EQ(values_.offset, std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(values_.name, "a=b c");
  EXPECT_EQ(values_.drift, 3600);
}

TEST_F(Options, SetAcceptsTheEndsOfARange) {
  fields_.set("train.epochs=1");
  fields_.set("train.epochs=1000");
  fields_.set("train.rate=0");
  fields_.set("train.rate=1");
  fields_.set("run.name=");
  EXPECT_EQ(values_.name, "");
}

TEST_F(Options, SetNeedsAnAssignment) {
  expect_set_error("train.epochs", "\"train.epochs\" has no '=', expected section.key=value");
}

TEST_F(Options, UnknownKeyNamesTheNearest) {
  expect_set_error("train.epocs=3",
                   "unknown key \"train.epocs\"; the nearest key is \"train.epochs\"");
  expect_set_error("tarin.rate=3", "unknown key \"tarin.rate\"; the nearest key is \"train.rate\"");
  expect_set_error("seed=3", "unknown key \"seed\"; the nearest key is \"run.seed\"");
  expect_set_error("train.drift=3",
                   "unknown key \"train.drift\"; the nearest key is \"device.read.drift\"");
  expect_set_error("train.\nepochs" + std::string(1000, 'x') + "=3",
                   "unknown key \"train.?epochs" + std::string(67, 'x') +
                       "...\"; the nearest key is \"train.epochs\"");
  EXPECT_THAT([&] { fields_.set("=3"); }, ThrowsMessage<Error>(HasSubstr("unknown key \"\"")));
}

TEST_F(Options, TheNearestKeyIsInTheNamedSection) {
  int channels = 1, half = 1, low = 1;
  double learning_rate = 0;
  FieldList list;
  list.section("front_end").add("low", low, "");
  list.section("train").add("epochs", half, "");
  list.add("learning_rate", learning_rate, "");
  list.add("final_rate", learning_rate, "");
  list.section("model").add("channels", channels, "");
  list.section("quant.state").add("bits", half, "");
  for (const auto& [key, nearest] :
       std::vector<std::pair<std::string, std::string>>{{"train.lr", "train.learning_rate"},
                                                        {"train.rate", "train.learning_rate"},
                                                        {"train.x", "train.epochs"},
                                                        {"model.chan", "model.channels"},
                                                        {"model.chanels", "model.channels"},
                                                        {"modle.chan", "model.channels"},
                                                        {"model.low", "front_end.low"},
                                                        {"quant.state.bit", "quant.state.bits"},
                                                        {"quant.bits", "quant.state.bits"},
                                                        {"low", "front_end.low"}}) {
    EXPECT_THAT([&] { list.set(key + "=1"); },
                ThrowsMessage<Error>(HasSubstr("nearest key is \"" + nearest + '"')))
        << key;
  }
}

TEST_F(Options, WhatIsNotUsedStaysKnown) {
  fields_.use_only({"train.", "!train.rate", "run.seed"}, "crosstate test");
  EXPECT_EQ(fields_.to_json(), parse_json(R"({
    "train": {"epochs": 10, "shuffle": true, "optimizer": "adamw"}, "run": {"seed": 1}})"));
  EXPECT_THAT(fields_.to_toml(), Not(HasSubstr("drift")));
  expect_set_error(
      "train.rate=0.5",
      "train.rate has no effect in crosstate test; crosstate settings train.rate lists "
      "the commands that use it");
  expect_set_error("train.rat=3", "unknown key \"train.rat\"; the nearest key is \"train.epochs\"");

  // A file may contain it: the value is checked but not used.
  read("[train]\nrate = 0.5\nepochs = 3\n[device.read]\ndrift = 4\n");
  EXPECT_EQ(values_.rate, 0.01);
  EXPECT_EQ(values_.epochs, 3);
  EXPECT_EQ(values_.drift, 0);
  expect_toml_error("[train]\nrate = 2\n", 2, "train.rate = 2, expected a number, 0 to 1");
  expect_toml_error("[train]\nrat = 2\n", 2,
                    "unknown key \"train.rat\"; the nearest key is \"train.rate\"");
  EXPECT_THROW(fields_.use_only({"train.speed"}, ""), std::logic_error);
}

TEST_F(Options, OthersAreKnownAlone) {
  int epochs = 7, steps = 8;
  FieldList others;
  others.section("train").add("epochs", epochs, "");
  others.section("bench").add("steps", steps, "").range(1, 9);
  fields_.use_only({"train."}, "crosstate test");
  fields_.tolerate(others);
  read("[train]\nepochs = 3\n[bench]\nsteps = 4\n");
  EXPECT_EQ(values_.epochs, 3);
  EXPECT_EQ(epochs, 7);
  EXPECT_EQ(steps, 8);
  expect_toml_error("[bench]\nsteps = 10\n", 2, "bench.steps = 10, expected an integer, 1 to 9");
  EXPECT_THAT([&] { fields_.set("bench.steps=4"); },
              ThrowsMessage<Error>(HasSubstr("bench.steps has no effect in crosstate test")));
}

TEST_F(Options, NumbersAreReadStrictly) {
  for (const std::string text : {"", " 3", "3 ", "+3", "3x", "0x3", "three", "1e2", "3.0", "1_000",
                                 "99999999999999999999"}) {
    expect_set_error("train.epochs=" + text,
                     "train.epochs = \"" + text + "\", expected an integer, 1 to 1000");
  }
  for (const std::string text : {"", "0.1f", "0,1", "0x1p-3", "1e999", "half"}) {
    expect_set_error("train.rate=" + text,
                     "train.rate = \"" + text + "\", expected a number, 0 to 1");
  }
  for (const std::string text : {"1", "True", "yes", ""}) {
    expect_set_error("train.shuffle=" + text,
                     "train.shuffle = \"" + text + "\", expected true or false");
  }
}

TEST_F(Options, NumbersAreReadAsInstrumentsWriteThem) {
  fields_.set("train.rate=+1.0E-03");
  EXPECT_EQ(values_.rate, 0.001);
  fields_.set("train.rate=1e-400");
  EXPECT_EQ(values_.rate, 0);
}

TEST_F(Options, NonFiniteNumbersAreRefused) {
  expect_set_error("train.rate=nan", "train.rate = nan, expected a number, 0 to 1");
  expect_set_error("train.rate=inf", "train.rate = inf, expected a number, 0 to 1");
  expect_set_error("device.read.drift=inf",
                   "device.read.drift = inf, expected a number, 0 or more (s)");
  expect_set_error("device.read.drift=-nan",
                   "device.read.drift = -nan, expected a number, 0 or more (s)");
}

TEST_F(Options, ValuesOutsideTheRangeAreRefused) {
  expect_set_error("train.epochs=0", "train.epochs = 0, expected an integer, 1 to 1000");
  expect_set_error("train.epochs=1001", "train.epochs = 1001, expected an integer, 1 to 1000");
  expect_set_error("train.rate=-0.5", "train.rate = -0.5, expected a number, 0 to 1");
  expect_set_error("run.seed=-1", "run.seed = -1, expected an integer, 0 to 9223372036854775807");
  EXPECT_EQ(values_.epochs, 10);
}

TEST_F(Options, WholeNumbersFitTheirType) {
  int narrow = 0;
  fields_.section("run").add("narrow", narrow, "Without a range.");
  expect_set_error("run.narrow=2147483648",
                   "run.narrow = 2147483648, expected an integer, -2147483648 to 2147483647");
  fields_.set("run.narrow=-2147483648");
  EXPECT_EQ(narrow, std::numeric_limits<int>::min());
}

TEST_F(Options, ChoicesAreListed) {
  expect_set_error("train.optimizer=adam",
                   "train.optimizer = \"adam\", expected one of adamw, sgd");
}

TEST_F(Options, TextMustSurviveAFile) {
  const std::string message = "run.name: expected UTF-8 text without control characters";
  expect_set_error("run.name=a\nb", message);
  expect_set_error("run.name=a\x7f", message);
  expect_set_error("run.name=\xff", message);
  fields_.set("run.name=Zürich \"x\" \\");
}

// --- TOML
// ------------------------------------------------------------------------------------------

TEST_F(Options, TomlReadsEveryType) {
  read(
      "[train]\nepochs = 20\nrate = 1  # an integer is a number\nshuffle = false\n"
      "optimizer = 'sgd'\n[run]\nseed = 7\noffset = -7\nname = \"x\"\n[device.read]\ndrift = "
      "0.5\n");
  EXPECT_EQ(values_.epochs, 20);
  EXPECT_EQ(values_.rate, 1);
  EXPECT_FALSE(values_.shuffle);
  EXPECT_EQ(values_.optimizer, "sgd");
  EXPECT_EQ(values_.seed, 7u);
  EXPECT_EQ(values_.offset, -7);
  EXPECT_EQ(values_.name, "x");
  EXPECT_EQ(values_.drift, 0.5);
}

TEST_F(Options, TomlMayBeEmptyOrPartial) {
  read("");
  read("[train]\n");
  read("train.epochs = 11\n");
  EXPECT_EQ(values_.epochs, 11);
  EXPECT_EQ(values_.rate, 0.01);
}

TEST_F(Options, TomlUnknownNames) {
  expect_toml_error("[train]\nepochs = 3\nlr = 0.1\n", 3,
                    "unknown key \"train.lr\"; the nearest key is \"train.rate\"");
  expect_toml_error("epochs = 3\n", 1,
                    "unknown key \"epochs\"; the nearest key is \"train.epochs\"");
  expect_toml_error("\n[trian]\n", 2, "unknown section [trian]; the nearest section is [train]");
  expect_toml_error("[device]\nreed.drift = 3\n", 2,
                    "unknown section [device.reed]; the nearest section is [device.read]");
}

TEST_F(Options, LongUnknownNamesAreErrorsAtOnce) {
  const std::string key(1'000'000, 'k'), shown = std::string(80, 'k') + "...";
  const std::string message = "unknown key \"" + shown + "\"; the nearest key is ";
  EXPECT_THAT([&] { fields_.set(key + "=1"); }, ThrowsMessage<Error>(HasSubstr(message)));
  EXPECT_THAT([&] { read(key + " = 1"); }, ThrowsMessage<Error>(HasSubstr(message)));
  EXPECT_THAT([&] { read("[" + key + "]"); },
              ThrowsMessage<Error>(HasSubstr("unknown section [" + shown + "]")));
}

TEST_F(Options, TomlMistakesAreToldInPrintableText) {
  try {
    read("[train]\nshuffle = t\x1b[31m\x01\n");
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr(":2: "));
    EXPECT_THAT(error.what(), Not(testing::ContainsRegex("[\x01-\x1f]")));
  }
}

TEST_F(Options, TomlWrongTypes) {
  expect_toml_error("[train]\nepochs = 3.0\n", 2,
                    "train.epochs = 3.0, expected an integer, 1 to 1000");
  expect_toml_error("[train]\nepochs = \"3\"\n", 2,
                    "train.epochs = \"3\", expected an integer, 1 to 1000");
  expect_toml_error("[train]\nepochs = true\n", 2,
                    "train.epochs = true, expected an integer, 1 to 1000");
  expect_toml_error("[train]\nrate = '0.1'\n", 2,
                    "train.rate = \"0.1\", expected a number, 0 to 1");
  expect_toml_error("[train]\nshuffle = 1\n", 2, "train.shuffle = 1, expected true or false");
  expect_toml_error("[run]\nname = 3\n", 2, "run.name = 3, expected text");
  expect_toml_error("[train]\nrate = [0.1]\n", 2,
                    "train.rate = an array, expected a number, 0 to 1");
  expect_toml_error("[run]\nname = 2024-01-01\n", 2, "run.name = a date or time, expected text");
}

TEST_F(Options, TomlSectionsAndValuesAreNotConfused) {
  expect_toml_error("train = 3\n", 1, "train is a section, not a value");
  expect_toml_error("[train.epochs]\n", 1, "train.epochs is a value, not a section");
  expect_toml_error("[[train]]\nepochs = 3\n", 1, "train is a section, not a value");
}

TEST_F(Options, TomlBadValues) {
  expect_toml_error("[train]\n\nepochs = 0\n", 3,
                    "train.epochs = 0, expected an integer, 1 to 1000");
  expect_toml_error("[train]\nrate = nan\n", 2, "train.rate = nan, expected a number, 0 to 1");
  expect_toml_error("[device.read]\ndrift = inf\n", 2,
                    "device.read.drift = inf, expected a number, 0 or more (s)");
  expect_toml_error("[train]\noptimizer = 'lion'\n", 2,
                    "train.optimizer = \"lion\", expected one of adamw, sgd");
}

TEST_F(Options, BrokenTomlCarriesItsLine) {
  const auto expect_line = [&](const std::string& toml, int line) {
    EXPECT_THAT([&] { read(toml); },
                ThrowsMessage<Error>(HasSubstr(path_ + ":" + std::to_string(line) + ": ")))
        << toml;
  };
  expect_line("[train]\nepochs = 3\nepochs = 4\n", 3);  // a repeated key
  expect_line("[train]\n[run]\n\n[train]\n", 4);        // a repeated section
  expect_toml_error("[train]\nepochs = 3\n\n\"epochs\" = 4\n", 4,
                    "\"epochs\" is there twice, expected once");
  expect_toml_error("  'a=b' = 1\n  'a=b' = 2\n", 2, "'a=b' is there twice, expected once");
  expect_toml_error("[train]\n[run]\n[train] # again\n", 3,
                    "[train] is there twice, expected once");
  expect_line("[train]\nepochs 3\n", 2);
  expect_line("[train\n", 1);
  expect_line("[train]\nrate = \n", 2);
  expect_line("[run]\nseed = 9223372036854775808\n", 2);  // more than 63 bits
  expect_line("[run]\nname = \"open\n", 2);
}

TEST_F(Options, TomlIsNeitherDeepNorHuge) {
  std::string deep = "a";
  for (int i = 0; i < 300'000; ++i) deep += ".a";
  const std::string message = "300000 dots in one line, expected at most 32: keys are section.name";
  expect_toml_error("# a comment\n" + deep + " = 1\n", 2, message);
  expect_toml_error("[" + deep + "]\n", 1, message);
  expect_toml_error("x = [\"\"\"\na \"\"\", {" + deep + " = 1}]\n", 2, message);
  EXPECT_NO_THROW(read("# " + std::string(100, '.') + "\n[run]\nname = '" + std::string(100, '.') +
                       "' # it's fine" + std::string(100, '.') + "\n"));
  EXPECT_THAT([&] { read(std::string(2 << 20, '\n')); },
              ThrowsMessage<Error>(HasSubstr("more than 1048576 bytes")));
}

TEST_F(Options, MissingTomlNamesThePath) {
  EXPECT_THAT([&] { fields_.read_toml("/nowhere/run.toml"); },
              ThrowsMessage<Error>(HasSubstr("/nowhere/run.toml")));
}

TEST_F(Options, TomlRoundTrip) {
  fields_.set("train.rate=0.1");
  fields_.set("run.name=Zürich \"x\" \\ #");
  fields_.set("run.seed=9223372036854775807");
  fields_.set("device.read.drift=1e22");
  const std::string text = fields_.to_toml();
  const json before = fields_.to_json();

  values_ = Values();
  read(text);
  EXPECT_EQ(fields_.to_json(), before);
  EXPECT_EQ(fields_.to_toml(), text);
}

TEST_F(Options, TomlIsGroupedBySection) {
  int late = 3;
  fields_.section("train").add("late", late, "Added after other sections.");
  EXPECT_EQ(fields_.to_toml(),
            "[train]\nepochs = 10\nrate = 0.01\nshuffle = true\noptimizer = \"adamw\"\nlate = 3\n"
            "\n[run]\nseed = 1\noffset = -5\nname = \"run\"\n"
            "\n[device.read]\ndrift = 0.0\n");
}

// --- JSON
// ------------------------------------------------------------------------------------------

TEST_F(Options, JsonRoundTrip) {
  const json values = fields_.to_json();
  EXPECT_EQ(values, parse_json(R"({
    "train": {"epochs": 10, "rate": 0.01, "shuffle": true, "optimizer": "adamw"},
    "run": {"seed": 1, "offset": -5, "name": "run"},
    "device": {"read": {"drift": 0.0}}})"));
  values_ = {.epochs = 1,
             .rate = 1,
             .shuffle = false,
             .optimizer = "sgd",
             .seed = 9,
             .offset = 9,
             .name = "",
             .drift = 9};
  fields_.from_json(parse_json(exact_json_text(values)), "model.json");
  EXPECT_EQ(fields_.to_json(), values);
}

TEST_F(Options, JsonErrors) {
  expect_json_error("[]", "expected an object of sections");
  expect_json_error(R"({"train": {"epocs": 3}})",
                    "unknown key \"train.epocs\"; the nearest key is \"train.epochs\"");
  expect_json_error(R"({"trian": {}})", "unknown section [trian]; the nearest section is [train]");
  expect_json_error(R"({"train": 3})", "train is a section, not a value");
  expect_json_error(R"({"train": {"epochs": {}}})", "train.epochs is a value, not a section");
  expect_json_error(R"({"train": {"epochs": 3.5}})",
                    "train.epochs = 3.5, expected an integer, 1 to 1000");
  expect_json_error(R"({"train": {"rate": null}})", "train.rate = null, expected a number, 0 to 1");
  expect_json_error(R"({"train": {"rate": [1]}})",
                    "train.rate = an array, expected a number, 0 to 1");
  expect_json_error(R"({"run": {"seed": 18446744073709551615}})",
                    "run.seed = 18446744073709551615, expected an integer");
}

// --- help and misuse
// -------------------------------------------------------------------------------

TEST_F(Options, FieldsTellTheirValueAndWhatIsAllowed) {
  const auto told = [&](const char* key) {
    const Field& field = *fields_.find(key);
    return field.text() + '|' + field.allowed();
  };
  EXPECT_EQ(told("train.epochs"), "10|1 to 1000");
  EXPECT_EQ(told("train.rate"), "0.01|0 to 1");
  EXPECT_EQ(told("train.shuffle"), "true|");
  EXPECT_EQ(told("train.optimizer"), "\"adamw\"|adamw, sgd");
  EXPECT_EQ(told("run.offset"), "-5|");
  EXPECT_EQ(told("device.read.drift"), "0.0|0 or more");
}

TEST(OptionRanges, OfIntegersAreWrittenInFull) {
  int count = 1;
  std::uint64_t seed = 0;
  double share = 0;
  FieldList list;
  list.section("x");
  list.add("count", count, "Count.").range(0, 100000);
  list.add("seed", seed, "Seed.").range(0, 9e18);
  list.add("share", share, "Share.").range(1e-6, 1e12);
  EXPECT_EQ(list.find("x.count")->allowed(), "0 to 100000");
  EXPECT_EQ(list.find("x.seed")->allowed(), "0 to 9000000000000000000");
  EXPECT_EQ(list.find("x.share")->allowed(), "1e-06 to 1e+12");
  EXPECT_THAT([&] { list.set("x.count=-1"); },
              ThrowsMessage<Error>("option: x.count = -1, expected an integer, 0 to 100000"));
}

TEST_F(Options, AddingAKeyTwiceIsAProgrammingError) {
  EXPECT_THROW(fields_.section("train").add("epochs", values_.epochs, ""), std::logic_error);
}

TEST(OptionsOfEnumerations, AreTheirNames) {
  Mode mode = Mode::kExact;
  FieldList list;
  list.section("run");
  list.add("mode", mode, "How.");
  EXPECT_EQ(name_of(mode), "exact");
  EXPECT_EQ(list.to_toml(), "[run]\nmode = \"exact\"\n");
  EXPECT_EQ(list.all()[0].allowed(), "fast, exact");
  list.set("run.mode=fast");
  EXPECT_EQ(mode, Mode::kFast);
  EXPECT_EQ(list.to_json(), parse_json(R"({"run": {"mode": "fast"}})"));
  list.from_json(parse_json(R"({"run": {"mode": "exact"}})"), "model.json");
  EXPECT_EQ(mode, Mode::kExact);
  EXPECT_THAT([&] { list.set("run.mode=slow"); },
              ThrowsMessage<Error>("option: run.mode = \"slow\", expected one of fast, exact"));
  EXPECT_THAT([&] { list.set("run.mode=1"); },
              ThrowsMessage<Error>("option: run.mode = \"1\", expected one of fast, exact"));
  EXPECT_EQ(mode, Mode::kExact);
}

TEST(OptionsOfEnumerations, AnEmptyNameStandsForNoValue) {
  std::optional<Mode> mode;
  FieldList list;
  list.section("run");
  const Field& field = list.add("mode", mode, "Fast or exact; empty: as elsewhere.");
  EXPECT_EQ(field.choices, (std::vector<std::string>{"", "fast", "exact"}));
  EXPECT_EQ(field.allowed(), "\"\", fast, exact");
  EXPECT_EQ(list.to_json(), parse_json(R"({"run": {"mode": ""}})"));
  list.set("run.mode=exact");
  EXPECT_EQ(mode, Mode::kExact);
  EXPECT_EQ(list.to_toml(), "[run]\nmode = \"exact\"\n");
  EXPECT_THAT(
      [&] { list.set("run.mode=slow"); },
      ThrowsMessage<Error>("option: run.mode = \"slow\", expected one of \"\", fast, exact"));
  EXPECT_EQ(mode, Mode::kExact);
  list.set("run.mode=");
  EXPECT_EQ(mode, std::nullopt);
  EXPECT_EQ(name_of(mode), "");
}

TEST(OptionsOfEnumerations, AreCheckedWhereTheyAreNotUsed) {
  Mode mode = Mode::kExact;
  int other = 1;
  FieldList list;
  list.section("run");
  list.add("mode", mode, "How.");
  list.add("other", other, "More.");
  list.use_only({"run.other"}, "crosstate test");
  list.parse_toml("run.mode = \"fast\"", "a.toml");
  EXPECT_EQ(mode, Mode::kExact);
  EXPECT_THAT([&] { list.parse_toml("run.mode = \"slow\"", "a.toml"); },
              ThrowsMessage<Error>("a.toml:1: run.mode = \"slow\", expected one of fast, exact"));
}

TEST(OptionsLike, ShareTheValueOfAnother) {
  int epochs = 3;
  FieldList one, two;
  one.section("train").add("epochs", epochs, "Passes.");
  two.section("qat").add_like(one.all()[0], "epochs").range(1, 5);
  two.set("qat.epochs=4");
  EXPECT_EQ(epochs, 4);
}

TEST(OptionsOfEarlierVersions, NameTheKeyThatTookTheirPlace) {
  int slices = 1;
  FieldList list;
  list.section("crossbar");
  list.add("slices", slices, "Copies.").renamed_from("cells");
  EXPECT_THAT(
      [&] { list.set("crossbar.cells=2"); },
      ThrowsMessage<Error>("option: \"crossbar.cells\" was renamed; write \"crossbar.slices\""));
  EXPECT_THAT(
      [&] { list.parse_toml("[crossbar]\ncells = 2\n", "a.toml"); },
      ThrowsMessage<Error>("a.toml:2: \"crossbar.cells\" was renamed; write \"crossbar.slices\""));
}

TEST(OptionsOfEarlierVersions, NameTheAssignmentThatReplacesAValue) {
  std::string rounding = "nearest";
  FieldList list;
  list.section("state");
  list.add("rounding", rounding, "Rounding.")
      .one_of({"nearest", "stochastic"})
      .replaced_value("feedback", "state.residue_bits = 14");
  const std::string message =
      "state.rounding = \"feedback\" was replaced; write state.residue_bits = 14";
  EXPECT_THAT([&] { list.set("state.rounding=feedback"); },
              ThrowsMessage<Error>("option: " + message));
  EXPECT_THAT([&] { list.parse_toml("[state]\nrounding = \"feedback\"\n", "a.toml"); },
              ThrowsMessage<Error>("a.toml:2: " + message));
  EXPECT_EQ(rounding, "nearest");
}

}  // namespace
}  // namespace crosstate
