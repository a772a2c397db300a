// Saves cells as a safetensors file. The random draws are stored, so that a file describes the same
// chip on platforms whose mathematical library rounds differently.
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/format.h"
#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"
#include "crosstate/device/cells.h"
#include "crosstate/device/models.h"

namespace crosstate::device {
namespace {

using nlohmann::json;

constexpr FileFormat kFormat("crosstate cells", 1);

json options_json(const DeviceOptions& options) {
  DeviceOptions copy = options;
  FieldList list;
  fields(list, copy);
  return list.to_json();
}

const std::string& metadata(const formats::Safetensors& file, const char* key,
                            const std::string& where) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    fail(where, std::string("has no \"") + key + "\", expected saved cells");
  }
  return found->second;
}

template <class T>
T number(const formats::Safetensors& file, const char* key, const std::string& where) {
  const std::string& text = metadata(file, key, where);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    fail(where, std::string(key) + " \"" + excerpt(text) + "\", expected a number");
  }
  return value;
}

const formats::Tensor& tensor(const formats::Safetensors& file, const char* name,
                              const std::string& where) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) fail(where, std::string("has no tensor ") + name);
  return found->second;
}

std::vector<double> conductances(const formats::Safetensors& file, const char* name,
                                 std::uint64_t cells, const std::string& where) {
  std::vector<double> values = tensor(file, name, where).doubles({cells}, where + ": " + name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) continue;
    fail(where, std::string(name) + " of cell " + std::to_string(i) + ": " + exact_text(values[i]) +
                    " uS, expected finite values");
  }
  return values;
}

// Cells that other device settings must have produced are rejected.
void require_valid(const DeviceOptions& options, const std::string& table,
                   const std::string& where) {
  about_file(where, [&] {
    const NamedModel& model = device_model(options.model);
    // The models would ignore it or read the file device.table, which may have changed since.
    if (!model.has_table && !table.empty()) {
      fail(where,
           "table: \"" + excerpt(table) + "\", but device.model = " + options.model + " has none");
    }
    if (model.has_table && table.empty()) {
      fail(where, "table is empty, expected the measurements of device.model = " + options.model +
                      " as CSV");
    }
    validate(options, table);
  });
}

void require_conductances(std::span<const double> values, const char* name,
                          const ConductanceRange& range, const std::string& where) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (nearly_within(values[i], range.low, range.high)) continue;
    fail(where, std::string(name) + " of cell " + std::to_string(i) + ": " + exact_text(values[i]) +
                    " uS, expected " + exact_text(range.low) + " to " + exact_text(range.high));
  }
}

std::vector<std::uint8_t> faults_of(const formats::Safetensors& file, std::uint64_t cells,
                                    const std::string& where) {
  const formats::Tensor& fault = tensor(file, "fault", where);
  if (fault.dtype != "U8" || fault.shape != std::vector<std::uint64_t>{cells}) {
    std::string shape;
    for (const std::uint64_t size : fault.shape) {
      shape += (shape.empty() ? "" : ", ") + std::to_string(size);
    }
    fail(where, "fault: " + fault.dtype + " [" + shape + "], expected one U8 for each target, [" +
                    std::to_string(cells) + "]");
  }
  std::vector<std::uint8_t> faults(fault.bytes.begin(), fault.bytes.end());
  for (std::size_t i = 0; i < faults.size(); ++i) {
    if (faults[i] <= static_cast<std::uint8_t>(Fault::kOpen)) continue;
    fail(where, "fault of cell " + std::to_string(i) + ": " + std::to_string(faults[i]) +
                    ", expected 0 to 3 (none, stuck low, stuck high, open)");
  }
  return faults;
}

json object(const formats::Safetensors& file, const char* key, const std::string& where) {
  const std::string& text = metadata(file, key, where);
  json values = try_parse_json(text);
  if (!values.is_object()) {
    fail(where, std::string(key) + ": \"" + excerpt(text) + "\", expected a JSON object");
  }
  return values;
}

[[noreturn]] void refuse(const char* key, const std::string& found, const std::string& expected,
                         const std::string& where) {
  fail(where, std::string("programming.") + key + ": " + found + ", expected " + expected);
}

std::string found_at(const json& values, const char* key) {
  return values.contains(key) ? excerpt(exact_json_text(values.at(key))) : "is missing";
}

std::uint64_t whole(const json& values, const char* key, const std::string& where) {
  if (!values.contains(key) || !values[key].is_number_unsigned()) {
    refuse(key, found_at(values, key), "an integer of 0 or more", where);
  }
  return values[key];
}

// Files of earlier versions have two settings that are no longer supported.
json settings_of(const formats::Safetensors& file, const std::string& where) {
  json settings = object(file, "device", where);
  const auto device = settings.find("device");
  if (device == settings.end() || !device->is_object()) return settings;
  for (const char* unused : {"nl2", "nl3"}) device->erase(unused);
  return settings;
}

// Refuses results that programming with these options cannot have had.
void require_consistent(const ProgrammingSummary& s, const DeviceOptions& options,
                        const std::string& where) {
  const auto most = static_cast<std::uint64_t>(options.write_verify ? options.max_pulses : 0);
  const std::string by = options.write_verify
                             ? "device.max_pulses = " + std::to_string(options.max_pulses)
                             : "device.write_verify = false";
  const auto require = [&](const char* key, std::uint64_t found, std::uint64_t low,
                           std::uint64_t high, const std::string& why) {
    if (found >= low && found <= high) return;
    const std::string range =
        low == high ? std::to_string(low) : std::to_string(low) + " to " + std::to_string(high);
    refuse(key, std::to_string(found), range + " with " + why, where);
  };
  require("most_pulses", s.most_pulses, 0, s.cells > 0 ? most : 0, s.cells > 0 ? by : "no cells");
  require("pulses", s.pulses, s.most_pulses, s.cells * s.most_pulses,
          std::to_string(s.cells) + " cells and most_pulses = " + std::to_string(s.most_pulses));
  const std::uint64_t reads = options.write_verify ? s.pulses + s.cells : 0;
  require("reads", s.reads, reads, reads, "pulses = " + std::to_string(s.pulses) + " and " + by);
  const double energy = static_cast<double>(s.pulses) * options.pulse_energy +
                        static_cast<double>(s.reads) * options.verify_energy;
  if (nearly_equal(s.energy, energy)) return;
  refuse("energy_pj", exact_text(s.energy),
         exact_text(energy) + ", that of the pulses and reads by device.pulse_energy and " +
             "device.verify_energy",
         where);
}

// The counts of faults are computed from the faults.
ProgrammingSummary summary_of(const json& values, std::uint64_t cells, const std::string& where) {
  ProgrammingSummary summary;
  summary.cells = cells;
  summary.within = whole(values, "within", where);
  summary.pulses = whole(values, "pulses", where);
  summary.reads = whole(values, "reads", where);
  summary.most_pulses = whole(values, "most_pulses", where);
  if (summary.within > cells) {
    refuse("within", std::to_string(summary.within),
           "at most " + std::to_string(cells) + ", the number of cells", where);
  }
  if (!values.contains("energy_pj") || !values["energy_pj"].is_number()) {
    refuse("energy_pj", found_at(values, "energy_pj"), "a number", where);
  }
  summary.energy = values["energy_pj"];
  return summary;
}

}  // namespace

std::string Cells::other_setting(const Cells& others) const {
  const json here = options_json(options_).at("device");
  const json there = options_json(others.options_).at("device");
  for (const auto& [key, value] : here.items()) {
    if (key == "table" || value == there.at(key)) continue;
    return key + " (" + exact_json_text(value) + ", not " + exact_json_text(there.at(key)) + ")";
  }
  if (model_->source() != others.model_->source()) return "table (other measurements)";
  return "";
}

formats::Safetensors Cells::save() const {
  formats::Safetensors file;
  const std::vector<std::uint64_t> shape{targets_.size()};
  file.tensors["target"] = formats::Tensor::from(targets_, shape);
  file.tensors["programmed"] = formats::Tensor::from(programmed_, shape);
  file.tensors["conductance"] = formats::Tensor::from(conductance_, shape);
  file.tensors["fault"] = {"U8", shape, std::string(faults_.begin(), faults_.end())};
  file.metadata["kind"] = kFormat.text();
  file.metadata["device"] = exact_json_text(options_json(options_));
  file.metadata["table"] = model_->source();
  file.metadata["seed"] = std::to_string(seed_);
  file.metadata["array"] = std::to_string(array_);
  file.metadata["time"] = exact_text(time_);
  const ProgrammingSummary& s = summary_;
  file.metadata["programming"] = exact_json_text(json{{"within", s.within},
                                                      {"pulses", s.pulses},
                                                      {"reads", s.reads},
                                                      {"most_pulses", s.most_pulses},
                                                      {"energy_pj", s.energy}});
  return file;
}

Cells Cells::load(const formats::Safetensors& file, const std::string& where) {
  kFormat.version_of(metadata(file, "kind", where), where);
  Cells cells;
  FieldList list;
  fields(list, cells.options_);
  list.from_json(settings_of(file, where), where);
  cells.seed_ = number<std::uint64_t>(file, "seed", where);
  cells.array_ = number<std::uint32_t>(file, "array", where);
  cells.time_ = number<double>(file, "time", where);
  if (!(cells.time_ >= 0 && cells.time_ <= kLongestTime)) {
    fail(where,
         "time: " + exact_text(cells.time_) + " s, expected 0 to " + exact_text(kLongestTime));
  }

  const formats::Tensor& target = tensor(file, "target", where);
  const std::uint64_t count = target.shape.size() == 1 ? target.shape[0] : 0;
  cells.targets_ = conductances(file, "target", count, where);
  cells.programmed_ = conductances(file, "programmed", count, where);
  cells.conductance_ = conductances(file, "conductance", count, where);
  cells.faults_ = faults_of(file, count, where);
  cells.summary_ = summary_of(object(file, "programming", where), count, where);
  cells.count_faults();
  const std::string& table = metadata(file, "table", where);
  require_valid(cells.options_, table, where);
  require_consistent(cells.summary_, cells.options_, where);
  cells.set_model(table);
  try {
    cells.require_defined_at(cells.time_);
  } catch (const Error& error) {
    fail(where, "time: " + exact_text(cells.time_) + " s; " + error.what());
  }
  const double slack = 1e-9 * cells.range_.high;  // as for the targets of new cells
  require_conductances(cells.targets_, "target",
                       {cells.range_.low - slack, cells.range_.high + slack}, where);
  // Noise can exceed the highest target, but no conductance is negative.
  require_conductances(cells.conductance_, "conductance", {0, std::numeric_limits<double>::max()},
                       where);
  cells.inference_deviation_.assign(count, 0);
  if (cells.options_.inference_time > 0 && cells.read_time() > 0) {
    const std::vector<double> saved = cells.conductance_;
    cells.read(cells.read_time());
    cells.conductance_ = saved;
  }
  cells.find_read_deviations();
  formats::refuse_unknown(file, cells.save(), where);
  return cells;
}

}  // namespace crosstate::device
