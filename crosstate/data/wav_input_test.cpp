#include "crosstate/data/wav_input.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/data/audio.h"
#include "crosstate/data/testing.h"

namespace crosstate::data {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// The samples of a file, read as a stream.
std::vector<float> streamed(const std::filesystem::path& path, int* sample_rate = nullptr) {
  const int number = open(path.c_str(), O_RDONLY);
  Input input(number, "pipe");
  std::vector<float> samples;
  try {
    WavInput wav(input);
    if (sample_rate != nullptr) *sample_rate = wav.sample_rate();
    for (float sample; wav.next(sample);) samples.push_back(sample);
  } catch (...) {
    close(number);
    throw;
  }
  close(number);
  return samples;
}

TEST(WavInput, HasTheSamplesOfTheFile) {
  const reference::SoundDirectory directory;
  const std::vector<float> samples = reference::noise(1002, 3, 0.2);
  for (const int kind : {SF_FORMAT_WAV, SF_FORMAT_WAVEX}) {
    for (const int format : {SF_FORMAT_PCM_U8, SF_FORMAT_PCM_16, SF_FORMAT_PCM_24, SF_FORMAT_PCM_32,
                             SF_FORMAT_FLOAT}) {
      for (const int channels : {1, 2, 3}) {
        const auto path = directory.write("a.wav", samples, 16000, channels, kind | format);
        int rate = 0;
        EXPECT_EQ(streamed(path, &rate), read_sound(path, 10).samples)
            << kind << ' ' << format << ' ' << channels;
        EXPECT_EQ(rate, 16000);
      }
    }
  }
}

TEST(WavInput, ReadsToTheEndWithoutALength) {
  const reference::SoundDirectory directory;
  const auto path = directory.write("a.wav", reference::noise(100, 3));
  const std::vector<float> whole = streamed(path);
  std::string bytes = read_file(path);
  const std::size_t place = bytes.find("data") + 4;
  for (const char* length : {"\x00\x00\x00\x80", "\xff\xff\xff\xff", "\x00\x00\x00\x00"}) {
    bytes.replace(place, 4, length, 4);
    write_file(path, bytes);
    EXPECT_EQ(streamed(path), whole);
  }
  // Otherwise what follows the samples is not a part of them.
  bytes.replace(place, 4, std::string("\x64\x00\x00\x00", 4));
  write_file(path, bytes);
  EXPECT_EQ(streamed(path).size(), 50u);
}

TEST(WavInput, RefusesWhatItCannotRead) {
  const reference::SoundDirectory directory;
  const auto path = directory.write("a.wav", reference::noise(100, 3));
  const std::string good = read_file(path);
  const auto refuse = [&](const std::string& bytes, const char* what) {
    write_file(path, bytes);
    EXPECT_THAT([&] { streamed(path); },
                ThrowsMessage<Error>(testing::AllOf(HasSubstr("pipe"), HasSubstr(what))));
  };
  refuse("", "ends within the header");
  refuse(good.substr(0, 20), "ends within the header");
  refuse("RIFX" + good.substr(4), "not a WAV recording");
  refuse(good.substr(0, good.size() - 1), "sample 99: ends after 1 bytes, expected 2");
  refuse(good.substr(0, good.size() - 2), "announces 1 more samples");
  std::string bytes = good;
  bytes[good.find("fmt ") + 8] = 6;  // A-law
  refuse(bytes, "of format 6 with 16 bits");
  bytes = good;
  bytes.replace(good.find("fmt "), 4, "abcd");
  refuse(bytes, "without a format before its samples");
  bytes = good;
  bytes[good.find("fmt ") + 10] = 0;
  refuse(bytes, "0 channels");
  directory.write("a.wav", {0.0f, std::nanf("")}, 8000, 1, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
  refuse(read_file(path), "sample 1: a value that is not finite");
}

}  // namespace
}  // namespace crosstate::data
