#include "crosstate/model/calibration.h"

#include <algorithm>
#include <cmath>

#include "crosstate/quant/weights.h"

namespace crosstate::model {
namespace {

constexpr double kLeastRange = 1e-6;
constexpr int kSearchSteps = 64;

struct Range {
  double low, high;
};

double bin_centre(const Observer& s, std::size_t i) {
  const double width = (static_cast<double>(s.high) - s.low) / kObserverBins;
  return s.low + (static_cast<double>(i) + 0.5) * width;
}

// The smallest magnitude that `percent` of the values do not exceed.
double percentile(const Observer& s, double percent) {
  std::vector<double> by_magnitude(kObserverBins, 0);
  const double per_value = kObserverBins / std::max(kLeastRange, s.peak());
  double total = 0;
  for (std::size_t i = 0; i < s.histogram.size(); ++i) {
    const double bin = std::abs(bin_centre(s, i)) * per_value;
    by_magnitude[std::min(kObserverBins - 1, static_cast<std::size_t>(bin))] += s.histogram[i];
    total += s.histogram[i];
  }
  double sum = 0;
  for (std::size_t i = 0; i < kObserverBins; ++i) {
    sum += by_magnitude[i];
    if (sum >= percent / 100 * total) return static_cast<double>(i + 1) / per_value;
  }
  return s.peak();
}

Range clipped(const Observer& s, double limit) {
  return {std::max(static_cast<double>(s.low), -limit),
          std::min(static_cast<double>(s.high), limit)};
}

// Codes of a range: symmetric about 0, or all codes between its ends. The two are distinguished
// later by their lowest code, so affine codes never start at the same code as symmetric ones.
ChosenRange codes_for(const quant::ActivationSite& site, bool affine, const Range& range) {
  const double most = affine ? std::exp2(site.bits) - 1 : quant::largest_code(site.bits);
  const double span = affine ? range.high - range.low : std::max(-range.low, range.high);
  double scale = std::max(kLeastRange, span) / most;
  ChosenRange chosen{std::log(scale), -static_cast<int>(most)};
  if (site.scales == quant::ScaleKind::kPowerOfTwo) scale = quant::nearest_power_of_two(scale);
  if (affine) {
    const double least = std::clamp(range.low / scale, -most, 0.0);
    chosen.quant_min = static_cast<int>(std::nearbyint(least));
    const auto symmetric = static_cast<int>(quant::largest_code(site.bits));
    if (chosen.quant_min == -symmetric) chosen.quant_min += least > -symmetric ? 1 : -1;
  }
  return chosen;
}

double squared_error(const quant::ActivationSite& site, bool affine, const ChosenRange& chosen,
                     const Observer& s) {
  double scale = std::exp(chosen.log_scale);
  if (site.scales == quant::ScaleKind::kPowerOfTwo) scale = quant::nearest_power_of_two(scale);
  const double low = chosen.quant_min;
  const double high = affine ? low + std::exp2(site.bits) - 1 : -low;
  double error = 0;
  for (std::size_t i = 0; i < s.histogram.size(); ++i) {
    const double x = bin_centre(s, i);
    const double off = std::clamp(std::nearbyint(x / scale), low, high) * scale - x;
    error += s.histogram[i] * off * off;
  }
  return error;
}

bool is_affine(const quant::ActivationSite& site, const Observer& s) {
  if (site.codes != quant::CodeSymmetry::kAuto) return site.codes == quant::CodeSymmetry::kAffine;
  // Asymmetry above which the additional code of an affine range outweighs its zero point.
  return -s.low < s.high / 3 || s.high < -s.low / 3;
}

}  // namespace

ChosenRange choose_range(const quant::ActivationSite& site, const Observer& observer) {
  const bool affine = is_affine(site, observer);
  if (site.range == quant::ActivationRange::kAbsmax)
    return codes_for(site, affine, clipped(observer, observer.peak()));
  if (site.range == quant::ActivationRange::kPercentile) {
    return codes_for(site, affine, clipped(observer, percentile(observer, site.percentile)));
  }
  if (site.range == quant::ActivationRange::kMse) {
    ChosenRange best;
    double least = -1;
    for (int i = 0; i < kSearchSteps; ++i) {
      const double limit = observer.peak() * std::pow(2, -static_cast<double>(i) / 16);
      const ChosenRange chosen = codes_for(site, affine, clipped(observer, limit));
      const double error = squared_error(site, affine, chosen, observer);
      if (least >= 0 && error >= least) continue;
      least = error;
      best = chosen;
    }
    return best;
  }
  // Rare large values are clipped: approximately where, for bell-shaped values, the clipping error
  // equals the rounding error at this width (between 4.0 for a normal and 9.9 for a Laplacian
  // distribution at 8 bits, Banner et al., arXiv 1810.05723).
  const double deviations = 0.7 * site.bits + 0.6;
  const double rms = std::sqrt(observer.squares / std::max(1.0, observer.count));
  return codes_for(site, affine, clipped(observer, deviations * rms));
}

bool wants_histogram(const quant::ActivationSite& site) {
  return site.range == quant::ActivationRange::kPercentile ||
         site.range == quant::ActivationRange::kMse;
}

bool wants_histograms(const quant::QuantOptions& options) {
  for (const quant::ActivationSite* site : {&options.input, &options.residual, &options.ssm_output,
                                            &options.activation, &options.linear}) {
    if (wants_histogram(*site)) return true;
  }
  return false;
}

}  // namespace crosstate::model
