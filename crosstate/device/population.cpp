#include "crosstate/device/population.h"

#include <algorithm>
#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate::device {
namespace {

constexpr std::size_t kPerArray = 65536;
constexpr double kShares[] = {0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999};

// Interpolates between the two order statistics around the share.
double quantile(const std::vector<double>& sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::vector<Bin> histogram_of(const std::vector<double>& sorted, int count) {
  const double low = sorted.front(), high = sorted.back();
  // If all values are equal, they share one bin of 1 uS.
  if (!(high > low)) return {{low, sorted.size(), 1}};
  const double width = (high - low) / count;
  std::vector<Bin> bins(static_cast<std::size_t>(count));
  for (std::size_t b = 0; b < bins.size(); ++b) {
    bins[b].centre = low + (static_cast<double>(b) + 0.5) * width;
  }
  for (const double g : sorted) {
    const auto b = static_cast<std::size_t>((g - low) / width);
    ++bins[std::min(b, bins.size() - 1)].count;
  }
  const double unit = 1 / (static_cast<double>(sorted.size()) * width);
  for (Bin& bin : bins) bin.density = static_cast<double>(bin.count) * unit;
  return bins;
}

void describe(std::vector<double>& values, int bins, Population& result) {
  const auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double g : values) sum += g;
  result.mean = sum / n;
  for (const double g : values) squares += (g - result.mean) * (g - result.mean);
  result.deviation = n > 1 ? std::sqrt(squares / (n - 1)) : 0;
  std::sort(values.begin(), values.end());
  result.lowest = values.front();
  result.highest = values.back();
  for (const double share : kShares) result.quantiles.emplace_back(share, quantile(values, share));
  result.histogram = histogram_of(values, bins);
}

double target_of(const DeviceOptions& device, const PopulationOptions& options) {
  if (options.target_conductance >= 0) return options.target_conductance;
  if (options.target_conductance != -1) {
    fail("population.target_conductance (--target-conductance)",
         exact_text(options.target_conductance) + ", expected 0 or more (uS)");
  }
  const ConductanceRange range = conductance_range(device);
  return 0.5 * (range.low + range.high);
}

}  // namespace

void fields(FieldList& list, PopulationOptions& options) {
  list.section("population");
  list.add("target_conductance", options.target_conductance,
           "Target conductance of the devices; -1: the middle of the model's range.")
      .in("uS")
      .range(-1, 1e6);
  list.add("count", options.count, "Number of devices.").range(1, 1e8);
  list.add("time", options.time, "Time since programming; 0: fresh, see device.fresh.")
      .in("s")
      .range(0, 1e12);
  list.add("bins", options.bins, "Number of bins of the histogram.").range(1, 1e6);
}

Population sample_devices(const DeviceOptions& device, const PopulationOptions& options,
                          std::uint64_t seed, ThreadPool& pool) {
  require_age(device, options.time);
  Population result;
  result.target = target_of(device, options);
  const auto count = static_cast<std::size_t>(options.count);
  std::vector<double> values(count);
  const std::size_t arrays = (count + kPerArray - 1) / kPerArray;
  std::vector<ProgrammingSummary> summaries(arrays);
  std::vector<double> read_variances(arrays), inference_variances(arrays);
  pool.parallel_for(arrays, [&](std::size_t a, int) {
    const std::size_t first = a * kPerArray, n = std::min(kPerArray, count - first);
    Cells cells(device, std::vector<double>(n, result.target), seed, static_cast<std::uint32_t>(a));
    cells.age_to(options.time);
    std::copy_n(cells.conductance().begin(), n,
                values.begin() + static_cast<std::ptrdiff_t>(first));
    for (const double sigma : cells.read_deviation()) read_variances[a] += sigma * sigma;
    for (const double sigma : cells.inference_deviation()) inference_variances[a] += sigma * sigma;
    summaries[a] = cells.programming();
  });
  double read_variance = 0, inference_variance = 0;
  for (std::size_t a = 0; a < arrays; ++a) {
    read_variance += read_variances[a];
    inference_variance += inference_variances[a];
    result.programming.add(summaries[a]);
  }
  result.read_deviation = std::sqrt(read_variance / static_cast<double>(count));
  result.inference_deviation = std::sqrt(inference_variance / static_cast<double>(count));
  describe(values, options.bins, result);
  return result;
}

std::string histogram_csv(const std::vector<Bin>& histogram) {
  std::string text = "conductance_uS,count,density\n";
  for (const Bin& bin : histogram) {
    text += rounded_text(bin.centre, 9) + ',' + std::to_string(bin.count) + ',' +
            rounded_text(bin.density, 9) + '\n';
  }
  return text;
}

}  // namespace crosstate::device
