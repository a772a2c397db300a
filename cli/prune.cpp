// crosstate prune MODEL: a smaller model, retrained in its number format.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/common.h"
#include "crosstate/base/interrupt.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/prune_run.h"

namespace crosstate::cli {
namespace {

// Settings without effect in this pruning.
void refuse_idle_in_prune(const Common& common, const pipeline::RunOptions& options,
                          const std::string& model) {
  const std::vector<pipeline::NetworkKind> networks = pipeline::networks_to_prune(model, options);
  refuse_order_of_steps(common, inference::Model::load(model).preparation().has_value(), model);
  refuse_idle(common, [&](const std::string& key) {
    const std::string why = pipeline::idle_reason_in_prune(key, options, networks);
    if (!why.empty()) return why;
    return pipeline::idle_reason(
        key, pipeline::idle_with_data(options, pipeline::kind_of(options.data)));
  });
}

int prune_command(const Common& common, const std::string& model) {
  const pipeline::RunOptions options = configuration(common);
  pipeline::validate_prune(options);
  refuse_idle_in_prune(common, options, model);
  require_writable_file(common.json);
  pipeline::OutputDirectory output = open_output(common, "prune");
  catch_interrupts();
  ThreadPool pool(common.threads);
  Progress progress(common.quiet);
  const pipeline::PruneSummary summary =
      pipeline::prune_model(model, options, run_context(common, output, pool, progress));
  progress.finish();
  if (summary.interrupted) return say_interrupted("prune", common, {model});
  write_result(common, "prune", pipeline::to_json(summary));
  if (!common.quiet && common.json != "-") {
    std::fputs(report::to_text(pipeline::prune_table(summary)).c_str(), stdout);
  }
  return kOk;
}

}  // namespace

void add_prune(Command root) {
  Command command = root.add_command(
      "prune", "Remove modes and channels of a model and retrain the smaller model");
  auto common = std::make_shared<Common>();
  common->out = "out/prune";
  auto model = std::make_shared<std::string>();
  command.add("MODEL", *model, "A float or quantized model").required();
  add_common(command, *common,
             {.out = "Directory of models, checkpoints and prune.json",
              .settings = pipeline::prune_settings()});
  command.action([=] { return prune_command(*common, *model); });
}

}  // namespace crosstate::cli
