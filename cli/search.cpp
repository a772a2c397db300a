// crosstate search: mixed precision and pruning under a budget of bytes; and, with a trained
// network and --target, the design of a chip.
#include "crosstate/search/search.h"

#include <algorithm>
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
#include "crosstate/search/design_search.h"

namespace crosstate::cli {
namespace {

struct SearchArguments {
  std::string model;  // "": no search for a design
  int workers = 1;
  bool retry_failed = false;
};

struct SearchSettings {
  pipeline::RunOptions run;
  search::SearchOptions bits;
  search::DesignOptions design;

  // Those of one search; others that only the other has are known, so that files may have them.
  FieldList list(bool for_design) {
    FieldList of_bits = run.fields(), of_design = run.fields();
    search::fields(of_bits, bits);
    search::fields(of_design, design);
    FieldList& own = for_design ? of_design : of_bits;
    own.tolerate(for_design ? of_bits : of_design);
    return std::move(own);
  }
};

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

// The settings of either search; what only the other has is refused with a reason of its own.
std::vector<std::string> settings_of_both() {
  std::vector<std::string> keys = settings_of_search();
  for (std::string& key : search::design_settings()) {
    if (key.starts_with("cost.")) keys.push_back(std::move(key));
  }
  return keys;
}

std::string only_in_other_search(const std::string& key, bool design) {
  if (design) {
    return selects(search::design_settings(), key)
               ? ""
               : "--target, with which search chooses the design of a chip";
  }
  search::SearchOptions options;
  FieldList list;
  search::fields(list, options);
  const bool foreign =
      key.starts_with("cost.") || (key.starts_with("search.") && list.find(key) == nullptr &&
                                   selects(search::design_settings(), key));
  return foreign ? "a search without --target, which chooses bits" : "";
}

std::string idle_in_search(const std::string& key, const pipeline::RunOptions& run,
                           const search::SearchOptions& options) {
  const search::GenomeSpace space =
      search::genome_space(run.model, options.bits, options.states, options.channels);
  // Every genome has bits of every site; the last of these removes the most.
  pipeline::RunOptions trained =
      search::with_genes(run, space, space.sizes(space.bits.back()).back());
  if (space.prunes()) {
    if (selects({"run.prune", "prune.states", "prune.channels"}, key)) {
      return "search.states and search.channels, which determine pruning";
    }
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

search::SearchContext context_of(const Common& common, const SearchArguments& arguments) {
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
  if (common.quiet) return context;
  warn_without_recovery(context.transport.get());
  context.say = [](const std::string& what) { std::fprintf(stderr, "%s\n", what.c_str()); };
  context.report = [](const search::SweepProgress& progress) {
    const bool failed = progress.outcome.status == search::PointStatus::kFailed;
    std::fprintf(
        stderr, "  %s: %s, %s s\n", progress.task.c_str(),
        failed ? progress.outcome.error.c_str() : search::headline(progress.outcome).c_str(),
        fixed_text(progress.outcome.seconds, 1).c_str());
  };
  return context;
}

int search_bits(const Common& common, const SearchArguments& arguments) {
  SearchSettings settings;
  pipeline::RunOptions& run = settings.run;
  search::SearchOptions& options = settings.bits;
  FieldList list = settings.list(/*for_design=*/false);
  read_settings(common, list);
  if (!common.data.empty()) run.data.directory = common.data;
  if (common.threads > 0) options.threads = common.threads;
  pipeline::validate(run);
  search::validate(options);
  refuse_idle(common, [&](const std::string& key) { return idle_in_search(key, run, options); });
  require_writable_file(common.json);
  const search::SearchSummary summary =
      search::run_search(run, options, context_of(common, arguments));
  const int code = finish(summary, common, arguments);
  disconnect(summary.lost_a_rank, code);
  return code;
}

int finish(const search::DesignSummary& summary, const Common& common,
           const SearchArguments& arguments) {
  if (!summary.leads) return summary.interrupted ? kInterrupted : kOk;
  if (summary.interrupted) {
    return say_interrupted("search", common,
                           {arguments.model, "--workers", std::to_string(arguments.workers)});
  }
  nlohmann::json result = search::to_json(summary);
  result["model"] = arguments.model;
  result["target"] = common.target;
  write_json(common, with_format(std::move(result), "search --target"));
  if (common.quiet || common.json == "-") return kOk;
  std::fputs(report::to_text(search::design_table(summary)).c_str(), stdout);
  const report::Table unfit = search::unfit_table(summary);
  if (!unfit.rows.empty()) std::printf("\n%s", report::to_text(unfit).c_str());
  std::printf(
      "\nenergy of an inference of %s steps on %s; results in %s: design-front.csv, "
      "report.html\n",
      std::to_string(summary.steps).c_str(), summary.technology.c_str(), common.out.c_str());
  return kOk;
}

int search_design(const Common& common, const SearchArguments& arguments) {
  SearchSettings settings;
  pipeline::RunOptions& run = settings.run;
  search::DesignOptions& options = settings.design;
  run.target = crossbar::read_target(common.target, run.target);
  FieldList list = settings.list(/*for_design=*/true);
  read_settings(common, list);
  if (!common.data.empty()) run.data.directory = common.data;
  if (common.threads > 0) options.threads = common.threads;
  if (options.technology.empty()) options.technology = search::technology_of(common.target);
  pipeline::validate(run);
  search::validate(options, run.target);
  refuse_idle_data(common, run.data);
  require_writable_file(common.json);
  const inference::Model model = inference::Model::load(arguments.model);
  refuse_idle(common, [&](const std::string& key) {
    return search::idle_reason_in_design(key, model, run, options);
  });
  refuse_order_of_steps(common, model.preparation().has_value(), arguments.model);
  const search::DesignSummary summary =
      search::run_design_search(model, run, options, context_of(common, arguments));
  const int code = finish(summary, common, arguments);
  disconnect(summary.lost_a_rank, code);
  return code;
}

int search_command(const Common& common, const SearchArguments& arguments) {
  const bool design = !common.target.empty();
  if (design && arguments.model.empty()) {
    fail("--target", "searches the design of a chip for a trained network, expected its file");
  }
  if (!design && !arguments.model.empty()) {
    fail(excerpt(arguments.model),
         "search trains networks itself, unless it designs a chip; expected --target");
  }
  if (design && arguments.retry_failed) {
    fail("--retry-failed", "has no effect with --target, with which nothing is trained");
  }
  refuse_idle(common, [&](const std::string& key) { return only_in_other_search(key, design); });
  return design ? search_design(common, arguments) : search_bits(common, arguments);
}

}  // namespace

void add_search(Command root) {
  Command command = root.add_command(
      "search",
      "Search bits and size under a memory budget, and train the best candidates; or, with MODEL "
      "and --target, the design of a chip: placement, arrays, converters, for energy, area and "
      "accuracy");
  auto common = std::make_shared<Common>();
  auto arguments = std::make_shared<SearchArguments>();
  common->out = "out/search";
  command.add("MODEL", arguments->model,
              "With --target: the quantized or integer model that the chip is designed for");
  command.add("--workers", arguments->workers, "Concurrent tasks in this process")
      .type("N")
      .range(1, 1024)
      .show_default();
  Option retry = command.add("--retry-failed", arguments->retry_failed,
                             "With --resume: repeat failed trainings");
  SearchSettings settings;
  Uses uses;
  uses.target = true;
  uses.out = "Directory of sweep.sqlite, tables, report and models; seen by all ranks";
  uses.threads = "Threads of each task (search.threads); 0: as in the configuration";
  uses.settings = settings_of_both();
  add_common(command, *common, uses, settings.list(/*for_design=*/false));
  retry.needs(command.option("--resume"));
  command.action([=] { return search_command(*common, *arguments); });
}

}  // namespace crosstate::cli
