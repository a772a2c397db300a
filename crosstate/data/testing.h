// Shared by the tests of recordings: a temporary directory, and sound files written by the test.
#pragma once

#include <gtest/gtest.h>
#include <sndfile.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <numbers>
#include <string>
#include <vector>

#include "crosstate/base/random.h"
#include "crosstate/data/recordings.h"

namespace crosstate::data::reference {

/// Writes samples [time][channel]; creates missing folders.
inline void write_sound(const std::filesystem::path& path, const std::vector<float>& samples,
                        int sample_rate = 8000, int channels = 1,
                        int format = SF_FORMAT_WAV | SF_FORMAT_PCM_16) {
  std::filesystem::create_directories(path.parent_path());
  SF_INFO info{};
  info.samplerate = sample_rate;
  info.channels = channels;
  info.format = format;
  SNDFILE* sound = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_NE(sound, nullptr) << path << ": " << sf_strerror(nullptr);
  sf_write_float(sound, samples.data(), static_cast<sf_count_t>(samples.size()));
  sf_close(sound);
}

/// A directory of the running test, empty at the start and removed at the end.
class SoundDirectory {
 public:
  SoundDirectory() {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = std::filesystem::path(testing::TempDir()) /
            ("sounds-" + std::string(test->test_suite_name()) + '-' + test->name() + '-' +
             std::to_string(getpid()));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~SoundDirectory() { std::filesystem::remove_all(path_); }
  SoundDirectory(const SoundDirectory&) = delete;
  SoundDirectory& operator=(const SoundDirectory&) = delete;

  const std::filesystem::path& path() const { return path_; }

  std::filesystem::path write(const std::string& name, const std::vector<float>& samples,
                              int sample_rate = 8000, int channels = 1,
                              int format = SF_FORMAT_WAV | SF_FORMAT_PCM_16) const {
    write_sound(path_ / name, samples, sample_rate, channels, format);
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

inline std::vector<float> tone(double hertz, std::size_t count, double amplitude = 0.5,
                               double sample_rate = 8000) {
  std::vector<float> samples(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double phase = 2 * std::numbers::pi * hertz * static_cast<double>(i) / sample_rate;
    samples[i] = static_cast<float>(amplitude * std::sin(phase));
  }
  return samples;
}

inline std::vector<float> noise(std::size_t count, std::uint64_t seed, double deviation = 0.1) {
  Random random(seed, Stream::kTest, 7);
  std::vector<float> samples(count);
  for (float& x : samples) x = static_cast<float>(deviation * random.normal());
  return samples;
}

/// Tones in noise whose pitch depends on the class, of different lengths, by two speakers.
inline Recordings tone_set(std::size_t count, std::uint64_t seed) {
  Recordings set;
  set.name = "tones";
  set.sample_rate = 8000;
  set.classes = {"low", "middle", "high"};
  for (std::size_t i = 0; i < count; ++i) {
    Random random(seed, Stream::kTest, static_cast<std::uint32_t>(i));
    const std::size_t length = 400 + random.below(900);
    std::vector<float> samples = noise(length, seed + i, 0.05);
    const std::vector<float> pitch = tone(300 * std::pow(3.0, i % 3), length, 0.2);
    for (std::size_t k = 0; k < length; ++k) samples[k] += pitch[k];
    set.items.push_back({"tone " + std::to_string(i), i % 2 == 0 ? "ann" : "bob",
                         static_cast<std::int32_t>(i % 3), std::move(samples)});
  }
  return set;
}

}  // namespace crosstate::data::reference
