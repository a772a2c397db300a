#include "crosstate/search/design_search.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/hash.h"
#include "crosstate/base/identity.h"
#include "crosstate/base/json.h"
#include "crosstate/cost/arrays.h"
#include "crosstate/cost/energy.h"
#include "crosstate/device/cells.h"
#include "crosstate/integer/convert.h"
#include "crosstate/mapping/mapping.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/identity.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/search/design_report.h"
#include "crosstate/search/pareto.h"
#include "crosstate/simulate/simulate.h"
#include "crosstate/train/identity.h"

namespace crosstate::search {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kNanoPerPico = 1e-3, kMicroPerNano = 1e-3;
constexpr const char* kCost = "cost";    // kinds of measurements
constexpr const char* kChips = "chips";  // without the settings that only change the cost

json range_json(const cost::Range& range) { return {range.low, range.typical, range.high}; }

// The part of the search that every rank derives from its arguments alone.
class DesignProblem {
 public:
  DesignProblem(const inference::Model& model, const pipeline::RunOptions& run,
                const DesignOptions& options)
      : run_(run), options_(options), space_(options, run.target), model_(model.folded()) {
    check();
    load();
    const analog::DigitalSites sites(space_.digital_in_some(), "search.digital");
    sites.require_blocks(plain_.blocks.size());
    identity_ = identity();
    Fnv1a<std::uint64_t> hash;
    hash.add(exact_json_text(identity_));
    scope_ = hash.text();
  }

  const pipeline::RunOptions& run() const { return run_; }
  const DesignOptions& options() const { return options_; }
  const DesignSpace& space() const { return space_; }
  const task::Task& task() const { return *validation_.readout.task; }
  const data::Dataset& validation() const { return validation_; }
  const cost::Technology& technology() const { return technology_; }
  std::uint64_t steps() const { return steps_; }
  const std::vector<std::string>& notes() const { return notes_; }
  // Everything that determines a measurement besides the design, and its digest.
  const json& what() const { return identity_; }
  std::string scope(const char* kind) const { return std::string(kind) + ' ' + scope_; }

  json price(const std::string& text) {
    const Design design = space_.design(text);
    try {
      crossbar::validate(design.target);
      const integer::IntegerNetwork& network = network_of(design);
      mapping::map_network(network, design.target.crossbar, validation_.length);
      const cost::Estimate found = cost::estimate_on_crossbars(
          network, steps_, cost::with_arrays(technology_, design.estimate), design.target.crossbar,
          design.estimate, &accelerator_);
      const auto steps = static_cast<double>(steps_);
      return {{"energy", range_json(found.energy.total(steps) * kNanoPerPico)},
              {"area", range_json(found.area.total(0))},
              {"latency", range_json(found.latency.total(steps) * kMicroPerNano)},
              {"arrays", found.arrays},
              {"utilisation", found.utilisation}};
    } catch (const Error& error) {
      return {{"unfit", with_place(error.what(), "design")}};
    }
  }

  // Nothing if stopped.
  std::optional<json> simulate(const std::string& text, const Stop& stop) {
    const Design design = space_.design(text);
    ThreadPool pool(options_.threads);
    simulate::SimulateContext context;
    context.stop = stop;
    const simulate::SimulateSummary summary = simulate::simulate(
        network_of(design), validation_, design.target, chips(), run_.seed, pool, context);
    if (summary.interrupted) return std::nullopt;
    return json(summary.first().metric);
  }

 private:
  simulate::SimulateOptions chips() const {
    simulate::SimulateOptions chips = run_.simulate;
    chips.chips = options_.chips;
    chips.times = options_.age;
    chips.sequences = 0;  // only those to be used are loaded
    return chips;
  }

  void check() {
    if (run_.target.external.used()) {
      fail("options", "external.command selects a real chip, but search simulates chips");
    }
    const std::string reason = model_.not_integer();
    if (!reason.empty()) fail(model_.name(), reason);
    if (space_.varies_residue() && !model_.quantized()) {
      fail(model_.name(), "is not quantized");
    }
    if (space_.varies_residue() && model_.network() == nullptr) {
      fail(model_.name(),
           "is an integer network, which search.residue_bits cannot requantize; expected the "
           "quantized network it was made from");
    }
    plain_ = model_.integers();
    if (plain_.state_rounding == kernels::RoundingMode::kStochastic) {
      fail(model_.name(), "rounds its states stochastically, which arrays do not");
    }
    require_age();
    technology_ = cost::find_technology(options_.technology);
    if (technology_.kind != cost::TargetKind::kCrossbar) {
      fail("options", "search.technology = \"" + excerpt(options_.technology) + "\" is of kind " +
                          name_of(technology_.kind) + ", expected one of crossbars");
    }
    accelerator_ = cost::find_float_target(options_.inference.accelerator, "cost.accelerator");
    cost::same_node(accelerator_, accelerator_.node);  // refuses other kinds
  }

  void require_age() const {
    try {
      device::require_age(run_.target.device, *simulate::read_time(options_.age));
    } catch (const Error& error) {
      fail("options", "search.age = \"" + excerpt(options_.age) + "\": " + error.what());
    }
  }

  void load() {
    ThreadPool pool(options_.threads);
    pipeline::RunData data =
        pipeline::load_model_data(run_, model_.preparation(), model_.name(), pool);
    if (data.validation.count == 0) {
      fail("options",
           "search compares designs on held-out sequences, expected train.validation > 0");
    }
    if (space_.varies_residue()) {
      calibration_ = pipeline::calibration_batches(data.training, run_);
    }
    notes_ = std::move(data.test.notes);
    validation_ = data::first(data.validation, static_cast<std::size_t>(options_.sequences));
    validation_.require_any_target();
    model_.require_fit(validation_, inference::ModelBackend::kInteger);
    steps_ = static_cast<std::uint64_t>(options_.inference.steps);
    if (steps_ == 0) steps_ = longest(data.validation);
  }

  static std::uint64_t longest(const data::Dataset& set) {
    std::uint64_t steps = 0;
    for (std::size_t i = 0; i < set.count; ++i) {
      steps = std::max<std::uint64_t>(steps, set.length_of(i));
    }
    return steps;
  }

  // The network in the format of a design.
  const integer::IntegerNetwork& network_of(const Design& design) {
    if (!design.residue_bits) return plain_;
    const std::lock_guard lock(mutex_);
    auto& made = shaped_[*design.residue_bits];
    if (!made) {
      model::Network network = *model_.network();
      quant::QuantOptions quant = network.quant_options();
      quant.state.residue_bits = *design.residue_bits;
      ThreadPool pool(options_.threads);
      network.requantize(quant, calibration_, pool);
      made = std::make_unique<integer::IntegerNetwork>(integer::to_integers(network));
    }
    return *made;
  }

  json identity() const {
    integer::IntegerNetwork numbers = plain_;
    numbers.scheme.reset();  // not used by chips
    json settings = pipeline::RunIdentity().settings(
        run_, {"device.", "crossbar.", "wires.", "simulate.calibration", "!crossbar.digital",
               "!crossbar.rows", "!crossbar.columns", "!crossbar.adc_bits", "!crossbar.slices",
               "!crossbar.packing"});
    cost::EstimateOptions estimate = options_.estimate;
    FieldList costs;
    cost::fields(costs, estimate);
    json chips = {{"chips", options_.chips}, {"age", *simulate::read_time(options_.age)}};
    json what = {{"model", train::checksum(integer::to_tensors(numbers))},
                 {"data", train::data_identity(validation_)},
                 {"seed", run_.seed},
                 {"target", std::move(settings)},
                 {"simulated", std::move(chips)},
                 {"steps", steps_},
                 {"cost", costs.to_json().at("cost")},
                 {"technology", cost::to_json(technology_)},
                 {"accelerator", cost::to_json(accelerator_)}};
    for (const char* key : {"rows", "columns", "converter", "converter_bits"}) {
      what["cost"].erase(key);
    }
    // Networks of other formats follow from it and from these.
    if (space_.varies_residue()) {
      what["network"] = train::checksum(*model_.network());
      what["calibration"] = run_.calibration;
    }
    return what;
  }

  const pipeline::RunOptions run_;
  const DesignOptions options_;
  const DesignSpace space_;
  const inference::Model model_;  // folded
  integer::IntegerNetwork plain_;
  cost::Technology technology_, accelerator_;
  data::Dataset validation_;
  std::vector<data::Batch> calibration_;
  std::vector<std::string> notes_;
  std::uint64_t steps_ = 0;
  json identity_;
  std::string scope_;

  std::mutex mutex_;
  std::map<int, std::unique_ptr<integer::IntegerNetwork>> shaped_;  // by residue bits
};

Work design_work(DesignProblem& problem) {
  return [&problem](const json& task, const Stop& stop) -> std::optional<json> {
    if (task.contains(kChips)) return problem.simulate(task.at(kChips), stop);
    return problem.price(task.at(kCost));
  };
}

// Stored results; both throw Error for JSON that is none.
DesignMeasures measures_from(const json& costs) {
  const auto range = [&](const char* key) {
    const auto [low, typical, high] = costs.at(key).get<std::array<double, 3>>();
    return cost::Range{low, typical, high};
  };
  try {
    DesignMeasures measures;
    if (costs.contains("unfit")) {
      measures.unfit = costs.at("unfit");
      return measures;
    }
    measures.energy = range("energy");
    measures.area = range("area");
    measures.latency = range("latency");
    measures.arrays = costs.at("arrays");
    measures.utilisation = costs.at("utilisation");
    return measures;
  } catch (const json::exception&) {
    fail(kCost, "expected unfit, or energy, area, latency, arrays and utilisation, found " +
                    excerpt(json_text(costs)));
  }
}

std::vector<double> metrics_from(const json& chips) {
  try {
    return chips.get<std::vector<double>>();
  } catch (const json::exception&) {
    fail(kChips,
         "expected a list of numbers, one for each chip, found " + excerpt(json_text(chips)));
  }
}

// The steps of the leading rank.
class DesignSearch {
 public:
  DesignSearch(DesignProblem& problem, Team& team, Store& store, SearchContext& context,
               DesignSummary& summary)
      : problem_(problem),
        context_(context),
        summary_(summary),
        costs_(kCost, problem.scope(kCost), team, store, context.stop),
        chips_(kChips, problem.scope(kChips), team, store, context.stop) {}

  bool run() {
    const DesignSpace& space = problem_.space();
    const auto judge = [&](std::vector<Individual>& all) { return judge_all(all); };
    const std::vector<Individual> last =
        evolved(space.choices(), problem_.options(), problem_.run().seed, space.first(),
                context_.say, judge);
    if (last.empty()) return false;
    finish();
    return true;
  }

 private:
  bool judge_all(std::vector<Individual>& all) {
    std::vector<std::string> texts, chips;
    for (const Individual& one : all) texts.push_back(problem_.space().text(one.genes));
    if (!costs_.measure(texts)) return false;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const DesignMeasures measured = costs_.of(texts[i], measures_from);
      if (violation_of(measured) == 0) chips.push_back(problem_.space().chip_text(all[i].genes));
    }
    const std::size_t missing = chips_.missing(chips);
    if (context_.say && missing > 0) {
      const int count = problem_.options().chips;
      context_.say("  new designs to simulate: " + std::to_string(missing) + ", on " +
                   std::to_string(count) + (count == 1 ? " chip" : " chips"));
    }
    if (!chips_.measure(chips)) return false;
    for (std::size_t i = 0; i < all.size(); ++i) judge_one(texts[i], all[i]);
    return true;
  }

  void judge_one(const std::string& text, Individual& one) {
    DesignMeasures measured = costs_.of(text, measures_from);
    one.violation = violation_of(measured);
    if (one.violation == 0) {
      measured.metric = chips_.of(problem_.space().chip_text(one.genes), metrics_from);
    }
    one.costs = costs_of(measured);
    if (!seen_.insert(text).second) return;
    summary_.designs.push_back({text, problem_.space().design(text), std::move(measured)});
  }

  // Designs that do not fit lose against all that do, and the more the further they exceed budgets.
  double violation_of(const DesignMeasures& measured) const {
    if (!measured.unfit.empty()) return std::numeric_limits<double>::infinity();
    const auto excess = [](double value, double budget) {
      return budget > 0 ? std::max(0.0, value / budget - 1) : 0;
    };
    return excess(measured.energy.typical, problem_.options().energy) +
           excess(measured.area.typical, problem_.options().area);
  }

  std::vector<double> costs_of(const DesignMeasures& measured) const {
    double loss = 0;  // of designs that were not simulated, which are not compared with others
    if (!measured.metric.empty()) {
      const bool higher = problem_.task().primary().higher_is_better;
      loss = higher ? -measured.mean() : measured.mean();
    }
    return {measured.energy.typical, measured.area.typical, loss};
  }

  void finish() {
    std::vector<std::vector<double>> costs;
    std::vector<std::size_t> simulated;
    for (std::size_t i = 0; i < summary_.designs.size(); ++i) {
      const DesignMeasures& measured = summary_.designs[i].measures;
      if (!measured.unfit.empty()) {
        ++summary_.unfit;
        ++summary_.reasons[measured.unfit];
      } else if (measured.metric.empty()) {
        ++summary_.over_budget;
      } else {
        simulated.push_back(i);
        costs.push_back(costs_of(measured));
      }
    }
    summary_.simulated = simulated.size();
    if (simulated.empty()) refuse();
    for (const std::size_t i : pareto_front(costs)) summary_.front.push_back(simulated[i]);
    std::stable_sort(
        summary_.front.begin(), summary_.front.end(), [&](std::size_t a, std::size_t b) {
          const DesignPoint &first = summary_.designs[a], &second = summary_.designs[b];
          return std::pair(first.measures.energy.typical, first.settings) <
                 std::pair(second.measures.energy.typical, second.settings);
        });
  }

  [[noreturn]] void refuse() const {
    std::string why = "of " + std::to_string(summary_.designs.size()) + " designs, " +
                      std::to_string(summary_.unfit) + " do not fit and " +
                      std::to_string(summary_.over_budget) + " exceed search.energy or search.area";
    if (!summary_.reasons.empty()) why += "; the first: " + summary_.reasons.begin()->first;
    fail("search", why);
  }

  DesignProblem& problem_;
  SearchContext& context_;
  DesignSummary& summary_;
  const Measurements costs_, chips_;
  std::set<std::string> seen_;
};

}  // namespace

double DesignMeasures::mean() const {
  if (metric.empty()) return std::numeric_limits<double>::quiet_NaN();
  return std::accumulate(metric.begin(), metric.end(), 0.0) / static_cast<double>(metric.size());
}

double DesignMeasures::deviation() const {
  if (metric.size() < 2) return 0;
  double squares = 0;
  for (const double value : metric) squares += (value - mean()) * (value - mean());
  return std::sqrt(squares / static_cast<double>(metric.size() - 1));
}

double DesignMeasures::worst(bool higher_is_better) const {
  if (metric.empty()) return std::numeric_limits<double>::quiet_NaN();
  const auto [least, most] = std::minmax_element(metric.begin(), metric.end());
  return higher_is_better ? *least : *most;
}

std::vector<std::string> design_settings() {
  DesignOptions options;
  FieldList list;
  fields(list, options);
  std::vector<std::string> keys;
  for (const Field& field : list.all()) keys.push_back(field.key);
  for (const char* key :
       {"data.", "!data.test_limit", "run.seed", "run.calibration", "train.validation", "device.",
        "crossbar.", "wires.", "simulate.calibration"}) {
    keys.push_back(key);
  }
  return keys;
}

std::string idle_reason_in_design(const std::string& key, const inference::Model& model,
                                  const pipeline::RunOptions& run, const DesignOptions& options) {
  for (const DesignSpace::Chosen& chosen : DesignSpace::chosen()) {
    if (selects(chosen.keys, key)) return chosen.option + ", which lists the choices";
  }
  const DesignSpace space(options, run.target);
  if (key == "run.calibration" && !space.varies_residue()) return "search.residue_bits empty";
  if (key == "cost.accelerator" && space.digital_in_some().empty()) {
    return "search.digital and crossbar.digital empty";
  }
  std::vector<pipeline::IdleSettings> idle = pipeline::idle_on_target(space.target());
  if (!space.varies_residue() && model.not_integer().empty()) {
    const auto of_states = pipeline::idle_with_states(model.integers().state_rounding);
    idle.insert(idle.end(), of_states.begin(), of_states.end());
  }
  return pipeline::idle_reason(key, idle);
}

DesignSummary run_design_search(const inference::Model& model, const pipeline::RunOptions& run,
                                const DesignOptions& options, SearchContext context) {
  validate(options, run.target);
  DesignProblem problem(model, run, options);
  if (context.note) {
    for (const std::string& note : problem.notes()) context.note(note);
  }
  const fs::path directory = fs::absolute(context.directory).lexically_normal();
  make_writable_directory(directory);
  Team team(design_work(problem), {context.workers, options.patience, problem.scope("design")},
            std::move(context.transport));
  DesignSummary summary;
  summary.task = &problem.task();
  summary.sequences = problem.validation().count;
  summary.steps = problem.steps();
  summary.technology = problem.technology().name;
  const SessionPlace place{directory, "search --target", {model.name()}};
  const SessionEnd end = run_session(team, place, context, [&](Store& store) {
    store.require_identity(problem.what());
    return DesignSearch(problem, team, store, context, summary).run();
  });
  static_cast<SessionEnd&>(summary) = end;
  if (summary.leads && !summary.interrupted) write_design_results(summary, directory);
  return summary;
}

}  // namespace crosstate::search
