#include "crosstate/ptq/gptq.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "crosstate/base/eigen.h"

namespace crosstate::ptq {
namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;
using Eigen::Index;

constexpr double kLeastPeak = 1e-30;
constexpr int kMostSweeps = 64;
constexpr double kLeastGain = 1e-9;  // of a move, relative to the error of a single code

// Scales relative to that of the largest magnitude. With few bits, clipping some weights is worth
// the finer steps for the others.
std::vector<double> shares_of_peak(int bits, bool powers_of_two) {
  if (powers_of_two) return bits >= 7 ? std::vector{1.0} : std::vector{1.0, 0.5};
  if (bits >= 7) return {1};
  const double least = bits >= 5 ? 0.8 : bits >= 3 ? 0.5 : 0.3;
  const int steps = bits >= 5 ? 4 : 16;
  std::vector<double> shares;
  for (int i = 0; i <= steps; ++i) shares.push_back(1 - (1 - least) * i / steps);
  return shares;
}

// Rounds single rows of a group at given scales.
class RowRounder {
 public:
  RowRounder(const Rows& rows, double limit)
      : rows_(rows),
        limit_(limit),
        n_(static_cast<Index>(rows.columns)),
        gram_(Eigen::Map<const Matrix>(rows.gram.data(), n_, n_)),
        // G = R^T R; a fraction of the trace is added to the diagonal against cancellation.
        root_((gram_ + Matrix(Vector(1e-12 * gram_.diagonal() +
                                     Vector::Constant(n_, std::numeric_limits<double>::min()))
                                  .asDiagonal()))
                  .llt()
                  .matrixU()) {}

  // Codes are decided from the last to the first. Each is the nearest to the optimal value of its
  // weight, given the errors of the codes decided before. `kept`: column whose code stays at the
  // largest; negative: none. Returns the error.
  double swept(std::size_t row, double scale, Index kept, Vector& codes) const {
    const Eigen::Map<const Vector> wanted = wanted_of(row);
    codes.resize(n_);
    Vector off(n_);  // s q - w
    for (Index i = n_; i-- > 0;) {
      const Index after = n_ - 1 - i;
      double best = wanted(i);
      if (after > 0) best -= root_.row(i).tail(after).dot(off.tail(after)) / root_(i, i);
      codes(i) = i == kept ? largest(wanted(i)) : nearest(best / scale);
      off(i) = scale * codes(i) - wanted(i);
    }
    return off.dot(gram_ * off);
  }

  // The better of that and of the nearest codes, after moving single codes as long as the error
  // decreases.
  double best(std::size_t row, double scale, Index kept, Vector& codes) const {
    const Eigen::Map<const Vector> wanted = wanted_of(row);
    swept(row, scale, kept, codes);
    const double error = descend(wanted, scale, kept, codes);
    Vector other(n_);
    for (Index i = 0; i < n_; ++i) {
      other(i) = i == kept ? largest(wanted(i)) : nearest(wanted(i) / scale);
    }
    const double error_of_other = descend(wanted, scale, kept, other);
    if (error_of_other >= error) return error;
    codes = other;
    return error_of_other;
  }

 private:
  double nearest(double value) const { return std::clamp(std::nearbyint(value), -limit_, limit_); }

  double largest(double like) const { return std::copysign(limit_, like); }
  Eigen::Map<const Vector> wanted_of(std::size_t row) const {
    return {rows_.wanted.data() + row * rows_.columns, n_};
  }

  double descend(const Eigen::Map<const Vector>& wanted, double scale, Index kept,
                 Vector& codes) const {
    Vector off = scale * codes - wanted, slope = gram_ * off;
    for (int sweep = 0; sweep < kMostSweeps; ++sweep) {
      bool moved = false;
      for (Index i = 0; i < n_; ++i) {
        const double curvature = gram_(i, i);
        if (i == kept || !(curvature > 0)) continue;
        const double code = nearest(codes(i) - slope(i) / (curvature * scale));
        const double step = scale * (code - codes(i));
        const double change = step * (2 * slope(i) + step * curvature);
        // Ties do not move; they would otherwise alternate.
        if (!(change < -kLeastGain * curvature * scale * scale)) continue;
        codes(i) = code;
        off(i) += step;
        slope += step * gram_.col(i);
        moved = true;
      }
      if (!moved) break;
    }
    return off.dot(gram_ * off);
  }

  const Rows& rows_;
  double limit_;
  Index n_;
  Matrix gram_, root_;
};

double peak_of(std::span<const double> values) {
  double peak = 0;
  for (const double v : values) peak = std::max(peak, std::abs(v));
  return peak;
}

double first_scale(double peak, double limit, bool powers_of_two) {
  return powers_of_two ? quant::nearest_power_of_two(peak / limit) : peak / limit;
}

void store(const Vector& codes, std::span<std::int16_t> to) {
  for (Index i = 0; i < codes.size(); ++i) {
    to[static_cast<std::size_t>(i)] = static_cast<std::int16_t>(codes(i));
  }
}

}  // namespace

double output_error(const Rows& rows, const quant::QuantizedTensor& rounded) {
  const auto n = static_cast<Index>(rows.columns);
  const Eigen::Map<const Matrix> gram(rows.gram.data(), n, n);
  double error = 0;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    Vector off(n);
    for (Index i = 0; i < n; ++i) {
      const std::size_t at = r * rows.columns + static_cast<std::size_t>(i);
      off(i) = static_cast<double>(rounded.scales[r]) * rounded.codes[at] - rows.wanted[at];
    }
    error += off.dot(gram * off);
  }
  return error;
}

std::vector<quant::QuantizedTensor> round_to_outputs(std::span<const Rows> groups,
                                                     const quant::WeightSite& site) {
  const double limit = quant::largest_code(site.bits);
  const bool powers_of_two = site.scales == quant::ScaleKind::kPowerOfTwo;
  const bool one_scale = site.granularity != quant::Granularity::kChannel;
  const std::vector<double> shares = shares_of_peak(site.bits, powers_of_two);
  std::vector<quant::QuantizedTensor> out(groups.size());
  std::vector<RowRounder> rounders;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    out[g].codes.assign(groups[g].wanted.size(), 0);
    out[g].scales.assign(groups[g].rows(), 1);
    rounders.emplace_back(groups[g], limit);
  }
  struct Place {
    std::size_t group, row;
  };
  // Rounds rows that share a scale with the best of the scales.
  const auto round_together = [&](std::span<const Place> places) {
    const auto wanted = [&](const Place& p) {
      return groups[p.group].wanted.subspan(p.row * groups[p.group].columns,
                                            groups[p.group].columns);
    };
    double peak = 0;
    std::size_t largest = 0;
    for (std::size_t i = 0; i < places.size(); ++i) {
      const double here = peak_of(wanted(places[i]));
      if (here > peak) {
        peak = here;
        largest = i;
      }
    }
    if (!(peak >= kLeastPeak) || !std::isfinite(peak)) return;
    const auto kept_of = [&](std::size_t i) -> Index {
      if (i != largest) return -1;
      const std::span<const double> row = wanted(places[i]);
      const auto at = std::max_element(
          row.begin(), row.end(), [](double a, double b) { return std::abs(a) < std::abs(b); });
      return at - row.begin();
    };
    // Codes for a scale, and their error.
    std::vector<Vector> codes(places.size());
    const auto error_at = [&](float scale, bool descend) {
      double error = 0;
      for (std::size_t i = 0; i < places.size(); ++i) {
        const RowRounder& rounder = rounders[places[i].group];
        error += descend ? rounder.best(places[i].row, scale, kept_of(i), codes[i])
                         : rounder.swept(places[i].row, scale, kept_of(i), codes[i]);
      }
      return error;
    };
    // Floats, since codes are multiplied by floats everywhere.
    const double widest = first_scale(peak, limit, powers_of_two);
    const auto first = static_cast<float>(widest);
    float best = first;
    double least = std::numeric_limits<double>::infinity();
    for (const double share : shares) {
      const auto scale = static_cast<float>(widest * share);
      const double error = error_at(scale, false);
      if (error < least) {
        least = error;
        best = scale;
      }
    }
    if (best != first && error_at(best, true) > error_at(first, true)) best = first;
    error_at(best, true);
    for (std::size_t i = 0; i < places.size(); ++i) {
      const Place& p = places[i];
      const std::size_t columns = groups[p.group].columns;
      store(codes[i], std::span(out[p.group].codes).subspan(p.row * columns, columns));
      out[p.group].scales[p.row] = best;
    }
  };
  std::vector<Place> all;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    for (std::size_t r = 0; r < groups[g].rows(); ++r) all.push_back({g, r});
  }
  if (one_scale) {
    round_together(all);
  } else {
    for (const Place& p : all) round_together(std::span(&p, 1));
  }
  return out;
}

}  // namespace crosstate::ptq
