// crosstate quantize MODEL: post-training quantization of a float network.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/cost/memory.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/convert.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"

namespace crosstate::cli {
namespace {

constexpr int kEvaluationBatch = 256;

// Weight noise applies only to training.
std::vector<std::string> settings_of_quantize() {
  return {"data.",
          "run.seed",
          "run.calibration",
          "train.validation",
          "quant.",
          "!quant.weight_noise",
          "!quant.device_noise",
          "!quant.chip_steps",
          "!quant.noise_unit",
          "!quant.noise_recurrence",
          "!quant.array."};
}

int quantize_command(const Common& common, const std::string& file) {
  pipeline::RunOptions options = configuration(common);
  refuse_idle_data(common, options.data);
  refuse_idle(common, [&](const std::string& key) {
    return pipeline::idle_reason(key, pipeline::idle_in_quantize(options));
  });
  require_writable_file(common.json);
  const inference::Model saved = inference::Model::load(file);
  if (saved.quantized()) fail(file, "is already quantized, expected a float model");
  model::Network network = *saved.network();
  network.fold_norms();
  options.model = network.options();
  const std::optional<inference::Preparation>& preparation = saved.preparation();
  refuse_order_of_steps(common, preparation.has_value(), file);
  pipeline::OutputDirectory output = open_output(common, "quantize");
  ThreadPool pool(common.threads);
  const pipeline::RunData sets = pipeline::load_model_data(options, preparation, file, pool);
  saved.require_fit(sets.test, inference::ModelBackend::kFloat);
  say_notes(sets.test);

  network.quantize(options.quant, pipeline::calibration_batches(sets.training, options), pool);
  const std::filesystem::path out = output.path();
  output.begin({file});
  const inference::Model rounded(network, preparation, file);
  rounded.save(out / "ptq.safetensors");
  const std::string site = integer::site_in_floating_point(network);
  if (site.empty()) rounded.to_integers().save(out / "ptq.integer.safetensors");
  const train::Tally tally =
      *train::evaluate_result(network, sets.test, kEvaluationBatch, pool, nullptr);
  const task::Readout& readout = sets.test.readout;
  const cost::MemorySummary memory = cost::count_memory(network);
  nlohmann::json result = readout.task->to_json(readout, tally.sums);
  result.update({{"model", file},
                 {"data", sets.test.name},
                 {"loss", tally.loss()},
                 {"integer", site.empty()},
                 {"memory", cost::to_json(memory)}});
  write_result(common, "quantize", result);
  if (!common.quiet && common.json != "-") {
    std::printf("%s: %s %s after rounding, %s\n", (out / "ptq.safetensors").c_str(),
                readout.task->primary().title.c_str(),
                readout.task->primary().text(tally.metric()).c_str(),
                bytes_text(memory.total()).c_str());
    if (!site.empty()) std::printf("no integer network: %s\n", site.c_str());
  }
  return kOk;
}

}  // namespace

void add_quantize(Command root) {
  Command command = root.add_command("quantize",
                                     "Quantize a float model after training, with ranges from "
                                     "training data that are not held out");
  auto common = std::make_shared<Common>();
  common->out = "out/quantize";
  auto model = std::make_shared<std::string>();
  command.add("MODEL", *model, "A float model").required();
  add_common(command, *common,
             {.no_resume = kNothingContinues,
              .out = "Directory of the models and of quantize.json",
              .seed = "Seed of the held-out split and of the calibration sequences",
              .settings = settings_of_quantize()});
  command.action([=] { return quantize_command(*common, *model); });
}

}  // namespace crosstate::cli
