// crosstate prune MODEL: a smaller model, trained on with its rounding.
#include <cstdio>
#include <memory>

#include "cli/common.h"
#include "crosstate/base/interrupt.h"
#include "crosstate/pipeline/prune_run.h"

namespace crosstate::cli {
namespace {

int prune_command(const Common& common, const std::string& model) {
  const RunOptions options = configuration(common);
  require_writable_file(common.json);
  OutputDirectory output = open_output(common, "prune");
  catch_interrupts();
  ThreadPool pool(common.threads);
  Progress progress(common.quiet);
  const PruneSummary summary =
      prune_model(model, options, run_context(common, output, pool, progress));
  progress.finish();
  if (summary.interrupted) return say_interrupted("prune", common, {model});
  write_result(common, "prune", to_json(summary));
  if (!common.quiet && common.json != "-") {
    std::fputs(to_text(prune_table(summary)).c_str(), stdout);
  }
  return kOk;
}

}  // namespace

void add_prune(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand(
      "prune", "Remove modes and channels of a model, train on, and leave the smaller model");
  auto common = std::make_shared<Common>();
  common->out = "out/prune";
  auto model = std::make_shared<std::string>();
  command->add_option("MODEL", *model, "A float or quantized model")->required();
  add_common(*command, *common, {.out = "Directory of models, checkpoints and prune.json"});
  command->callback([=, &chosen] { chosen = [=] { return prune_command(*common, *model); }; });
}

}  // namespace crosstate::cli
