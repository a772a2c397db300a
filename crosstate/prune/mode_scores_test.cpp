#include "crosstate/prune/mode_scores.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace crosstate::prune {
namespace {

using Complex = std::complex<double>;

const std::vector<model::DiscreteMode> kModes = {{std::polar(0.9, 0.7), {1.5, -2}},
                                                 {std::polar(0.99, 3.0), {0.1, 0.2}},
                                                 {{-0.5, 0}, {3, 0}},
                                                 {{0, 0}, {1, 1}},
                                                 {std::polar(0.3, -1.2), {-0.4, 0.9}}};

TEST(ModeScores, EnergyIsTheSumOfTheImpulseResponse) {
  for (const model::DiscreteMode& mode : kModes) {
    double sum = 0;
    Complex response = mode.c;
    for (int k = 0; k < 5000; ++k, response *= mode.a) sum += std::norm(response);
    EXPECT_NEAR(energy_score(mode), sum, 1e-9 * sum);
  }
}

TEST(ModeScores, HInfinityIsTheLargestGainOfAllFrequencies) {
  for (const model::DiscreteMode& mode : kModes) {
    double largest = 0;
    for (int i = 0; i < 200000; ++i) {
      const double w = 2 * std::numbers::pi * i / 200000;
      largest = std::max(largest, std::norm(mode.c / (1.0 - mode.a * std::polar(1.0, -w))));
    }
    EXPECT_NEAR(h_infinity_score(mode), largest, 1e-5 * largest);
  }
}

// Poles that decay keep their bits, and others come to the circle of the least decay.
TEST(ModeScores, DampedPolesDecayAndKeepTheirAngle) {
  for (const model::DiscreteMode& mode : kModes) EXPECT_EQ(damped(mode.a), mode.a);
  const double edge = std::sqrt(1 - kLeastDecay);
  EXPECT_EQ(damped({edge * 0.999999, 0}), Complex(edge * 0.999999, 0));
  for (const double size : {1 - 1e-9, 1.0, 1 + 1e-7, 1.5, 1e100}) {
    for (const double angle : {0.0, 1e-6, 2.5, -0.3}) {
      const Complex a = damped(std::polar(size, angle));
      EXPECT_NEAR(std::abs(a), edge, 1e-15);
      EXPECT_NEAR(std::arg(a), angle, 1e-15);
    }
  }
}

// With the same output, no mode scores more than one that does not decay.
TEST(ModeScores, AreLargestAndFiniteForModesThatDoNotDecay) {
  const Complex c(0.3, -0.4);
  double energy = 0, gain = 0;
  for (const double size : {0.0, 0.5, 0.999, 1 - 1e-6, 1 - 1e-7}) {
    const model::DiscreteMode mode{std::polar(size, 0.2), c};
    EXPECT_GT(energy_score(mode), energy);
    EXPECT_GT(h_infinity_score(mode), gain);
    energy = energy_score(mode);
    gain = h_infinity_score(mode);
  }
  for (const double size : {1.0, 1 + 1e-8, 1.2}) {
    const model::DiscreteMode mode{std::polar(size, 0.2), c};
    EXPECT_NEAR(energy_score(mode), 0.25 / kLeastDecay, 1e-6 * energy_score(mode));
    EXPECT_NEAR(h_infinity_score(mode), 1 / (kLeastDecay * kLeastDecay),
                1e-6 * h_infinity_score(mode));
    EXPECT_GT(energy_score(mode), energy);
    EXPECT_GT(h_infinity_score(mode), gain);
    EXPECT_EQ(energy_score({mode.a, 0}), 0);
    EXPECT_EQ(h_infinity_score({mode.a, 0}), 0);
  }
}

TEST(ModeScores, SharesAreOfWhatIsLeft) {
  const std::vector<double> scores = {1, 4, 0, 5};
  EXPECT_THAT(shares_of_rest(scores),
              testing::ElementsAre(testing::DoubleEq(0.1), testing::DoubleEq(4.0 / 9), 0, 1));
  EXPECT_THAT(shares_of_rest(std::vector<double>{2, 2}), testing::ElementsAre(1, 0.5));
  EXPECT_TRUE(shares_of_rest({}).empty());
  EXPECT_THAT(shares_of_rest(std::vector<double>{0, 0}), testing::ElementsAre(0, 0));
}

// Energy of the difference of the impulse responses.
double squared_error(const std::vector<model::DiscreteMode>& all, const std::vector<Complex>& poles,
                     const std::vector<Complex>& outputs) {
  std::vector<model::DiscreteMode> terms = all;  // c holds the response at this step
  for (std::size_t i = 0; i < poles.size(); ++i) terms.push_back({poles[i], -outputs[i]});
  double error = 0;
  for (int k = 0; k < 3000; ++k) {
    Complex difference = 0;
    for (model::DiscreteMode& term : terms) {
      difference += term.c;
      term.c *= term.a;
    }
    error += std::norm(difference);
  }
  return error;
}

TEST(ModeScores, RefittedOutputsLeaveTheLeastError) {
  const std::vector<Complex> poles = {kModes[0].a, kModes[2].a};
  const std::vector<Complex> best = refit_outputs(kModes, poles);
  const double least = squared_error(kModes, poles, best);
  EXPECT_LT(least, squared_error(kModes, poles, {kModes[0].c, kModes[2].c}));
  for (const Complex step : {Complex(1e-2, 0), Complex(0, -1e-2)}) {
    for (std::size_t i = 0; i < poles.size(); ++i) {
      for (const double sign : {-1.0, 1.0}) {
        std::vector<Complex> moved = best;
        moved[i] += sign * step;
        EXPECT_GT(squared_error(kModes, poles, moved), least);
      }
    }
  }
}

TEST(ModeScores, RefitsOutputsOfModesThatDoNotDecay) {
  const std::vector<model::DiscreteMode> slow = {
      {{1, 0}, {2, 1}}, {std::polar(1.0, 0.5), {1, 0}}, {{0.5, 0}, {0.1, 0}}};
  const std::vector<Complex> outputs =
      refit_outputs(slow, std::vector<Complex>{slow[0].a, slow[1].a});
  EXPECT_NEAR(std::abs(outputs[0] - slow[0].c), 0, 1e-5);
  EXPECT_NEAR(std::abs(outputs[1] - slow[1].c), 0, 1e-5);
}

TEST(ModeScores, WithEveryPoleTheOutputsStay) {
  std::vector<Complex> poles;
  for (const model::DiscreteMode& m : kModes) poles.push_back(m.a);
  const std::vector<Complex> same = refit_outputs(kModes, poles);
  for (std::size_t i = 0; i < kModes.size(); ++i) {
    EXPECT_NEAR(std::abs(same[i] - kModes[i].c), 0, 1e-5);
  }
}

}  // namespace
}  // namespace crosstate::prune
