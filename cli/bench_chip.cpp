// crosstate bench chip: programming of all arrays of a network, and sequences on them.
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/bench.h"
#include "crosstate/base/error.h"
#include "crosstate/crossbar/target.h"
#include "crosstate/kernels/dispatch.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/simulate/chip.h"

namespace crosstate::cli {

int bench_chip(const Common& common, const BenchOptions& options) {
  const crossbar::Target target = crossbar::read_target(options.target);
  if (target.external.used()) {
    fail("bench.target = \"" + options.target + '"',
         "external.command is set, expected the target of a simulated chip");
  }
  ThreadPool pool(common.threads);
  const data::Dataset set = random_data(options);
  const data::Batch batch = whole_batch(set);
  const integer::IntegerNetwork network = random_integers(options, batch, pool);
  const mapping::Mapping mapping = mapping::map_network(network, target.crossbar, set.length);

  std::vector<double> programming, running;
  for (int r = 0; r < options.repeats; ++r) {
    double start = now();
    simulate::Chip chip(network, mapping, target, options.seed, static_cast<std::uint32_t>(r),
                        nullptr, &pool);
    chip.calibrate(batch);
    programming.push_back(now() - start);
    start = now();
    chip.run(batch, 0, pool);
    running.push_back(now() - start);
  }
  const double seconds = median(running);
  return report_result(common, "bench-chip",
                       {{"settings", settings_json(options, Bench::kChip)},
                        {"arrays", mapping.built()},
                        {"program_and_calibrate_s", median(programming)},
                        {"sequences_per_second", options.batch / seconds},
                        {"s_per_10000_sequences", 1e4 * seconds / options.batch},
                        {"instruction_set", kernels::kernel_target()},
                        {"threads", pool.size()}});
}

}  // namespace crosstate::cli
