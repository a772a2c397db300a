#include "crosstate/data/dataset.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/data/batch.h"

namespace crosstate::data {
namespace {

void check_size(const Dataset& set, const char* what, std::size_t found, std::size_t expected) {
  if (found != expected) {
    fail(set.name, std::to_string(found) + " " + what + ", expected " + std::to_string(expected));
  }
}

std::string sequence_name(std::size_t i) { return "sequence " + std::to_string(i) + ": "; }

void require_targets(const Dataset& set, std::size_t i) {
  for (std::size_t k = 0; k < set.readout.targets(set.length); ++k) {
    const std::span<const float> target = set.target(i, k);
    if (set.readout.every_step()) {
      if (!task::counts(target)) continue;
      if (k >= set.length_of(i)) {
        fail(set.name, sequence_name(i) + "a target at step " + std::to_string(k) +
                           ", after its length of " + std::to_string(set.length_of(i)));
      }
    }
    const std::string wrong = set.readout.task->wrong(set.readout, target);
    if (wrong.empty()) continue;
    fail(set.name, sequence_name(i) +
                       (set.readout.every_step() ? "step " + std::to_string(k) + ": " : "") +
                       wrong);
  }
}

}  // namespace

std::vector<float> Dataset::counted_targets() const {
  if (!readout.every_step()) return targets;
  std::vector<float> counted;
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < length_of(i); ++k) {
      const std::span<const float> one = target(i, k);
      if (task::counts(one)) counted.insert(counted.end(), one.begin(), one.end());
    }
  }
  return counted;
}

void Dataset::require_any_target() const {
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < targets_of(i); ++k) {
      if (task::counts(target(i, k))) return;
    }
  }
  fail(name, std::string("no ") + readout.unit() + " has a target, expected at least one");
}

void Dataset::validate() const {
  // Check the shape first: the loops below rely on it.
  if (channels == 0) fail(name, "0 channels, expected at least 1");
  if (count > 0 && length == 0) fail(name, "length 0, expected at least 1");
  if (rows > 0 && length % rows != 0) {
    fail(name, std::to_string(length) + " pixels in " + std::to_string(rows) +
                   " rows, expected rows of equal length");
  }
  constexpr std::size_t kMost = std::numeric_limits<std::size_t>::max();
  if (length > kMost / channels || (count > 0 && length * channels > kMost / count)) {
    fail(name, std::to_string(count) + " x " + std::to_string(length) + " x " +
                   std::to_string(channels) + " values exceed the largest size");
  }
  check_size(*this, "values", values.size(), count * length * channels);
  if (count > 0 && readout.outputs() == 0) fail(name, "no outputs, expected at least one");
  check_size(*this, "target values", targets.size(),
             count * readout.targets(length) * readout.width());
  if (!lengths.empty()) check_size(*this, "lengths", lengths.size(), count);
  if (!speakers.empty()) check_size(*this, "speakers", speakers.size(), count);

  for (std::size_t i = 0; i < count; ++i) {
    if (length_of(i) < 1 || length_of(i) > length) {
      fail(name, sequence_name(i) + "length " + std::to_string(length_of(i)) + ", expected 1 to " +
                     std::to_string(length));
    }
    require_targets(*this, i);
    const std::span<const float> row = sequence(i);
    for (std::size_t k = 0; k < row.size(); ++k) {
      const std::size_t t = k / channels;
      const bool padding = t >= length_of(i);
      if (std::isfinite(row[k]) && !(padding && row[k] != 0)) continue;
      fail(name, sequence_name(i) + "value " + std::to_string(row[k]) + " at step " +
                     std::to_string(t) + ", channel " + std::to_string(k % channels) +
                     (padding ? ", expected zeros after the sequence's length of " +
                                    std::to_string(length_of(i))
                              : ", expected a finite number"));
    }
  }
}

std::uint32_t checksum(const Dataset& set) {
  uLong sum = crc32_z(0, nullptr, 0);
  const auto add = [&](const auto& values) {
    if (values.empty()) return;
    sum = crc32_z(sum, reinterpret_cast<const Bytef*>(values.data()),
                  values.size() * sizeof values[0]);
  };
  add(set.values);
  add(set.targets);
  add(set.lengths);
  for (const std::string& name : set.readout.names) {
    sum = crc32_z(sum, reinterpret_cast<const Bytef*>(name.c_str()), name.size() + 1);
  }
  return static_cast<std::uint32_t>(sum);
}

Dataset select(const Dataset& set, std::span<const std::uint32_t> order, std::string name) {
  Dataset result;
  result.name = std::move(name);
  result.count = order.size();
  result.length = set.length;
  result.channels = set.channels;
  result.rows = set.rows;
  result.readout = set.readout;
  result.values.reserve(order.size() * set.length * set.channels);
  const std::size_t of_sequence = set.readout.targets(set.length) * set.readout.width();
  result.targets.reserve(order.size() * of_sequence);
  for (std::uint32_t row : order) {
    if (row >= set.count) {
      fail(set.name, "row " + std::to_string(row) + ", but the set has " +
                         std::to_string(set.count) + " sequences");
    }
    const std::span<const float> values = set.sequence(row);
    result.values.insert(result.values.end(), values.begin(), values.end());
    const std::span<const float> targets =
        std::span(set.targets).subspan(row * of_sequence, of_sequence);
    result.targets.insert(result.targets.end(), targets.begin(), targets.end());
    if (!set.lengths.empty()) result.lengths.push_back(set.lengths[row]);
    if (!set.speakers.empty()) result.speakers.push_back(set.speakers[row]);
  }
  return result;
}

Dataset first(Dataset set, std::size_t limit) {
  if (limit == 0 || limit >= set.count) return set;
  std::vector<std::uint32_t> order(limit);
  std::iota(order.begin(), order.end(), 0u);
  return select(set, order, set.name);
}

RowSplit split_rows(std::span<const std::int32_t> labels, std::size_t classes, double share,
                    std::uint64_t seed, const std::string& where) {
  if (!(share >= 0 && share < 1)) {
    fail(where, "validation share " + std::to_string(share) + ", expected 0 <= share < 1");
  }

  std::vector<std::vector<std::uint32_t>> rows(classes);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] < 0 || static_cast<std::size_t>(labels[i]) >= classes) {
      fail(where, sequence_name(i) + "label " + std::to_string(labels[i]) + ", but the set has " +
                      std::to_string(classes) + " classes");
    }
    rows[static_cast<std::size_t>(labels[i])].push_back(static_cast<std::uint32_t>(i));
  }

  // A partial Fisher-Yates shuffle draws the part of each class, from a stream of its own. Both
  // parts get at least one row of every class that has two, so that neither lacks a rare class.
  std::vector<bool> held_out(labels.size(), false);
  for (std::size_t label = 0; label < rows.size(); ++label) {
    std::vector<std::uint32_t>& of_class = rows[label];
    if (share == 0 || of_class.size() < 2) continue;
    const auto wanted =
        static_cast<std::size_t>(std::llround(share * static_cast<double>(of_class.size())));
    const std::size_t taken = std::clamp<std::size_t>(wanted, 1, of_class.size() - 1);
    Random random(seed, Stream::kSplit, static_cast<std::uint32_t>(label));
    for (std::size_t k = 0; k < taken; ++k) {
      const auto rest = static_cast<std::uint32_t>(of_class.size() - k);
      std::swap(of_class[k], of_class[k + random.below(rest)]);
      held_out[of_class[k]] = true;
    }
  }

  RowSplit split;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    (held_out[i] ? split.validation : split.train).push_back(static_cast<std::uint32_t>(i));
  }
  return split;
}

Split split_validation(const Dataset& set, double share, std::uint64_t seed) {
  for (std::size_t i = 0; i < set.count; ++i) require_targets(set, i);
  const std::vector<std::int32_t> strata = set.readout.every_step()
                                               ? std::vector<std::int32_t>(set.count, 0)
                                               : set.readout.task->strata(set.readout, set.targets);
  const std::int32_t last = strata.empty() ? -1 : *std::max_element(strata.begin(), strata.end());
  const RowSplit rows =
      split_rows(strata, static_cast<std::size_t>(last + 1), share, seed, set.name);
  return {select(set, rows.train, set.name),
          select(set, rows.validation, set.name + " (validation)")};
}

void permute_steps(Dataset& set, std::uint64_t seed) {
  for (std::size_t i = 0; i < set.count; ++i) {
    if (set.length_of(i) == set.length) continue;
    fail(set.name, sequence_name(i) + std::to_string(set.length_of(i)) +
                       " steps, but others have " + std::to_string(set.length) +
                       "; permuting time steps requires equal lengths");
  }
  const std::vector<std::uint32_t> order = shuffled(set.length, seed, 0);
  std::vector<float> before;
  const auto permute = [&](std::vector<float>& values, std::size_t width) {
    for (std::size_t i = 0; i < set.count; ++i) {
      float* row = values.data() + i * set.length * width;
      before.assign(row, row + set.length * width);
      for (std::size_t t = 0; t < set.length; ++t) {
        std::copy_n(before.data() + order[t] * width, width, row + t * width);
      }
    }
  };
  permute(set.values, set.channels);
  set.rows = 0;
  if (set.readout.every_step()) permute(set.targets, set.readout.width());
}

}  // namespace crosstate::data
