#include "crosstate/cost/memory.h"

#include <algorithm>
#include <array>

#include "crosstate/model/network_state.h"
#include "crosstate/quant/poles.h"

namespace crosstate {
namespace {

constexpr int kFull = 32;  // bits of floats, biases, accumulators and multipliers
constexpr int kShift = 8;  // bits of an exponent

constexpr std::array kKinds = {MemoryKind::kWeights, MemoryKind::kBiases, MemoryKind::kScales,
                               MemoryKind::kTables, MemoryKind::kState};

class Counter {
 public:
  explicit Counter(const Network& network) : s_(network.state()), q_(s_.quant) {}

  MemorySummary run() {
    const std::size_t H = s_.channels();
    const auto classes = static_cast<std::size_t>(s_.task.classes);
    matrix("encoder", H, static_cast<std::size_t>(s_.task.inputs), q_.encoder);
    for (std::size_t l = 0; l < s_.blocks.size(); ++l) block("layers." + std::to_string(l) + ".");
    matrix("decoder", classes, H, q_.decoder);
    activation_scale("input", q_.input);
    activation_scale("residual", q_.residual);
    add("pooling", MemoryKind::kState, H, kFull);
    return std::move(memory_);
  }

 private:
  bool rounded(int bits) const { return s_.quantized && bits != kFloatBits; }
  int width(int bits) const { return rounded(bits) ? bits : kFull; }

  void add(const std::string& name, MemoryKind kind, std::size_t values, int width) {
    if (values > 0) memory_.sites.push_back({name, kind, values, width});
  }

  void weights(const std::string& name, std::size_t values, std::size_t rows,
               const WeightSite& site) {
    add(name, MemoryKind::kWeights, values, width(site.bits));
    if (!rounded(site.bits)) return;
    add(name + ".scale", MemoryKind::kScales, site.granularity == "channel" ? rows : 1,
        site.scales == "pow2" ? kShift : kFull + kShift);
  }
  void activation_scale(const std::string& name, const ActivationSite& site) {
    if (!rounded(site.bits)) return;
    add(name + ".scale", MemoryKind::kScales, 1, site.scales == "pow2" ? kShift : kFull + kShift);
  }

  void matrix(const std::string& name, std::size_t rows, std::size_t columns,
              const WeightSite& site) {
    weights(name + ".weight", rows * columns, rows, site);
    add(name + ".bias", MemoryKind::kBiases, rows, kFull);
  }

  void table(const std::string& name, const ActivationSite& from, const ActivationSite& to) {
    if (!rounded(from.bits) || !rounded(to.bits)) return;
    add(name, MemoryKind::kTables, std::size_t{1} << from.bits, to.bits);
  }

  void block(const std::string& at) {
    const std::size_t H = s_.channels(), modes = H * s_.modes(), parts = s_.complex() ? 2 : 1;
    poles(at + "A", H, modes, parts);
    weights(at + "C", parts * modes, H, q_.c);
    weights(at + "D", H, H, q_.d);
    add(at + "state", MemoryKind::kState, parts * modes, width(q_.state.bits));
    if (rounded(q_.state.bits)) {
      add(at + "state.step", MemoryKind::kScales, modes, kShift);
      if (q_.state.rounding == "feedback") {
        const bool fixed_point = rounded(q_.a.bits) && rounded(q_.residual.bits);
        add(at + "state.residue", MemoryKind::kState, parts * modes,
            fixed_point ? kPoleFraction : kFull);
      }
    }
    matrix(at + "linear", s_.linear_outputs(), H, q_.weight);
    if (s_.options.norm != "none") {
      add(at + "norm", MemoryKind::kScales, 2 * (s_.batch_norm() ? s_.linear_outputs() : H), kFull);
    }
    activation_scale(at + "ssm_output", q_.ssm_output);
    activation_scale(at + "activation", q_.activation);
    if (s_.gated()) activation_scale(at + "linear", q_.linear);
    if (s_.options.activation == "gelu") table(at + "gelu", q_.ssm_output, q_.activation);
    if (s_.options.gate == "sigmoid") table(at + "sigmoid", q_.linear, q_.gate);
  }

  // The recurrence multiplies by fixed-point poles. Polar codes are kept as these numbers, or as
  // codes of the entries of a table per channel where that is smaller; the scales that decoded them
  // stay behind.
  void poles(const std::string& name, std::size_t channels, std::size_t modes, std::size_t parts) {
    constexpr int kFixed = kPoleFraction + 2;
    const int bits = width(q_.a.bits);
    if (!rounded(q_.a.bits) || q_.a.coding == "cartesian") {
      return add(name, MemoryKind::kWeights, parts * modes, bits);
    }
    const auto levels = static_cast<std::size_t>(pole_levels(q_.a.bits));
    const std::size_t entries = (s_.complex() ? levels * levels : levels) * channels;
    const std::size_t coded = parts * (modes * static_cast<std::size_t>(bits) + entries * kFixed);
    if (parts * modes * kFixed <= coded) {
      return add(name, MemoryKind::kWeights, parts * modes, kFixed);
    }
    add(name, MemoryKind::kWeights, parts * modes, bits);
    add(name + ".decoded", MemoryKind::kTables, parts * entries, kFixed);
  }

  const Network::State& s_;
  const QuantOptions& q_;
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

MemorySummary count_memory(const Network& network) { return Counter(network).run(); }

const char* name_of(MemoryKind kind) {
  switch (kind) {
    case MemoryKind::kWeights:
      return "weights";
    case MemoryKind::kBiases:
      return "biases";
    case MemoryKind::kScales:
      return "scales";
    case MemoryKind::kTables:
      return "tables";
    case MemoryKind::kState:
      return "state";
  }
  return "";
}

nlohmann::json to_json(const MemorySummary& memory) {
  nlohmann::json json;
  for (const MemoryKind kind : kKinds) json[name_of(kind)] = memory.bytes(kind);
  json["total"] = memory.total();
  return json;
}

}  // namespace crosstate
