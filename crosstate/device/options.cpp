#include "crosstate/device/options.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"
#include "crosstate/device/models.h"

namespace crosstate::device {
namespace {

void program_fields(FieldList& list, DeviceOptions& options) {
  list.add("write_verify", options.write_verify,
           "true: simulate iterative write-verify programming, pulse by pulse; false: draw the "
           "programming error from the model's published statistics.");
  list.add("tolerance", options.tolerance,
           "Tolerance of write-verify around the target, relative to g_max.")
      .range(0, 1);
  list.add("max_pulses", options.max_pulses, "Maximum number of pulses per cell in write-verify.")
      .range(1, 10000);
  list.add("pulse_gain", options.pulse_gain,
           "Share of the remaining difference that a pulse corrects on average.")
      .range(0.01, 1);
  list.add("pulse_noise", options.pulse_noise,
           "Relative standard deviation of the conductance step of a pulse.")
      .range(0, 10);
  list.add("pulse_energy", options.pulse_energy, "Energy of one pulse.").in("pJ").range(0, 1e9);
  list.add("verify_energy", options.verify_energy, "Energy of one read between pulses.")
      .in("pJ")
      .range(0, 1e9);
}

void time_fields(FieldList& list, DeviceOptions& options) {
  list.add("drift", options.drift, "Whether conductances drift or relax over time.");
  list.add("flicker", options.flicker, "Whether the model's 1/f noise is added.");
  list.add("fresh", options.fresh,
           "Cells of age 0. read: as at the first read of the model's source, with relaxation and "
           "1/f noise until then; programmed: as write-verify left them.");
  list.add("inference_time", options.inference_time,
           "Duration of an inference: slower 1/f noise stays, as the cell has aged, and faster 1/f "
           "noise is drawn for every inference; 0: all of it stays.")
      .in("s")
      .range(0, 1e6);
  list.add("retention", options.retention,
           "Mean time until a cell loses its state and falls to g_min; 0: never.")
      .in("s")
      .range(0, 1e15);
  list.add("temperature", options.temperature,
           "Temperature at which cells age; a value other than 300 requires activation_energy.")
      .in("K")
      .range(200, 500);
  list.add("activation_energy", options.activation_energy,
           "Activation energy E: ageing is accelerated by exp(E / k (1 / 300 K - 1 / "
           "temperature)); 0: unknown, as for every model here.")
      .in("eV")
      .range(0, 5);
}

void cell_fields(FieldList& list, DeviceOptions& options) {
  list.add("stuck_low", options.stuck_low, "Share of cells stuck at g_min.").range(0, 1);
  list.add("stuck_high", options.stuck_high, "Share of cells stuck at g_max.").range(0, 1);
  list.add("open", options.open, "Share of cells that are open.").range(0, 1);
}

// A setting that the model does not use would otherwise be ignored silently.
void require_used(const DeviceOptions& options) {
  const DeviceOptions defaults;
  const auto refuse = [&](const char* key, const char* of) {
    fail("options", std::string("device.") + key + " applies to the model " + of +
                        ", not to device.model = " + options.model);
  };
  if (options.model != "gaussian") {
    if (options.programming_noise != defaults.programming_noise) {
      refuse("programming_noise", "gaussian");
    }
    if (options.read_noise != defaults.read_noise) refuse("read_noise", "gaussian");
    if (options.noise_relative_to != defaults.noise_relative_to) {
      refuse("noise_relative_to", "gaussian");
    }
  }
  if (!device_model(options.model).has_table && !options.table.empty()) {
    refuse("table", "table or taox");
  }
  if (options.model != "rram-cmo" && options.acceptance != defaults.acceptance) {
    refuse("acceptance", "rram-cmo");
  }
}

void require_consistent(const DeviceOptions& options) {
  constexpr double kLeastConductance = 1e-6;  // uS: no cell is read below 1 pS
  if (options.g_max > 0 && options.g_max < kLeastConductance) {
    fail("options", "device.g_max = " + exact_text(options.g_max) +
                        ", expected 0 (the model's own) or at least " +
                        exact_text(kLeastConductance) + " (uS)");
  }
  const double faulty = options.stuck_low + options.stuck_high + options.open;
  if (faulty > 1) {
    fail("options", "device.stuck_low + device.stuck_high + device.open = " + exact_text(faulty) +
                        ", expected at most 1");
  }
  if (options.temperature != 300 && options.activation_energy == 0) {
    fail("options", "device.temperature = " + exact_text(options.temperature) +
                        " without device.activation_energy: no source describes how temperature "
                        "affects device.model = " +
                        options.model);
  }
}

}  // namespace

void fields(FieldList& list, DeviceOptions& options) {
  list.section("device");
  list.add("model", options.model,
           "Device model that defines the cell statistics; `crosstate device` lists the models.")
      .one_of(device_model_names());
  list.add("g_min", options.g_min,
           "Lowest conductance of a cell, that of idle cells; 0: default of the model.")
      .in("uS")
      .range(0, 1e6);
  list.add("g_max", options.g_max,
           "Highest target conductance of a cell, with which all noise scales; 0: the model's "
           "default, 25 for gaussian.")
      .in("uS")
      .range(0, 1e6);
  list.add("programming_noise", options.programming_noise,
           "Model gaussian: relative standard deviation of the programmed conductance; 0 for ideal "
           "cells.")
      .range(0, 1);
  list.add("read_noise", options.read_noise,
           "Model gaussian: relative standard deviation from one read of a cell to the next; 0 for "
           "ideal "
           "cells.")
      .range(0, 1);
  list.add("noise_relative_to", options.noise_relative_to,
           "Model gaussian: noise is proportional to a cell's conductance (target) or equal for "
           "all cells, idle ones included (gmax).");
  list.add("table", options.table,
           "CSV file of the models table and taox: time,target,mean,sigma (s, uS).");
  list.add("acceptance", options.acceptance,
           "Model rram-cmo: acceptance range of its write-verify, in % of the target.");
  time_fields(list, options);
  program_fields(list, options);
  cell_fields(list, options);
}

void validate(const DeviceOptions& options, const std::string& table) {
  DeviceOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
  require_used(options);
  require_consistent(options);
  const std::shared_ptr<const DeviceModel> model = make_device_model(options, table);
  const ConductanceRange range = conductance_range(options, *model), paper = model->range();
  if (range.low >= range.high) {
    fail("options", "device.g_min = " + exact_text(range.low) +
                        ", expected less than device.g_max = " + exact_text(range.high));
  }
  const double lowest = paper.low * (range.high / paper.high);
  if (range.low < lowest && !nearly_equal(range.low, lowest)) {
    fail("options", "device.g_min = " + exact_text(range.low) + ", expected at least " +
                        exact_text(lowest) +
                        ", the lowest conductance of device.model = " + options.model);
  }
}

ConductanceRange conductance_range(const DeviceOptions& options) {
  return conductance_range(options, *make_device_model(options));
}

}  // namespace crosstate::device
