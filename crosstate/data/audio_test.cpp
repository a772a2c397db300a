#include "crosstate/data/audio.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
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

// --- one file

TEST_F(AudioTest, ReadsSamplesOfEveryFormat) {
  const std::vector<float> samples = noise(5000, 1);  // more than one chunk
  const std::vector<std::pair<int, double>> formats = {
      {SF_FORMAT_WAV | SF_FORMAT_PCM_16, 0x1p-14},
      {SF_FORMAT_WAV | SF_FORMAT_PCM_24, 0x1p-22},
      {kFloatWav, 0},
      {SF_FORMAT_WAVEX | SF_FORMAT_PCM_16, 0x1p-14},
      {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 0x1p-14}};
  for (const auto& [format, step] : formats) {
    const fs::path path = sounds_.write("x.wav", samples, 11025, 1, format);
    const Sound sound = read_sound(path, 30);
    EXPECT_EQ(sound.sample_rate, 11025);
    ASSERT_EQ(sound.samples.size(), samples.size());
    for (std::size_t i = 0; i < samples.size(); ++i) {
      ASSERT_NEAR(sound.samples[i], samples[i], step) << i;
    }
  }
}

TEST_F(AudioTest, AveragesChannels) {
  const fs::path path =
      sounds_.write("x.wav", {0.5f, 0.25f, -1, 0, 0.25f, 0.25f, 1, 1, -0.25f}, 8000, 3, kFloatWav);
  EXPECT_THAT(read_sound(path, 30).samples, ElementsAre(-0.25f / 3, 0.5f / 3, 1.75f / 3));
}

TEST_F(AudioTest, RefusesDamagedFiles) {
  const auto refuse = [&](const fs::path& path, const std::string& what) {
    EXPECT_THAT([&] { read_sound(path, 30); },
                ThrowsMessage<Error>(AllOf(HasSubstr(path.string()), HasSubstr(what))));
  };
  refuse(sounds_.path() / "absent.wav", "not a file");
  refuse(sounds_.path(), "not a file");
  write_bytes("empty.wav", "");
  refuse(sounds_.path() / "empty.wav", "cannot be read as a WAV or FLAC");
  write_bytes("text.wav", "these are not samples, whatever the name says");
  refuse(sounds_.path() / "text.wav", "cannot be read as a WAV or FLAC");
  write_bytes("short.wav", "RIFF");
  refuse(sounds_.path() / "short.wav", "cannot be read as a WAV or FLAC");
  refuse(sounds_.write("none.wav", {}), "no samples");
  refuse(sounds_.write("aiff.wav", noise(100, 1), 8000, 1, SF_FORMAT_AIFF | SF_FORMAT_PCM_16),
         "contains neither WAV nor FLAC");
  refuse(sounds_.write("nan.wav", {0, std::nanf(""), 0}, 8000, 1, kFloatWav), "sample 1 is");
  refuse(
      sounds_.write("inf.wav", {0, 0, std::numeric_limits<float>::infinity()}, 8000, 1, kFloatWav),
      "sample 2 is inf");
}

TEST_F(AudioTest, RefusesTruncatedFiles) {
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_16, kFloatWav}) {
    const std::string whole = read_file(sounds_.write("x.wav", noise(500, 3), 8000, 1, format));
    for (const std::size_t missing : {1u, 2u, 500u, 999u}) {
      write_bytes("x.wav", whole.substr(0, whole.size() - missing));
      EXPECT_THAT([&] { read_sound(sounds_.path() / "x.wav", 30); },
                  ThrowsMessage<Error>(HasSubstr("x.wav: truncated")));
    }
  }
  const fs::path path =
      sounds_.write("x.flac", noise(20000, 3), 8000, 1, SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
  const std::string bytes = read_file(path);
  write_bytes("x.flac", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT([&] { read_sound(path, 30); }, ThrowsMessage<Error>(HasSubstr("x.flac")));
}

// A WAV file of 16 bits, one channel, 8 kHz. `big`: RIFX. `announced`: the size of the samples.
std::string wav_bytes(const std::vector<std::int16_t>& samples, std::uint32_t announced,
                      bool big = false, const std::string& behind = "") {
  std::string bytes;
  const auto put = [&](std::uint32_t value, int size) {
    for (int i = 0; i < size; ++i)
      bytes += static_cast<char>(value >> 8 * (big ? size - 1 - i : i));
  };
  bytes = big ? "RIFX" : "RIFF";
  put(std::min<std::uint64_t>(std::uint64_t{announced} + 36, 0xffffffff) & 0xffffffff, 4);
  bytes += "WAVEfmt ";
  for (const auto& [value, size] : std::vector<std::pair<std::uint32_t, int>>{
           {16, 4}, {1, 2}, {1, 2}, {8000, 4}, {16000, 4}, {2, 2}, {16, 2}}) {
    put(value, size);
  }
  bytes += "data";
  put(announced, 4);
  for (const std::int16_t sample : samples) put(static_cast<std::uint16_t>(sample), 2);
  return bytes + behind;
}

std::string chunk_64(std::uint64_t size) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(size >> 8 * i & 0xff);
  return bytes;
}

// The same samples with 64-bit sizes.
std::string rf64_bytes(const std::vector<std::int16_t>& samples, std::uint64_t announced,
                       const std::string& magic = "RF64") {
  const std::string plain = wav_bytes(samples, 0xffffffff);
  return magic + "\xff\xff\xff\xffWAVE" + "ds64" + std::string("\x1c\0\0\0", 4) +
         chunk_64(announced + 72) + chunk_64(announced) + chunk_64(samples.size()) +
         std::string(4, '\0') + plain.substr(12);
}

class PlaceholderTest : public AudioTest {
 protected:
  PlaceholderTest() {
    for (int i = 0; i < 300; ++i) samples_.push_back(static_cast<std::int16_t>(37 * i - 5000));
  }
  void expect_whole(const std::string& bytes, bool to_end, const std::string& what) {
    write_bytes("x.wav", bytes);
    const Sound sound = read_sound(sounds_.path() / "x.wav", 30);
    EXPECT_EQ(sound.to_end, to_end) << what;
    EXPECT_EQ(sound.sample_rate, 8000) << what;
    ASSERT_EQ(sound.samples.size(), samples_.size()) << what;
    for (std::size_t i = 0; i < samples_.size(); ++i) {
      ASSERT_EQ(sound.samples[i], static_cast<float>(samples_[i]) / 32768) << what << ", " << i;
    }
  }
  void refuse(const std::string& bytes, const std::string& message, const std::string& what) {
    write_bytes("x.wav", bytes);
    EXPECT_THAT([&] { read_sound(sounds_.path() / "x.wav", 30); },
                ThrowsMessage<Error>(AllOf(HasSubstr("x.wav: "), HasSubstr(message))))
        << what;
  }
  std::vector<std::int16_t> samples_;
};

TEST_F(PlaceholderTest, FilesOfPipesAreReadToTheirEnd) {
  for (const bool big : {false, true}) {
    for (const std::uint32_t size :
         {0x7ffff000u, 0x80000000u, 0x7fffffffu, 0xffff1000u, 0xffffffffu, 0x7fff0000u, 0x7fffffdbu,
          0xffffff9bu, 0xffffffdbu, 0u}) {
      const std::string what = std::to_string(size) + (big ? " RIFX" : " RIFF");
      expect_whole(wav_bytes(samples_, size, big), true, what);
      // A trailing half sample is ignored.
      expect_whole(wav_bytes(samples_, size, big, "x"), true, what + " and a byte");
    }
    expect_whole(wav_bytes(samples_, 600, big), false, "the right size");
    expect_whole(wav_bytes(samples_, 600, big, "LIST\4\0\0\0abcd"), false,
                 "a chunk after the samples");
  }
}

TEST_F(PlaceholderTest, TruncatedFilesAreRefusedInEitherByteOrder) {
  for (const bool big : {false, true}) {
    for (const std::uint32_t more : {1u, 2u, 600u, 1'000'000u, 0x70000000u, 0x90000000u}) {
      refuse(wav_bytes(samples_, 600 + more, big), "truncated: 600 bytes",
             std::to_string(more) + (big ? " RIFX" : " RIFF"));
    }
  }
}

TEST_F(PlaceholderTest, BytesBehindTheSamplesAreTold) {
  for (const bool big : {false, true}) {
    for (const auto& [rest, told] : {std::pair<std::string, bool>{"", false},
                                     {std::string("LIST\4\0\0\0abcd", 12), big},
                                     {"LIST", true},
                                     {std::string(100, '\1'), true}}) {
      write_bytes("x.wav", wav_bytes(samples_, 600, big, rest));
      EXPECT_EQ(read_sound(sounds_.path() / "x.wav", 30).has_rest, told) << rest << big;
    }
  }
}

TEST_F(PlaceholderTest, AnEmptyFileStaysEmpty) {
  refuse(wav_bytes({}, 0), "no samples", "nothing after the header");
  refuse(wav_bytes({}, 0, false, std::string("LIST\4\0\0\0abcdnote\0\0\0\0", 20)), "no samples",
         "chunks after the header");
  refuse(wav_bytes({}, 0xffffffff), "no samples", "a placeholder and nothing");
  // Zero bytes are not a chunk.
  samples_.assign(300, 0);
  expect_whole(wav_bytes(samples_, 0), true, "silence");
}

TEST_F(PlaceholderTest, SizesMayHave64Bits) {
  for (const std::string& magic : {std::string("RF64"), std::string("BW64")}) {
    expect_whole(rf64_bytes(samples_, 600, magic), false, magic);
    for (const std::uint64_t size : {std::uint64_t{0}, ~std::uint64_t{0}, std::uint64_t{1} << 63,
                                     (std::uint64_t{1} << 63) - 1, std::uint64_t{0xffffffff}}) {
      expect_whole(rf64_bytes(samples_, size, magic), true, magic + ' ' + std::to_string(size));
    }
    refuse(rf64_bytes(samples_, 602, magic), "truncated: 600 bytes", magic);
    refuse(rf64_bytes(samples_, std::uint64_t{5} << 32, magic), "truncated: 600 bytes", magic);
  }
}

TEST_F(PlaceholderTest, FlacMayNotTellItsLength) {
  const std::vector<float> noisy = noise(9000, 4);
  const fs::path path = sounds_.write("x.flac", noisy, 8000, 1, SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
  const Sound whole = read_sound(path, 30);
  EXPECT_FALSE(whole.to_end);
  std::string bytes = read_file(path);
  bytes[21] = static_cast<char>(bytes[21] & 0xf0);  // 36 bits hold the number of samples
  for (std::size_t at = 22; at < 26; ++at) bytes[at] = '\0';
  write_bytes("x.flac", bytes);
  const Sound streamed = read_sound(path, 30);
  EXPECT_TRUE(streamed.to_end);
  EXPECT_EQ(streamed.samples, whole.samples);
  EXPECT_THAT([&] { read_sound(path, 1); }, ThrowsMessage<Error>(HasSubstr("data.longest")));
}

TEST_F(PlaceholderTest, OneLineCountsThemAll) {
  write_bytes("a_ann_0.wav", wav_bytes(samples_, 0x7ffff000));
  write_bytes("b_ann_9.wav", wav_bytes(samples_, 0xffffffff));
  write_bytes("b_ann_1.wav", wav_bytes(samples_, 600));
  const AudioSets sets = read_audio(sounds_.path(), {});
  EXPECT_THAT(sets.notes, ElementsAre(HasSubstr("2 recordings read to the end of the file")));
}

TEST_F(AudioTest, RefusesWhatStandsForAFile) {
  write_bytes("a_ann_0.wav", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
  EXPECT_THAT([&] { read_sound(sounds_.path() / "a_ann_0.wav", 30); },
              ThrowsMessage<Error>(HasSubstr("is a Git LFS pointer, not the file")));
}

// For every change of a header byte, the result is samples or an Error.
TEST_F(AudioTest, SurvivesAnyDamageToTheHeader) {
  const std::string bytes = read_file(sounds_.write("good.wav", noise(64, 2)));
  for (std::size_t at = 0; at < 44; ++at) {
    for (const int value : {0x00, 0x7f, 0x80, 0xff}) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(value);
      write_bytes("damaged.wav", damaged);
      try {
        const Sound sound = read_sound(sounds_.path() / "damaged.wav", 30);
        EXPECT_LE(static_cast<double>(sound.samples.size()), 30.0 * sound.sample_rate);
        EXPECT_GE(sound.samples.size(), 1u);
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("damaged.wav"));
      }
    }
  }
}

TEST_F(AudioTest, RefusesLongRecordings) {
  const fs::path path = sounds_.write("long.wav", noise(8001, 1));
  EXPECT_EQ(read_sound(path, 1.001).samples.size(), 8001u);
  EXPECT_THAT([&] { read_sound(path, 1); },
              ThrowsMessage<Error>(AllOf(HasSubstr("long.wav"), HasSubstr("data.longest"))));
}

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

// --- splits

TEST(RecordingsSplits, HoldOutASpeakerOrAShare) {
  const Recordings set = reference::tone_set(40, 5);
  const RecordingsSplit by_speaker = split_speaker(set, "bob");
  EXPECT_EQ(by_speaker.train.items.size(), 20u);
  for (const Recording& item : by_speaker.train.items) EXPECT_EQ(item.speaker, "ann");
  for (const Recording& item : by_speaker.validation.items) EXPECT_EQ(item.speaker, "bob");
  EXPECT_THAT([&] { split_speaker(set, "eve"); }, ThrowsMessage<Error>(HasSubstr("ann, bob")));
  EXPECT_THAT([&] { split_speaker(set, ""); }, ThrowsMessage<Error>(HasSubstr("ann, bob")));

  const RecordingsSplit by_share = split_validation(set, 0.25, 9);
  EXPECT_NEAR(static_cast<double>(by_share.validation.items.size()), 10, 2);
  EXPECT_EQ(by_share.train.items.size() + by_share.validation.items.size(), 40u);
  EXPECT_EQ(by_share.validation.classes, set.classes);
  EXPECT_EQ(by_share.validation.sample_rate, 8000);
  EXPECT_THAT([&] { select(set, std::vector<std::uint32_t>{40}, "x"); },
              ThrowsMessage<Error>(HasSubstr("row 40")));
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
