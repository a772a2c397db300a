#include "crosstate/data/audio.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/data/testing.h"

namespace crosstate::data {
namespace {

namespace fs = std::filesystem;
using reference::noise;
using reference::SoundDirectory;
using reference::tone;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;
using testing::UnorderedElementsAre;

constexpr int kFloatWav = SF_FORMAT_WAV | SF_FORMAT_FLOAT;

std::vector<std::string> names(const Recordings& set) {
  std::vector<std::string> result;
  for (const Recording& item : set.items) result.push_back(item.name);
  return result;
}

class AudioTest : public testing::Test {
 protected:
  void expect_refused(const std::vector<std::string>& parts, const DataOptions& options = {}) {
    std::string message;
    try {
      read_audio(sounds_.path(), options);
    } catch (const Error& error) {
      message = error.what();
    }
    EXPECT_NE(message, "") << "was accepted";
    for (const std::string& part : parts) EXPECT_THAT(message, HasSubstr(part));
  }
  void write_bytes(const std::string& name, const std::string& bytes) const {
    fs::create_directories((sounds_.path() / name).parent_path());
    std::ofstream(sounds_.path() / name, std::ios::binary) << bytes;
  }
  SoundDirectory sounds_;
};

// --- layout "names"

TEST_F(AudioTest, SplitsNamesByIndex) {
  for (const char* name : {"7_ann_0.wav", "7_ann_4.WAV", "7_ann_5.wav", "1_bob_17.wav",
                           "1_bob_b_3.wav", "zero_ann_11.wav"}) {
    sounds_.write(name, noise(50, 1));
  }
  write_bytes("README.md", "no recording");
  write_bytes("._7_ann_0.wav", "hidden");
  const AudioSets sets = read_audio(sounds_.path(), {});
  EXPECT_THAT(sets.train.classes, ElementsAre("1", "7", "zero"));
  EXPECT_EQ(sets.train.classes, sets.test.classes);
  EXPECT_EQ(sets.train.sample_rate, 8000);
  EXPECT_THAT(names(sets.test),
              UnorderedElementsAre("7_ann_0.wav", "7_ann_4.WAV", "1_bob_b_3.wav"));
  EXPECT_THAT(names(sets.train),
              UnorderedElementsAre("7_ann_5.wav", "1_bob_17.wav", "zero_ann_11.wav"));
  for (const Recording& item : sets.test.items) {
    EXPECT_EQ(sets.test.classes[static_cast<std::size_t>(item.label)], item.name.substr(0, 1));
    EXPECT_EQ(item.speaker, item.name == "1_bob_b_3.wav" ? "bob_b" : "ann");
  }

  DataOptions options;
  options.test_indices = "17 5-6";
  EXPECT_THAT(names(read_audio(sounds_.path(), options).test),
              UnorderedElementsAre("7_ann_5.wav", "1_bob_17.wav"));
}

TEST_F(AudioTest, LeavesOneSpeakerOut) {
  for (const char* name : {"a_ann_0.wav", "a_bob_0.wav", "b_ann_9.wav", "b_bob_9.wav"}) {
    sounds_.write(name, noise(50, 1));
  }
  DataOptions options;
  options.test_speaker = "bob";
  const AudioSets sets = read_audio(sounds_.path(), options);
  EXPECT_THAT(names(sets.test), UnorderedElementsAre("a_bob_0.wav", "b_bob_9.wav"));
  EXPECT_THAT(names(sets.train), UnorderedElementsAre("a_ann_0.wav", "b_ann_9.wav"));
  EXPECT_THAT(sets.test.name, HasSubstr("(bob)"));
  options.test_speaker = "eve";
  expect_refused({"\"eve\"", "ann, bob"}, options);
}

TEST_F(AudioTest, KeepsTheChosenClasses) {
  for (const char* name : {"7_ann_0.wav", "7_ann_5.wav", "1_bob_0.wav", "1_bob_6.wav"}) {
    sounds_.write(name, noise(50, 1));
  }
  // Left out before it is read.
  write_bytes("zero_ann_0.wav", "damaged");
  DataOptions options;
  options.classes = "7 1";
  const AudioSets sets = read_audio(sounds_.path(), options);
  EXPECT_THAT(sets.train.classes, ElementsAre("1", "7"));
  EXPECT_THAT(names(sets.test), UnorderedElementsAre("7_ann_0.wav", "1_bob_0.wav"));
  EXPECT_THAT(names(sets.train), UnorderedElementsAre("7_ann_5.wav", "1_bob_6.wav"));
  for (const Recording& item : sets.test.items) {
    EXPECT_EQ(sets.test.classes[static_cast<std::size_t>(item.label)], item.name.substr(0, 1));
  }
  EXPECT_THAT(sets.notes, ElementsAre(HasSubstr("1 recording of other classes not used")));
  options.classes = "7 8";
  expect_refused({sounds_.path().string(), "no class \"8\"", "1, 7, zero"}, options);
}

TEST_F(AudioTest, OrderIsOfNamesAloneAndMixesClasses) {
  for (int i = 0; i < 40; ++i) {
    sounds_.write(std::string(i % 2 == 0 ? "a" : "b") + "_ann_" + std::to_string(i + 5) + ".wav",
                  noise(20, 1));
  }
  const std::vector<std::string> order = names(read_audio(sounds_.path(), {}).train);
  EXPECT_EQ(order, names(read_audio(sounds_.path(), {}).train));
  const auto of_a = std::count_if(order.begin(), order.begin() + 20,
                                  [](const std::string& name) { return name[0] == 'a'; });
  EXPECT_GT(of_a, 4);
  EXPECT_LT(of_a, 16);
}

TEST_F(AudioTest, RefusesNamesThatTellNothing) {
  for (const char* name :
       {"seven.wav", "7_ann.wav", "7_ann_x.wav", "7__3.wav", "_ann_3.wav", "7_ann_3b.wav",
        "7_ann_-3.wav", "7_ann_.wav", "7_ann_99999999999999999999999.wav"}) {
    const fs::path path = sounds_.write(name, noise(20, 1));
    expect_refused({name, "label_speaker_n"});
    fs::remove(path);
  }
}

TEST_F(AudioTest, RefusesAnotherSampleRate) {
  sounds_.write("a_ann_0.wav", noise(20, 1), 8000);
  sounds_.write("b_ann_0.wav", noise(20, 1), 16000);
  expect_refused({"_ann_0.wav", "8000", "16000"});
  DataOptions options;
  options.sample_rate = 16000;
  expect_refused({"a_ann_0.wav: 8000 Hz", "16000"}, options);
}

TEST_F(AudioTest, RefusesDirectoriesWithoutRecordings) {
  expect_refused({sounds_.path().string(), "no recordings"});
  fs::create_directories(sounds_.path() / "class");
  expect_refused({"no recordings"});
  EXPECT_FALSE(holds_audio(sounds_.path()));
  DataOptions options;
  options.layout = RecordingLayout::kNames;
  sounds_.write("class/x.wav", noise(20, 1));
  expect_refused({"no recordings"}, options);
  EXPECT_THAT([&] { read_audio(sounds_.path() / "absent", {}); },
              ThrowsMessage<Error>(HasSubstr("no such directory")));
  EXPECT_TRUE(holds_audio(sounds_.path()));
}

TEST_F(AudioTest, FindsTheOneFolderOfRecordings) {
  sounds_.write("recordings/a_ann_7.wav", noise(20, 1));
  sounds_.write("recordings/b_ann_0.wav", noise(20, 1));
  fs::create_directories(sounds_.path() / "docs");
  const AudioSets sets = read_audio(sounds_.path(), {});
  EXPECT_THAT(names(sets.train), ElementsAre("a_ann_7.wav"));
  EXPECT_THAT(names(sets.test), ElementsAre("b_ann_0.wav"));
  EXPECT_TRUE(holds_audio(sounds_.path()));
}

TEST_F(AudioTest, RefusesASingleClass) {
  sounds_.write("recordings/a_ann_7.wav", noise(20, 1));
  sounds_.write("recordings/a_bob_0.wav", noise(20, 1));
  expect_refused({"one class, \"a\"", "at least two"});
  DataOptions options;
  options.layout = RecordingLayout::kFolders;
  expect_refused({"one class, \"recordings\"", "at least two"}, options);
}

TEST_F(AudioTest, NamesTheFileThatDoesNotFitInTheOneFolder) {
  sounds_.write("recordings/a_ann_7.wav", noise(20, 1));
  sounds_.write("recordings/b.wav", noise(20, 1));
  fs::create_directories(sounds_.path() / "docs");
  expect_refused({"recordings/b.wav", "label_speaker_n"});
}

// --- layout "folders"

TEST_F(AudioTest, RefusesEmptyClasses) {
  sounds_.write("x/a.wav", noise(20, 1));
  fs::create_directories(sounds_.path() / "z");
  fs::create_directories(sounds_.path() / "_notes");
  expect_refused({(sounds_.path() / "z").string() + ": holds no"});
  sounds_.write("y/a.wav", noise(20, 1));
  expect_refused({(sounds_.path() / "z").string() + ": holds no"});
  fs::remove(sounds_.path() / "z");
  EXPECT_THAT(read_audio(sounds_.path(), {}).train.classes, ElementsAre("x", "y"));
}

TEST_F(AudioTest, TakesTheOneFolderOfOtherNamesAsAClass) {
  sounds_.write("yes/0a7c2a8d_nohash_0.wav", noise(20, 1));
  sounds_.write("yes/1b2c3d4e_nohash_0.wav", noise(20, 1));
  expect_refused({"one class, \"yes\""});
  fs::create_directories(sounds_.path() / "no");
  expect_refused({(sounds_.path() / "no").string() + ": holds no"});
  fs::create_directories(sounds_.path() / "test/no");
  fs::create_directories(sounds_.path() / "train");
  fs::rename(sounds_.path() / "yes", sounds_.path() / "train/yes");
  sounds_.write("test/yes/a.wav", noise(20, 1));
  expect_refused({(sounds_.path() / "test/no").string() + ": holds no"});
}

TEST_F(AudioTest, SplitsFoldersByName) {
  for (int i = 0; i < 100; ++i) {
    sounds_.write(std::string(i % 2 == 0 ? "yes/" : "no/") + std::to_string(i) + ".wav",
                  noise(20, 1));
  }
  sounds_.write("_background_/hum.wav", noise(20, 1));
  DataOptions options;
  options.test_share = 0.3;
  const AudioSets sets = read_audio(sounds_.path(), options);
  EXPECT_THAT(sets.train.classes, ElementsAre("no", "yes"));
  EXPECT_EQ(sets.train.items.size() + sets.test.items.size(), 100u);
  EXPECT_NEAR(static_cast<double>(sets.test.items.size()), 30, 14);

  // Additional recordings do not move the others.
  const std::vector<std::string> before = names(sets.test);
  for (int i = 100; i < 120; ++i) {
    sounds_.write("yes/" + std::to_string(i) + ".wav", noise(20, 1));
  }
  const std::vector<std::string> after = names(read_audio(sounds_.path(), options).test);
  for (const std::string& name : before) EXPECT_THAT(after, testing::Contains(name));
}

TEST_F(AudioTest, KeepsSpeakersOfSpeechCommandsTogether) {
  for (int speaker = 0; speaker < 30; ++speaker) {
    for (const char* word : {"yes/", "no/"}) {
      sounds_.write(word + std::to_string(1000 + speaker) + "_nohash_0.wav", noise(20, 1));
    }
  }
  DataOptions options;
  options.test_share = 0.5;
  const AudioSets sets = read_audio(sounds_.path(), options);
  std::set<std::string> train, test;
  for (const Recording& item : sets.train.items) train.insert(item.speaker);
  for (const Recording& item : sets.test.items) test.insert(item.speaker);
  EXPECT_FALSE(train.empty());
  EXPECT_FALSE(test.empty());
  for (const std::string& speaker : test) EXPECT_FALSE(train.contains(speaker)) << speaker;
}

// As in sets that join the words of other classes into one.
TEST_F(AudioTest, FindsTheSpeakerBehindTheWord) {
  sounds_.write("yes/3efef882_nohash_0.wav", noise(20, 1));
  sounds_.write("unknown/bed_3efef882_nohash_0.wav", noise(20, 1));
  sounds_.write("unknown/bed_0a7c2a8d_nohash_1.wav", noise(20, 1));
  sounds_.write("silence/7.wav", noise(20, 1));
  DataOptions options;
  options.test_share = 0;
  std::map<std::string, std::string> speakers;
  const AudioSets sets = read_audio(sounds_.path(), options);
  for (const Recording& item : sets.train.items) speakers[item.name] = item.speaker;
  EXPECT_EQ(speakers.at("yes/3efef882_nohash_0.wav"), "3efef882");
  EXPECT_EQ(speakers.at("unknown/bed_3efef882_nohash_0.wav"), "3efef882");
  EXPECT_EQ(speakers.at("unknown/bed_0a7c2a8d_nohash_1.wav"), "0a7c2a8d");
  EXPECT_EQ(speakers.at("silence/7.wav"), "");
  EXPECT_TRUE(sets.train.by_speaker);
}

TEST_F(AudioTest, TakesTrainAndTestFoldersAsTheyAre) {
  sounds_.write("train/yes/0.wav", noise(20, 1));
  sounds_.write("train/no/1.wav", noise(20, 1));
  sounds_.write("test/yes/2.wav", noise(20, 1));
  const AudioSets sets = read_audio(sounds_.path(), {});
  EXPECT_THAT(names(sets.train), UnorderedElementsAre("train/yes/0.wav", "train/no/1.wav"));
  EXPECT_THAT(names(sets.test), ElementsAre("test/yes/2.wav"));
  EXPECT_THAT(sets.test.classes, ElementsAre("no", "yes"));
  EXPECT_EQ(sets.test.items[0].label, 1);
  EXPECT_TRUE(holds_audio(sounds_.path()));
}

TEST_F(AudioTest, TellsWhichSettingsHaveNoEffect) {
  for (const char* part : {"train", "test"}) {
    sounds_.write(std::string(part) + "/yes/a_nohash_0.wav", noise(20, 1));
    sounds_.write(std::string(part) + "/no/b_nohash_0.wav", noise(20, 1));
  }
  DataOptions options;
  options.test_share = 0.35;
  EXPECT_THAT(read_audio(sounds_.path(), options).notes,
              ElementsAre(HasSubstr("data.test_share has no effect")));
  options = {};
  options.test_indices = "7";
  EXPECT_THAT(read_audio(sounds_.path(), options).notes,
              ElementsAre(HasSubstr("data.test_indices has no effect")));
  options = {};
  options.test_speaker = "a";
  EXPECT_THAT(read_audio(sounds_.path(), options).notes,
              ElementsAre(HasSubstr("1 recording of the test part")));
}

TEST_F(AudioTest, KeepsTheValidationPartApart) {
  for (const char* part : {"train", "Valid", "test"}) {
    sounds_.write(std::string(part) + "/yes/0_nohash_0.wav", noise(20, 1));
    sounds_.write(std::string(part) + "/no/1_nohash_0.wav", noise(20, 1));
  }
  const AudioSets sets = read_audio(sounds_.path(), {});
  EXPECT_THAT(names(sets.validation),
              UnorderedElementsAre("Valid/yes/0_nohash_0.wav", "Valid/no/1_nohash_0.wav"));
  EXPECT_EQ(sets.train.items.size(), 2u);
  EXPECT_EQ(sets.test.items.size(), 2u);
  EXPECT_EQ(sets.validation.classes, sets.train.classes);
  EXPECT_EQ(sets.validation.sample_rate, 8000);
  EXPECT_TRUE(sets.notes.empty());

  DataOptions options;
  options.test_speaker = "0";
  const AudioSets other = read_audio(sounds_.path(), options);
  EXPECT_THAT(names(other.validation), ElementsAre("Valid/no/1_nohash_0.wav"));
  EXPECT_EQ(other.test.items.size(), 3u);
  EXPECT_EQ(other.train.items.size(), 2u);
  options.test_speaker = "";
  options.validation_speaker = "0";
  expect_refused({"data.validation_speaker = \"0\"", "validation part"}, options);
}

TEST_F(AudioTest, NamesBecomeUtf8) {
  sounds_.write("caf\xe9/b\xe9_nohash_0.wav", noise(20, 1));
  sounds_.write("tea/0.wav", noise(20, 1));
  sounds_.write("tea/m\xe9/1.wav", noise(20, 1));
  DataOptions options;
  options.test_share = 0;
  const AudioSets sets = read_audio(sounds_.path(), options);
  EXPECT_THAT(sets.train.classes, ElementsAre("caf\xef\xbf\xbd", "tea"));
  EXPECT_THAT(names(sets.train),
              UnorderedElementsAre("caf\xef\xbf\xbd/b\xef\xbf\xbd_nohash_0.wav", "tea/0.wav"));
  EXPECT_THAT(sets.notes, ElementsAre(HasSubstr("tea/m\xef\xbf\xbd")));
}

TEST(TestIndices, AreNumbersAndRanges) {
  const auto pairs = [](const std::string& text) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> result;
    for (const IndexRange r : parse_indices(text)) result.emplace_back(r.first, r.last);
    return result;
  };
  using testing::Pair;
  EXPECT_THAT(pairs("0-4"), ElementsAre(Pair(0, 4)));
  EXPECT_THAT(pairs(" 3  7 10-12 "), ElementsAre(Pair(3, 3), Pair(7, 7), Pair(10, 12)));
  EXPECT_TRUE(pairs("").empty());
  for (const char* text :
       {"-", "1-", "4-0", "x", "1,2", "1-2-3", "-1", "1 x", "99999999999999999999999"}) {
    EXPECT_THAT([&] { parse_indices(text); }, ThrowsMessage<Error>(HasSubstr("test_indices")))
        << text;
  }
}

}  // namespace
}  // namespace crosstate::data
