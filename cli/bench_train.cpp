// crosstate bench train: whole training steps, and the share of the machine's peak performance that
// they reach.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/bench.h"
#include "crosstate/kernels/dispatch.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/train/adamw.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

// Operations of one training step, an FMA counted as two. Per block, time step and sequence:
//   scan     H M (forward + adjoint, see scan.h), with M = N / 2 complex modes
//   linear   3 * 2 * 2H * H: forward, gradient of the input, gradient of the weight; the gate makes
//            the outputs 2H
// Everything else (activations, norm, gate, rounding, encoder, decoder, optimiser, and recomputed
// products) counts as zero, so the share of the peak is a lower bound.
double useful_flops(const BenchOptions& options) {
  const double H = options.channels, M = options.states / 2.0;
  const double scan = H * M * (kernels::kScanForwardFlops + kernels::kScanAdjointFlops);
  const double linear = 3 * 2 * (2 * H) * H;
  return (scan + linear) * options.layers * options.length * options.batch;
}

model::ModelOptions model_options(const BenchOptions& options) {
  model::ModelOptions model;
  model.channels = options.channels;
  model.states = options.states;
  model.layers = options.layers;
  model.norm = options.norm;
  return model;
}

// As in a run: norms that will be folded are kept during training.
void quantize(const BenchOptions& options, const std::vector<data::Batch>& calibration,
              ThreadPool& pool, model::Network& network) {
  if (options.preset == "float" && options.state_bits == 0) return;
  quant::QuantOptions quant = quant::quant_preset(options.preset);
  if (options.state_bits > 0) quant.state.bits = options.state_bits;
  quant.state.rounding = options.state_rounding;
  quant.state.residue_bits = options.residue_bits;
  quant.weight_noise = options.weight_noise;
  quant = quant::resolved(quant);
  if (options.norm == model::Norm::kBatch && !quant::folds_after_rounding(quant))
    network.fold_norms();
  network.quantize(quant, calibration, pool);
}

// Duration of each step in seconds.
std::vector<double> step_times(const BenchOptions& options, const data::Batch& batch,
                               ThreadPool& pool, model::Network& network) {
  train::AdamW optimizer(network.parameters(), {});
  std::vector<double> seconds;
  for (int r = 0; r < kWarmUp + options.repeats; ++r) {
    const double start = now();
    network.train_step(batch, {0, options.seed, static_cast<std::uint64_t>(r)}, pool);
    optimizer.step(network.parameters(), 0.01);
    if (r >= kWarmUp) seconds.push_back(now() - start);
  }
  return seconds;
}

}  // namespace

int bench_train(const Common& common, const BenchOptions& options) {
  const model::ModelOptions model = model_options(options);
  ThreadPool pool(common.threads);
  model::Network network(model, {1, 10}, options.seed);
  const data::Dataset set = random_data(options);
  std::vector<std::uint32_t> order(set.count);
  std::iota(order.begin(), order.end(), 0u);
  std::vector<data::Batch> batches(1);
  data::fill_batch(set, order, static_cast<std::size_t>(model.block_length), batches[0]);
  quantize(options, batches, pool, network);

  const std::vector<double> seconds = step_times(options, batches[0], pool, network);
  const double step = median(seconds);
  const double peak = peak_flops(pool), flops = useful_flops(options) / step;
  ThreadPool one(1);
  return report_result(common, "bench-train",
                       {{"settings", settings_json(options, Bench::kTrain)},
                        {"parameters", network.parameter_count()},
                        {"seconds_per_60000", step * 60000 / options.batch},
                        {"step_ms",
                         {{"min", 1e3 * *std::min_element(seconds.begin(), seconds.end())},
                          {"median", 1e3 * step},
                          {"max", 1e3 * *std::max_element(seconds.begin(), seconds.end())}}},
                        {"gflops", flops / 1e9},
                        {"peak_gflops", peak / 1e9},
                        {"share_of_peak", flops / peak},
                        {"scan", scan_json(options, one, peak_flops(one))},
                        {"instruction_set", kernels::kernel_target()},
                        {"threads", pool.size()}});
}

}  // namespace crosstate::cli
