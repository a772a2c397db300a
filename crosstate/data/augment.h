// Varied copies of a training set, one per epoch.
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

/// Changes samples at random, in this order: speed (cubic interpolation, so pitch changes too),
/// gain (evenly distributed in dB), shift (silence before, or so much less at the beginning), and
/// noise between white and low-passed at a ratio evenly distributed in dB. At least `least` samples
/// remain.
void vary_samples(const AugmentOptions& options, int sample_rate, std::size_t least, Random& random,
                  std::vector<float>& samples);

/// Sets stretches of time and groups of bands to 0, the mean of normalised features. Frames hold
/// `features` values; the slopes of bands, behind the bands, are masked with them. `hop` in
/// seconds.
void mask_frames(const AugmentOptions& options, std::size_t bands, std::size_t features, double hop,
                 Random& random, std::vector<float>& frames);

/// The training set anew for every epoch. What epoch e makes of recording i depends on (seed, e, i)
/// alone, so that a run that continues, and any number of threads, get the same bits.
class Augmenter {
 public:
  /// Keeps the recordings and the front end, with its statistics; the pool must outlive it.
  Augmenter(Recordings recordings, FrontEnd front_end, const AugmentOptions& options,
            std::uint64_t seed, ThreadPool& pool);

  /// Valid until the next call.
  const Dataset& epoch(std::uint32_t number);

 private:
  void make(std::uint32_t epoch, std::size_t item, FrontEndStream& stream,
            std::vector<float>& frames) const;

  Recordings recordings_;
  FrontEnd front_end_;
  AugmentOptions options_;
  std::uint64_t seed_;
  ThreadPool& pool_;
  Dataset current_;
};

}  // namespace crosstate::data
