// crosstate simulate MODEL: accuracy on chips of a target, at several ages.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/common.h"
#include "crosstate/base/files.h"
#include "crosstate/base/interrupt.h"
#include "crosstate/base/utf8.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/chips_report.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/identity.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/simulate/journal.h"
#include "crosstate/train/identity.h"

namespace crosstate::cli {
namespace {

namespace fs = std::filesystem;

struct Extra {
  std::string model;
  int chips = 0;      // 0: as in simulate.chips
  std::string times;  // "": as in simulate.times
  int states = 0;     // number of sequences on which errors of states are measured
};

pipeline::RunOptions options_of(const Common& common, const Extra& extra) {
  pipeline::RunOptions options = configuration(common);
  if (extra.chips > 0) options.simulate.chips = extra.chips;
  if (!extra.times.empty()) options.simulate.times = extra.times;
  pipeline::validate(options);
  simulate::require_possible(options.target, options.simulate);
  refuse_idle_data(common, options.data);
  refuse_idle(common, [&](const std::string& key) {
    return pipeline::idle_reason(key, pipeline::idle_on_chips(options.target, options.simulate));
  });
  return options;
}

// What determines the result of every chip.
nlohmann::json identity_of(const pipeline::RunOptions& options,
                           const integer::IntegerNetwork& network, const data::Dataset& test) {
  integer::IntegerNetwork numbers = network;
  numbers.scheme.reset();  // not used by chips
  // The number of chips may increase.
  nlohmann::json identity = pipeline::RunIdentity().settings(
      options, {"simulate.", "!simulate.chips", "device.", "crossbar.", "wires.", "external."});
  identity.update({{"model", {{"checksum", train::checksum(integer::to_tensors(numbers))}}},
                   {"data", {{"test", train::data_identity(test)}}},
                   {"seed", options.seed}});
  return identity;
}

// Arguments that continue an interrupted simulation, besides the common options.
std::vector<std::string> arguments_of(const Extra& extra) {
  std::vector<std::string> arguments = {extra.model};
  const auto add = [&](const char* option, const std::string& value) {
    arguments.insert(arguments.end(), {option, value});
  };
  if (extra.chips > 0) add("--chips", std::to_string(extra.chips));
  if (!extra.times.empty()) add("--times", extra.times);
  if (extra.states > 0) add("--state-errors", std::to_string(extra.states));
  return arguments;
}

int simulate_command(const Common& common, const Extra& extra) {
  const pipeline::RunOptions options = options_of(common, extra);
  require_writable_file(common.json);
  catch_interrupts();
  const inference::Model model = inference::Model::load(extra.model);
  const integer::IntegerNetwork network = model.integers();
  refuse_idle(common, [&](const std::string& key) {
    return pipeline::idle_reason(key, pipeline::idle_with_states(network.state_rounding));
  });
  pipeline::OutputDirectory output = open_output(common, "simulate");
  const fs::path page = output.path() / "simulate.html";
  require_writable_file(page.string());
  refuse_order_of_steps(common, model.preparation().has_value(), extra.model);
  ThreadPool pool(common.threads);
  const data::Dataset test =
      pipeline::load_test_data(options.data, model.preparation(), extra.model, pool);
  model.require_fit(test, inference::ModelBackend::kInteger);
  say_notes(test);

  output.begin({extra.model});
  Progress progress(common.quiet);
  simulate::SimulateJournal journal(output.path() / "simulate.jsonl",
                                    identity_of(options, network, test), common.resume);
  simulate::SimulateContext context;
  context.stop = interrupted;
  context.known = [&](int chip, std::size_t age) { return journal.find(chip, age); };
  context.finished = [&](int chip, std::size_t age, const simulate::SimulateJournal::Sums& sums) {
    journal.add(chip, age, sums);
    progress.show("chip " + std::to_string(chip + 1) + "/" +
                  std::to_string(options.simulate.chips) + ": " +
                  test.readout.task->primary().text(task::primary_value(test.readout, sums)));
  };
  context.known_chunk = [&](int chip, std::size_t age, std::size_t first, std::size_t last) {
    return journal.find_chunk(chip, age, first, last);
  };
  context.finished_chunk = [&](int chip, std::size_t age, std::size_t first, std::size_t last,
                               const simulate::SimulateJournal::Sums& sums) {
    journal.add_chunk(chip, age, first, last, sums);
    if (!options.target.external.used()) return;
    progress.show("external chip: " + std::to_string(last) + " sequences");
  };
  const simulate::SimulateSummary summary = simulate::simulate(
      network, test, options.target, options.simulate, options.seed, pool, context);
  progress.finish();
  if (summary.interrupted) return say_interrupted("simulate", common, arguments_of(extra));

  simulate::StateErrors errors;
  if (extra.states > 0) {
    errors =
        simulate::state_errors(network, test, options.target, options.seed,
                               summary.ages.back().seconds, static_cast<std::size_t>(extra.states));
  }
  nlohmann::json result = pipeline::to_json(summary);
  result["model"] = extra.model;
  result["data"] = test.name;
  if (!test.notes.empty()) result["notes"] = test.notes;
  result["seed"] = options.seed;
  result["target"] = common.target.empty() ? "settings" : common.target;
  if (extra.states > 0) result["state_errors"] = pipeline::to_json(errors);
  write_file(page, report::to_html(pipeline::chips_report(extra.model, summary, errors)));
  write_result(common, "simulate", result);
  if (!common.quiet && common.json != "-") {
    std::fputs(report::to_text(pipeline::chips_table(summary)).c_str(), stdout);
    std::printf(
        "\n%zu arrays, %.1f %% of their pairs in use, %zu conversions per step; report: %s\n",
        summary.arrays, 100 * summary.utilisation, summary.conversions_per_step, page.c_str());
  }
  return kOk;
}

}  // namespace

void add_simulate(Command root) {
  Command command = root.add_command(
      "simulate",
      "Compute the accuracy of a quantized model on many simulated chips at several ages");
  auto common = std::make_shared<Common>();
  common->out = "out/simulate";
  auto extra = std::make_shared<Extra>();
  command.add("MODEL", extra->model, "A quantized or integer model").required();
  command.add("--chips", extra->chips, "Number of chips to program (simulate.chips)")
      .range(1, 100000);
  command.add("--times", extra->times,
              "Ages at which chips are tested (simulate.times): \"0 1h 1d 1y\"");
  command
      .add("--state-errors", extra->states,
           "Also measure the errors of states by time step and |A| on this many sequences")
      .range(1, 10000);
  add_common(command, *common,
             {.target = true,
              .out = "Directory of simulate.json, .html and files for --resume",
              .settings = pipeline::simulate_settings()});
  command.action([=] { return simulate_command(*common, *extra); });
}

}  // namespace crosstate::cli
