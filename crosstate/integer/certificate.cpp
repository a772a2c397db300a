#include "crosstate/integer/certificate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>

#include "crosstate/quant/poles.h"

namespace crosstate {
namespace {

constexpr double kFloatExact = 1 << 24;                   // whole numbers that a float holds
constexpr double kDoubleExact = 9007199254740992.0 / 2;   // 2^52: a sum and the half added to it
constexpr double kInt32 = 2147483647.0, kInt64 = 4.6e18;  // the latter with a margin for halves

double magnitude(const CodeFormat& f) {
  return std::max(std::abs(static_cast<double>(f.low)), static_cast<double>(f.high));
}

double row_bound(const IntegerMatrix& m, std::size_t row, double input) {
  double sum = std::abs(static_cast<double>(m.bias[row]));
  for (std::size_t i = 0; i < m.columns; ++i) {
    sum += std::abs(static_cast<double>(m.weight[row * m.columns + i])) * input;
  }
  return sum;
}

// |p first + q second + half|
double product_bound(const Requantizer& r, std::size_t row, double p, double q) {
  double sum = p * std::abs(static_cast<double>(r.first[row]));
  if (!r.second.empty()) sum += q * std::abs(static_cast<double>(r.second[row]));
  return sum + std::exp2(r.shift[row] - 1);
}

class Certifier {
 public:
  explicit Certifier(const IntegerNetwork& n) : n_(n) {}

  Certificate run() {
    out_.fits_int32 = out_.fits_int64 = out_.exact_in_float = true;
    const double stream = magnitude(n_.residual), input = magnitude(n_.input);
    matrix("encoder", n_.encoder, input, &n_.encoder_codes);
    for (std::size_t l = 0; l < n_.blocks.size(); ++l) {
      block("layers." + std::to_string(l) + ".", n_.blocks[l], stream);
    }
    double most = 0, scored = 0;
    for (std::size_t k = 0; k < n_.classes; ++k) {
      const double per_step = row_bound(n_.decoder, k, stream);
      most = std::max(most, per_step);
      scored = std::max(scored, per_step * std::abs(static_cast<double>(n_.scores.first[k])));
    }
    sum("decoder, per step", most);
    out_.longest_sequence = static_cast<std::int64_t>(
        std::min(kInt64 / std::max(1.0, scored), kDoubleExact / std::max(1.0, most)));
    return std::move(out_);
  }

 private:
  void record(const std::string& name, double bound) {
    const double held = std::min(bound, 9.2e18);
    out_.accumulators.push_back({name, static_cast<std::int64_t>(std::ceil(held))});
  }
  void not_exact(const std::string& name) {
    out_.exact_in_float = false;
    if (out_.obstacle.empty()) out_.obstacle = name;
  }
  // An accumulator of codes; `unit`: how many parts of its last place a float must hold, 0: none.
  void sum(const std::string& name, double bound, double unit = 1) {
    record(name, bound);
    out_.fits_int32 = out_.fits_int32 && bound <= kInt32;
    out_.fits_int64 = out_.fits_int64 && bound <= kInt64;
    if (bound * unit >= kFloatExact) not_exact(name);
  }
  // A x + b u. A float also has to hold the half place that decides ties, which it does below
  // 2^23 places. Beyond, only b u + offset can have taken the sum, b u alone being exact at any
  // size; if the rest cannot bring it back among the codes, the state saturates either way.
  void state_sum(const std::string& name, double bound, double rest) {
    constexpr double kExact = kFloatExact / 2;
    const double saturated = std::ldexp(n_.state_limit + 1.0, kPoleFraction);
    sum(name, bound, kExact - rest >= saturated ? 0 : kFloatExact / kExact);
  }
  void product(const std::string& name, double bound) {
    record(name, bound);
    out_.fits_int64 = out_.fits_int64 && bound <= kInt64;
    if (bound >= kDoubleExact) not_exact(name);
  }

  void matrix(const std::string& name, const IntegerMatrix& m, double input,
              const Requantizer* codes) {
    double most = 0, scaled = 0;
    for (std::size_t o = 0; o < m.rows; ++o) {
      const double bound = row_bound(m, o, input);
      most = std::max(most, bound);
      if (codes != nullptr) scaled = std::max(scaled, product_bound(*codes, o, bound, 0));
    }
    sum(name, most);
    if (codes != nullptr) product(name + " requantized", scaled);
  }

  void block(const std::string& at, const IntegerBlock& b, double stream) {
    const double limit = n_.state_limit;
    // What rounding adds: half a step, the draw, or the residue and half a step.
    const double offset = std::exp2(kPoleFraction - (nearest() ? 1 : 0));
    double advance = 0, recurrent = 0, output = 0, scaled = 0, through = 0;
    for (std::size_t h = 0; h < b.shape.size(); ++h) {
      double y = 0;
      for (std::size_t i = b.shape.first[h]; i < b.shape.first[h + 1]; ++i) {
        const double ai = n_.complex ? std::abs(b.ai[i]) : 0;
        const double parts = (std::abs(b.ar[i]) + ai) * limit;
        recurrent = std::max(recurrent, parts);
        advance = std::max(advance, parts + std::ldexp(stream, b.input_shift[i]) + offset);
        y += (std::abs(b.cr[i]) + (n_.complex ? std::abs(b.ci[i]) : 0)) * limit;
      }
      output = std::max(output, y);
      const double d = std::abs(static_cast<double>(b.d[h])) * stream;
      through = std::max(through, d);
      scaled = std::max(scaled, product_bound(b.output, h, y, d));
    }
    state_sum(at + "state", advance, recurrent + offset);
    sum(at + "output", output);
    sum(at + "D u", through);
    product(at + "output requantized", scaled);
    states(b, stream);

    const double a = magnitude(b.activation);
    matrix(at + "linear", b.linear_map, a, n_.gated ? &b.linear_codes : nullptr);
    double most = 0, sums = 0;
    for (std::size_t h = 0; h < n_.channels; ++h) {
      const double value =
          n_.gated ? magnitude(b.linear) * magnitude(b.gate) : row_bound(b.linear_map, h, a);
      most = std::max(most, value);
      sums = std::max(sums, product_bound(b.sum, h, value, stream));
    }
    if (n_.gated) sum(at + "gate", most);
    product(at + "sum requantized", sums);
  }

  void states(const IntegerBlock& b, double stream) {
    StateBound bound;
    bound.modes = b.ar.size();
    for (std::size_t i = 0; i < b.ar.size(); ++i) {
      const std::complex<double> a(
          std::ldexp(static_cast<double>(b.ar[i]), -kPoleFraction),
          n_.complex ? std::ldexp(static_cast<double>(b.ai[i]), -kPoleFraction) : 0.0);
      const double x =
          l1(a) * std::ldexp(stream, b.input_shift[i] - kPoleFraction) + rounding_error(a);
      bound.never_saturate += x < n_.state_limit + 0.5 ? 1 : 0;
      bound.largest = std::max(bound.largest, x / n_.state_limit);
    }
    out_.states.push_back(bound);
  }

  bool nearest() const { return n_.state_rounding == RoundingMode::kNearest; }

  // The sum of all that rounding one state has added. With feedback the errors of successive steps
  // cancel but for what A changes: -e_k + (1 - A) sum A^j e_{k-1-j}.
  double rounding_error(std::complex<double> a) const {
    const double one = n_.complex ? std::sqrt(0.5) : 0.5, memory = 1 / (1 - std::abs(a));
    switch (n_.state_rounding) {
      case RoundingMode::kNearest:
        return one * memory;
      case RoundingMode::kStochastic:
        return 2 * one * memory;
      case RoundingMode::kFeedback:
        return one * (1 + std::abs(1.0 - a) * memory);
    }
    return 0;
  }

  // The larger of sum |Re a^k| and sum |Im a^k|; what is left out is added as a geometric series.
  static double l1(std::complex<double> a) {
    const double modulus = std::abs(a);
    std::complex<double> power = 1;
    double re = 0, im = 0;
    for (int k = 0; k < 100000 && std::abs(power) > 1e-6; ++k) {
      re += std::abs(power.real());
      im += std::abs(power.imag());
      power *= a;
    }
    return std::max(re, im) + std::abs(power) / (1 - modulus);
  }

  const IntegerNetwork& n_;
  Certificate out_;
};

}  // namespace

int AccumulatorBound::bits() const {
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(bound))) + 1;
}

Certificate certify(const IntegerNetwork& network) { return Certifier(network).run(); }

}  // namespace crosstate
