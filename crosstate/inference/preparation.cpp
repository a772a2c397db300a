#include "crosstate/inference/preparation.h"

#include <nlohmann/json.hpp>
#include <stdexcept>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/data/batch.h"

namespace crosstate::inference {
namespace {

using nlohmann::json;

constexpr const char* kPermutation = "permutation_seed";
constexpr const char* kOrder = "permutation";

std::vector<std::int32_t> step_order(std::size_t steps, std::uint64_t seed) {
  const std::vector<std::uint32_t> order = data::shuffled(steps, seed, 0);
  return {order.begin(), order.end()};
}

}  // namespace

void Preparation::save(formats::Safetensors& model) const {
  task::save_readout(readout, model.metadata);
  model.metadata[kPermutation] = std::to_string(permutation_seed);
  if (permuted_steps > 0) {
    const std::vector<std::int32_t> order = step_order(permuted_steps, permutation_seed);
    model.tensors[kOrder] = formats::Tensor::from(order, {order.size()});
  }
  if (front_end) front_end->save(model);
}

std::optional<Preparation> Preparation::load(const formats::Safetensors& model,
                                             const std::string& where) {
  const std::optional<task::Readout> readout = task::load_readout(model.metadata, where);
  if (!readout) return std::nullopt;
  Preparation result;
  result.readout = *readout;
  try {
    const json seed = parse_json(model.metadata.at(kPermutation));
    if (!seed.is_number_unsigned()) throw std::out_of_range(kPermutation);
    result.permutation_seed = seed.get<std::uint64_t>();
  } catch (const json::exception&) {
    fail(where, "metadata 'permutation_seed' is damaged");
  } catch (const std::out_of_range&) {
    fail(where, "metadata 'permutation_seed' is missing or not an integer");
  }
  const auto order = model.tensors.find(kOrder);
  if (order != model.tensors.end()) {
    const std::vector<std::uint64_t>& shape = order->second.shape;
    if (result.permutation_seed == 0 || shape.size() != 1 || shape[0] == 0 ||
        order->second.integers<std::int32_t>(shape, where) !=
            step_order(shape[0], result.permutation_seed)) {
      fail(where, "tensor 'permutation' is not the order of permutation_seed");
    }
    result.permuted_steps = shape[0];
  } else if (result.permutation_seed != 0) {
    fail(where, "has no tensor 'permutation', expected the order of permutation_seed");
  }
  if (data::FrontEnd::is_in(model)) result.front_end = data::FrontEnd::load(model, where);
  return result;
}

std::string Preparation::difference(const formats::Safetensors& model) const {
  formats::Safetensors prepared;
  save(prepared);
  for (const auto& [key, value] : prepared.metadata) {
    const auto at = model.metadata.find(key);
    if (at == model.metadata.end() || at->second != value) return key;
  }
  const auto order = prepared.tensors.find(kOrder);
  const auto found = model.tensors.find(kOrder);
  if (order == prepared.tensors.end()) return "";
  const bool same = found != model.tensors.end() && found->second.shape == order->second.shape &&
                    found->second.bytes == order->second.bytes;
  return same ? "" : kOrder;
}

void Preparation::require_length(const data::Dataset& set, const std::string& where) const {
  if (permutation_seed == 0 || set.count == 0 || set.length == permuted_steps) return;
  fail(where, "reads sequences of " + std::to_string(permuted_steps) +
                  " steps in one permuted order, but those of " + set.name + " have " +
                  std::to_string(set.length));
}

void Preparation::require_network(std::size_t inputs, std::size_t outputs, task::Scope scope,
                                  const std::string& where) const {
  if (front_end && front_end->features() != inputs) {
    fail(where, "its front end computes " + std::to_string(front_end->features()) +
                    " features, but the network has " + std::to_string(inputs) + " inputs");
  }
  if (readout.outputs() != outputs) {
    fail(where, "names " + std::to_string(readout.outputs()) +
                    (readout.task->categorical() ? " classes" : " values") +
                    ", but the network has " + std::to_string(outputs) + " outputs");
  }
  if (readout.scope != scope) {
    fail(where, std::string("metadata 'readout' says a target of every ") + readout.unit() +
                    ", but the network is read at every " + name_of(scope));
  }
}

}  // namespace crosstate::inference
