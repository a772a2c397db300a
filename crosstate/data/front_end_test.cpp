#include "crosstate/data/front_end.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <complex>
#include <numbers>

#include "crosstate/base/error.h"
#include "crosstate/data/mel.h"
#include "crosstate/data/testing.h"

namespace crosstate::data {
namespace {

using reference::noise;
using reference::tone;
using reference::tone_set;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

std::vector<float> frames_of(const FrontEnd& front_end, std::span<const float> samples) {
  FrontEndStream stream(front_end);
  std::vector<float> frames;
  stream.push(samples, frames);
  return frames;
}

std::vector<FrontEndOptions> kinds() {
  std::vector<FrontEndOptions> all(5);
  all[1].deltas = true;
  all[2].kind = FrontEndKind::kWaveform;
  all[3].kind = FrontEndKind::kWaveform;
  all[3].decimation = 3;
  all[4].decimation = 2;
  all[4].frame = 11.3;
  all[4].hop = 13.7;  // longer than the window
  all[4].bands = 7;
  for (std::size_t i = 0, count = all.size(); i < count; ++i) {
    all.push_back(all[i]);
    all.back().arithmetic = FrontEndArithmetic::kInteger;
  }
  return all;
}

TEST(FrontEnd, IsTheSameHoweverTheStreamIsCut) {
  const std::vector<float> samples = noise(3001, 4);
  for (const FrontEndOptions& options : kinds()) {
    const FrontEnd front_end(options, 8000);
    const std::vector<float> whole = frames_of(front_end, samples);
    EXPECT_EQ(whole.size(), samples.size() / front_end.hop() * front_end.features());
    FrontEndStream stream(front_end);
    for (std::uint32_t trial = 0; trial < 20; ++trial) {
      Random random(8, Stream::kTest, trial);
      stream.reset();
      std::vector<float> frames;
      for (std::size_t at = 0; at < samples.size();) {
        const std::uint32_t most = trial % 2 == 0 ? 7 : 900;
        const std::size_t size =
            std::min<std::size_t>(random.below(most), samples.size() - at);  // 0 too
        stream.push(std::span(samples).subspan(at, size), frames);
        at += size;
      }
      ASSERT_EQ(frames, whole);
    }
  }
}

// The definition in docs/arithmetic.md, before normalisation, in double precision.
class ExactFrontEnd {
 public:
  ExactFrontEnd(const FrontEndOptions& options, double sample_rate) : o_(options) {
    rate_ = sample_rate / o_.decimation;
    window_ = samples_in(o_.frame);
    hop_ = samples_in(o_.hop);
    while (points_ < window_) points_ *= 2;
  }

  std::vector<double> frames(const std::vector<float>& samples) {
    const std::vector<double> x(samples.begin(), samples.end()), y = decimated(x);
    std::vector<double> out;
    if (o_.kind == FrontEndKind::kWaveform) {
      const std::ptrdiff_t taps = o_.decimation == 1 ? 1 : 55 * o_.decimation | 1;
      for (std::size_t j = 0; j < y.size(); ++j) {
        out.push_back(y[j]);
        const double a = largest(x, (static_cast<int>(j) + 1) * o_.decimation, taps);
        bounds.push_back(whole() ? 0x1p-15 + 0x1p-9 * a : 0x1p-19 * a);
      }
      return out;
    }
    std::vector<std::vector<double>> bands;
    for (std::ptrdiff_t end = hop_; end <= std::ssize(y); end += hop_) {
      bands.push_back(log_energies(y, end));
      const std::size_t j = bands.size() - 1;
      out.insert(out.end(), bands[j].begin(), bands[j].end());
      const double a = largest(y, end, window_);
      const std::size_t features = bands[j].size() * (o_.deltas ? 2 : 1);
      // Of the transform, and of samples to 16 bits.
      const double rounding = o_.decimation > 1 ? 0x1p-15 : 0x1p-25;
      const double bound = whole() ? 0x1p-10 + (0x1p-16 * a + rounding) / std::sqrt(floor())
                                   : 0x1p-18 + 0x1p-20 * a / std::sqrt(floor());
      bounds.insert(bounds.end(), features, bound);
      for (std::size_t b = 0; o_.deltas && b < bands[j].size(); ++b) {
        const auto at = [&](std::size_t back) { return bands[j - std::min(j, back)][b]; };
        out.push_back(0.2 * (at(0) - at(4)) + 0.1 * (at(1) - at(3)));
      }
    }
    return out;
  }

  std::vector<double> bounds;  // of the errors of frames()

 private:
  static constexpr double kPi = std::numbers::pi;

  std::ptrdiff_t samples_in(double milliseconds) const {
    return std::max<std::ptrdiff_t>(1, std::lround(0.001 * milliseconds * rate_));
  }
  double floor() const { return std::pow(10, o_.floor / 10); }
  bool whole() const { return o_.arithmetic == FrontEndArithmetic::kInteger; }
  static double at(const std::vector<double>& x, std::ptrdiff_t i) {
    return i < 0 ? 0 : x[static_cast<std::size_t>(i)];
  }
  static double largest(const std::vector<double>& x, std::ptrdiff_t end, std::ptrdiff_t count) {
    double most = 0;
    for (std::ptrdiff_t i = end - count; i < end; ++i) most = std::max(most, std::abs(at(x, i)));
    return most;
  }

  std::vector<double> decimated(const std::vector<double>& x) const {
    if (o_.decimation == 1) return x;
    const std::ptrdiff_t d = o_.decimation, count = 55 * d | 1;
    const double f = 0.45 / static_cast<double>(d);
    std::vector<double> taps;
    double sum = 0;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      const double t = static_cast<double>(i) - static_cast<double>(count - 1) / 2;
      const double phase = 2 * kPi * static_cast<double>(i + 1) / static_cast<double>(count + 1);
      const double sinc = t == 0 ? 2 * f : std::sin(2 * kPi * f * t) / (kPi * t);
      taps.push_back(sinc * (0.42 - 0.5 * std::cos(phase) + 0.08 * std::cos(2 * phase)));
      sum += taps.back();
    }
    std::vector<double> y;
    for (std::ptrdiff_t end = d; end <= std::ssize(x); end += d) {
      double value = 0;
      for (std::ptrdiff_t i = 0; i < count; ++i) {
        value += taps[static_cast<std::size_t>(i)] / sum * at(x, end - count + i);
      }
      y.push_back(value);
    }
    return y;
  }

  std::vector<double> log_energies(const std::vector<double>& y, std::ptrdiff_t end) const {
    std::vector<double> taper;
    double sum = 0;
    for (std::ptrdiff_t i = 0; i < window_; ++i) {
      const double phase = 2 * kPi * (static_cast<double>(i) + 0.5) / static_cast<double>(window_);
      sum += taper.emplace_back(0.5 - 0.5 * std::cos(phase));
    }
    std::vector<double> power;
    for (std::ptrdiff_t k = 0; k <= points_ / 2; ++k) {
      std::complex<double> x = 0;
      for (std::ptrdiff_t i = 0; i < window_; ++i) {
        const double s = taper[static_cast<std::size_t>(i)] * 2 / sum * at(y, end - window_ + i);
        const auto turns = static_cast<double>(k * i % points_) / static_cast<double>(points_);
        x += std::polar(s, -2 * kPi * turns);
      }
      power.push_back(std::norm(x));
    }
    const double bottom = mel(o_.low), top = mel(o_.high > 0 ? o_.high : rate_ / 2);
    const auto corner = [&](int i) {
      return hertz_of_mel(bottom + (top - bottom) * i / (o_.bands + 1));
    };
    std::vector<double> out;
    for (int b = 0; b < o_.bands; ++b) {
      double energy = 0;
      for (std::size_t k = 0; k < power.size(); ++k) {
        const double f = static_cast<double>(k) * rate_ / static_cast<double>(points_);
        const double up = (f - corner(b)) / (corner(b + 1) - corner(b));
        const double down = (corner(b + 2) - f) / (corner(b + 2) - corner(b + 1));
        energy += std::max(0.0, std::min(up, down)) * power[k];
      }
      out.push_back(std::log(energy + floor()));
    }
    return out;
  }

  FrontEndOptions o_;
  double rate_ = 0;
  std::ptrdiff_t window_ = 0, hop_ = 0, points_ = 4;
};

TEST(FrontEnd, IsWithinTheDocumentedErrorOfItsFormulas) {
  std::vector<FrontEndOptions> all = kinds();
  for (const FrontEndArithmetic arithmetic :
       {FrontEndArithmetic::kFloat, FrontEndArithmetic::kInteger}) {
    const bool whole = arithmetic == FrontEndArithmetic::kInteger;
    all.push_back({.arithmetic = arithmetic, .floor = whole ? kLowestIntegerFloor : -120});
    all.push_back({.kind = FrontEndKind::kWaveform, .arithmetic = arithmetic, .decimation = 64});
    all.push_back({.arithmetic = arithmetic, .frame = 32, .normalise = false});
  }
  for (const FrontEndOptions& options : all) {
    // A quiet signal, a loud one, and a full-scale tone followed by near silence.
    std::vector<std::vector<float>> signals = {noise(2400, 4, 1e-4), noise(2400, 5, 1),
                                               tone(1234.5, 2400, 1)};
    // In whole numbers also DC, of silence and of one step of a sample, and no saturation: neither
    // of the samples nor, with half the scale, of the low-pass.
    if (options.arithmetic == FrontEndArithmetic::kInteger) {
      signals.push_back(std::vector<float>(2400, 0.0f));
      signals.push_back(std::vector<float>(2400, 0x1p-15f));
      signals.push_back(std::vector<float>(2400, -1.0f));
      const float gain = options.decimation > 1 ? 0.5f : 1.0f;
      for (std::vector<float>& signal : signals) {
        for (float& x : signal) x = static_cast<float>(pcm_of(gain * x)) / 32768;
      }
    }
    for (std::size_t n = 0; n < signals.size(); ++n) {
      ExactFrontEnd exact(options, 8000);
      const std::vector<double> wanted = exact.frames(signals[n]);
      const std::vector<float> got = frames_of(FrontEnd(options, 8000), signals[n]);
      ASSERT_EQ(got.size(), wanted.size());
      double worst = 0;
      for (std::size_t i = 0; i < got.size(); ++i) {
        worst = std::max(worst, std::abs(double{got[i]} - wanted[i]) / exact.bounds[i]);
      }
      EXPECT_LE(worst, 1) << name_of(options.kind) << " by " << options.decimation << ", "
                          << name_of(options.arithmetic) << ", signal " << n;
    }
  }
}

TEST(FrontEnd, FramesDependOnThePastAlone) {
  const std::vector<float> samples = noise(2000, 4);
  for (const FrontEndOptions& options : kinds()) {
    const FrontEnd front_end(options, 8000);
    const std::vector<float> before = frames_of(front_end, samples);
    const std::size_t changed = 1003;
    std::vector<float> other = samples;
    for (std::size_t i = changed; i < other.size(); ++i) other[i] += 0.5f;
    const std::vector<float> after = frames_of(front_end, other);
    const std::size_t same = changed / front_end.hop() * front_end.features();
    EXPECT_TRUE(std::equal(before.begin(), before.begin() + static_cast<std::ptrdiff_t>(same),
                           after.begin()));
    EXPECT_NE(before, after);
  }
}

TEST(FrontEnd, NormalisesByTheTrainingSetAlone) {
  const Recordings training = tone_set(60, 1), test = tone_set(30, 2);
  ThreadPool pool(2);
  for (FrontEndOptions options : kinds()) {
    FrontEnd front_end(options, 8000);
    front_end.fit(training, pool);
    const Dataset set = make_sequences(training, front_end, pool);
    set.validate();
    for (std::size_t f = 0; f < set.channels; ++f) {
      double sum = 0, squares = 0, count = 0;
      for (std::size_t i = 0; i < set.count; ++i) {
        for (std::size_t t = 0; t < set.length_of(i); ++t) {
          const auto x = static_cast<double>(set.sequence(i)[t * set.channels + f]);
          sum += x;
          squares += x * x;
          ++count;
        }
      }
      EXPECT_NEAR(sum / count, 0, 1e-4) << name_of(options.kind) << f;
      EXPECT_NEAR(squares / count, 1, 1e-3) << name_of(options.kind) << f;
    }
    const std::vector<float> mean = front_end.mean();
    make_sequences(test, front_end, pool);
    EXPECT_EQ(front_end.mean(), mean);

    options.normalise = false;
    FrontEnd plain(options, 8000);
    plain.fit(training, pool);
    EXPECT_EQ(plain.mean(), std::vector<float>(plain.features(), 0));
    EXPECT_EQ(plain.scale(), std::vector<float>(plain.features(), 1));
  }
}

TEST(FrontEnd, LeavesAConstantFeatureAlone) {
  Recordings silence = tone_set(3, 1);
  for (Recording& item : silence.items) std::fill(item.samples.begin(), item.samples.end(), 0.0f);
  ThreadPool pool(1);
  FrontEnd front_end({}, 8000);
  front_end.fit(silence, pool);
  for (const float scale : front_end.scale()) EXPECT_EQ(scale, 1);
  FrontEnd whole({.arithmetic = FrontEndArithmetic::kInteger}, 8000);
  whole.fit(silence, pool);
  for (const float scale : whole.scale()) EXPECT_EQ(scale, 1);
}

TEST(FrontEnd, SequencesKeepLabelsSpeakersAndLengths) {
  const Recordings set = tone_set(21, 3);
  const FrontEnd front_end({}, 8000);
  ThreadPool one(1), three(3);
  const Dataset sequences = make_sequences(set, front_end, one);
  EXPECT_EQ(sequences.values, make_sequences(set, front_end, three).values);
  ASSERT_EQ(sequences.count, 21u);
  for (std::size_t i = 0; i < 21; ++i) {
    EXPECT_EQ(sequences.targets[i], static_cast<float>(set.items[i].label));
    EXPECT_EQ(sequences.speakers[i], set.items[i].speaker);
    EXPECT_EQ(sequences.length_of(i), set.items[i].samples.size() / 80);
    const std::vector<float> alone = frames_of(front_end, set.items[i].samples);
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), sequences.sequence(i).begin()));
  }
}

TEST(FrontEnd, RefusesWhatDoesNotFit) {
  ThreadPool pool(1);
  Recordings set = tone_set(3, 3);
  set.items[1].samples.resize(79);
  const FrontEnd front_end({}, 8000);
  EXPECT_THAT([&] { make_sequences(set, front_end, pool); },
              ThrowsMessage<Error>(HasSubstr("tone 1: 79 samples, expected at least the 80")));
  set.sample_rate = 16000;
  EXPECT_THAT([&] { make_sequences(set, front_end, pool); },
              ThrowsMessage<Error>(HasSubstr("16000 Hz")));
  FrontEndOptions options;
  options.high = 4500;
  EXPECT_THAT([&] { FrontEnd(options, 8000); }, ThrowsMessage<Error>(HasSubstr("front_end")));
  options.high = 50;
  EXPECT_THAT([&] { FrontEnd(options, 8000); }, ThrowsMessage<Error>(HasSubstr("front_end.high")));
  options = {};
  options.kind = FrontEndKind::kWaveform;
  options.deltas = true;
  EXPECT_THAT([&] { FrontEnd(options, 8000); }, ThrowsMessage<Error>(HasSubstr("deltas")));
  EXPECT_THAT([&] { FrontEnd({}, 0); }, ThrowsMessage<Error>(HasSubstr("sample rate 0")));
}

// --- storage in a model file

TEST(FrontEnd, TravelsWithAModel) {
  ThreadPool pool(1);
  const Recordings set = tone_set(12, 3);
  for (const FrontEndOptions& options : kinds()) {
    FrontEnd front_end(options, 8000);
    front_end.fit(set, pool);
    formats::Safetensors model;
    EXPECT_FALSE(FrontEnd::is_in(model));
    front_end.save(model);
    ASSERT_TRUE(FrontEnd::is_in(model));
    const FrontEnd back = FrontEnd::load(
        formats::parse_safetensors(formats::format_safetensors(model), "file"), "file");
    EXPECT_EQ(back.sample_rate(), 8000);
    EXPECT_EQ(frames_of(back, set.items[0].samples), frames_of(front_end, set.items[0].samples));
  }
}

TEST(FrontEnd, RefusesDamagedModels) {
  formats::Safetensors good;
  FrontEnd({}, 8000).save(good);
  const auto refuse = [&](const char* what, const auto& damage) {
    formats::Safetensors bad = good;
    damage(bad);
    EXPECT_THAT([&] { FrontEnd::load(bad, "m.safetensors"); },
                ThrowsMessage<Error>(testing::AllOf(HasSubstr("m.safetensors"), HasSubstr(what))));
  };
  refuse("front_end.mean", [](formats::Safetensors& m) { m.tensors.erase("front_end.mean"); });
  refuse("front_end.scale", [](formats::Safetensors& m) {
    m.tensors["front_end.scale"] = formats::Tensor::from(std::vector<float>(3, 1), {3});
  });
  refuse("finite", [](formats::Safetensors& m) {
    m.tensors["front_end.mean"] =
        formats::Tensor::from(std::vector<float>(20, std::nanf("")), {20});
  });
  refuse("front_end", [](formats::Safetensors& m) { m.metadata["front_end"] = "7"; });
  refuse("bands",
         [](formats::Safetensors& m) { m.metadata["front_end"] = R"({"front_end":{"bands":0}})"; });
  // Within its range, but above half the sample rate.
  refuse(
      "m.safetensors: front_end.low = 60 and front_end.high = 4500",
      [](formats::Safetensors& m) { m.metadata["front_end"] = R"({"front_end":{"high":4500}})"; });
  for (const char* rate : {"-1", "x", "1e99", "99999999999", "8000.5", "18446744069414592320"}) {
    refuse("sample_rate",
           [&](formats::Safetensors& m) { m.metadata["front_end.sample_rate"] = rate; });
  }
  refuse("sample_rate", [](formats::Safetensors& m) { m.metadata.erase("front_end.sample_rate"); });

  good = {};
  FrontEnd({.arithmetic = FrontEndArithmetic::kInteger}, 8000).save(good);
  for (const char* name : {"front_end.factor", "front_end.bias", "front_end.shift"}) {
    refuse(name, [&](formats::Safetensors& m) { m.tensors.erase(name); });
    refuse(name, [&](formats::Safetensors& m) {
      m.tensors[name] = formats::Tensor::from(std::vector<std::int32_t>(3, 1), {3});
    });
  }
  for (const std::int32_t shift : {0, 31}) {
    refuse("expected 1 to 30", [&](formats::Safetensors& m) {
      m.tensors["front_end.shift"] =
          formats::Tensor::from(std::vector<std::int32_t>(20, shift), {20});
    });
  }
  refuse("expected 0 to 16777216", [](formats::Safetensors& m) {
    m.tensors["front_end.factor"] = formats::Tensor::from(std::vector<std::int32_t>(20, -1), {20});
  });
  refuse("-4503599627370496 to", [](formats::Safetensors& m) {
    m.tensors["front_end.bias"] =
        formats::Tensor::from(std::vector<std::int64_t>(20, std::int64_t{1} << 53), {20});
  });
  refuse("newer version of crosstate",
         [](formats::Safetensors& m) { m.metadata["front_end.format"] = "crosstate front end 3"; });
}

std::string saved(const FrontEnd& front_end) {
  formats::Safetensors file;
  front_end.save(file);
  return formats::format_safetensors(file);
}

TEST(FrontEnd, IsExchangedForOneInOtherArithmetic) {
  const Recordings training = tone_set(60, 1);
  ThreadPool pool(1);
  for (FrontEndOptions options : kinds()) {
    FrontEnd front_end(options, 8000);
    front_end.fit(training, pool);
    const bool whole = options.arithmetic == FrontEndArithmetic::kInteger;
    options.arithmetic = whole ? FrontEndArithmetic::kFloat : FrontEndArithmetic::kInteger;
    const FrontEnd other = front_end.in(options.arithmetic);
    EXPECT_EQ(other.options().arithmetic, options.arithmetic);
    EXPECT_EQ(other.integers() == nullptr, whole);
    // Loud enough that neither rounding of samples nor the floor matters.
    const std::vector<float> samples = noise(2400, 4, 0.2);
    EXPECT_THAT(frames_of(other, samples),
                testing::Pointwise(testing::FloatNear(0.03f), frames_of(front_end, samples)));
    EXPECT_EQ(saved(other.in(front_end.options().arithmetic)), saved(front_end));
    EXPECT_EQ(saved(front_end.in(front_end.options().arithmetic)), saved(front_end));
  }
  const FrontEnd quiet({.floor = -110}, 8000);
  EXPECT_THAT([&] { quiet.in(FrontEndArithmetic::kInteger); },
              ThrowsMessage<Error>(HasSubstr("front_end.floor = -110, expected at least -100")));
}

// Files of float front ends are as before there were others, so that earlier versions read them.
TEST(FrontEnd, NamesItsArithmeticOnlyInFilesOfVersion2) {
  formats::Safetensors model;
  FrontEnd({}, 8000).save(model);
  EXPECT_THAT(model.metadata.at("front_end"), Not(HasSubstr("arithmetic")));
  EXPECT_FALSE(model.metadata.contains("front_end.format"));
  FrontEnd({.arithmetic = FrontEndArithmetic::kInteger}, 8000).save(model);
  EXPECT_THAT(model.metadata.at("front_end"), HasSubstr("\"arithmetic\":\"integer\""));
  EXPECT_EQ(model.metadata.at("front_end.format"), "crosstate front end 2");
}

}  // namespace
}  // namespace crosstate::data
