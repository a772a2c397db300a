// Reading one file: samples, headers that are wrong or incomplete, and damage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/data/audio.h"
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

constexpr int kFloatWav = SF_FORMAT_WAV | SF_FORMAT_FLOAT;

class SoundTest : public testing::Test {
 protected:
  void write_bytes(const std::string& name, const std::string& bytes) const {
    std::ofstream(sounds_.path() / name, std::ios::binary) << bytes;
  }
  SoundDirectory sounds_;
};

TEST_F(SoundTest, ReadsSamplesOfEveryFormat) {
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

TEST_F(SoundTest, AveragesChannels) {
  const fs::path path =
      sounds_.write("x.wav", {0.5f, 0.25f, -1, 0, 0.25f, 0.25f, 1, 1, -0.25f}, 8000, 3, kFloatWav);
  EXPECT_THAT(read_sound(path, 30).samples, ElementsAre(-0.25f / 3, 0.5f / 3, 1.75f / 3));
}

TEST_F(SoundTest, RefusesDamagedFiles) {
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

TEST_F(SoundTest, RefusesTruncatedFiles) {
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

class PlaceholderTest : public SoundTest {
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

TEST_F(SoundTest, RefusesWhatStandsForAFile) {
  write_bytes("a_ann_0.wav", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n");
  EXPECT_THAT([&] { read_sound(sounds_.path() / "a_ann_0.wav", 30); },
              ThrowsMessage<Error>(HasSubstr("is a Git LFS pointer, not the file")));
}

// For every change of a header byte, the result is samples or an Error.
TEST_F(SoundTest, SurvivesAnyDamageToTheHeader) {
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

TEST_F(SoundTest, RefusesLongRecordings) {
  const fs::path path = sounds_.write("long.wav", noise(8001, 1));
  EXPECT_EQ(read_sound(path, 1.001).samples.size(), 8001u);
  EXPECT_THAT([&] { read_sound(path, 1); },
              ThrowsMessage<Error>(AllOf(HasSubstr("long.wav"), HasSubstr("data.longest"))));
}

}  // namespace
}  // namespace crosstate::data
