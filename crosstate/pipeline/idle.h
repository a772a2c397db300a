// Which settings a run uses, and which of them change nothing in a given run. What the command line
// names and nothing uses is an error there; a file may hold it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "crosstate/pipeline/options.h"

namespace crosstate::pipeline {

/// Keys as FieldList::use_only() takes them: what a run uses, data that are only tested on, and the
/// chips of a target.
std::vector<std::string> run_settings();
std::vector<std::string> test_data_settings();
std::vector<std::string> target_settings();

/// Settings that change nothing, and what makes them so.
struct IdleSettings {
  std::vector<std::string> keys;  // as FieldList::use_only() takes them
  std::string why;                // "run.prune = false"
};

/// Of run(), whatever the data are; of data of a kind.
std::vector<IdleSettings> idle_in_run(const RunOptions& options);
std::vector<IdleSettings> idle_with_data(const RunOptions& options, data::DataKind kind);
/// Of simulate() and of a Chip without a data set.
std::vector<IdleSettings> idle_on_chips(const crossbar::Target& target,
                                        const simulate::SimulateOptions& simulate);
std::vector<IdleSettings> idle_on_target(const crossbar::Target& target);
/// Of post-training quantization, and of prune_model(); `floats`: some model is in floating point.
std::vector<IdleSettings> idle_in_quantize(const RunOptions& options);
std::vector<IdleSettings> idle_in_prune(const RunOptions& options, bool floats);

/// Why a key changes nothing; "" where it may change something. `kind` is asked only for keys
/// that are about the data.
std::string idle_reason(std::string_view key, const std::vector<IdleSettings>& idle);
std::string idle_reason_in_run(std::string_view key, const RunOptions& options,
                               const std::function<data::DataKind()>& kind);

}  // namespace crosstate::pipeline
