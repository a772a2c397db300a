// Randomly varied copies of a training set, one per epoch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "crosstate/base/random.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/data/front_end.h"
#include "crosstate/data/options.h"
#include "crosstate/data/recordings.h"

namespace crosstate::data {

/// Changes samples at random, in this order: speed (cubic interpolation, which also changes the
/// pitch), gain (uniform in dB), shift (silence is inserted at the beginning, or samples are
/// removed there), and noise between white and low-passed (signal-to-noise ratio uniform in dB). At
/// least `least` samples remain.
void vary_samples(const AugmentOptions& options, int sample_rate, std::size_t least, Random& random,
                  std::vector<float>& samples);

/// Sets time intervals and groups of bands to 0, the mean of normalised features. A frame holds
/// `features` values; the slopes follow the bands and are masked with them. `hop` is in seconds.
void mask_frames(const AugmentOptions& options, std::size_t bands, std::size_t features, double hop,
                 Random& random, std::vector<float>& frames);

/// Generates the training set of every epoch. The variation of sequence i in epoch e depends only
/// on (seed, e, i), so resumed runs and any number of threads give the same bits.
/// With AugmentOptions::variants, e is the epoch modulo their number.
class Augmenter {
 public:
  virtual ~Augmenter() = default;
  Augmenter(const Augmenter&) = delete;
  Augmenter& operator=(const Augmenter&) = delete;

  /// The returned set is valid until the next call.
  const Dataset& epoch(std::uint32_t number);

 protected:
  explicit Augmenter(const AugmentOptions& options);

  const AugmentOptions& options() const { return options_; }

 private:
  virtual Dataset made(std::uint32_t epoch) const = 0;

  AugmentOptions options_;
  Dataset current_;
  std::vector<Dataset> variants_;  // options_.variants, each created when first used
};

/// Varies recordings, by vary_samples(), and the frames of their front end, by mask_frames().
class RecordingAugmenter : public Augmenter {
 public:
  /// Stores the recordings and the front end with its statistics; the pool must outlive this
  /// object.
  RecordingAugmenter(Recordings recordings, FrontEnd front_end, const AugmentOptions& options,
                     std::uint64_t seed, ThreadPool& pool);

 private:
  Dataset made(std::uint32_t epoch) const override;
  void make(std::uint32_t epoch, std::size_t item, FrontEndStream& stream,
            std::vector<float>& frames) const;

  Recordings recordings_;
  FrontEnd front_end_;
  std::uint64_t seed_;
  ThreadPool& pool_;
};

}  // namespace crosstate::data
