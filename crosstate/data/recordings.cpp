#include "crosstate/data/recordings.h"

#include <algorithm>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/lists.h"
#include "crosstate/base/random.h"
#include "crosstate/data/dataset.h"

namespace crosstate::data {
namespace {

// Number of speakers listed in a message.
constexpr std::size_t kNamed = 8;

RecordingsSplit apply(const Recordings& set, const RowSplit& rows) {
  return {select(set, rows.train, set.name),
          select(set, rows.validation, set.name + " (validation)")};
}

std::string speakers_of(const Recordings& set) {
  std::set<std::string> speakers;
  for (const Recording& item : set.items) speakers.insert(item.speaker);
  speakers.erase("");
  if (speakers.empty()) return "no recording has a known speaker";
  return "expected one of " + listing(speakers, kNamed);
}

// Rows of each speaker, in the order of the names.
using RowsOf = std::map<std::string, std::vector<std::uint32_t>>;

std::vector<std::size_t> class_counts(const Recordings& set, std::span<const std::uint32_t> rows) {
  std::vector<std::size_t> counts(set.classes.size());
  for (const std::uint32_t row : rows) ++counts[static_cast<std::size_t>(set.items[row].label)];
  return counts;
}

// Marks the rows of randomly chosen speakers until they reach the share of all these rows. Skips
// speakers with whom they would be more than twice that, which would leave few to train on, and
// those without whom no recording of a class would be left. Returns whether any row was marked.
bool hold_out_speakers(const Recordings& set, const RowsOf& speakers, double share,
                       std::uint64_t seed, std::vector<bool>& held_out) {
  std::vector<const std::vector<std::uint32_t>*> order;
  std::vector<std::uint32_t> all;
  for (const auto& [speaker, rows] : speakers) {
    order.push_back(&rows);
    all.insert(all.end(), rows.begin(), rows.end());
  }
  Random random(seed, Stream::kSplit, 0, 1);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  std::vector<std::size_t> left = class_counts(set, all);
  const double wanted = share * static_cast<double>(all.size());
  std::size_t held = 0;
  const auto try_speaker = [&](const std::vector<std::uint32_t>& rows) {
    const std::vector<std::size_t> own = class_counts(set, rows);
    for (std::size_t k = 0; k < own.size(); ++k) {
      if (own[k] > 0 && own[k] == left[k]) return false;
    }
    for (std::size_t k = 0; k < own.size(); ++k) left[k] -= own[k];
    for (const std::uint32_t row : rows) held_out[row] = true;
    held += rows.size();
    return true;
  };
  for (const std::vector<std::uint32_t>* rows : order) {
    if (static_cast<double>(held) >= wanted) break;
    if (static_cast<double>(held + rows->size()) <= 2 * wanted) try_speaker(*rows);
  }
  if (held > 0 || !(wanted > 0)) return true;
  // All have many recordings: the one with the fewest.
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->size() < b->size(); });
  return std::any_of(order.begin(), order.end(),
                     [&](const auto* rows) { return try_speaker(*rows); });
}

}  // namespace

Recordings select(const Recordings& set, std::span<const std::uint32_t> order, std::string name) {
  Recordings result{std::move(name), set.sample_rate, {}, set.classes, set.by_speaker};
  result.items.reserve(order.size());
  for (const std::uint32_t row : order) {
    if (row >= set.items.size()) {
      fail(set.name, "row " + std::to_string(row) + ", but the set has " +
                         std::to_string(set.items.size()) + " recordings");
    }
    result.items.push_back(set.items[row]);
  }
  return result;
}

RecordingsSplit split_validation(const Recordings& set, double share, std::uint64_t seed) {
  RowsOf speakers;
  std::vector<std::uint32_t> others;  // rows without a speaker
  std::vector<std::int32_t> labels, labels_of_others;
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    const Recording& item = set.items[i];
    const auto row = static_cast<std::uint32_t>(i);
    labels.push_back(item.label);
    if (!item.speaker.empty()) {
      speakers[item.speaker].push_back(row);
    } else {
      others.push_back(row);
      labels_of_others.push_back(item.label);
    }
  }
  const RowSplit by_class = split_rows(labels, set.classes.size(), share, seed, set.name);
  std::vector<bool> held_out(set.items.size(), false);
  if (!set.by_speaker || speakers.size() < 2 ||
      !hold_out_speakers(set, speakers, share, seed, held_out)) {
    return apply(set, by_class);
  }
  const RowSplit rest = split_rows(labels_of_others, set.classes.size(), share, seed, set.name);
  for (const std::uint32_t row : rest.validation) held_out[others[row]] = true;
  RowSplit split;
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    (held_out[i] ? split.validation : split.train).push_back(static_cast<std::uint32_t>(i));
  }
  return apply(set, split);
}

RecordingsSplit split_speaker(const Recordings& set, const std::string& speaker) {
  RowSplit rows;
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    (set.items[i].speaker == speaker ? rows.validation : rows.train)
        .push_back(static_cast<std::uint32_t>(i));
  }
  if (speaker.empty() || rows.validation.empty()) {
    fail(set.name, "no recording of the speaker \"" + speaker + "\"; " + speakers_of(set));
  }
  return apply(set, rows);
}

}  // namespace crosstate::data
