// crosstate bench: how fast training steps and scans are, as JSON on standard output.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/integer/convert.h"
#include "crosstate/integer/engine.h"
#include "crosstate/kernels/dispatch.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/train/adamw.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

constexpr int kWarmUp = 2;            // steps before those that count
constexpr double kPeakSeconds = 0.3;  // for measuring the peak

struct BenchOptions {
  int channels = 16, states = 16, layers = 2, length = 784, batch = 64, state_bits = 0, repeats = 7;
  std::string norm = "layer", state_rounding = "nearest", isa, preset = "w8a8s8";
};

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// All threads at once: cores share clocks and power, so the peak of one is not that of many.
double peak_flops(ThreadPool& pool) {
  std::vector<double> peaks(static_cast<std::size_t>(pool.size()));
  pool.parallel_for(peaks.size(),
                    [&](std::size_t i, int) { peaks[i] = measure_peak_flops(kPeakSeconds); });
  return std::accumulate(peaks.begin(), peaks.end(), 0.0);
}

// Useful operations of one training step, an FMA counted as two. Per block, time step and sequence:
//   scan     H M (forward + adjoint, see scan.h), with M = N / 2 complex modes
//   linear   3 * 2 * 2H * H: forward, gradient of the input, gradient of the weight; the gate makes
//            the outputs 2H
// Everything else (activations, norm, gate, rounding, encoder, decoder, optimiser, and products
// that are computed again rather than kept) counts as zero, so the share of the peak is a lower
// bound.
double useful_flops(const BenchOptions& options) {
  const double H = options.channels, M = options.states / 2.0;
  const double scan = H * M * (kScanForwardFlops + kScanAdjointFlops);
  const double linear = 3 * 2 * (2 * H) * H;
  return (scan + linear) * options.layers * options.length * options.batch;
}

Dataset random_data(const BenchOptions& options) {
  Dataset set;
  set.name = "random";
  set.count = static_cast<std::size_t>(options.batch);
  set.length = static_cast<std::size_t>(options.length);
  Random random(1, Stream::kTest);
  set.values.resize(set.count * set.length);
  for (float& v : set.values) v = static_cast<float>(random.uniform());
  for (std::size_t i = 0; i < set.count; ++i) {
    set.labels.push_back(static_cast<std::int32_t>(random.below(10)));
  }
  for (int c = 0; c < 10; ++c) set.classes.push_back(std::to_string(c));
  return set;
}

struct ScanTimes {
  double forward = 0, adjoint = 0;  // seconds per mode, step and lane
};

// The kernels alone on one thread: all channels of one group of sequences, block by block.
ScanTimes scan_times(const BenchOptions& options, int block_length) {
  const auto channels = static_cast<std::size_t>(options.channels);
  const auto modes = static_cast<std::size_t>(options.states / 2);
  const auto steps = static_cast<std::size_t>(std::min(block_length, options.length));
  const std::size_t blocks =
      std::max<std::size_t>(1, static_cast<std::size_t>(options.length) / steps);
  Random random(2, Stream::kTest);
  const auto fill = [&](std::size_t n, double low, double high) {
    AlignedFloats values(n);
    for (float& v : values) v = static_cast<float>(random.uniform(low, high));
    return values;
  };
  AlignedFloats ar(channels * modes), ai(channels * modes);
  for (std::size_t i = 0; i < ar.size(); ++i) {
    const double magnitude = random.uniform(0.9, 0.999), phase = random.uniform(-3, 3);
    ar[i] = static_cast<float>(magnitude * std::cos(phase));
    ai[i] = static_cast<float>(magnitude * std::sin(phase));
  }
  const AlignedFloats cr = fill(ar.size(), -1, 1), ci = fill(ar.size(), -1, 1);
  const AlignedFloats b = fill(ar.size(), 8, 16);  // the state counted in quantization steps
  const AlignedFloats u = fill(steps * kLanes, 0, 1), gy = fill(steps * kLanes, -1, 1);
  StateRounding rounding;
  if (options.state_bits > 0) {
    rounding.limit = static_cast<float>(std::exp2(options.state_bits - 1) - 1);
    rounding.mode = rounding_mode(options.state_rounding);
  }
  std::array<std::uint32_t, kLanes> seeds{};
  rounding.draws.seeds = seeds.data();
  const std::size_t size = scan_state_size(modes, rounding.mode);
  AlignedFloats y(steps * kLanes), gu(steps * kLanes), scratch(kScanScratch * steps);
  AlignedFloats state(channels * size), start(channels * size), carry(channels * size);
  std::vector<double> g(4 * modes), gb(modes);
  const ScanGradients gradients{&g[0], &g[modes], options.state_bits > 0 ? gb.data() : nullptr,
                                &g[2 * modes], &g[3 * modes]};
  const auto mode = [&](std::size_t c) {
    const std::size_t at = c * modes;
    return ScanModes{modes,   &ar[at], &ai[at], options.state_bits > 0 ? &b[at] : nullptr,
                     &cr[at], &ci[at]};
  };

  std::vector<double> forward, adjoint;
  for (int r = 0; r < kWarmUp + options.repeats; ++r) {
    std::fill(state.begin(), state.end(), 0.0f);
    std::fill(carry.begin(), carry.end(), 0.0f);
    const double t0 = now();
    for (std::size_t k = 0; k < blocks; ++k) {
      for (std::size_t c = 0; c < channels; ++c) {
        scan_forward(mode(c), rounding, steps, u.data(), y.data(), &state[c * size]);
      }
    }
    const double t1 = now();
    for (std::size_t k = 0; k < blocks; ++k) {
      for (std::size_t c = 0; c < channels; ++c) {
        scan_adjoint(mode(c), rounding, steps, u.data(), &start[c * size], gy.data(), gu.data(),
                     &carry[c * size], gradients, scratch.data());
      }
    }
    const double t2 = now();
    if (r < kWarmUp) continue;
    forward.push_back(t1 - t0);
    adjoint.push_back(t2 - t1);
  }
  const auto items = static_cast<double>(blocks * steps * channels * modes * kLanes);
  return {median(forward) / items, median(adjoint) / items};
}

json scan_json(const BenchOptions& options, double peak_of_one) {
  const ScanTimes times = scan_times(options, ModelOptions().block_length);
  const double flops = (kScanForwardFlops + kScanAdjointFlops) / (times.forward + times.adjoint);
  return {{"forward_ns", times.forward * 1e9},
          {"adjoint_ns", times.adjoint * 1e9},
          {"gflops", flops / 1e9},
          {"share_of_peak", flops / peak_of_one},
          {"forward_share_of_peak", kScanForwardFlops / times.forward / peak_of_one},
          {"adjoint_share_of_peak", kScanAdjointFlops / times.adjoint / peak_of_one}};
}

json settings(const BenchOptions& options) {
  return {{"channels", options.channels}, {"states", options.states},
          {"layers", options.layers},     {"length", options.length},
          {"batch", options.batch},       {"state_bits", options.state_bits},
          {"norm", options.norm},         {"state_rounding", options.state_rounding},
          {"repeats", options.repeats}};
}

void prepare(const BenchOptions& options) {
  if (!options.isa.empty()) select_kernel_target(options.isa);
  if (options.states % 2 != 0) {
    fail("--states", std::to_string(options.states) + ", expected an even number");
  }
  if (options.state_bits == 1) fail("--state-bits", "1, expected 0 (floating point) or 2 to 16");
}

int bench_train(const Common& common, const BenchOptions& options) {
  prepare(options);
  require_writable_file(common.json);
  ModelOptions model;
  model.channels = options.channels;
  model.states = options.states;
  model.layers = options.layers;
  model.norm = options.norm;
  ThreadPool pool(common.threads);
  Network network(model, {1, 10}, 1);
  const Dataset set = random_data(options);
  std::vector<std::uint32_t> order(set.count);
  std::iota(order.begin(), order.end(), 0u);
  std::vector<Batch> batches(1);
  fill_batch(set, order, static_cast<std::size_t>(model.block_length), batches[0]);
  if (options.state_bits > 0) {
    QuantOptions quant = uniform_bits(0);
    quant.state.bits = options.state_bits;
    quant.state.rounding = options.state_rounding;
    if (options.norm == "batch") network.fold_norms();
    network.quantize(quant, batches, pool);
  }
  AdamW optimizer(network.parameters(), {});

  std::vector<double> seconds;
  for (int r = 0; r < kWarmUp + options.repeats; ++r) {
    const double start = now();
    network.train_step(batches[0], {0, 1, static_cast<std::uint64_t>(r)}, pool);
    optimizer.step(network.parameters(), 0.01);
    if (r >= kWarmUp) seconds.push_back(now() - start);
  }
  const double step = median(seconds);
  const double peak = peak_flops(pool), flops = useful_flops(options) / step;
  const json result = {{"settings", settings(options)},
                       {"parameters", network.parameter_count()},
                       {"seconds_per_60000", step * 60000 / options.batch},
                       {"step_ms",
                        {{"min", 1e3 * *std::min_element(seconds.begin(), seconds.end())},
                         {"median", 1e3 * step},
                         {"max", 1e3 * *std::max_element(seconds.begin(), seconds.end())}}},
                       {"gflops", flops / 1e9},
                       {"peak_gflops", peak / 1e9},
                       {"share_of_peak", flops / peak},
                       {"scan", scan_json(options, measure_peak_flops(kPeakSeconds))},
                       {"instruction_set", kernel_target()},
                       {"threads", pool.size()}};
  write_json(common, result);
  if (common.json != "-") std::printf("%s\n", result.dump(2).c_str());
  return kOk;
}

int bench_scan(const Common& common, const BenchOptions& options) {
  prepare(options);
  require_writable_file(common.json);
  const double peak = measure_peak_flops(kPeakSeconds);
  json result = scan_json(options, peak);
  result["peak_gflops"] = peak / 1e9;
  result["instruction_set"] = kernel_target();
  result["threads"] = 1;
  result["settings"] = {{"channels", options.channels},
                        {"states", options.states},
                        {"length", options.length},
                        {"state_bits", options.state_bits},
                        {"state_rounding", options.state_rounding},
                        {"repeats", options.repeats}};
  write_json(common, result);
  if (common.json != "-") std::printf("%s\n", result.dump(2).c_str());
  return kOk;
}

// A random network, calibrated on random data.
IntegerNetwork random_integers(const BenchOptions& options, const Batch& batch, ThreadPool& pool) {
  ModelOptions model;
  model.channels = options.channels;
  model.states = options.states;
  model.layers = options.layers;
  model.norm = "none";
  Network network(model, {1, 10}, 1);
  QuantOptions quant = quant_preset(options.preset);
  quant.state.rounding = options.state_rounding;
  network.quantize(quant, {&batch, 1}, pool);
  return to_integers(network);
}

// Seconds of one time step, over a sequence of `length`.
double stream_seconds(IntegerStream& stream, const Dataset& set, int length, int repeats) {
  std::vector<double> seconds;
  for (int r = 0; r < kWarmUp + repeats; ++r) {
    stream.reset();
    const double start = now();
    for (int t = 0; t < length; ++t) {
      stream.step(set.sequence(0).subspan(static_cast<std::size_t>(t) % set.length, 1));
    }
    if (r >= kWarmUp) seconds.push_back((now() - start) / length);
  }
  return median(seconds);
}

int bench_infer(const Common& common, const BenchOptions& options) {
  prepare(options);
  require_writable_file(common.json);
  ThreadPool pool(1);
  const Dataset set = random_data(options);
  std::vector<std::uint32_t> order(set.count);
  std::iota(order.begin(), order.end(), 0u);
  Batch batch;
  fill_batch(set, order, 28, batch);
  const IntegerNetwork network = random_integers(options, batch, pool);

  IntegerStream stream(network);
  json by_length;
  for (const int length : {784, 8000, 65536}) {
    by_length[std::to_string(length)] = 1e6 * stream_seconds(stream, set, length, options.repeats);
  }
  const double step = stream_seconds(stream, set, options.length, options.repeats);
  const IntegerEngine engine(network);
  std::vector<double> seconds;
  for (int r = 0; r < kWarmUp + options.repeats; ++r) {
    const double start = now();
    engine.run(batch, pool);
    if (r >= kWarmUp) seconds.push_back(now() - start);
  }
  json formats = settings(options);
  formats["preset"] = options.preset;
  formats.erase("norm");
  formats.erase("state_bits");
  const json result = {{"settings", formats},
                       {"us_per_step", 1e6 * step},
                       {"us_per_step_by_length", by_length},
                       {"sequences_per_second_core", options.batch / median(seconds)},
                       {"bytes_touched", stream.bytes()},
                       {"vectorised", engine.vectorised()},
                       {"instruction_set", kernel_target()},
                       {"threads", 1}};
  write_json(common, result);
  if (common.json != "-") std::printf("%s\n", result.dump(2).c_str());
  return kOk;
}

}  // namespace

void add_bench(CLI::App& app, Action& chosen) {
  CLI::App* bench = app.add_subcommand(
      "bench", "Measure the speed of training and inference; JSON on standard output");
  bench->require_subcommand(1);
  auto common = std::make_shared<Common>();
  auto options = std::make_shared<BenchOptions>();
  const auto add = [&](const std::string& name, const std::string& help) {
    CLI::App* command = bench->add_subcommand(name, help);
    const auto number = [&](const char* option, int& value, const char* text, int low, int high) {
      command->add_option(option, value, text)->check(CLI::Range(low, high))->capture_default_str();
    };
    number("--channels", options->channels, "Width", 1, 4096);
    number("--states", options->states, "States per channel, even", 2, 4096);
    number("--length", options->length, "Time steps", 1, 1000000);
    if (name != "infer") {
      number("--state-bits", options->state_bits, "Bits of the state in the loop; 0: float", 0, 16);
    }
    number("--repeats", options->repeats, "Measurements, of which the median counts", 1, 1000);
    command->add_option("--state-rounding", options->state_rounding, "How the state is rounded")
        ->check(CLI::IsMember({"nearest", "stochastic", "feedback"}))
        ->capture_default_str();
    std::string isas;
    for (const std::string& isa : kernel_targets()) isas += (isas.empty() ? "" : ", ") + isa;
    command->add_option("--isa", options->isa, "Instruction set: " + isas + "; default: the best")
        ->type_name("NAME");
    command->add_option("--json", common->json, "Result also to a file")->type_name("FILE");
    return command;
  };
  CLI::App* train = add("train", "Whole training steps of the reference block on random data");
  CLI::App* infer = add("infer", "The integer network: one sequence step by step, and batches");
  for (CLI::App* command : {train, infer}) {
    command->add_option("--layers", options->layers, "Blocks")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    command->add_option("--batch", options->batch, "Sequences per step")
        ->check(CLI::Range(1, 65536))
        ->capture_default_str();
  }
  infer->add_option("--preset", options->preset, "Formats, as quant.preset")->capture_default_str();
  infer->callback([=, &chosen] { chosen = [=] { return bench_infer(*common, *options); }; });
  train->add_option("--norm", options->norm, "layer, batch or none")
      ->check(CLI::IsMember({"layer", "batch", "none"}))
      ->capture_default_str();
  train->add_option("--threads", common->threads, "Threads; 0: every core")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  train->callback([=, &chosen] { chosen = [=] { return bench_train(*common, *options); }; });
  CLI::App* scan = add("scan", "The scan kernels alone, on one thread");
  scan->callback([=, &chosen] { chosen = [=] { return bench_scan(*common, *options); }; });
}

}  // namespace crosstate::cli
