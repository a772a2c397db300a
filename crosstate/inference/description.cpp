#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "crosstate/base/complex.h"
#include "crosstate/base/json.h"
#include "crosstate/inference/model.h"
#include "crosstate/model/network_state.h"

namespace crosstate::inference {
namespace {

using nlohmann::json;

struct Range {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  json pair() const { return json::array({low, high}); }
};

json layer_of(const model::Network::State& state, const model::BlockCoefficients& block,
              std::size_t l) {
  Range modulus, time_constant, step;
  for (std::size_t i = 0; i < block.ar.size(); ++i) {
    const double a = magnitude(block.ar[i], block.ai[i]);
    modulus.add(a);
    time_constant.add(a > 0 ? -1 / std::log(a) : 0);
  }
  json layer = {{"channels", state.shapes[l].channels},
                {"modes", state.shapes[l].counts()},
                {"a_max", modulus.high},
                {"time_constants", time_constant.pair()}};
  if (!state.state_steps.empty()) {
    for (const float s : state.state_steps[l]) step.add(s);
    layer["state_steps"] = step.pair();
  }
  if (!block.residue_bits.empty()) layer["residue_bits"] = block.residue_bits;
  return layer;
}

json describe_network(const model::Network& network) {
  const model::Network::State& state = network.state();
  const model::Coefficients coefficients = state.coefficients();
  model::ModelOptions options = network.options();
  quant::QuantOptions quant = network.quant_options();
  FieldList list;
  model::fields(list, options);
  if (network.quantized()) quant::fields(list, quant);
  json out = list.to_json();
  out["parameters"] = network.parameter_count();
  out["quantized"] = network.quantized();
  out["inputs"] = network.task().inputs;
  out["classes"] = network.task().outputs;
  for (const model::Parameter& p : network.parameters()) out["shapes"][p.name] = p.shape;
  for (std::size_t l = 0; l < state.blocks.size(); ++l) {
    out["layers"].push_back(layer_of(state, coefficients.blocks[l], l));
  }
  return out;
}

}  // namespace

json Model::describe() const {
  if (network() != nullptr) return describe_network(*network());
  json out = parse_json(to_tensors().metadata.at("integer"));
  const std::vector<integer::IntegerBlock>& blocks = integers().blocks;
  for (std::size_t l = 0; l < blocks.size(); ++l) {
    if (!blocks[l].residue_bits.empty()) out["layers"][l]["residue_bits"] = blocks[l].residue_bits;
  }
  return out;
}

}  // namespace crosstate::inference
