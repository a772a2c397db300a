#include "crosstate/cost/technology.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/options.h"
#include "crosstate/base/shipped.h"

namespace crosstate::cost {
namespace {

namespace fs = std::filesystem;

constexpr double kMissing = -std::numeric_limits<double>::max();

// Constants of all kinds, bound to the keys that a file may have.
struct Draft {
  std::optional<TargetKind> kind;
  std::string summary;
  Technology technology;
  std::map<std::string, Constant> constants;
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

void add_constant(FieldList& list, const ConstantDefinition& definition, Constant& constant) {
  constant.value = {kMissing, kMissing, kMissing};
  constant.node = kMissing;
  constexpr double kLeastDivisor = 1e-12;  // keeps quotients far from infinity
  list.section(definition.name);
  for (const auto& [key, value] : {std::pair<const char*, double*>{"low", &constant.value.low},
                                   {"typical", &constant.value.typical},
                                   {"high", &constant.value.high}}) {
    list.add(key, *value, definition.meaning)
        .in(definition.unit)
        .range(definition.divides ? kLeastDivisor : 0, 1e12);
  }
  list.add("unit", constant.unit, "Unit of low, typical and high.").one_of({definition.unit});
  list.add("node", constant.node, "Node of the source; 0: none.").in("nm").range(0, 1000);
  list.add("basis", constant.basis, "Kind of evidence.").one_of(names_of(kNames<Basis>));
  list.add("source", constant.source, "Publication and table.");
}

// The constants of all kinds without duplicates; constants shared by two kinds have the same unit.
std::map<std::string, ConstantDefinition> all_constants() {
  std::map<std::string, ConstantDefinition> all;
  for (const Named<TargetKind>& kind : kNames<TargetKind>) {
    for (const ConstantDefinition& c : constants_of(kind.value)) all.emplace(c.name, c);
  }
  return all;
}

bool is_given(const Constant& c) {
  const Range& v = c.value;
  return v.low != kMissing || v.typical != kMissing || v.high != kMissing || c.node != kMissing ||
         !c.unit.empty() || c.basis.has_value() || !c.source.empty();
}

void check_constant(const std::string& path, const ConstantDefinition& definition,
                    const Constant& c) {
  const std::string key = std::string("[") + definition.name + "]";
  if (!is_given(c)) {
    fail(path, key + " is missing: " + definition.meaning + " (" + definition.unit + ")");
  }
  const auto require = [&](bool given, const char* name) {
    if (!given) fail(path, key + " has no " + name);
  };
  require(c.value.low != kMissing, "low");
  require(c.value.typical != kMissing, "typical");
  require(c.value.high != kMissing, "high");
  require(c.node != kMissing, "node");
  require(!c.unit.empty(), "unit");
  require(c.basis.has_value(), "basis");
  require(!c.source.empty(), "source");
  if (c.value.low <= c.value.typical && c.value.typical <= c.value.high) return;
  fail(path, key + " low, typical, high = " + exact_text(c.value.low) + ", " +
                 exact_text(c.value.typical) + ", " + exact_text(c.value.high) +
                 ", expected ascending values");
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
  list.parse_toml(toml, path);

  Technology t = std::move(draft.technology);
  t.name = fs::path(path).stem().string();
  t.summary = draft.summary;
  if (!draft.kind) {
    fail(path, "[target] has no kind, expected one of microcontroller, accelerator, crossbar");
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
