#include "crosstate/prune/mode_scores.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "crosstate/base/complex.h"
#include "crosstate/base/eigen.h"

namespace crosstate::prune {

std::complex<double> damped(std::complex<double> a) {
  const double square = std::norm(a);
  return 1 - square < kLeastDecay ? a * std::sqrt((1 - kLeastDecay) / square) : a;
}

std::vector<model::DiscreteMode> damped(std::span<const model::DiscreteMode> modes) {
  std::vector<model::DiscreteMode> out(modes.begin(), modes.end());
  for (model::DiscreteMode& m : out) m.a = damped(m.a);
  return out;
}

double h_infinity_score(const model::DiscreteMode& mode) {
  const double distance = 1 - magnitude(damped(mode.a));
  return std::norm(mode.c) / (distance * distance);
}

double energy_score(const model::DiscreteMode& mode) {
  return std::norm(mode.c) / (1 - std::norm(damped(mode.a)));
}

std::vector<double> shares_of_rest(std::span<const double> scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  std::vector<double> shares(scores.size(), 0);
  double sum = 0;
  for (const std::size_t i : order) {
    sum += scores[i];
    if (sum > 0) shares[i] = scores[i] / sum;
  }
  return shares;
}

std::vector<std::complex<double>> refit_outputs(std::span<const model::DiscreteMode> all,
                                                std::span<const std::complex<double>> kept) {
  // <a^k, p^k> = sum conj(a)^k p^k = 1 / (1 - conj(a) p)
  const auto product = [](std::complex<double> a, std::complex<double> p) {
    return 1.0 / (1.0 - std::conj(damped(a)) * damped(p));
  };
  constexpr double kRidge = 1e-9;
  const auto n = static_cast<Eigen::Index>(kept.size());
  Eigen::MatrixXcd gram(n, n);
  Eigen::VectorXcd target = Eigen::VectorXcd::Zero(n);
  for (Eigen::Index i = 0; i < n; ++i) {
    const std::complex<double> a = kept[static_cast<std::size_t>(i)];
    for (Eigen::Index j = 0; j < n; ++j) gram(i, j) = product(a, kept[static_cast<std::size_t>(j)]);
    for (const model::DiscreteMode& m : all) target(i) += m.c * product(a, m.a);
  }
  for (Eigen::Index i = 0; i < n; ++i) gram(i, i) *= 1 + kRidge;
  const Eigen::VectorXcd c = gram.ldlt().solve(target);
  return {c.begin(), c.end()};
}

}  // namespace crosstate::prune
