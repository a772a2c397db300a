// crosstate convert MODEL: converts a quantized network to the integer network for deployment.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
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

int convert_command(const Common& common, const std::string& model) {
  FieldList none;
  read_settings(common, none);
  const fs::path file = common.out.empty() ? inference::integer_file(model) : fs::path(common.out);
  require_writable_file(common.json);
  require_writable_file(file.string());
  const inference::Model saved = inference::Model::load(model);
  std::error_code ignored;
  if (fs::equivalent(file, model, ignored)) {
    fail("--out " + file.string(), "is the model itself, expected another file");
  }
  if (saved.network() == nullptr) {
    fail(model, "is already an integer network, expected a quantized model");
  }
  const integer::IntegerNetwork network = saved.integers();
  const std::string bytes = formats::format_safetensors(
      inference::Model(network, saved.preparation(), model).to_tensors());
  require_new(file, bytes, common);
  write_file(file, bytes);
  const cost::MemorySummary memory = cost::count_memory(network);
  write_json(common, with_format({{"model", model},
                                  {"file", file.string()},
                                  {"longest_sequence", integer::longest_sequence(network)},
                                  {"memory", cost::to_json(memory)}},
                                 "convert"));
  if (!common.quiet && common.json != "-") {
    std::printf("%s: integer network, %s\n", file.c_str(), bytes_text(memory.total()).c_str());
  }
  return kOk;
}

}  // namespace

void add_convert(Command root) {
  Command command = root.add_command(
      "convert", "Convert a quantized model to the integer network for deployment");
  auto common = std::make_shared<Common>();
  auto model = std::make_shared<std::string>();
  command.add("MODEL", *model, "A quantized model").required();
  add_common(
      command, *common,
      {.data = false,
       .no_resume = kNothingContinues,
       .out = "File of the integer network; default: MODEL with .integer before .safetensors",
       .out_type = "FILE",
       .no_seed = kNothingDrawn,
       .no_threads = "one thread is enough"},
      FieldList());
  command.action([=] { return convert_command(*common, *model); });
}

}  // namespace crosstate::cli
