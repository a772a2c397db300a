// Choice of codes from observed values, and other effects of calibration.
#include "crosstate/model/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "crosstate/model/network.h"
#include "crosstate/model/testing.h"
#include "crosstate/quant/weights.h"

namespace crosstate::model {
namespace {

using reference::batch_of;
using reference::random_network;
using reference::random_set;
using reference::small_options;

// --- ranges

std::vector<float> bell_shaped(double low, double high) {
  Random random(7, Stream::kTest);
  std::vector<float> values(20000);
  for (float& v : values) v = static_cast<float>(std::clamp(random.normal(), low, high));
  return values;
}

Observer observer_of(const std::vector<float>& values) {
  Observer s;
  for (const float v : values) {
    s.low = std::min(s.low, v);
    s.high = std::max(s.high, v);
    s.squares += static_cast<double>(v) * v;
  }
  s.count = static_cast<double>(values.size());
  s.histogram.assign(kObserverBins, 0);
  for (const float v : values) {
    const double bin = (v - s.low) / (static_cast<double>(s.high) - s.low) * kObserverBins;
    ++s.histogram[std::min(kObserverBins - 1, static_cast<std::size_t>(bin))];
  }
  return s;
}

quant::ActivationSite site(int bits, quant::ActivationRange range,
                           quant::CodeSymmetry codes = quant::CodeSymmetry::kSymmetric) {
  quant::ActivationSite site;
  site.bits = bits;
  site.range = range;
  site.codes = codes;
  site.scales = quant::ScaleKind::kFree;
  return site;
}

double largest(const quant::ActivationSite& site, const Observer& observer) {
  return std::exp(choose_range(site, observer).log_scale) * quant::largest_code(site.bits);
}

double squared_error(const quant::ActivationSite& site, const std::vector<float>& values) {
  const ChosenRange range = choose_range(site, observer_of(values));
  const double scale = std::exp(range.log_scale), low = range.quant_min;
  double error = 0;
  for (const float v : values) {
    const double off = std::clamp(std::nearbyint(v / scale), low, -low) * scale - v;
    error += off * off;
  }
  return error;
}

TEST(ChooseRange, AbsmaxReachesTheLargestMagnitude) {
  const std::vector<float> values = bell_shaped(-2.5, 10);
  const float peak = *std::max_element(values.begin(), values.end());
  EXPECT_NEAR(largest(site(8, quant::ActivationRange::kAbsmax), observer_of(values)),
              static_cast<double>(peak), 1e-5);
}

TEST(ChooseRange, PercentileIsThatOfTheSortedMagnitudes) {
  const std::vector<float> values = bell_shaped(-10, 10);
  std::vector<double> magnitudes;
  for (const float v : values) magnitudes.push_back(std::abs(static_cast<double>(v)));
  std::sort(magnitudes.begin(), magnitudes.end());
  const double bins = 2 * 2 * magnitudes.back() / kObserverBins;  // two of the histogram
  for (const double percent : {90.0, 99.0, 99.9}) {
    quant::ActivationSite of = site(8, quant::ActivationRange::kPercentile);
    of.percentile = percent;
    const auto count = static_cast<std::size_t>(std::lround(percent / 100 * 20000));
    EXPECT_GE(largest(of, observer_of(values)), magnitudes[count - 1] - bins) << percent;
    EXPECT_LE(largest(of, observer_of(values)), magnitudes[count] + bins) << percent;
  }
}

TEST(ChooseRange, LeastSquaresErrsLeast) {
  const std::vector<float> values = bell_shaped(-10, 10);
  for (const int bits : {2, 3, 4, 8}) {
    const double least = squared_error(site(bits, quant::ActivationRange::kMse), values);
    EXPECT_LE(least, 1.001 * squared_error(site(bits, quant::ActivationRange::kAbsmax), values))
        << bits;
    EXPECT_LE(least, 1.001 * squared_error(site(bits, quant::ActivationRange::kClip), values))
        << bits;
  }
  EXPECT_LT(squared_error(site(3, quant::ActivationRange::kMse), values),
            0.7 * squared_error(site(3, quant::ActivationRange::kAbsmax), values));
}

TEST(ChooseRange, AffineCodesHoldZeroAndNeverLookSymmetric) {
  for (const double low : {-1.0, -0.5, -0.34, -0.2, -0.1, 0.0}) {
    const Observer observer = observer_of(bell_shaped(low, 3));
    for (int bits = 2; bits <= 16; ++bits) {
      for (const quant::ActivationRange range :
           {quant::ActivationRange::kAbsmax, quant::ActivationRange::kClip,
            quant::ActivationRange::kMse}) {
        const int least =
            choose_range(site(bits, range, quant::CodeSymmetry::kAffine), observer).quant_min;
        EXPECT_LE(least, 0);
        EXPECT_GE(least, 1 - (1 << bits));
        EXPECT_NE(least, -static_cast<int>(quant::largest_code(bits)))
            << low << ' ' << bits << name_of(range);
      }
    }
  }
}

// --- networks

class Calibration : public testing::Test {
 protected:
  static Network network(Norm norm, ModeKind modes = ModeKind::kComplex) {
    ModelOptions o = small_options();
    o.norm = norm;
    o.layers = 2;
    o.modes = modes;
    if (modes == ModeKind::kReal) o.init = PoleStart::kReal;
    return random_network(o, kTask);
  }
  std::map<std::string, float> ranges(Network network, const quant::QuantOptions& quant) {
    network.quantize(quant, {&batch_, 1}, pool_);
    std::map<std::string, float> all;
    for (const Parameter& p : network.parameters()) {
      if (p.group == ParameterGroup::kRange) all[p.name] = p.value[0];
    }
    return all;
  }
  std::vector<double> mean_logits(const Network& network) { return mean_logits(network, batch_); }
  // Over the sequences, or over all of their steps.
  std::vector<double> mean_logits(const Network& network, const data::Batch& batch) {
    std::vector<float> logits;
    network.evaluate(batch, pool_, &logits);
    std::vector<double> means(static_cast<std::size_t>(kTask.outputs), 0);
    for (std::size_t i = 0; i < logits.size(); ++i) {
      means[i % means.size()] += static_cast<double>(logits[i]);
    }
    double count = 0;
    for (std::size_t i = 0; i < batch.count; ++i) {
      count += network.options().readout == task::Scope::kStep ? batch.lengths[i] : 1;
    }
    for (double& mean : means) mean /= count;
    return means;
  }
  static double distance(const std::vector<double>& a, const std::vector<double>& b) {
    double most = 0;
    for (std::size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most;
  }

  static constexpr TaskShape kTask{2, 4};
  ThreadPool pool_{1};
  const data::Batch batch_ = batch_of(random_set(64, 37, 23, kTask, true));
};

TEST_F(Calibration, RangesAreThoseOfTheFoldedNetwork) {
  Network trained = network(Norm::kBatch);
  for (int step = 0; step < 30; ++step) trained.train_step(batch_, {}, pool_);  // statistics
  Network folded = trained;
  folded.fold_norms();
  const quant::QuantOptions quant = quant::uniform_bits(8);
  const auto unfolded = ranges(trained, quant);
  for (const auto& [name, value] : ranges(folded, quant)) {
    EXPECT_NEAR(unfolded.at(name), value, 1e-3) << name;
  }
}

TEST_F(Calibration, BiasCorrectionKeepsTheMeansOfTheLogits) {
  quant::QuantOptions quant = quant::uniform_bits(4);
  quant.state.bits = 0;
  quant.decoder.bits = quant.residual.bits = 8;  // the grid of the logits' biases
  const Network floats = network(Norm::kNone);
  const std::vector<double> wanted = mean_logits(floats);
  Network plain = floats, corrected = floats;
  plain.quantize(quant, {&batch_, 1}, pool_);
  quant.bias_correction = true;
  corrected.quantize(quant, {&batch_, 1}, pool_);
  EXPECT_GT(distance(mean_logits(plain), wanted), 1e-2);
  // Biases are multiples of the unit of their sums.
  EXPECT_LT(distance(mean_logits(corrected), wanted), 0.2 * distance(mean_logits(plain), wanted));
}

TEST_F(Calibration, BiasCorrectionKeepsTheMeansOfTheLogitsOfEveryStep) {
  quant::QuantOptions quant = quant::uniform_bits(4);
  quant.state.bits = 0;
  quant.decoder.bits = quant.residual.bits = 8;
  const data::Batch batch = batch_of(reference::random_step_set(64, 37, 23, kTask, true));
  ModelOptions options = network(Norm::kNone).options();
  options.readout = task::Scope::kStep;
  const Network floats = random_network(options, kTask);
  const std::vector<double> wanted = mean_logits(floats, batch);
  Network plain = floats, corrected = floats;
  plain.quantize(quant, {&batch, 1}, pool_);
  quant.bias_correction = true;
  corrected.quantize(quant, {&batch, 1}, pool_);
  EXPECT_LT(distance(mean_logits(corrected, batch), wanted),
            0.2 * distance(mean_logits(plain, batch), wanted));
}

TEST_F(Calibration, BiasCorrectionLeavesNetworksWithBatchNormsAlone) {
  quant::QuantOptions quant = quant::uniform_bits(8);
  Network plain = network(Norm::kBatch), corrected = plain;
  plain.quantize(quant, {&batch_, 1}, pool_);
  quant.bias_correction = true;
  corrected.quantize(quant, {&batch_, 1}, pool_);
  EXPECT_EQ(mean_logits(plain), mean_logits(corrected));
}

// The scale of binary codes is the mean magnitude, which does not include missing imaginary parts.
TEST_F(Calibration, RealModesHaveTheScaleOfTheirOwnOutputs) {
  quant::QuantOptions quant = quant::uniform_bits(0);
  quant.c.bits = 1;
  const Network floats = network(Norm::kNone, ModeKind::kReal);
  Network rounded = floats;
  rounded.quantize(quant, {&batch_, 1}, pool_);
  const BlockCoefficients before = floats.state().coefficients().blocks[0];
  const BlockCoefficients after = rounded.state().coefficients().blocks[0];
  const BlockShape& shape = floats.state().shapes[0];
  for (std::size_t s = 0; s < shape.size(); ++s) {
    double sum = 0;
    for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
      sum += std::abs(static_cast<double>(before.cr[i]));
      EXPECT_EQ(std::abs(after.cr[i]), after.codes.c_scale[s]);
    }
    EXPECT_NEAR(after.codes.c_scale[s], sum / static_cast<double>(shape.modes(s)), 1e-6);
  }
}

}  // namespace
}  // namespace crosstate::model
