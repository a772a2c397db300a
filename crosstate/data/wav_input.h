// A WAV recording as it arrives, in constant memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/base/input.h"

namespace crosstate::data {

/// Whether a length in the header of a WAV file is one that programs write if they cannot go back
/// to the header: SoX 0x7ffff000, arecord 0x80000000, GStreamer 0x7fff0000, ffmpeg 0xffffffff;
/// others slightly less, because of the bytes before the samples.
bool is_placeholder(std::uint64_t length);

/// Reads WAV (RIFF) with samples of 8, 16, 24 or 32 bits or binary32 from a pipe, several channels
/// averaged, with the values of read_sound(). Without a length in the header (0 or a placeholder)
/// it reads to the end of the stream; otherwise what follows the samples is ignored.
class WavInput {
 public:
  /// Reads the header. Throws Error naming the stream for anything else than such a file. The input
  /// must outlive this object.
  explicit WavInput(Input& input);

  /// In Hz.
  int sample_rate() const { return sample_rate_; }
  /// The next sample, full scale 1; false at the end. Throws Error for a stream that ends within a
  /// sample or before the announced length, and for a sample that is not finite.
  bool next(float& sample);

 private:
  void read_format(std::uint32_t size);
  std::uint32_t number(const char* bytes, std::size_t count) const;
  /// Exactly `size` bytes. Throws Error at the end of the stream.
  std::string bytes(std::size_t size, const char* what);
  void skip(std::uint64_t size);
  float value(const char* bytes) const;

  Input& input_;
  int sample_rate_ = 0;
  std::size_t channels_ = 0, bytes_ = 0;  // per sample and channel
  bool real_ = false;
  bool to_end_ = false;
  std::uint64_t left_ = 0, read_ = 0;  // frames
  std::vector<char> frame_;
};

}  // namespace crosstate::data
