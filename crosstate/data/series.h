// Sequences with the targets of any task from CSV or NPZ files: train and test in one directory.
#pragma once

#include <filesystem>

#include "crosstate/data/mnist.h"
#include "crosstate/data/options.h"

namespace crosstate::data {

/// Whether the directory contains one of the files that read_series() reads.
bool holds_series(const std::filesystem::path& directory);

/// Reads train and test, each from NAME.npz or NAME.csv, as sequences with targets of `task`.
///
/// CSV: one line per sequence: first the data.targets target values, then the sequence step by step
/// with data.channels values each. Lines may have different lengths; empty fields at the end of a
/// line are ignored. A first line without numbers among its values, or without values, is a header
/// whose first fields name the targets.
///
/// NPZ: x [sequences, steps, channels] or [sequences, steps]; y [sequences, targets] or
/// [sequences]; if lengths differ, lengths [sequences], and x is ignored after the end of each
/// sequence.
///
/// Throws Error naming file and line or array for missing or non-numeric values, for sequences
/// without steps, and if the two files have different numbers of channels or targets.
TrainTest read_series(const std::filesystem::path& directory, const DataOptions& options,
                      const task::Task& task);

}  // namespace crosstate::data
