#include "crosstate/data/classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"
#include "crosstate/data/options.h"

namespace crosstate::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

// Two steps each; sequence i has the values i and i + 0.5.
Dataset sequences(const std::vector<float>& labels) {
  Dataset set;
  set.name = "digits";
  set.count = labels.size();
  set.length = 2;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    set.values.insert(set.values.end(), {static_cast<float>(i), static_cast<float>(i) + 0.5f});
  }
  set.targets = labels;
  set.readout.names = {"a", "b", "c"};
  set.notes = {"one note"};
  return set;
}

TEST(ParseClasses, SeparatesBySpacesOrCommas) {
  EXPECT_THAT(parse_classes(""), IsEmpty());
  EXPECT_THAT(parse_classes("  "), IsEmpty());
  EXPECT_THAT(parse_classes(" 7  0 "), ElementsAre("7", "0"));
  EXPECT_THAT(parse_classes("left hand, right,  both hands "),
              ElementsAre("left hand", "right", "both hands"));
  EXPECT_THAT([] { parse_classes("7"); },
              ThrowsMessage<Error>(HasSubstr("data.classes = \"7\", expected at least two")));
  EXPECT_THAT([] { parse_classes("7 0 7"); }, ThrowsMessage<Error>(HasSubstr("\"7\" twice")));
}

TEST(KeptClasses, AreInTheOrderOfTheSet) {
  const std::vector<std::string> classes = {"0", "1", "10"};
  EXPECT_EQ(kept_classes("", classes, "set"), classes);
  EXPECT_THAT(kept_classes("10 0", classes, "set"), ElementsAre("0", "10"));
  EXPECT_THAT([&] { kept_classes("0 2", classes, "set"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("set"), HasSubstr("data.classes = \"0 2\""),
                                         HasSubstr("no class \"2\"; expected some of 0, 1, 10"))));
}

TEST(KeepClasses, RemovesSequencesAndNumbersLabelsAnew) {
  Dataset set = sequences({2, 0, 1, 2});
  EXPECT_EQ(keep_classes(set, "c b"), 1u);
  set.validate();
  EXPECT_THAT(set.readout.names, ElementsAre("b", "c"));
  EXPECT_THAT(set.targets, ElementsAre(1, 0, 1));
  EXPECT_THAT(set.values, ElementsAre(0, 0.5f, 2, 2.5f, 3, 3.5f));
  EXPECT_THAT(set.notes, ElementsAre("one note"));
  EXPECT_EQ(keep_classes(set, "c b"), 0u);
  EXPECT_THAT(set.targets, ElementsAre(1, 0, 1));
}

TEST(KeepClasses, NeedsOneClassPerSequence) {
  Dataset values = sequences({0.5f});
  values.readout.task = &task::regression();
  values.readout.names = {"height"};
  EXPECT_THAT([&] { keep_classes(values, "a b"); },
              ThrowsMessage<Error>(
                  AllOf(HasSubstr("digits: data.classes"), HasSubstr("targets for regression"))));
  Dataset steps = sequences({});
  steps.readout.scope = task::Scope::kStep;
  EXPECT_THAT([&] { keep_classes(steps, "a b"); },
              ThrowsMessage<Error>(HasSubstr("a target for every step")));
}

TEST(LeftOutNote, CountsSingularAndPlural) {
  EXPECT_EQ(left_out_note(1, "image", "0 1"),
            "1 image of other classes not used: data.classes = \"0 1\"");
  EXPECT_THAT(left_out_note(2, "image", "0 1"), HasSubstr("2 images of"));
}

}  // namespace
}  // namespace crosstate::data
