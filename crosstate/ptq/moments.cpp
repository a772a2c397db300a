#include "crosstate/ptq/moments.h"

#include "crosstate/base/eigen.h"

namespace crosstate::ptq {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Panel = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Eigen::Index;

Index index(std::size_t i) { return static_cast<Index>(i); }

void copy_rows(std::span<const float* const> rows, std::size_t columns, const float* share,
               Panel& to) {
  for (std::size_t r = 0; r < rows.size(); ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      to(index(r), index(c)) = share == nullptr ? rows[r][c] : rows[r][c] * share[c];
    }
  }
}

}  // namespace

Moments::Moments(std::size_t input_count, std::size_t output_count)
    : inputs(input_count), outputs(output_count) {
  gram.assign((inputs + 1) * (inputs + 1), 0);
  cross.assign(outputs * (inputs + 1), 0);
}

void Moments::add(std::size_t columns, std::span<const float* const> x,
                  std::span<const float* const> y, const float* share) {
  const Index n = index(inputs + 1), k = index(columns);
  // Shares are 0 or 1, so they may be applied to both factors of a product.
  Panel in(n, k), out(index(outputs), k);
  copy_rows(x, columns, share, in);
  copy_rows(y, columns, share, out);
  for (Index c = 0; c < k; ++c) in(n - 1, c) = share == nullptr ? 1.0f : share[c];
  Eigen::Map<Matrix>(gram.data(), n, n) += (in * in.transpose()).cast<double>();
  Eigen::Map<Matrix>(cross.data(), index(outputs), n) += (out * in.transpose()).cast<double>();
}

Moments& Moments::operator+=(const Moments& other) {
  if (gram.empty()) return *this = other;
  for (std::size_t i = 0; i < gram.size(); ++i) gram[i] += other.gram[i];
  for (std::size_t i = 0; i < cross.size(); ++i) cross[i] += other.cross[i];
  return *this;
}

double LinearFit::bias(std::size_t output, std::span<const double> row) const {
  double mean = output_mean[output];
  for (std::size_t i = 0; i < inputs; ++i) mean -= row[i] * input_mean[i];
  return mean;
}

LinearFit fit(const Moments& moments, std::span<const double> start, double ridge, bool with_bias) {
  const Index n = index(moments.inputs), outputs = index(moments.outputs);
  const Eigen::Map<const Matrix> gram(moments.gram.data(), n + 1, n + 1);
  const Eigen::Map<const Matrix> cross(moments.cross.data(), outputs, n + 1);
  const double count = std::max(moments.count(), 1.0);
  Matrix g = gram.topLeftCorner(n, n) / count, p = cross.leftCols(n) / count;
  Eigen::VectorXd x = Eigen::VectorXd::Zero(n), y = Eigen::VectorXd::Zero(outputs);
  if (with_bias) {
    x = gram.col(n).head(n) / count;
    y = cross.col(n) / count;
    g -= x * x.transpose();
    p -= y * x.transpose();
  }
  // Constant inputs have no curvature of their own, but their weights need an optimum.
  const double floor =
      1e-9 * std::max(g.trace() / static_cast<double>(std::max<Index>(n, 1)), 1e-30);
  const Eigen::VectorXd pull = ridge * g.diagonal() + Eigen::VectorXd::Constant(n, floor);
  g.diagonal() += pull;
  p += Eigen::Map<const Matrix>(start.data(), outputs, n) * pull.asDiagonal();
  LinearFit out;
  out.inputs = moments.inputs;
  out.outputs = moments.outputs;
  out.weight.resize(moments.inputs * moments.outputs);
  Eigen::Map<Matrix>(out.weight.data(), outputs, n) =
      g.selfadjointView<Eigen::Lower>().ldlt().solve(p.transpose()).transpose();
  out.gram.assign(g.data(), g.data() + g.size());
  out.input_mean.assign(x.data(), x.data() + x.size());
  out.output_mean.assign(y.data(), y.data() + y.size());
  return out;
}

}  // namespace crosstate::ptq
