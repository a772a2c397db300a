#include "crosstate/data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/data/batch.h"

namespace crosstate::data {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// Two channels, up to three steps, lengths 3, 2, 1, 3, 2, 1, ...; class i % classes.
Dataset make_set(std::size_t count, std::size_t classes) {
  Dataset set;
  set.name = "toy";
  set.count = count;
  set.length = 3;
  set.channels = 2;
  set.values.assign(count * 6, 0.0f);
  for (std::size_t i = 0; i < count; ++i) {
    set.targets.push_back(static_cast<float>(i % classes));
    set.lengths.push_back(static_cast<std::uint32_t>(3 - i % 3));
    for (std::size_t k = 0; k < set.length_of(i) * 2; ++k) {
      set.values[i * 6 + k] = static_cast<float>(i * 6 + k + 1);
    }
  }
  for (std::size_t c = 0; c < classes; ++c) set.readout.names.push_back(std::to_string(c));
  return set;
}

TEST(Dataset, ValidSetsPass) {
  EXPECT_NO_THROW(make_set(7, 3).validate());
  Dataset full = make_set(6, 2);
  full.lengths.clear();
  EXPECT_NO_THROW(full.validate());
  EXPECT_NO_THROW(Dataset{}.validate());
}

TEST(Dataset, ValidateNamesSetIndexAndValue) {
  struct Case {
    const char* message;
    void (*damage)(Dataset&);
  };
  const Case cases[] = {
      {"toy: 2 speakers, expected",
       [](Dataset& s) {
         s.speakers = {"ann", "bob"};
       }},
      {"toy: sequence 4: label -1", [](Dataset& s) { s.targets[4] = -1; }},
      {"toy: sequence 2: label 3", [](Dataset& s) { s.targets[2] = 3; }},
      {"toy: sequence 1: length 0", [](Dataset& s) { s.lengths[1] = 0; }},
      {"toy: sequence 1: length 4", [](Dataset& s) { s.lengths[1] = 4; }},
      {"toy: sequence 3: value nan at step 1, channel 0",
       [](Dataset& s) { s.values[3 * 6 + 2] = std::numeric_limits<float>::quiet_NaN(); }},
      {"toy: sequence 6: value inf at step 2, channel 1",
       [](Dataset& s) { s.values[6 * 6 + 5] = std::numeric_limits<float>::infinity(); }},
      {"toy: sequence 2: value 0.5", [](Dataset& s) { s.values[2 * 6 + 4] = 0.5f; }},
      {"toy: 41 values, expected 42", [](Dataset& s) { s.values.pop_back(); }},
      {"toy: 8 target values, expected 7", [](Dataset& s) { s.targets.push_back(0); }},
      {"toy: 6 lengths, expected 7", [](Dataset& s) { s.lengths.pop_back(); }},
      {"toy: 0 channels", [](Dataset& s) { s.channels = 0; }},
      {"toy: length 0", [](Dataset& s) { s.length = 0; }},
      {"values exceed the largest size",
       [](Dataset& s) { s.length = std::numeric_limits<std::size_t>::max() / 4; }},
  };
  for (const Case& c : cases) {
    Dataset set = make_set(7, 3);
    c.damage(set);
    EXPECT_THAT([&] { set.validate(); }, ThrowsMessage<Error>(HasSubstr(c.message)));
  }
}

TEST(Dataset, ChecksumTellsContentsApart) {
  const Dataset set = make_set(7, 3);
  EXPECT_EQ(checksum(set), checksum(make_set(7, 3)));
  Dataset other = set;
  other.values.back() += 1;
  EXPECT_NE(checksum(other), checksum(set));
  other = set;
  std::swap(other.targets[0], other.targets[1]);
  EXPECT_NE(checksum(other), checksum(set));
  other = set;
  other.lengths[0] = 2;
  EXPECT_NE(checksum(other), checksum(set));
  other = set;
  other.readout.names.front() += 'x';
  EXPECT_NE(checksum(other), checksum(set));
  EXPECT_EQ(checksum(Dataset{}), 0u);
}

TEST(Dataset, SelectKeepsTheOrderGiven) {
  const Dataset set = make_set(7, 3);
  const std::vector<std::uint32_t> order = {5, 0, 5};
  const Dataset chosen = select(set, order, "chosen");
  chosen.validate();
  EXPECT_EQ(chosen.name, "chosen");
  ASSERT_EQ(chosen.count, 3u);
  EXPECT_EQ(chosen.readout, set.readout);
  for (std::size_t i = 0; i < order.size(); ++i) {
    EXPECT_EQ(chosen.targets[i], set.targets[order[i]]);
    EXPECT_EQ(chosen.lengths[i], set.lengths[order[i]]);
    EXPECT_TRUE(std::ranges::equal(chosen.sequence(i), set.sequence(order[i])));
  }
  const std::vector<std::uint32_t> beyond = {7};
  EXPECT_THAT([&] { select(set, beyond, "x"); }, ThrowsMessage<Error>(HasSubstr("row 7")));
}

std::vector<std::size_t> per_class(const Dataset& set) {
  std::vector<std::size_t> counts(set.readout.names.size());
  for (const float label : set.targets) ++counts[static_cast<std::size_t>(label)];
  return counts;
}

TEST(SplitValidation, HoldsOutTheSameShareOfEachClass) {
  // Class sizes 40, 40, 20 and one class without members.
  Dataset set = make_set(100, 5);
  for (float& label : set.targets) {
    if (label > 2) label -= 3;
  }
  const Split split = split_validation(set, 0.25, 3);
  split.train.validate();
  split.validation.validate();
  EXPECT_EQ(per_class(split.train), (std::vector<std::size_t>{30, 30, 15, 0, 0}));
  EXPECT_EQ(per_class(split.validation), (std::vector<std::size_t>{10, 10, 5, 0, 0}));

  // Together they are the set; the first value identifies the row.
  std::vector<float> firsts;
  for (const Dataset* part : {&split.train, &split.validation}) {
    for (std::size_t i = 0; i < part->count; ++i) firsts.push_back(part->sequence(i)[0]);
  }
  std::sort(firsts.begin(), firsts.end());
  for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(firsts[i], static_cast<float>(i * 6 + 1));
}

TEST(SplitValidation, DependsOnTheSeedAlone) {
  const Dataset set = make_set(90, 3);
  const Split a = split_validation(set, 0.2, 1);
  EXPECT_EQ(a.validation.values, split_validation(set, 0.2, 1).validation.values);
  EXPECT_NE(a.validation.values, split_validation(set, 0.2, 2).validation.values);
}

TEST(SplitValidation, SmallClassesAndExtremeShares) {
  const Dataset set = make_set(7, 3);  // 3 + 2 + 2
  EXPECT_EQ(split_validation(set, 0, 1).validation.count, 0u);
  EXPECT_EQ(split_validation(set, 0.01, 1).validation.count, 3u);
  EXPECT_EQ(per_class(split_validation(set, 0.99, 1).train), (std::vector<std::size_t>{1, 1, 1}));
  EXPECT_EQ(split_validation(make_set(3, 3), 0.5, 1).validation.count, 0u);
  EXPECT_EQ(split_validation(Dataset{}, 0.5, 1).train.count, 0u);
}

TEST(SplitValidation, RefusesBadSharesAndLabels) {
  const Dataset set = make_set(7, 3);
  for (double share : {-0.1, 1.0, 2.0, std::nan("")}) {
    EXPECT_THAT([&] { split_validation(set, share, 1); },
                ThrowsMessage<Error>(HasSubstr("toy: validation share")));
  }
  Dataset damaged = set;
  damaged.targets[1] = 9;
  EXPECT_THROW(split_validation(damaged, 0.1, 1), Error);
}

TEST(First, KeepsTheOrder) {
  const Dataset set = make_set(5, 2);
  const Dataset part = first(set, 3);
  part.validate();
  EXPECT_EQ(part.count, 3u);
  EXPECT_TRUE(std::equal(part.values.begin(), part.values.end(), set.values.begin()));
  for (const std::size_t limit : {0u, 5u, 6u}) EXPECT_EQ(first(set, limit).count, 5u);
}

TEST(Select, KeepsSpeakers) {
  Dataset set = make_set(3, 2);
  set.speakers = {"ann", "", "bob"};
  const std::vector<std::uint32_t> order = {2, 1};
  EXPECT_EQ(select(set, order, "part").speakers, (std::vector<std::string>{"bob", ""}));
}

TEST(PermuteSteps, MovesWholeStepsOfAllSequencesAlike) {
  Dataset set = make_set(3, 4);
  set.length = 6;
  set.channels = 2;
  set.values.resize(36);
  set.lengths.clear();
  for (std::size_t i = 0; i < 36; ++i) set.values[i] = static_cast<float>(i + 1);
  const Dataset before = set;
  permute_steps(set, 9);
  set.validate();
  EXPECT_NE(set.values, before.values);
  const std::vector<std::uint32_t> order = shuffled(6, 9, 0);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t t = 0; t < 6; ++t) {
      for (std::size_t c = 0; c < 2; ++c) {
        EXPECT_EQ(set.sequence(i)[t * 2 + c], before.sequence(i)[order[t] * 2 + c]);
      }
    }
  }
  Dataset other = before;
  permute_steps(other, 10);
  EXPECT_NE(other.values, set.values);
}

// Targets 10 i + t at step t of sequence i; the middle one does not count.
Dataset make_step_set() {
  Dataset set = make_set(4, 3);
  set.readout = {&task::regression(), {"y"}, {}, {}, task::Scope::kStep};
  set.targets.assign(4 * set.length, task::kNotCounted);
  for (std::size_t i = 0; i < set.count; ++i) {
    for (std::size_t t = 0; t < set.length_of(i); t += 2) {
      set.targets[i * set.length + t] = static_cast<float>(10 * i + t);
    }
  }
  return set;
}

TEST(StepTargets, AreRequiredForMetrics) {
  Dataset set = make_step_set();
  EXPECT_NO_THROW(set.require_any_target());
  std::fill(set.targets.begin(), set.targets.end(), task::kNotCounted);
  const auto required = [&] { set.require_any_target(); };
  EXPECT_THAT(required, testing::ThrowsMessage<Error>(testing::HasSubstr(
                            set.name + ": no step has a target, expected at least one")));
  set.targets[3 * set.length + 2] = 1;
  EXPECT_NO_THROW(required());
}

TEST(StepTargets, GoWithTheirSequences) {
  const Dataset set = make_step_set();
  EXPECT_NO_THROW(set.validate());
  EXPECT_EQ(set.targets_of(1), 2u);
  EXPECT_EQ(set.target(3, 2)[0], 32);
  EXPECT_FALSE(task::counts(set.target(3, 1)));
  EXPECT_EQ(set.counted_targets(), (std::vector<float>{0, 2, 10, 20, 30, 32}));
  const std::uint32_t rows[] = {3, 1};
  const Dataset some = select(set, rows, "some");
  EXPECT_EQ(some.counted_targets(), (std::vector<float>{30, 32, 10}));
  EXPECT_NE(checksum(some), checksum(select(set, {{1, 3}}, "some")));
  const Split split = split_validation(set, 0.5, 1);
  EXPECT_EQ(split.train.count, 2u);
  EXPECT_EQ(split.validation.count, 2u);
  EXPECT_EQ(split.train.readout, set.readout);
}

TEST(StepTargets, FillBatchesUpToTheirLength) {
  const Dataset set = make_step_set();
  Batch batch;
  const std::uint32_t rows[] = {2, 1};
  fill_batch(set, rows, 2, batch);
  ASSERT_EQ(batch.length, 2u);
  EXPECT_EQ(batch.targets.size(), 2 * kLanes);
  EXPECT_EQ(batch.targets_of(0), 1u);
  EXPECT_EQ(batch.target(0)[0], 20);
  EXPECT_EQ(batch.target(1, 0)[0], 10);
  EXPECT_FALSE(task::counts(batch.target(1, 1)));
}

TEST(StepTargets, ArePermutedWithTheirSteps) {
  Dataset set = make_step_set();
  set.values.assign(set.values.size(), 1);
  set.lengths.clear();
  for (std::size_t i = 0; i < set.targets.size(); ++i) {
    set.targets[i] = static_cast<float>(i);
    set.values[2 * i] = static_cast<float>(i);
  }
  permute_steps(set, 9);
  for (std::size_t i = 0; i < set.targets.size(); ++i) EXPECT_EQ(set.targets[i], set.values[2 * i]);
}

TEST(StepTargets, OfAWrongValueOrBehindTheEndAreRefused) {
  Dataset set = make_step_set();
  set.targets[4] = std::numeric_limits<float>::infinity();
  EXPECT_THAT([&] { set.validate(); }, ThrowsMessage<Error>(HasSubstr("sequence 1: step 1: ")));
  set.targets[4] = task::kNotCounted;
  set.targets[5] = 1;
  EXPECT_THAT([&] { set.validate(); },
              ThrowsMessage<Error>(HasSubstr("sequence 1: a target at step 2, after its length")));
  set.targets.pop_back();
  EXPECT_THAT([&] { set.validate(); },
              ThrowsMessage<Error>(HasSubstr("11 target values, expected 12")));
}

TEST(PermuteSteps, RefusesDifferentLengths) {
  Dataset set = make_set(3, 2);
  set.lengths.assign(3, static_cast<std::uint32_t>(set.length));
  permute_steps(set, 9);
  set.lengths[1] = 1;
  EXPECT_THAT([&] { permute_steps(set, 9); },
              ThrowsMessage<Error>(HasSubstr("sequence 1: 1 steps")));
}

}  // namespace
}  // namespace crosstate::data
