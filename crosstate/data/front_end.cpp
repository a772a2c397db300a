#include "crosstate/data/front_end.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>

#include "crosstate/base/error.h"
#include "crosstate/base/format.h"
#include "crosstate/base/json.h"
#include "crosstate/data/mel.h"
#include "crosstate/data/streams.h"

namespace crosstate::data {
namespace {

constexpr const char* kOptions = "front_end";
constexpr const char* kSampleRate = "front_end.sample_rate";
constexpr const char* kMean = "front_end.mean";
constexpr const char* kScale = "front_end.scale";
// In whole numbers.
constexpr FileFormat kFormat("crosstate front end", 2);
constexpr const char* kFormatKey = "front_end.format";
constexpr const char* kFactor = "front_end.factor";
constexpr const char* kBias = "front_end.bias";
constexpr const char* kShift = "front_end.shift";
constexpr const char* kArithmetic = "arithmetic";
constexpr float kFeatureUnit = 1.0f / (1 << kFeaturePlaces);
constexpr double kLeastDeviation = 1e-6;

std::size_t samples_in(double milliseconds, double sample_rate) {
  return static_cast<std::size_t>(std::max(1.0, std::round(milliseconds * 1e-3 * sample_rate)));
}

// Sums over the frames of one recording, by feature.
struct Moments {
  std::vector<double> sum, squares;
  double count = 0;
};

Moments moments_of(const Dataset& set, std::size_t i) {
  Moments m{std::vector<double>(set.channels, 0), std::vector<double>(set.channels, 0),
            static_cast<double>(set.length_of(i))};
  const float* frame = set.sequence(i).data();
  for (std::size_t t = 0; t < set.length_of(i); ++t, frame += set.channels) {
    for (std::size_t f = 0; f < set.channels; ++f) {
      m.sum[f] += static_cast<double>(frame[f]);
      m.squares[f] += static_cast<double>(frame[f]) * static_cast<double>(frame[f]);
    }
  }
  return m;
}

std::vector<float> statistic(const formats::Safetensors& model, const char* name,
                             std::size_t features, const std::string& where) {
  const auto found = model.tensors.find(name);
  const std::string place = where + ": tensor '" + name + "'";
  if (found == model.tensors.end()) fail(place, "is missing");
  std::vector<float> values = found->second.floats({features}, place);
  for (const float value : values) {
    if (!std::isfinite(value)) fail(place, std::to_string(value) + ", expected finite values");
  }
  return values;
}

template <class T>
std::vector<T> whole_numbers(const formats::Safetensors& model, const char* name,
                             std::size_t features, T low, T high, const std::string& where) {
  const auto found = model.tensors.find(name);
  const std::string place = where + ": tensor '" + name + "'";
  if (found == model.tensors.end()) fail(place, "is missing");
  std::vector<T> values = found->second.integers<T>({features}, place);
  for (const T value : values) {
    if (value < low || value > high) {
      fail(place, std::to_string(value) + ", expected " + std::to_string(low) + " to " +
                      std::to_string(high));
    }
  }
  return values;
}

std::vector<FeatureScale> feature_scales(const formats::Safetensors& model, std::size_t features,
                                         const std::string& where) {
  constexpr std::int64_t kMostBias = std::int64_t{1} << 52;
  const auto factor = whole_numbers<std::int32_t>(model, kFactor, features, 0, 1 << 24, where);
  const auto bias =
      whole_numbers<std::int64_t>(model, kBias, features, -kMostBias, kMostBias, where);
  const auto shift = whole_numbers<std::int32_t>(model, kShift, features, 1, 30, where);
  std::vector<FeatureScale> scales;
  for (std::size_t f = 0; f < features; ++f) scales.push_back({factor[f], bias[f], shift[f]});
  return scales;
}

void save_scales(const std::vector<FeatureScale>& scales, formats::Safetensors& model) {
  std::vector<std::int32_t> factor, shift;
  std::vector<std::int64_t> bias;
  for (const FeatureScale& scale : scales) {
    factor.push_back(scale.factor);
    bias.push_back(scale.bias);
    shift.push_back(scale.shift);
  }
  model.metadata[kFormatKey] = kFormat.text();
  model.tensors[kFactor] = formats::Tensor::from(factor, {scales.size()});
  model.tensors[kBias] = formats::Tensor::from(bias, {scales.size()});
  model.tensors[kShift] = formats::Tensor::from(shift, {scales.size()});
}

}  // namespace

FrontEnd::FrontEnd(const FrontEndOptions& options, int sample_rate)
    : options_(options), sample_rate_(sample_rate) {
  validate(options);
  if (sample_rate < 1) {
    fail("front end", "sample rate " + std::to_string(sample_rate) + " Hz, expected at least 1");
  }
  if (options.kind == FrontEndKind::kWaveform && options.deltas) {
    fail("options", "front_end.deltas = true, expected false with front_end.kind = \"waveform\"");
  }
  mean_.assign(features(), 0);
  scale_.assign(features(), 1);
  if (options.arithmetic == FrontEndArithmetic::kInteger) {
    integers_.emplace(options, sample_rate, window_kept(), hop_kept());
  }
  FrontEndStream check(*this);  // throws if the bands do not fit
}

void FrontEnd::set_statistics(std::vector<float> mean, std::vector<float> scale) {
  mean_ = std::move(mean);
  scale_ = std::move(scale);
  if (integers_) integers_->normalise(mean_, scale_);
}

std::size_t FrontEnd::features() const {
  if (options_.kind == FrontEndKind::kWaveform) return 1;
  return static_cast<std::size_t>(options_.bands) * (options_.deltas ? 2 : 1);
}

std::size_t FrontEnd::window_kept() const {
  return samples_in(options_.frame, static_cast<double>(sample_rate_) / options_.decimation);
}

std::size_t FrontEnd::hop_kept() const {
  if (options_.kind == FrontEndKind::kWaveform) return 1;
  return samples_in(options_.hop, static_cast<double>(sample_rate_) / options_.decimation);
}

std::size_t FrontEnd::hop() const {
  return hop_kept() * static_cast<std::size_t>(options_.decimation);
}

std::size_t FrontEnd::window() const {
  const std::size_t kept = options_.kind == FrontEndKind::kWaveform ? 1 : window_kept();
  return kept * static_cast<std::size_t>(options_.decimation);
}

void FrontEnd::fit(const Recordings& training, ThreadPool& pool) {
  if (!options_.normalise) return;
  if (training.items.empty())
    fail(training.name, "no recordings, expected at least one to compute the statistics");
  std::vector<float> mean(features(), 0), scale(features(), 1);
  set_statistics(mean, scale);
  const Dataset set = make_sequences(training, *this, pool);
  std::vector<Moments> parts(set.count);
  pool.parallel_for(set.count, [&](std::size_t i, int) { parts[i] = moments_of(set, i); });
  for (std::size_t f = 0; f < features(); ++f) {
    double sum = 0, squares = 0, count = 0;
    for (const Moments& part : parts) {
      sum += part.sum[f];
      squares += part.squares[f];
      count += part.count;
    }
    const double deviation = std::sqrt(std::max(0.0, squares / count - sum * sum / count / count));
    mean[f] = static_cast<float>(sum / count);
    // A feature that never changes carries no information; normalising it would only amplify
    // rounding errors.
    scale[f] = deviation > kLeastDeviation ? static_cast<float>(1 / deviation) : 1;
  }
  set_statistics(std::move(mean), std::move(scale));
}

FrontEnd FrontEnd::in(FrontEndArithmetic arithmetic) const {
  // Whole numbers of a file are kept as they are.
  if (arithmetic == options_.arithmetic) return *this;
  FrontEndOptions options = options_;
  options.arithmetic = arithmetic;
  FrontEnd result(options, sample_rate_);
  result.set_statistics(mean_, scale_);
  return result;
}

void FrontEnd::save(formats::Safetensors& model) const {
  FrontEndOptions copy = options_;
  FieldList list;
  fields(list, copy);
  nlohmann::json values = list.to_json();
  // Files of version 1 do not have it.
  if (!integers_) values[kOptions].erase(kArithmetic);
  model.metadata[kOptions] = exact_json_text(values);
  model.metadata[kSampleRate] = std::to_string(sample_rate_);
  model.tensors[kMean] = formats::Tensor::from(mean_, {features()});
  model.tensors[kScale] = formats::Tensor::from(scale_, {features()});
  if (integers_) save_scales(integers_->scales, model);
}

bool FrontEnd::is_in(const formats::Safetensors& model) {
  return model.metadata.contains(kOptions);
}

FrontEnd FrontEnd::load(const formats::Safetensors& model, const std::string& where) {
  if (const auto format = model.metadata.find(kFormatKey); format != model.metadata.end()) {
    kFormat.version_of(format->second, where + ": metadata '" + kFormatKey + "'");
  }
  const auto text = [&](const char* key) {
    const auto found = model.metadata.find(key);
    if (found == model.metadata.end()) {
      fail(where, std::string("no '") + key + "' in the metadata: a model without a front end");
    }
    return try_parse_json(found->second);
  };
  const nlohmann::json values = text(kOptions), rate = text(kSampleRate);
  if (!values.is_object()) fail(where, "metadata 'front_end' is not a JSON object");
  if (!rate.is_number_unsigned() || rate.get<std::uint64_t>() > 1'000'000) {
    fail(where, "metadata 'front_end.sample_rate' is not a sample rate in Hz");
  }
  FrontEndOptions options;
  FieldList list;
  fields(list, options);
  list.from_json(values, where);
  FrontEnd result = about_file(where, [&] { return FrontEnd(options, rate.get<int>()); });
  result.mean_ = statistic(model, kMean, result.features(), where);
  result.scale_ = statistic(model, kScale, result.features(), where);
  if (result.integers_) {
    result.integers_->scales = feature_scales(model, result.features(), where);
  }
  return result;
}

struct FrontEndStream::Stages {
  Decimator decimator;
  Windows<float> windows;
  std::optional<MelBands> bands;
  std::optional<Deltas> deltas;
  std::vector<float> samples, frame;
  // In place of all others.
  std::optional<IntegerFrontEndStream> integers;
  std::vector<std::int16_t> pcm;
  std::vector<std::int32_t> features;
};

FrontEndStream::FrontEndStream(const FrontEnd& front_end) : front_end_(front_end) {
  const FrontEndOptions& o = front_end.options();
  stages_ =
      std::make_unique<Stages>(Stages{Decimator(o.decimation),
                                      Windows<float>(front_end.window_kept(), front_end.hop_kept()),
                                      {},
                                      {},
                                      {},
                                      std::vector<float>(front_end.features()),
                                      {},
                                      {},
                                      {}});
  if (front_end.integers()) {
    stages_->integers.emplace(*front_end.integers());
    return;
  }
  if (o.kind == FrontEndKind::kWaveform) return;
  const double rate = static_cast<double>(front_end.sample_rate()) / o.decimation;
  stages_->bands.emplace(MelShape{front_end.window_kept(), rate, static_cast<std::size_t>(o.bands),
                                  o.low, o.high > 0 ? o.high : rate / 2, o.floor});
  if (o.deltas) stages_->deltas.emplace(static_cast<std::size_t>(o.bands));
}

FrontEndStream::~FrontEndStream() = default;

void FrontEndStream::reset() {
  stages_->decimator.reset();
  stages_->windows.reset();
  if (stages_->deltas) stages_->deltas->reset();
  if (stages_->integers) stages_->integers->reset();
}

void FrontEndStream::push(std::span<const float> samples, std::vector<float>& frames) {
  Stages& s = *stages_;
  if (s.integers) {
    s.pcm.clear();
    for (const float sample : samples) s.pcm.push_back(pcm_of(sample));
    s.features.clear();
    s.integers->push(s.pcm, s.features);
    for (const std::int32_t z : s.features) {
      frames.push_back(static_cast<float>(z) * kFeatureUnit);
    }
    return;
  }
  const std::vector<float>&mean = front_end_.mean(), &scale = front_end_.scale();
  if (!s.bands) {
    const std::size_t begin = frames.size();
    s.decimator.push(samples, frames);
    for (std::size_t i = begin; i < frames.size(); ++i)
      frames[i] = (frames[i] - mean[0]) * scale[0];
    return;
  }
  s.samples.clear();
  s.decimator.push(samples, s.samples);
  s.windows.push(s.samples, [&](std::span<const float> window) {
    (*s.bands)(window, s.frame.data());
    if (s.deltas) s.deltas->push(s.frame.data(), s.frame.data() + s.frame.size() / 2);
    for (std::size_t f = 0; f < s.frame.size(); ++f) {
      frames.push_back((s.frame[f] - mean[f]) * scale[f]);
    }
  });
}

Dataset make_sequences(const Recordings& set, const FrontEnd& front_end, ThreadPool& pool) {
  return make_sequences(set, front_end, pool,
                        [&](std::size_t i, FrontEndStream& stream, std::vector<float>& frames) {
                          stream.push(set.items[i].samples, frames);
                        });
}

Dataset make_sequences(const Recordings& set, const FrontEnd& front_end, ThreadPool& pool,
                       const MakeFrames& make) {
  if (set.sample_rate != front_end.sample_rate()) {
    fail(set.name, std::to_string(set.sample_rate) + " Hz, but the front end is for " +
                       std::to_string(front_end.sample_rate()) + " Hz");
  }
  const std::size_t count = set.items.size(), features = front_end.features();
  std::vector<std::vector<float>> frames(count);
  std::vector<std::optional<FrontEndStream>> streams(static_cast<std::size_t>(pool.size()));
  pool.parallel_for(count, [&](std::size_t i, int worker) {
    std::optional<FrontEndStream>& stream = streams[static_cast<std::size_t>(worker)];
    if (!stream) stream.emplace(front_end);
    stream->reset();
    make(i, *stream, frames[i]);
    if (!frames[i].empty()) return;
    fail(set.items[i].name, std::to_string(set.items[i].samples.size()) +
                                " samples, expected at least the " +
                                std::to_string(front_end.hop()) + " of one frame");
  });

  Dataset result;
  result.name = set.name;
  result.count = count;
  result.channels = features;
  result.readout.names = set.classes;
  for (std::size_t i = 0; i < count; ++i) {
    result.targets.push_back(static_cast<float>(set.items[i].label));
    result.speakers.push_back(set.items[i].speaker);
    result.lengths.push_back(static_cast<std::uint32_t>(frames[i].size() / features));
    result.length = std::max<std::size_t>(result.length, result.lengths.back());
  }
  result.values.assign(count * result.length * features, 0);
  for (std::size_t i = 0; i < count; ++i) {
    std::copy(frames[i].begin(), frames[i].end(),
              result.values.begin() + static_cast<std::ptrdiff_t>(i * result.length * features));
  }
  return result;
}

}  // namespace crosstate::data
