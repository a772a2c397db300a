// The front end in whole numbers: 16-bit samples in, normalised features out, with the same bits in
// training, in deployment, and in the C code for microcontrollers. docs/arithmetic.md defines it;
// this is the plain implementation of that definition.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "crosstate/data/options.h"
#include "crosstate/data/streams.h"

namespace crosstate::data {

/// Normalised features are integers z that represent z 2^-15, -2^22 <= z <= 2^22.
inline constexpr int kFeaturePlaces = 15;
inline constexpr std::int32_t kLargestFeature = 1 << 22;

/// The nearest 16-bit sample, ties upwards, saturated. `sample`: finite, full scale 1.
std::int16_t pcm_of(float sample);

/// Normalisation of one feature: z = (value factor + bias) >> shift, saturated.
struct FeatureScale {
  std::int32_t factor = 0;  // 0 .. 2^24
  std::int64_t bias = 0;    // within +-2^52, with the half unit that rounds
  std::int32_t shift = 1;   // 1 .. 30

  std::int32_t operator()(std::int32_t value) const;
};

/// Low-pass and decimation of 16-bit samples.
struct IntegerDecimator {
  int factor = 1;
  std::vector<std::int16_t> taps;  // newest sample last, in units of 2^-shift; one for factor 1
  int shift = 0;

  /// One output from the last taps.size() samples.
  std::int16_t operator()(std::span<const std::int16_t> window) const;
};

/// A complex integer.
struct WholeComplex {
  std::int32_t re = 0, im = 0;
};

/// Log-mel energies of 16-bit samples.
struct IntegerBands {
  /// Weights of adjacent bins, in units of 2^-15.
  struct Band {
    std::size_t first = 0;
    std::vector<std::uint16_t> weights;
  };

  std::size_t points = 0;            // of the spectrum, P: a power of two, at least 4
  std::vector<std::uint16_t> taper;  // [window], symmetric, in units of 2^-16
  std::vector<std::int32_t> cosine;  // [P/4 + 1], cos(2 pi k / P) in units of 2^-30
  std::vector<Band> bands;
  std::int64_t floor = 1;  // energy that is added to each band, at least 1
  double unit = 0;         // binary logarithm of the energy of a full-scale sine

  /// Appends the binary logarithm of the energy of every band, in units of 2^-10.
  /// `work` and `power` are scratch memory.
  void append(std::span<const std::int16_t> window, std::vector<WholeComplex>& work,
              std::vector<std::int64_t>& power, std::vector<std::int32_t>& to) const;
};

/// log2(energy) in units of 2^-10, rounded, from a table of 64 intervals; `energy` > 0. The error
/// is less than 2^-11 + 2^-13.
std::int32_t integer_log2(std::int64_t energy);
/// [65], log2(1 + i / 64) in units of 2^-15.
const std::array<std::uint16_t, 65>& log2_table();

/// All constants of a front end in whole numbers.
struct IntegerFrontEnd {
  IntegerDecimator decimator;
  std::size_t window = 1, hop = 1;    // in samples after the decimator
  std::optional<IntegerBands> bands;  // none: the samples themselves are the features
  bool deltas = false;
  std::vector<FeatureScale> scales;  // [features]

  IntegerFrontEnd() = default;
  /// Without normalisation. Throws Error as mel_triangles() does. options: validated; sample_rate:
  /// Hz; window, hop: in samples after the decimator.
  IntegerFrontEnd(const FrontEndOptions& options, int sample_rate, std::size_t window,
                  std::size_t hop);

  /// Number of features: bands, twice that with deltas, or 1.
  std::size_t features() const;
  /// Sets the scales to those nearest to (v - mean) scale, where v is the feature as a real number:
  /// the natural logarithm of the energy relative to that of a full-scale sine, or the sample with
  /// a full scale of 1. mean, scale: [features], scale >= 0.
  void normalise(std::span<const float> mean, std::span<const float> scale);
};

/// Processes one stream of samples. See FrontEndStream.
class IntegerFrontEndStream {
 public:
  /// The front end must outlive the stream.
  explicit IntegerFrontEndStream(const IntegerFrontEnd& front_end);

  /// Appends the frames that these samples complete, features() values each.
  void push(std::span<const std::int16_t> samples, std::vector<std::int32_t>& frames);
  /// Resets to silence.
  void reset();

 private:
  void normalise(std::vector<std::int32_t>& frames);

  const IntegerFrontEnd& front_end_;
  Windows<std::int16_t> decimated_, windows_;
  std::vector<std::int16_t> samples_;
  std::vector<WholeComplex> work_;
  std::vector<std::int64_t> power_;
  std::vector<std::int32_t> frame_, history_;  // history_: the last four frames, oldest first
};

}  // namespace crosstate::data
