#include "crosstate/data/wav_input.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <string_view>

#include "crosstate/base/error.h"

namespace crosstate::data {
namespace {

constexpr std::size_t kMostChannels = 64;
constexpr std::uint32_t kHighestRate = 1'000'000;  // Hz

}  // namespace

bool is_placeholder(std::uint64_t length) {
  constexpr std::uint64_t kNear = 0x10000;
  for (const unsigned power : {31u, 32u, 63u}) {
    const std::uint64_t limit = std::uint64_t{1} << power;
    if (length >= limit - kNear && length <= limit + kNear) return true;
  }
  return length >= ~std::uint64_t{0} - kNear;
}

std::uint32_t WavInput::number(const char* bytes, std::size_t count) const {
  std::uint32_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string WavInput::bytes(std::size_t size, const char* what) {
  std::string result(size, '\0');
  if (input_.bytes(result.data(), size) != size) {
    fail(input_.name(), std::string("ends within ") + what + " of a WAV recording");
  }
  return result;
}

void WavInput::skip(std::uint64_t size) {
  constexpr std::uint64_t kPart = 4096;
  for (; size > 0; size -= std::min(size, kPart)) {
    bytes(static_cast<std::size_t>(std::min(size, kPart)), "the header");
  }
}

void WavInput::read_format(std::uint32_t size) {
  constexpr std::uint32_t kPlain = 16, kExtended = 40, kMostBytes = 4096;
  constexpr std::uint32_t kPcm = 1, kFloat = 3, kExtensible = 0xfffe;
  if (size < kPlain || size > kMostBytes) {
    fail(input_.name(), "a WAV header with a format of " + std::to_string(size) + " bytes");
  }
  const std::string format = bytes(size, "the header");
  skip(size % 2);
  const char* at = format.data();
  std::uint32_t kind = number(at, 2);
  if (kind == kExtensible && size >= kExtended) kind = number(at + 24, 2);
  channels_ = number(at + 2, 2);
  const std::uint32_t rate = number(at + 4, 4), bits = number(at + 14, 2);
  real_ = kind == kFloat;
  const bool known =
      real_ ? bits == 32 : kind == kPcm && (bits == 8 || bits == 16 || bits == 24 || bits == 32);
  if (!known) {
    fail(input_.name(), "a WAV recording of format " + std::to_string(kind) + " with " +
                            std::to_string(bits) +
                            " bits, expected integers of 8, 16, 24 or 32 bits or binary32");
  }
  bytes_ = bits / 8;
  if (channels_ < 1 || channels_ > kMostChannels) {
    fail(input_.name(),
         std::to_string(channels_) + " channels, expected 1 to " + std::to_string(kMostChannels));
  }
  if (rate < 1 || rate > kHighestRate) {
    fail(input_.name(), "sample rate " + std::to_string(rate) + " Hz, expected 1 to " +
                            std::to_string(kHighestRate));
  }
  sample_rate_ = static_cast<int>(rate);
  frame_.resize(channels_ * bytes_);
}

WavInput::WavInput(Input& input) : input_(input) {
  const std::string head = bytes(12, "the header");
  if (!head.starts_with("RIFF") || std::string_view(head).substr(8) != "WAVE") {
    fail(input_.name(), "not a WAV recording, expected one that begins with RIFF and WAVE");
  }
  for (;;) {
    const std::string chunk = bytes(8, "the header");
    const std::string_view name = std::string_view(chunk).substr(0, 4);
    const std::uint32_t size = number(chunk.data() + 4, 4);
    if (name == "fmt ") {
      read_format(size);
    } else if (name == "data") {
      if (frame_.empty()) fail(input_.name(), "a WAV header without a format before its samples");
      to_end_ = size == 0 || is_placeholder(size);
      left_ = size / frame_.size();
      return;
    } else {
      skip(std::uint64_t{size} + size % 2);
    }
  }
}

float WavInput::value(const char* bytes) const {
  const std::uint32_t word = number(bytes, bytes_);
  if (real_) return std::bit_cast<float>(word);
  if (bytes_ == 1) return static_cast<float>(static_cast<int>(word) - 128) / 128;
  // The sign is in the highest bit of 32.
  const auto shifted = static_cast<std::int32_t>(word << (32 - 8 * bytes_));
  return static_cast<float>(shifted) * 0x1p-31f;
}

bool WavInput::next(float& sample) {
  if (!to_end_ && left_ == 0) return false;
  const std::size_t got = input_.bytes(frame_.data(), frame_.size());
  if (got == 0 && to_end_) return false;
  const std::string where = input_.name() + ", sample " + std::to_string(read_);
  if (got == 0) {
    fail(where, "the end, but the WAV header announces " + std::to_string(left_) + " more samples");
  }
  if (got != frame_.size()) {
    fail(where,
         "ends after " + std::to_string(got) + " bytes, expected " + std::to_string(frame_.size()));
  }
  float sum = 0;
  for (std::size_t c = 0; c < channels_; ++c) sum += value(frame_.data() + c * bytes_);
  sample = sum / static_cast<float>(channels_);
  if (!std::isfinite(sample)) fail(where, "a value that is not finite");
  ++read_;
  if (!to_end_) --left_;
  return true;
}

}  // namespace crosstate::data
