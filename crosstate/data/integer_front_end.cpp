#include "crosstate/data/integer_front_end.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "crosstate/data/mel.h"

namespace crosstate::data {
namespace {

using Complex = WholeComplex;

constexpr int kTaperPlaces = 16, kTurnPlaces = 30, kWeightPlaces = 15, kPowerPlaces = 14;
constexpr int kLogPlaces = 10, kTablePlaces = 15, kTableBits = 6, kBetweenBits = 10;
constexpr int kDelay = 4;  // frames that slopes look back

std::int64_t shifted(std::int64_t value, int places) {
  return (value + (std::int64_t{1} << (places - 1))) >> places;
}

double nearest(double value) { return std::floor(value + 0.5); }

// The nearest integer of type T to value 2^places.
template <class T>
T fixed(double value, int places) {
  return static_cast<T>(nearest(std::ldexp(value, places)));
}

// exp(-2 pi i k / P), 0 <= k < P/2, from the quarter wave.
Complex turn(const std::vector<std::int32_t>& cosine, std::size_t k) {
  const std::size_t quarter = cosine.size() - 1;
  if (k <= quarter) return {cosine[k], -cosine[quarter - k]};
  return {-cosine[2 * quarter - k], -cosine[k - quarter]};
}

Complex times(Complex b, Complex w) {
  const std::int64_t br = b.re, bi = b.im, wr = w.re, wi = w.im;
  return {static_cast<std::int32_t>(shifted(br * wr - bi * wi, kTurnPlaces)),
          static_cast<std::int32_t>(shifted(br * wi + bi * wr, kTurnPlaces))};
}

// The butterflies of a stage with one factor.
template <class Product>
void stage(std::vector<Complex>& z, std::size_t j, std::size_t half, const Product& product) {
  for (std::size_t at = j; at < z.size(); at += 2 * half) {
    const Complex a = z[at], t = product(z[at + half]);
    z[at] = {(a.re + t.re) >> 1, (a.im + t.im) >> 1};
    z[at + half] = {(a.re - t.re) >> 1, (a.im - t.im) >> 1};
  }
}

// Divided by the number of points, as every stage halves: no value outgrows the largest input.
void transform(const std::vector<std::int32_t>& cosine, std::vector<Complex>& z) {
  const std::size_t count = z.size();
  for (std::size_t half = 1; half < count; half *= 2) {
    // The factors 1 and -i need no multiplication.
    stage(z, 0, half, [](Complex b) { return b; });
    for (std::size_t j = 1; j < half; ++j) {
      if (2 * j == half) {
        stage(z, j, half, [](Complex b) { return Complex{b.im, -b.re}; });
        continue;
      }
      const Complex w = turn(cosine, j * (count / half));
      stage(z, j, half, [w](Complex b) { return times(b, w); });
    }
  }
}

// In units of 2^kPowerPlaces.
std::int64_t norm(Complex x) {
  const std::int64_t re = x.re, im = x.im;
  return shifted(re * re + im * im, kPowerPlaces);
}

// The number after `value` in bit-reversed order, below `count`, a power of two.
std::size_t after_reversed(std::size_t value, std::size_t count) {
  std::size_t bit = count / 2;
  for (; (value & bit) != 0; bit /= 2) value ^= bit;
  return value | bit;
}

IntegerDecimator decimator_by(int factor) {
  IntegerDecimator result{factor, {}, 0};
  // The largest tap is about 0.9 / factor, so that all fit in 16 bits.
  result.shift = 46 - std::countl_zero(static_cast<std::uint32_t>(factor));
  for (const double tap : low_pass(factor)) {
    result.taps.push_back(factor == 1 ? std::int16_t{1} : fixed<std::int16_t>(tap, result.shift));
  }
  if (factor == 1) result.shift = 0;
  return result;
}

IntegerBands bands_of(const FrontEndOptions& options, double sample_rate, std::size_t window) {
  const MelShape shape{window,
                       sample_rate,
                       static_cast<std::size_t>(options.bands),
                       options.low,
                       options.high > 0 ? options.high : sample_rate / 2,
                       options.floor};
  IntegerBands result;
  result.points = spectrum_points(window);
  const std::vector<double> taper = hann(window);
  double sum = 0;
  for (std::size_t i = 0; i < window; ++i) {
    sum += taper[i];
    // The same on both sides of the middle, so that one half suffices.
    const double c = taper[std::min(i, window - 1 - i)];
    result.taper.push_back(
        static_cast<std::uint16_t>(std::min(nearest(std::ldexp(c, kTaperPlaces)), 65535.0)));
  }
  const auto points = static_cast<double>(result.points);
  for (std::size_t k = 0; k <= result.points / 4; ++k) {
    result.cosine.push_back(fixed<std::int32_t>(
        std::cos(2 * std::numbers::pi * static_cast<double>(k) / points), kTurnPlaces));
  }
  for (const Triangle& triangle : mel_triangles(shape)) {
    IntegerBands::Band band{triangle.first, {}};
    for (const double weight : triangle.weights) {
      band.weights.push_back(fixed<std::uint16_t>(weight, kWeightPlaces));
    }
    result.bands.push_back(std::move(band));
  }
  // A full-scale sine has the magnitude 2^30 sum / points in the spectrum.
  const double sine = std::ldexp(sum / points, 30);
  const double energy = std::ldexp(sine * sine, kWeightPlaces - kPowerPlaces);
  result.unit = std::log2(energy);
  result.floor = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(nearest(energy * std::pow(10.0, options.floor / 10))));
  return result;
}

// The scale nearest to z = value times + offset, both in units of 2^-15.
FeatureScale nearest_scale(double times, double offset) {
  constexpr int kFactorBits = 24, kMostShift = 30;
  // Beyond this, any difference from the mean saturates.
  const double most = std::ldexp(1.0, kFactorBits - 1);
  const double factor = std::min(times, most);
  FeatureScale scale;
  while (scale.shift < kMostShift && std::ldexp(factor, scale.shift + 1) < 2 * most) ++scale.shift;
  scale.factor = fixed<std::int32_t>(factor, scale.shift);
  const double bias = std::ldexp(times > 0 ? offset * (factor / times) : offset, scale.shift);
  const double limit = 0x1p51;
  scale.bias = static_cast<std::int64_t>(nearest(std::clamp(bias, -limit, limit))) +
               (std::int64_t{1} << (scale.shift - 1));
  return scale;
}

}  // namespace

std::int16_t pcm_of(float sample) {
  const double value = nearest(static_cast<double>(sample) * 32768);
  return static_cast<std::int16_t>(std::clamp(value, -32768.0, 32767.0));
}

std::int32_t FeatureScale::operator()(std::int32_t value) const {
  const std::int64_t z = (std::int64_t{value} * factor + bias) >> shift;
  return static_cast<std::int32_t>(std::clamp<std::int64_t>(z, -kLargestFeature, kLargestFeature));
}

std::int16_t IntegerDecimator::operator()(std::span<const std::int16_t> window) const {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < taps.size(); ++i) sum += std::int32_t{taps[i]} * window[i];
  return static_cast<std::int16_t>(std::clamp<std::int64_t>(shifted(sum, shift), -32768, 32767));
}

const std::array<std::uint16_t, 65>& log2_table() {
  static const auto table = [] {
    std::array<std::uint16_t, 65> values{};
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = fixed<std::uint16_t>(
          std::log2(1 + std::ldexp(static_cast<double>(i), -kTableBits)), kTablePlaces);
    }
    return values;
  }();
  return table;
}

std::int32_t integer_log2(std::int64_t energy) {
  constexpr int kFractionBits = kTableBits + kBetweenBits;
  const int exponent = 63 - std::countl_zero(static_cast<std::uint64_t>(energy));
  const std::int64_t fraction = exponent >= kFractionBits ? energy >> (exponent - kFractionBits)
                                                          : energy << (kFractionBits - exponent);
  const auto place = static_cast<std::size_t>(fraction >> kBetweenBits) & ((1u << kTableBits) - 1);
  const auto between = static_cast<std::int32_t>(fraction & ((1 << kBetweenBits) - 1));
  const std::int32_t low = log2_table()[place], high = log2_table()[place + 1];
  const std::int32_t mantissa =
      low + (((high - low) * between + (1 << (kBetweenBits - 1))) >> kBetweenBits);
  constexpr int kDropped = kTablePlaces - kLogPlaces;
  return (exponent << kLogPlaces) + ((mantissa + (1 << (kDropped - 1))) >> kDropped);
}

void IntegerBands::append(std::span<const std::int16_t> window, std::vector<Complex>& work,
                          std::vector<std::int64_t>& power, std::vector<std::int32_t>& to) const {
  const std::size_t count = points / 2;
  const auto tapered = [&](std::size_t i) {
    if (i >= window.size()) return 0;
    return (std::int32_t{window[i]} * taper[i] + 2) >> 2;
  };
  work.resize(count);
  std::size_t place = 0;
  for (std::size_t n = 0; n < count; ++n) {
    work[place] = {tapered(2 * n), tapered(2 * n + 1)};
    place = after_reversed(place, count);
  }
  transform(cosine, work);

  power.resize(count + 1);
  const Complex first = work[0];
  power[0] = norm({2 * (first.re + first.im), 0});
  power[count] = norm({2 * (first.re - first.im), 0});
  for (std::size_t k = 1; k <= count / 2; ++k) {
    const Complex a = work[k], b = work[count - k];
    const Complex even = {a.re + b.re, a.im - b.im};
    const Complex odd = times({a.im + b.im, b.re - a.re}, turn(cosine, k));
    power[k] = norm({even.re + odd.re, even.im + odd.im});
    power[count - k] = norm({even.re - odd.re, even.im - odd.im});
  }
  for (const Band& band : bands) {
    std::int64_t energy = floor;
    for (std::size_t i = 0; i < band.weights.size(); ++i) {
      energy += power[band.first + i] * band.weights[i];
    }
    to.push_back(integer_log2(energy));
  }
}

IntegerFrontEnd::IntegerFrontEnd(const FrontEndOptions& options, int sample_rate,
                                 std::size_t window_samples, std::size_t hop_samples)
    : decimator(decimator_by(options.decimation)),
      window(window_samples),
      hop(hop_samples),
      deltas(options.deltas) {
  if (options.kind == FrontEndKind::kLogMel) {
    bands = bands_of(options, static_cast<double>(sample_rate) / options.decimation, window);
  }
  const std::vector<float> mean(features(), 0), scale(features(), 1);
  normalise(mean, scale);
}

std::size_t IntegerFrontEnd::features() const {
  if (!bands) return 1;
  return bands->bands.size() * (deltas ? 2 : 1);
}

void IntegerFrontEnd::normalise(std::span<const float> mean, std::span<const float> scale) {
  scales.clear();
  for (std::size_t f = 0; f < features(); ++f) {
    // Unit of the values, and the value of a full-scale sine, both as real numbers.
    double unit = std::ldexp(1.0, -kFeaturePlaces), zero = 0;
    if (bands) {
      unit = std::ldexp(std::numbers::ln2, -kLogPlaces);
      zero = bands->unit * std::numbers::ln2;
      if (f >= bands->bands.size()) {
        unit /= 10;
        zero = 0;
      }
    }
    const double times = std::ldexp(static_cast<double>(scale[f]), kFeaturePlaces);
    scales.push_back(nearest_scale(unit * times, -(zero + static_cast<double>(mean[f])) * times));
  }
}

IntegerFrontEndStream::IntegerFrontEndStream(const IntegerFrontEnd& front_end)
    : front_end_(front_end),
      decimated_(front_end.decimator.taps.size(),
                 static_cast<std::size_t>(front_end.decimator.factor)),
      windows_(front_end.window, front_end.hop) {}

void IntegerFrontEndStream::reset() {
  decimated_.reset();
  windows_.reset();
  history_.clear();
}

void IntegerFrontEndStream::normalise(std::vector<std::int32_t>& frames) {
  for (std::size_t f = 0; f < frame_.size(); ++f) {
    frames.push_back(front_end_.scales[f](frame_[f]));
  }
}

void IntegerFrontEndStream::push(std::span<const std::int16_t> samples,
                                 std::vector<std::int32_t>& frames) {
  std::span<const std::int16_t> kept = samples;
  if (front_end_.decimator.factor > 1) {
    samples_.clear();
    decimated_.push(samples, [&](std::span<const std::int16_t> window) {
      samples_.push_back(front_end_.decimator(window));
    });
    kept = samples_;
  }
  if (!front_end_.bands) {
    for (const std::int16_t sample : kept) frames.push_back(front_end_.scales[0](sample));
    return;
  }
  windows_.push(kept, [&](std::span<const std::int16_t> window) {
    frame_.clear();
    front_end_.bands->append(window, work_, power_, frame_);
    const std::size_t bands = frame_.size();
    if (front_end_.deltas) {
      if (history_.empty()) {
        for (int k = 0; k < kDelay; ++k) {
          history_.insert(history_.end(), frame_.begin(), frame_.end());
        }
      }
      for (std::size_t f = 0; f < bands; ++f) {
        const std::int32_t* past = history_.data() + f;  // four frames ago
        frame_.push_back(2 * (frame_[f] - past[0]) + past[3 * bands] - past[bands]);
      }
      history_.erase(history_.begin(), history_.begin() + static_cast<std::ptrdiff_t>(bands));
      history_.insert(history_.end(), frame_.begin(),
                      frame_.begin() + static_cast<std::ptrdiff_t>(bands));
    }
    normalise(frames);
  });
}

}  // namespace crosstate::data
