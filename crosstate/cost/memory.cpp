#include "crosstate/cost/memory.h"

#include <algorithm>
#include <array>

#include "crosstate/model/network_state.h"

namespace crosstate {
namespace {

constexpr int kFull = 32;          // bits of floats, biases, accumulators and multipliers
constexpr int kShift = 8;          // bits of an exponent
constexpr int kLargestTable = 10;  // codes beyond this many bits are interpolated between

constexpr std::array kKinds = {MemoryKind::kWeights, MemoryKind::kBiases, MemoryKind::kScales,
                               MemoryKind::kTables, MemoryKind::kState};

class Counter {
 public:
  explicit Counter(const Network& network) : s_(network.state()), q_(s_.quant) {}

  MemorySummary run() {
    const std::size_t H = s_.channels();
    const auto classes = static_cast<std::size_t>(s_.task.classes);
    matrix("encoder", H, static_cast<std::size_t>(s_.task.inputs));
    for (std::size_t l = 0; l < s_.blocks.size(); ++l) block("layers." + std::to_string(l) + ".");
    matrix("decoder", classes, H);
    activation_scale("input");
    activation_scale("residual");
    pole_tables();
    add("pooling", MemoryKind::kState, H, kFull);
    return std::move(memory_);
  }

 private:
  int bits(int of_code) const { return s_.quantized && of_code > 0 ? of_code : kFull; }

  void add(const std::string& name, MemoryKind kind, std::size_t values, int width) {
    if (values > 0) memory_.sites.push_back({name, kind, values, width});
  }

  void weight_scales(const std::string& name, int code, std::size_t count) {
    if (s_.quantized && code > 0) add(name + ".scale", MemoryKind::kScales, count, kFull + kShift);
  }
  void activation_scale(const std::string& name) {
    if (!s_.quantized || q_.activation_bits == 0) return;
    add(name + ".scale", MemoryKind::kScales, 1, q_.scales == "pow2" ? kShift : kFull + kShift);
  }

  void matrix(const std::string& name, std::size_t rows, std::size_t columns) {
    add(name + ".weight", MemoryKind::kWeights, rows * columns, bits(q_.weight_bits));
    add(name + ".bias", MemoryKind::kBiases, rows, kFull);
    weight_scales(name + ".weight", q_.weight_bits, q_.granularity == "channel" ? rows : 1);
  }

  void table(const std::string& name) {
    if (!s_.quantized || q_.activation_bits == 0) return;
    const bool whole = q_.activation_bits <= kLargestTable;
    const std::size_t entries =
        whole ? std::size_t{1} << q_.activation_bits : (std::size_t{1} << kLargestTable) + 1;
    add(name, MemoryKind::kTables, entries, q_.activation_bits);
  }

  void block(const std::string& at) {
    const std::size_t H = s_.channels(), modes = H * s_.modes(), parts = s_.complex() ? 2 : 1;
    add(at + "A", MemoryKind::kWeights, parts * modes, bits(q_.a_bits));
    add(at + "C", MemoryKind::kWeights, parts * modes, bits(q_.c_bits));
    weight_scales(at + "C", q_.c_bits, q_.granularity == "channel" ? H : 1);
    add(at + "D", MemoryKind::kWeights, H, bits(q_.d_bits));
    weight_scales(at + "D", q_.d_bits, 1);
    add(at + "state", MemoryKind::kState, parts * modes, bits(q_.state_bits));
    if (s_.quantized && q_.state_bits > 0) {
      add(at + "state.step", MemoryKind::kScales, modes, kShift);
    }
    matrix(at + "linear", s_.linear_outputs(), H);
    if (s_.options.norm != "none") {
      add(at + "norm", MemoryKind::kScales, 2 * (s_.batch_norm() ? s_.linear_outputs() : H), kFull);
    }
    activation_scale(at + "ssm_output");
    activation_scale(at + "activation");
    if (s_.gated()) activation_scale(at + "linear");
    if (s_.options.activation == "gelu") table(at + "gelu");
    if (s_.options.gate == "sigmoid") table(at + "sigmoid");
  }

  // Poles are decoded step by step through tables, or once and kept, whichever is smaller.
  void pole_tables() {
    if (!s_.quantized || q_.a_bits == 0 || q_.a_coding != "log-polar") return;
    const std::size_t parts = s_.complex() ? 2 : 1, channels = s_.blocks.size() * s_.channels();
    const std::size_t decoded = parts * channels * s_.modes();
    const std::size_t tables = parts * (std::size_t{1} << q_.a_bits);
    const std::size_t phase_scales = s_.complex() ? channels : 0;
    if (decoded <= tables + phase_scales) {
      add("A.decoded", MemoryKind::kTables, decoded, kFull);
    } else {
      add("A.decode", MemoryKind::kTables, tables, kFull);
      add("A.phase_scale", MemoryKind::kScales, phase_scales, kFull);
    }
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
