#include "crosstate/train/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"

namespace crosstate::train {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::ThrowsMessage;

TEST(TrainOptions, ServeTwoSectionsOfOneList) {
  TrainOptions first, second;
  FieldList list;
  fields(list, "train", first);
  fields(list, "qat", second);
  list.set("train.epochs=3");
  list.set("qat.epochs=5");
  EXPECT_EQ(first.epochs, 3);
  EXPECT_EQ(second.epochs, 5);
  for (const Field& field : list.all()) EXPECT_FALSE(field.help.empty()) << field.key;
}

TEST(TrainOptions, RefuseValuesSetInCode) {
  TrainOptions options;
  validate(options);
  options.batch = 0;
  EXPECT_THAT([&] { validate(options, "qat"); }, ThrowsMessage<Error>(HasSubstr("qat.batch = 0")));
  options = {};
  options.label_smoothing = 1;
  EXPECT_THAT([&] { validate(options); },
              ThrowsMessage<Error>(HasSubstr("train.label_smoothing = 1")));
}

TEST(ClassOffsets, AreNumbersByClass) {
  TrainOptions options;
  EXPECT_THAT(class_offsets(options, {"no", "yes"}), IsEmpty());
  options.class_offsets = "yes=2";
  EXPECT_THAT(class_offsets(options, {"no", "yes"}), ElementsAre(0, 2));
  options.class_offsets = " yes=-0.5  no=1e-1 ";
  EXPECT_THAT(class_offsets(options, {"no", "maybe", "yes"}), ElementsAre(0.1, 0, -0.5));
  options.class_offsets = "not yes=1, a=b=3";
  EXPECT_THAT(class_offsets(options, {"a=b", "not yes"}), ElementsAre(3, 1));
}

TEST(ClassOffsets, AreRefusedIfMalformed) {
  for (const char* text : {"yes", "=2", "yes=", "yes=two", "yes=nan", "yes=101"}) {
    TrainOptions options;
    options.class_offsets = text;
    EXPECT_THAT([&] { validate(options, "qat"); },
                ThrowsMessage<Error>(AllOf(HasSubstr("qat.class_offsets = \"" + std::string(text)),
                                           HasSubstr("such as \"unknown=2\""))));
  }
  TrainOptions twice;
  twice.class_offsets = "yes=1 yes=2";
  EXPECT_THAT([&] { validate(twice); },
              ThrowsMessage<Error>(HasSubstr("has the class \"yes\" twice")));
}

TEST(ClassOffsets, NameClassesOfTheData) {
  TrainOptions options;
  options.class_offsets = "maybe=1";
  task::Readout readout;
  readout.names = {"no", "yes"};
  EXPECT_THAT([&] { require_effect(options, readout, "qat"); },
              ThrowsMessage<Error>("options: qat.class_offsets = \"maybe=1\", but there is no "
                                   "class \"maybe\"; expected some of no, yes"));
  readout.names = {"maybe", "no"};
  EXPECT_NO_THROW(require_effect(options, readout, "qat"));
  readout.task = &task::task_named("regression", "test");
  EXPECT_THAT([&] { require_effect(options, readout, "qat"); },
              ThrowsMessage<Error>(HasSubstr("qat.class_offsets has no effect on regression")));
}

}  // namespace
}  // namespace crosstate::train
