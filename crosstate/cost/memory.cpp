#include "crosstate/cost/memory.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "crosstate/quant/poles.h"

namespace crosstate::cost {
namespace {

constexpr int kFull = 32;        // bits of floats, biases, accumulators and multipliers
constexpr int kShift = 8;        // bits of an exponent
constexpr int kResidueBits = 4;  // of the number of bits of a residue
constexpr int kPoleShift = 4;    // of an increment, 0 to kPoleFraction

class Counter {
 public:
  explicit Counter(const Deployment& deployment) : d_(deployment) {}

  MemorySummary run() {
    const std::size_t H = d_.channels;
    matrix("encoder", H, d_.inputs, d_.encoder);
    for (std::size_t l = 0; l < d_.blocks.size(); ++l) {
      block("layers." + std::to_string(l) + ".", d_.blocks[l]);
    }
    matrix("decoder", d_.outputs, H, d_.decoder);
    activation_scale("input", d_.input);
    activation_scale("residual", d_.residual);
    pooling();
    return std::move(memory_);
  }

 private:
  void add(const std::string& name, MemoryKind kind, std::size_t values, int width) {
    if (values > 0) memory_.sites.push_back({name, kind, values, width});
  }

  // Sums of the mean, or the last values. Outputs of every step need neither.
  void pooling() {
    if (d_.every_step) return;
    const int last = d_.residual.rounded() ? d_.residual.bits : kFull;
    add("pooling", MemoryKind::kState, d_.channels, d_.pool_last ? last : kFull);
  }

  void weights(const std::string& name, std::size_t values, const WeightFormat& format) {
    add(name, MemoryKind::kWeights, values, format.width());
    add(name + ".scale", MemoryKind::kScales, format.scales,
        format.powers_of_two ? kShift : kFull + kShift);
  }
  void activation_scale(const std::string& name, const ValueFormat& format) {
    if (!format.rounded()) return;
    add(name + ".scale", MemoryKind::kScales, 1, format.powers_of_two ? kShift : kFull + kShift);
  }

  void matrix(const std::string& name, std::size_t rows, std::size_t columns,
              const WeightFormat& format) {
    weights(name + ".weight", rows * columns, format);
    add(name + ".bias", MemoryKind::kBiases, rows, kFull);
  }

  void table(const std::string& name, bool ramp, const ValueFormat& from, const ValueFormat& to) {
    if (ramp || !from.rounded() || !to.rounded()) return;
    add(name, MemoryKind::kTables, std::size_t{1} << from.bits, to.bits);
  }

  void block(const std::string& at, const BlockFormat& b) {
    const std::size_t S = b.channels, modes = b.modes;
    if (b.shape_values > 0) add(at + "shape", MemoryKind::kTables, b.shape_values, 16);
    poles(at + "A", b);
    weights(at + "C", d_.parts() * modes, b.c);
    weights(at + "D", S, b.d);
    state(at, b);
    matrix(at + "linear", d_.linear_outputs(), S, b.linear);
    add(at + "norm", MemoryKind::kScales, b.norm_values, kFull);
    activation_scale(at + "ssm_output", b.ssm_output);
    activation_scale(at + "activation", b.activation);
    if (d_.gated) activation_scale(at + "linear", b.linear_output);
    table(at + "gelu", b.activation_ramp, b.ssm_output, b.activation);
    if (d_.gated) table(at + "sigmoid", b.gate_ramp, b.linear_output, b.gate);
  }

  void state(const std::string& at, const BlockFormat& b) {
    const std::size_t modes = b.modes, parts = d_.parts();
    add(at + "state", MemoryKind::kState, parts * modes, d_.state_width());
    if (d_.state_bits == 0) return;
    add(at + "state.step", MemoryKind::kScales, modes, kShift);
    const std::map<int, std::size_t> residues = b.residues();
    const bool uniform = residues.size() == 1 && residues.begin()->second == modes;
    for (const auto& [bits, of_modes] : residues) {
      const std::string name = at + "state.residue";
      add(uniform ? name : name + "." + std::to_string(bits), MemoryKind::kState, parts * of_modes,
          bits);
    }
    if (!residues.empty() && !uniform) {
      add(at + "state.residue_bits", MemoryKind::kScales, modes, kResidueBits);
    }
  }

  // The recurrence multiplies by fixed-point poles. Polar codes are stored as these numbers, or as
  // codes of entries of a table per channel if that is smaller; the scales for decoding are not
  // stored.
  void poles(const std::string& name, const BlockFormat& b) {
    const std::size_t parts = d_.parts(), modes = b.modes;
    const auto width = static_cast<std::size_t>(b.pole_width());
    if (b.a_bits > 0 && b.increments) add(name + ".shift", MemoryKind::kScales, modes, kPoleShift);
    if (b.a_bits == 0 || !b.polar) {
      return add(name, MemoryKind::kWeights, parts * modes, b.pole_width());
    }
    const auto levels = static_cast<std::size_t>(quant::pole_levels(b.a_bits));
    const std::size_t entries = (d_.complex ? levels * levels : levels) * b.channels;
    const std::size_t coded =
        parts * (modes * static_cast<std::size_t>(b.a_bits) + entries * width);
    if (parts * modes * width <= coded) {
      return add(name, MemoryKind::kWeights, parts * modes, b.pole_width());
    }
    add(name, MemoryKind::kWeights, parts * modes, b.a_bits);
    add(name + ".decoded", MemoryKind::kTables, parts * entries, b.pole_width());
  }

  const Deployment& d_;
  MemorySummary memory_;
};

}  // namespace

std::size_t MemorySummary::bytes(MemoryKind kind) const {
  std::size_t sum = 0;
  for (const MemorySite& site : sites) sum += site.kind == kind ? site.bytes() : 0;
  return sum;
}

std::size_t MemorySummary::total() const {
  std::size_t sum = 0;
  for (const MemorySite& site : sites) sum += site.bytes();
  return sum;
}

std::size_t MemorySummary::bits(MemoryKind kind) const {
  std::size_t sum = 0;
  for (const MemorySite& site : sites) {
    if (site.kind == kind) sum += site.values * static_cast<std::size_t>(site.bits);
  }
  return sum;
}

MemorySummary count_memory(const Deployment& deployment) { return Counter(deployment).run(); }
MemorySummary count_memory(const model::Network& network) {
  if (network.options().norm != model::Norm::kBatch) return count_memory(deployment(network));
  model::Network folded = network;
  folded.fold_norms();
  return count_memory(deployment(folded));
}
MemorySummary count_memory(const integer::IntegerNetwork& network) {
  return count_memory(deployment(network));
}

nlohmann::json to_json(const MemorySummary& memory) {
  nlohmann::json json;
  for (const auto& [name, kind] : kNames<MemoryKind>) json[name] = memory.bytes(kind);
  json["total"] = memory.total();
  return json;
}

}  // namespace crosstate::cost
