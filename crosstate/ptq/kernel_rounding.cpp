#include "crosstate/ptq/kernel_rounding.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "crosstate/base/complex.h"
#include "crosstate/base/eigen.h"
#include "crosstate/quant/poles.h"
#include "crosstate/quant/weights.h"

namespace crosstate::ptq {
namespace {

using Complex = std::complex<double>;
using Eigen::Index;

constexpr std::size_t kMostColumns = 4096;  // samples of a response
constexpr std::size_t kCached = 64;
constexpr double kRidge = 1e-6;
constexpr int kMostRounds = 4;
constexpr double kLeastGain = 1e-3;  // of a move, relative to the error

double product(const std::vector<double>& a, const std::vector<double>& b) {
  return Eigen::Map<const Eigen::VectorXd>(a.data(), static_cast<Index>(a.size()))
      .dot(Eigen::Map<const Eigen::VectorXd>(b.data(), static_cast<Index>(b.size())));
}

// The poles after quantization.
std::vector<Complex> rounded(std::span<const Complex> poles, const quant::PoleSite& site) {
  const quant::QuantizedPoles fixed = quant::quantize_poles(poles, site);
  std::vector<Complex> values;
  for (std::size_t i = 0; i < poles.size(); ++i) {
    values.emplace_back(quant::pole_value(fixed.re[i]), quant::pole_value(fixed.im[i]));
  }
  return values;
}

}  // namespace

KernelFit::KernelFit(std::span<const model::DiscreteMode> modes, bool complex,
                     const AlignedFloats& inputs, int c_bits)
    : complex_(complex),
      steps_(inputs.size() / kLanes),
      stride_(std::max<std::size_t>(1, inputs.size() / kMostColumns)),
      columns_((steps_ + stride_ - 1) / stride_ * kLanes),
      inputs_(inputs),
      limit_(quant::largest_code(std::max(c_bits, 2))) {
  response_.assign(columns_, 0);
  for (const model::DiscreteMode& m : modes) {
    const Mode states = run(m.a);
    for (std::size_t k = 0; k < columns_; ++k) {
      double y = m.c.real() * states.re[k];
      if (complex_) y += m.c.imag() * states.im[k];
      response_[k] += y;
    }
  }
  power_ = product(response_, response_);
}

KernelFit::Mode KernelFit::run(Complex pole) const {
  Mode mode{pole, std::vector<double>(columns_), std::vector<double>(complex_ ? columns_ : 0)};
  const auto ar = static_cast<float>(pole.real()), ai = static_cast<float>(pole.imag());
  std::array<float, kLanes> re{}, im{};
  for (std::size_t t = 0; t < steps_; ++t) {
    const float* const u = inputs_.data() + t * kLanes;
    for (std::size_t k = 0; k < kLanes; ++k) {
      const float next = ar * re[k] - ai * im[k] + u[k];
      im[k] = ai * re[k] + ar * im[k];
      re[k] = next;
    }
    if (t % stride_ != 0) continue;
    const std::size_t at = t / stride_ * kLanes;
    std::copy(re.begin(), re.end(), mode.re.begin() + static_cast<std::ptrdiff_t>(at));
    if (!complex_) continue;
    for (std::size_t k = 0; k < kLanes; ++k) mode.im[at + k] = -im[k];
  }
  return mode;
}

const KernelFit::Mode& KernelFit::mode(Complex pole) const {
  const auto found =
      std::find_if(cache_.begin(), cache_.end(), [&](const Mode& m) { return m.pole == pole; });
  if (found != cache_.end()) return *found;
  return cache_.emplace_back(run(pole));
}

double KernelFit::error(std::span<const Complex> poles) const {
  if (poles.empty()) return power_ / static_cast<double>(columns_);
  if (cache_.size() > kCached) cache_.clear();
  // Pointers into the cache have to stay valid while the modes of one set are looked up.
  cache_.reserve(kCached + 1 + poles.size());
  const std::size_t parts = complex_ ? 2 : 1;
  std::vector<const std::vector<double>*> states;
  for (const Complex pole : poles) {
    const Mode& m = mode(pole);
    states.push_back(&m.re);
    if (complex_) states.push_back(&m.im);
  }
  // Sets that follow each other differ in few poles.
  const std::size_t n = states.size();
  const bool same_size = last_.size() == poles.size();
  if (!same_size) {
    gram_.assign(n * n, 0);
    cross_.assign(n, 0);
  }
  for (std::size_t i = 0; i < n; ++i) {
    const auto is_new = [&](std::size_t k) {
      return !same_size || last_[k / parts] != poles[k / parts];
    };
    for (std::size_t j = 0; j <= i; ++j) {
      if (!is_new(i) && !is_new(j)) continue;
      gram_[i * n + j] = gram_[j * n + i] = product(*states[i], *states[j]);
    }
    if (is_new(i)) cross_[i] = product(*states[i], response_);
  }
  last_.assign(poles.begin(), poles.end());
  const auto count = static_cast<Index>(n);
  const Eigen::Map<const Eigen::MatrixXd> gram(gram_.data(), count, count);
  const Eigen::Map<const Eigen::VectorXd> cross(cross_.data(), count);
  Eigen::MatrixXd ridged = gram;
  ridged.diagonal() += kRidge * gram.diagonal() + Eigen::VectorXd::Constant(count, 1e-30);
  const Eigen::VectorXd c = ridged.ldlt().solve(cross);
  const double left = std::max(0.0, power_ - 2 * c.dot(cross) + c.dot(gram * c));
  const double step = c.cwiseAbs().maxCoeff() / limit_;
  return (left + gram.trace() * step * step / 12) / static_cast<double>(columns_);
}

std::vector<Complex> choose_poles(std::span<const model::DiscreteMode> modes, bool complex,
                                  const AlignedFloats& inputs, const quant::PoleSite& site,
                                  int c_bits) {
  const KernelFit fit(modes, complex, inputs, c_bits);
  std::vector<Complex> poles;
  for (const model::DiscreteMode& m : modes) poles.push_back(m.a);
  std::vector<Complex> codes = rounded(poles, site);
  double error = fit.error(codes);
  // Directions of moves: of decay and phase, or of both parts.
  const bool cartesian = !quant::is_decoded(site.coding);
  std::vector<Complex> directions = {{1, 0}, {-1, 0}};
  if (complex) directions.insert(directions.end(), {{0, 1}, {0, -1}});
  for (int round = 0; round < kMostRounds; ++round) {
    bool moved = false;
    for (std::size_t i = 0; i < poles.size(); ++i) {
      const Complex start = poles[i];
      Complex best = start;
      for (const Complex direction : directions) {
        // The first code in this direction, which is within twice its distance.
        for (double step = 0x1p-14; step < 0.3; step *= 2) {
          const Complex turn = cartesian || start == 0.0 ? Complex(1) : start / magnitude(start);
          const Complex moving = start + step * direction * turn;
          if (!(magnitude(moving) < 1)) break;
          // Parameters of a mode hold no pole of 0 and, if real, none beyond it.
          if (moving == 0.0) continue;
          if (!complex && moving.real() * start.real() <= 0) break;
          poles[i] = moving;
          const std::vector<Complex> others = rounded(poles, site);
          poles[i] = best;
          if (others == codes) continue;
          const double candidate = fit.error(others);
          if (candidate < error * (1 - kLeastGain)) {
            error = candidate;
            best = moving;
          }
          break;
        }
      }
      poles[i] = best;
      if (best == start) continue;
      codes = rounded(poles, site);
      moved = true;
    }
    if (!moved) break;
  }
  return poles;
}

}  // namespace crosstate::ptq
