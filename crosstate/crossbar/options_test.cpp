#include "crosstate/crossbar/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "crosstate/base/error.h"

namespace crosstate::crossbar {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

void expect_refused(const CrossbarOptions& options, const std::string& part) {
  EXPECT_THAT([&] { validate(options); }, ThrowsMessage<Error>(HasSubstr(part)));
}

TEST(CrossbarOptions, DefaultsAreValidAndEveryFieldHasHelp) {
  CrossbarOptions options;
  EXPECT_NO_THROW(validate(options));
  FieldList list;
  fields(list, options);
  for (const Field& field : list.all()) {
    EXPECT_TRUE(field.key.starts_with("crossbar.")) << field.key;
    EXPECT_FALSE(field.help.empty()) << field.key;
  }
}

TEST(CrossbarOptions, RejectsBadValues) {
  expect_refused({.rows = 2}, "crossbar.rows = 2, expected");
  expect_refused({.columns = 4097}, "crossbar.columns = 4097, expected");
  expect_refused({.levels = 1}, "crossbar.levels = 1, expected 0 (any");
  expect_refused({.slices = 9}, "crossbar.slices = 9, expected");
  expect_refused({.dac_bits = 1}, "crossbar.dac_bits = 1, expected");
  expect_refused({.partial_bits = 1}, "crossbar.partial_bits = 1, expected 0 (no");
  for (const int size : {3, 4096}) {
    EXPECT_NO_THROW(validate(CrossbarOptions{.rows = size, .columns = size}));
  }
}

TEST(CrossbarOptions, RejectsWhatContradictsItself) {
  expect_refused({.columns = 8, .spare_columns = 6}, "3 fewer than crossbar.columns = 8");
  EXPECT_NO_THROW(validate(CrossbarOptions{.columns = 8, .spare_columns = 5}));
  for (const FaultRemap remap : {FaultRemap::kColumns, FaultRemap::kBoth}) {
    expect_refused({.remap = remap}, "crossbar.spare_columns = 0, expected at least 1");
    EXPECT_NO_THROW(validate(CrossbarOptions{.spare_columns = 1, .remap = remap}));
  }
  EXPECT_NO_THROW(validate(CrossbarOptions{.remap = FaultRemap::kCells}));
  // A single cell has no partner, and a middle level only among an odd number.
  for (const FaultRemap remap : {FaultRemap::kCells, FaultRemap::kBoth}) {
    expect_refused({.spare_columns = 1, .remap = remap, .encoding = WeightEncoding::kOffset},
                   "expected none or columns");
  }
  expect_refused({.levels = 4, .encoding = WeightEncoding::kOffset}, "expected an odd number");
  EXPECT_NO_THROW(validate(CrossbarOptions{.levels = 5, .encoding = WeightEncoding::kOffset}));
}

TEST(CrossbarOptions, FormerNamesAndUnknownValuesAreErrors) {
  CrossbarOptions options;
  FieldList list;
  fields(list, options);
  list.set("crossbar.encoding=offset");
  EXPECT_EQ(options.encoding, WeightEncoding::kOffset);
  EXPECT_THAT([&] { list.set("crossbar.encoding=triple"); },
              ThrowsMessage<Error>(HasSubstr("expected one of pair, offset")));
  for (const auto& [former, present] : {std::pair{"cells", "slices"},
                                        {"significance", "slice_base"},
                                        {"wire_rounds", "ir_drop_iterations"}}) {
    EXPECT_THAT([&] { list.set(std::string("crossbar.") + former + "=2"); },
                ThrowsMessage<Error>(HasSubstr(std::string("write \"crossbar.") + present)));
  }
}

TEST(CrossbarOptions, DetermineWhereWeightsGo) {
  const analog::ArrayGeometry standard =
      array_geometry({.rows = 100, .columns = 80, .spare_columns = 6, .drive_halvings = 5});
  EXPECT_EQ(standard.rows, 100u);
  EXPECT_EQ(standard.columns, 74u);  // spare ones hold none
  EXPECT_EQ(standard.drive_halvings, 5);
  EXPECT_EQ(standard.kept, 1);
  // Rows that are driven together cannot have levels of their own.
  EXPECT_EQ(array_geometry({.driven = DrivenRows::kAll, .drive_halvings = 5}).drive_halvings, 0);
  EXPECT_EQ(array_geometry({.recurrence = PoleStorage::kDirect}).kept, 0);
}

}  // namespace
}  // namespace crosstate::crossbar
