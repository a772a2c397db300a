// crosstate search: mixed precision and pruning under a budget of bytes.
#include "crosstate/search/search.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "cli/transport.h"
#include "crosstate/base/error.h"
#include "crosstate/base/interrupt.h"
#include "crosstate/base/numbers.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"

namespace crosstate::cli {
namespace {

struct SearchArguments {
  int workers = 1;
  bool retry_failed = false;
};

FieldList fields_of(pipeline::RunOptions& run, search::SearchOptions& options) {
  FieldList list = run.fields();
  search::fields(list, options);
  return list;
}

// The search chooses the bits of every site itself.
std::vector<std::string> settings_of_search() {
  std::vector<std::string> keys = pipeline::run_settings();
  for (const char* site : {"encoder", "a", "c", "d", "weight", "decoder", "input", "residual",
                           "ssm_output", "activation", "linear", "gate", "state"}) {
    keys.push_back(std::string("!quant.") + site + ".bits");
  }
  keys.push_back("search.");
  return keys;
}

std::string idle_in_search(const std::string& key, const pipeline::RunOptions& run,
                           const search::SearchOptions& options) {
  const search::GenomeSpace space =
      search::genome_space(run.model, options.bits, options.states, options.channels);
  // Every genome has bits of every site.
  pipeline::RunOptions trained = search::with_genes(run, space, space.uniform(space.bits.back()));
  if (space.prunes()) {
    if (selects({"run.prune", "prune.states", "prune.channels"}, key)) {
      return "search.states and search.channels, which determine pruning";
    }
    trained.prune_float = true;
  }
  if (key == "quant.preset" && run.quant.preset != "analog-64x64") {
    return "search.bits, which determines the bits of every site";
  }
  return pipeline::idle_reason_in_run(key, trained, [&] { return pipeline::kind_of(run.data); });
}

nlohmann::json json_of(const search::SearchSummary& summary) {
  nlohmann::json sensitivity = nlohmann::json::array(), trained = nlohmann::json::array();
  for (const search::SensitivityPoint& point : summary.sensitivity) {
    nlohmann::json row = search::to_json(point.measures);
    row["site"] = point.site;
    row["bits"] = point.bits;
    sensitivity.push_back(std::move(row));
  }
  for (std::size_t i = 0; i < summary.plan.points.size(); ++i) {
    nlohmann::json row = search::to_json(summary.results.outcomes[i]);
    row["point"] = summary.plan.points[i].name;
    trained.push_back(std::move(row));
  }
  return {{"reference", search::to_json(summary.reference)},
          {"sensitivity", std::move(sensitivity)},
          {"points", std::move(trained)}};
}

int finish(const search::SearchSummary& summary, const Common& common,
           const SearchArguments& arguments) {
  if (!summary.leads) return summary.interrupted ? kInterrupted : kOk;
  if (summary.interrupted) {
    return say_interrupted("search", common, {"--workers", std::to_string(arguments.workers)});
  }
  write_json(common, with_format(json_of(summary), "search"));
  if (!common.quiet && common.json != "-") {
    std::printf("%s\n%s", report::to_text(search::sensitivity_table(summary)).c_str(),
                report::to_text(search::candidate_table(summary)).c_str());
    if (summary.results.failed > 0) {
      std::fputs(report::to_text(search::failure_table(summary.plan, summary.results)).c_str(),
                 stdout);
    }
    std::printf("results in %s: sensitivity.csv, proxy-front.csv, front.csv, report.html\n",
                common.out.c_str());
  }
  return summary.results.failed > 0 ? kSomeFailed : kOk;
}

int search_command(const Common& common, const SearchArguments& arguments) {
  pipeline::RunOptions run;
  search::SearchOptions options;
  FieldList list = fields_of(run, options);
  read_settings(common, list);
  if (!common.data.empty()) run.data.directory = common.data;
  if (common.threads > 0) options.threads = common.threads;
  pipeline::validate(run);
  search::validate(options);
  refuse_idle(common, [&](const std::string& key) { return idle_in_search(key, run, options); });
  require_writable_file(common.json);
  search::SearchContext context;
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
    context.say = [](const std::string& what) { std::fprintf(stderr, "%s\n", what.c_str()); };
    context.report = [](const search::SweepProgress& progress) {
      const bool failed = progress.outcome.status == search::PointStatus::kFailed;
      std::fprintf(
          stderr, "  %s: %s, %s s\n", progress.task.c_str(),
          failed ? progress.outcome.error.c_str() : search::headline(progress.outcome).c_str(),
          fixed_text(progress.outcome.seconds, 1).c_str());
    };
  }
  const search::SearchSummary summary = search::run_search(run, options, std::move(context));
  const int code = finish(summary, common, arguments);
  disconnect(summary.lost_a_rank, code);
  return code;
}

}  // namespace

void add_search(Command root) {
  Command command = root.add_command(
      "search", "Search bits and size under a memory budget, and train the best candidates");
  auto common = std::make_shared<Common>();
  auto arguments = std::make_shared<SearchArguments>();
  common->out = "out/search";
  command.add("--workers", arguments->workers, "Concurrent tasks in this process")
      .type("N")
      .range(1, 1024)
      .show_default();
  Option retry = command.add("--retry-failed", arguments->retry_failed,
                             "With --resume: repeat failed trainings");
  pipeline::RunOptions run;
  search::SearchOptions options;
  Uses uses;
  uses.out = "Directory of sweep.sqlite, tables, report and models; seen by all ranks";
  uses.threads = "Threads of each task (search.threads); 0: as in the configuration";
  uses.settings = settings_of_search();
  add_common(command, *common, uses, fields_of(run, options));
  retry.needs(command.option("--resume"));
  command.action([=] { return search_command(*common, *arguments); });
}

}  // namespace crosstate::cli
