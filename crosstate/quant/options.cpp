#include "crosstate/quant/options.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

constexpr int kMostBits = 16;

void add_bits(FieldList& list, const std::string& name, int& bits, const std::string& help) {
  list.add(name, bits, help + "; 0 keeps floating point, 1 is not a symmetric code.")
      .in("bits")
      .range(0, kMostBits);
}

}  // namespace

void fields(FieldList& list, QuantOptions& options) {
  list.section("quant");
  add_bits(list, "weight_bits", options.weight_bits, "Encoder, pointwise layers and decoder");
  add_bits(list, "a_bits", options.a_bits, "Each real number of the discretised A");
  add_bits(list, "c_bits", options.c_bits, "C with B and the state's scale folded in");
  add_bits(list, "d_bits", options.d_bits, "The feed-through D");
  add_bits(list, "activation_bits", options.activation_bits, "Every value between two layers");
  add_bits(list, "state_bits", options.state_bits,
           "The state at every step; the last to lower, errors add up over time");
  list.add("granularity", options.granularity,
           "One weight scale per output channel, or per tensor for hardware with a single scale.")
      .one_of({"channel", "tensor"});
  list.add("a_coding", options.a_coding,
           "log-polar keeps every mode stable; cartesian is what analog cells store.")
      .one_of({"log-polar", "cartesian"});
  list.add(
          "scales", options.scales,
          "pow2 turns rescaling into shifts; free fits ranges closer at the price of a multiplier.")
      .one_of({"pow2", "free"});
  list.add("weight_noise", options.weight_noise,
           "Relative noise on weights in training; about the spread of the cells to be used.")
      .range(0, 1);
  list.add("noise_recurrence", options.noise_recurrence,
           "What noise on A is relative to: increment: A - 1, direct: A; as crossbar.recurrence.")
      .one_of({"increment", "direct"});
}

void validate(const QuantOptions& options) {
  QuantOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");

  for (const Field& field : list.all()) {
    const auto* bits = std::get_if<int*>(&field.value);
    if (bits != nullptr && **bits == 1) {
      fail("options", field.key + " = 1, expected 0 (floating point) or 2 to " +
                          std::to_string(kMostBits) + " bits");
    }
  }
}

}  // namespace crosstate
