// crosstate deploy MODEL: programs one chip with a model and saves it.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/device/model.h"
#include "crosstate/formats/matrix.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/pipeline/chips_report.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/mapping_picture.h"
#include "crosstate/simulate/chip.h"
#include "crosstate/simulate/options.h"

namespace crosstate::cli {
namespace {

namespace fs = std::filesystem;

struct Extra {
  std::string model;
  int number = 0;
  int length = 784;
  std::string age;   // "": that of the chip; 0 for a new one
  std::string chip;  // a saved chip to be aged; "": a new one
  bool maps = false;
};

// A CSV file per array and copy, and all of them as NPZ: conductances (S), rows x columns, with g+
// and g- of a pair in adjacent columns, or single cells followed by the reference cells.
void write_maps(const simulate::Chip& chip, const fs::path& directory) {
  make_writable_directory(directory);
  std::vector<formats::NamedMatrix> all;
  for (std::size_t i = 0; i < chip.arrays().size(); ++i) {
    const std::vector<device::Cells>& copies = chip.arrays()[i].copies();
    const std::size_t columns = chip.arrays()[i].bit_lines();
    for (std::size_t k = 0; k < copies.size(); ++k) {
      const auto held = copies[k].conductance();
      formats::Matrix map{held.size() / columns, columns, {held.begin(), held.end()}};
      for (double& g : map.values) g *= 1e-6;
      const std::string copy = copies.size() > 1 ? "-copy-" + std::to_string(k) : "";
      const std::string name = "array-" + std::to_string(i) + copy;
      write_file(directory / (name + ".csv"), formats::format_csv(map));
      all.emplace_back(name, std::move(map));
    }
  }
  write_file(directory / "arrays.npz", formats::format_npz(all));
}

// In seconds; nothing if none is given.
std::optional<double> age_of(const Extra& extra) {
  if (extra.age.empty()) return std::nullopt;
  const std::optional<double> age = simulate::read_time(extra.age);
  if (age && *age <= device::kLongestTime) return age;
  fail("--age " + excerpt(extra.age), "expected a time of 0 to 1e+12 seconds, such as 3600 or 1h");
}

// The age of a chip cannot decrease.
void grow_older(simulate::Chip& chip, double age, const Extra& extra) {
  const double present = chip.arrays().front().cells().time();
  if (age < present) {
    fail("--age " + excerpt(extra.age), exact_text(age) + " s, but " + extra.chip + " is " +
                                            exact_text(present) +
                                            " s old, expected that age or a later one");
  }
  if (age > present) chip.age_to(age);
}

// Arrays of an external chip cannot be deployed.
std::vector<std::string> settings_of_deploy() {
  std::vector<std::string> keys = pipeline::target_settings();
  for (const char* key : {"!external.", "!crossbar.adc_margin", "run.seed"}) keys.push_back(key);
  return keys;
}

int deploy_command(const Common& common, const Extra& extra) {
  const pipeline::RunOptions options = configuration(common);
  const std::optional<double> age = age_of(extra);
  refuse_idle(common, [&](const std::string& key) {
    return pipeline::idle_reason(key, pipeline::idle_on_target(options.target));
  });
  if (age) device::require_age(options.target.device, *age);
  require_writable_file(common.json);
  const integer::IntegerNetwork network = inference::Model::load(extra.model).integers();
  refuse_idle(common, [&](const std::string& key) {
    return pipeline::idle_reason(key, pipeline::idle_with_states(network.state_rounding));
  });
  integer::require_length(network, static_cast<std::size_t>(extra.length), extra.model, "--length");
  formats::Safetensors saved;
  if (!extra.chip.empty()) saved = formats::read_safetensors(extra.chip);
  pipeline::OutputDirectory output = open_output(common, "deploy");
  const fs::path out = output.path();
  const mapping::Mapping mapping = mapping::map_network(network, options.target.crossbar,
                                                        static_cast<std::size_t>(extra.length));
  simulate::Chip chip(network, mapping, options.target, options.seed,
                      static_cast<std::uint32_t>(extra.number));
  if (!extra.chip.empty()) chip.restore(saved, extra.chip);
  if (age) grow_older(chip, *age, extra);

  device::ProgrammingSummary programming;
  std::size_t moved = 0;
  for (const crossbar::ProgrammedArray& array : chip.arrays()) {
    for (const device::Cells& copy : array.copies()) programming.add(copy.programming());
    moved += array.moved_columns();
  }
  output.begin({extra.model, extra.chip});
  formats::write_safetensors(out / "chip.safetensors", chip.save());
  write_file(out / "mapping.svg", pipeline::mapping_svg(mapping, options.target.crossbar));
  if (extra.maps) write_maps(chip, out / "conductance");
  nlohmann::json result = pipeline::to_json(mapping);
  result["model"] = extra.model;
  result["chip"] = extra.number;
  result["seconds_since_programming"] = chip.arrays().front().cells().time();
  result["programming"] = {{"cells", programming.cells},
                           {"yield", programming.yield()},
                           {"pulses", programming.pulses},
                           {"reads", programming.reads},
                           {"energy_pj", programming.energy},
                           {"stuck_low", programming.stuck_low},
                           {"stuck_high", programming.stuck_high},
                           {"open", programming.open},
                           {"columns_moved", moved}};
  result["config"] = pipeline::RunOptions(options).fields().to_json();
  write_result(common, "deploy", result);
  if (!common.quiet && common.json != "-") {
    std::fputs(report::to_text(pipeline::mapping_table(mapping)).c_str(), stdout);
    std::printf("\n%zu arrays, %.1f %% of their pairs in use, %zu conversions per step; chip: %s\n",
                mapping.built(), 100 * mapping.utilisation(), mapping.conversions_per_step(),
                (out / "chip.safetensors").c_str());
  }
  return kOk;
}

}  // namespace

void add_deploy(Command root) {
  Command command = root.add_command(
      "deploy", "Map a quantized model to the arrays of a target and program one chip");
  auto common = std::make_shared<Common>();
  common->out = "out/deploy";
  auto extra = std::make_shared<Extra>();
  command.add("MODEL", extra->model, "A quantized or integer model").required();
  command.add("--number", extra->number, "Number of the chip for this seed")
      .range(0, 1000000)
      .show_default();
  command.add("--length", extra->length, "Time steps of the longest sequence")
      .range(1, 100000000)
      .show_default();
  add_file(command, "--age", extra->age,
           "Time since programming in seconds, or 1h, 1d, 1y; default: 0, or the age of --chip, "
           "which is its minimum")
      .type("TIME");
  add_file(command, "--chip", extra->chip, "Saved chip.safetensors of this model to be aged");
  command.add("--maps", extra->maps,
              "Also write the conductances of every array as CSV and NPZ, in siemens");
  add_common(command, *common,
             {.data = false,
              .target = true,
              .no_resume = kNothingContinues,
              .out = "Directory of chip.safetensors, mapping.svg and deploy.json",
              .no_threads = "a chip is programmed by one thread",
              .settings = settings_of_deploy()});
  command.action([=] { return deploy_command(*common, *extra); });
}

}  // namespace crosstate::cli
