// Phase-change memory and models of the same form. With r = g_T / g_max:
//   g_prog = max(0, g_T + sigma(r) xi),  nu = |mu(r) + s(r) xi|,  T = t + t0,
//   g(t) = max(0, g_prog (T / t0)^-nu (1 + Q(g_prog / g_max) W(tau))),  tau = ln((T + t_r) / (2
//   t_r)).
// W is a Brownian motion, so that W(tau) is N(0, tau): the 1/f noise of a read after T. With
// inference_time, the end of the motion is cut off and drawn for every inference. This form
// is used by Nandakumar et al., ICECS 2019, and Joshi et al., Nat. Commun. 11, 2020.
#include <algorithm>
#include <cmath>

#include "crosstate/device/draws.h"
#include "crosstate/device/families.h"

namespace crosstate::device {
namespace {

struct Statistics {
  double g_max, t0, t_r;      // uS, s, s
  double (*sigma)(double r);  // uS
  double (*mu)(double r);     // mean of the drift exponent
  double (*s)(double r);      // standard deviation of the drift exponent
  double (*q)(double r);      // 1/f noise, relative
};

// Nandakumar 2019, Joshi 2020.
constexpr Statistics kPcm = {
    25,
    20,
    250e-9,
    [](double r) { return 0.26348 + 1.9650 * r - 1.1731 * r * r; },
    [](double r) { return std::clamp(-0.0155 * std::log(r) + 0.0244, 0.049, 0.1); },
    [](double r) { return std::clamp(-0.0125 * std::log(r) - 0.0059, 0.008, 0.045); },
    [](double r) { return std::min(0.0088 / std::max(std::pow(r, 0.65), 0.001), 0.2); }};

// Le Gallo 2023, shared by both Hermes models.
double hermes_mu(double r) {
  if (r < 0.0945) return std::clamp(-0.0387 * std::log(r) - 0.0182, 0.072, 0.13);
  return -0.0436 * r * r - 0.0126 * r + 0.0736;
}

// Le Gallo 2023, two devices per polarity.
constexpr Statistics kHermes = {
    20.7,
    300,
    512e-9,
    [](double r) { return 0.16603 + r * (4.71806 + r * (-8.48101 + r * 4.68961)); },
    hermes_mu,
    [](double r) {
      if (r < 0.3055) return std::clamp(-0.0117 * std::log(r) - 0.0057, 0.0091, 0.04);
      return -0.0118 * r * r + 0.0093 * r + 0.0073;
    },
    [](double r) {
      if (r < 0.16) return std::clamp(-0.0117 * std::log(r) - 0.0069, 0.015, 0.04);
      return 0.0123 + r * (0.0211 + r * (-0.028 + r * 0.0069));
    }};

// Le Gallo 2023, one device per polarity.
constexpr Statistics kHermesSingle = {
    10.35,
    200,
    512e-9,
    [](double r) { return 0.15782 + r * (2.32444 + r * (-2.16311 + r * 0.68842)); },
    hermes_mu,
    [](double r) {
      if (r < 0.3039) return std::clamp(-0.0120 * std::log(r) - 0.0023, 0.0124, 0.04);
      return -0.0165 * r * r + 0.0116 * r + 0.0104;
    },
    [](double r) {
      if (r < 0.1591) return std::clamp(-0.0078 * std::log(r) + 0.0038, 0.0179, 0.04);
      return 0.0088 + r * (0.0768 + r * (-0.1352 + r * 0.0664));
    }};

// aihwkit's StateIndependentNoiseModel: 1/f noise of 1 uS sqrt(tau) at 25 uS, in proportion to g.
constexpr Statistics kSimple = {25,
                                20,
                                250e-9,
                                [](double) { return 0.2; },
                                [](double) { return 0.1; },
                                [](double) { return 0.05; },
                                [](double) { return 1.0 / 25; }};

class Pcm : public DeviceModel {
 public:
  Pcm(const Statistics& statistics, const DeviceOptions& options)
      : of_(statistics),
        drifts_(options.drift),
        flickers_(options.flicker),
        inference_time_(options.inference_time) {}

  ConductanceRange range() const override { return {0, of_.g_max}; }

  // The time t of the formulas starts when the first read is possible.
  double first_read() const override { return 1; }

  double programmed(double target, const CellDraws& draws) const override {
    return target + of_.sigma(target / of_.g_max) * draws.programming();
  }

  void age(const CellBlock& cells, double seconds, std::span<double> g) const override {
    const double decay = std::log((seconds + of_.t0) / of_.t0);
    const double tau = clock_at(seconds).slow;
    for (std::size_t i = 0; i < g.size(); ++i) {
      g[i] = std::max(0.0, cells.programmed[i]);
      if (g[i] == 0) continue;
      const CellDraws draws({cells.seed, cells.array, static_cast<std::uint32_t>(i)});
      const double q = flickers_ ? of_.q(g[i] / of_.g_max) : 0;
      if (drifts_) g[i] *= std::exp(-exponent(cells.target[i], draws) * decay);
      if (flickers_) g[i] = std::max(0.0, g[i] * (1 + q * draws.flicker(tau)));
    }
  }

  void flicker(const CellBlock& cells, double seconds, std::span<double> deviation) const override {
    const double decay = std::log((seconds + of_.t0) / of_.t0);
    const double spread = flickers_ ? std::sqrt(clock_at(seconds).fast) : 0;
    for (std::size_t i = 0; i < deviation.size(); ++i) {
      const double g = std::max(0.0, cells.programmed[i]);
      deviation[i] = g == 0 || spread == 0 ? 0 : g * of_.q(g / of_.g_max) * spread;
      if (deviation[i] == 0 || !drifts_) continue;
      const CellDraws draws({cells.seed, cells.array, static_cast<std::uint32_t>(i)});
      deviation[i] *= std::exp(-exponent(cells.target[i], draws) * decay);
    }
  }

 private:
  FlickerClock clock_at(double seconds) const {
    return flicker_clock(seconds + of_.t0, of_.t_r, inference_time_);
  }

  double exponent(double target, const CellDraws& draws) const {
    const double r = target / of_.g_max;
    return std::abs(of_.mu(r) + of_.s(r) * draws.drift());
  }

  Statistics of_;
  bool drifts_, flickers_;
  double inference_time_;
};

}  // namespace

ModelPointer make_pcm(const DeviceOptions& options) { return std::make_shared<Pcm>(kPcm, options); }

ModelPointer make_hermes(const DeviceOptions& options) {
  return std::make_shared<Pcm>(kHermes, options);
}

ModelPointer make_hermes_single(const DeviceOptions& options) {
  return std::make_shared<Pcm>(kHermesSingle, options);
}

ModelPointer make_simple(const DeviceOptions& options) {
  return std::make_shared<Pcm>(kSimple, options);
}

}  // namespace crosstate::device
