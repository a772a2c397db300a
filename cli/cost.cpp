// crosstate cost MODEL: cost of one or several networks on hardware.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/cost_model.h"
#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/pipeline/idle.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

struct CostArguments {
  std::vector<std::string> models;
  std::vector<std::string> targets = {"accelerator-45nm"};
  bool sources = false, same_node = false;
};

struct CostSettings {
  pipeline::RunOptions run;
  CostOptions cost;
  cost::EstimateOptions estimate;
  cost::PeerOptions peers;
  FieldList list() {
    FieldList all = run.fields();
    fields(all, cost);
    cost::fields(all, estimate);
    cost::fields(all, peers);
    return all;
  }
};

// Settings that determine the numbers of arrays, products and conversions; sizes and converters
// are those of the target.
std::vector<std::string> cost_settings() {
  std::vector<std::string> keys = pipeline::test_data_settings();
  for (const char* key :
       {"cost.", "peers.", "crossbar.spare_columns", "crossbar.recurrence", "crossbar.encoding",
        "crossbar.packing", "crossbar.driven", "crossbar.slices", "crossbar.slice_base",
        "crossbar.drive_halvings", "crossbar.compensation", "crossbar.digital"}) {
    keys.push_back(key);
  }
  return keys;
}

json model_json(const CostModel& m) {
  json out = {{"file", m.file},
              {"parameters", m.parameters},
              {"weights_and_biases", m.deployment.weights() + m.deployment.biases()},
              {"weight_bits", m.memory.bits(cost::MemoryKind::kWeights)},
              {"state_bits", m.memory.bits(cost::MemoryKind::kState)},
              {"memory_bytes", cost::to_json(m.memory)},
              {"peak_ram_bytes", cost::peak_ram(m.deployment)},
              {"operations", cost::to_json(m.operations, m.steps)},
              {"neurobench", cost::to_json(m.neurobench)}};
  return out;
}

json target_json(const TargetCost& target, const std::vector<CostModel>& models, double rate) {
  json out = {{"technology", cost::to_json(target.technology)}, {"estimates", json::array()}};
  for (std::size_t i = 0; i < models.size(); ++i) {
    json e = cost::to_json(target.estimates[i], static_cast<double>(models[i].steps));
    e["model"] = models[i].file;
    if (i > 0) {
      const CostRatios r = ratios(target, models, i);
      e["over_first"] = {{"energy", cost::to_json(r.energy)},
                         {"latency", cost::to_json(r.latency)},
                         {"area", cost::to_json(r.area)}};
    }
    out["estimates"].push_back(std::move(e));
  }
  if (target.technology.kind == cost::TargetKind::kCrossbar) {
    out["full_array_tops_per_watt"] = cost::to_json(cost::full_array_efficiency(target.technology));
  }
  for (std::size_t i = 0; i < target.same_node.size(); ++i) {
    std::optional<cost::Estimate> crossbars;
    if (on_crossbars(target, i)) crossbars = target.estimates[i];
    json one = cost::to_json(target.same_node[i], crossbars, models[i].steps, rate);
    one["model"] = models[i].file;
    out["same_node"].push_back(std::move(one));
  }
  return out;
}

json result_json(const std::vector<CostModel>& models, const std::vector<TargetCost>& targets,
                 const std::vector<cost::PeerCost>& peers, const cost::Technology& peer_technology,
                 double rate) {
  json out;
  for (const CostModel& m : models) out["models"].push_back(model_json(m));
  for (std::size_t i = 1; i < models.size(); ++i) {
    out["comparisons"].push_back(comparison(models[0], models[i]));
  }
  for (const TargetCost& t : targets) out["targets"].push_back(target_json(t, models, rate));
  const std::uint64_t steps = models.back().steps;
  for (const cost::PeerCost& p : peers) {
    json peer = cost::to_json(p, lengths_of(models.back()));
    peer["estimate"] =
        cost::to_json(estimate_peer(p, steps, peer_technology), static_cast<double>(steps));
    out["peers"].push_back(std::move(peer));
  }
  return out;
}

int cost_command(const Common& common, const CostArguments& arguments) {
  CostSettings settings;
  FieldList list = settings.list();
  read_settings(common, list);
  if (!common.data.empty()) settings.run.data.directory = common.data;
  pipeline::validate(settings.run);
  refuse_idle_data(common, settings.run.data);
  require_writable_file(common.json);
  const cost::Technology float_target =
      cost::find_float_target(settings.cost.float_target, "cost.float_target");
  std::vector<cost::Technology> technologies;
  for (const std::string& name : arguments.targets)
    technologies.push_back(cost::find_technology(name));
  const bool crossbars =
      std::any_of(technologies.begin(), technologies.end(), [](const cost::Technology& technology) {
        return technology.kind == cost::TargetKind::kCrossbar;
      });
  const bool compares = arguments.same_node || settings.cost.rate > 0;
  if (arguments.same_node && !crossbars) {
    fail("--same-node", "compares crossbars, expected a --target of crossbars");
  }
  const bool mixed = !crossbar::digital_sites(settings.run.target.crossbar).empty();
  std::optional<cost::Technology> accelerator;
  if ((compares || mixed) && crossbars) {
    accelerator = cost::find_float_target(settings.cost.accelerator, "cost.accelerator");
    cost::same_node(*accelerator, accelerator->node);  // refuses other kinds
  }
  refuse_idle(common, [&](const std::string& key) {
    const bool of_crossbars = key == "cost.idle" || key == "cost.idle_cells" ||
                              key == "cost.blocks" || key == "cost.state_converters" ||
                              key == "cost.converter" || key == "cost.rate" || key == "cost.rows" ||
                              key == "cost.columns" || key == "cost.converter_bits" ||
                              key == "cost.accelerator" || key.starts_with("crossbar.");
    if (of_crossbars && !crossbars) return std::string("no target of crossbars");
    if (key == "cost.accelerator" && !compares && !mixed) {
      return std::string("neither --same-node nor cost.rate nor crossbar.digital");
    }
    if (key == "cost.samples" && settings.run.data.test_limit > 0) {
      return std::string("data.test_limit, which replaces it");
    }
    return pipeline::idle_reason(key, pipeline::idle_on_target(settings.run.target));
  });
  const auto output = prepare_out(common, "cost");
  if (output) require_writable_file((output->path() / "cost.html").string());

  std::vector<CostModel> models;
  for (const std::string& file : arguments.models) {
    models.push_back(load_cost_model(file, settings.cost, settings.run.data));
  }
  std::vector<TargetCost> targets;
  for (const cost::Technology& t : technologies) {
    targets.push_back(estimate_all(models, t, float_target, settings.run.target.crossbar,
                                   settings.estimate, accelerator ? &*accelerator : nullptr));
    if (compares && accelerator)
      add_same_node(targets.back(), models, *accelerator, settings.estimate);
  }
  const double rate = settings.cost.rate;
  const CostModel& last = models.back();
  std::vector<cost::PeerCost> peers = cost::peer_costs(
      settings.peers, last.parameters, last.deployment.inputs, last.deployment.outputs);
  if (last.deployment.every_step) {
    for (cost::PeerCost& peer : peers) peer = peer.read_at_every_step();
  }
  const cost::Technology& on = peer_target(targets, peers, float_target);
  write_result(common, "cost", result_json(models, targets, peers, on, rate));
  if (!common.out.empty()) {
    write_file(std::filesystem::path(common.out) / "cost.html",
               report::to_html(cost_report(models, targets, peers, on, rate)));
  }
  if (common.quiet || common.json == "-") return kOk;
  std::vector<report::Table> tables = count_tables(models);
  for (const TargetCost& t : targets) {
    tables.push_back(target_table(t, models));
    if (!t.same_node.empty()) tables.push_back(same_node_table(t, models));
    if (!t.same_node.empty() && rate > 0) tables.push_back(rate_table(t, models, rate));
    if (arguments.sources) tables.push_back(source_table(t.technology));
  }
  tables.push_back(peer_table(models.back(), peers, on));
  for (std::size_t i = 0; i < tables.size(); ++i) {
    std::printf("%s%s", i > 0 ? "\n" : "", report::to_text(tables[i]).c_str());
  }
  return kOk;
}

}  // namespace

void add_cost(Command root) {
  Command command = root.add_command("cost",
                                     "Compute memory, operations, energy, latency and area of "
                                     "saved models on hardware, and their ratios");
  auto common = std::make_shared<Common>();
  auto arguments = std::make_shared<CostArguments>();
  command
      .add("MODEL", arguments->models,
           "Models saved by train, quantize or demo; each is compared with the first")
      .required();
  command
      .add("--target", arguments->targets,
           "Hardware: mcu-fp32, mcu-int8, accelerator-45nm, crossbar-14nm, crossbar-32nm, "
           "crossbar-130nm, crossbar-180nm-taox, or a TOML file; repeatable")
      .type("NAME|FILE")
      .suggest(cost::shipped_technologies())
      .one_value()
      .show_default();
  command.add("--sources", arguments->sources, "Also print every constant with its source");
  command.add("--same-node", arguments->same_node,
              "Compare crossbars with a digital accelerator at the same node");
  CostSettings defaults;
  add_common(command, *common,
             {.no_resume = kNothingContinues,
              .out = out_for_result("cost") + ", and cost.html",
              .no_seed = kNothingDrawn,
              .no_threads = "one thread is enough",
              .settings = cost_settings()},
             defaults.list());
  common->short_names["cost.rate"] = "--rate";
  FieldList rate;
  rate.section("cost");
  rate.add("rate", defaults.cost.rate, "").in("1/s");
  add_short_forms(command, *common, rate);
  command.action([=] { return cost_command(*common, *arguments); });
}

}  // namespace crosstate::cli
