// crosstate device NAME: statistics of one device model after programming and ageing.
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/device/models.h"
#include "crosstate/device/population.h"
#include "crosstate/pipeline/idle.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

struct Arguments {
  Common common;
  std::string name, histogram;
  bool list = false;
};

struct DeviceSettings {
  pipeline::RunOptions run;
  device::PopulationOptions population;
};

// The model is the argument NAME; a population has no currents.
std::vector<std::string> settings_of_device() {
  return {"device.", "!device.model", "population.", "run.seed"};
}

FieldList fields_of(DeviceSettings& settings) {
  FieldList list = settings.run.fields();
  device::fields(list, settings.population);
  return list;
}

std::string range_text(const device::NamedModel& model) {
  device::DeviceOptions options;
  options.model = model.name;
  if (options.model == "table") return "of the file";
  const device::ConductanceRange range = device::conductance_range(options);
  return number(range.low) + " to " + number(range.high) + " uS";
}

int list_models(const Common& common) {
  json models = json::array();
  for (const device::NamedModel& model : device::kDeviceModels) {
    const std::string range = range_text(model);
    models.push_back({{"name", model.name},
                      {"conductance", range},
                      {"times", model.times},
                      {"source", model.paper}});
    if (common.quiet || common.json == "-") continue;
    std::printf("%-14s %-14s %s\n%30s%s\n", model.name, range.c_str(), model.paper, "",
                (std::string("defined at: ") + model.times).c_str());
  }
  write_result(common, "device", {{"models", models}});
  return kOk;
}

json programming_json(const device::ProgrammingSummary& p, bool simulated) {
  json result = {{"method", simulated ? "write-verify" : "published"},
                 {"cells", p.cells},
                 {"within_tolerance", p.within},
                 {"yield", p.yield()},
                 {"stuck_low", p.stuck_low},
                 {"stuck_high", p.stuck_high},
                 {"open", p.open}};
  if (!simulated) return result;
  result["pulses"] = p.pulses;
  result["reads"] = p.reads;
  result["pulses_per_cell"] = static_cast<double>(p.pulses) / static_cast<double>(p.cells);
  result["most_pulses"] = p.most_pulses;
  result["energy_pj"] = p.energy;
  return result;
}

json to_json(const DeviceSettings& settings, const device::Population& population) {
  json quantiles = json::object();
  for (const auto& [share, g] : population.quantiles) quantiles[number(share)] = g;
  return {{"model", settings.run.target.device.model},
          {"source", device::device_model(settings.run.target.device.model).paper},
          {"target", population.target},
          {"count", settings.population.count},
          {"time", settings.population.time},
          {"seed", settings.run.seed},
          {"mean", population.mean},
          {"std", population.deviation},
          {"min", population.lowest},
          {"max", population.highest},
          {"quantiles", quantiles},
          {"read_std", population.read_deviation},
          {"inference_std", population.inference_deviation},
          {"programming",
           programming_json(population.programming, settings.run.target.device.write_verify)}};
}

void print(const DeviceSettings& settings, const device::Population& population) {
  const device::DeviceOptions& device = settings.run.target.device;
  const device::ProgrammingSummary& p = population.programming;
  std::printf("%s: %s\n", device.model.c_str(), device::device_model(device.model).paper);
  std::printf("%llu devices, target %g uS, %g s after programming, seed %llu\n",
              static_cast<unsigned long long>(settings.population.count), population.target,
              settings.population.time, static_cast<unsigned long long>(settings.run.seed));
  std::printf("  mean       %.6g uS\n  deviation  %.6g uS\n  range      %.6g to %.6g uS\n",
              population.mean, population.deviation, population.lowest, population.highest);
  for (const auto& [share, g] : population.quantiles) {
    std::printf("  %5.1f %%    %.6g uS\n", 100 * share, g);
  }
  if (population.read_deviation > 0) {
    std::printf("  from read to read, in addition: %.6g uS\n", population.read_deviation);
  }
  if (population.inference_deviation > 0) {
    std::printf("  from inference to inference, in addition: %.6g uS\n",
                population.inference_deviation);
  }
  std::printf("  programmed within %g %% of g_max: %s\n", 100 * device.tolerance,
              percent(p.yield()).c_str());
  if (p.stuck_low + p.stuck_high + p.open > 0) {
    std::printf("  stuck low %llu, stuck high %llu, open %llu\n",
                static_cast<unsigned long long>(p.stuck_low),
                static_cast<unsigned long long>(p.stuck_high),
                static_cast<unsigned long long>(p.open));
  }
  if (!device.write_verify) return;
  const auto cells = static_cast<double>(p.cells);
  std::printf("  write-verify: %.3g pulses a device, %llu at most, %.4g pJ\n",
              static_cast<double>(p.pulses) / cells, static_cast<unsigned long long>(p.most_pulses),
              p.energy / cells);
}

// Settings without a name are an error; otherwise the list would be printed and they would be
// ignored.
void require_nothing_asked(const Arguments& arguments) {
  const Common& common = arguments.common;
  const bool asked = !arguments.histogram.empty() || !common.seed.empty() || common.threads > 0 ||
                     !named_settings(common).empty();
  if (arguments.list && (asked || !arguments.name.empty())) {
    fail("device --list", "lists all models, expected neither NAME nor settings of one");
  }
  if (asked) fail("device", "no NAME, expected a device model; `crosstate device` lists them");
}

int device_command(const Arguments& arguments) {
  const Common& common = arguments.common;
  DeviceSettings settings;
  FieldList list = fields_of(settings);
  read_settings(common, list);
  const auto output = prepare_out(common, "device");
  require_writable_file(common.json);
  require_writable_file(arguments.histogram);
  if (arguments.list || arguments.name.empty()) {
    require_nothing_asked(arguments);
    return list_models(common);
  }
  device::DeviceOptions& device = settings.run.target.device;
  device.model = device::device_model(arguments.name).name;
  ThreadPool pool(common.threads);
  device::validate(settings.run.target.device);
  refuse_idle(common, [&](const std::string& key) {
    return pipeline::idle_reason(key, pipeline::idle_on_target(settings.run.target));
  });
  const device::Population population = device::sample_devices(
      settings.run.target.device, settings.population, settings.run.seed, pool);
  if (!arguments.histogram.empty()) {
    write_file(arguments.histogram, device::histogram_csv(population.histogram));
  }
  if (!common.quiet && common.json != "-") print(settings, population);
  write_result(common, "device", to_json(settings, population));
  return kOk;
}

}  // namespace

void add_device(Command root) {
  Command command = root.add_command(
      "device", "Program many devices of a model, age them, and print their statistics");
  auto arguments = std::make_shared<Arguments>();
  std::vector<std::string> names;
  for (const device::NamedModel& model : device::kDeviceModels) names.emplace_back(model.name);
  command.add("NAME", arguments->name, "Device model; if omitted, all are listed").suggest(names);
  command.add("--list", arguments->list, "List the device models");
  command
      .add("--histogram", arguments->histogram,
           "Write a histogram of the conductances as CSV: bin centre, count, density")
      .type("FILE");
  DeviceSettings defaults;
  add_common(command, arguments->common,
             {.data = false,
              .no_resume = kNothingContinues,
              .out = out_for_result("device"),
              .seed = "Seed of the random devices",
              .settings = settings_of_device()},
             fields_of(defaults));
  device::PopulationOptions population;
  FieldList list;
  device::fields(list, population);
  add_short_forms(command, arguments->common, list);
  command.action([=] { return device_command(*arguments); });
}

}  // namespace crosstate::cli
