#include "crosstate/data/batch.h"

#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/memory.h"
#include "crosstate/base/random.h"

namespace crosstate::data {
namespace {

// Number of batches whose sequences are sorted together: enough to avoid most of the padding, few
// enough that every batch remains a mixture.
constexpr std::size_t kSortedBatches = 8;

std::size_t longest(const Dataset& set, std::span<const std::uint32_t> order) {
  std::size_t length = 0;
  for (const std::uint32_t row : order) length = std::max(length, set.length_of(row));
  return order.empty() ? set.length : length;
}

void sort_by_length(const Dataset& set, std::span<std::uint32_t> rows) {
  std::stable_sort(rows.begin(), rows.end(), [&](std::uint32_t a, std::uint32_t b) {
    return set.length_of(a) < set.length_of(b);
  });
}

}  // namespace

void fill_batch(const Dataset& set, std::span<const std::uint32_t> order, std::size_t block_length,
                Batch& batch) {
  if (block_length == 0) fail(set.name, "block length 0, expected at least 1");
  for (std::uint32_t row : order) {
    if (row >= set.count) {
      fail(set.name, "row " + std::to_string(row) + ", but the set has " +
                         std::to_string(set.count) + " sequences");
    }
  }

  batch.groups = (order.size() + kLanes - 1) / kLanes;
  batch.length = longest(set, order);
  batch.channels = set.channels;
  batch.block_length = block_length;
  batch.count = order.size();
  const std::size_t values = batch.groups * batch.group_size();
  if (values > batch.values.capacity()) {
    require_memory(set.name, static_cast<double>(values) * sizeof(float),
                   "a batch of " + std::to_string(batch.groups * kLanes) + " sequences of " +
                       std::to_string(batch.length) + " steps");
  }
  batch.values.resize(values);
  batch.readout = set.readout;
  const std::size_t width = set.readout.width();
  const std::size_t of_sequence = set.readout.targets(batch.length) * width;
  batch.targets.assign(batch.groups * kLanes * of_sequence, 0);
  batch.lengths.assign(batch.groups * kLanes, 0);

  // Padding lanes are the last ones of the last group.
  if (order.size() % kLanes != 0) {
    std::fill(batch.values.end() - static_cast<std::ptrdiff_t>(batch.group_size()),
              batch.values.end(), 0.0f);
  }

  for (std::size_t g = 0; g < batch.groups; ++g) {
    const std::size_t lanes = std::min(kLanes, order.size() - g * kLanes);
    const float* source[kLanes] = {};
    for (std::size_t lane = 0; lane < lanes; ++lane) {
      const std::uint32_t row = order[g * kLanes + lane];
      source[lane] = set.sequence(row).data();
      std::copy_n(set.targets.data() + row * set.readout.targets(set.length) * width, of_sequence,
                  batch.targets.data() + (g * kLanes + lane) * of_sequence);
      batch.lengths[g * kLanes + lane] = static_cast<std::uint32_t>(set.length_of(row));
    }

    // The loops follow the order of the panel, so that the destination is written sequentially.
    float* target = batch.values.data() + g * batch.group_size();
    for (std::size_t t0 = 0; t0 < batch.length; t0 += block_length) {
      const std::size_t end = t0 + std::min(block_length, batch.length - t0);
      for (std::size_t channel = 0; channel < set.channels; ++channel) {
        for (std::size_t t = t0; t < end; ++t, target += kLanes) {
          for (std::size_t lane = 0; lane < lanes; ++lane) {
            target[lane] = source[lane][t * set.channels + channel];
          }
        }
      }
      if (end == batch.length) break;  // t0 + block_length may overflow
    }
  }
}

std::vector<std::size_t> first_reads(const Batch& batch, task::Scope scope) {
  std::vector<std::size_t> first = {0};
  for (std::size_t i = 0; i < batch.count; ++i) {
    first.push_back(first.back() + (scope == task::Scope::kStep ? batch.lengths[i] : 1));
  }
  return first;
}

std::vector<std::uint32_t> shuffled(std::size_t count, std::uint64_t seed, std::uint32_t epoch) {
  if (count > std::numeric_limits<std::uint32_t>::max()) {
    fail("shuffle", std::to_string(count) + " sequences, expected fewer than 2^32");
  }
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  Random random(seed, Stream::kShuffle, epoch);
  for (std::size_t i = count; i > 1; --i) {
    std::swap(order[i - 1], order[random.below(static_cast<std::uint32_t>(i))]);
  }
  return order;
}

std::vector<std::uint32_t> training_order(const Dataset& set, std::size_t batch, std::uint64_t seed,
                                          std::uint32_t epoch) {
  if (batch == 0) fail(set.name, "batch size 0, expected at least 1");
  std::vector<std::uint32_t> order = shuffled(set.count, seed, epoch);
  if (set.lengths.empty()) return order;
  const std::span<std::uint32_t> rows(order);
  const std::size_t stretch = kSortedBatches * batch;
  for (std::size_t begin = 0; begin < rows.size(); begin += stretch) {
    sort_by_length(set, rows.subspan(begin, std::min(stretch, rows.size() - begin)));
  }
  // The rows that do not fill a batch stay at the end.
  Random random(seed, Stream::kShuffle, epoch, 1);
  for (std::size_t i = order.size() / batch; i > 1; --i) {
    const std::size_t other = random.below(static_cast<std::uint32_t>(i));
    if (other == i - 1) continue;
    const auto last = rows.subspan((i - 1) * batch, batch);
    std::swap_ranges(last.begin(), last.end(), rows.subspan(other * batch, batch).begin());
  }
  return order;
}

std::vector<std::uint32_t> length_order(const Dataset& set) {
  std::vector<std::uint32_t> order(set.count);
  std::iota(order.begin(), order.end(), 0u);
  sort_by_length(set, order);
  return order;
}

}  // namespace crosstate::data
