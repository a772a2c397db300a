// Shared by the tasks with one column of numbers per output.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>

#include "crosstate/task/task.h"

namespace crosstate::task {

/// A readout with one output per column of a table; unnamed columns become y0, y1, ...
inline Readout readout_of_columns(const Task& task, const TargetTable& table) {
  Readout readout;
  readout.task = &task;
  readout.names = table.names;
  for (std::size_t k = readout.names.size(); k < table.width; ++k) {
    readout.names.push_back("y" + std::to_string(k));
  }
  return readout;
}

/// Whether all sequences have the same targets; targets: [sequences][width].
inline bool same_in_all_rows(std::span<const float> targets, std::size_t width) {
  return targets.size() <= width || std::equal(targets.begin() + static_cast<std::ptrdiff_t>(width),
                                               targets.end(), targets.begin());
}

}  // namespace crosstate::task
