// crosstate convert MODEL: converts a quantized network to the integer network for deployment, and
// exchanges the arithmetic of its front end.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/options.h"
#include "crosstate/cost/memory.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/bounds.h"

namespace crosstate::cli {
namespace {

namespace fs = std::filesystem;

void require_new(const fs::path& file, const std::string& bytes, const Common& common) {
  std::error_code ignored;
  if (common.overwrite || !fs::exists(file, ignored) || read_file(file) == bytes) return;
  fail(file.string(), "holds another network; --overwrite replaces it, or choose another file");
}

struct ConvertOptions {
  std::optional<data::FrontEndArithmetic> arithmetic;  // none: that of the model
};

void fields(FieldList& list, ConvertOptions& options) {
  list.section("front_end");
  list.add("arithmetic", options.arithmetic,
           "Exchange the front end for the same one in this arithmetic; \"\": keep it.");
}

int convert_command(const Common& common, const std::string& model) {
  ConvertOptions options;
  FieldList list;
  fields(list, options);
  read_settings(common, list);
  require_writable_file(common.json);
  const inference::Model saved = inference::Model::load(model);
  const bool integers = saved.network() == nullptr;
  if (integers && !options.arithmetic) {
    fail(model,
         "is already an integer network, expected a quantized model, or front_end.arithmetic to "
         "exchange its front end");
  }
  if (integers && common.out.empty()) {
    fail("--out", "is missing, expected the file of the model with the other front end");
  }
  const fs::path file = common.out.empty() ? inference::integer_file(model) : fs::path(common.out);
  require_writable_file(file.string());
  std::error_code ignored;
  if (fs::equivalent(file, model, ignored)) {
    fail("--out " + file.string(), "is the model itself, expected another file");
  }
  const inference::Model result = options.arithmetic
                                      ? saved.to_integers().with_front_end(*options.arithmetic)
                                      : saved.to_integers();
  const std::string bytes = formats::format_safetensors(result.to_tensors());
  const integer::IntegerNetwork network = result.integers();
  require_new(file, bytes, common);
  write_file(file, bytes);
  const cost::MemorySummary memory = cost::count_memory(network);
  nlohmann::json summary = {{"model", model},
                            {"file", file.string()},
                            {"longest_sequence", integer::longest_sequence(network)},
                            {"memory", cost::to_json(memory)}};
  const bool exchanged =
      options.arithmetic &&
      *options.arithmetic != saved.preparation()->front_end->options().arithmetic;
  if (options.arithmetic) summary["front_end"] = {{"arithmetic", name_of(*options.arithmetic)}};
  write_json(common, with_format(summary, "convert"));
  if (common.quiet || common.json == "-") return kOk;
  std::printf("%s: integer network, %s\n", file.c_str(), bytes_text(memory.total()).c_str());
  if (exchanged) {
    const bool whole = *options.arithmetic == data::FrontEndArithmetic::kInteger;
    std::printf("front end now in %s; crosstate eval measures the accuracy with it\n",
                whole ? "whole numbers" : "floating point");
  }
  return kOk;
}

}  // namespace

void add_convert(Command root) {
  Command command = root.add_command(
      "convert",
      "Convert a quantized model to the integer network for deployment, or exchange its front end");
  auto common = std::make_shared<Common>();
  auto model = std::make_shared<std::string>();
  command
      .add("MODEL", *model,
           "A quantized model; with front_end.arithmetic also an integer network of recordings")
      .required();
  ConvertOptions defaults;
  FieldList list;
  fields(list, defaults);
  common->short_names["front_end.arithmetic"] = "--front-end";
  add_common(
      command, *common,
      {.data = false,
       .no_resume = kNothingContinues,
       .out = "File of the integer network; default: MODEL with .integer before .safetensors",
       .out_type = "FILE",
       .no_seed = kNothingDrawn,
       .no_threads = "one thread is enough"},
      list);
  add_short_forms(command, *common, list);
  command.action([=] { return convert_command(*common, *model); });
}

}  // namespace crosstate::cli
