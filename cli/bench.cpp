// crosstate bench: speed of training, scans and inference, as JSON on standard output.
#include "cli/bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/base/random.h"
#include "crosstate/integer/convert.h"
#include "crosstate/kernels/dispatch.h"
#include "crosstate/kernels/residue.h"
#include "crosstate/quant/options.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

// Whether a benchmark has a whole network in the format of a preset.
bool of_network(Bench which) {
  return which == Bench::kTrain || which == Bench::kInfer || which == Bench::kChip;
}

void validate(const BenchOptions& options, Bench which) {
  if (options.states % 2 != 0) {
    fail("bench.states (--states)",
         std::to_string(options.states) + ", expected an even number: a mode has two states");
  }
  if (options.state_bits == 1) {
    fail("bench.state_bits (--state-bits)", "1, expected 0 (float) or 2 to 16");
  }
  if (options.residue_bits > 0 && options.state_rounding != quant::StateRounding::kNearest) {
    fail("bench.residue_bits",
         std::to_string(options.residue_bits) +
             " with bench.state_rounding = \"stochastic\", expected 0 bits or "
             "nearest");
  }
  if (of_network(which)) quant::quant_preset(options.preset);
  kernels::select_kernel_target(options.isa);
}

BenchOptions defaults(Bench which) {
  BenchOptions options;
  if (which == Bench::kTrain) options.preset = "float";
  if (which == Bench::kChip) {
    options.channels = 32;
    options.layers = 3;
    options.batch = 500;
    options.repeats = 3;
  }
  return options;
}

void add_isa(FieldList& list, BenchOptions& options) {
  std::vector<std::string> names = kernels::kernel_targets();
  names.insert(names.begin(), "best");
  list.add("isa", options.isa, "Instruction set of the kernels.").one_of(names);
}

void array_fields(FieldList& list, BenchOptions& options) {
  list.add("rows", options.rows, "Rows of the array, in signed pairs.").range(3, 4096);
  list.add("columns", options.columns, "Columns of the array, in signed pairs.").range(3, 4096);
  list.add("batch", options.batch, "Number of products at once; rounded up to groups of 16.")
      .range(1, 65536);
  list.add("adc_bits", options.adc_bits, "As crossbar.adc_bits.").in("bits").range(2, 16);
  list.add("dac_bits", options.dac_bits, "As crossbar.dac_bits.").in("bits").range(2, 16);
  list.add("read_noise", options.read_noise, "As device.read_noise.").range(0, 1);
  list.add("wire", options.wire, "As wires.segment.").in("ohm").range(0, 1e6);
  list.add("repeats", options.repeats, "Number of measurements, of which the median is reported.")
      .range(1, 1000);
  add_isa(list, options);
}

std::string idle_in_bench(const std::string& key, const BenchOptions& options, Bench which) {
  if (key != "bench.state_rounding" && key != "bench.residue_bits") return "";
  const int state_bits =
      of_network(which) ? quant::quant_preset(options.preset).state.bits : quant::kFloatBits;
  if (options.state_bits > 0 || state_bits != quant::kFloatBits) return "";
  return which == Bench::kScan
             ? "bench.state_bits = 0"
             : "bench.preset = \"" + options.preset + "\", which does not quantize the state";
}

BenchOptions bench_options(const Common& common, Bench which) {
  BenchOptions options = defaults(which);
  FieldList list;
  fields(list, options, which);
  read_settings(common, list);
  validate(options, which);
  refuse_idle(common, [&](const std::string& key) { return idle_in_bench(key, options, which); });
  require_writable_file(common.json);
  return options;
}

struct Benchmark {
  Bench which;
  const char* name;
  const char* help;
  const char* threads;
  const char* no_threads;  // "": the option is allowed
  int default_threads;
  int (*run)(const Common&, const BenchOptions&);
};

constexpr Benchmark kBenchmarks[] = {
    {Bench::kTrain, "train", "Measure whole training steps of the reference block on random data",
     "Number of threads; 0: all cores", "", 0, bench_train},
    {Bench::kScan, "scan", "Measure the scan kernels alone",
     "Threads that scan at once, each on its own data; 0: all cores", "", 1, bench_scan},
    {Bench::kInfer, "infer", "Measure the integer network: one sequence step by step, and batches",
     "Threads for batches (a single sequence uses one); 0: all cores", "", 1, bench_infer},
    {Bench::kArray, "array",
     "Measure programming of one crossbar array, and batches of products with it", "",
     "one array is used by one thread", 1, bench_array},
    {Bench::kChip, "chip",
     "Measure one simulated chip: all arrays of a network, and sequences on it",
     "Number of threads; 0: all cores", "", 0, bench_chip},
};

}  // namespace

void fields(FieldList& list, BenchOptions& options, Bench which) {
  const bool whole_network = of_network(which);
  list.section("bench");
  list.add("seed", options.seed, "Seed of the random network and data.").range(0, 9e18);
  if (which == Bench::kArray) {
    array_fields(list, options);
    return;
  }
  list.add("channels", options.channels, "Channels of every layer.").range(1, 4096);
  list.add("states", options.states, "States (real numbers) per channel; even.").range(2, 4096);
  if (whole_network) list.add("layers", options.layers, "Number of layers.").range(1, 64);
  list.add("length", options.length, "Time steps per sequence.").in("steps").range(1, 1000000);
  if (whole_network) {
    list.add("batch", options.batch, "Sequences per batch.").in("sequences").range(1, 65536);
  }
  if (which == Bench::kTrain) {
    list.add("norm", options.norm, "Norm of every block; batch is folded into the weights.");
  }
  if (whole_network) {
    list.add("preset", options.preset, "Number formats of the network, as in quant.preset.");
  }
  if (which == Bench::kTrain) {
    list.add("weight_noise", options.weight_noise, "As quant.weight_noise.").range(0, 1);
  }
  if (which == Bench::kChip) {
    list.add("target", options.target, "Shipped target, or a TOML file.");
  }
  if (which == Bench::kTrain || which == Bench::kScan) {
    list.add("state_bits", options.state_bits,
             "Bits of the state in the scan, 2 or more; 0: not quantized, or as in the preset.")
        .in("bits")
        .range(0, 16);
  }
  list.add("state_rounding", options.state_rounding, "Rounding of the state without a residue.")
      .replaced_value("feedback", "bench.residue_bits = 14");
  list.add("residue_bits", options.residue_bits, "As quant.state.residue_bits.")
      .in("bits")
      .range(0, kernels::kMostResidueBits);
  list.add("repeats", options.repeats,
           which == Bench::kInfer
               ? "Number of measurements, of which the median is reported; at most 7 for long "
                 "sequences."
               : "Number of measurements, of which the median is reported; more on a busy machine.")
      .range(1, 1000);
  add_isa(list, options);
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// All threads at once: cores share clocks and power, so the peak of several is less than the sum of
// single ones.
double peak_flops(ThreadPool& pool) {
  std::vector<double> peaks(static_cast<std::size_t>(pool.size()));
  pool.parallel_for(peaks.size(), [&](std::size_t i, int) {
    peaks[i] = kernels::measure_peak_flops(kPeakSeconds);
  });
  return std::accumulate(peaks.begin(), peaks.end(), 0.0);
}

data::Batch whole_batch(const data::Dataset& set) {
  std::vector<std::uint32_t> order(set.count);
  std::iota(order.begin(), order.end(), 0u);
  data::Batch batch;
  data::fill_batch(set, order, kBlock, batch);
  return batch;
}

integer::IntegerNetwork random_integers(const BenchOptions& options, const data::Batch& batch,
                                        ThreadPool& pool) {
  model::ModelOptions model;
  model.channels = options.channels;
  model.states = options.states;
  model.layers = options.layers;
  model.norm = model::Norm::kNone;
  model::Network network(model, {1, 10}, options.seed);
  quant::QuantOptions quant = quant::quant_preset(options.preset);
  quant.state.rounding = options.state_rounding;
  quant.state.residue_bits = options.residue_bits;
  network.quantize(quant, {&batch, 1}, pool);
  return integer::to_integers(network);
}

data::Dataset random_data(const BenchOptions& options) {
  data::Dataset set;
  set.name = "random";
  set.count = static_cast<std::size_t>(options.batch);
  set.length = static_cast<std::size_t>(options.length);
  Random random(options.seed, Stream::kTest);
  set.values.resize(set.count * set.length);
  for (float& v : set.values) v = static_cast<float>(random.uniform());
  for (std::size_t i = 0; i < set.count; ++i) {
    set.targets.push_back(static_cast<float>(random.below(10)));
  }
  for (int c = 0; c < 10; ++c) set.readout.names.push_back(std::to_string(c));
  return set;
}

json settings_json(const BenchOptions& options, Bench which) {
  BenchOptions copy = options;
  FieldList list;
  fields(list, copy, which);
  return list.to_json().at("bench");
}

int report_result(const Common& common, const std::string& name, const json& result) {
  write_result(common, name, result);
  if (!common.quiet && common.json != "-")
    std::printf("%s\n", exact_json_text(with_format(result, name), 2).c_str());
  return kOk;
}

void add_bench(Command root) {
  Command bench = root.add_command(
      "bench", "Measure the speed of training and inference; JSON on standard output");
  bench.require_command();
  for (const Benchmark& benchmark : kBenchmarks) {
    Command added = bench.add_command(benchmark.name, benchmark.help);
    auto common = std::make_shared<Common>();
    common->threads = benchmark.default_threads;
    BenchOptions options = defaults(benchmark.which);
    FieldList list;
    fields(list, options, benchmark.which);
    add_common(added, *common,
               {.data = false,
                .no_resume = kNothingContinues,
                .out = out_for_result(std::string("bench-") + benchmark.name),
                .seed = "Seed of the random network and data",
                .threads = benchmark.threads,
                .no_threads = benchmark.no_threads},
               list);
    add_short_forms(added, *common, list);
    added.action([=] {
      const BenchOptions settings = bench_options(*common, benchmark.which);
      const auto output = prepare_out(*common, std::string("bench-") + benchmark.name);
      return benchmark.run(*common, settings);
    });
  }
}

}  // namespace crosstate::cli
