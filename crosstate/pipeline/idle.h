// Which settings a run uses, and which of them have no effect in a given run. On the command line,
// naming an unused setting is an error; a file may contain it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crosstate/pipeline/options.h"

namespace crosstate::pipeline {

/// Keys as in FieldList::use_only(): those of a run, of quantize_model(), of prune_model(), of data
/// that are only used for testing, of the chips of a target, and of simulate().
std::vector<std::string> run_settings();
std::vector<std::string> quantize_settings();
std::vector<std::string> prune_settings();
std::vector<std::string> test_data_settings();
std::vector<std::string> target_settings();
std::vector<std::string> simulate_settings();

/// Settings without effect, and the reason.
struct IdleSettings {
  std::vector<std::string> keys;  // as FieldList::use_only() takes them
  std::string why;                // "run.prune = false"
};

/// For run(), independent of the data; and for data of some kind.
std::vector<IdleSettings> idle_in_run(const RunOptions& options);
std::vector<IdleSettings> idle_with_data(const RunOptions& options, data::DataKind kind);
/// For simulate(), and for a Chip without a data set.
std::vector<IdleSettings> idle_on_chips(const crossbar::Target& target,
                                        const simulate::SimulateOptions& simulate);
std::vector<IdleSettings> idle_on_target(const crossbar::Target& target);
/// For chips with a network whose states are rounded like this.
std::vector<IdleSettings> idle_with_states(kernels::RoundingMode rounding);
/// For the sites of a network with such a gate.
std::vector<IdleSettings> idle_with_gate(model::Gate gate);
/// For post-training quantization by a QuantizeRequest.
std::vector<IdleSettings> idle_in_quantize(const RunOptions& options, bool search,
                                           bool preset_named);

/// What of a network decides which settings have an effect on it.
struct NetworkKind {
  model::ModelOptions model;                        // without a norm once batch norms are folded
  std::optional<quant::QuantOptions> formats = {};  // of a quantized network
};
NetworkKind kind_of(const model::Network& network);
/// For prune_model() with such a network.
std::vector<IdleSettings> idle_in_prune(const RunOptions& options, const NetworkKind& network);

/// Why a key has no effect; "" if it may have one. `kind` is called only for keys of the data.
std::string idle_reason(std::string_view key, const std::vector<IdleSettings>& idle);
std::string idle_reason_in_run(std::string_view key, const RunOptions& options,
                               const std::function<data::DataKind()>& kind);
/// A key has an effect on prune_model() if it has one for any of the networks.
std::string idle_reason_in_prune(std::string_view key, const RunOptions& options,
                                 const std::vector<NetworkKind>& networks);

}  // namespace crosstate::pipeline
