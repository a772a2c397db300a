#include "crosstate/report/columns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "crosstate/base/numbers.h"
#include "crosstate/base/random.h"

namespace crosstate::report {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Columns, AreThoseOfTheWidestRow) {
  EXPECT_EQ(column_count({}), 0u);
  EXPECT_EQ(column_count({"", {"a", "b"}, {}}), 2u);
  EXPECT_EQ(column_count({"", {"a", "b"}, {{"1"}}}), 2u);
  EXPECT_EQ(column_count({"", {"a"}, {{}, {"1", "2", "3"}, {"1", "2"}}}), 3u);
  EXPECT_THAT(numeric_columns({}), IsEmpty());
}

TEST(Columns, HaveBlankCellsBehindAShortRow) {
  const std::vector<std::string> row = {"x", "y"};
  EXPECT_EQ(&cell_at(row, 1), &row[1]);
  EXPECT_EQ(cell_at(row, 2), "");
  EXPECT_EQ(cell_at({}, 100), "");
}

TEST(Columns, AreNumericWithOneNumberAndNoText) {
  EXPECT_THAT(numeric_columns(
                  {"",
                   {"numbers", "gaps", "no number", "one text", "short", "no header", "nothing"},
                   {{"1", "-", "-", "1", "1"},
                    {"2.5 %", "2", "", "2", "2", "3 ± 1", ""},
                    {"-3", "n/a", "n/a", "three"}}}),
              ElementsAre(true, true, false, false, true, true, false));
  // The header is text in every table, and does not count.
  EXPECT_THAT(numeric_columns({"", {"8", "9"}, {{"a"}}}), ElementsAre(false, false));
}

TEST(Columns, TakeEveryGapForAMissingNumber) {
  for (const char* gap : {"", "-", "–", "—", "n/a", "nan", "-nan", "inf", "-inf"}) {
    EXPECT_FALSE(is_number(gap)) << gap;
    EXPECT_THAT(numeric_columns({"", {"x"}, {{gap}, {"1"}}}), ElementsAre(true)) << gap;
    EXPECT_THAT(numeric_columns({"", {"x"}, {{gap}, {gap}}}), ElementsAre(false)) << gap;
  }
  for (const char* text : {"--", "none", "N/A", " -"}) {
    EXPECT_THAT(numeric_columns({"", {"x"}, {{text}, {"1"}}}), ElementsAre(false)) << text;
  }
}

// A number that a report writes must be aligned as one, whatever its magnitude.
TEST(Columns, KnowTheNumbersThatReportsWrite) {
  const auto expect_number = [&](double value) {
    const std::string percent = fixed_text(100 * value, 2);
    for (const std::string& text :
         {exact_text(value), fixed_text(value, 0), fixed_text(value, 3), percent, percent + " %",
          percent + " ± " + fixed_text(std::abs(value), 2), exact_text(value) + " mm²",
          fixed_text(value, 1) + " KiB"}) {
      EXPECT_EQ(is_number(text), text.size() <= 48) << text;
    }
  };
  Random random(1, Stream::kTest);
  for (int i = 0; i < 200; ++i) {
    const double magnitude = std::pow(10, random.uniform(-30, 20));
    expect_number(random.below(2) == 0 ? magnitude : -magnitude);
  }
  for (const double value : {0.0, -0.0, std::numeric_limits<double>::denorm_min(),
                             double{std::numeric_limits<float>::max()}}) {
    expect_number(value);
  }
  // What is not a number is a gap in the same column.
  const double infinity = std::numeric_limits<double>::infinity();
  for (const std::string& text : {exact_text(std::nan("")), exact_text(infinity),
                                  exact_text(-infinity), fixed_text(std::nan(""), 2)}) {
    EXPECT_THAT(numeric_columns({"", {"x"}, {{text}, {"1"}}}), ElementsAre(true)) << text;
  }
}

// Sizes, lists, times and sums hold several numbers, however they are written.
TEST(Columns, TakeSeveralNumbersForText) {
  for (const char* text :
       {"2x2", "128x128", "128 x 128", "64×64", "16/16/2", "16/2", "10:30", "3+4", "1,,,2", "1,2",
        "1,2345", "12,34,567", ",5", "1e5x2", "5 to 7", "1.2.3", "3-4", "9 m 5"}) {
    EXPECT_FALSE(is_number(text)) << text;
  }
  for (const char* number : {"1,234", "12,345,678.5", "2 x", "7 nJ/step", "1e+05", "1e-9 J",
                             "< 3 %", "+3", "1,234 ± 5", "4 °C", "97.3*"}) {
    EXPECT_TRUE(is_number(number)) << number;
  }
  EXPECT_THAT(
      numeric_columns({"", {"a", "b", "c"}, {{"2x2", "2 x 2", "2"}, {"16", "16", "1,024"}}}),
      ElementsAre(false, false, true));
}

TEST(Columns, TakeLongCellsForText) {
  EXPECT_TRUE(is_number(std::string(48, '1')));
  EXPECT_FALSE(is_number(std::string(49, '1')));
  EXPECT_TRUE(is_number("1 microjoule"));    // a unit of ten characters
  EXPECT_FALSE(is_number("1 microjoules"));  // one more
}

}  // namespace
}  // namespace crosstate::report
