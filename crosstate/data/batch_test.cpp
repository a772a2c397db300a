#include "crosstate/data/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"

namespace crosstate::data {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// A set whose every value is different and not zero.
Dataset make_set(std::size_t count, std::size_t length, std::size_t channels) {
  Dataset set;
  set.name = "toy";
  set.count = count;
  set.length = length;
  set.channels = channels;
  set.readout.names = {"a", "b", "c"};
  set.values.resize(count * length * channels);
  std::iota(set.values.begin(), set.values.end(), 1.0f);
  for (std::size_t i = 0; i < count; ++i) set.targets.push_back(static_cast<float>(i % 3));
  return set;
}

TEST(Batch, HoldsEveryValueAtItsOffset) {
  Batch batch;  // reused throughout: nothing of an earlier batch may remain
  for (std::size_t count : {1u, 15u, 16u, 17u, 35u}) {
    for (std::size_t length : {1u, 7u, 16u, 23u}) {
      for (std::size_t channels : {1u, 3u}) {
        for (std::size_t block_length : {1u, 4u, 7u, 16u, 1000u}) {
          const Dataset set = make_set(count + 2, length, channels);
          std::vector<std::uint32_t> order(count);
          for (std::size_t i = 0; i < count; ++i) {
            order[i] = static_cast<std::uint32_t>(count + 1 - i);
          }
          fill_batch(set, order, block_length, batch);

          ASSERT_EQ(batch.groups, (count + 15) / 16);
          ASSERT_EQ(batch.count, count);
          ASSERT_EQ(batch.length, length);
          ASSERT_EQ(batch.channels, channels);
          ASSERT_EQ(batch.block_length, block_length);
          ASSERT_EQ(batch.group_size(), length * channels * 16);
          ASSERT_EQ(batch.values.size(), batch.groups * batch.group_size());
          ASSERT_EQ(batch.targets.size(), batch.groups * 16);
          ASSERT_EQ(batch.lengths.size(), batch.groups * 16);
          for (std::size_t i = 0; i < batch.groups * 16; ++i) {
            const bool real = i < count;
            ASSERT_EQ(batch.targets[i], real ? set.targets[order[i]] : 0);
            ASSERT_EQ(batch.lengths[i], real ? length : 0);
            for (std::size_t t = 0; t < length; ++t) {
              for (std::size_t channel = 0; channel < channels; ++channel) {
                const float expected = real ? set.sequence(order[i])[t * channels + channel] : 0.0f;
                ASSERT_EQ(batch.group(i / 16)[batch.offset(channel, t, i % 16)], expected)
                    << "row " << i << " t " << t << " channel " << channel;
              }
            }
          }
        }
      }
    }
  }
}

TEST(Batch, OffsetsAreTheStatedFormulaAndCoverTheGroupOnce) {
  // Five steps in blocks of two: blocks begin at steps 0, 2 and 4, the last has one step.
  EXPECT_EQ(panel_offset(0, 0, 0, 5, 3, 2), 0u);
  EXPECT_EQ(panel_offset(0, 0, 7, 5, 3, 2), 7u);
  EXPECT_EQ(panel_offset(0, 1, 0, 5, 3, 2), 16u);
  EXPECT_EQ(panel_offset(1, 0, 0, 5, 3, 2), 2u * 16);
  EXPECT_EQ(panel_offset(2, 3, 1, 5, 3, 2), (2u * 3 + 2 * 2 + 1) * 16 + 1);
  EXPECT_EQ(panel_offset(2, 4, 15, 5, 3, 2), (4u * 3 + 2 * 1) * 16 + 15);

  std::vector<int> seen(std::size_t{5} * 3 * 16);
  for (std::size_t channel = 0; channel < 3; ++channel) {
    for (std::size_t t = 0; t < 5; ++t) {
      for (std::size_t lane = 0; lane < 16; ++lane) ++seen[panel_offset(channel, t, lane, 5, 3, 2)];
    }
  }
  EXPECT_TRUE(std::ranges::all_of(seen, [](int n) { return n == 1; }));
}

TEST(Batch, KeepsLengthsOfShortSequences) {
  Dataset set = make_set(3, 5, 1);
  set.lengths = {5, 2, 4};
  Batch batch;
  fill_batch(set, std::vector<std::uint32_t>{2, 1}, 4, batch);
  EXPECT_EQ(batch.lengths[0], 4u);
  EXPECT_EQ(batch.lengths[1], 2u);
  EXPECT_EQ(batch.lengths[2], 0u);
}

TEST(Batch, EndsWithItsLongestSequence) {
  Dataset set = make_set(3, 5, 2);
  set.lengths = {5, 2, 4};
  Batch batch;
  fill_batch(set, std::vector<std::uint32_t>{1, 2}, 3, batch);
  EXPECT_EQ(batch.length, 4u);
  ASSERT_EQ(batch.values.size(), 4u * 2 * 16);
  for (std::size_t t = 0; t < 4; ++t) {
    EXPECT_EQ(batch.values[batch.offset(1, t, 1)], set.sequence(2)[t * 2 + 1]);
  }
  fill_batch(set, std::vector<std::uint32_t>{0}, 3, batch);
  EXPECT_EQ(batch.length, 5u);
}

TEST(Batch, ReusesItsMemory) {
  const Dataset set = make_set(40, 9, 2);
  Batch batch;
  fill_batch(set, shuffled(40, 1, 0), 4, batch);
  const float* before = batch.values.data();
  fill_batch(set, shuffled(40, 1, 1), 4, batch);
  EXPECT_EQ(batch.values.data(), before);
}

TEST(Batch, EmptyOrderAndBadInput) {
  const Dataset set = make_set(3, 5, 1);
  Batch batch;
  fill_batch(set, {}, 4, batch);
  EXPECT_EQ(batch.groups, 0u);
  EXPECT_TRUE(batch.values.empty());
  EXPECT_THAT([&] { fill_batch(set, std::vector<std::uint32_t>{3}, 4, batch); },
              ThrowsMessage<Error>(HasSubstr("toy: row 3")));
  EXPECT_THAT([&] { fill_batch(set, std::vector<std::uint32_t>{0}, 0, batch); },
              ThrowsMessage<Error>(HasSubstr("block length 0")));

  // A block that is longer than the batch is one block, whatever its length.
  const std::size_t longest = std::numeric_limits<std::size_t>::max();
  fill_batch(set, std::vector<std::uint32_t>{1}, longest, batch);
  EXPECT_EQ(batch.values[batch.offset(0, 4, 0)], set.sequence(1)[4]);
}

TEST(Shuffled, IsAPermutationFixedBySeedAndEpoch) {
  const std::vector<std::uint32_t> order = shuffled(1000, 7, 3);
  EXPECT_EQ(order, shuffled(1000, 7, 3));
  EXPECT_NE(order, shuffled(1000, 7, 4));
  EXPECT_NE(order, shuffled(1000, 8, 3));
  std::vector<std::uint32_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_NE(order, sorted);
  for (std::uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(sorted[i], i);
  EXPECT_TRUE(shuffled(0, 1, 0).empty());
  EXPECT_EQ(shuffled(1, 1, 0), std::vector<std::uint32_t>{0});
}

TEST(Shuffled, FavoursNoPlace) {
  // Each of 4 numbers is in each of 4 places about 1,000 times in 4,000 epochs. The bound exceeds
  // five standard deviations of the binomial distribution, and the draws are fixed.
  int hits[4][4] = {};
  for (std::uint32_t epoch = 0; epoch < 4000; ++epoch) {
    const std::vector<std::uint32_t> order = shuffled(4, 11, epoch);
    for (std::size_t place = 0; place < 4; ++place) ++hits[place][order[place]];
  }
  for (const auto& place : hits) {
    for (int n : place) EXPECT_NEAR(n, 1000, 140);
  }
}

/// `count` sequences of 1 to 50 steps.
Dataset ragged_set(std::size_t count) {
  Dataset set = make_set(count, 50, 1);
  Random random(3, Stream::kTest);
  for (std::size_t i = 0; i < count; ++i) set.lengths.push_back(1 + random.below(50));
  return set;
}

/// Steps that batches of `batch` would process, padding included.
std::size_t steps_in(const Dataset& set, const std::vector<std::uint32_t>& order,
                     std::size_t batch) {
  std::size_t steps = 0;
  for (std::size_t begin = 0; begin < order.size(); begin += batch) {
    const std::size_t size = std::min(batch, order.size() - begin);
    std::size_t longest = 0;
    for (std::size_t i = 0; i < size; ++i) {
      longest = std::max(longest, set.length_of(order[begin + i]));
    }
    steps += longest * size;
  }
  return steps;
}

TEST(TrainingOrder, IsThePlainOneForEqualLengths) {
  EXPECT_EQ(training_order(make_set(100, 3, 1), 16, 5, 2), shuffled(100, 5, 2));
}

TEST(TrainingOrder, IsAPermutationOfBatchesWithLittlePadding) {
  const Dataset set = ragged_set(1013);
  const std::vector<std::uint32_t> order = training_order(set, 16, 5, 2);
  EXPECT_EQ(order, training_order(set, 16, 5, 2));
  EXPECT_NE(order, training_order(set, 16, 5, 3));
  EXPECT_NE(order, training_order(set, 16, 6, 2));
  std::vector<std::uint32_t> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::uint32_t i = 0; i < 1013; ++i) ASSERT_EQ(sorted[i], i);

  std::size_t real = 0;
  for (const std::uint32_t n : set.lengths) real += n;
  const std::vector<std::uint32_t> plain = shuffled(1013, 5, 2);
  EXPECT_GT(steps_in(set, plain, 16), real + real * 7 / 10);
  EXPECT_LT(steps_in(set, order, 16), real + real * 2 / 10);

  // No trend over the epoch: in about half of the pairs of full batches the shorter one comes
  // first.
  int ascents = 0;
  for (std::size_t b = 1; b < 63; ++b) {
    ascents += set.length_of(order[b * 16]) > set.length_of(order[(b - 1) * 16]);
  }
  EXPECT_NEAR(ascents, 31, 15);
}

TEST(TrainingOrder, TakesSmallSets) {
  EXPECT_TRUE(training_order(ragged_set(0), 16, 1, 0).empty());
  EXPECT_EQ(training_order(ragged_set(1), 16, 1, 0), std::vector<std::uint32_t>{0});
  EXPECT_EQ(training_order(ragged_set(5), 1, 1, 0).size(), 5u);
  EXPECT_THAT([] { training_order(ragged_set(5), 0, 1, 0); },
              ThrowsMessage<Error>(HasSubstr("batch size 0")));
}

TEST(LengthOrder, AscendsAndKeepsTies) {
  Dataset set = make_set(4, 5, 1);
  EXPECT_EQ(length_order(set), (std::vector<std::uint32_t>{0, 1, 2, 3}));
  set.lengths = {5, 2, 5, 1};
  EXPECT_EQ(length_order(set), (std::vector<std::uint32_t>{3, 1, 0, 2}));
}

}  // namespace
}  // namespace crosstate::data
