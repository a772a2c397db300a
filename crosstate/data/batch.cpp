#include "crosstate/data/batch.h"

#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"

namespace crosstate {

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
  batch.length = set.length;
  batch.channels = set.channels;
  batch.block_length = block_length;
  batch.count = order.size();
  batch.values.resize(batch.groups * batch.group_size());
  batch.labels.assign(batch.groups * kLanes, -1);
  batch.lengths.assign(batch.groups * kLanes, 0);

  // Padding lanes come last and only in the last group.
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
      batch.labels[g * kLanes + lane] = set.labels[row];
      batch.lengths[g * kLanes + lane] = static_cast<std::uint32_t>(set.length_of(row));
    }

    // The loops run in the order of the panel, so the target is written from front to back.
    float* target = batch.values.data() + g * batch.group_size();
    for (std::size_t t0 = 0; t0 < set.length; t0 += block_length) {
      const std::size_t end = t0 + std::min(block_length, set.length - t0);
      for (std::size_t channel = 0; channel < set.channels; ++channel) {
        for (std::size_t t = t0; t < end; ++t, target += kLanes) {
          for (std::size_t lane = 0; lane < lanes; ++lane) {
            target[lane] = source[lane][t * set.channels + channel];
          }
        }
      }
      if (end == set.length) break;  // t0 + block_length may overflow
    }
  }
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

}  // namespace crosstate
