// crosstate break-even: above how many rows a column of an array takes less energy than digital
// products at the same node, for the converters of targets and for other types.
#include <cmath>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "cli/common.h"
#include "crosstate/base/named.h"
#include "crosstate/base/numbers.h"
#include "crosstate/cost/converters.h"
#include "crosstate/cost/energy.h"
#include "crosstate/cost/fan_in.h"
#include "crosstate/report/report.h"

namespace crosstate::cli {
namespace {

struct BreakEvenArguments {
  std::vector<std::string> targets = {"crossbar-14nm", "crossbar-32nm", "crossbar-130nm",
                                      "crossbar-180nm-taox"};
  std::string accelerator = "accelerator-45nm";
};

struct BreakEvenLine {
  cost::Technology target;
  cost::ConverterType converter;
  cost::FanIn fan_in;
};

std::string rows_text(double rows) {
  return std::isinf(rows) ? "none" : std::to_string(static_cast<long long>(std::ceil(rows)));
}

std::string range_text(const cost::Range& r) {
  return number(r.typical) + " (" + number(r.low) + " to " + number(r.high) + ")";
}

report::Table break_even_table(const std::vector<BreakEvenLine>& lines,
                               const cost::FanInOptions& options) {
  report::Table table{
      "Rows a column above which an array takes less energy than digital products: weights of " +
          std::to_string(options.weight_bits) + ", inputs of " +
          std::to_string(options.input_bits) + ", conversions to " +
          std::to_string(options.output_bits) + " bits",
      {"target", "converters", "conversions of a column (pJ)", "product on the array (pJ)",
       "digital product (pJ)", "rows", "low", "high", "rows of an array",
       "break-even column at " + std::to_string(options.rows) + " rows (pJ)"},
      {}};
  for (const BreakEvenLine& line : lines) {
    const cost::FanIn& f = line.fan_in;
    table.rows.push_back({line.target.name, name_of(line.converter), range_text(f.column),
                          range_text(f.product), range_text(f.digital), rows_text(f.rows.typical),
                          rows_text(f.rows.low), rows_text(f.rows.high),
                          std::to_string(line.target.rows), range_text(f.budget)});
  }
  return table;
}

int break_even_command(const Common& common, const BreakEvenArguments& arguments) {
  cost::FanInOptions options;
  FieldList list;
  cost::fields(list, options);
  read_settings(common, list);
  require_writable_file(common.json);
  const cost::Technology accelerator =
      cost::find_float_target(arguments.accelerator, "--accelerator");
  std::vector<BreakEvenLine> lines;
  for (const std::string& name : arguments.targets) {
    const cost::Technology target = cost::find_technology(name);
    for (const Named<cost::ConverterType>& type : kNames<cost::ConverterType>) {
      const cost::Technology array = cost::with_converter(target, type.value);
      const cost::Technology digital = cost::same_node(accelerator, target.node);
      lines.push_back({target, type.value, cost::break_even_fan_in(array, digital, options)});
    }
  }
  const auto output = prepare_out(common, "break-even");
  nlohmann::json result = {{"settings", list.to_json()}, {"accelerator", accelerator.name}};
  for (const BreakEvenLine& line : lines) {
    nlohmann::json one = cost::to_json(line.fan_in);
    one["target"] = line.target.name;
    one["node"] = line.target.node;
    one["array_rows"] = line.target.rows;
    one["converter"] = name_of(line.converter);
    result["lines"].push_back(std::move(one));
  }
  write_result(common, "break-even", result);
  if (common.quiet || common.json == "-") return kOk;
  std::printf("%s", report::to_text(break_even_table(lines, options)).c_str());
  return kOk;
}

}  // namespace

void add_break_even(Command root) {
  Command command = root.add_command(
      "break-even",
      "Compute above how many rows a column of an array takes less energy than digital products");
  auto common = std::make_shared<Common>();
  auto arguments = std::make_shared<BreakEvenArguments>();
  command
      .add(
          "--target", arguments->targets,
          "Crossbars: crossbar-14nm, crossbar-32nm, crossbar-130nm, crossbar-180nm-taox, or a TOML "
          "file; repeatable; all of these by default")
      .type("NAME|FILE")
      .suggest(cost::shipped_technologies())
      .one_value();
  command
      .add("--accelerator", arguments->accelerator,
           "Digital accelerator that is scaled to the node of each target")
      .type("NAME|FILE")
      .suggest({"accelerator-45nm"})
      .show_default();
  cost::FanInOptions defaults;
  FieldList list;
  cost::fields(list, defaults);
  add_common(command, *common,
             {.data = false,
              .no_resume = kNothingContinues,
              .out = out_for_result("break-even"),
              .no_seed = kNothingDrawn,
              .no_threads = "one thread is enough"},
             list);
  command.action([=] { return break_even_command(*common, *arguments); });
}

}  // namespace crosstate::cli
