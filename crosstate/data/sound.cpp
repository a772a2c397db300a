// Reads one file through libsndfile.
#include <fcntl.h>
#include <sndfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/data/audio.h"
#include "crosstate/data/wav_input.h"

namespace crosstate::data {
namespace {

namespace fs = std::filesystem;

constexpr sf_count_t kChunk = 4096;  // frames
constexpr int kMostChannels = 64;
constexpr int kHighestRate = 1'000'000;  // Hz

std::string seconds_text(double seconds) { return rounded_text(seconds, 4) + " s"; }

// --- the file, with a corrected header
// ---------------------------------------------------------------------------------

// A file that libsndfile reads through callbacks; some bytes are replaced on the way.
class Source {
 public:
  explicit Source(const fs::path& path) : where_(path.string()) {
    std::error_code error;
    if (!fs::is_regular_file(path, error))
      fail(where_, "not a file, expected a WAV or FLAC recording");
    fd_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) fail(where_, "cannot open: " + std::string(std::strerror(errno)));
    size_ = lseek(fd_, 0, SEEK_END);
  }
  ~Source() {
    if (fd_ >= 0) close(fd_);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const std::string& where() const { return where_; }
  std::uint64_t size() const { return static_cast<std::uint64_t>(std::max<off_t>(size_, 0)); }

  /// The bytes from `at` on; fewer than `count` at the end of the file.
  std::string bytes(std::uint64_t at, std::size_t count) const {
    std::string result(count, '\0');
    result.resize(read_at(result.data(), count, static_cast<off_t>(at)));
    return result;
  }
  void replace(std::uint64_t at, std::array<char, 4> bytes) {
    patches_.push_back({static_cast<off_t>(at), bytes});
  }

  SNDFILE* open_sound(SF_INFO& info) {
    SF_VIRTUAL_IO io = {
        [](void* self) { return static_cast<sf_count_t>(static_cast<Source*>(self)->size_); },
        [](sf_count_t offset, int whence, void* self) {
          return static_cast<Source*>(self)->seek(offset, whence);
        },
        [](void* to, sf_count_t count, void* self) {
          return static_cast<Source*>(self)->read(static_cast<char*>(to), count);
        },
        [](const void*, sf_count_t, void*) { return sf_count_t{0}; },
        [](void* self) { return static_cast<sf_count_t>(static_cast<Source*>(self)->at_); }};
    return sf_open_virtual(&io, SFM_READ, &info, this);
  }

 private:
  struct Patch {
    off_t at;
    std::array<char, 4> bytes;
  };

  std::size_t read_at(char* to, std::size_t count, off_t at) const {
    std::size_t done = 0;
    while (done < count) {
      const ssize_t got = pread(fd_, to + done, count - done, at + static_cast<off_t>(done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      done += static_cast<std::size_t>(got);
    }
    for (const Patch& patch : patches_) {
      for (std::size_t i = 0; i < patch.bytes.size(); ++i) {
        const off_t place = patch.at + static_cast<off_t>(i) - at;
        if (place >= 0 && place < static_cast<off_t>(done)) to[place] = patch.bytes[i];
      }
    }
    return done;
  }

  sf_count_t seek(sf_count_t offset, int whence) {
    const off_t from = whence == SEEK_SET ? 0 : whence == SEEK_CUR ? at_ : size_;
    const off_t to = from + offset;
    if (to < 0) return -1;
    at_ = to;
    return at_;
  }

  sf_count_t read(char* to, sf_count_t count) {
    if (count <= 0) return 0;
    const std::size_t got = read_at(to, static_cast<std::size_t>(count), at_);
    at_ += static_cast<off_t>(got);
    return static_cast<sf_count_t>(got);
  }

  std::string where_;
  int fd_ = -1;
  off_t size_ = 0, at_ = 0;
  std::vector<Patch> patches_;
};

// --- chunks of WAV
// -----------------------------------------------------------------------------------

// RIFF, its big-endian form RIFX, and its forms beyond 4 GiB, which store the sizes in a chunk
// ds64.
struct Form {
  bool big_endian = false, wide = false;

  std::uint64_t number(std::string_view bytes) const {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const std::size_t at = big_endian ? i : bytes.size() - 1 - i;
      value = value << 8 | static_cast<unsigned char>(bytes[at]);
    }
    return value;
  }
  std::array<char, 4> bytes(std::uint64_t number) const {
    std::array<char, 4> result;
    for (std::size_t i = 0; i < result.size(); ++i) {
      const std::size_t byte = big_endian ? result.size() - 1 - i : i;
      result[i] = static_cast<char>(number >> 8 * byte & 0xff);
    }
    return result;
  }
};

// Whether the bytes from `at` to the end of the file are complete chunks and nothing else.
bool chunks_follow(const Source& file, const Form& form, std::uint64_t at) {
  while (at < file.size()) {
    const std::string head = file.bytes(at, 8);
    const auto is_name = [](char c) { return c >= ' ' && c < 0x7f; };
    if (head.size() < 8 || !std::all_of(head.begin(), head.begin() + 4, is_name)) return false;
    const std::uint64_t size = form.number(std::string_view(head).substr(4));
    if (size > file.size() - at - 8) return false;
    at += 8 + size + size % 2;  // the last chunk may lack its padding
  }
  return true;
}

// Makes the header give the number of bytes of samples, and rejects a truncated file, which
// libsndfile would read as a shorter one. Sets the members of `sound` that describe an incomplete
// header.
void repair_header(Source& file, Sound& sound) {
  const std::string head = file.bytes(0, 12);
  if (head.size() < 12) return;
  const std::string_view magic = std::string_view(head).substr(0, 4);
  const Form form{magic == "RIFX", magic == "RF64" || magic == "BW64"};
  if (magic != "RIFF" && !form.big_endian && !form.wide) return;
  // A file below 4 GiB becomes a plain one with 32-bit sizes.
  if (form.wide) file.replace(0, {'R', 'I', 'F', 'F'});
  std::uint64_t wide_size = ~std::uint64_t{0};
  for (std::uint64_t at = head.size();;) {
    const std::string chunk = file.bytes(at, 8);
    if (chunk.size() < 8) return;
    const std::string_view name = std::string_view(chunk).substr(0, 4);
    const std::uint64_t announced = form.number(std::string_view(chunk).substr(4));
    const std::uint64_t present = file.size() - at - chunk.size();
    if (form.wide && name == "ds64" && at == head.size()) {
      constexpr std::size_t kRiffSize = 8;
      const std::string sizes = file.bytes(at + chunk.size() + kRiffSize, 8);
      if (sizes.size() == 8) wide_size = form.number(sizes);
      file.replace(at, {'J', 'U', 'N', 'K'});
    }
    if (name == "data") {
      const bool is_wide = form.wide && announced == 0xffffffff;
      std::uint64_t length = is_wide ? wide_size : announced;
      const bool unset = length == 0 && present >= 8 && !chunks_follow(file, form, at + 8);
      const bool to_end = unset || (length > present && is_placeholder(length));
      if (!to_end && length > present) {
        fail(file.where(), "truncated: " + std::to_string(present) +
                               " bytes of samples, but the header announces " +
                               std::to_string(length));
      }
      sound.to_end = to_end;
      // An interrupted recorder may have written its header earlier than its last samples.
      sound.has_rest =
          !to_end && length < present &&
          !chunks_follow(file, form, at + chunk.size() + std::min(length + length % 2, present)) &&
          !chunks_follow(file, form, at + chunk.size() + length);
      if (!to_end && !is_wide) return;
      if (to_end) length = present;
      constexpr std::uint64_t kMost = 0xfffffff0;
      if (length > kMost) fail(file.where(), "more than 4 GiB of samples, expected fewer");
      file.replace(4, form.bytes(std::min(file.size() - 8, kMost)));
      file.replace(at + 4, form.bytes(length));
      return;
    }
    if (announced > present) return;  // damaged in another way, which libsndfile reports
    at += chunk.size() + announced + announced % 2;
  }
}

// --- samples
// -----------------------------------------------------------------------------------------

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using File = std::unique_ptr<SNDFILE, Close>;

File open_sound(Source& source, SF_INFO& info) {
  info = {};
  File file(source.open_sound(info));
  if (!file) {
    std::string reason = sf_strerror(nullptr);
    while (!reason.empty() && (reason.back() == '.' || reason.back() == '\n')) reason.pop_back();
    fail(source.where(), "cannot be read as a WAV or FLAC recording: " + reason);
  }
  const int format = info.format & SF_FORMAT_TYPEMASK;
  if (format != SF_FORMAT_WAV && format != SF_FORMAT_WAVEX && format != SF_FORMAT_FLAC) {
    fail(source.where(), "contains neither WAV nor FLAC");
  }
  return file;
}

void require_length(std::uint64_t frames, const SF_INFO& info, double longest,
                    const std::string& where) {
  const double seconds = static_cast<double>(frames) / info.samplerate;
  if (seconds > longest) {
    fail(where,
         seconds_text(seconds) + " long, expected at most data.longest = " + seconds_text(longest));
  }
}

// Checked before memory is allocated, since a header may announce anything. `counted`: it announces
// a number of frames.
void check_header(const SF_INFO& info, bool counted, double longest, const std::string& where) {
  if (info.samplerate < 1 || info.samplerate > kHighestRate) {
    fail(where, "sample rate " + std::to_string(info.samplerate) + " Hz, expected 1 to " +
                    std::to_string(kHighestRate));
  }
  if (info.channels < 1 || info.channels > kMostChannels) {
    fail(where, std::to_string(info.channels) + " channels, expected 1 to " +
                    std::to_string(kMostChannels));
  }
  if (!counted) return;
  if (info.frames < 1) fail(where, "no samples, expected at least one");
  require_length(static_cast<std::uint64_t>(info.frames), info, longest, where);
}

}  // namespace

Sound read_sound(const fs::path& path, double longest) {
  Source source(path);
  const std::string& where = source.where();
  refuse_pointer(source.bytes(0, 64), where);
  Sound sound;
  repair_header(source, sound);
  SF_INFO info;
  const File file = open_sound(source, info);
  // FLAC from an encoder that could not go back to the header.
  const bool counted = info.frames != SF_COUNT_MAX;
  sound.to_end = sound.to_end || !counted;
  check_header(info, counted, longest, where);

  sound.sample_rate = info.samplerate;
  if (counted) sound.samples.reserve(static_cast<std::size_t>(info.frames));
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
    if (!counted) require_length(sound.samples.size(), info, longest, where);
  }
  if (!counted && sound.samples.empty()) fail(where, "no samples, expected at least one");
  if (counted && sound.samples.size() != static_cast<std::size_t>(info.frames)) {
    fail(where, "truncated: " + std::to_string(sound.samples.size()) + " samples, but the header " +
                    "announces " + std::to_string(info.frames));
  }
  return sound;
}

}  // namespace crosstate::data
