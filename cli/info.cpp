// crosstate info MODEL: description of a saved network.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "cli/common.h"
#include "cli/info_integers.h"
#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/cost/memory.h"
#include "crosstate/inference/model.h"
#include "crosstate/model/network_state.h"
#include "crosstate/pipeline/data.h"
#include "crosstate/pipeline/idle.h"
#include "crosstate/quant/poles.h"
#include "crosstate/report/report.h"

namespace crosstate::cli {
namespace {

using nlohmann::json;

std::string shape_text(const std::vector<std::uint64_t>& shape) {
  std::string text;
  for (const std::uint64_t d : shape) text += (text.empty() ? "" : " x ") + std::to_string(d);
  return text;
}

std::string format_text(int bits) { return bits > 0 ? std::to_string(bits) + "-bit" : "float32"; }

// The residue bits of the modes.
std::string residue_text(const std::vector<std::uint8_t>& bits) {
  if (bits.empty()) return "";
  const auto [least, most] = std::minmax_element(bits.begin(), bits.end());
  const std::string text = std::to_string(*most) + " bits of residue";
  return *least == *most ? text : std::to_string(*least) + " to " + text;
}

struct Range {
  double low = INFINITY, high = -INFINITY;
  void add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  std::string text() const { return number(low) + " to " + number(high); }
  json pair() const { return json::array({low, high}); }
};

report::Table parameter_table(const model::Network& network) {
  report::Table table{"Parameters", {"name", "shape", "values", "smallest", "largest"}, {}};
  for (const model::Parameter& p : network.parameters()) {
    Range range;
    for (const float v : p.value) range.add(v);
    table.rows.push_back({p.name, shape_text(p.shape), std::to_string(p.value.size()),
                          number(range.low), number(range.high)});
  }
  return table;
}

// Time constants are in steps: the number of steps after which a free state has decayed to 1 / e.
report::Table dynamics_table(const json& layers) {
  report::Table table{
      "Recurrence",
      {"layer", "channels", "modes", "largest |A|", "time constants (steps)", "state steps"},
      {}};
  const auto range = [](const json& pair) {
    return number(pair.at(0)) + " to " + number(pair.at(1));
  };
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const json& layer = layers[l];
    char largest[32];
    std::snprintf(largest, sizeof largest, "%.6f", layer.at("a_max").get<double>());
    std::size_t modes = 0;
    for (const json& count : layer.at("modes")) modes += count.get<std::size_t>();
    table.rows.push_back({std::to_string(l), std::to_string(layer.at("channels").size()),
                          std::to_string(modes), largest, range(layer.at("time_constants")),
                          layer.contains("state_steps") ? range(layer.at("state_steps")) : "-"});
  }
  return table;
}

// Every quantized site: name, bits, and the largest value of its codes.
std::vector<std::array<std::string, 3>> formats(const model::Network::State& state,
                                                const model::Coefficients& c) {
  std::vector<std::array<std::string, 3>> rows;
  const quant::QuantOptions& q = state.quant;
  const auto range = [](const model::Quantizer& quantizer) {
    if (!quantizer.on) return std::string("-");
    const double scale = quantizer.scale[0];
    return number(quantizer.low * scale) + " to " + number(quantizer.high * scale);
  };
  const auto peak = [](const AlignedFloats& values, const AlignedFloats& imaginary = {}) {
    double top = 0;
    for (const AlignedFloats* part : {&values, &imaginary}) {
      for (const float v : *part) top = std::max(top, std::abs(static_cast<double>(v)));
    }
    return number(-top) + " to " + number(top);
  };
  const auto add = [&](const std::string& name, int bits, const std::string& text) {
    rows.push_back({name, format_text(bits), text});
  };
  add("input", q.input.bits, range(c.input));
  add("encoder.weight", q.encoder.bits, peak(c.encoder));
  for (std::size_t l = 0; l < c.blocks.size(); ++l) {
    const std::string at = "layers." + std::to_string(l) + ".";
    const model::BlockCoefficients& block = c.blocks[l];
    const model::BlockQuantizers& site = c.quantizers[l];
    const bool decoded = q.a.bits > 0 && quant::is_decoded(q.a.coding);
    add(at + "A (" + name_of(q.a.coding) + ")", q.a.bits,
        "|A| < 1, multiplied as " + format_text(decoded ? quant::kPoleFraction + 2 : q.a.bits));
    add(at + "C", q.c.bits, peak(block.cr, block.ci));
    add(at + "D", q.d.bits, peak(block.d));
    Range steps;
    for (const float step : state.state_steps[l]) steps.add(step);
    const std::string residue = residue_text(block.residue_bits);
    add(at + "state", q.state.bits,
        q.state.bits > 0 ? "+-" + number(c.rounding.limit) + " steps of " + steps.text() +
                               (residue.empty() ? "" : ", " + residue)
                         : "-");
    add(at + "ssm_output", q.ssm_output.bits, range(site.ssm_output));
    add(at + "activation", q.activation.bits, range(site.activation));
    add(at + "linear.weight", q.weight.bits, peak(block.weight));
    if (state.gated()) {
      add(at + "linear", q.linear.bits, range(site.linear));
      add(at + "gate", q.gate.bits, range(site.gate));
    }
  }
  add("residual", q.residual.bits, range(c.residual));
  add("decoder.weight", q.decoder.bits, peak(c.decoder));
  return rows;
}

// Every site of an integer network whose values are codes.
report::Table code_table(const integer::IntegerNetwork& n) {
  report::Table table{"Formats", {"site", "format", "codes", "range"}, {}};
  const auto bits = [](std::int64_t low, std::int64_t high) {
    return format_text(static_cast<int>(std::bit_width(static_cast<std::uint64_t>(high - low))));
  };
  const auto codes = [](std::int64_t low, std::int64_t high) {
    return std::to_string(low) + " to " + std::to_string(high);
  };
  const auto add = [&](const std::string& name, const integer::CodeFormat& f) {
    table.rows.push_back({name, bits(f.quant_min, f.quant_max), codes(f.quant_min, f.quant_max),
                          number(f.quant_min * f.scale) + " to " + number(f.quant_max * f.scale)});
  };
  add("input", n.input);
  for (std::size_t l = 0; l < n.blocks.size(); ++l) {
    const std::string at = "layers." + std::to_string(l) + ".";
    const integer::IntegerBlock& block = n.blocks[l];
    // Every mode has its own step, which the integer network does not contain.
    const std::string residue = residue_text(block.residue_bits);
    table.rows.push_back({at + "state", format_text(n.state_bits),
                          codes(-n.state_limit, n.state_limit), residue.empty() ? "-" : residue});
    add(at + "ssm_output", block.ssm_output);
    add(at + "activation", block.activation);
    if (n.gated) {
      add(at + "linear", block.linear);
      add(at + "gate", block.gate);
    }
  }
  add("residual", n.residual);
  return table;
}

report::Table memory_table(const cost::MemorySummary& memory) {
  report::Table table{"Memory", {"site", "kind", "values", "bits", "bytes"}, {}};
  for (const cost::MemorySite& site : memory.sites) {
    table.rows.push_back({site.name, name_of(site.kind), std::to_string(site.values),
                          std::to_string(site.bits), std::to_string(site.bytes())});
  }
  table.rows.push_back({"total", "", "", "", std::to_string(memory.total())});
  return table;
}

json describe(const inference::Model& model, const model::Coefficients& coefficients) {
  const model::Network& network = *model.network();
  json out = model.describe();
  out["file"] = model.name();
  out["memory"] = cost::to_json(cost::count_memory(network));
  if (network.quantized()) {
    for (const auto& [site, format, range] : formats(network.state(), coefficients)) {
      out["formats"][site] = {{"format", format}, {"range", range}};
    }
  }
  return out;
}

// One line on the training data, if the file records them.
std::string data_text(const inference::Preparation& preparation) {
  std::string text;
  if (preparation.front_end) {
    const data::FrontEndOptions& o = preparation.front_end->options();
    text += "front end: " + name_of(o.kind);
    if (o.kind == data::FrontEndKind::kLogMel) {
      text += ", " + std::to_string(o.bands) + " bands" + (o.deltas ? " with slopes" : "") +
              ", every " + number(o.hop) + " ms";
    }
    if (o.arithmetic == data::FrontEndArithmetic::kInteger) text += ", in whole numbers";
    text += ", from " + std::to_string(preparation.front_end->sample_rate()) + " Hz\n";
  }
  if (preparation.permutation_seed != 0) {
    text += "time steps permuted by seed " + std::to_string(preparation.permutation_seed) + '\n';
  }
  return text;
}

// Only integer networks are measured on data.
void refuse_data(const Common& common, const std::string& model) {
  const std::string why = model + ", not an integer network: nothing is measured";
  if (!common.data.empty()) fail("--data " + excerpt(common.data), "has no effect with " + why);
  refuse_idle(common, [&](const std::string& key) {
    return key.starts_with("data.") ? why : std::string();
  });
}

// Describes the file of an integer network.
int integer_info(const Common& common, const data::DataOptions& data,
                 const inference::Model& model) {
  const integer::IntegerNetwork n = model.integers();
  const IntegerReport report = report_integers(model, data);
  json out = model.describe();
  const cost::MemorySummary memory = cost::count_memory(n);
  out["file"] = model.name();
  out["memory"] = cost::to_json(memory);
  out.update(report.values);
  write_result(common, "info", out);
  if (common.quiet || common.json == "-") return kOk;
  std::printf("%s: integer network, %zu layers of %zu channels with %zu %s modes\n%s\n",
              model.name().c_str(), n.blocks.size(), n.channels, n.modes,
              n.complex ? "complex" : "real",
              ((model.preparation() ? data_text(*model.preparation()) : "") + report.text).c_str());
  std::printf("%s\n", report::to_text(code_table(n)).c_str());
  std::printf("%s\n", report::to_text(memory_table(memory)).c_str());
  for (const report::Table& table : report.tables)
    std::printf("%s\n", report::to_text(table).c_str());
  return kOk;
}

int info_command(const Common& common, const std::string& file) {
  const data::DataOptions data = configuration(common).data;
  refuse_idle_data(common, data);
  require_writable_file(common.json);
  const inference::Model model = inference::Model::load(file);
  const std::optional<inference::Preparation>& preparation = model.preparation();
  refuse_order_of_steps(common, preparation.has_value(), file);
  const auto output = prepare_out(common, "info");
  if (model.network() == nullptr) return integer_info(common, data, model);
  const model::Network& network = *model.network();
  const model::Network::State& state = network.state();
  const model::Coefficients coefficients = state.coefficients();
  json description = describe(model, coefficients);
  IntegerReport report;
  if (model.not_integer().empty()) {
    report = report_integers(model, data);
    description.update(report.values);
  } else {
    refuse_data(common, file);
  }
  write_result(common, "info", description);
  if (common.quiet || common.json == "-") return kOk;

  const model::ModelOptions& options = network.options();
  std::printf("%s: %d layers of %d channels with %d states (%s, %s), norm %s\n", file.c_str(),
              options.layers, options.channels, options.states, name_of(options.modes).c_str(),
              name_of(options.discretization).c_str(), name_of(options.norm).c_str());
  const bool values = preparation && !preparation->readout.task->categorical();
  std::printf("%zu parameters, %d inputs, %d %s, %s\n", network.parameter_count(),
              network.task().inputs, network.task().outputs, values ? "values" : "classes",
              network.quantized() ? "quantized" : "float");
  std::printf("%s\n", preparation ? data_text(*preparation).c_str() : "");
  std::vector<report::Table> tables = {parameter_table(network),
                                       dynamics_table(description.at("layers"))};
  if (network.quantized()) {
    report::Table table{"Formats", {"site", "format", "range"}, {}};
    for (const auto& row : formats(state, coefficients)) {
      table.rows.push_back({row.begin(), row.end()});
    }
    tables.push_back(std::move(table));
  }
  tables.push_back(memory_table(cost::count_memory(network)));
  for (report::Table& table : report.tables) tables.push_back(std::move(table));
  for (std::size_t i = 0; i < tables.size(); ++i) {
    std::printf("%s%s", i > 0 ? "\n" : "", report::to_text(tables[i]).c_str());
  }
  if (!report.text.empty()) std::printf("\n%s", report.text.c_str());
  return kOk;
}

}  // namespace

void add_info(Command root) {
  Command command = root.add_command("info",
                                     "Print shapes, formats, memory, proven bounds, saturation "
                                     "rates and dead modes of a saved model");
  auto common = std::make_shared<Common>();
  auto model = std::make_shared<std::string>();
  command.add("MODEL", *model, "A model saved by train or demo").required();
  add_common(command, *common,
             {.no_resume = kNothingContinues,
              .out = out_for_result("info"),
              .no_seed = kNothingDrawn,
              .no_threads = "one thread is enough",
              .settings = pipeline::test_data_settings()});
  command.action([=] { return info_command(*common, *model); });
}

}  // namespace crosstate::cli
