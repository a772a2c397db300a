#include "crosstate/prune/hankel.h"

#include <algorithm>
#include <cmath>

#include "crosstate/base/complex.h"
#include "crosstate/base/eigen.h"
#include "crosstate/prune/mode_scores.h"

namespace crosstate::prune {
namespace {

using Matrix = Eigen::MatrixXcd;
using Vector = Eigen::VectorXcd;

struct Gramians {
  Matrix controllability, observability;
};

Gramians gramians(std::span<const model::DiscreteMode> modes) {
  const auto n = static_cast<Eigen::Index>(modes.size());
  Gramians g{Matrix(n, n), Matrix(n, n)};
  for (Eigen::Index i = 0; i < n; ++i) {
    for (Eigen::Index j = 0; j < n; ++j) {
      const model::DiscreteMode &p = modes[static_cast<std::size_t>(i)],
                                &q = modes[static_cast<std::size_t>(j)];
      g.controllability(i, j) = 1.0 / (1.0 - p.a * std::conj(q.a));
      g.observability(i, j) = std::conj(p.c) * q.c / (1.0 - std::conj(p.a) * q.a);
    }
  }
  return g;
}

// L with L L^H = m, for a positive semidefinite matrix of any rank.
Matrix square_root(const Matrix& m) {
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(m);
  const Eigen::VectorXd roots = solver.eigenvalues().cwiseMax(0.0).cwiseSqrt();
  return solver.eigenvectors() * roots.asDiagonal();
}

}  // namespace

std::vector<double> hankel_singular_values(std::span<const model::DiscreteMode> modes) {
  if (modes.empty()) return {};
  const Gramians g = gramians(damped(modes));
  const Matrix product = square_root(g.observability).adjoint() * square_root(g.controllability);
  const Eigen::VectorXd values = Eigen::JacobiSVD<Matrix>(product).singularValues();
  return {values.begin(), values.end()};
}

std::vector<model::DiscreteMode> truncate_balanced(std::span<const model::DiscreteMode> all,
                                                   std::size_t count) {
  // Allowed ratio of the residues of the reduced system to the largest residue of the full system.
  constexpr double kMostGrowth = 8;
  const std::vector<model::DiscreteMode> modes = damped(all);
  const auto n = static_cast<Eigen::Index>(modes.size()), r = static_cast<Eigen::Index>(count);
  const Gramians g = gramians(modes);
  const Matrix p = square_root(g.controllability), q = square_root(g.observability);
  const Eigen::JacobiSVD<Matrix> svd(q.adjoint() * p, Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Eigen::VectorXd values = svd.singularValues().head(r);
  if (r == 0 || !(values(r - 1) > 1e-12 * values(0))) return {};
  const Eigen::VectorXd scale = values.cwiseSqrt().cwiseInverse();
  const Matrix right = p * svd.matrixV().leftCols(r) * scale.asDiagonal();
  const Matrix left = q * svd.matrixU().leftCols(r) * scale.asDiagonal();
  Vector a(n), c(n);
  double largest = 0;
  for (Eigen::Index i = 0; i < n; ++i) {
    a(i) = modes[static_cast<std::size_t>(i)].a;
    c(i) = modes[static_cast<std::size_t>(i)].c;
    largest = std::max(largest, magnitude(c(i)));
  }
  const Matrix reduced = left.adjoint() * a.asDiagonal() * right;
  const Eigen::ComplexEigenSolver<Matrix> eigen(reduced);
  const Vector input = eigen.eigenvectors().fullPivLu().solve(left.adjoint() * Vector::Ones(n));
  const Vector output = (c.transpose() * right * eigen.eigenvectors()).transpose();
  std::vector<model::DiscreteMode> out;
  for (Eigen::Index i = 0; i < r; ++i) {
    const model::DiscreteMode mode{eigen.eigenvalues()(i), output(i) * input(i)};
    const bool sound = magnitude(mode.a) < 1 && magnitude(mode.a) > 1e-6 &&
                       magnitude(mode.c) <= kMostGrowth * largest;
    if (!sound) return {};
    out.push_back(mode);
  }
  return out;
}

}  // namespace crosstate::prune
