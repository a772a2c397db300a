// Compares every model with quadrature of its published formulas, which are implemented here
// independently.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>
#include <string>
#include <vector>

#include "crosstate/device/cells.h"

namespace crosstate::device {
namespace {

constexpr double kHour = 3600, kDay = 86400, kYear = 365 * kDay;

// --- the expected distribution
// -----------------------------------------------------------------

// g = max(0, N(mean, deviation)) with this weight.
struct Part {
  double weight, mean, deviation;
};
using Mixture = std::vector<Part>;

double density(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi); }
double below(double x) { return 0.5 * std::erfc(-x / std::numbers::sqrt2); }

struct Expected {
  double mean = 0, second = 0;
};

Expected moments(const Mixture& mixture) {
  Expected sum;
  for (const auto& [w, m, s] : mixture) {
    if (s == 0) {
      const double g = std::max(0.0, m);
      sum.mean += w * g;
      sum.second += w * g * g;
      continue;
    }
    const double a = m / s;
    sum.mean += w * (m * below(a) + s * density(a));
    sum.second += w * ((m * m + s * s) * below(a) + m * s * density(a));
  }
  return sum;
}

// P(g <= x) for x >= 0.
double cumulated(const Mixture& mixture, double x) {
  double sum = 0;
  for (const auto& [w, m, s] : mixture) sum += w * (s == 0 ? (m <= x ? 1 : 0) : below((x - m) / s));
  return sum;
}

// Calls f(weight, xi) over a standard normal: midpoint rule with equal steps.
void over_normal(double step, const std::function<void(double, double)>& f) {
  const int half = static_cast<int>(7 / step);
  for (int i = -half; i < half; ++i) {
    const double xi = (i + 0.5) * step;
    f(density(xi) * step, xi);
  }
}

// --- the published formulas
// -----------------------------------------------------------------------

struct Pcm {
  double g_max, t0, t_r;
  std::function<double(double)> sigma, mu, s, q;
};

double clip(double x, double low, double high) { return x < low ? low : x > high ? high : x; }

Pcm pcm_of(const std::string& name) {
  const auto hermes_mu = [](double r) {
    return r < 0.0945 ? clip(-0.0387 * std::log(r) - 0.0182, 0.072, 0.13)
                      : -0.0436 * std::pow(r, 2) - 0.0126 * r + 0.0736;
  };
  if (name == "hermes") {
    return {20.7,
            300,
            512e-9,
            [](double r) {
              return 0.16603 + 4.71806 * r - 8.48101 * std::pow(r, 2) + 4.68961 * std::pow(r, 3);
            },
            hermes_mu,
            [](double r) {
              return r < 0.3055 ? clip(-0.0117 * std::log(r) - 0.0057, 0.0091, 0.04)
                                : -0.0118 * std::pow(r, 2) + 0.0093 * r + 0.0073;
            },
            [](double r) {
              return r < 0.16
                         ? clip(-0.0117 * std::log(r) - 0.0069, 0.015, 0.04)
                         : 0.0069 * std::pow(r, 3) - 0.028 * std::pow(r, 2) + 0.0211 * r + 0.0123;
            }};
  }
  if (name == "hermes-single") {
    return {10.35,
            200,
            512e-9,
            [](double r) {
              return 0.15782 + 2.32444 * r - 2.16311 * std::pow(r, 2) + 0.68842 * std::pow(r, 3);
            },
            hermes_mu,
            [](double r) {
              return r < 0.3039 ? clip(-0.0120 * std::log(r) - 0.0023, 0.0124, 0.04)
                                : -0.0165 * std::pow(r, 2) + 0.0116 * r + 0.0104;
            },
            [](double r) {
              return r < 0.1591
                         ? clip(-0.0078 * std::log(r) + 0.0038, 0.0179, 0.04)
                         : 0.0664 * std::pow(r, 3) - 0.1352 * std::pow(r, 2) + 0.0768 * r + 0.0088;
            }};
  }
  if (name == "simple") {
    return {25,
            20,
            250e-9,
            [](double) { return 0.2; },
            [](double) { return 0.1; },
            [](double) { return 0.05; },
            [](double) { return 0.04; }};
  }
  return {25,
          20,
          250e-9,
          [](double r) { return 0.26348 + 1.9650 * r - 1.1731 * std::pow(r, 2); },
          [](double r) { return clip(-0.0155 * std::log(r) + 0.0244, 0.049, 0.1); },
          [](double r) { return clip(-0.0125 * std::log(r) - 0.0059, 0.008, 0.045); },
          [](double r) { return std::min(0.0088 / std::max(std::pow(r, 0.65), 0.001), 0.2); }};
}

Mixture pcm(const std::string& name, double target, double t) {
  const Pcm of = pcm_of(name);
  const double r = target / of.g_max, sigma = of.sigma(r);
  if (t == 0) return {{1, target, sigma}};
  const double T = t + of.t0, noise = std::sqrt(std::log((T + of.t_r) / (2 * of.t_r)));
  Mixture mixture;
  over_normal(0.1, [&](double w1, double xi1) {
    const double programmed = std::max(0.0, target + sigma * xi1);
    over_normal(0.1, [&](double w2, double xi2) {
      const double nu = std::abs(of.mu(r) + of.s(r) * xi2);
      const double g = programmed * std::pow(T / of.t0, -nu);
      mixture.push_back({w1 * w2, g, g > 0 ? g * of.q(programmed / of.g_max) * noise : 0});
    });
  });
  return mixture;
}

Mixture cmo(double target, double t) {
  const double sigma = 0.00106879 * target + 0.00081107;
  if (t == 0) return {{1, target, sigma}};
  const double relaxed = 0.04201 * std::log(t) + 0.41183;
  const double noise = 0.02773 * std::sqrt(std::log((t + 1e-6) / 2e-6));
  Mixture mixture;
  over_normal(0.1, [&](double w, double xi) {
    const double g = target - 0.089 * std::log(t) + std::hypot(sigma, relaxed) * xi;
    mixture.push_back({w, g, noise * std::log10(std::max(1.0, g))});
  });
  return mixture;
}

Mixture neurram(double target, double t) {
  const double r = target / 40;
  const auto sigma = [&](std::vector<double> c) {
    return c[0] + c[1] * r + c[2] * r * r + c[3] * r * r * r + c[4] * r * r * r * r;
  };
  const double second = sigma({0.348, 16.030, -43.853, 45.393, -16.815}),
               day = sigma({0.701, 22.086, -50.773, 47.095, -16.458}),
               two = sigma({0.782, 20.274, -43.507, 37.062, -11.934});
  if (t <= 1) return {{1, target, second}};
  if (t == 2 * kDay) return {{1, target, two}};
  return {{1, target, second + (day - second) * std::log(t) / std::log(kDay)}};
}

Mixture sonos(double target, double t) {
  // Mean and deviation in nA, with the change of the mean as a polynomial.
  struct Currents {
    double mean, deviation;
  };
  const auto at = [&](const std::vector<double>& change, double a, double b) {
    const double current = 100 * target, fitted = std::min(current, 1400.0);
    double sum = 0;
    for (std::size_t k = 0; k < change.size(); ++k) sum += change[k] * std::pow(fitted, k);
    const double mean = current + sum * std::max(1.0, current / 1400);
    return Currents{mean, a * (1 - std::exp(-mean / b))};
  };
  const Currents now = at({}, 19.88665, 176.3115);
  const Currents day =
      at({6.83650e-01, 6.51250e-03, -4.03163e-04, 3.37944e-06, -1.87435e-08, 5.88902e-11,
          -1.07685e-13, 1.17751e-16, -7.60016e-20, 2.67255e-23, -3.94954e-27},
         25.59102, 186.85544);
  const Currents five =
      at({1.15294, 1.03149e-02, -6.05199e-05, 1.76086e-08, -6.46690e-09, 3.39044e-11, -7.53872e-14,
          8.98185e-17, -6.00346e-20, 2.12615e-23, -3.11099e-27},
         34.57909, 207.34309);
  if (t == 5 * kDay) return {{1, five.mean / 100, five.deviation / 100}};
  const double share = std::log(1 + t) / std::log(1 + kDay);
  return {{1, (now.mean + (day.mean - now.mean) * share) / 100,
           (now.deviation + (day.deviation - now.deviation) * share) / 100}};
}

// --- the comparison
// -------------------------------------------------------------------------------

struct Case {
  std::string model;
  std::vector<double> targets, times;
  std::function<Mixture(double target, double t)> expected;
};

void expect_moments(const std::vector<double>& g, const Mixture& mixture) {
  const auto n = static_cast<double>(g.size());
  double sum = 0, second = 0, fourth = 0;
  for (const double v : g) sum += v;
  const double mean = sum / n;
  for (const double v : g) {
    second += (v - mean) * (v - mean) / n;
    fourth += std::pow(v - mean, 4) / n;
  }
  const Expected expected = moments(mixture);
  const double variance = expected.second - expected.mean * expected.mean;
  EXPECT_NEAR(mean, expected.mean, 4 * std::sqrt(variance / n) + 1e-12);
  EXPECT_NEAR(second, variance, 4 * std::sqrt((fourth - second * second) / n) + 1e-12);
}

// Chi-square over at most 20 bins around the expected mean; 60 is exceeded once in 300,000 times.
void expect_distribution(std::vector<double> g, const Mixture& mixture) {
  const Expected expected = moments(mixture);
  const double deviation = std::sqrt(expected.second - expected.mean * expected.mean);
  const auto n = static_cast<double>(g.size());
  std::sort(g.begin(), g.end());
  double chi = 0, share = 0, found = 0;
  const auto add_bin = [&](double share_below, double found_below) {
    const double want = n * (share_below - share), got = found_below - found;
    if (want < 5) return;  // merged with the next bin
    chi += (got - want) * (got - want) / want;
    share = share_below;
    found = found_below;
  };
  for (double z = -2.25; z < 2.3; z += 0.25) {
    const double edge = expected.mean + deviation * z;
    if (edge < 0) continue;
    const auto up_to = std::upper_bound(g.begin(), g.end(), edge) - g.begin();
    add_bin(cumulated(mixture, edge), static_cast<double>(up_to));
  }
  add_bin(1, n);
  EXPECT_LT(chi, 60);
}

void check(const Case& c) {
  constexpr std::size_t kCells = 12000;
  DeviceOptions options;
  options.model = c.model;
  options.fresh = FreshState::kProgrammed;
  std::uint32_t array = 0;
  for (const double target : c.targets) {
    Cells cells(options, std::vector<double>(kCells, target), 17, array++);
    for (const double t : c.times) {
      SCOPED_TRACE(c.model + ", target " + std::to_string(target) + ", time " + std::to_string(t));
      cells.age_to(t);
      const std::vector<double> g(cells.conductance().begin(), cells.conductance().end());
      const Mixture mixture = c.expected(target, t);
      expect_moments(g, mixture);
      expect_distribution(g, mixture);
    }
  }
}

TEST(DeviceStatistics, OfPhaseChangeMemory) {
  for (const std::string name : {"pcm", "hermes", "hermes-single", "simple"}) {
    const double g_max = pcm_of(name).g_max;
    check({name,
           {0, 0.04 * g_max, 0.4 * g_max, g_max},
           {0, 1, kHour, kDay, kYear},
           [&](double target, double t) { return pcm(name, target, t); }});
  }
}

TEST(DeviceStatistics, OfCmoRram) {
  check({"rram-cmo", {9, 30, 88.2}, {0, 1, kHour, kDay, kYear}, cmo});
}

TEST(DeviceStatistics, OfNeurram) {
  check({"neurram", {0, 4, 17, 40}, {0, 1, kHour, kDay, 2 * kDay}, neurram});
  check({"neurram-cubic", {0, 10, 39.26}, {0, 1}, [](double g, double) {
           return Mixture{
               {1, g, 1.536e-4 * std::pow(g, 3) - 0.01167 * std::pow(g, 2) + 0.2374 * g + 1.053}};
         }});
}

TEST(DeviceStatistics, OfMiloAndSonos) {
  check({"milo", {50, 130, 225}, {0, kYear}, [](double g, double) {
           return Mixture{{1, g, 4.782 - 0.009107 * g}};
         }});
  check({"sonos", {0.3, 5, 16}, {0, 1, kHour, kDay, 5 * kDay}, sonos});
}

TEST(DeviceStatistics, OfTheAssumedTaox) {
  check({"taox", {1, 40, 100}, {0, kYear}, [](double g, double t) {
           return Mixture{{1, g, t > 0 ? 2.0 : 1.0}};
         }});
}

TEST(DeviceStatistics, OfGaussian) {
  check({"gaussian", {1, 25}, {0, kYear}, [](double g, double) {
           return Mixture{{1, g, 0.02 * g}};
         }});
}

// The effect of one factor must equal the published one when the others are disabled.
TEST(DeviceStatistics, OfDriftAlone) {
  DeviceOptions options;
  options.model = "pcm";
  options.flicker = false;
  options.fresh = FreshState::kProgrammed;
  const std::vector<double> targets(100, 12.5);
  Cells cells(options, targets, 4, 0);
  const std::vector<double> programmed(cells.conductance().begin(), cells.conductance().end());
  const auto exponents = [&](double t) {
    cells.age_to(t);
    std::vector<double> nu;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      nu.push_back(-std::log(cells.conductance()[i] / programmed[i]) / std::log((t + 20) / 20));
    }
    return nu;
  };
  const std::vector<double> hour = exponents(kHour), year = exponents(kYear);
  for (std::size_t i = 0; i < targets.size(); ++i) EXPECT_NEAR(hour[i], year[i], 1e-12);
  options.drift = false;
  Cells still(options, targets, 4, 0);
  still.age_to(kYear);
  EXPECT_TRUE(std::equal(programmed.begin(), programmed.end(), still.conductance().begin()));
}

TEST(DeviceStatistics, ScaleWithTheLargestConductance) {
  for (const std::string name : {"pcm", "hermes", "neurram", "rram-cmo", "sonos", "milo"}) {
    DeviceOptions options;
    options.model = name;
    const double high = conductance_range(options).high;
    Cells own(options, std::vector<double>(50, 0.7 * high), 1, 2);
    options.g_max = 3 * high;
    Cells scaled(options, std::vector<double>(50, 2.1 * high), 1, 2);
    for (const double t : {0.0, 1000.0}) {
      own.age_to(t);
      scaled.age_to(t);
      for (std::size_t i = 0; i < 50; ++i) {
        EXPECT_NEAR(scaled.conductance()[i], 3 * own.conductance()[i], 1e-9) << name;
      }
    }
  }
}

}  // namespace
}  // namespace crosstate::device
