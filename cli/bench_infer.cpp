// crosstate bench infer: the integer network, one sequence step by step and in batches.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/bench.h"
#include "crosstate/integer/engine.h"
#include "crosstate/kernels/dispatch.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

// Long sequences already average over many steps.
int stream_repeats(int length, int repeats) {
  constexpr int kLong = 1000, kRepeatsOfLong = 7;
  return length > kLong ? std::min(repeats, kRepeatsOfLong) : repeats;
}

// Seconds per time step, over a sequence of `length`.
double stream_seconds(integer::IntegerStream& stream, const data::Dataset& set, int length,
                      int repeats) {
  std::vector<double> seconds;
  for (int r = 0; r < kWarmUp + stream_repeats(length, repeats); ++r) {
    stream.reset();
    const double start = now();
    for (int t = 0; t < length; ++t) {
      stream.step(set.sequence(0).subspan(static_cast<std::size_t>(t) % set.length, 1));
    }
    if (r >= kWarmUp) seconds.push_back((now() - start) / length);
  }
  return median(seconds);
}

double batch_seconds(const integer::IntegerEngine& engine, const data::Batch& batch, int repeats,
                     ThreadPool& pool) {
  std::vector<double> seconds;
  for (int r = 0; r < kWarmUp + repeats; ++r) {
    const double start = now();
    engine.run(batch, pool);
    if (r >= kWarmUp) seconds.push_back(now() - start);
  }
  return median(seconds);
}

}  // namespace

int bench_infer(const Common& common, const BenchOptions& options) {
  ThreadPool pool(common.threads);
  const data::Dataset set = random_data(options);
  const data::Batch batch = whole_batch(set);
  const integer::IntegerNetwork network = random_integers(options, batch, pool);

  integer::IntegerStream stream(network);
  json by_length;
  for (const int length : {784, 8000, 65536}) {
    by_length[std::to_string(length)] = 1e6 * stream_seconds(stream, set, length, options.repeats);
  }
  const double step = stream_seconds(stream, set, options.length, options.repeats);
  const integer::IntegerEngine engine(network);
  const double seconds = batch_seconds(engine, batch, options.repeats, pool);
  return report_result(common, "bench-infer",
                       {{"settings", settings_json(options, Bench::kInfer)},
                        {"us_per_step", 1e6 * step},
                        {"us_per_step_by_length", by_length},
                        {"sequences_per_second_core", options.batch / seconds / pool.size()},
                        {"bytes_touched", stream.bytes()},
                        {"vectorised", engine.vectorised()},
                        {"instruction_set", kernels::kernel_target()},
                        {"threads", pool.size()}});
}

}  // namespace crosstate::cli
