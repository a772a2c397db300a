// Counter-based random numbers: every draw has an address, so no draw depends on threads or order.
#pragma once

#include <array>
#include <cstdint>

namespace crosstate {

/// The purpose of a stream of random numbers, which is part of the address of every draw.
enum class Stream : std::uint32_t {
  kInit = 1,
  kShuffle,
  kSplit,
  kDropout,
  kWeightNoise,
  kProgramming,
  kRead,
  kTest,
  kAugment,
  kStateRounding,
  kDeviceNoise,
  kFlicker,
  kRelaxation,
  kConverters,
  kSearch,
  kResidual,
};

/// Four 32-bit words of Philox4x32-10 (Salmon et al., SC 2011) at counter (a, b, c, d), with the
/// two halves of the seed as the key.
std::array<std::uint32_t, 4> philox(std::uint64_t seed, std::uint32_t a, std::uint32_t b,
                                    std::uint32_t c, std::uint32_t d);

/// A sequential view of one address (seed, stream, item, part): draw i uses counter word i / 4.
class Random {
 public:
  Random(std::uint64_t seed, Stream stream, std::uint32_t item = 0, std::uint32_t part = 0)
      : seed_(seed), stream_(static_cast<std::uint32_t>(stream)), item_(item), part_(part) {}

  std::uint32_t bits();
  /// Uniform in (0, 1), never 0 or 1.
  double uniform();
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Standard normal (Box-Muller; the second of a pair is kept for the next call).
  double normal();
  /// Uniform integer in [0, bound), without modulo bias; bound > 0.
  std::uint32_t below(std::uint32_t bound);

 private:
  std::uint64_t seed_;
  std::uint32_t stream_, item_, part_;
  std::uint32_t counter_ = 0;
  int used_ = 4;
  std::array<std::uint32_t, 4> block_{};
  double spare_ = 0;
  bool has_spare_ = false;
};

}  // namespace crosstate
