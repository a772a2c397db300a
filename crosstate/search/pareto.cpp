#include "crosstate/search/pareto.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "crosstate/base/error.h"
#include "crosstate/search/outcome.h"

namespace crosstate::search {
namespace {

double comparable(double cost) {
  return std::isnan(cost) ? std::numeric_limits<double>::infinity() : cost;
}

}  // namespace

std::string objectives_of(const std::string& text, const task::Task& task) {
  if (text != kObjectives) return text;
  const task::TaskMetric& metric = task.primary();
  return std::string("min bytes, ") + (metric.higher_is_better ? "max " : "min ") + metric.name;
}

std::vector<Objective> parse_objectives(const std::string& text, const std::string& key,
                                        const std::string& where, const task::Task* task) {
  const auto refuse = [&](const std::string& why) {
    fail(where, key + " = \"" + excerpt(text) + "\": " + why +
                    ", expected columns such as \"min bytes, max accuracy\"");
  };
  std::vector<Objective> objectives;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    std::istringstream words(part);
    std::string direction, column, rest;
    words >> direction >> column;
    if ((direction != "min" && direction != "max") || column.empty() || words >> rest) {
      refuse("\"" + excerpt(part) + "\"");
    }
    const std::vector<Metric> known = task == nullptr ? metrics() : metrics_of(*task);
    const bool found = std::any_of(known.begin(), known.end(),
                                   [&](const Metric& metric) { return column == metric.name; });
    if (!found) refuse("no column " + column);
    objectives.push_back({column, direction == "max"});
  }
  if (objectives.size() < 2) refuse("fewer than two");
  return objectives;
}

bool dominates(const std::vector<double>& a, const std::vector<double>& b) {
  bool better = false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (comparable(a[i]) > comparable(b[i])) return false;
    better = better || comparable(a[i]) < comparable(b[i]);
  }
  return better;
}

std::vector<std::size_t> pareto_front(const std::vector<std::vector<double>>& costs) {
  std::vector<std::size_t> front;
  for (std::size_t i = 0; i < costs.size(); ++i) {
    const bool gap =
        std::any_of(costs[i].begin(), costs[i].end(), [](double cost) { return std::isnan(cost); });
    const bool beaten = std::any_of(costs.begin(), costs.end(),
                                    [&](const auto& other) { return dominates(other, costs[i]); });
    if (!gap && !beaten) front.push_back(i);
  }
  return front;
}

}  // namespace crosstate::search
