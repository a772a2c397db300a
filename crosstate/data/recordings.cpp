#include "crosstate/data/recordings.h"

#include <set>
#include <utility>

#include "crosstate/base/error.h"
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
  std::string text;
  std::size_t named = 0;
  for (const std::string& speaker : speakers) {
    if (++named > kNamed) return text + ", ... (" + std::to_string(speakers.size()) + " in all)";
    text += (text.empty() ? "expected one of " : ", ") + speaker;
  }
  return text;
}

}  // namespace

Recordings select(const Recordings& set, std::span<const std::uint32_t> order, std::string name) {
  Recordings result{std::move(name), set.sample_rate, {}, set.classes};
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
  std::vector<std::int32_t> labels;
  for (const Recording& item : set.items) labels.push_back(item.label);
  return apply(set, split_rows(labels, set.classes.size(), share, seed, set.name));
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
