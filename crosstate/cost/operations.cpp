#include "crosstate/cost/operations.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/cost/memory.h"

namespace crosstate::cost {
namespace {

// Bits of a sum of `steps` codes of `bits` bits in pooling.
int pooled_width(int bits, std::uint64_t steps) {
  return std::min(kAccumulatorWidth, bits + static_cast<int>(std::bit_width(steps)));
}

struct OperationName {
  const char* name;
  bool in_block;
};

OperationName name_of(Operation operation) {
  switch (operation) {
    case Operation::kEncoder:
      return {"encoder", false};
    case Operation::kPoles:
      return {"A", true};
    case Operation::kResidue:
      return {"residue", true};
    case Operation::kOutputs:
      return {"C", true};
    case Operation::kSkip:
      return {"D", true};
    case Operation::kActivation:
      return {"activation", true};
    case Operation::kLinear:
      return {"linear", true};
    case Operation::kNorm:
      return {"norm", true};
    case Operation::kGate:
      return {"gate", true};
    case Operation::kGating:
      return {"gating", true};
    case Operation::kResidual:
      return {"residual", true};
    case Operation::kPooling:
      return {"pooling", false};
    case Operation::kDecoder:
      return {"decoder", false};
    case Operation::kPeer:
      break;
  }
  return {"peer", false};
}

class OperationCounter {
 public:
  OperationCounter(const Deployment& deployment, std::uint64_t steps) : d_(deployment) {
    OperationSite encoder =
        matrix(Operation::kEncoder, d_.channels, d_.inputs, d_.encoder, d_.input);
    requantise(encoder, d_.channels);
    add(encoder);
    for (; block_ < d_.blocks.size(); ++block_) block(d_.blocks[block_]);
    pool(steps);
  }
  OperationSummary take() { return std::move(summary_); }

 private:
  void add(OperationSite site) { summary_.sites.push_back(std::move(site)); }

  OperationSite site(Operation operation, std::uint64_t macs, int weight_bits, int input_bits,
                     bool in_floats) const {
    OperationSite s;
    s.operation = operation;
    s.block = name_of(operation).in_block ? block_ : 0;
    s.macs = macs;
    s.weight_bits = weight_bits;
    s.input_bits = input_bits;
    s.in_floats = in_floats;
    return s;
  }

  // A site computes integers if both of its operands are codes.
  OperationSite matrix(Operation operation, std::size_t rows, std::size_t columns,
                       const WeightFormat& weight, const ValueFormat& input) const {
    OperationSite s = site(operation, rows * columns, weight.width(), input.width(),
                           !weight.rounded() || !input.rounded());
    s.weights = rows * columns;
    s.moved_bits = columns * static_cast<std::size_t>(input.width()) + rows * kAccumulatorWidth;
    return s;
  }
  static void requantise(OperationSite& s, std::uint64_t values) {
    if (!s.in_floats) s.requantisations += values;
  }

  void block(const BlockFormat& b) {
    const std::size_t H = d_.channels;
    recurrence(b);
    activation(Operation::kActivation, b.channels, b.activation_ramp, b.ssm_output, b.activation);
    OperationSite linear =
        matrix(Operation::kLinear, d_.linear_outputs(), b.channels, b.linear, b.activation);
    if (d_.gated) requantise(linear, d_.linear_outputs());
    add(linear);
    norm(b);
    if (d_.gated) {
      activation(Operation::kGate, H, b.gate_ramp, b.linear_output, b.gate);
      OperationSite product = site(Operation::kGating, H, b.linear_output.width(), b.gate.width(),
                                   !b.linear_output.rounded() || !b.gate.rounded());
      add(product);
    }
    OperationSite sum = site(Operation::kResidual, 0, 0, 0, !d_.residual.rounded());
    sum.additions = H;
    sum.addition_bits = kAccumulatorWidth;
    requantise(sum, 2 * H);
    add(sum);
  }

  void recurrence(const BlockFormat& b) {
    const std::size_t S = b.channels, modes = b.modes, parts = d_.parts();
    const bool state_floats = d_.state_bits == 0;
    const int state = d_.state_width();
    OperationSite a = site(Operation::kPoles, parts * parts * modes, b.pole_width(), state,
                           state_floats || b.a_bits == 0);
    a.additions = modes;                                             // the input, shifted
    if (b.a_bits > 0 && b.increments) a.additions += parts * modes;  // the state
    a.addition_bits = kAccumulatorWidth;
    if (!state_floats) a.roundings = parts * modes;
    a.weights = parts * modes;
    a.moved_bits = 2 * parts * modes * static_cast<std::size_t>(state);  // read and written
    add(a);
    residues(b);
    OperationSite c = site(Operation::kOutputs, parts * modes, b.c.width(), state,
                           state_floats || !b.c.rounded());
    c.weights = parts * modes;
    requantise(c, S);
    add(c);
    OperationSite d = matrix(Operation::kSkip, S, 1, b.d, d_.residual);
    d.moved_bits = S * static_cast<std::size_t>(b.ssm_output.width());
    requantise(d, S);
    add(d);
  }

  // The residues of a noise-shaped state are added to its sums and recomputed from them.
  void residues(const BlockFormat& b) {
    const std::map<int, std::size_t> residues = b.residues();
    if (residues.empty()) return;
    OperationSite s = site(Operation::kResidue, 0, 0, 0, false);
    for (const auto& [bits, modes] : residues) {
      const std::size_t values = d_.parts() * modes;
      s.additions += values;
      s.roundings += values;
      s.addition_bits = d_.state_bits + bits;                       // the last ones are the widest
      s.moved_bits += 2 * values * static_cast<std::size_t>(bits);  // read and written
    }
    add(s);
  }

  // A table if both sides are codes, comparisons for piecewise linear functions, else a function.
  void activation(Operation operation, std::size_t values, bool ramp, const ValueFormat& from,
                  const ValueFormat& to) {
    const bool codes = from.rounded() && to.rounded();
    OperationSite s = site(operation, 0, 0, 0, !codes);
    if (ramp) {
      s.roundings = values;
    } else if (codes) {
      s.look_ups = values;
      s.moved_bits = values * static_cast<std::size_t>(to.bits);
    } else {
      s.functions = values;
    }
    add(s);
  }

  // A norm that was not folded: one product per value; a layer norm has two more, for mean and
  // variance, and a square root.
  void norm(const BlockFormat& b) {
    if (b.norm_values == 0) return;
    const std::size_t values = b.norm_values / 2;
    OperationSite s =
        site(Operation::kNorm, values * (b.layer_norm ? 3 : 1), kFloatWidth, kFloatWidth, true);
    s.functions = b.layer_norm ? 1 : 0;
    s.weights = b.norm_values;
    add(s);
  }

  void pool(std::uint64_t steps) {
    OperationSite pooling = site(Operation::kPooling, 0, 0, 0, !d_.residual.rounded());
    pooling.additions = d_.pool_last ? 0 : d_.channels;
    pooling.addition_bits = kAccumulatorWidth;
    add(pooling);
    OperationSite decoder =
        matrix(Operation::kDecoder, d_.outputs, d_.channels, d_.decoder, d_.residual);
    decoder.at_end = !d_.every_step;
    if (d_.residual.rounded() && !d_.pool_last) {
      decoder.input_bits = pooled_width(d_.residual.bits, steps);
    }
    requantise(decoder, d_.outputs);
    add(decoder);
  }

  const Deployment& d_;
  OperationSummary summary_;
  std::size_t block_ = 0;
};

std::size_t bytes(std::size_t values, int bits) {
  return (values * static_cast<std::size_t>(bits) + 7) / 8;
}

using Count = std::uint64_t OperationSite::*;
constexpr std::pair<const char*, Count> kCounts[] = {
    {"macs", &OperationSite::macs},
    {"additions", &OperationSite::additions},
    {"requantisations", &OperationSite::requantisations},
    {"roundings", &OperationSite::roundings},
    {"look_ups", &OperationSite::look_ups},
    {"functions", &OperationSite::functions}};

}  // namespace

std::string OperationSite::name() const {
  const OperationName named = name_of(operation);
  return named.in_block ? "layers." + std::to_string(block) + "." + named.name : named.name;
}

std::uint64_t OperationSite::bit_operations() const {
  return macs * static_cast<std::uint64_t>(weight_bits) * static_cast<std::uint64_t>(input_bits);
}

std::uint64_t OperationSite::bit_operations_with_scaling() const {
  return bit_operations() + requantisations * kMultiplierWidth * kAccumulatorWidth;
}

OperationSummary count_operations(const Deployment& deployment, std::uint64_t steps) {
  OperationSummary operations = OperationCounter(deployment, steps).take();
  constexpr auto kMost = &OperationSite::bit_operations_with_scaling;
  require_countable(static_cast<double>(steps) * static_cast<double>(operations.per_step(kMost)) +
                        static_cast<double>(operations.at_end(kMost)),
                    steps, "bit operations of the network");
  return operations;
}

void require_countable(double count, std::uint64_t steps, const std::string& what) {
  constexpr double kTooMany = 0x1p63;
  if (count < kTooMany) return;
  constexpr int kDigits = 6;
  fail("cost.steps",
       what + " in " + std::to_string(steps) + " steps: " + rounded_text(count, kDigits) +
           ", expected fewer steps, so that it stays below " + rounded_text(kTooMany, kDigits));
}

std::size_t peak_ram(const Deployment& d) {
  std::size_t activation = 0;
  for (const BlockFormat& b : d.blocks) {
    activation = std::max(activation, bytes(b.channels, b.activation.width()));
  }
  return count_memory(d).bytes(MemoryKind::kState) + bytes(d.inputs, d.input.width()) +
         bytes(d.channels, d.residual.width()) + activation +
         bytes(d.linear_outputs(), kAccumulatorWidth);
}

nlohmann::json to_json(const OperationSummary& operations, std::uint64_t steps) {
  nlohmann::json out = {{"steps", steps}, {"sites", nlohmann::json::array()}};
  for (const OperationSite& s : operations.sites) {
    nlohmann::json site = {{"name", s.name()},
                           {"at_end", s.at_end},
                           {"weight_bits", s.weight_bits},
                           {"input_bits", s.input_bits},
                           {"bit_operations", s.bit_operations()}};
    for (const auto& [name, count] : kCounts) site[name] = s.*count;
    out["sites"].push_back(std::move(site));
  }
  const auto totals = [&](const char* key, std::uint64_t of_steps, bool end) {
    const auto sum = [&](auto count) {
      return of_steps * operations.per_step(count) + (end ? operations.at_end(count) : 0);
    };
    for (const auto& [name, count] : kCounts) out[key][name] = sum(count);
    out[key]["bit_operations"] = sum(&OperationSite::bit_operations);
    out[key]["bit_operations_with_scaling"] = sum(&OperationSite::bit_operations_with_scaling);
  };
  totals("per_step", 1, false);
  totals("per_inference", steps, true);
  return out;
}

}  // namespace crosstate::cost
