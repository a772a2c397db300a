// crosstate eval MODEL: metrics and loss of a saved network on the test set.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/formats/csv.h"
#include "crosstate/integer/convert.h"
#include "crosstate/integer/engine.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/run_report.h"

namespace crosstate::cli {
namespace {

constexpr std::size_t kBatch = 256, kIntegerBlock = 28;

struct Outputs {
  std::vector<float> logits;         // [count][outputs]
  std::vector<std::size_t> classes;  // of the largest scores; empty: of the largest logits
};
using Evaluator = std::function<Outputs(const Batch&)>;

struct Model {
  std::size_t block_length = kIntegerBlock;
  std::size_t parameters = 0;
  bool quantized = true;
  std::string backend;
  Evaluator evaluate;
  std::function<void(const Dataset&)> require_fit;
};

Evaluator integer_evaluator(const IntegerNetwork& integers, ThreadPool& pool) {
  auto engine = std::make_shared<IntegerEngine>(integers);
  return [engine, &pool](const Batch& batch) {
    Outputs outputs;
    for (const IntegerResult& result : engine->run(batch, pool)) {
      const std::vector<float> of = result.logits();
      outputs.logits.insert(outputs.logits.end(), of.begin(), of.end());
      outputs.classes.push_back(result.best());
    }
    return outputs;
  };
}

Model integer_model(const IntegerNetwork& integers, const std::string& file, ThreadPool& pool) {
  Model model;
  model.require_fit = [integers, file](const Dataset& set) {
    cli::require_fit(integers, set, file);
  };
  model.backend = "integer";
  model.evaluate = integer_evaluator(integers, pool);
  return model;
}

Model load(const std::string& file, const Safetensors& content, const std::string& backend,
           ThreadPool& pool) {
  if (is_integer_network(content)) {
    if (!backend.empty() && backend != "integer") {
      fail(file, "holds whole numbers, expected --backend integer, not " + backend);
    }
    return integer_model(integer_network_from(content, file), file, pool);
  }
  auto network = std::make_shared<Network>(Network::from_tensors(content, file));
  if ((backend == "fake" || backend == "integer") && !network->quantized()) {
    fail(file, "is in floating point, expected --backend float");
  }
  if (backend == "integer") {
    const std::string site = site_in_floating_point(*network);
    if (!site.empty()) fail(file, site + ": no integer network, expected --backend float or fake");
  }
  Model model;
  if (backend == "integer") {
    model = integer_model(integers_of(content, file), file, pool);
  } else {
    model.require_fit = [network, file](const Dataset& set) {
      cli::require_fit(network->task(), set, file);
    };
    model.quantized = network->quantized() && backend != "float";
    model.backend = model.quantized ? "fake" : "float";
    if (!model.quantized) network->drop_rounding();
    model.evaluate = [network, &pool](const Batch& batch) {
      Outputs outputs;
      network->evaluate(batch, pool, &outputs.logits);
      return outputs;
    };
  }
  model.block_length = static_cast<std::size_t>(network->options().block_length);
  model.parameters = network->parameter_count();
  return model;
}

// What a model comes to on a set, and a line of CSV for every sequence.
struct Results {
  double loss = 0;  // sum
  std::vector<double> sums;
  std::vector<std::string> lines;
};

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) line += (line.empty() ? "" : ",") + csv_field(field);
  return line + '\n';
}

Results evaluate(const Model& model, const Dataset& set, const std::string& file, bool lines) {
  const Readout& readout = set.readout;
  const Task& task = *readout.task;
  const std::vector<std::uint32_t> order = length_order(set);
  Results results;
  results.sums.assign(task.sums(readout), 0);
  if (lines) results.lines.resize(set.count);
  std::vector<double> losses(set.count);
  Batch batch;
  for (std::size_t begin = 0; begin < set.count; begin += kBatch) {
    const std::size_t size = std::min(kBatch, set.count - begin);
    fill_batch(set, std::span(order).subspan(begin, size), model.block_length, batch);
    const Outputs outputs = model.evaluate(batch);
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t row = order[begin + i];
      const auto values =
          std::span(outputs.logits).subspan(i * readout.outputs(), readout.outputs());
      const Output output =
          outputs.classes.empty() ? Output(values) : Output(values, outputs.classes[i]);
      task.add(readout, output, set.target(row), results.sums);
      losses[row] = task.loss(readout, values, set.target(row), {}, {});
      if (!std::isfinite(losses[row])) {
        fail(file, "its loss on sequence " + std::to_string(row) + " of " + set.name +
                       " is not finite: its values overflow");
      }
      if (!lines) continue;
      std::vector<std::string> fields = task.prediction(readout, output, set.target(row));
      fields.insert(fields.begin(), std::to_string(row));
      results.lines[row] = csv_line(fields);
    }
  }
  for (const double loss : losses) results.loss += loss;
  return results;
}

std::string prediction_lines(const Dataset& set, const Results& results) {
  std::vector<std::string> header = set.readout.task->prediction_header(set.readout);
  header.insert(header.begin(), "index");
  std::string csv = csv_line(header);
  for (const std::string& line : results.lines) csv += line;
  return csv;
}

struct EvalOptions {
  std::string model, predictions, backend;
};

void write_predictions(const std::string& file, const std::string& csv) {
  if (file.empty()) return;
  if (file == "-") {
    std::fputs(csv.c_str(), stdout);
  } else {
    write_file(file, csv);
  }
}

int eval_command(const Common& common, const EvalOptions& eval) {
  const RunOptions options = configuration(common);
  refuse_idle_data(common, options.data);
  if (common.json == "-" && eval.predictions == "-") {
    fail("--predictions -",
         "standard output takes --json already, expected a file for one of both");
  }
  require_writable_file(common.json);
  require_writable_file(eval.predictions);
  const Safetensors content = read_safetensors(eval.model);
  ThreadPool pool(common.threads);
  const std::optional<Preparation> preparation = Preparation::load(content, eval.model);
  refuse_order_of_steps(common, preparation.has_value(), eval.model);
  const Model model = load(eval.model, content, eval.backend, pool);
  const auto output = prepare_out(common, "eval");
  const Dataset set = load_test_data(options.data, preparation, eval.model, pool);
  model.require_fit(set);
  say_notes(set);

  const Results results = evaluate(model, set, eval.model, !eval.predictions.empty());
  write_predictions(eval.predictions, prediction_lines(set, results));
  const double loss = results.loss / static_cast<double>(set.count);
  nlohmann::json result = set.readout.task->to_json(set.readout, results.sums);
  result.update({{"model", eval.model},
                 {"data", set.name},
                 {"sequences", set.count},
                 {"loss", loss},
                 {"backend", model.backend},
                 {"quantized", model.quantized}});
  if (model.parameters > 0) result["parameters"] = model.parameters;
  if (!set.notes.empty()) result["notes"] = set.notes;
  write_result(common, "eval", result);
  if (!common.quiet && common.json != "-" && eval.predictions != "-") {
    std::printf("%s on %s, %s: %s, loss %.4f\n", eval.model.c_str(), set.name.c_str(),
                model.backend.c_str(), set.readout.task->text(set.readout, results.sums).c_str(),
                loss);
    for (const Table& table : task_tables(set.readout, results.sums)) {
      std::printf("\n%s\n%s", table.title.c_str(), to_text(table).c_str());
    }
  }
  return kOk;
}

}  // namespace

void add_eval(Command root) {
  Command command = root.add_command("eval", "Metrics and loss of a saved model on the test set");
  auto common = std::make_shared<Common>();
  auto eval = std::make_shared<EvalOptions>();
  command.add("MODEL", eval->model, "A model saved by train, quantize or demo").required();
  add_file(command, "--predictions", eval->predictions,
           "One line per sequence, as CSV, to a file; -: to standard output, in place of text");
  command
      .add("--backend", eval->backend,
           "float: without any rounding; fake: rounded values in floating point; integer: "
           "whole numbers, as deployed. Default: as the model was saved")
      .one_of({"float", "fake", "integer"});
  add_common(command, *common,
             {.no_resume = kNothingContinues,
              .out = out_for_result("eval"),
              .no_seed = kNothingDrawn,
              .settings = test_data_settings()});
  command.action([=] { return eval_command(*common, *eval); });
}

}  // namespace crosstate::cli
