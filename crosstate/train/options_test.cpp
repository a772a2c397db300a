#include "crosstate/train/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crosstate/base/error.h"

namespace crosstate::train {
namespace {

using testing::HasSubstr;
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

}  // namespace
}  // namespace crosstate::train
