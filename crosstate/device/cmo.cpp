// Analog RRAM of CMO/HfOx, Falcone et al., arXiv 2502.04524, 2025. Write-verify stops within 0.2 %
// or 2 % of the target. From 1 s on the conductance relaxes with the logarithm of time: its mean by
// -0.089 ln t and its deviation as a Brownian motion with the published variance. 1/f noise, which
// grows with time, is added.
#include <algorithm>
#include <cmath>

#include "crosstate/device/draws.h"
#include "crosstate/device/families.h"

namespace crosstate::device {
namespace {

constexpr double kReadTime = 1e-6;  // s

double relaxed_deviation(double seconds) { return 0.04201 * std::log(seconds) + 0.41183; }

class Cmo : public DeviceModel {
 public:
  explicit Cmo(const DeviceOptions& options)
      : strict_(options.acceptance == CmoAcceptance::kStrict),
        relaxes_(options.drift),
        flickers_(options.flicker),
        inference_time_(options.inference_time) {}

  ConductanceRange range() const override { return {9, 88.2}; }
  double first_time() const override { return 1; }
  double first_read() const override { return 1; }

  double programmed(double target, const CellDraws& draws) const override {
    const double sigma =
        strict_ ? 0.00106879 * target + 0.00081107 : 0.0112903 * target + 0.0112185;
    return target + sigma * draws.programming();
  }

  void age(const CellBlock& cells, double seconds, std::span<double> g) const override {
    const double tau = flicker_clock(seconds, kReadTime, inference_time_).slow;
    relax(cells, seconds, g);
    for (std::size_t i = 0; i < g.size(); ++i) {
      const CellDraws draws({cells.seed, cells.array, static_cast<std::uint32_t>(i)});
      const double sigma = flickers_ ? flicker_deviation(g[i]) : 0;
      if (sigma > 0) g[i] += sigma * draws.flicker(tau);
      g[i] = std::max(0.0, g[i]);
    }
  }

  void flicker(const CellBlock& cells, double seconds, std::span<double> deviation) const override {
    const double spread =
        flickers_ ? std::sqrt(flicker_clock(seconds, kReadTime, inference_time_).fast) : 0;
    relax(cells, seconds, deviation);
    for (double& g : deviation) g = flicker_deviation(g) * spread;
  }

 private:
  // Conductances before 1/f noise, which may be negative.
  void relax(const CellBlock& cells, double seconds, std::span<double> g) const {
    const double shift = -0.08900 * std::log(seconds);
    // The time of the motion is the variance relative to that at the end of time.
    const double end = relaxed_deviation(kLongestTime), now = relaxed_deviation(seconds);
    const double u = kPathEnd * (now / end) * (now / end), unit = end / std::sqrt(kPathEnd);
    for (std::size_t i = 0; i < g.size(); ++i) {
      const CellDraws draws({cells.seed, cells.array, static_cast<std::uint32_t>(i)});
      g[i] = cells.programmed[i];
      if (relaxes_) g[i] += shift + unit * draws.relaxation(u);
    }
  }

  // Per square root of the clock. No data below 1 uS, where the logarithm changes its sign.
  static double flicker_deviation(double g) { return 0.02773 * std::log10(std::max(1.0, g)); }

  bool strict_, relaxes_, flickers_;
  double inference_time_;
};

}  // namespace

ModelPointer make_cmo(const DeviceOptions& options) { return std::make_shared<Cmo>(options); }

}  // namespace crosstate::device
