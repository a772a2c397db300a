#include "crosstate/data/recordings.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

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

// Marks the rows of randomly chosen speakers, as many as reach the share of all these rows.
void hold_out_speakers(const RowsOf& speakers, double share, std::uint64_t seed,
                       std::vector<bool>& held_out) {
  std::vector<const std::vector<std::uint32_t>*> order;
  std::size_t rows = 0;
  for (const auto& [speaker, of_speaker] : speakers) {
    order.push_back(&of_speaker);
    rows += of_speaker.size();
  }
  Random random(seed, Stream::kSplit, 0, 1);
  for (std::size_t i = order.size(); i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  order.pop_back();  // one speaker remains in any case
  std::size_t held = 0;
  for (const std::vector<std::uint32_t>* of_speaker : order) {
    if (static_cast<double>(held) >= share * static_cast<double>(rows)) break;
    for (const std::uint32_t row : *of_speaker) held_out[row] = true;
    held += of_speaker->size();
  }
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
  if (set.by_speaker) {
    for (std::size_t i = 0; i < set.items.size(); ++i) {
      speakers[set.items[i].speaker].push_back(static_cast<std::uint32_t>(i));
    }
    speakers.erase("");
  }
  const bool divides_speakers = speakers.size() > 1;
  std::vector<std::uint32_t> rows;  // that are held out by class
  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    if (divides_speakers && !set.items[i].speaker.empty()) continue;
    rows.push_back(static_cast<std::uint32_t>(i));
    labels.push_back(set.items[i].label);
  }
  std::vector<bool> held_out(set.items.size(), false);
  const RowSplit by_class = split_rows(labels, set.classes.size(), share, seed, set.name);
  for (const std::uint32_t row : by_class.validation) held_out[rows[row]] = true;
  if (divides_speakers) hold_out_speakers(speakers, share, seed, held_out);

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
