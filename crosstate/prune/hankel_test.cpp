#include "crosstate/prune/hankel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "crosstate/prune/mode_scores.h"

namespace crosstate::prune {
namespace {

using Complex = std::complex<double>;
using Dense = std::vector<std::vector<Complex>>;

const std::vector<model::DiscreteMode> kSystem = {{std::polar(0.95, 0.3), {1.5, -2}},
                                                  {std::polar(0.8, 1.1), {0.5, 0.7}},
                                                  {std::polar(0.9, 2.0), {0.2, 0}},
                                                  {std::polar(0.6, -0.4), {0.03, -0.01}},
                                                  {{0.2, 0}, {0.4, 0.1}}};

// sum over k of v_k v_k^H with v_k = diag(a)^k v_0.
Dense summed(const std::vector<Complex>& a, const std::vector<Complex>& v0) {
  const std::size_t n = a.size();
  Dense sum(n, std::vector<Complex>(n, 0));
  std::vector<Complex> v = v0;
  for (int k = 0; k < 4000; ++k) {
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) sum[i][j] += v[i] * std::conj(v[j]);
    }
    for (std::size_t i = 0; i < n; ++i) v[i] *= a[i];
  }
  return sum;
}

Dense product(const Dense& p, const Dense& q) {
  Dense out(p.size(), std::vector<Complex>(p.size(), 0));
  for (std::size_t i = 0; i < p.size(); ++i) {
    for (std::size_t j = 0; j < p.size(); ++j) {
      for (std::size_t k = 0; k < p.size(); ++k) out[i][j] += p[i][k] * q[k][j];
    }
  }
  return out;
}

// The power sums of the eigenvalues of P Q (the squared singular values) are the traces of its
// powers; as many as there are values determine them.
TEST(Hankel, SingularValuesAreThoseOfDenseGramians) {
  std::vector<Complex> a, conjugate, c, ones(kSystem.size(), 1);
  for (const model::DiscreteMode& m : kSystem) {
    a.push_back(m.a);
    conjugate.push_back(std::conj(m.a));
    c.push_back(std::conj(m.c));
  }
  const Dense pq = product(summed(a, ones), summed(conjugate, c));
  const std::vector<double> values = hankel_singular_values(kSystem);
  ASSERT_EQ(values.size(), kSystem.size());
  Dense power = pq;
  for (std::size_t k = 1; k <= kSystem.size(); ++k, power = product(power, pq)) {
    double sum = 0;
    Complex trace = 0;
    for (const double v : values) sum += std::pow(v, 2.0 * static_cast<double>(k));
    for (std::size_t i = 0; i < power.size(); ++i) trace += power[i][i];
    EXPECT_NEAR(trace.real(), sum, 1e-8 * sum);
    EXPECT_NEAR(trace.imag(), 0, 1e-8 * sum);
  }
  EXPECT_TRUE(std::is_sorted(values.rbegin(), values.rend()));
}

Complex response(const std::vector<model::DiscreteMode>& modes, double w) {
  Complex sum = 0;
  for (const model::DiscreteMode& m : modes) sum += m.c / (1.0 - m.a * std::polar(1.0, -w));
  return sum;
}

TEST(Hankel, TruncationStaysWithinTwiceTheTail) {
  const std::vector<double> values = hankel_singular_values(kSystem);
  for (std::size_t count = 1; count < kSystem.size(); ++count) {
    SCOPED_TRACE(count);
    const std::vector<model::DiscreteMode> reduced = truncate_balanced(kSystem, count);
    ASSERT_EQ(reduced.size(), count);
    double tail = 0, worst = 0;
    for (std::size_t i = count; i < values.size(); ++i) tail += values[i];
    for (int i = 0; i < 4000; ++i) {
      const double w = 2 * std::numbers::pi * i / 4000;
      worst = std::max(worst, std::abs(response(kSystem, w) - response(reduced, w)));
    }
    EXPECT_LE(worst, 2 * tail * (1 + 1e-6));
    EXPECT_GE(worst, values[count] * (1 - 1e-6));  // no system of this size is closer
    for (const model::DiscreteMode& m : reduced) EXPECT_LT(std::abs(m.a), 1);
  }
}

TEST(Hankel, NothingTruncatedIsTheSameSystem) {
  const std::vector<model::DiscreteMode> same = truncate_balanced(kSystem, kSystem.size());
  ASSERT_EQ(same.size(), kSystem.size());
  for (int i = 0; i < 100; ++i) {
    const double w = 2 * std::numbers::pi * i / 100;
    EXPECT_NEAR(std::abs(response(kSystem, w) - response(same, w)), 0, 1e-6);
  }
}

// The largest values are those of modes that do not decay, as of the damped ones.
TEST(Hankel, ModesThatDoNotDecayAreTheLargest) {
  std::vector<model::DiscreteMode> modes = kSystem;
  const double largest = hankel_singular_values(modes)[0];
  modes[1].a = std::polar(1.0, 1.1);
  modes[2].a = std::polar(1 + 1e-7, 2.0);
  const std::vector<double> values = hankel_singular_values(modes);
  EXPECT_NEAR(values[0], std::abs(modes[1].c) / kLeastDecay, 1e-3 * values[0]);
  EXPECT_NEAR(values[1], std::abs(modes[2].c) / kLeastDecay, 1e-3 * values[1]);
  EXPECT_LE(values[2], 2 * largest);
  EXPECT_GT(values.back(), 0);
  const std::vector<model::DiscreteMode> reduced = truncate_balanced(modes, 2);
  ASSERT_EQ(reduced.size(), 2u);
  for (const model::DiscreteMode& m : reduced) {
    EXPECT_LT(std::abs(m.a), 1);
    EXPECT_GT(std::abs(m.a), 1 - 1e-6);
  }
}

TEST(Hankel, OneModeAndSilentModes) {
  const std::vector<model::DiscreteMode> one = {{{0.5, 0}, {3, 0}}};
  EXPECT_NEAR(hankel_singular_values(one)[0], 3 / 0.75, 1e-12);
  EXPECT_TRUE(hankel_singular_values({}).empty());
  const std::vector<model::DiscreteMode> silent = {{{0.5, 0}, {0, 0}}, {{0.2, 0}, {0, 0}}};
  EXPECT_NEAR(hankel_singular_values(silent)[0], 0, 1e-12);
  EXPECT_TRUE(truncate_balanced(silent, 1).empty());
}

}  // namespace
}  // namespace crosstate::prune
