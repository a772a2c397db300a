#include "crosstate/data/recordings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "crosstate/base/error.h"
#include "crosstate/data/testing.h"

namespace crosstate::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::string> names(const Recordings& set) {
  std::vector<std::string> result;
  for (const Recording& item : set.items) result.push_back(item.name);
  return result;
}

TEST(Recordings, AreSelectedInTheOrderOfTheRows) {
  const Recordings set = reference::tone_set(6, 1);
  const Recordings some = select(set, std::vector<std::uint32_t>{4, 0, 4}, "some");
  EXPECT_EQ(some.name, "some");
  EXPECT_EQ(some.sample_rate, set.sample_rate);
  EXPECT_EQ(some.classes, set.classes);
  EXPECT_THAT(names(some), ElementsAre("tone 4", "tone 0", "tone 4"));
  EXPECT_EQ(some.items[0].samples, set.items[4].samples);
  EXPECT_EQ(some.items[1].label, set.items[0].label);
  EXPECT_THAT(
      [&] {
        select(set, std::vector<std::uint32_t>{0, 6}, "x");
      },
      ThrowsMessage<Error>("tones: row 6, but the set has 6 recordings"));
}

TEST(RecordingsSplits, HoldOutASpeakerOrAShare) {
  const Recordings set = reference::tone_set(40, 5);
  const RecordingsSplit by_speaker = split_speaker(set, "bob");
  EXPECT_EQ(by_speaker.train.items.size(), 20u);
  for (const Recording& item : by_speaker.train.items) EXPECT_EQ(item.speaker, "ann");
  for (const Recording& item : by_speaker.validation.items) EXPECT_EQ(item.speaker, "bob");
  EXPECT_THAT([&] { split_speaker(set, "eve"); }, ThrowsMessage<Error>(HasSubstr("ann, bob")));
  EXPECT_THAT([&] { split_speaker(set, ""); }, ThrowsMessage<Error>(HasSubstr("ann, bob")));

  const RecordingsSplit by_share = split_validation(set, 0.25, 9);
  EXPECT_NEAR(static_cast<double>(by_share.validation.items.size()), 10, 2);
  EXPECT_EQ(by_share.train.items.size() + by_share.validation.items.size(), 40u);
  EXPECT_EQ(by_share.validation.classes, set.classes);
  EXPECT_EQ(by_share.validation.sample_rate, 8000);
  EXPECT_THAT([&] { select(set, std::vector<std::uint32_t>{40}, "x"); },
              ThrowsMessage<Error>(HasSubstr("row 40")));
}

TEST(RecordingsSplits, BalanceTheClassesAndKeepTheOrder) {
  const Recordings set = reference::tone_set(60, 5);
  const RecordingsSplit split = split_validation(set, 0.3, 9);
  std::vector<int> counts(3, 0);
  for (const Recording& item : split.validation.items) {
    ++counts[static_cast<std::size_t>(item.label)];
  }
  EXPECT_THAT(counts, ElementsAre(6, 6, 6));
  EXPECT_EQ(split.validation.name, "tones (validation)");
  // Both parts are in the order of the set, and every recording is in one of them.
  std::set<std::string> all;
  for (const Recordings* part : {&split.train, &split.validation}) {
    std::size_t last = 0;
    for (const Recording& item : part->items) {
      const std::size_t number = std::stoul(item.name.substr(5)) + 1;
      EXPECT_GT(number, last);
      last = number;
      EXPECT_TRUE(all.insert(item.name).second) << item.name;
    }
  }
  EXPECT_EQ(all.size(), 60u);
}

TEST(RecordingsSplits, FollowTheSeed) {
  const Recordings set = reference::tone_set(60, 5);
  const auto held_out = [&](std::uint64_t seed) {
    return names(split_validation(set, 0.3, seed).validation);
  };
  EXPECT_EQ(held_out(9), held_out(9));
  EXPECT_NE(held_out(9), held_out(10));
  EXPECT_TRUE(split_validation(set, 0, 9).validation.items.empty());
  EXPECT_THAT([&] { split_validation(set, 1, 9); }, ThrowsMessage<Error>(HasSubstr("tones")));
}

// 60 recordings of 12 speakers, five each, and a silent class without speakers.
Recordings spoken_set() {
  Recordings set = reference::tone_set(80, 5);
  set.by_speaker = true;
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    set.items[i].speaker = i < 60 ? "s" + std::to_string(i % 12) : "";
    set.items[i].label = i < 60 ? static_cast<std::int32_t>(i % 2) : 2;
  }
  return set;
}

TEST(RecordingsSplits, HoldOutWholeSpeakers) {
  const Recordings set = spoken_set();
  const RecordingsSplit split = split_validation(set, 0.2, 9);
  std::set<std::string> trained, held_out;
  std::size_t silent = 0;
  for (const Recording& item : split.train.items) trained.insert(item.speaker);
  for (const Recording& item : split.validation.items) {
    if (item.speaker.empty()) {
      ++silent;
    } else {
      held_out.insert(item.speaker);
      EXPECT_FALSE(trained.contains(item.speaker)) << item.name;
    }
  }
  EXPECT_EQ(held_out.size(), 3u) << "the first number of speakers with at least a fifth";
  EXPECT_EQ(silent, 4u) << "a fifth of the recordings without a speaker";
  EXPECT_EQ(split.train.items.size() + split.validation.items.size(), set.items.size());
  EXPECT_TRUE(split.train.by_speaker);

  EXPECT_EQ(names(split.validation), names(split_validation(set, 0.2, 9).validation));
  EXPECT_NE(names(split.validation), names(split_validation(set, 0.2, 10).validation));
  EXPECT_TRUE(split_validation(set, 0, 9).validation.items.empty());
  EXPECT_THAT([&] { split_validation(set, 1, 9); }, ThrowsMessage<Error>(HasSubstr("tones")));
}

TEST(RecordingsSplits, LeaveOneSpeakerInEachPart) {
  const Recordings set = spoken_set();
  const auto speakers = [](const Recordings& part) {
    std::set<std::string> known;
    for (const Recording& item : part.items) known.insert(item.speaker);
    known.erase("");
    return known.size();
  };
  EXPECT_EQ(speakers(split_validation(set, 0.001, 9).validation), 1u);
  // Speakers 0, 2, ... speak one class, 1, 3, ... the other: one of each remains.
  EXPECT_EQ(speakers(split_validation(set, 0.999, 9).train), 2u);
}

TEST(RecordingsSplits, KeepASpeakerWithoutWhomLittleIsLeft) {
  Recordings set = reference::tone_set(96, 5);
  set.by_speaker = true;
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    set.items[i].speaker = i < 90 ? "often" : i < 93 ? "once" : "twice";
    set.items[i].label = static_cast<std::int32_t>(i % 2);
  }
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    const RecordingsSplit split = split_validation(set, 0.1, seed);
    EXPECT_EQ(split.validation.items.size(), 6u) << seed;
    for (const Recording& item : split.validation.items) EXPECT_NE(item.speaker, "often");
  }
  // Of two speakers with many recordings, the one with fewer is held out.
  for (std::size_t i = 90; i < 96; ++i) set.items[i].speaker = "often";
  for (std::size_t i = 0; i < 40; ++i) set.items[i].speaker = "rarely";
  EXPECT_EQ(split_validation(set, 0.1, 1).validation.items.size(), 40u);
}

TEST(RecordingsSplits, KeepTheOnlySpeakerOfAClass) {
  Recordings set = spoken_set();
  for (Recording& item : set.items) {
    if (item.speaker == "s3") item.label = 2;
    if (item.speaker.empty()) item.label = 0;
  }
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const RecordingsSplit split = split_validation(set, 0.5, seed);
    for (const Recording& item : split.validation.items) EXPECT_NE(item.speaker, "s3") << seed;
  }
  // If every speaker is the only one of a class, recordings are held out instead.
  Recordings apart = reference::tone_set(60, 5);
  apart.by_speaker = true;
  for (Recording& item : apart.items) item.speaker = "s" + std::to_string(item.label);
  Recordings whole = apart;
  whole.by_speaker = false;
  EXPECT_EQ(names(split_validation(apart, 0.3, 9).validation),
            names(split_validation(whole, 0.3, 9).validation));
}

TEST(RecordingsSplits, DivideTheRecordingsOfASingleSpeaker) {
  Recordings set = reference::tone_set(60, 5);
  for (Recording& item : set.items) item.speaker = "ann";
  const std::vector<std::string> expected = names(split_validation(set, 0.3, 9).validation);
  set.by_speaker = true;
  EXPECT_EQ(names(split_validation(set, 0.3, 9).validation), expected);
}

TEST(RecordingsSplits, ListSomeOfManySpeakers) {
  Recordings set = reference::tone_set(12, 5);
  for (std::size_t i = 0; i < set.items.size(); ++i) {
    set.items[i].speaker = std::string(1, static_cast<char>('a' + i));
  }
  EXPECT_THAT([&] { split_speaker(set, "z"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("no recording of the speaker \"z\""),
                                         HasSubstr("a, b, c, d, e, f, g, h, ... (12 in all)"))));
  for (Recording& item : set.items) item.speaker.clear();
  EXPECT_THAT([&] { split_speaker(set, "z"); },
              ThrowsMessage<Error>(HasSubstr("no recording has a known speaker")));
}

}  // namespace
}  // namespace crosstate::data
