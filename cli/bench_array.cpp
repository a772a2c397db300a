// crosstate bench array: programming and reading of one crossbar array.
#include <algorithm>
#include <cmath>

#include "cli/bench.h"
#include "crosstate/base/lanes.h"
#include "crosstate/base/random.h"
#include "crosstate/crossbar/array.h"
#include "crosstate/kernels/dispatch.h"

namespace crosstate::cli {
namespace {

crossbar::Target target_of(const BenchOptions& options) {
  crossbar::Target target;
  target.device.g_min = 0.5;
  target.device.read_noise = options.read_noise;
  target.crossbar.rows = options.rows;
  target.crossbar.columns = options.columns;
  target.crossbar.adc_bits = options.adc_bits;
  target.crossbar.dac_bits = options.dac_bits;
  target.crossbar.adc_range = crossbar::AdcRange::kFixed;
  target.wires.segment = options.wire;
  return target;
}

// Median seconds of `work`, which is run `inner` times per measurement.
template <class Work>
double seconds_of(int repeats, int inner, Work work) {
  std::vector<double> seconds;
  for (int r = 0; r < kWarmUp + repeats; ++r) {
    const double start = now();
    for (int i = 0; i < inner; ++i) work();
    if (r >= kWarmUp) seconds.push_back((now() - start) / inner);
  }
  return median(seconds);
}

}  // namespace

int bench_array(const Common& common, const BenchOptions& options) {
  const auto rows = static_cast<std::size_t>(options.rows);
  const auto columns = static_cast<std::size_t>(options.columns);
  const std::size_t steps = (static_cast<std::size_t>(options.batch) + kLanes - 1) / kLanes;
  Random random(options.seed, Stream::kTest);
  std::vector<float> weights(rows * columns);
  for (float& w : weights) w = static_cast<float>(random.uniform(-1, 1));
  const float most = std::exp2(static_cast<float>(options.dac_bits - 1)) - 1;
  AlignedFloats in(rows * steps * kLanes), out(columns * steps * kLanes);
  for (float& v : in) v = std::round(static_cast<float>(random.uniform(-1, 1)) * most);

  const crossbar::Target target = target_of(options);
  crossbar::validate(target);
  const crossbar::ArrayPlan plan{weights, rows, columns, most};
  const double programming = seconds_of(std::min(options.repeats, 7), 1, [&] {
    crossbar::ProgrammedArray(plan, target, options.seed, 0);
  });
  const crossbar::ProgrammedArray array(plan, target, options.seed, 0);
  crossbar::ReadScratch scratch;
  std::uint32_t step = 0;
  constexpr int kInner = 20;
  const double product = seconds_of(options.repeats, kInner, [&] {
    array.multiply(0, columns, steps, {in.data(), steps * kLanes}, {out.data(), steps * kLanes}, 0,
                   step++, scratch);
  });
  return report_result(common, "bench-array",
                       {{"settings", settings_json(options, Bench::kArray)},
                        {"us_per_product", 1e6 * product / options.batch},
                        {"program_ms", 1e3 * programming},
                        {"instruction_set", kernels::kernel_target()},
                        {"threads", 1}});
}

}  // namespace crosstate::cli
