// One file through libsndfile.
#include <sndfile.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string_view>
#include <system_error>

#include "crosstate/base/error.h"
#include "crosstate/data/audio.h"

namespace crosstate {
namespace {

namespace fs = std::filesystem;

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using File = std::unique_ptr<SNDFILE, Close>;

constexpr sf_count_t kChunk = 4096;  // frames
constexpr int kMostChannels = 64;
constexpr int kHighestRate = 1'000'000;  // Hz

std::string seconds_text(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g s", seconds);
  return text;
}

File open_sound(const fs::path& path, SF_INFO& info) {
  const std::string where = path.string();
  std::error_code error;
  if (!fs::is_regular_file(path, error))
    fail(where, "not a file, expected a WAV or FLAC recording");
  info = {};
  File file(sf_open(path.c_str(), SFM_READ, &info));
  if (!file) {
    std::string reason = sf_strerror(nullptr);
    while (!reason.empty() && (reason.back() == '.' || reason.back() == '\n')) reason.pop_back();
    fail(where, "not a WAV or FLAC recording that can be read: " + reason);
  }
  const int format = info.format & SF_FORMAT_TYPEMASK;
  if (format != SF_FORMAT_WAV && format != SF_FORMAT_WAVEX && format != SF_FORMAT_FLAC) {
    fail(where, "neither WAV nor FLAC inside");
  }
  return file;
}

std::uint32_t little_endian(const char* bytes) {
  std::uint32_t value = 0;
  for (int i = 3; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// libsndfile takes a data chunk that the file cuts off for a shorter one. Writers to a pipe, which
// cannot know, announce the largest number.
void check_riff(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  char head[12];
  if (!file.read(head, sizeof head) || std::string_view(head, 4) != "RIFF") return;
  const std::uint64_t size = fs::file_size(path);
  std::uint64_t at = sizeof head;
  char chunk[8];
  while (file.seekg(static_cast<std::streamoff>(at)) && file.read(chunk, sizeof chunk)) {
    const std::uint64_t announced = little_endian(chunk + 4), present = size - at - sizeof chunk;
    if (std::string_view(chunk, 4) == "data") {
      if (announced <= present || announced == 0xffffffff) return;
      fail(path.string(), "truncated: " + std::to_string(present) +
                              " bytes of samples, but the header announces " +
                              std::to_string(announced));
    }
    if (announced > present) return;  // damaged in another way, which libsndfile tells
    at += sizeof chunk + announced + announced % 2;
  }
}

// Before any memory is taken: a header may announce anything.
void check_header(const SF_INFO& info, double longest, const std::string& where) {
  if (info.samplerate < 1 || info.samplerate > kHighestRate) {
    fail(where, "sample rate " + std::to_string(info.samplerate) + " Hz, expected 1 to " +
                    std::to_string(kHighestRate));
  }
  if (info.channels < 1 || info.channels > kMostChannels) {
    fail(where, std::to_string(info.channels) + " channels, expected 1 to " +
                    std::to_string(kMostChannels));
  }
  if (info.frames < 1) fail(where, "no samples, expected at least one");
  const double seconds = static_cast<double>(info.frames) / info.samplerate;
  if (seconds > longest) {
    fail(where,
         seconds_text(seconds) + " long, expected at most data.longest = " + seconds_text(longest));
  }
}

}  // namespace

Sound read_sound(const fs::path& path, double longest) {
  const std::string where = path.string();
  SF_INFO info;
  const File file = open_sound(path, info);
  check_riff(path);
  check_header(info, longest, where);

  Sound sound;
  sound.sample_rate = info.samplerate;
  sound.samples.reserve(static_cast<std::size_t>(info.frames));
  const auto channels = static_cast<std::size_t>(info.channels);
  std::vector<float> chunk(static_cast<std::size_t>(kChunk) * channels);
  while (sound.samples.size() < static_cast<std::size_t>(info.frames)) {
    const sf_count_t read = sf_readf_float(file.get(), chunk.data(), kChunk);
    if (read < 1) break;
    for (std::size_t i = 0; i < static_cast<std::size_t>(read); ++i) {
      float sum = 0;
      for (std::size_t c = 0; c < channels; ++c) sum += chunk[i * channels + c];
      sound.samples.push_back(sum / static_cast<float>(channels));
      if (std::isfinite(sound.samples.back())) continue;
      fail(where, "sample " + std::to_string(sound.samples.size() - 1) + " is " +
                      std::to_string(sound.samples.back()) + ", expected a finite number");
    }
  }
  if (sound.samples.size() != static_cast<std::size_t>(info.frames)) {
    fail(where, "truncated: " + std::to_string(sound.samples.size()) + " samples, but the header " +
                    "announces " + std::to_string(info.frames));
  }
  return sound;
}

}  // namespace crosstate
