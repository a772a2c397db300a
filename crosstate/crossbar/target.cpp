#include "crosstate/crossbar/target.h"

#include <algorithm>
#include <filesystem>

#include "crosstate/base/error.h"
#include "crosstate/base/nearest.h"
#include "crosstate/base/shipped.h"

namespace crosstate::crossbar {

namespace fs = std::filesystem;

namespace {

// A driver operates one array of pairs for each array of the mapping.
void check_external(const Target& target) {
  const CrossbarOptions& crossbar = target.crossbar;
  if (!target.external.used()) return;
  if (crossbar.slices > 1) {
    fail("options", "crossbar.slices = " + std::to_string(crossbar.slices) +
                        ", expected 1 with external.command, which has no copies of arrays");
  }
  if (crossbar.remap != FaultRemap::kNone) {
    fail("options", "crossbar.remap = \"" + name_of(crossbar.remap) +
                        "\", expected none with external.command, whose faults are not known");
  }
  if (crossbar.encoding != WeightEncoding::kPair) {
    fail("options", "crossbar.encoding = \"" + name_of(crossbar.encoding) +
                        "\", expected pair with external.command, whose bit lines come in pairs");
  }
}

}  // namespace

Target ideal_target(const Target& target) {
  Target ideal;
  ideal.device.programming_noise = ideal.device.read_noise = 0;
  ideal.crossbar.rows = target.crossbar.rows;
  ideal.crossbar.columns = target.crossbar.columns;
  ideal.crossbar.spare_columns = target.crossbar.spare_columns;
  ideal.crossbar.recurrence = target.crossbar.recurrence;
  ideal.crossbar.packing = target.crossbar.packing;
  ideal.crossbar.dac_bits = target.crossbar.dac_bits;
  ideal.crossbar.adc_bits = 16;
  return ideal;
}

void fields(FieldList& list, Target& target) {
  device::fields(list, target.device);
  fields(list, target.crossbar);
  circuit::fields(list, target.wires);
  hardware::fields(list, target.external);
}

void validate(const Target& target) {
  device::validate(target.device);
  validate(target.crossbar);
  circuit::validate(target.wires);
  check_external(target);
  hardware::validate(target.external);
}

std::vector<std::string> target_names() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(shipped("targets"))) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string target_file(const std::string& name) {
  if (fs::path(name).extension() == ".toml") return name;
  const std::vector<std::string> names = target_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    fail("target " + excerpt(name), "unknown; the nearest name is " + nearest_name(name, names) +
                                        ", and target files end in .toml");
  }
  return (shipped("targets") / (name + ".toml")).string();
}

Target read_target(const std::string& name, const Target& defaults) {
  Target target = defaults;
  FieldList list;
  fields(list, target);
  const std::string file = target_file(name);
  list.read_toml(file);
  about_file(file, [&] { validate(target); });
  return target;
}

}  // namespace crosstate::crossbar
