#include "crosstate/data/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
#include "crosstate/data/dataset.h"

namespace crosstate::data {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

template <class... Options>
void expect_refused(const std::string& message, const Options&... options) {
  EXPECT_THAT([&] { validate(options...); }, ThrowsMessage<Error>(HasSubstr(message)));
}

TEST(FrontEndOptions, KeepTheOrderOfEdgesAndTheRangeOf16Bits) {
  validate(FrontEndOptions{});
  expect_refused("front_end.high = 60, expected more than front_end.low = 60",
                 FrontEndOptions{.high = 60});
  expect_refused("front_end.bands = 0", FrontEndOptions{.bands = 0});
  FrontEndOptions quiet{.arithmetic = FrontEndArithmetic::kInteger, .floor = -100};
  validate(quiet);
  quiet.floor = -100.5;
  expect_refused("front_end.floor = -100.5, expected at least -100", quiet);
  quiet.kind = FrontEndKind::kWaveform;  // has no floor
  validate(quiet);
  quiet = {.floor = -110};
  validate(quiet);
}

TEST(DataOptions, RefuseOneSpeakerForTwoParts) {
  DataOptions options;
  options.test_speaker = "ann";
  validate(options);
  options.validation_speaker = "ann";
  expect_refused("data.validation_speaker = \"ann\" is also data.test_speaker", options);
  options = {};
  options.test_indices = "4-0";
  expect_refused("data.test_indices = \"4-0\"", options);
}

TEST(DataOptions, RefuseClassesOfDataInMemoryAndASingleOne) {
  DataOptions options;
  options.classes = "0 1";
  validate(options);
  options.sets = std::make_shared<DataSets>();
  expect_refused("data.classes = \"0 1\" chooses from data.directory", options);
  options = {};
  options.classes = "0";
  expect_refused("expected at least two labels", options);
}

TEST(ParseIndices, ReadsNumbersAndRanges) {
  const auto pairs = [](const std::string& text) {
    std::vector<std::pair<std::uint64_t, std::uint64_t>> all;
    for (const IndexRange& range : parse_indices(text)) all.emplace_back(range.first, range.last);
    return all;
  };
  using testing::ElementsAre;
  using testing::Pair;
  EXPECT_THAT(pairs(""), ElementsAre());
  EXPECT_THAT(pairs("7"), ElementsAre(Pair(7, 7)));
  EXPECT_THAT(pairs("3  7-7 10-12 "), ElementsAre(Pair(3, 3), Pair(7, 7), Pair(10, 12)));
  for (const char* bad : {"-1", "1-", "a", "3,4", "5-4", "99999999999999999999"}) {
    EXPECT_THAT([&] { parse_indices(bad); },
                ThrowsMessage<Error>(HasSubstr("expected numbers and ascending ranges")))
        << bad;
  }
}

TEST(Fields, NameEverySettingOnce) {
  DataOptions data;
  FrontEndOptions front_end;
  AugmentOptions augment;
  FieldList list;
  fields(list, data);
  fields(list, front_end);
  fields(list, augment);
  list.set("front_end.arithmetic=integer");
  list.set("augment.band_mask=5");
  list.set("data.layout=folders");
  EXPECT_EQ(front_end.arithmetic, FrontEndArithmetic::kInteger);
  EXPECT_EQ(augment.band_mask, 5);
  EXPECT_EQ(data.layout, RecordingLayout::kFolders);
  EXPECT_THAT([&] { list.set("front_end.kind=mfcc"); },
              ThrowsMessage<Error>(HasSubstr("log-mel, waveform")));
}

}  // namespace
}  // namespace crosstate::data
