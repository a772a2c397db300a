// Cells as a safetensors file. What was drawn is kept as numbers, so that a file means the same
// chip where another mathematical library rounds the last bit otherwise.
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/device/cells.h"

namespace crosstate {
namespace {

using nlohmann::json;

constexpr const char* kKind = "crosstate cells 1";

json options_json(const DeviceOptions& options) {
  DeviceOptions copy = options;
  FieldList list;
  fields(list, copy);
  return list.to_json();
}

const std::string& metadata(const Safetensors& file, const char* key, const std::string& where) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    fail(where, std::string("has no \"") + key + "\", expected saved cells");
  }
  return found->second;
}

template <class T>
T number(const Safetensors& file, const char* key, const std::string& where) {
  const std::string& text = metadata(file, key, where);
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    fail(where, std::string(key) + " \"" + excerpt(text) + "\", expected a number");
  }
  return value;
}

const Tensor& tensor(const Safetensors& file, const char* name, const std::string& where) {
  const auto found = file.tensors.find(name);
  if (found == file.tensors.end()) fail(where, std::string("has no tensor ") + name);
  return found->second;
}

std::vector<double> conductances(const Safetensors& file, const char* name, std::uint64_t cells,
                                 const std::string& where) {
  std::vector<double> values = tensor(file, name, where).doubles({cells}, where + ": " + name);
  for (const double v : values) {
    if (!std::isfinite(v)) fail(where, std::string(name) + ": expected finite values");
  }
  return values;
}

std::vector<std::uint8_t> faults_of(const Safetensors& file, std::uint64_t cells,
                                    const std::string& where) {
  const Tensor& fault = tensor(file, "fault", where);
  if (fault.dtype != "U8" || fault.shape != std::vector<std::uint64_t>{cells}) {
    fail(where, "fault: expected one U8 for each target");
  }
  std::vector<std::uint8_t> faults(fault.bytes.begin(), fault.bytes.end());
  for (const std::uint8_t f : faults) {
    if (f > static_cast<std::uint8_t>(Fault::kOpen)) fail(where, "fault: expected 0 to 3");
  }
  return faults;
}

json object(const Safetensors& file, const char* key, const std::string& where) {
  json values = json::parse(metadata(file, key, where), nullptr, false);
  if (!values.is_object()) fail(where, std::string(key) + ": expected a JSON object");
  return values;
}

std::uint64_t whole(const json& values, const char* key, const std::string& where) {
  if (!values.contains(key) || !values[key].is_number_unsigned()) {
    fail(where, std::string("programming.") + key + ": expected a whole number");
  }
  return values[key];
}

// The counts of faults follow from the faults.
ProgrammingSummary summary_of(const json& values, const std::string& where) {
  ProgrammingSummary summary;
  summary.within = whole(values, "within", where);
  summary.pulses = whole(values, "pulses", where);
  summary.reads = whole(values, "reads", where);
  summary.most_pulses = whole(values, "most_pulses", where);
  if (!values.contains("energy_pj") || !values["energy_pj"].is_number()) {
    fail(where, "programming.energy_pj: expected a number");
  }
  summary.energy = values["energy_pj"];
  return summary;
}

}  // namespace

Safetensors Cells::save() const {
  Safetensors file;
  const std::vector<std::uint64_t> shape{targets_.size()};
  file.tensors["target"] = Tensor::from(targets_, shape);
  file.tensors["programmed"] = Tensor::from(programmed_, shape);
  file.tensors["conductance"] = Tensor::from(conductance_, shape);
  file.tensors["fault"] = {"U8", shape, std::string(faults_.begin(), faults_.end())};
  file.metadata["kind"] = kKind;
  file.metadata["device"] = options_json(options_).dump();
  file.metadata["table"] = model_->source();
  file.metadata["seed"] = std::to_string(seed_);
  file.metadata["array"] = std::to_string(array_);
  file.metadata["time"] = exact_text(time_);
  const ProgrammingSummary& s = summary_;
  file.metadata["programming"] = json{
      {"within", s.within},
      {"pulses", s.pulses},
      {"reads", s.reads},
      {"most_pulses", s.most_pulses},
      {"energy_pj", s.energy}}.dump();
  return file;
}

Cells Cells::load(const Safetensors& file, const std::string& where) {
  if (metadata(file, "kind", where) != kKind) {
    fail(where,
         "kind \"" + excerpt(metadata(file, "kind", where)) + "\", expected \"" + kKind + '"');
  }
  Cells cells;
  FieldList list;
  fields(list, cells.options_);
  list.from_json(object(file, "device", where), where);
  cells.seed_ = number<std::uint64_t>(file, "seed", where);
  cells.array_ = number<std::uint32_t>(file, "array", where);
  cells.time_ = number<double>(file, "time", where);
  if (!(cells.time_ >= 0)) fail(where, "time: expected 0 or more");

  const Tensor& target = tensor(file, "target", where);
  const std::uint64_t count = target.shape.size() == 1 ? target.shape[0] : 0;
  cells.targets_ = conductances(file, "target", count, where);
  cells.programmed_ = conductances(file, "programmed", count, where);
  cells.conductance_ = conductances(file, "conductance", count, where);
  cells.faults_ = faults_of(file, count, where);
  cells.summary_ = summary_of(object(file, "programming", where), where);
  cells.summary_.cells = count;
  cells.count_faults();
  cells.set_model(metadata(file, "table", where));
  cells.find_read_deviations();
  return cells;
}

}  // namespace crosstate
