#include "crosstate/prune/options.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "crosstate/base/error.h"
#include "crosstate/base/numbers.h"

namespace crosstate::prune {
namespace {

std::vector<double> shares(const std::string& key, const std::string& text) {
  std::vector<double> out;
  std::vector<std::string_view> words;
  split_numbers(text, words);
  for (const std::string_view word : words) {
    const std::optional<double> share = read_number<double>(word).value;
    const bool ascends = share && (out.empty() || *share >= out.back());
    if (!ascends || *share < 0 || *share >= 1) {
      fail("options", key + " = \"" + excerpt(text) +
                          "\", expected ascending numbers from 0 to below 1, such as \"0.2 0.6\"");
    }
    out.push_back(*share);
  }
  if (out.empty()) fail("options", key + " is empty, expected a share such as \"0.5\"");
  return out;
}

}  // namespace

void fields(FieldList& list, PruneOptions& options) {
  list.section("prune");
  list.add(
      "states", options.states,
      "Share of all states to remove; several values separated by spaces give one model each.");
  list.add("channels", options.channels, "Share of the channels to remove, likewise.");
  list.add(
      "scope", options.scope,
      "stream: remove channels of the residual stream from every layer; block: remove channels "
      "from the recurrence of single layers, which costs less accuracy and saves less.");
  list.add("score", options.score,
           "Importance score. taylor: first-order change of the loss, measured on data; last "
           "(H-infinity norm), energy (H2 norm), hankel and magnitude need no data. hankel "
           "replaces the modes of a channel by fewer new ones (balanced truncation).");
  list.add("refit", options.refit,
           "Refit C of the remaining modes by least squares to the response of all modes.");
  list.add("schedule", options.schedule,
           "gradual: prune in steps with training between them, for large shares; one-shot: prune "
           "once.");
  list.add("steps", options.steps,
           "Steps of the gradual schedule; qat.epochs are divided among them.")
      .range(1, 1000);
  list.add("penalty", options.penalty,
           "Group-lasso penalty on modes and channels during training before pruning, which drives "
           "unimportant ones towards 0; try 0.001. 0: none.")
      .range(0, 1000);
  list.add("penalty_epochs", options.penalty_epochs, "Length of the training with the penalty.")
      .in("epochs")
      .range(1, 10000);
  list.add("retrain", options.retrain,
           "Fine-tune after pruning with the settings of [qat]; false shows the effect of pruning "
           "alone.");
  list.add("batches", options.batches,
           "Batches of 16 training sequences for the taylor score, the means of removed channels "
           "and the statistics of batch norms.")
      .range(1, 100000);
  list.add("against", options.against,
           "Another model, such as the float one, to prune in the same way for comparison.");
}

void validate(const PruneOptions& options) {
  PruneOptions copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
  prune_points(options);
}

std::vector<PruneShares> prune_points(const PruneOptions& options) {
  std::vector<double> states = shares("prune.states", options.states);
  std::vector<double> channels = shares("prune.channels", options.channels);
  const std::size_t count = std::max(states.size(), channels.size());
  for (std::vector<double>* list : {&states, &channels}) {
    if (list->size() == 1) list->resize(count, list->front());
    if (list->size() == count) continue;
    fail("options", "prune.states has " + std::to_string(states.size()) +
                        " shares and prune.channels " + std::to_string(channels.size()) +
                        ", expected equal numbers or a single one");
  }
  std::vector<PruneShares> points;
  for (std::size_t i = 0; i < count; ++i) {
    const PruneShares point{states[i], channels[i]};
    // Both lists ascend, so equal points follow each other.
    if (!points.empty() && points.back() == point) {
      fail("options", "prune.states = \"" + excerpt(options.states) + "\" and prune.channels = \"" +
                          excerpt(options.channels) + "\": " + exact_text(point.states) +
                          " of the states with " + exact_text(point.channels) +
                          " of the channels is there twice, expected once");
    }
    points.push_back(point);
  }
  return points;
}

std::vector<PruneShares> prune_schedule(const PruneOptions& options, const PruneShares& end) {
  if (options.schedule == PruneSchedule::kOneShot) return {end};
  std::vector<PruneShares> way;
  for (int i = 1; i <= options.steps; ++i) {
    const double left = 1 - static_cast<double>(i) / options.steps;
    const double reached = 1 - left * left * left;
    way.push_back({end.states * reached, end.channels * reached});
  }
  return way;
}

}  // namespace crosstate::prune
