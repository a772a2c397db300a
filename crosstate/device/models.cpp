#include "crosstate/device/models.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/nearest.h"
#include "crosstate/base/numbers.h"
#include "crosstate/device/families.h"

namespace crosstate::device {
namespace {

// Placeholder for a measured table of the TaOx chip, see docs/devices.md: the standard deviation of
// write-verify is assumed to be 1 %, and that after a year of 365 days 2 %, of 100 uS. A year of
// simulate.times has a quarter of a day more.
constexpr const char* kTaox =
    "time,target,mean,sigma\n"
    "0,1,1,1\n0,100,100,1\n"
    "31536000,1,1,2\n31536000,100,100,2\n"
    "31557600,1,1,2\n31557600,100,100,2\n";

// The measured table, if there is one; `text` comes from a saved chip.
std::optional<DeviceTable> table_of(const DeviceOptions& options, const std::string& text) {
  if (!text.empty()) {
    return DeviceTable::parse(text, options.table.empty() ? options.model : options.table);
  }
  if (!options.table.empty()) return DeviceTable::read(options.table);
  return std::nullopt;
}

std::string seconds_text(double seconds) { return rounded_text(seconds, 6) + " s"; }

}  // namespace

void DeviceModel::flicker(const CellBlock&, double, std::span<double> deviation) const {
  std::fill(deviation.begin(), deviation.end(), 0.0);
}

const std::string& DeviceModel::source() const {
  static const std::string kNone;
  return kNone;
}

std::vector<std::string> device_model_names() {
  std::vector<std::string> names;
  for (const NamedModel& model : kDeviceModels) names.push_back(model.name);
  return names;
}

const NamedModel& device_model(const std::string& name) {
  const auto found = std::find_if(kDeviceModels.begin(), kDeviceModels.end(),
                                  [&](const NamedModel& model) { return name == model.name; });
  if (found != kDeviceModels.end()) return *found;
  std::string all;
  for (const NamedModel& model : kDeviceModels)
    all += (all.empty() ? "" : ", ") + std::string(model.name);
  fail("device model", "unknown name \"" + excerpt(name) + "\"; the nearest is " +
                           nearest_name(name, device_model_names()) + ", all are " + all);
}

FlickerClock flicker_clock(double seconds, double t_r, double inference_time) {
  const auto until = [t_r](double t) { return std::log((t + t_r) / (2 * t_r)); };
  const double all = until(seconds);
  const double fast = std::clamp(inference_time > t_r ? until(inference_time) : 0.0, 0.0, all);
  return {all - fast, fast};
}

ModelPointer make_taox(const DeviceOptions& options, const std::string& table) {
  std::optional<DeviceTable> measured = table_of(options, table);
  return make_table(options, measured ? std::move(*measured) : DeviceTable::parse(kTaox, "taox"));
}

ModelPointer make_measured(const DeviceOptions& options, const std::string& table) {
  std::optional<DeviceTable> measured = table_of(options, table);
  if (!measured) fail("device.table", "is empty, expected a CSV file with device.model = table");
  return make_table(options, std::move(*measured));
}

ModelPointer make_device_model(const DeviceOptions& options, const std::string& table) {
  return device_model(options.model).make(options, table);
}

ConductanceRange conductance_range(const DeviceOptions& options, const DeviceModel& model) {
  const ConductanceRange paper = model.range();
  const double high = options.g_max > 0 ? options.g_max : paper.high;
  const double low = options.g_min > 0 ? options.g_min : paper.low * (high / paper.high);
  return {low, high};
}

void require_defined(const DeviceModel& model, const std::string& name, double seconds) {
  const bool defined =
      seconds == 0 || nearly_within(seconds, model.first_time(), model.last_time());
  if (defined) return;
  std::string times = "0";
  times += model.first_time() > 0 ? ", and " + seconds_text(model.first_time()) : " s";
  fail("device model " + name, "time " + seconds_text(seconds) + ", expected " + times + " to " +
                                   seconds_text(model.last_time()));
}

}  // namespace crosstate::device
