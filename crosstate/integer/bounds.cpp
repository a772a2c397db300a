#include "crosstate/integer/bounds.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate::integer {
namespace {

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMostSum = std::int64_t{1}
                                  << 62;  // leaves room for the half added by rounding
// Up to here pooled codes of 17 bits stay below 2^53, so that a double represents them exactly.
constexpr int kMostSteps = 36;

// The largest integer whose product with the factor is at most `most`.
std::int64_t quotient(std::int64_t most, std::int64_t factor) {
  return factor == 0 ? kMost : most / std::abs(factor);
}

std::int64_t half(std::int32_t places) { return places == 0 ? 0 : std::int64_t{1} << (places - 1); }

// The class sums of one step, and the largest integer by which the factor of a class may be
// multiplied.
struct ClassBound {
  std::int64_t per_step, most;
};
ClassBound class_bound(const IntegerNetwork& n, std::size_t k) {
  return {row_bound(n.decoder, k, magnitude(n.residual)), quotient(kMost, n.scores.first[k])};
}

// per_step 2^score_steps, the largest sum that is multiplied after a shift, fits.
bool fits_after_shift(const ClassBound& of, int score_steps) {
  if (score_steps < 0) return (of.per_step >> -score_steps) < of.most;
  return of.per_step <= (of.most - 1) >> score_steps;
}

std::string number(std::int64_t value) { return std::to_string(value); }

// Names the cause of too large products of a row: a bias that dominates the sum, or the factor.
[[noreturn]] void refuse(const std::string& where, const std::string& matrix,
                         const std::string& factors, const Requantizer& r, std::size_t row,
                         const IntegerMatrix* m, std::int64_t sum) {
  const std::string at = " at " + std::to_string(row);
  const std::string bits = " needs more than 64 bits";
  if (m != nullptr && std::abs(m->bias[row]) > sum / 2) {
    fail(where, "tensor '" + matrix + ".bias' holds " + number(m->bias[row]) + at +
                    ": a sum of up to " + number(sum) + " times " + factors +
                    ".first = " + number(r.first[row]) + bits);
  }
  fail(where, "tensor '" + factors + ".first' holds " + number(r.first[row]) + at +
                  ": the product with a sum of up to " + number(sum) + bits);
}

class Checker {
 public:
  Checker(const IntegerNetwork& n, const std::string& where)
      : n_(n), where_(where), stream_(magnitude(n.residual)) {}

  void run() const {
    matrix("encoder", n_.encoder, magnitude(n_.input), n_.encoder_codes);
    for (std::size_t l = 0; l < n_.blocks.size(); ++l) {
      block("layers." + std::to_string(l) + ".", n_.blocks[l]);
    }
    if (longest_sequence(n_) > 0) return;
    for (std::size_t k = 0; k < n_.outputs; ++k) {
      const ClassBound of = class_bound(n_, k);
      const bool held = n_.score_steps < 0 ? fits_after_shift(of, n_.score_steps)
                                           : of.per_step <= std::min(of.most, kMostSum);
      if (!held) refuse(where_, "decoder", "decoder", n_.scores, k, &n_.decoder, of.per_step);
    }
  }

 private:
  void matrix(const std::string& name, const IntegerMatrix& m, std::int64_t input,
              const Requantizer& codes) const {
    for (std::size_t o = 0; o < m.rows; ++o) {
      product(name, name, codes, o, &m, row_bound(m, o, input), 0);
    }
  }

  void block(const std::string& at, const IntegerBlock& b) const {
    for (std::size_t s = 0; s < b.shape.size(); ++s) {
      product("", at + "output", b.output, s, nullptr, output_bound(n_, b, s),
              std::abs(std::int64_t{b.d[s]}) * stream_);
    }
    if (n_.gated) matrix(at + "linear", b.linear_map, magnitude(b.activation), b.linear_codes);
    for (std::size_t h = 0; h < n_.channels; ++h) {
      product(at + "linear", at + "sum", b.sum, h, n_.gated ? nullptr : &b.linear_map,
              branch_bound(n_, b, h), stream_);
    }
  }

  void product(const std::string& matrix, const std::string& factors, const Requantizer& r,
               std::size_t row, const IntegerMatrix* m, std::int64_t p, std::int64_t q) const {
    if (!fits_64_bits(r, row, p, q)) refuse(where_, matrix, factors, r, row, m, p);
  }

  const IntegerNetwork& n_;
  const std::string& where_;
  std::int64_t stream_;
};

}  // namespace

std::int64_t magnitude(const CodeFormat& format) {
  return std::max(-std::int64_t{format.quant_min}, std::int64_t{format.quant_max});
}

std::int64_t row_bound(const IntegerMatrix& matrix, std::size_t row, std::int64_t input) {
  std::int64_t weights = 0;
  for (std::size_t i = 0; i < matrix.columns; ++i) {
    weights += std::abs(std::int64_t{matrix.weight[row * matrix.columns + i]});
  }
  return weights * input + std::abs(matrix.bias[row]);
}

std::int64_t output_bound(const IntegerNetwork& network, const IntegerBlock& block, std::size_t s) {
  std::int64_t weights = 0;
  for (std::size_t i = block.shape.first[s]; i < block.shape.first[s + 1]; ++i) {
    weights += std::abs(std::int64_t{block.cr[i]});
    if (network.complex) weights += std::abs(std::int64_t{block.ci[i]});
  }
  return weights * network.state_limit;
}

std::int64_t branch_bound(const IntegerNetwork& network, const IntegerBlock& block, std::size_t h) {
  if (network.gated) return magnitude(block.linear) * magnitude(block.gate);
  return row_bound(block.linear_map, h, magnitude(block.activation));
}

bool fits_64_bits(const Requantizer& requantizer, std::size_t row, std::int64_t p, std::int64_t q) {
  const std::int32_t early = requantizer.early_of(row);
  if (p > kMost - half(early)) return false;
  std::int64_t rest = half(requantizer.shift[row]);
  if (!requantizer.second.empty()) {
    const std::int64_t second = requantizer.second[row];
    if (q > quotient(kMost - rest, second)) return false;
    rest += q * std::abs(second);
  }
  return shifted(p, early) <= quotient(kMost - rest, requantizer.first[row]);
}

std::int64_t longest_sequence(const IntegerNetwork& network) {
  std::int64_t longest = std::int64_t{1} << kMostSteps;
  for (std::size_t k = 0; k < network.outputs; ++k) {
    const ClassBound of = class_bound(network, k);
    if (of.per_step == 0) continue;
    longest = std::min(longest, kMostSum / of.per_step);
    const int whole = network.score_steps;
    const std::int64_t as_they_are = of.most / of.per_step;
    if (whole >= kMostSteps || (whole >= 0 && as_they_are >> whole == 0)) {
      longest = std::min(longest, as_they_are);
    } else if (!fits_after_shift(of, whole)) {
      longest = std::min(longest, whole < 0 ? 0 : std::int64_t{1} << whole);
    }
  }
  // The last step alone does not increase any sum.
  return network.pool_last && longest > 0 ? kMost : longest;
}

int whole_score_steps(const IntegerNetwork& network) {
  int steps = IntegerNetwork::kEveryLength;
  for (std::size_t k = 0; k < network.outputs; ++k) {
    const ClassBound of = class_bound(network, k);
    if (of.per_step == 0 || network.scores.first[k] == 0) continue;
    while (!fits_after_shift(of, steps)) --steps;
  }
  return steps;
}

void require_scale(double scale, const std::string& where) {
  if (scale >= 0x1p-126 && scale <= 0x1p126) return;
  fail(where, "scale = " + rounded_text(scale, 9) +
                  ", expected 2^-126 to 2^126: binary32 must represent it and its inverse");
}

void require_64_bits(const IntegerNetwork& network, const std::string& where) {
  Checker(network, where).run();
}

void require_length(const IntegerNetwork& network, std::size_t steps, const std::string& where,
                    const std::string& data) {
  const std::int64_t longest = longest_sequence(network);
  if (static_cast<std::uint64_t>(steps) <= static_cast<std::uint64_t>(longest)) return;
  fail(where, "class scores are proven to fit in 64 bits for sequences of up to " +
                  std::to_string(longest) + " steps, but " + data + " has " +
                  std::to_string(steps));
}

void require_length(const IntegerNetwork& network, const data::Dataset& set,
                    const std::string& where) {
  std::size_t steps = 0;
  for (std::size_t i = 0; i < set.count; ++i) steps = std::max(steps, set.length_of(i));
  require_length(network, steps, where, "a sequence of " + set.name);
}

void require_room(std::int64_t steps, std::int64_t longest) {
  if (steps < longest) return;
  fail("sequence", "more than " + std::to_string(longest) +
                       " steps, up to which class scores are proven to fit in 64 bits");
}

}  // namespace crosstate::integer
