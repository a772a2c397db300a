// crosstate sweep FILE: many runs on one or several machines, which may be killed and resumed.
#include "crosstate/search/sweep.h"

#include <cstdio>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "cli/transport.h"
#include "crosstate/base/error.h"
#include "crosstate/base/interrupt.h"
#include "crosstate/base/numbers.h"
#include "crosstate/pipeline/idle.h"

namespace crosstate::cli {
namespace {

struct SweepArguments {
  std::string file;
  int workers = 1;
  bool dump = false, retry_failed = false;
};

std::string key_of(const std::string& assignment) {
  return assignment.substr(0, assignment.find('='));
}

// --config before the settings of the file; --set, --data, --seed and --threads after them.
search::SweepOverrides overrides_of(const Common& common) {
  Common before, after = common;
  before.command = common.command;
  before.settings = common.settings;
  before.configs = common.configs;
  after.configs.clear();
  if (!common.data.empty()) after.set.push_back("data.directory=" + common.data);
  if (common.threads > 0) after.set.push_back("sweep.threads=" + std::to_string(common.threads));
  search::SweepOverrides overrides;
  overrides.inputs = true;
  overrides.before = [before](FieldList& list) { read_settings(before, list); };
  overrides.after = [after](FieldList& list) { read_settings(after, list); };
  for (const std::string& assignment : after.set) overrides.keys.push_back(key_of(assignment));
  if (!common.seed.empty()) overrides.keys.push_back("run.seed");
  return overrides;
}

std::string line_of(const search::SweepProgress& progress) {
  const search::Outcome& outcome = progress.outcome;
  std::string line = "[" + std::to_string(progress.finished) + "/" +
                     std::to_string(progress.points) + "] " + progress.task + ": ";
  if (outcome.status == search::PointStatus::kFailed) return line + "FAILED: " + outcome.error;
  line += search::headline(outcome);
  if (progress.is_point) {
    line += ", " + bytes_text(static_cast<std::size_t>(outcome.metric("bytes")));
  }
  return line + ", " + fixed_text(outcome.seconds, 1) + " s";
}

nlohmann::json json_of(const search::SweepPlan& plan, const search::SweepSummary& summary) {
  nlohmann::json points = nlohmann::json::array();
  for (std::size_t i = 0; i < plan.points.size(); ++i) {
    nlohmann::json point = search::to_json(summary.results.outcomes[i]);
    point["point"] = plan.points[i].name;
    for (const auto& [key, value] : plan.points[i].values) point["settings"][key] = value;
    points.push_back(std::move(point));
  }
  return {{"name", plan.settings.name},
          {"done", summary.results.done},
          {"failed", summary.results.failed},
          {"points", std::move(points)}};
}

void print_tables(const search::SweepPlan& plan, const search::SweepResults& results,
                  const Common& common) {
  std::fputs(report::to_text(search::summary_table(plan, results)).c_str(), stdout);
  if (results.failed > 0) {
    std::printf("\n%zu of %zu points failed:\n%s", results.failed, plan.points.size(),
                report::to_text(search::failure_table(plan, results)).c_str());
  }
  std::printf("results in %s: results.csv, front.csv, report.html, sweep.sqlite\n",
              common.out.c_str());
}

int dump(const Common& common) {
  if (!search::Store::exists(common.out))
    fail(common.out, "is not a sweep directory, expected sweep.sqlite in it");
  std::fputs(search::dump_csv(search::Store(common.out, search::Store::Access::kRead)).c_str(),
             stdout);
  return kOk;
}

int finish(const search::SweepPlan& plan, const search::SweepSummary& summary,
           const Common& common) {
  if (!summary.leads) return summary.interrupted ? kInterrupted : kOk;
  write_json(common, with_format(json_of(plan, summary), "sweep"));
  if (!common.quiet && common.json != "-") print_tables(plan, summary.results, common);
  return summary.results.failed > 0 ? kSomeFailed : kOk;
}

int sweep_command(const Common& common, const SweepArguments& arguments) {
  if (arguments.dump) {
    if (common.overwrite) fail("--overwrite", "has no effect with --dump, which only reads");
    return dump(common);
  }
  if (arguments.file.empty()) fail("sweep", "no FILE, expected a sweep file");
  const search::SweepPlan plan = search::read_plan(arguments.file, overrides_of(common));
  refuse_idle(common,
              [&](const std::string& key) { return search::idle_reason_in_plan(plan, key); });
  require_writable_file(common.json);
  search::SweepContext context;
  context.directory = common.out;
  context.earlier = earlier_of(common);
  context.opened = [&](const pipeline::OutputDirectory& output) { say_about(output, common); };
  context.retry_failed = arguments.retry_failed;
  context.workers = arguments.workers;
  context.transport = connect();
  catch_interrupts();
  context.stop = interrupted;
  context.note = say_once();
  if (!common.quiet) {
    warn_without_recovery(context.transport.get());
    context.report = [](const search::SweepProgress& progress) {
      std::fprintf(stderr, "%s\n", line_of(progress).c_str());
    };
  }
  const search::SweepSummary summary = search::run_sweep(plan, std::move(context));
  const int code =
      summary.leads && summary.interrupted
          ? say_interrupted("sweep", common,
                            {arguments.file, "--workers", std::to_string(arguments.workers)})
          : finish(plan, summary, common);
  disconnect(summary.lost_a_rank, code);
  return code;
}

}  // namespace

void add_sweep(Command root) {
  Command command = root.add_command(
      "sweep", "Run every point of a sweep file; see docs/sweeps.md, also for mpirun");
  auto common = std::make_shared<Common>();
  auto arguments = std::make_shared<SweepArguments>();
  common->out = "out/sweep";
  command.add("FILE", arguments->file, "TOML file with [grid] and [[list]] of settings");
  command
      .add("--workers", arguments->workers,
           "Concurrent points in this process; each trains with sweep.threads threads")
      .type("N")
      .range(1, 1024)
      .show_default();
  Option retry =
      command.add("--retry-failed", arguments->retry_failed, "With --resume: repeat failed points");
  Option dump = command.add("--dump", arguments->dump,
                            "Only print the results in --out as CSV, sorted and without times");
  pipeline::RunOptions defaults;
  search::SweepSettings settings;
  FieldList list = defaults.fields();
  search::fields(list, settings);
  Uses uses;
  uses.out = "Directory of sweep.sqlite, tables, report and models; seen by all ranks";
  uses.threads = "Threads of each point (sweep.threads); 0: as in the sweep file";
  uses.settings = pipeline::run_settings();
  uses.settings.push_back("sweep.");
  add_common(command, *common, uses, list);
  retry.needs(command.option("--resume"));
  for (const char* option : {"FILE", "--workers", "--retry-failed", "--config", "--set", "--data",
                             "--resume", "--seed", "--threads", "--json"}) {
    dump.excludes(command.option(option));
  }
  command.action([=] { return sweep_command(*common, *arguments); });
}

}  // namespace crosstate::cli
