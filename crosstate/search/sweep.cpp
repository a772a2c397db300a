#include "crosstate/search/sweep.h"

#include "crosstate/base/files.h"

namespace crosstate::search {

namespace fs = std::filesystem;

SweepSummary run_sweep(const SweepPlan& planned, SweepContext context) {
  require_inputs(planned);
  SweepPlan plan = planned;
  identify(plan);
  make_writable_directory(context.directory);
  const fs::path directory = fs::absolute(context.directory).lexically_normal();
  const ExecuteContext execute{
      directory, plan.settings.threads, context.training, {}, context.note};
  Team team(sweep_work(plan, execute), {context.workers, plan.settings.patience, plan.digest()},
            std::move(context.transport));
  SweepSummary summary;
  summary.leads = team.leads();
  if (!team.leads()) {
    summary.interrupted = !team.follow(context.stop);
    summary.lost_a_rank = team.lost_a_rank();
    return summary;
  }
  pipeline::OutputDirectory output(directory, "sweep", context.earlier);
  if (context.opened) context.opened(output);
  output.begin(given_files(plan));
  Store store(directory);
  store.add(plan.points);
  if (context.retry_failed) store.forget_failures();
  SweepTasks tasks(plan, store, directory, context.report);
  summary.interrupted = !team.run(tasks, context.stop);
  team.dismiss();
  summary.lost_a_rank = team.lost_a_rank();
  summary.results = collect(plan, store);
  write_results(plan, summary.results, directory);
  return summary;
}

}  // namespace crosstate::search
