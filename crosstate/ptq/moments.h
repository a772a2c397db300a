// Second moments of the inputs of a linear map, and their products with the desired outputs: the
// data required for a least-squares fit of its weights.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace crosstate::ptq {

/// Sums over samples of x x^T and y x^T, where x is extended by a 1.
struct Moments {
  std::size_t inputs = 0, outputs = 0;
  std::vector<double> gram;   // [inputs + 1][inputs + 1]
  std::vector<double> cross;  // [outputs][inputs + 1]

  Moments() = default;
  Moments(std::size_t input_count, std::size_t output_count);
  /// Adds samples in columns: x [inputs] and y [outputs] rows of `columns` values, each times the
  /// share of its column (null: 1).
  void add(std::size_t columns, std::span<const float* const> x, std::span<const float* const> y,
           const float* share);
  Moments& operator+=(const Moments& other);

  double count() const { return gram.empty() ? 0 : gram.back(); }
  /// Means of an input and of an output.
  double input_mean(std::size_t i) const { return gram[i * (inputs + 1) + inputs] / count(); }
  double output_mean(std::size_t o) const { return cross[o * (inputs + 1) + inputs] / count(); }
};

/// The least-squares weights of a linear map, and the quadratic form of the additional error of
/// other weights.
struct LinearFit {
  std::size_t inputs = 0, outputs = 0;
  std::vector<double> weight;                   // [outputs][inputs]
  std::vector<double> gram;                     // [inputs][inputs], with the ridge
  std::vector<double> input_mean, output_mean;  // zeros without a bias

  /// The bias that preserves the desired mean of an output for the weights [inputs] of its row.
  double bias(std::size_t output, std::span<const double> row) const;
};

/// Fits weights to moments. start: weights [outputs][inputs] towards which a ridge penalty pulls,
/// with `ridge` times the mean square of each input. With a free bias, moments are about the means.
LinearFit fit(const Moments& moments, std::span<const double> start, double ridge, bool with_bias);

}  // namespace crosstate::ptq
