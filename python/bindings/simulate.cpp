// crosstate/simulate and crosstate/hardware: accuracy on chips, simulated or of the caller.
#include "crosstate/simulate/simulate.h"

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/format.h"
#include "crosstate/base/json.h"
#include "crosstate/hardware/backend.h"
#include "crosstate/inference/model.h"
#include "crosstate/pipeline/chips_report.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/pipeline/output.h"
#include "crosstate/pipeline/run.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

// A chip whose operations are methods of a Python object, which checks shapes and values.
class PythonChip final : public hardware::Backend {
 public:
  PythonChip(const nb::object& chip, std::size_t rows) : chip_(chip), rows_(rows) {}

  void program(std::size_t array, std::span<const double> conductances) override {
    const nb::gil_scoped_acquire gil;
    chip_.attr("program")(array,
                          to_numpy(copy_of(conductances), {rows_, conductances.size() / rows_}));
  }
  void age_to(double seconds) override {
    const nb::gil_scoped_acquire gil;
    chip_.attr("age_to")(seconds);
  }
  void multiply(std::size_t array, hardware::BitLines lines, std::size_t count,
                std::span<const double> voltages, std::span<double> currents) override {
    const nb::gil_scoped_acquire gil;
    const nb::object found = chip_.attr("multiply")(array, lines.first, lines.count,
                                                    to_numpy(copy_of(voltages), {count, rows_}));
    const auto read = nb::cast<In<double>>(found);
    if (read.size() != currents.size()) fail("chip", "multiply() returned an array of wrong size");
    std::copy_n(read.data(), read.size(), currents.begin());
  }

 private:
  static std::vector<double> copy_of(std::span<const double> values) {
    return {values.begin(), values.end()};
  }

  const nb::object& chip_;
  std::size_t rows_;
};

// The results that `crosstate simulate` writes.
void write_results(const std::filesystem::path& directory, const std::string& model,
                   const simulate::SimulateSummary& summary, nlohmann::json result) {
  result.erase("metrics");
  result.update({{"model", model}, {"format", FileFormat("crosstate simulate", 1).text()}});
  if (result["notes"].empty()) result.erase("notes");
  write_file(directory / "simulate.html",
             report::to_html(pipeline::chips_report(model, summary, {})));
  write_file(directory / "simulate.json", json_text(result, 2) + '\n');
}

// `directory`: of a page and the results in JSON; empty: none are written.
std::string simulate(const inference::Model& model, const Memory* memory, const Settings& settings,
                     const std::string& target, const nb::object& chip, const nb::object& report,
                     int threads, const std::string& directory, const std::string& earlier) {
  pipeline::RunOptions options =
      run_options(settings, pipeline::simulate_settings(), "crosstate.simulate", target);
  use(memory, options.data);
  simulate::require_possible(options.target, options.simulate);
  if (!chip.is_none() && options.simulate.chips != 1) {
    throw Error("simulate.chips = " + std::to_string(options.simulate.chips) +
                ", expected 1 with a chip of your own");
  }
  nlohmann::json result;
  Call call;
  {
    const nb::gil_scoped_release release;
    refuse_idle(settings, [&](const std::string& key) {
      return pipeline::idle_reason(key, pipeline::idle_on_chips(options.target, options.simulate));
    });
    std::optional<pipeline::OutputDirectory> output;
    if (!directory.empty()) output.emplace(directory, "simulate", earlier_of(earlier));
    ThreadPool pool(threads);
    const data::Dataset set =
        pipeline::load_test_data(options.data, model.preparation(), model.name(), pool);
    model.require_fit(set, inference::ModelBackend::kInteger);
    if (output) output->begin();
    PythonChip own(chip, static_cast<std::size_t>(options.target.crossbar.rows));
    simulate::SimulateContext context;
    if (!chip.is_none()) context.chip = &own;
    context.stop = [&] { return call.stop(); };
    context.finished = [&](int number, std::size_t age, const std::vector<double>& sums) {
      if (report.is_none()) return;
      const double metric = task::primary_value(set.readout, sums);
      call.python([&] { report(number, age, metric); });
    };
    const simulate::SimulateSummary summary = simulate::simulate(
        model, options.target, set, pool, options.simulate, options.seed, context);
    if (!summary.interrupted) {
      result = pipeline::to_json(summary);
      result["metric"] = set.readout.task->primary().name;
      result["data"] = set.name;
      result["notes"] = set.notes;
      result["seed"] = options.seed;
      result["target"] = target.empty() ? "settings" : target;
      result["metrics"] = nlohmann::json::array();  // by age, then chip
      for (const simulate::AgeSummary& age : summary.ages) {
        result["metrics"].push_back({{"seconds", age.seconds}, {"chips", age.metric}});
      }
      if (output) write_results(output->path(), model.name(), summary, result);
    }
  }
  call.rethrow();
  return json_text(result);
}

}  // namespace

void bind_simulate(nb::module_& m) {
  m.def("simulate", &simulate, "model"_a, "memory"_a.none(), "settings"_a, "target"_a,
        "chip"_a.none(), "report"_a.none(), "threads"_a, "directory"_a, "earlier"_a);
}

}  // namespace crosstate::python
