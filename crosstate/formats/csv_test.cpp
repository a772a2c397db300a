#include "crosstate/formats/csv.h"

#include <gtest/gtest.h>

namespace crosstate::formats {
namespace {

TEST(CsvField, QuotesWhatSeparates) {
  EXPECT_EQ(csv_field("seven"), "seven");
  EXPECT_EQ(csv_field(""), "");
  EXPECT_EQ(csv_field("yes, no"), "\"yes, no\"");
  EXPECT_EQ(csv_field("5\" disk"), "\"5\"\" disk\"");
  EXPECT_EQ(csv_field("two\r\nlines"), "\"two\r\nlines\"");
}

}  // namespace
}  // namespace crosstate::formats
