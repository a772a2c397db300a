#include "crosstate/data/augment.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace crosstate::data {
namespace {

double ratio_of_decibels(double decibels) { return std::pow(10.0, decibels / 20); }

// Cubic Lagrange interpolation at x[0 + t], 0 <= t < 1, through x[-1..2].
float interpolate(const float* x, float t) {
  const float a = x[1] - x[0], b = x[-1] - x[0], c = x[2] - x[0];
  const float cubic = (c - 3 * a - b) / 6, square = (a + b) / 2;
  return x[0] + t * (a - square - cubic + t * (square + t * cubic));
}

// Resamples with `speed` old samples per new sample.
std::vector<float> resample(const std::vector<float>& samples, double speed) {
  std::vector<float> padded(samples.size() + 3, 0.0f);
  std::copy(samples.begin(), samples.end(), padded.begin() + 1);
  std::vector<float> result(
      static_cast<std::size_t>(static_cast<double>(samples.size() - 1) / speed) + 1);
  for (std::size_t i = 0; i < result.size(); ++i) {
    const double at = static_cast<double>(i) * speed;
    const auto whole = static_cast<std::size_t>(at);
    result[i] =
        interpolate(&padded[whole + 1], static_cast<float>(at - static_cast<double>(whole)));
  }
  return result;
}

void shift(double seconds, int sample_rate, std::size_t least, std::vector<float>& samples) {
  const auto steps = static_cast<std::ptrdiff_t>(std::lround(seconds * sample_rate));
  if (steps >= 0) {
    samples.insert(samples.begin(), static_cast<std::size_t>(steps), 0.0f);
    return;
  }
  const std::size_t spare = samples.size() - std::min(least, samples.size());
  samples.erase(samples.begin(),
                samples.begin() + std::min(-steps, static_cast<std::ptrdiff_t>(spare)));
}

double power(const std::vector<float>& samples) {
  double sum = 0;
  for (const float x : samples) sum += static_cast<double>(x) * static_cast<double>(x);
  return sum / static_cast<double>(samples.size());
}

// Noise of a first-order low-pass with a random pole, normalised to unit power before scaling.
void add_noise(double signal_power, double decibels, Random& random, std::vector<float>& samples) {
  const double pole = random.uniform(0, 0.9);
  const double scale = std::sqrt(signal_power * (1 - pole * pole)) / ratio_of_decibels(decibels);
  double state = random.normal() / std::sqrt(1 - pole * pole);
  for (float& x : samples) {
    state = pole * state + random.normal();
    x += static_cast<float>(scale * state);
  }
}

// An interval of at most `widest` of `count` positions; all widths and starts are equally likely.
std::pair<std::size_t, std::size_t> stretch(std::size_t widest, std::size_t count, Random& random) {
  const std::size_t most = std::min(widest, count);
  const std::size_t width = random.below(static_cast<std::uint32_t>(most + 1));
  const std::size_t begin = random.below(static_cast<std::uint32_t>(count - width + 1));
  return {begin, begin + width};
}

}  // namespace

void vary_samples(const AugmentOptions& options, int sample_rate, std::size_t least, Random& random,
                  std::vector<float>& samples) {
  if (samples.empty()) return;
  if (options.speed > 0) {
    samples = resample(samples, 1 + random.uniform(-options.speed, options.speed));
  }
  if (options.gain > 0) {
    const auto gain =
        static_cast<float>(ratio_of_decibels(random.uniform(-options.gain, options.gain)));
    for (float& x : samples) x *= gain;
  }
  const double signal_power = power(samples);
  if (options.shift > 0) {
    shift(1e-3 * random.uniform(-options.shift, options.shift), sample_rate, least, samples);
  }
  if (samples.size() < least) samples.resize(least, 0.0f);
  if (options.noise > 0 && random.uniform() < options.noise) {
    const double decibels = random.uniform(options.snr_low, options.snr_high);
    add_noise(signal_power, decibels, random, samples);
  }
}

void mask_frames(const AugmentOptions& options, std::size_t bands, std::size_t features, double hop,
                 Random& random, std::vector<float>& frames) {
  const std::size_t count = frames.size() / features;
  const auto longest = static_cast<std::size_t>(std::lround(1e-3 * options.time_mask / hop));
  for (int i = 0; i < options.time_masks; ++i) {
    const auto [begin, end] = stretch(longest, count, random);
    std::fill(frames.begin() + static_cast<std::ptrdiff_t>(begin * features),
              frames.begin() + static_cast<std::ptrdiff_t>(end * features), 0.0f);
  }
  for (int i = 0; i < options.band_masks; ++i) {
    const auto [begin, end] = stretch(static_cast<std::size_t>(options.band_mask), bands, random);
    for (std::size_t t = 0; t < count; ++t) {
      for (std::size_t f = 0; f < features; ++f) {
        if (f % bands >= begin && f % bands < end) frames[t * features + f] = 0;
      }
    }
  }
}

Augmenter::Augmenter(const AugmentOptions& options) : options_(options) {
  validate(options);
  variants_.resize(static_cast<std::size_t>(options.variants));
}

const Dataset& Augmenter::epoch(std::uint32_t number) {
  if (variants_.empty()) return current_ = made(number);
  number %= static_cast<std::uint32_t>(variants_.size());
  Dataset& variant = variants_[number];
  if (variant.count == 0) variant = made(number);
  return variant;
}

RecordingAugmenter::RecordingAugmenter(Recordings recordings, FrontEnd front_end,
                                       const AugmentOptions& options, std::uint64_t seed,
                                       ThreadPool& pool)
    : Augmenter(options),
      recordings_(std::move(recordings)),
      front_end_(std::move(front_end)),
      seed_(seed),
      pool_(pool) {}

Dataset RecordingAugmenter::made(std::uint32_t epoch) const {
  return make_sequences(recordings_, front_end_, pool_,
                        [&](std::size_t item, FrontEndStream& stream, std::vector<float>& frames) {
                          make(epoch, item, stream, frames);
                        });
}

void RecordingAugmenter::make(std::uint32_t epoch, std::size_t item, FrontEndStream& stream,
                              std::vector<float>& frames) const {
  Random random(seed_, Stream::kAugment, epoch, static_cast<std::uint32_t>(item));
  std::vector<float> samples = recordings_.items[item].samples;
  vary_samples(options(), front_end_.sample_rate(), front_end_.hop(), random, samples);
  stream.push(samples, frames);
  const FrontEndOptions& o = front_end_.options();
  const std::size_t bands =
      o.kind == FrontEndKind::kWaveform ? 1 : static_cast<std::size_t>(o.bands);
  const double hop = static_cast<double>(front_end_.hop()) / front_end_.sample_rate();
  mask_frames(options(), bands, front_end_.features(), hop, random, frames);
}

}  // namespace crosstate::data
