#include "crosstate/cost/technology.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/options.h"
#include "crosstate/base/shipped.h"
#include "crosstate/cost/constant_fields.h"

namespace crosstate::cost {
namespace {

namespace fs = std::filesystem;

// Constants of all kinds, bound to the keys that a file may have.
struct Draft {
  std::optional<TargetKind> kind;
  std::string summary;
  Technology technology;
  std::map<std::string, Constant> constants;
  Constant array_static;  // of earlier versions
};

void add_target(FieldList& list, Draft& draft) {
  list.section("target");
  list.add("kind", draft.kind, "Kind of target.").one_of(names_of(kNames<TargetKind>));
  list.add("summary", draft.summary, "One-line description.");
  list.add("node", draft.technology.node, "Technology node.").in("nm").range(1, 1000);
  list.add("floats", draft.technology.floats, "Whether the target has floating-point units.");
  const auto whole = [&](const char* name, int& value, int most, const char* help) {
    list.add(name, value, help).range(1, most);
  };
  whole("rows", draft.technology.rows, 4096, "Pairs of cells in a column of an array.");
  whole("columns", draft.technology.columns, 4096, "Pairs of cells in a row of an array.");
  whole("input_bits", draft.technology.input_bits, 16, "Input bits of one product.");
  whole("output_bits", draft.technology.output_bits, 16, "Bits of a converter.");
  whole("cell_bits", draft.technology.cell_bits, 16, "Bits of a weight stored in one pair.");
}

// The constants of all kinds without duplicates; constants shared by two kinds have the same unit.
std::map<std::string, ConstantDefinition> all_constants() {
  std::map<std::string, ConstantDefinition> all;
  for (const Named<TargetKind>& kind : kNames<TargetKind>) {
    for (const ConstantDefinition& c : constants_of(kind.value)) all.emplace(c.name, c);
  }
  return all;
}

void check_array(const Technology& t, const std::string& path) {
  const auto require = [&](const char* name, int value, int least) {
    if (t.kind == TargetKind::kCrossbar && value < least) {
      fail(path, std::string("target.") + name + " = " + std::to_string(value) + ", expected " +
                     std::to_string(least) + " or more for a crossbar");
    }
    if (t.kind != TargetKind::kCrossbar && value != 0) {
      fail(path,
           std::string("target.") + name + " applies to crossbars, but kind = " + name_of(t.kind));
    }
  };
  require("rows", t.rows, 3);
  require("columns", t.columns, 3);
  require("input_bits", t.input_bits, 1);
  require("output_bits", t.output_bits, 1);
  require("cell_bits", t.cell_bits, 1);
  if (t.kind == TargetKind::kCrossbar && t.floats) {
    fail(path, "target.floats = true (the default), expected false for a crossbar");
  }
}

}  // namespace

const Range& Technology::operator[](const std::string& constant) const {
  const auto found = constants.find(constant);
  if (found == constants.end()) throw std::logic_error(name + " has no constant " + constant);
  return found->second.value;
}

Technology parse_technology(const std::string& toml, const std::string& path) {
  Draft draft;
  FieldList list;
  add_target(list, draft);
  const auto all = all_constants();
  for (const auto& [name, definition] : all) add_constant(list, definition, draft.constants[name]);
  add_constant(list, {"array_static", "uW", ""}, draft.array_static);
  list.parse_toml(toml, path);

  Technology t = std::move(draft.technology);
  t.name = fs::path(path).stem().string();
  t.summary = draft.summary;
  if (!draft.kind) {
    fail(path, "[target] has no kind, expected one of microcontroller, accelerator, crossbar");
  }
  if (is_given(draft.array_static)) {
    fail(path,
         "[array_static] was divided; write [array_active], for arrays that compute, and "
         "[array_idle], for those that do not");
  }
  t.kind = *draft.kind;
  if (t.node == 0) fail(path, "[target] has no node, expected nm");
  check_array(t, path);
  for (const ConstantDefinition& definition : constants_of(t.kind)) {
    const Constant& constant = draft.constants.at(definition.name);
    check_constant(path, definition, constant);
    t.constants.emplace(definition.name, constant);
  }
  for (const auto& [name, constant] : draft.constants) {
    if (t.constants.count(name) > 0 || !is_given(constant)) continue;
    fail(path, "[" + name + "] is not a constant of kind " + name_of(t.kind));
  }
  return t;
}

Technology read_technology(const std::string& path) {
  constexpr std::size_t kMostBytes = 1 << 20;
  return parse_technology(read_file(path, kMostBytes), path);
}

std::vector<std::string> shipped_technologies() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(shipped("technology"))) {
    if (entry.path().extension() == ".toml") names.insert(entry.path().stem().string());
  }
  return {names.begin(), names.end()};
}

Technology find_technology(const std::string& name) {
  if (name.find('/') != std::string::npos || name.ends_with(".toml")) return read_technology(name);
  const std::vector<std::string> names = shipped_technologies();
  if (std::find(names.begin(), names.end(), name) != names.end()) {
    return read_technology((shipped("technology") / (name + ".toml")).string());
  }
  std::string known;
  for (const std::string& s : names) known += (known.empty() ? "" : ", ") + s;
  fail("target", "\"" + excerpt(name) + "\", expected a .toml file or one of " + known);
}

Technology find_float_target(const std::string& name, const std::string& key) {
  Technology t = find_technology(name);
  if (t.kind != TargetKind::kCrossbar) return t;
  fail(key,
       "\"" + excerpt(name) + "\" is a crossbar, expected a microcontroller or an accelerator");
}

Technology same_node(const Technology& accelerator, double node, Scaling scaling) {
  if (accelerator.kind != TargetKind::kAccelerator) {
    fail(accelerator.name, "is of kind " + name_of(accelerator.kind) + ", expected an accelerator");
  }
  Technology t = accelerator;
  const std::string nanometres = rounded_text(node, 12);
  t.name = "same node, " + nanometres + " nm";
  t.summary = accelerator.name + " scaled to " + nanometres + " nm: energies " +
              (scaling == Scaling::kLinear   ? "in proportion to the node"
               : scaling == Scaling::kSquare ? "with the square of the node"
                                             : "between proportion and square");
  t.node = node;
  const double linear = node / accelerator.node, square = linear * linear;
  Range energy{std::min(linear, square), linear, std::max(linear, square)};
  if (scaling == Scaling::kLinear) energy = {linear, linear, linear};
  if (scaling == Scaling::kSquare) energy = {square, square, square};
  for (const char* name : {"multiply_bit", "add_bit", "float_multiply", "float_add", "memory_bit",
                           "control", "nonvolatile_bit"}) {
    Range& value = t.constants.at(name).value;
    value = value * energy;
  }
  for (const char* name : {"multiply_area", "add_area", "float_area", "memory_area"}) {
    Range& value = t.constants.at(name).value;
    value = value * square;
  }
  for (auto& [name, constant] : t.constants) {
    constant.source += "; scaled from " + accelerator.name;
  }
  return t;
}

nlohmann::json to_json(const Technology& t) {
  nlohmann::json out = {{"name", t.name},
                        {"summary", t.summary},
                        {"kind", name_of(t.kind)},
                        {"node", t.node},
                        {"constants", nlohmann::json::object()}};
  for (const auto& [name, c] : t.constants) {
    nlohmann::json constant = to_json(c.value);
    constant.update(
        {{"unit", c.unit}, {"node", c.node}, {"basis", name_of(c.basis)}, {"source", c.source}});
    out["constants"][name] = std::move(constant);
  }
  return out;
}

}  // namespace crosstate::cost
