// The list of device models, one line each; the only place that maps names to models. Formulas:
// docs/devices.md.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "crosstate/device/families.h"
#include "crosstate/device/model.h"

namespace crosstate::device {

struct NamedModel {
  const char* name;
  const char* paper;
  const char* times;  // after programming
  /// `table` is the text of options.table, which is read if it is empty; only models with measured
  /// tables use either.
  std::shared_ptr<const DeviceModel> (*make)(const DeviceOptions& options,
                                             const std::string& table);
  bool has_table = false;
};

/// Function `make` of kDeviceModels for a model that has no table.
template <std::shared_ptr<const DeviceModel> (*make)(const DeviceOptions& options)>
std::shared_ptr<const DeviceModel> without_table(const DeviceOptions& options,
                                                 const std::string& /*table*/) {
  return make(options);
}
std::shared_ptr<const DeviceModel> make_taox(const DeviceOptions& options,
                                             const std::string& table);
std::shared_ptr<const DeviceModel> make_measured(const DeviceOptions& options,
                                                 const std::string& table);

// clang-format off
inline constexpr std::array kDeviceModels = {
    NamedModel{"pcm", "Phase-change memory: Nandakumar et al., ICECS 2019; Joshi et al., Nat. Commun. 11, 2020", "any", without_table<make_pcm>},
    NamedModel{"hermes", "PCM, two devices per polarity: Le Gallo et al., Nat. Electron. 6, 2023", "any", without_table<make_hermes>},
    NamedModel{"hermes-single", "PCM, one device per polarity: Le Gallo et al., Nat. Electron. 6, 2023", "any", without_table<make_hermes_single>},
    NamedModel{"neurram", "RRAM: Wan et al., Nature 608, 2022; fourth-order fit", "0 to 2 days", without_table<make_neurram>},
    NamedModel{"neurram-cubic", "RRAM: Wan et al., Nature 608, 2022; third-order fit to the state after 1 s", "0 to 1 s", without_table<make_neurram_cubic>},
    NamedModel{"rram-cmo", "RRAM CMO/HfOx: Falcone et al., arXiv 2502.04524, 2025", "0, and 1 s or more", without_table<make_cmo>},
    NamedModel{"milo", "HfO2 RRAM: Milo et al., IRPS 2021", "any; no ageing was measured", without_table<make_milo>},
    NamedModel{"sonos", "Charge trap: Agrawal et al., IEDM 2022", "0 to 5 days", without_table<make_sonos>},
    NamedModel{"simple", "0.2 uS programming error and power-law drift of 0.1 +- 0.05, for comparisons", "any", without_table<make_simple>},
    NamedModel{"gaussian", "Gaussian error and read noise relative to the target or to g_max, for sweeps", "any; no ageing", without_table<make_gaussian>},
    NamedModel{"taox", "TaOx 1T1R: assumed, since no statistics are public; accepts a measured table", "0 to 1 year", make_taox, true},
    NamedModel{"table", "Mean and standard deviation by time and target from a CSV file", "those of the file", make_measured, true},
};
// clang-format on

std::vector<std::string> device_model_names();

/// The entry of `name`. Throws Error naming the nearest model for an unknown name.
const NamedModel& device_model(const std::string& name);

/// The model of `options`. `table` is the text of options.table, which is read if it is empty.
/// Throws Error for an unknown name and for a missing or invalid table.
std::shared_ptr<const DeviceModel> make_device_model(const DeviceOptions& options,
                                                     const std::string& table = "");

}  // namespace crosstate::device
