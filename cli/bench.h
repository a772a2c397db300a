// What the benchmarks share: their settings, the clock, the peak, where the result goes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/common.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/model/options.h"

namespace crosstate::cli {

inline constexpr int kWarmUp = 2;            // measurements before those that count
inline constexpr double kPeakSeconds = 0.3;  // for measuring the peak

enum class Bench { kTrain, kScan, kInfer, kArray };

struct BenchOptions {
  std::uint64_t seed = 1;
  int channels = 16, states = 16, layers = 2;
  int length = 784, batch = 64;
  model::Norm norm = model::Norm::kLayer;
  std::string preset = "w8a8s8";
  double weight_noise = 0;
  int state_bits = 0;  // over those of the preset
  std::string state_rounding = "nearest";
  int rows = 64, columns = 64, adc_bits = 8, dac_bits = 8;
  double read_noise = 0.01, wire = 0;
  int repeats = 31;
  std::string isa = "best";
};

/// Binds those fields of section "bench" that the benchmark uses.
void fields(FieldList& list, BenchOptions& options, Bench which);

/// Seconds since some moment.
double now();
/// The middle of at least one value.
double median(std::vector<double> values);

/// Multiply-adds times two per second that all threads of the pool reach at once.
double peak_flops(ThreadPool& pool);

/// Sequences of noise, `batch` of them, in ten classes.
data::Dataset random_data(const BenchOptions& options);

int bench_train(const Common& common, const BenchOptions& options);
int bench_scan(const Common& common, const BenchOptions& options);
int bench_infer(const Common& common, const BenchOptions& options);
int bench_array(const Common& common, const BenchOptions& options);

/// How fast one thread scans, in a pool whose threads all do so at once, each on data of its own.
nlohmann::json scan_json(const BenchOptions& options, ThreadPool& pool, double peak);

/// The settings that the benchmark uses.
nlohmann::json settings_json(const BenchOptions& options, Bench which);

/// Writes the result to standard output and where --json and --out say.
int report_result(const Common& common, const std::string& name, const nlohmann::json& result);

}  // namespace crosstate::cli
