#include "crosstate/cost/neurobench.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "crosstate/cost/memory.h"
#include "crosstate/model/network_state.h"

namespace crosstate::cost {
namespace {

struct Zeros {
  std::uint64_t zeros = 0, values = 0;
  template <class Values>
  void see(const Values& of) {
    values += of.size();
    zeros += static_cast<std::uint64_t>(std::count(of.begin(), of.end(), 0));
  }
  double share() const {
    return values > 0 ? static_cast<double>(zeros) / static_cast<double>(values) : 0;
  }
};

NeuroBenchMetrics static_metrics(const Deployment& deployment, std::uint64_t steps) {
  NeuroBenchMetrics metrics;
  metrics.footprint = count_memory(deployment).total();
  const OperationSummary operations = count_operations(deployment, steps);
  const auto synaptic = [](const OperationSite& s) { return s.weights > 0 ? s.macs : 0; };
  metrics.dense =
      static_cast<double>(operations.per_inference(synaptic, steps)) / static_cast<double>(steps);
  return metrics;
}

// Counts non-zero inputs; each is multiplied by the non-zero weights of its column.
std::int64_t effective(const integer::IntegerMatrix& m,
                       const integer::CodeActivity::Counts& inputs) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < m.weight.size(); ++i) {
    if (m.weight[i] != 0) sum += inputs[i % m.columns];
  }
  return sum;
}

std::int64_t effective(const std::vector<std::int16_t>& weights,
                       const integer::CodeActivity::Counts& inputs) {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) sum += weights[i] != 0 ? inputs[i] : 0;
  return sum;
}

std::int64_t effective(const integer::IntegerNetwork& n, const integer::IntegerBlock& b,
                       const integer::CodeActivity::Block& a) {
  std::int64_t sum = effective(b.ar, a.before_re) + effective(b.cr, a.after_re) +
                     effective(b.linear_map, a.activation);
  for (std::size_t s = 0; s < b.d.size(); ++s) {
    sum += b.d[s] != 0 ? a.residual[b.shape.channels[s]] : 0;
  }
  if (!n.complex) return sum;
  return sum + effective(b.ar, a.before_im) + effective(b.ai, a.before_re) +
         effective(b.ai, a.before_im) + effective(b.ci, a.after_im);
}

std::int64_t dense(const integer::IntegerNetwork& n, const integer::CodeActivity& a) {
  std::int64_t per_step = static_cast<std::int64_t>(n.encoder.weight.size());
  for (const integer::IntegerBlock& b : n.blocks) {
    const std::size_t poles = n.complex ? 4 * b.ar.size() : b.ar.size();
    per_step += static_cast<std::int64_t>(poles + b.cr.size() + b.ci.size() + b.d.size() +
                                          b.linear_map.weight.size());
  }
  return a.steps * per_step + a.results * static_cast<std::int64_t>(n.decoder.weight.size());
}

double share_of_zeros(std::int64_t others, std::int64_t all) {
  return all > 0 ? 1 - static_cast<double>(others) / static_cast<double>(all) : 0;
}

std::int64_t sum(const integer::CodeActivity::Counts& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

}  // namespace

NeuroBenchMetrics neurobench_metrics(const model::Network& network, std::uint64_t steps) {
  NeuroBenchMetrics metrics = static_metrics(deployment(network), steps);
  const model::Coefficients c = network.state().coefficients();
  Zeros zeros;
  zeros.see(c.encoder);
  zeros.see(c.decoder);
  for (const model::BlockCoefficients& b : c.blocks) {
    for (const AlignedFloats* weights : {&b.ar, &b.cr, &b.d, &b.weight}) zeros.see(*weights);
    if (!network.state().complex()) continue;
    zeros.see(b.ai);
    zeros.see(b.ci);
  }
  metrics.connection_sparsity = zeros.share();
  return metrics;
}

NeuroBenchMetrics neurobench_metrics(const integer::IntegerNetwork& n, std::uint64_t steps) {
  NeuroBenchMetrics metrics = static_metrics(deployment(n), steps);
  Zeros zeros;
  zeros.see(n.encoder.weight);
  zeros.see(n.decoder.weight);
  for (const integer::IntegerBlock& b : n.blocks) {
    for (const auto* weights : {&b.ar, &b.ai, &b.cr, &b.ci, &b.d, &b.linear_map.weight}) {
      zeros.see(*weights);
    }
  }
  metrics.connection_sparsity = zeros.share();
  return metrics;
}

NeuroBenchActivity measured_activity(const integer::IntegerNetwork& n,
                                     const integer::ReferenceExecutor& executor) {
  const integer::CodeActivity& a = executor.activity();
  std::int64_t active = 0, states = 0, all_values = 0, all_states = 0;
  std::int64_t operations = effective(n.encoder, a.input) + effective(n.decoder, a.pooled);
  for (std::size_t l = 0; l < n.blocks.size(); ++l) {
    const integer::CodeActivity::Block& block = a.blocks[l];
    active += sum(block.activation) + (n.gated ? sum(block.gate) : 0);
    states += sum(block.after_re) + (n.complex ? sum(block.after_im) : 0);
    operations += effective(n, n.blocks[l], block);
    const model::BlockShape& shape = n.blocks[l].shape;
    all_values += static_cast<std::int64_t>(shape.size() + (n.gated ? n.channels : 0));
    all_states += static_cast<std::int64_t>(shape.modes() * (n.complex ? 2 : 1));
  }
  NeuroBenchActivity out;
  out.activation_sparsity = share_of_zeros(active, a.steps * all_values);
  out.state_sparsity = share_of_zeros(states, a.steps * all_states);
  out.samples = static_cast<std::uint64_t>(a.results);
  if (a.results > 0) {
    out.effective_macs = static_cast<double>(operations) / static_cast<double>(a.results);
    out.dense_per_sample = static_cast<double>(dense(n, a)) / static_cast<double>(a.results);
  }
  return out;
}

NeuroBenchActivity measure_activity(const integer::IntegerNetwork& network,
                                    const data::Dataset& set, std::size_t samples) {
  integer::ReferenceExecutor executor(network);
  const std::size_t count = std::min(samples, set.count);
  for (std::size_t i = 0; i < count; ++i) executor.run(set.sequence(i), set.length_of(i));
  return measured_activity(network, executor);
}

nlohmann::json to_json(const NeuroBenchMetrics& m) {
  nlohmann::json out = {{"footprint", m.footprint},
                        {"connection_sparsity", m.connection_sparsity},
                        {"synaptic_operations_per_execution", {{"Dense", m.dense}}}};
  if (!m.activity) return out;
  out["activation_sparsity"] = m.activity->activation_sparsity;
  out["state_sparsity"] = m.activity->state_sparsity;
  out["samples"] = m.activity->samples;
  out["synaptic_operations_per_sample"] = {{"Dense", m.activity->dense_per_sample},
                                           {"Effective_MACs", m.activity->effective_macs},
                                           {"Effective_ACs", 0}};
  return out;
}

}  // namespace crosstate::cost
