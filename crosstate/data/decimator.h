// Every n-th sample of a stream, behind a low-pass.
#pragma once

#include <span>
#include <vector>

#include "crosstate/data/windows.h"

namespace crosstate {

/// A windowed-sinc low-pass (Blackman, 55 taps per kept sample) and every factor-th of its outputs.
/// Passes up to 0.4 of the new sample rate within 0.1 dB and stops from 0.5 of it by at least 60 dB
/// (tests read both); causal, so it delays by half its length. Factor 1 passes samples through.
class Decimator {
 public:
  static constexpr double kPass = 0.4, kPassRipple = 0.1, kStop = 0.5, kStopAttenuation = 60;

  explicit Decimator(int factor);

  /// Appends what the samples complete.
  void push(std::span<const float> samples, std::vector<float>& to);
  void reset() { windows_.reset(); }

 private:
  std::vector<float> taps_;  // newest sample last
  Windows windows_;
};

}  // namespace crosstate
