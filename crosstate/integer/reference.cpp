#include "crosstate/integer/reference.h"

#include <algorithm>
#include <cmath>

#include "crosstate/integer/bounds.h"
#include "crosstate/kernels/state_draws.h"
#include "crosstate/quant/poles.h"

namespace crosstate::integer {
namespace {

void see(std::int64_t& peak, std::int64_t value) { peak = std::max(peak, std::abs(value)); }

// Counts the non-zero codes.
template <class T>
void see_codes(CodeActivity::Counts& counts, const std::vector<T>& codes) {
  for (std::size_t i = 0; i < codes.size(); ++i) counts[i] += codes[i] != 0 ? 1 : 0;
}

std::int64_t row_sum(const IntegerMatrix& m, std::size_t row, const std::vector<std::int32_t>& x) {
  std::int64_t sum = m.bias[row];
  for (std::size_t i = 0; i < m.columns; ++i) {
    sum += std::int64_t{m.weight[row * m.columns + i]} * x[i];
  }
  return sum;
}

// Requantizes the sums of a row, of any magnitude.
std::int64_t scaled(const Requantizer& r, std::size_t row, std::int64_t p, std::int64_t q) {
  std::int64_t sum = shifted(p, r.early_of(row)) * r.first[row];
  if (!r.second.empty()) sum += q * r.second[row];
  return shifted(sum, r.shift[row]);
}

std::int32_t clip(std::int64_t value, const CodeFormat& to, CodeUsage::Site& site) {
  const auto code = std::clamp<std::int64_t>(value, to.quant_min, to.quant_max);
  site.add(code != value);
  return static_cast<std::int32_t>(code);
}

// A real input in steps of its format, of any magnitude.
float input_steps(const CodeFormat& format, float x) {
  const float inverse = 1.0f / static_cast<float>(format.scale);
  return std::floor(x * inverse + 0.5f);
}

}  // namespace

std::int32_t input_code(const CodeFormat& format, float x) {
  const float steps = input_steps(format, x);
  if (!(steps > static_cast<float>(format.quant_min))) return format.quant_min;
  if (steps > static_cast<float>(format.quant_max)) return format.quant_max;
  return static_cast<std::int32_t>(steps);
}

std::vector<float> IntegerResult::logits() const {
  std::vector<float> out;
  for (const std::int64_t score : scores) {
    const double sum = std::ldexp(static_cast<double>(score), -shift);
    out.push_back(static_cast<float>(sum / static_cast<double>(count)));
  }
  return out;
}

std::size_t IntegerResult::best() const {
  return static_cast<std::size_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
}

IntegerResult scored(const IntegerNetwork& network, std::span<const std::int64_t> sums,
                     std::int64_t steps) {
  IntegerResult result;
  result.count = network.pool_last ? 1 : steps;
  const std::int32_t early = network.early_score_shift(result.count);
  result.shift = network.scores.shift[0] - early;
  for (std::size_t k = 0; k < sums.size(); ++k) {
    result.scores.push_back(shifted(sums[k], early) * network.scores.first[k]);
  }
  return result;
}

ReferenceExecutor::ReferenceExecutor(const IntegerNetwork& network)
    : n_(network), longest_(longest_sequence(network)) {
  peaks_.blocks.resize(n_.blocks.size());
  usage_.blocks.resize(n_.blocks.size());
  activity_.input.assign(n_.inputs, 0);
  activity_.pooled.assign(n_.channels, 0);
  activity_.blocks.resize(n_.blocks.size());
  for (std::size_t l = 0; l < n_.blocks.size(); ++l) {
    const model::BlockShape& shape = n_.blocks[l].shape;
    usage_.blocks[l].largest.assign(shape.modes(), 0);
    CodeActivity::Block& b = activity_.blocks[l];
    for (auto* counts : {&b.residual, &b.gate}) counts->assign(n_.channels, 0);
    b.activation.assign(shape.size(), 0);
    for (auto* counts : {&b.before_re, &b.before_im, &b.after_re, &b.after_im}) {
      counts->assign(shape.modes(), 0);
    }
  }
  reset();
}

void ReferenceExecutor::reset() {
  state_.clear();
  for (const IntegerBlock& b : n_.blocks) state_.emplace_back(b.shape.modes());
  h_.assign(n_.channels, 0);
  pooled_.assign(n_.channels, 0);
  steps_ = 0;
}

void ReferenceExecutor::step(std::span<const std::int32_t> input) {
  require_room(steps_, longest_);
  const std::vector<std::int32_t> x(input.begin(), input.end());
  see_codes(activity_.input, x);
  for (std::size_t h = 0; h < n_.channels; ++h) {
    const std::int64_t sum = row_sum(n_.encoder, h, x);
    see(peaks_.encoder, sum);
    h_[h] = clip(scaled(n_.encoder_codes, h, sum, 0), n_.residual, usage_.residual);
  }
  for (std::size_t l = 0; l < n_.blocks.size(); ++l) block(l);
  for (std::size_t h = 0; h < n_.channels; ++h) {
    pooled_[h] = n_.pool_last ? h_[h] : pooled_[h] + h_[h];
  }
  ++steps_;
  ++activity_.steps;
}

void ReferenceExecutor::round(std::int64_t sum, std::uint32_t draw, int residue_bits, Part& part,
                              CodeUsage::Site& site) const {
  static_assert(kernels::kStateDrawBits == quant::kPoleFraction);
  const std::int64_t limit = n_.state_limit, half = std::int64_t{1} << (quant::kPoleFraction - 1);
  const bool stochastic = n_.state_rounding == kernels::RoundingMode::kStochastic;
  // A noise-shaped sum is rounded to the register first.
  const bool shaped = n_.state_rounding == kernels::RoundingMode::kNoiseShaped;
  const std::int32_t places = shaped ? quant::kPoleFraction - residue_bits : 0;
  const std::int64_t reg = shifted(sum, places);
  std::int64_t nearest = (sum + (stochastic ? std::int64_t{draw} : half)) >> quant::kPoleFraction;
  if (shaped) nearest = shifted(reg, residue_bits);
  part.x = std::clamp(nearest, -limit, limit);
  site.add(part.x != nearest);
  if (!shaped) return;
  part.residue = part.x == nearest ? (reg - (nearest << residue_bits)) << places : 0;
}

void ReferenceExecutor::block(std::size_t l) {
  const IntegerBlock& b = n_.blocks[l];
  AccumulatorPeaks::Block& peaks = peaks_.blocks[l];
  CodeUsage::Block& usage = usage_.blocks[l];
  CodeActivity::Block& active = activity_.blocks[l];
  see_codes(active.residual, h_);
  const std::size_t H = n_.channels, first_mode = n_.first_mode(l);
  std::vector<std::int32_t> a(b.shape.size());
  for (std::size_t s = 0; s < a.size(); ++s) {
    const std::int64_t u = h_[b.shape.channels[s]];
    std::int64_t out = 0;
    for (std::size_t i = b.shape.first[s]; i < b.shape.first[s + 1]; ++i) {
      auto& [re, im] = state_[l][i];
      active.before_re[i] += re.x != 0 ? 1 : 0;
      active.before_im[i] += im.x != 0 ? 1 : 0;
      const std::int64_t in = u << b.input_shift[i];
      std::int64_t real = b.ar[i] * re.x + in + re.residue, imaginary = 0;
      if (n_.complex) {
        real -= b.ai[i] * im.x;
        imaginary = b.ai[i] * re.x + b.ar[i] * im.x + im.residue;
      }
      see(peaks.advance, real);
      see(peaks.advance, imaginary);
      const std::uint32_t key =
          kernels::state_key(kernels::kDeployedSeed, static_cast<std::uint32_t>(first_mode + i));
      const kernels::StateDraw draw = kernels::state_draw(key, static_cast<std::uint32_t>(steps_));
      const int residue = b.residue_bits.empty() ? 0 : b.residue_bits[i];
      round(real, draw.re, residue, re, usage.state);
      if (n_.complex) round(imaginary, draw.im, residue, im, usage.state);
      active.after_re[i] += re.x != 0 ? 1 : 0;
      active.after_im[i] += im.x != 0 ? 1 : 0;
      see(usage.largest[i], re.x);
      see(usage.largest[i], im.x);
      peaks.state = std::max(peaks.state, usage.largest[i]);
      out += b.cr[i] * re.x;
      if (n_.complex) out -= b.ci[i] * im.x;
    }
    see(peaks.output, out);
    const std::int32_t y =
        clip(scaled(b.output, s, out, b.d[s] * u), b.ssm_output, usage.ssm_output);
    a[s] = b.activation_table[static_cast<std::size_t>(y - b.ssm_output.quant_min)];
  }

  see_codes(active.activation, a);

  std::vector<std::int64_t> sums(b.linear_map.rows);
  for (std::size_t o = 0; o < sums.size(); ++o) {
    sums[o] = row_sum(b.linear_map, o, a);
    see(peaks.linear, sums[o]);
  }
  for (std::size_t h = 0; h < H; ++h) {
    std::int64_t value = sums[h];
    if (n_.gated) {
      const auto linear = [&](std::size_t o) {
        return clip(scaled(b.linear_codes, o, sums[o], 0), b.linear, usage.linear);
      };
      const std::int32_t z = linear(h), s = linear(H + h);
      const std::int32_t gate = b.gate_table[static_cast<std::size_t>(s - b.linear.quant_min)];
      active.gate[h] += gate != 0 ? 1 : 0;
      value = std::int64_t{z} * gate;
    }
    h_[h] = clip(scaled(b.sum, h, value, h_[h]), n_.residual, usage_.residual);
  }
}

IntegerResult ReferenceExecutor::result() const {
  const std::int64_t count = n_.pool_last ? 1 : steps_;
  see_codes(activity_.pooled, pooled_);
  ++activity_.results;
  std::vector<std::int64_t> sums;
  for (std::size_t k = 0; k < n_.outputs; ++k) {
    std::int64_t sum = count * n_.decoder.bias[k];
    for (std::size_t h = 0; h < n_.channels; ++h) {
      sum += n_.decoder.weight[k * n_.channels + h] * pooled_[h];
    }
    see(peaks_.decoder, sum);
    sums.push_back(sum);
  }
  return scored(n_, sums, steps_);
}

IntegerResult ReferenceExecutor::run(std::span<const float> values, std::size_t steps) {
  return read(values, steps).back();
}

std::vector<IntegerResult> ReferenceExecutor::read(std::span<const float> values,
                                                   std::size_t steps) {
  reset();
  std::vector<IntegerResult> results;
  std::vector<std::int32_t> codes(n_.inputs);
  for (std::size_t t = 0; t < steps; ++t) {
    for (std::size_t i = 0; i < n_.inputs; ++i) {
      const float x = values[t * n_.inputs + i];
      codes[i] = input_code(n_.input, x);
      usage_.input.add(input_steps(n_.input, x) != static_cast<float>(codes[i]));
    }
    step(codes);
    if (n_.every_step || t + 1 == steps) results.push_back(result());
  }
  return results;
}

}  // namespace crosstate::integer
