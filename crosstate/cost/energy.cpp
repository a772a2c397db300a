#include "crosstate/cost/energy.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace crosstate::cost {
namespace {

double count_of(const CostTerm& term, double steps) { return steps * term.per_step + term.at_end; }

}  // namespace

Range CostList::total(double steps) const {
  Range sum;
  for (const CostTerm& t : terms) sum += t.each * count_of(t, steps);
  return factor * sum;
}

Range CostList::per_step() const {
  Range sum;
  for (const CostTerm& t : terms) sum += t.each * t.per_step;
  return factor * sum;
}

Range CostList::of_part(const std::string& part, double steps) const {
  Range sum;
  for (const CostTerm& t : terms) {
    if (t.part == part) sum += t.each * count_of(t, steps);
  }
  return factor * sum;
}

std::vector<std::string> CostList::parts() const {
  std::vector<std::string> names;
  for (const CostTerm& t : terms) {
    if (std::find(names.begin(), names.end(), t.part) == names.end()) names.push_back(t.part);
  }
  return names;
}

Range Estimate::tops_per_watt() const {
  const Range step = energy.per_step();  // pJ
  const auto per = [&](double picojoules) {
    return picojoules > 0 ? operations_per_step / picojoules : 0;
  };
  return {per(step.high), per(step.typical), per(step.low)};
}

nlohmann::json to_json(const Range& r) {
  return {{"low", r.low}, {"typical", r.typical}, {"high", r.high}};
}

nlohmann::json to_json(const CostList& list, double steps) {
  nlohmann::json out = {{"per_step", to_json(list.per_step())},
                        {"per_inference", to_json(list.total(steps))},
                        {"factor", to_json(list.factor)},
                        {"terms", nlohmann::json::array()}};
  for (const std::string& part : list.parts()) {
    out["parts"][part] = to_json(list.of_part(part, steps));
  }
  for (const CostTerm& t : list.terms) {
    out["terms"].push_back({{"part", t.part},
                            {"what", t.what},
                            {"per_step", t.per_step},
                            {"at_end", t.at_end},
                            {"each", to_json(t.each)}});
  }
  return out;
}

nlohmann::json to_json(const Estimate& e, double steps) {
  nlohmann::json out = {{"target", e.target},
                        {"energy_pj", to_json(e.energy, steps)},
                        {"latency_ns", to_json(e.latency, steps)},
                        {"area_mm2", to_json(e.area.total(0))},
                        {"rest_uw", to_json(e.rest.total(0))},
                        {"wake_pj", to_json(e.wake.total(0))},
                        {"operations_per_step", e.operations_per_step},
                        {"tops_per_watt", to_json(e.tops_per_watt())}};
  for (const std::string& part : e.area.parts()) {
    out["area_parts_mm2"][part] = to_json(e.area.of_part(part, 0));
  }
  for (const std::string& part : e.rest.parts()) {
    out["rest_parts_uw"][part] = to_json(e.rest.of_part(part, 0));
  }
  if (e.arrays > 0) {
    out["arrays"] = e.arrays;
    out["idle"] = name_of(e.idle);
    out["utilisation"] = e.utilisation;
    out["conversions_per_step"] = e.conversions_per_step;
    out["conversions_at_end"] = e.conversions_at_end;
  }
  return out;
}

}  // namespace crosstate::cost
