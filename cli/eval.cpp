// crosstate eval MODEL: metrics and loss of a saved network on the test set.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/formats/csv.h"
#include "crosstate/inference/compare.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/run_report.h"

namespace crosstate::cli {
namespace {

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields)
    line += (line.empty() ? "" : ",") + formats::csv_field(field);
  return line + '\n';
}

// One line per sequence or, with outputs at every step, per step.
std::string prediction_lines(const inference::Predictions& predictions, const data::Dataset& set) {
  const task::Readout& readout = set.readout;
  std::vector<std::string> fields = readout.task->prediction_header(readout);
  if (readout.every_step()) fields.insert(fields.begin(), "step");
  fields.insert(fields.begin(), "index");
  std::string csv = csv_line(fields);
  for (std::size_t i = 0; i < set.count; ++i) {
    for (std::size_t k = 0; k < set.targets_of(i); ++k) {
      fields = readout.task->prediction(readout, predictions.of(i, k), set.target(i, k));
      if (readout.every_step()) fields.insert(fields.begin(), std::to_string(k));
      fields.insert(fields.begin(), std::to_string(i));
      csv += csv_line(fields);
    }
  }
  return csv;
}

struct EvalOptions {
  std::string model, compare, predictions, backend;
};

// A model and what it predicts for its form of the test set, which its preparation decides.
struct Evaluated {
  std::string file;
  inference::Model model;
  inference::ModelBackend backend;
  data::Dataset set;
  inference::Predictions predictions = {};
  inference::Evaluation scored = {};

  std::string text() const {
    return file + " on " + set.name + ", " + name_of(backend) + ": " +
           set.readout.task->text(set.readout, scored.sums) + ", loss " +
           fixed_text(scored.loss, 4);
  }
  nlohmann::json to_json() const {
    nlohmann::json result = set.readout.task->to_json(set.readout, scored.sums);
    result.update({{"model", file},
                   {"data", set.name},
                   {"sequences", set.count},
                   {"loss", scored.loss},
                   {"backend", name_of(backend)},
                   {"quantized", backend != inference::ModelBackend::kFloat}});
    if (model.network() != nullptr) result["parameters"] = model.network()->parameter_count();
    return result;
  }
  void run(ThreadPool& pool) {
    predictions = model.predict(set, backend, pool);
    scored = inference::evaluate(predictions, set, file);
  }
};

Evaluated load(const Common& common, const std::string& file, const std::string& backend_name,
               const data::DataOptions& data, ThreadPool& pool) {
  inference::Model model = inference::Model::load(file);
  refuse_order_of_steps(common, model.preparation().has_value(), file);
  const inference::ModelBackend backend =
      backend_name.empty() ? model.backend()
                           : named(kNames<inference::ModelBackend>, backend_name, "--backend");
  model.require(backend);
  data::Dataset set = pipeline::load_test_data(data, model.preparation(), file, pool);
  model.require_fit(set, backend);
  return {file, std::move(model), backend, std::move(set)};
}

void write_predictions(const std::string& file, const std::string& csv) {
  if (file.empty()) return;
  if (file == "-") {
    std::fputs(csv.c_str(), stdout);
  } else {
    write_file(file, csv);
  }
}

// A model with a constant output would be right on such a set.
void note_single_class(data::Dataset& set) {
  if (!set.readout.task->categorical() || set.readout.width() != 1) return;
  const std::vector<float> targets = set.counted_targets();
  if (targets.empty()) return;
  const float first = targets.front();
  if (std::ranges::any_of(targets, [&](float target) { return target != first; })) return;
  set.notes.push_back(std::string("every test ") + set.readout.unit() + " is of class " +
                      set.readout.names.at(static_cast<std::size_t>(first)) +
                      ": the accuracy does not cover other classes");
}

int eval_command(const Common& common, const EvalOptions& eval) {
  const pipeline::RunOptions options = configuration(common);
  refuse_idle_data(common, options.data);
  if (common.json == "-" && eval.predictions == "-") {
    fail("--predictions -",
         "standard output is already used by --json, expected a file for one of them");
  }
  require_writable_file(common.json);
  require_writable_file(eval.predictions);
  ThreadPool pool(common.threads);
  Evaluated model = load(common, eval.model, eval.backend, options.data, pool);
  std::optional<Evaluated> other;
  if (!eval.compare.empty()) {
    other = load(common, eval.compare, eval.backend, options.data, pool);
    inference::require_comparable({model.file, model.set}, {other->file, other->set},
                                  "--compare " + excerpt(other->file));
  }
  note_single_class(model.set);
  const auto output = prepare_out(common, "eval");
  say_notes(model.set);

  model.run(pool);
  if (!eval.predictions.empty()) {
    write_predictions(eval.predictions, prediction_lines(model.predictions, model.set));
  }
  nlohmann::json result = model.to_json();
  if (!model.set.notes.empty()) result["notes"] = model.set.notes;
  task::PairedDecisions decisions;
  if (other) {
    other->run(pool);
    decisions =
        inference::paired_decisions(model.predictions, model.set, other->predictions, other->set);
    result["compared"] = other->to_json();
    result["paired"] = inference::to_json(decisions);
  }
  write_result(common, "eval", result);
  if (!common.quiet && common.json != "-" && eval.predictions != "-") {
    std::printf("%s\n", model.text().c_str());
    if (other) {
      std::printf("%s\n", other->text().c_str());
      std::printf(
          "right: both %s, only the first %s, only the second %s, neither %s; p = %s "
          "(McNemar, exact)\n",
          std::to_string(decisions.both).c_str(), std::to_string(decisions.only_first).c_str(),
          std::to_string(decisions.only_second).c_str(), std::to_string(decisions.neither).c_str(),
          number(decisions.p_value()).c_str());
    }
    const task::Readout& readout = model.set.readout;
    for (const report::Table& table : pipeline::task_tables(readout, model.scored.sums)) {
      std::printf("\n%s", report::to_text(table).c_str());
    }
  }
  return kOk;
}

}  // namespace

void add_eval(Command root) {
  Command command =
      root.add_command("eval", "Compute metrics and loss of a saved model on the test set");
  auto common = std::make_shared<Common>();
  auto eval = std::make_shared<EvalOptions>();
  command.add("MODEL", eval->model, "A model saved by train, quantize or demo").required();
  add_file(command, "--compare", eval->compare,
           "Another model, tested on the same sequences: which decisions only one of the two has "
           "right, and how likely such a difference is by chance (McNemar's exact test)");
  add_file(command, "--predictions", eval->predictions,
           "Write one CSV line per sequence, or per step with model.readout = step, to a file; -: "
           "to standard output, instead of text");
  command
      .add("--backend", eval->backend,
           "float: without any rounding; fake: quantized values in float; integer: integers, as "
           "deployed; reference: the same integers by scalar code, slow. Default: as the model was "
           "saved")
      .one_of(names_of(kNames<inference::ModelBackend>));
  add_common(command, *common,
             {.no_resume = kNothingContinues,
              .out = out_for_result("eval"),
              .no_seed = kNothingDrawn,
              .settings = pipeline::test_data_settings()});
  command.action([=] { return eval_command(*common, *eval); });
}

}  // namespace crosstate::cli
