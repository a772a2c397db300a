// Tables and plots of crosstate cost.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "cli/cost_model.h"
#include "crosstate/base/numbers.h"
#include "crosstate/cost/rate.h"

namespace crosstate::cli {
namespace {

// With a unit prefix, so that picojoules as well as millijoules are readable.
std::string with_prefix(double value, double unit, const char* symbol) {
  struct Prefix {
    double factor;
    const char* text;
  };
  constexpr Prefix kPrefixes[] = {{1, ""},     {1e-3, "m"},  {1e-6, "u"},
                                  {1e-9, "n"}, {1e-12, "p"}, {1e-15, "f"}};
  const double base = value * unit;
  for (const Prefix& p : kPrefixes) {
    if (base >= p.factor || (&p == &kPrefixes[5] && base > 0)) {
      return number(base / p.factor) + " " + p.text + symbol;
    }
  }
  return "0";
}

// The typical value, and the bounds in the same unit if they differ.
std::string range_text(const cost::Range& r, double unit, const char* symbol) {
  if (r.high == 0) return "0";
  return with_prefix(r.typical, unit, symbol) + " (" + with_prefix(r.low, unit, symbol) + " to " +
         with_prefix(r.high, unit, symbol) + ")";
}

std::string plain_range(const cost::Range& r) {
  return number(r.typical) + " (" + number(r.low) + " to " + number(r.high) + ")";
}

// B / A, and its inverse where it is below 1.
std::string ratio_text(double r) {
  if (r <= 0) return "-";
  return number(r) + (r < 1 ? " (1/" + number(1 / r) + ")" : "");
}

std::string ratio_text(const cost::Range& r) {
  if (r.typical <= 0 || r.low <= 0) return "-";
  if (r.typical >= 1) return plain_range(r);
  return "1/" + number(1 / r.typical) + " (1/" + number(1 / r.low) + " to " +
         (r.high < 1 ? "1/" + number(1 / r.high) : number(r.high)) + ")";
}

std::string rate_text(double rate) {
  if (std::isinf(rate)) return "every rate";
  return rate > 0 ? number(rate) + " /s" : "no rate";
}

// "below 25 /s (at no rate to 400 /s)"
std::string below_rate_text(const cost::Range& r) {
  const auto end = [](double rate) {
    return (rate > 0 && !std::isinf(rate) ? "below " : "at ") + rate_text(rate);
  };
  return end(r.typical) + " (" + end(r.low) + " to " + end(r.high) + ")";
}

// "qat.safetensors" is ambiguous, so the directory is included.
std::string short_name(const std::string& file) {
  const std::filesystem::path path(file);
  const std::string parent = path.parent_path().filename().string();
  return (parent.empty() ? "" : parent + "/") + path.stem().string();
}

std::vector<std::string> model_header(const char* first, const std::vector<CostModel>& models) {
  std::vector<std::string> header = {first};
  for (const CostModel& m : models) header.push_back(short_name(m.file));
  for (std::size_t i = 1; i < models.size(); ++i) {
    header.push_back(std::to_string(i + 1) + " / 1");
  }
  return header;
}

template <class Count>
void add_count(report::Table& table, const char* name, const std::vector<CostModel>& models,
               Count count) {
  std::vector<std::string> row = {name};
  std::vector<double> values;
  for (const CostModel& m : models) {
    const auto value = count(m);
    values.push_back(static_cast<double>(value));
    row.push_back(std::to_string(value));
  }
  for (std::size_t i = 1; i < values.size(); ++i) {
    row.push_back(values[0] > 0 ? ratio_text(values[i] / values[0]) : "-");
  }
  table.rows.push_back(std::move(row));
}

report::Table operations_table(const std::vector<CostModel>& models) {
  report::Table table{"Counts, an inference of " + std::to_string(models[0].steps) + " steps",
                      model_header("quantity", models),
                      {}};
  const auto add = [&](const char* name, auto count) { add_count(table, name, models, count); };
  const auto per_inference = [](auto count) {
    return [count](const CostModel& m) { return m.operations.per_inference(count, m.steps); };
  };
  add("parameters", [](const CostModel& m) { return m.parameters; });
  add("weights and biases",
      [](const CostModel& m) { return m.deployment.weights() + m.deployment.biases(); });
  add("weight bits", [](const CostModel& m) { return m.memory.bits(cost::MemoryKind::kWeights); });
  add("state bits", [](const CostModel& m) { return m.memory.bits(cost::MemoryKind::kState); });
  add("memory (bytes)", [](const CostModel& m) { return m.memory.total(); });
  add("peak RAM (bytes)", [](const CostModel& m) { return cost::peak_ram(m.deployment); });
  add("MACs per step", [](const CostModel& m) { return m.operations.macs_per_step(); });
  add("MACs", per_inference(&cost::OperationSite::macs));
  add("bit operations", per_inference(&cost::OperationSite::bit_operations));
  add("bit operations with scaling",
      per_inference(&cost::OperationSite::bit_operations_with_scaling));
  add("requantisations", per_inference(&cost::OperationSite::requantisations));
  add("look-ups", per_inference(&cost::OperationSite::look_ups));
  add("exponentials in float", per_inference(&cost::OperationSite::functions));
  return table;
}

report::Table neurobench_table(const std::vector<CostModel>& models) {
  report::Table table{"NeuroBench", {"metric"}, {}};
  for (const CostModel& m : models) table.header.push_back(short_name(m.file));
  const auto add = [&](const char* name, auto text) {
    std::vector<std::string> row = {name};
    for (const CostModel& m : models) row.push_back(text(m.neurobench));
    table.rows.push_back(std::move(row));
  };
  const auto measured = [](auto text) {
    return [text](const cost::NeuroBenchMetrics& m) {
      return m.activity ? text(*m.activity) : std::string("-");
    };
  };
  using Activity = cost::NeuroBenchActivity;
  add("footprint (bytes)", [](const auto& m) { return std::to_string(m.footprint); });
  add("connection sparsity", [](const auto& m) { return fixed_text(m.connection_sparsity, 4); });
  add("dense synaptic operations per step", [](const auto& m) { return number(m.dense); });
  add("activation sparsity",
      measured([](const Activity& a) { return fixed_text(a.activation_sparsity, 4); }));
  add("effective MACs per sample",
      measured([](const Activity& a) { return number(a.effective_macs); }));
  add("dense MACs per sample",
      measured([](const Activity& a) { return number(a.dense_per_sample); }));
  add("effective ACs per sample", measured([](const Activity&) { return std::string("0"); }));
  add("state sparsity",
      measured([](const Activity& a) { return fixed_text(a.state_sparsity, 4); }));
  return table;
}

// Energy of every part of one model as three bars.
report::Plot energy_plot(const TargetCost& target, const std::vector<CostModel>& models,
                         std::size_t i) {
  const cost::Estimate& e = target.estimates[i];
  report::Plot plot;
  plot.kind = report::PlotKind::kBar;
  plot.title = short_name(models[i].file) + " on " + e.target;
  plot.y_label = "energy per inference (nJ)";
  plot.log_y = true;
  plot.caption =
      "Low, typical and high according to the sources of the constants. All parts reach a bound "
      "together only if all sources err in the same direction.";
  plot.series = {{"low", {}, {}, {}}, {"typical", {}, {}, {}}, {"high", {}, {}, {}}};
  const auto add = [&](const std::string& name, const cost::Range& r) {
    const double values[] = {r.low, r.typical, r.high};
    for (std::size_t k = 0; k < 3; ++k) {
      plot.series[k].x.push_back(static_cast<double>(plot.categories.size()));
      plot.series[k].y.push_back(values[k] * 1e-3);
    }
    plot.categories.push_back(name);
  };
  const auto steps = static_cast<double>(models[i].steps);
  for (const std::string& part : e.energy.parts()) {
    const cost::Range r = e.energy.of_part(part, steps);
    if (r.high > 0) add(part, r);
  }
  add("total", e.energy.total(steps));
  return plot;
}

// Energy of every part, one bar per target and model.
report::Plot stacked_plot(const std::vector<TargetCost>& targets,
                          const std::vector<CostModel>& models) {
  report::Plot plot;
  plot.kind = report::PlotKind::kStacked;
  plot.title = "Energy by part";
  plot.y_label = "energy per inference (uJ)";
  plot.caption = "Typical values. The ranges, which are wide, are in the tables above.";
  std::vector<std::pair<const cost::CostList*, double>> bars;
  const auto add = [&](const std::string& name, const cost::Estimate& e, const CostModel& m) {
    bars.emplace_back(&e.energy, static_cast<double>(m.steps));
    plot.categories.push_back(name + (models.size() > 1 ? ", " + short_name(m.file) : ""));
    for (const std::string& part : e.energy.parts()) {
      const auto same = [&](const report::Series& s) { return s.name == part; };
      if (std::none_of(plot.series.begin(), plot.series.end(), same)) {
        plot.series.push_back({part, {}, {}, {}});
      }
    }
  };
  for (const TargetCost& t : targets) {
    for (std::size_t i = 0; i < models.size(); ++i) {
      add(t.estimates[i].target, t.estimates[i], models[i]);
      if (!t.same_node.empty()) {
        add(t.same_node[i].technology.name, t.same_node[i].sram, models[i]);
      }
    }
  }
  constexpr double kMicrojoules = 1e-6;
  for (report::Series& series : plot.series) {
    for (std::size_t i = 0; i < bars.size(); ++i) {
      series.x.push_back(static_cast<double>(i));
      series.y.push_back(bars[i].first->of_part(series.name, bars[i].second).typical *
                         kMicrojoules);
    }
  }
  return plot;
}

// Energy per step of crossbars and of accelerators at the same node, against the rate.
report::Plot rate_plot(const TargetCost& target, const std::vector<CostModel>& models,
                       std::size_t i) {
  report::Plot plot;
  plot.title = "Energy of a time step against the rate: " + target.estimates[i].target + ", " +
               short_name(models[i].file);
  plot.x_label = "time steps per second";
  plot.y_label = "energy per step (nJ)";
  plot.log_x = plot.log_y = true;
  const cost::Range rate = cost::break_even_rate(target.estimates[i], target.same_node[i].sram);
  plot.caption =
      "Typical values, with the rest between steps: memory is retained, arrays and "
      "logic are idle. Crossbars take less than SRAM " +
      below_rate_text(rate) + ".";
  const std::pair<const char*, const cost::Estimate*> lines[] = {
      {"crossbars", &target.estimates[i]},
      {"digital, SRAM", &target.same_node[i].sram},
      {"digital, non-volatile weights", &target.same_node[i].nonvolatile}};
  constexpr double kNanojoules = 1e-3;
  for (const auto& [name, estimate] : lines) {
    report::Series series{name, {}, {}, {}};
    const double most = cost::highest_rate(*estimate);
    for (int tenth = -10; tenth <= 70; tenth += 5) {
      const double at = std::pow(10.0, tenth / 10.0);
      if (at > most) break;
      series.x.push_back(at);
      series.y.push_back(cost::energy_at_rate(*estimate, at).typical * kNanojoules);
    }
    plot.series.push_back(std::move(series));
  }
  return plot;
}

report::Plot memory_plot(const CostModel& model, const std::vector<cost::PeerCost>& peers) {
  report::Plot plot;
  plot.title = "Memory against sequence length";
  plot.x_label = "time steps";
  plot.y_label = "state and caches (bytes)";
  plot.log_x = plot.log_y = true;
  plot.caption =
      "Memory that a streaming executor keeps between two steps, without weights. Attention stores "
      "keys and values of every step.";
  report::Series own{short_name(model.file), {}, {}, {}};
  const std::vector<std::uint64_t> lengths = lengths_of(model);
  for (const std::uint64_t length : lengths) {
    own.x.push_back(static_cast<double>(length));
    own.y.push_back(static_cast<double>(model.memory.bytes(cost::MemoryKind::kState)));
  }
  plot.series = {std::move(own)};
  for (const cost::PeerCost& p : peers) {
    report::Series series{p.name, {}, {}, {}};
    for (const std::uint64_t length : lengths) {
      series.x.push_back(static_cast<double>(length));
      series.y.push_back(static_cast<double>(p.state_bytes(length)));
    }
    plot.series.push_back(std::move(series));
  }
  return plot;
}

}  // namespace

std::vector<std::uint64_t> lengths_of(const CostModel& model) {
  std::vector<std::uint64_t> lengths = {64, 256, 1024, 4096, 16384, model.steps};
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  return lengths;
}

std::vector<report::Table> count_tables(const std::vector<CostModel>& models) {
  return {operations_table(models), neurobench_table(models)};
}

report::Table target_table(const TargetCost& target, const std::vector<CostModel>& models) {
  report::Table table{target.technology.name + ": " + target.technology.summary,
                      model_header("typical (low to high)", models),
                      {}};
  for (std::size_t i = 0; i < models.size(); ++i) {
    const std::string& on = target.estimates[i].target;
    if (on != target.technology.name) table.header[i + 1] += " on " + on;
  }
  std::vector<CostRatios> of_first;
  for (std::size_t i = 1; i < models.size(); ++i) of_first.push_back(ratios(target, models, i));
  const auto add = [&](const std::string& name, auto text, auto ratio_of) {
    std::vector<std::string> row = {name};
    for (std::size_t i = 0; i < models.size(); ++i) {
      row.push_back(text(target.estimates[i], static_cast<double>(models[i].steps)));
    }
    for (const CostRatios& r : of_first) row.push_back(ratio_of(r));
    table.rows.push_back(std::move(row));
  };
  const auto none = [](const CostRatios&) { return std::string(); };
  const auto joules = [](const cost::Range& r) { return range_text(r, 1e-12, "J"); };
  add(
      "energy per step",
      [&](const cost::Estimate& e, double) { return joules(e.energy.per_step()); }, none);
  add(
      "energy per inference",
      [&](const cost::Estimate& e, double steps) { return joules(e.energy.total(steps)); },
      [](const CostRatios& r) { return ratio_text(r.energy); });
  std::vector<std::string> parts;
  for (const cost::Estimate& e : target.estimates) {
    for (const std::string& part : e.energy.parts()) {
      if (std::find(parts.begin(), parts.end(), part) == parts.end()) parts.push_back(part);
    }
  }
  for (const std::string& part : parts) {
    add(
        "  " + part,
        [&](const cost::Estimate& e, double steps) {
          return joules(e.energy.of_part(part, steps));
        },
        none);
  }
  add(
      "latency per step",
      [](const cost::Estimate& e, double) { return range_text(e.latency.per_step(), 1e-9, "s"); },
      none);
  add(
      "latency per inference",
      [](const cost::Estimate& e, double steps) {
        return range_text(e.latency.total(steps), 1e-9, "s");
      },
      [](const CostRatios& r) { return ratio_text(r.latency); });
  add(
      "area (mm2)", [](const cost::Estimate& e, double) { return plain_range(e.area.total(0)); },
      [](const CostRatios& r) { return ratio_text(r.area); });
  add(
      "TOPS/W", [](const cost::Estimate& e, double) { return plain_range(e.tops_per_watt()); },
      none);
  const bool rests = target.technology.kind != cost::TargetKind::kMicrocontroller;
  if (rests) {
    add(
        "power between steps",
        [](const cost::Estimate& e, double) { return range_text(e.rest.total(0), 1e-6, "W"); },
        none);
  }
  if (target.technology.kind != cost::TargetKind::kCrossbar) return table;
  const auto crossbar = [&](const std::string& name, auto text) {
    add(
        name, [&](const cost::Estimate& e, double) { return e.arrays > 0 ? text(e) : "-"; }, none);
  };
  crossbar("arrays", [](const cost::Estimate& e) { return std::to_string(e.arrays); });
  crossbar("arrays that do not compute", [](const cost::Estimate& e) { return name_of(e.idle); });
  crossbar("pairs in use", [](const cost::Estimate& e) { return percent(e.utilisation); });
  crossbar("conversions per step",
           [](const cost::Estimate& e) { return std::to_string(e.conversions_per_step); });
  crossbar("conversions at the end",
           [](const cost::Estimate& e) { return std::to_string(e.conversions_at_end); });
  const cost::Range full = cost::full_array_efficiency(target.technology);
  crossbar("TOPS/W of full arrays, 8 bits",
           [&](const cost::Estimate&) { return plain_range(full); });
  return table;
}

report::Table same_node_table(const TargetCost& target, const std::vector<CostModel>& models) {
  const std::vector<cost::SameNode>& digital = target.same_node;
  report::Table table{
      target.technology.name + " and a digital accelerator, " + digital[0].technology.name,
      {"typical (low to high)"},
      {}};
  for (const CostModel& m : models) table.header.push_back(short_name(m.file));
  const auto add = [&](const char* name, auto text) {
    std::vector<std::string> row = {name};
    for (std::size_t i = 0; i < models.size(); ++i) {
      row.push_back(on_crossbars(target, i) ? text(i) : "-");
    }
    table.rows.push_back(std::move(row));
  };
  const auto steps = [&](std::size_t i) { return static_cast<double>(models[i].steps); };
  const auto joules = [&](const cost::Estimate& e, std::size_t i) {
    return range_text(e.energy.total(steps(i)), 1e-12, "J");
  };
  const auto ratio = [&](std::size_t i, const cost::Estimate& to) {
    return cost::over_digital(target.estimates[i], to, models[i].steps);
  };
  add("energy per inference, crossbars",
      [&](std::size_t i) { return joules(target.estimates[i], i); });
  add("digital", [&](std::size_t i) { return joules(digital[i].sram, i); });
  add("  scaled linearly",
      [&](std::size_t i) { return with_prefix(digital[i].linear, 1e-12, "J"); });
  add("  scaled with the square",
      [&](std::size_t i) { return with_prefix(digital[i].square, 1e-12, "J"); });
  add("digital, non-volatile weights",
      [&](std::size_t i) { return joules(digital[i].nonvolatile, i); });
  add("crossbars / digital", [&](std::size_t i) { return ratio_text(ratio(i, digital[i].sram)); });
  add("crossbars / digital, non-volatile",
      [&](std::size_t i) { return ratio_text(ratio(i, digital[i].nonvolatile)); });
  add("less energy", [&](std::size_t i) {
    const cost::Range r = ratio(i, digital[i].sram);
    return std::string(r.high < 1  ? "crossbars"
                       : r.low > 1 ? "digital"
                                   : "open: within the ranges");
  });
  add("area (mm2), crossbars",
      [&](std::size_t i) { return plain_range(target.estimates[i].area.total(0)); });
  add("area (mm2), digital",
      [&](std::size_t i) { return plain_range(digital[i].sram.area.total(0)); });
  add("TOPS/W, crossbars",
      [&](std::size_t i) { return plain_range(target.estimates[i].tops_per_watt()); });
  add("TOPS/W, digital",
      [&](std::size_t i) { return plain_range(digital[i].sram.tops_per_watt()); });
  return table;
}

report::Table rate_table(const TargetCost& target, const std::vector<CostModel>& models,
                         double rate) {
  const std::vector<cost::SameNode>& digital = target.same_node;
  report::Table table{target.technology.name + " and " + digital[0].technology.name + " at " +
                          number(rate) + " time steps per second",
                      {"typical (low to high)"},
                      {}};
  for (const CostModel& m : models) table.header.push_back(short_name(m.file));
  const auto add = [&](const std::string& name, auto text) {
    std::vector<std::string> row = {name};
    for (std::size_t i = 0; i < models.size(); ++i) {
      row.push_back(on_crossbars(target, i) ? text(i) : "-");
    }
    table.rows.push_back(std::move(row));
  };
  using Of = const cost::Estimate& (*)(const TargetCost&, std::size_t);
  const std::pair<const char*, Of> all[] = {
      {"crossbars",
       [](const TargetCost& t, std::size_t i) -> const cost::Estimate& { return t.estimates[i]; }},
      {"digital",
       [](const TargetCost& t, std::size_t i) -> const cost::Estimate& {
         return t.same_node[i].sram;
       }},
      {"digital, non-volatile weights",
       [](const TargetCost& t, std::size_t i) -> const cost::Estimate& {
         return t.same_node[i].nonvolatile;
       }}};
  for (const auto& [name, of] : all) {
    add(std::string("energy per step, ") + name, [&, of = of](std::size_t i) {
      const cost::Estimate& estimate = of(target, i);
      const double most = cost::highest_rate(estimate);
      if (rate > most) return "at most " + number(most) + " /s";
      return range_text(cost::energy_at_rate(estimate, rate), 1e-12, "J");
    });
  }
  for (const auto& [name, of] : all) {
    add(std::string("power between steps, ") + name,
        [&, of = of](std::size_t i) { return range_text(of(target, i).rest.total(0), 1e-6, "W"); });
  }
  add("crossbars take less than digital", [&](std::size_t i) {
    return below_rate_text(cost::break_even_rate(target.estimates[i], digital[i].sram));
  });
  add("crossbars take less than non-volatile", [&](std::size_t i) {
    return below_rate_text(cost::break_even_rate(target.estimates[i], digital[i].nonvolatile));
  });
  return table;
}

report::Table source_table(const cost::Technology& t) {
  report::Table table{
      "Constants of " + t.name,
      {"constant", "low", "typical", "high", "unit", "node (nm)", "basis", "source"},
      {}};
  for (const auto& [name, c] : t.constants) {
    table.rows.push_back({name, number(c.value.low), number(c.value.typical), number(c.value.high),
                          c.unit, c.node > 0 ? number(c.node) : "-", name_of(c.basis), c.source});
  }
  return table;
}

report::Table peer_table(const CostModel& model, const std::vector<cost::PeerCost>& peers,
                         const cost::Technology& target) {
  report::Table table{"Comparison with other models, energy on " + target.name,
                      {"model", "parameters", "MACs", "bit operations", "energy per inference"},
                      {}};
  const auto joules = [&](const cost::Estimate& e) {
    return range_text(e.energy.total(static_cast<double>(model.steps)), 1e-12, "J");
  };
  const std::vector<std::uint64_t> lengths = lengths_of(model);
  for (const std::uint64_t length : lengths) {
    table.header.push_back("bytes after " + std::to_string(length));
  }
  std::vector<std::string> own = {
      short_name(model.file), std::to_string(model.parameters),
      std::to_string(model.operations.per_inference(&cost::OperationSite::macs, model.steps)),
      std::to_string(model.operations.bit_operations(model.steps)),
      !target.floats && model.deployment.in_floats()
          ? "-"
          : joules(cost::estimate(model.deployment, model.operations, target))};
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    own.push_back(std::to_string(model.memory.bytes(cost::MemoryKind::kState)));
  }
  table.rows.push_back(std::move(own));
  for (const cost::PeerCost& p : peers) {
    std::vector<std::string> row = {p.name, std::to_string(p.parameters),
                                    std::to_string(p.macs(model.steps)),
                                    std::to_string(p.bit_operations(model.steps)),
                                    joules(estimate_peer(p, model.steps, target))};
    for (const std::uint64_t length : lengths) {
      row.push_back(std::to_string(p.state_bytes(length)));
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

report::Report cost_report(const std::vector<CostModel>& models,
                           const std::vector<TargetCost>& targets,
                           const std::vector<cost::PeerCost>& peers,
                           const cost::Technology& peer_technology, double rate) {
  report::Report report;
  report.title = "Cost of a network on hardware";
  report.subtitle = std::to_string(models[0].steps) + " time steps per inference";
  report.paragraphs = {
      "Every cost is a count times a constant, and every constant is a range with its source, "
      "listed below: published estimates of a converter at one node differ by factors of two to "
      "six, so a single number would suggest a precision that does not exist. Ratios on one target "
      "vary all constants of both models together."};
  report.tables = count_tables(models);
  for (const TargetCost& t : targets) {
    report.tables.push_back(target_table(t, models));
    if (!t.same_node.empty()) report.tables.push_back(same_node_table(t, models));
    if (!t.same_node.empty() && rate > 0) report.tables.push_back(rate_table(t, models, rate));
    for (std::size_t i = 0; i < models.size(); ++i) {
      report.plots.push_back(energy_plot(t, models, i));
      if (!t.same_node.empty() && rate > 0 && on_crossbars(t, i)) {
        report.plots.push_back(rate_plot(t, models, i));
      }
    }
  }
  report.plots.push_back(stacked_plot(targets, models));
  report.tables.push_back(peer_table(models.back(), peers, peer_technology));
  report.plots.push_back(memory_plot(models.back(), peers));
  for (const TargetCost& t : targets) report.tables.push_back(source_table(t.technology));
  return report;
}

}  // namespace crosstate::cli
