#include "crosstate/pipeline/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/identity.h"
#include "crosstate/base/testing.h"
#include "crosstate/data/testing.h"
#include "crosstate/pipeline/data.h"

namespace crosstate::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Identity : public DirectoryTest {
 protected:
  // MNIST files of four images; the test set has these labels.
  std::string images(const std::string& name, const std::string& labels, char pixel = 'x') const {
    const auto header = [](char kind, std::vector<int> sizes) {
      std::string text{'\0', '\0', '\x08', kind};
      for (const int size : sizes) text += std::string{'\0', '\0', '\0', static_cast<char>(size)};
      return text;
    };
    fs::create_directories(directory_ / name);
    for (const std::string part : {"train", "t10k"}) {
      file(name + "/" + part + "-images-idx3-ubyte",
           header(3, {4, 2, 2}) + std::string(15, 'x') + (part == "train" ? pixel : 'x'));
      file(name + "/" + part + "-labels-idx1-ubyte",
           header(1, {4}) + (part == "t10k" ? labels : std::string{'\0', '\1', '\0', '\1'}));
    }
    return (directory_ / name).string();
  }
  static nlohmann::json data_of(const std::string& directory) {
    data::DataOptions options;
    options.directory = directory;
    return data_identity(options, task::Scope::kSequence);
  }
};

TEST_F(Identity, KnowsFilesByTheirContent) {
  RunOptions options;
  options.start = file("a", "one");
  options.qat.teacher = file("f", "teacher");
  options.target.device.table = file("t", "table");
  const nlohmann::json first = RunIdentity().settings(options);
  options.start = file("b", "one");
  options.qat.teacher = file("g", "teacher");
  options.target.device.table = file("u", "table");
  options.data.directory = "elsewhere";
  options.train.log_every = options.qat.log_every = 7;
  EXPECT_EQ(RunIdentity().settings(options), first);
  file("b", "two");
  EXPECT_THAT([&] { require_same(RunIdentity().settings(options), first, "x"); },
              ThrowsMessage<CannotContinue>(HasSubstr("x: run.start.checksum was")));
  file("b", "one");
  file("u", "tablE");
  EXPECT_THAT([&] { require_same(RunIdentity().settings(options), first, "x"); },
              ThrowsMessage<CannotContinue>(HasSubstr("device.table.checksum was")));
  file("u", "table");
  options.qat.teacher += ":" + file("h", "another");
  EXPECT_THAT([&] { require_same(RunIdentity().settings(options), first, "x"); },
              ThrowsMessage<CannotContinue>(HasSubstr("qat.teacher")));
  options.start = "absent";
  EXPECT_EQ(RunIdentity().settings(options).at("run").at("start"), "absent");
}

TEST_F(Identity, IsOfTheSettingsThatDecide) {
  RunOptions options;
  const std::vector<std::string> keys = {"prune.", "!prune.states", "run.seed", "external."};
  const nlohmann::json first = RunIdentity().settings(options, keys);
  EXPECT_EQ(first.size(), 3u);
  EXPECT_EQ(first.at("run"), (nlohmann::json{{"seed", 1}}));
  EXPECT_TRUE(first.at("external").is_null());
  EXPECT_TRUE(first.at("prune").contains("score"));
  options.prune.states = "0.125";
  options.calibration += 1;
  EXPECT_EQ(RunIdentity().settings(options, keys), first);
  options.seed = 2;
  EXPECT_NE(RunIdentity().settings(options, keys), first);
}

TEST_F(Identity, HasEverySettingThatMatters) {
  RunOptions options;
  const nlohmann::json plain = RunIdentity().settings(options);
  options.model.channels += 1;
  EXPECT_NE(RunIdentity().settings(options), plain);
  options = RunOptions();
  options.target.crossbar.adc_bits -= 1;
  EXPECT_NE(RunIdentity().settings(options), plain);
  options = RunOptions();
  options.data.test_limit = 4;
  EXPECT_NE(RunIdentity().settings(options), plain);
}

TEST_F(Identity, KnowsImagesByPixelsAndLabels) {
  const std::string labels{'\0', '\1', '\1', '\0'};
  const nlohmann::json first = data_of(images("a", labels));
  EXPECT_EQ(data_of(images("b", labels)), first);
  const nlohmann::json other = data_of(images("a", std::string{'\0', '\1', '\1', '\1'}));
  EXPECT_EQ(other.at("training"), first.at("training"));
  EXPECT_NE(other.at("test"), first.at("test"));
  EXPECT_NE(data_of(images("a", labels, 'y')).at("training"), first.at("training"));
}

TEST_F(Identity, KnowsRecordingsBySamplesClassesAndSpeakers) {
  const auto write = [&](const std::string& name, const std::string& speaker, float scale) {
    fs::remove_all(directory_ / name);
    const data::Recordings set = data::reference::tone_set(24, 1);
    for (std::size_t i = 0; i < set.items.size(); ++i) {
      std::vector<float> samples = set.items[i].samples;
      if (i == 3) samples[5] *= scale;
      data::reference::write_sound(
          directory_ / name /
              (set.classes[static_cast<std::size_t>(set.items[i].label)] + '_' +
               (i < 12 ? speaker : std::string("zoe")) + '_' + std::to_string(i / 3) + ".wav"),
          samples);
    }
    return data_of((directory_ / name).string());
  };
  const nlohmann::json first = write("a", "ann", 1);
  EXPECT_EQ(write("b", "ann", 1), first);
  EXPECT_NE(write("b", "bob", 1), first);
  EXPECT_NE(write("b", "ann", 0.5f), first);
}

TEST_F(Identity, ReadsDataOnce) {
  RunOptions options;
  options.data.directory = images("a", std::string{'\0', '\1', '\1', '\0'});
  RunIdentity identity;
  const nlohmann::json first = identity.settings_and_data(options);
  EXPECT_TRUE(first.at("data").contains("test"));
  fs::remove_all(options.data.directory);
  EXPECT_EQ(identity.settings_and_data(options), first);
  EXPECT_THROW(RunIdentity().settings_and_data(options), Error);
}

}  // namespace
}  // namespace crosstate::pipeline
