// crosstate quantize MODEL: post-training quantization of a float model.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/interrupt.h"
#include "crosstate/base/numbers.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/quantize_run.h"

namespace crosstate::cli {
namespace {

// Whether the settings name a preset: then the default makes no difference.
bool names_preset(const Common& common) {
  std::string found[2] = {"float", "w8a8s8"};
  for (std::string& preset : found) {
    pipeline::RunOptions options;
    options.quant.preset = preset;
    FieldList list = options.fields();
    read_settings(common, list);
    preset = options.quant.preset;
  }
  return found[0] == found[1];
}

bool names_bits(const quant::QuantOptions& quant) {
  const std::vector<quant::SiteBits> sites = quant::bits_of_sites(quant);
  return quant.state.residue_bits > 0 ||
         std::any_of(sites.begin(), sites.end(),
                     [](const quant::SiteBits& site) { return site.bits != quant::kPresetBits; });
}

// Settings that name a format are followed exactly, unless a goal is named, too.
pipeline::QuantizeRequest request_of(const Common& common, const pipeline::RunOptions& options) {
  bool goal = !(options.ptq == ptq::SearchOptions{.sequences = options.ptq.sequences});
  for (const NamedSetting& setting : named_settings(common)) {
    goal = goal || setting.key == "ptq.loss" || setting.key == "ptq.bytes" ||
           setting.key == "ptq.front";
  }
  const bool preset = names_preset(common);
  return {goal || !(preset || names_bits(options.quant)), preset};
}

int quantize_command(const Common& common, const std::string& file) {
  const pipeline::RunOptions options = configuration(common);
  const pipeline::QuantizeRequest request = request_of(common, options);
  refuse_idle_data(common, options.data);
  refuse_idle(common, [&](const std::string& key) {
    return pipeline::idle_reason(
        key, pipeline::idle_in_quantize(options, request.search, request.preset_named));
  });
  require_writable_file(common.json);
  const inference::Model saved = inference::Model::load(file);
  if (saved.quantized()) fail(file, "is already quantized, expected a float model");
  refuse_idle(common, [&](const std::string& key) {
    return pipeline::idle_reason(key, pipeline::idle_with_gate(saved.network()->options().gate));
  });
  refuse_order_of_steps(common, saved.preparation().has_value(), file);
  pipeline::OutputDirectory output = open_output(common, "quantize");
  catch_interrupts();
  ThreadPool pool(common.threads);
  Progress progress(common.quiet);
  const pipeline::QuantizeSummary summary =
      pipeline::quantize_model(file, options, request, run_context(common, output, pool, progress));
  progress.finish();
  if (summary.interrupted) {
    std::fputs("interrupted; quantization starts over when it is repeated\n", stderr);
    return kInterrupted;
  }
  write_result(common, "quantize", pipeline::to_json(summary));
  if (common.quiet || common.json == "-") return kOk;
  const task::TaskMetric& primary = summary.readout.task->primary();
  if (summary.found) {
    const ptq::Verdict& held_out = summary.found->verdict;
    std::fputs(report::to_text(pipeline::choice_table(summary)).c_str(), stdout);
    std::printf(
        "\nerror: of the outputs, relative to their variance\n"
        "on %zu held-out sequences: %s, of the float model %s (lost: %s +- %s)\n",
        summary.held_out, primary.text(held_out.metric).c_str(),
        primary.text(summary.held_out_float_metric).c_str(), fixed_text(held_out.loss, 2).c_str(),
        fixed_text(held_out.deviation, 2).c_str());
    std::printf("on the test set: %s, of the float model %s\n",
                primary.text(summary.metric).c_str(), primary.text(summary.float_metric).c_str());
  }
  if (!summary.front.empty()) {
    std::printf("\n%s\n", report::to_text(pipeline::front_table(summary)).c_str());
  }
  const std::string interval = pipeline::interval_text(summary, summary.metric);
  std::printf("%s: %s %s after rounding%s, %s\n", (output.path() / "ptq.safetensors").c_str(),
              primary.title.c_str(), primary.text(summary.metric).c_str(),
              interval == "-" ? "" : (" (95 % interval " + interval + " %)").c_str(),
              bytes_text(summary.memory.total()).c_str());
  if (!summary.not_integer.empty()) {
    std::printf("no integer network: %s\n", summary.not_integer.c_str());
  }
  return kOk;
}

}  // namespace

void add_quantize(Command root) {
  Command command = root.add_command(
      "quantize",
      "Quantize a float model after training: in the format that the settings of [quant] name or, "
      "without any bits named there, in the cheapest one that loses at most --loss points on "
      "held-out data, or the best one within --bytes; with --front, in others of different sizes, "
      "too");
  auto common = std::make_shared<Common>();
  common->out = "out/quantize";
  auto model = std::make_shared<std::string>();
  command.add("MODEL", *model, "A float model").required();
  add_common(command, *common,
             {.no_resume = kNothingContinues,
              .out = "Directory of the models and of quantize.json",
              .seed = "Seed of the held-out split and of the calibration sequences",
              .settings = pipeline::quantize_settings()});
  pipeline::RunOptions defaults;
  FieldList search;
  ptq::fields(search, defaults.ptq);
  add_short_forms(command, *common, search);
  command.action([=] { return quantize_command(*common, *model); });
}

}  // namespace crosstate::cli
