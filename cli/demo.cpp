// crosstate demo: all stages on the built-in sample, with a table and a report at the end.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "crosstate/base/files.h"
#include "crosstate/base/interrupt.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/run_report.h"

namespace crosstate::cli {
namespace {

int demo_command(const Common& common) {
  const pipeline::RunOptions options = configuration(common, pipeline::demo_options());
  refuse_idle_in_run(common, options);
  require_writable_file(common.json);
  pipeline::require_data(options);
  pipeline::OutputDirectory output = open_output(common, "demo");
  const std::filesystem::path page = output.path() / "report.html";
  require_writable_file(page.string());
  catch_interrupts();
  ThreadPool pool(common.threads);
  Progress progress(common.quiet);
  const pipeline::RunSummary summary =
      pipeline::run(options, run_context(common, output, pool, progress));
  progress.finish();
  if (summary.interrupted) return say_interrupted("demo", common);
  write_file(page, report::to_html(pipeline::run_report(summary)));
  write_json(common, pipeline::to_json(summary));
  if (!common.quiet && common.json != "-") {
    std::fputs(report::to_text(pipeline::summary_table(summary)).c_str(), stdout);
    std::printf("\n%zu parameters, %.0f s in all; report: %s\n", summary.parameters,
                summary.seconds, page.c_str());
  }
  return kOk;
}

}  // namespace

void add_demo(Command root) {
  Command command = root.add_command(
      "demo", "Run all stages on the built-in sample of MNIST in about two minutes");
  auto common = std::make_shared<Common>();
  common->out = "out/demo";
  add_common(command, *common, {.target = true, .settings = pipeline::run_settings()},
             pipeline::demo_options());
  command.action([common] { return demo_command(*common); });
}

}  // namespace crosstate::cli
