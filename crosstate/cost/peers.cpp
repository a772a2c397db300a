#include "crosstate/cost/peers.h"

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

namespace crosstate::cost {
namespace {

PeerCost recurrent_cost(std::uint64_t gates, std::uint64_t inputs, std::uint64_t hidden,
                        std::uint64_t classes, int bits) {
  PeerCost p;
  const std::uint64_t products = gates * hidden * (inputs + hidden);
  p.parameters = products + gates * hidden + classes * (hidden + 1);
  p.fixed_macs = products + 3 * hidden;
  p.end_macs = classes * hidden;
  p.state_values = hidden;
  p.weight_bits = p.state_bits = bits;
  return p;
}

// The largest size, at least 1, with at most this number of parameters.
PeerCost largest(std::uint64_t parameters, const std::function<PeerCost(std::uint64_t)>& of_size) {
  PeerCost best = of_size(1);
  for (std::uint64_t size = 2;; ++size) {
    PeerCost next = of_size(size);
    if (next.parameters > parameters) return best;
    best = std::move(next);
  }
}

}  // namespace

void fields(FieldList& list, PeerOptions& options) {
  list.section("peers");
  const char* equal = "; 0: the largest with at most the parameters of the network.";
  list.add("lstm", options.lstm,
           std::string("Hidden units of the LSTM used for comparison") + equal)
      .range(0, 4096);
  list.add("gru", options.gru, std::string("Hidden units of the GRU") + equal).range(0, 4096);
  list.add("transformer", options.transformer, std::string("Width of the Transformer") + equal)
      .range(0, 4096);
  list.add("transformer_layers", options.transformer_layers, "Layers of the Transformer.")
      .range(1, 100);
  list.add("bits", options.bits, "Bits of weights, states and activations of the compared models.")
      .range(1, 32);
}

std::uint64_t PeerCost::macs(std::uint64_t steps) const {
  const auto t = static_cast<double>(steps);
  require_countable(static_cast<double>(fixed_macs) * t +
                        static_cast<double>(growing_macs) * t * (t + 1) / 2 +
                        static_cast<double>(end_macs),
                    steps, "products of the " + name);
  return steps * fixed_macs + growing_macs * (steps * (steps + 1) / 2) + end_macs;
}

std::uint64_t PeerCost::bit_operations(std::uint64_t steps) const {
  const std::uint64_t products = macs(steps);
  const int bits = weight_bits * state_bits;
  require_countable(static_cast<double>(products) * bits, steps, "bit operations of the " + name);
  return products * static_cast<std::uint64_t>(bits);
}

std::uint64_t PeerCost::state_bytes(std::uint64_t steps) const {
  const std::uint64_t values = state_values + steps * cache_values;
  return (values * static_cast<std::uint64_t>(state_bits) + 7) / 8;
}

OperationSummary PeerCost::operations(std::uint64_t steps) const {
  // Step t of T adds t times the growing part: (T + 1) / 2 on average.
  const std::uint64_t earlier = (steps + 1) / 2;
  const auto bits = static_cast<std::uint64_t>(state_bits);
  OperationSite step, end;
  end.at_end = true;
  for (OperationSite* s : {&step, &end}) {
    s->operation = Operation::kPeer;
    s->weight_bits = weight_bits;
    s->input_bits = state_bits;
    s->in_floats = in_floats();
  }
  step.macs = fixed_macs + earlier * growing_macs;
  step.weights = fixed_macs;
  // The state is read and written; the whole cache is read and one entry is written.
  step.moved_bits = bits * (2 * state_values + (earlier + 1) * cache_values);
  const std::uint64_t functions = fixed_functions + earlier * growing_functions;
  (in_floats() ? step.functions : step.look_ups) = functions;
  end.macs = end.weights = end_macs;
  OperationSummary summary;
  summary.sites = {step, end};
  return summary;
}

double PeerCost::memory_bits(std::uint64_t steps) const {
  const auto values = static_cast<double>(state_values + steps * cache_values);
  return static_cast<double>(parameters) * weight_bits + values * state_bits;
}

PeerCost PeerCost::read_at_every_step() const {
  PeerCost p = *this;
  p.fixed_macs += p.end_macs;
  p.end_macs = 0;
  return p;
}

PeerCost lstm_cost(std::uint64_t inputs, std::uint64_t hidden, std::uint64_t classes, int bits) {
  PeerCost p = recurrent_cost(4, inputs, hidden, classes, bits);
  p.name = "LSTM, " + std::to_string(hidden) + " units";
  p.state_values = 2 * hidden;
  p.fixed_functions = 5 * hidden;
  return p;
}

PeerCost gru_cost(std::uint64_t inputs, std::uint64_t hidden, std::uint64_t classes, int bits) {
  PeerCost p = recurrent_cost(3, inputs, hidden, classes, bits);
  p.name = "GRU, " + std::to_string(hidden) + " units";
  p.fixed_functions = 3 * hidden;
  return p;
}

PeerCost transformer_cost(std::uint64_t inputs, std::uint64_t width, std::uint64_t layers,
                          std::uint64_t classes, int bits) {
  PeerCost p;
  p.name = "Transformer, " + std::to_string(layers) + " layers of " + std::to_string(width);
  p.parameters =
      width * (inputs + 1) + layers * (12 * width * width + 13 * width) + classes * (width + 1);
  p.fixed_macs = width * inputs + layers * 12 * width * width;
  p.growing_macs = layers * 2 * width;
  p.end_macs = classes * width;
  p.fixed_functions = layers * 4 * width;  // activation of the feed-forward part
  p.growing_functions = layers;            // softmax of one head
  p.state_values = width;                  // pooled sum
  p.cache_values = 2 * layers * width;
  p.weight_bits = p.state_bits = bits;
  return p;
}

std::vector<PeerCost> peer_costs(const PeerOptions& o, std::uint64_t parameters,
                                 std::uint64_t inputs, std::uint64_t classes) {
  const auto layers = static_cast<std::uint64_t>(o.transformer_layers);
  const auto of = [&](int size, const std::function<PeerCost(std::uint64_t)>& make) {
    return size > 0 ? make(static_cast<std::uint64_t>(size)) : largest(parameters, make);
  };
  return {
      of(o.lstm, [&](std::uint64_t n) { return lstm_cost(inputs, n, classes, o.bits); }),
      of(o.gru, [&](std::uint64_t n) { return gru_cost(inputs, n, classes, o.bits); }),
      of(o.transformer,
         [&](std::uint64_t n) { return transformer_cost(inputs, n, layers, classes, o.bits); }),
  };
}

nlohmann::json to_json(const PeerCost& p, const std::vector<std::uint64_t>& lengths) {
  nlohmann::json out = {{"name", p.name},
                        {"parameters", p.parameters},
                        {"weight_bits", p.parameters * static_cast<std::uint64_t>(p.weight_bits)},
                        {"lengths", nlohmann::json::array()}};
  for (const std::uint64_t length : lengths) {
    out["lengths"].push_back({{"steps", length},
                              {"state_bytes", p.state_bytes(length)},
                              {"macs", p.macs(length)},
                              {"bit_operations", p.bit_operations(length)}});
  }
  return out;
}

}  // namespace crosstate::cost
