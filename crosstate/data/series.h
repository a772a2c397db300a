// Sequences with the targets of any task from CSV or NPZ files: train and test in one directory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "crosstate/data/mnist.h"
#include "crosstate/data/options.h"

namespace crosstate::data {

/// One part of a data set before its targets are interpreted.
struct SeriesPart {
  std::string where;  // for errors
  std::size_t channels = 1;
  std::vector<std::vector<float>> sequences;  // each [steps][channels]
  task::TargetTable targets;  // one row per sequence or, with task::Scope::kStep, per step
};

/// The parts, each with at least one sequence, as sets with these names. Targets of all parts are
/// read together, so that all have the same classes even if a class occurs in only one of them.
/// With task::Scope::kStep, Task::not_counted() decides which steps have no target. Throws Error
/// naming the part if parts have different numbers of channels or targets, for a step with only
/// some of its targets, for a part without targets, and as Task::read() and Dataset::validate() do.
std::vector<Dataset> make_series(std::vector<SeriesPart> parts,
                                 const std::vector<std::string>& names, const task::Task& task,
                                 task::Scope scope);

/// Whether the directory contains one of the files that read_series() reads.
bool holds_series(const std::filesystem::path& directory);

/// Reads train and test, each from NAME.npz or NAME.csv, as sequences with targets of `task`.
///
/// With task::Scope::kSequence. CSV: one line per sequence: first the data.targets target values,
/// then the sequence step by step with data.channels values each. Lines may have different lengths;
/// empty fields at the end of a line are ignored. A first line without numbers among its values, or
/// without values, is a header whose first fields name the targets.
///
/// NPZ: x [sequences, steps, channels] or [sequences, steps]; y [sequences, targets] or
/// [sequences]; if lengths differ, lengths [sequences], and x is ignored after the end of each
/// sequence.
///
/// With task::Scope::kStep. CSV: one line per step: first the data.targets target values, then the
/// data.channels values; an empty line ends a sequence; header as above. NPZ: y [sequences, steps]
/// or [sequences, steps, targets]. Task::not_counted() decides which steps have no target.
///
/// Throws Error naming file and line or array for missing or non-numeric values, for lines of
/// separators alone, for sequences without steps, if the two files have different numbers of
/// channels or targets, for a step with only some of its targets, for negative classes beside -1
/// where that marks steps without a target, and for a file without targets.
TrainTest read_series(const std::filesystem::path& directory, const DataOptions& options,
                      const task::Task& task, task::Scope scope = task::Scope::kSequence);

}  // namespace crosstate::data
