// crosstate eval MODEL: accuracy and loss of a saved network on the test set.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <span>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/pipeline/data.h"

namespace crosstate::cli {
namespace {

constexpr std::size_t kBatch = 256;

struct Prediction {
  std::size_t label = 0;
  double probability = 0;
};

Prediction predict(std::span<const float> logits) {
  const auto best = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - *best);
  return {static_cast<std::size_t>(best - logits.begin()), 1 / sum};
}

void require_fit(const Network& network, const Dataset& set, const std::string& model) {
  const TaskShape& task = network.task();
  if (static_cast<std::size_t>(task.inputs) == set.channels &&
      static_cast<std::size_t>(task.classes) == set.classes.size()) {
    return;
  }
  fail(model, "made for " + std::to_string(task.inputs) + " channels and " +
                  std::to_string(task.classes) + " classes, but " + set.name + " has " +
                  std::to_string(set.channels) + " and " + std::to_string(set.classes.size()));
}

std::string prediction_lines(const Dataset& set, const std::vector<Prediction>& predictions) {
  std::string csv = "index,label,prediction,probability\n";
  for (std::size_t i = 0; i < set.count; ++i) {
    csv += std::to_string(i) + ',' + set.classes[static_cast<std::size_t>(set.labels[i])] + ',' +
           set.classes[predictions[i].label] + ',' + fixed(predictions[i].probability, 6) + '\n';
  }
  return csv;
}

int eval_command(const Common& common, const std::string& model, const std::string& predictions) {
  const RunOptions options = configuration(common);
  require_writable_file(common.json);
  require_writable_file(predictions);
  const Safetensors content = read_safetensors(model);
  Network network = Network::from_tensors(content, model);
  ThreadPool pool(common.threads);
  const Dataset set = load_test_data(options.data, Preparation::load(content, model), model, pool);
  require_fit(network, set, model);

  const auto classes = set.classes.size();
  const auto block_length = static_cast<std::size_t>(network.options().block_length);
  const std::vector<std::uint32_t> order = length_order(set);
  std::vector<Prediction> guesses(set.count);
  double loss = 0;
  std::size_t correct = 0;
  Batch batch;
  for (std::size_t begin = 0; begin < set.count; begin += kBatch) {
    const std::size_t size = std::min(kBatch, set.count - begin);
    fill_batch(set, std::span(order).subspan(begin, size), block_length, batch);
    std::vector<float> logits;
    const BatchResult result = network.evaluate(batch, pool, &logits);
    if (!std::isfinite(result.loss)) {
      fail(model, "its loss on sequences " + std::to_string(begin) + " to " +
                      std::to_string(begin + size - 1) + " of " + set.name +
                      " is not finite: its values overflow");
    }
    loss += result.loss * static_cast<double>(size);
    correct += result.correct;
    for (std::size_t i = 0; i < size; ++i) {
      guesses[order[begin + i]] = predict(std::span(logits).subspan(i * classes, classes));
    }
  }
  if (!predictions.empty()) write_file(predictions, prediction_lines(set, guesses));

  const auto count = static_cast<double>(set.count);
  const nlohmann::json result = {{"model", model},
                                 {"data", set.name},
                                 {"sequences", set.count},
                                 {"accuracy", static_cast<double>(correct) / count},
                                 {"correct", correct},
                                 {"loss", loss / count},
                                 {"parameters", network.parameter_count()},
                                 {"quantized", network.quantized()}};
  write_json(common, result);
  if (!common.quiet && common.json != "-") {
    std::printf("%s on %s: accuracy %s (%zu of %zu), loss %.4f\n", model.c_str(), set.name.c_str(),
                percent(static_cast<double>(correct) / count).c_str(), correct, set.count,
                loss / count);
  }
  return kOk;
}

}  // namespace

void add_eval(CLI::App& app, Action& chosen) {
  CLI::App* command =
      app.add_subcommand("eval", "Accuracy and loss of a saved model on the test set");
  auto common = std::make_shared<Common>();
  auto model = std::make_shared<std::string>();
  auto predictions = std::make_shared<std::string>();
  command->add_option("MODEL", *model, "A model saved by train or demo")->required();
  command->add_option("--predictions", *predictions, "One line per sequence, as CSV")
      ->type_name("FILE");
  add_common(*command, *common, {.out = false});
  command->callback(
      [=, &chosen] { chosen = [=] { return eval_command(*common, *model, *predictions); }; });
}

}  // namespace crosstate::cli
