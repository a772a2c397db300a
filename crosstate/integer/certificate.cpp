#include "crosstate/integer/certificate.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>

#include "crosstate/base/complex.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/quant/poles.h"

namespace crosstate::integer {
namespace {

using crosstate::magnitude;

constexpr double kFloatExact =
    1 << 24;  // largest power of two up to which a float represents all integers
constexpr double kDoubleExact = 9007199254740992.0 / 2;  // 2^52: a sum plus the half added to it
constexpr double kInt32 = 2147483647.0;

// Largest magnitudes of one kind of requantizer over all rows.
struct Products {
  double bound = 0;         // of shifted(p) first + q second + half
  bool fits = true;         // 64 bits
  bool as_they_are = true;  // no row shifts p first, which lanes do not do

  void add(const Requantizer& r, std::size_t row, std::int64_t p, std::int64_t q) {
    double sum = static_cast<double>(shifted(p, r.early_of(row))) *
                 std::abs(static_cast<double>(r.first[row]));
    if (!r.second.empty()) {
      sum += static_cast<double>(q) * std::abs(static_cast<double>(r.second[row]));
    }
    bound = std::max(bound, sum + std::exp2(r.shift[row] - 1));
    fits = fits && fits_64_bits(r, row, p, q);
    as_they_are = as_they_are && r.early_of(row) == 0;
  }
};

class Certifier {
 public:
  // `states`: whether to compute their bounds; `state_sums`: whether lanes compute their sums.
  Certifier(const IntegerNetwork& n, bool states, bool state_sums = true)
      : n_(n), states_(states), state_sums_(state_sums) {}

  Certificate run() {
    out_.fits_int32 = out_.fits_int64 = out_.exact_in_float = true;
    const std::int64_t stream = magnitude(n_.residual);
    matrix("encoder", n_.encoder, magnitude(n_.input), &n_.encoder_codes);
    for (std::size_t l = 0; l < n_.blocks.size(); ++l) {
      block("layers." + std::to_string(l) + ".", n_.blocks[l], stream);
    }
    std::int64_t most = 0;
    for (std::size_t k = 0; k < n_.outputs; ++k) {
      most = std::max(most, row_bound(n_.decoder, k, stream));
    }
    sum("decoder, per step", most);
    out_.longest_sequence = longest_sequence(n_);
    out_.fits_int64 = out_.fits_int64 && out_.longest_sequence > 0;
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
  // An accumulator of codes; `unit`: fractions of its last place that a float must represent, 0:
  // none.
  void sum(const std::string& name, std::int64_t exact, double unit = 1) {
    const auto bound = static_cast<double>(exact);
    record(name, bound);
    out_.fits_int32 = out_.fits_int32 && bound <= kInt32;
    if (bound * unit >= kFloatExact) not_exact(name);
  }
  // A x + b u. A float also has to represent the half place that resolves ties, which it does below
  // 2^23 places. Above that, only b u + offset can have caused the large sum, and b u alone is
  // exact at any magnitude; if the other terms cannot bring the sum back into the range of the
  // codes, the state saturates in any case. Noise-shaped sums start at an origin that leaves 22
  // bits (kernels/residue.h).
  void state_sum(const std::string& name, std::int64_t bound, double rest) {
    if (!state_sums_) return sum(name, bound, 0);
    if (n_.state_rounding == kernels::RoundingMode::kNoiseShaped) {
      sum(name, bound, 0);
      if (n_.state_limit > 127 || rest >= kFloatExact / 4) not_exact(name);
      return;
    }
    constexpr double kExact = kFloatExact / 2;
    const double saturated = std::ldexp(n_.state_limit + 1.0, quant::kPoleFraction);
    sum(name, bound, kExact - rest >= saturated ? 0 : kFloatExact / kExact);
  }
  void products(const std::string& name, const Products& of) {
    record(name, of.bound);
    out_.fits_int64 = out_.fits_int64 && of.fits;
    if (of.bound >= kDoubleExact || !of.as_they_are) not_exact(name);
  }

  void matrix(const std::string& name, const IntegerMatrix& m, std::int64_t input,
              const Requantizer* codes) {
    std::int64_t most = 0;
    Products scaled;
    for (std::size_t o = 0; o < m.rows; ++o) {
      const std::int64_t bound = row_bound(m, o, input);
      most = std::max(most, bound);
      if (codes != nullptr) scaled.add(*codes, o, bound, 0);
    }
    sum(name, most);
    if (codes != nullptr) products(name + " requantized", scaled);
  }

  void block(const std::string& at, const IntegerBlock& b, std::int64_t stream) {
    const std::int64_t limit = n_.state_limit;
    std::int64_t advance = 0, recurrent = 0, output = 0, through = 0;
    Products scaled;
    for (std::size_t h = 0; h < b.shape.size(); ++h) {
      for (std::size_t i = b.shape.first[h]; i < b.shape.first[h + 1]; ++i) {
        const std::int64_t ai = n_.complex ? std::abs(std::int64_t{b.ai[i]}) : 0;
        const std::int64_t parts =
            (std::abs(std::int64_t{b.ar[i]}) + ai) * limit + rounding_offset(b, i);
        recurrent = std::max(recurrent, parts);
        advance = std::max(advance, parts + (stream << b.input_shift[i]));
      }
      const std::int64_t y = output_bound(n_, b, h), d = std::abs(std::int64_t{b.d[h]}) * stream;
      output = std::max(output, y);
      through = std::max(through, d);
      scaled.add(b.output, h, y, d);
    }
    state_sum(at + "state", advance, static_cast<double>(recurrent));
    sum(at + "output", output);
    sum(at + "D u", through);
    products(at + "output requantized", scaled);
    if (states_) states(b, static_cast<double>(stream));

    matrix(at + "linear", b.linear_map, magnitude(b.activation),
           n_.gated ? &b.linear_codes : nullptr);
    std::int64_t most = 0;
    Products sums;
    for (std::size_t h = 0; h < n_.channels; ++h) {
      const std::int64_t value = branch_bound(n_, b, h);
      most = std::max(most, value);
      sums.add(b.sum, h, value, stream);
    }
    if (n_.gated) sum(at + "gate", most);
    products(at + "sum requantized", sums);
  }

  void states(const IntegerBlock& b, double stream) {
    StateBound bound;
    bound.modes = b.ar.size();
    for (std::size_t s = 0; s < b.shape.size(); ++s) {
      double output = 0;
      for (std::size_t i = b.shape.first[s]; i < b.shape.first[s + 1]; ++i) {
        const std::complex<double> a(
            std::ldexp(static_cast<double>(b.ar[i]), -quant::kPoleFraction),
            n_.complex ? std::ldexp(static_cast<double>(b.ai[i]), -quant::kPoleFraction) : 0.0);
        const double error = rounding_error(a, residue_bits(b, i));
        const double x =
            l1(a) * std::ldexp(stream, b.input_shift[i] - quant::kPoleFraction) + error;
        bound.never_saturate += x < n_.state_limit + 0.5 ? 1 : 0;
        bound.largest = std::max(bound.largest, x / n_.state_limit);
        bound.state_error = std::max(bound.state_error, error);
        const double c = b.cr[i];
        output += (n_.complex ? magnitude(c, static_cast<double>(b.ci[i])) : std::abs(c)) * error;
      }
      const double factor =
          std::ldexp(std::abs(static_cast<double>(b.output.first[s])), -b.output.places(s));
      bound.output_error = std::max(bound.output_error, output * factor);
    }
    out_.states.push_back(bound);
  }

  // 0 for states that are not noise-shaped.
  static int residue_bits(const IntegerBlock& b, std::size_t mode) {
    return b.residue_bits.empty() ? 0 : b.residue_bits[mode];
  }

  // Largest addend of rounding in a sum of a state: half a step, the draw, or the residue and the
  // constants that are added with it.
  std::int64_t rounding_offset(const IntegerBlock& b, std::size_t mode) const {
    constexpr std::int64_t kStep = std::int64_t{1} << quant::kPoleFraction;
    const int residue = residue_bits(b, mode);
    if (n_.state_rounding == kernels::RoundingMode::kStochastic) return kStep;
    if (residue == 0) return kStep / 2;
    return kStep + (residue < quant::kPoleFraction ? kStep / 2 >> residue : 0);
  }

  // The sum of all rounding errors of one state. In a noise-shaped state the errors of successive
  // steps cancel except for the change by A, -e_k + (1 - A) sum A^j e_{k-1-j}; the rounding errors
  // of its register do not cancel.
  double rounding_error(std::complex<double> a, int residue_bits) const {
    const double one = n_.complex ? std::sqrt(0.5) : 0.5, memory = 1 / (1 - magnitude(a));
    if (n_.state_rounding == kernels::RoundingMode::kStochastic) return 2 * one * memory;
    if (residue_bits == 0) return one * memory;
    const double place = residue_bits < quant::kPoleFraction ? std::ldexp(1.0, -residue_bits) : 0.0;
    return one * (1 + (magnitude(1.0 - a) + place) * memory);
  }

  // The larger of sum |Re a^k| and sum |Im a^k|; the remainder is added as a geometric series.
  static double l1(std::complex<double> a) {
    const double modulus = magnitude(a);
    std::complex<double> power = 1;
    double re = 0, im = 0;
    for (int k = 0; k < 100000 && magnitude(power) > 1e-6; ++k) {
      re += std::abs(power.real());
      im += std::abs(power.imag());
      power *= a;
    }
    return std::max(re, im) + magnitude(power) / (1 - modulus);
  }

  const IntegerNetwork& n_;
  bool states_, state_sums_;
  Certificate out_;
};

}  // namespace

int AccumulatorBound::bits() const {
  return static_cast<int>(std::bit_width(static_cast<std::uint64_t>(bound))) + 1;
}

Certificate certify(const IntegerNetwork& network) { return Certifier(network, true).run(); }

bool exact_in_float(const IntegerNetwork& network, bool states) {
  return Certifier(network, false, states).run().exact_in_float;
}

}  // namespace crosstate::integer
