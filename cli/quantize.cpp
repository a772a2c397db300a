// crosstate quantize MODEL: post-training quantization of a network in floating point.
#include <cstdio>
#include <memory>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/cost/memory.h"
#include "crosstate/integer/convert.h"
#include "crosstate/pipeline/data.h"

namespace crosstate::cli {
namespace {

constexpr int kEvaluationBatch = 256;

int quantize_command(const Common& common, const std::string& file) {
  const RunOptions options = configuration(common);
  require_writable_file(common.json);
  const Safetensors content = read_safetensors(file);
  Network network = Network::from_tensors(content, file);
  if (network.quantized()) fail(file, "is quantized already, expected a float model");
  OutputDirectory output = open_output(common, "quantize");
  ThreadPool pool(common.threads);
  const std::optional<Preparation> preparation = Preparation::load(content, file);
  const TrainTest sets = load_model_data(options.data, preparation, file, pool);
  require_fit(network.task(), sets.test, file);

  network.fold_norms();
  network.quantize(options.quant, calibration_batches(sets.train, options), pool);
  const std::filesystem::path out = output.path();
  output.begin({file});
  Safetensors rounded = network.to_tensors();
  if (preparation) preparation->save(rounded);
  write_safetensors(out / "ptq.safetensors", rounded);
  const std::string site = site_in_floating_point(network);
  if (site.empty()) {
    Safetensors integers = to_tensors(to_integers(network));
    if (preparation) preparation->save(integers);
    write_safetensors(out / "ptq.integer.safetensors", integers);
  }
  double loss = 0;
  const double accuracy = evaluate_accuracy(network, sets.test, kEvaluationBatch, pool, &loss);
  const MemorySummary memory = count_memory(network);
  write_result(common, "quantize",
               {{"model", file},
                {"data", sets.test.name},
                {"accuracy", accuracy},
                {"loss", loss},
                {"integer", site.empty()},
                {"memory", to_json(memory)}});
  if (!common.quiet && common.json != "-") {
    std::printf("%s: accuracy %s after rounding, %s\n", (out / "ptq.safetensors").c_str(),
                percent(accuracy).c_str(), bytes_text(memory.total()).c_str());
    if (!site.empty()) std::printf("no integer network: %s\n", site.c_str());
  }
  return kOk;
}

}  // namespace

void add_quantize(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand(
      "quantize", "Round a float model after training, with ranges from training data");
  auto common = std::make_shared<Common>();
  common->out = "out/quantize";
  auto model = std::make_shared<std::string>();
  command->add_option("MODEL", *model, "A model in floating point")->required();
  add_common(*command, *common,
             {.resume = false, .out = "Directory of the models and of quantize.json"});
  command->callback([=, &chosen] { chosen = [=] { return quantize_command(*common, *model); }; });
}

}  // namespace crosstate::cli
