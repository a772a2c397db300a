// Shared by the benchmarks: settings, clock, peak performance, output of results.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/common.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/batch.h"
#include "crosstate/data/dataset.h"
#include "crosstate/integer/network.h"
#include "crosstate/model/options.h"
#include "crosstate/quant/options.h"

namespace crosstate::cli {

inline constexpr int kWarmUp = 2;            // measurements that are discarded
inline constexpr std::size_t kBlock = 28;    // time steps of a block of a batch
inline constexpr double kPeakSeconds = 0.3;  // duration of the measurement of the peak

enum class Bench { kTrain, kScan, kInfer, kArray, kChip };

struct BenchOptions {
  std::uint64_t seed = 1;
  int channels = 16, states = 16, layers = 2;
  int length = 784, batch = 64;
  model::Norm norm = model::Norm::kLayer;
  std::string preset = "w8a8s8";
  double weight_noise = 0;
  int state_bits = 0;  // overrides that of the preset
  quant::StateRounding state_rounding = quant::StateRounding::kNearest;
  int residue_bits = 0;
  int rows = 64, columns = 64, adc_bits = 8, dac_bits = 8;
  double read_noise = 0.01, wire = 0;
  std::string target = "taox-64x64";
  int repeats = 31;
  std::string isa = "best";
};

/// Binds the fields of section "bench" that the benchmark uses.
void fields(FieldList& list, BenchOptions& options, Bench which);

/// Seconds since an arbitrary fixed time.
double now();
/// The median of at least one value.
double median(std::vector<double> values);

/// Peak performance of all threads of the pool together: two operations per multiply-add, per
/// second.
double peak_flops(ThreadPool& pool);

/// `batch` sequences of noise in ten classes.
data::Dataset random_data(const BenchOptions& options);

/// All of a set, in blocks of kBlock steps.
data::Batch whole_batch(const data::Dataset& set);

/// A random network, calibrated on a batch.
integer::IntegerNetwork random_integers(const BenchOptions& options, const data::Batch& batch,
                                        ThreadPool& pool);

int bench_train(const Common& common, const BenchOptions& options);
int bench_scan(const Common& common, const BenchOptions& options);
int bench_infer(const Common& common, const BenchOptions& options);
int bench_array(const Common& common, const BenchOptions& options);
int bench_chip(const Common& common, const BenchOptions& options);

/// Speed of one thread in a pool whose threads all scan at once, each on its own data.
nlohmann::json scan_json(const BenchOptions& options, ThreadPool& pool, double peak);

/// The settings that the benchmark uses.
nlohmann::json settings_json(const BenchOptions& options, Bench which);

/// Writes the result to standard output and to the files of --json and --out.
int report_result(const Common& common, const std::string& name, const nlohmann::json& result);

}  // namespace crosstate::cli
