// A window that slides over a stream of samples.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace crosstate {

/// Shows the last `window` samples after every `hop` of them, with silence before the first. What a
/// window holds does not depend on how the stream was cut into pieces.
class Windows {
 public:
  Windows(std::size_t window, std::size_t hop)
      : window_(window), hop_(hop), buffer_(std::max(window, hop) - hop, 0.0f) {}

  /// Calls each(std::span<const float>) for every window that the samples complete.
  template <class Each>
  void push(std::span<const float> samples, const Each& each) {
    buffer_.insert(buffer_.end(), samples.begin(), samples.end());
    const std::size_t length = std::max(window_, hop_);
    std::size_t at = 0;
    for (; at + length <= buffer_.size(); at += hop_) {
      each(std::span<const float>(buffer_).subspan(at + length - window_, window_));
    }
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  void reset() { buffer_.assign(std::max(window_, hop_) - hop_, 0.0f); }

 private:
  std::size_t window_, hop_;
  std::vector<float> buffer_;
};

}  // namespace crosstate
