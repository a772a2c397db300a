// Pareto dominance for several objectives.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "crosstate/task/task.h"

namespace crosstate::search {

struct Objective {
  std::string column;  // a metric, see outcome.h
  bool maximise = false;
};

/// Default objectives of a sweep.
inline constexpr const char* kObjectives = "min bytes, max accuracy";
/// The text itself; for kObjectives, the same with the primary metric of a task.
std::string objectives_of(const std::string& text, const task::Task& task);
/// Parses texts such as kObjectives. Throws Error, with `where` and the key of the setting, for
/// other texts and for columns that the results of the task (null: any task) do not have.
std::vector<Objective> parse_objectives(const std::string& text,
                                        const std::string& key = "sweep.objectives",
                                        const std::string& where = "options",
                                        const task::Task* task = nullptr);

/// Whether costs `a` (to be minimised) are nowhere worse than `b` and somewhere better. NaN
/// compares as worse than any number.
bool dominates(const std::vector<double>& a, const std::vector<double>& b);

/// Indices of the non-dominated rows in their order, including all of equal rows. Rows with NaN are
/// excluded.
std::vector<std::size_t> pareto_front(const std::vector<std::vector<double>>& costs);

}  // namespace crosstate::search
