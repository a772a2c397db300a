// Parses the text of qat.stages.
#include <algorithm>
#include <charconv>
#include <sstream>

#include "crosstate/base/error.h"
#include "crosstate/pipeline/options.h"

namespace crosstate::pipeline {
namespace {

[[noreturn]] void refuse(const RunOptions& options, const std::string& why) {
  fail("options", "qat.stages = \"" + options.qat.stages + "\": " + why);
}

// 0: not given
int epochs_of(const RunOptions& options, const std::string& text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos) return 0;
  int epochs = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, epochs);
  if (error != std::errc{} || rest != end || epochs < 1 || epochs > options.qat.epochs) {
    refuse(options, "\"" + text + "\", expected PRESET:EPOCHS with 1 to qat.epochs = " +
                        std::to_string(options.qat.epochs) + " epochs");
  }
  return epochs;
}

train::QuantStage stage_of(const RunOptions& options, const std::string& text) {
  train::QuantStage stage{text.substr(0, text.find(':')), epochs_of(options, text), options.quant};
  stage.quant.preset = stage.name;
  try {
    stage.quant = quant::resolved(stage.quant);
  } catch (const Error& error) {
    refuse(options, std::string("stage ") + stage.name + ": " + error.what());
  }
  return stage;
}

// The names of the presets do not matter.
bool same_formats(quant::QuantOptions a, quant::QuantOptions b) {
  a.preset = b.preset = "";
  return a == b;
}

}  // namespace

std::vector<train::QuantStage> qat_stages(const RunOptions& options) {
  const quant::QuantOptions formats = quant::resolved(options.quant);
  std::vector<train::QuantStage> stages;
  std::istringstream words(options.qat.stages);
  int epochs = 0;
  for (std::string text; words >> text;) {
    if (!stages.empty() && stages.back().epochs == 0) {
      refuse(options, "stage " + stages.back().name + " has no epochs, expected " +
                          stages.back().name + ":EPOCHS; only the last stage may omit its epochs");
    }
    stages.push_back(stage_of(options, text));
    epochs += stages.back().epochs;
  }
  if (stages.empty()) return {{options.quant.preset, options.qat.epochs, formats}};
  train::QuantStage& last = stages.back();
  if (last.epochs == 0) epochs += last.epochs = std::max(0, options.qat.epochs - epochs);
  if (last.epochs == 0 || epochs != options.qat.epochs) {
    refuse(options, std::to_string(epochs) + " epochs" +
                        (last.epochs == 0 ? " before the last stage" : " in all") +
                        ", but qat.epochs = " + std::to_string(options.qat.epochs));
  }
  if (!same_formats(last.quant, formats)) {
    refuse(options, "the last stage, " + last.name +
                        ", differs from [quant]; expected its preset, \"" + options.quant.preset +
                        "\"");
  }
  last.quant = formats;
  return stages;
}

}  // namespace crosstate::pipeline
