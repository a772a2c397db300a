#include "crosstate/cost/constant_fields.h"

#include <limits>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate::cost {
namespace {

constexpr double kMissing = -std::numeric_limits<double>::max();

}  // namespace

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

}  // namespace crosstate::cost
