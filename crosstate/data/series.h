// Sequences with targets of any task in CSV or NPZ files: train and test in one directory.
#pragma once

#include <filesystem>

#include "crosstate/data/mnist.h"
#include "crosstate/data/options.h"

namespace crosstate::data {

/// Whether one of the files that read_series() reads is in the directory.
bool holds_series(const std::filesystem::path& directory);

/// Reads train and test, each from NAME.npz or NAME.csv, as sequences with targets of `task`.
///
/// CSV: a line per sequence, the data.targets target values first, then the sequence step by step
/// with data.channels values each. Lines may have different lengths; empty fields at the end of a
/// line are none. A first line whose values are no numbers, or that has none, is a header, whose
/// first fields name the targets.
///
/// NPZ: x [sequences, steps, channels] or [sequences, steps]; y [sequences, targets] or
/// [sequences]; if lengths differ, lengths [sequences], behind which x is ignored.
///
/// Throws Error naming file and line or array for what is missing or no number, for sequences
/// without steps and for two files of different channels or targets.
TrainTest read_series(const std::filesystem::path& directory, const DataOptions& options,
                      const task::Task& task);

}  // namespace crosstate::data
