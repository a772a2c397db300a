#include "crosstate/report/report.h"

#include <gtest/gtest.h>

#include "crosstate/report/columns.h"

namespace crosstate::report {
namespace {

TEST(ReportText, AlignsColumnsAndTrimsLineEnds) {
  const Table table{"Stages",
                    {"Stage", "Accuracy", "Note"},
                    {{"float", "97.81", "reference"}, {"4-bit", "7.2", ""}}};
  EXPECT_EQ(to_text(table),
            "Stages\n\n"
            "Stage  Accuracy  Note\n"
            "-----  --------  ---------\n"
            "float     97.81  reference\n"
            "4-bit       7.2\n");
}

TEST(ReportText, CountsCharactersNotBytes) {
  const Table table{"", {"Energy", "Where"}, {{"1.5 µJ", "α"}, {"12 ± 3", "beta"}}};
  EXPECT_EQ(to_text(table),
            "Energy  Where\n"
            "------  -----\n"
            "1.5 µJ  α\n"
            "12 ± 3  beta\n");
}

TEST(ReportText, TakesRaggedRowsLineBreaksAndEmptyTables) {
  EXPECT_EQ(to_text({"", {"a"}, {{"x\ny", "1"}, {}}}),
            "a\n"
            "---  -\n"
            "x y  1\n"
            "\n");
  EXPECT_EQ(to_text({"Nothing", {}, {}}), "Nothing\n\n");
  EXPECT_EQ(to_text({}), "");
}

TEST(ReportMarkdown, AlignsNumbersToTheRight) {
  EXPECT_EQ(to_markdown({"Cost", {"Part", "Energy"}, {{"ADC", "5.1"}, {"Array", "-"}}}),
            "**Cost**\n\n"
            "| Part  | Energy |\n"
            "| ----- | -----: |\n"
            "| ADC   |    5.1 |\n"
            "| Array |      - |\n");
}

TEST(ReportMarkdown, EscapesWhatWouldBeMarkup) {
  const std::string text = to_markdown(
      {"",
       {"name"},
       {{"a|b"}, {"*x* `y` <b> [z]"}, {"state_size _it_"}, {"1\n2"}, {"R&D &amp; \\"}, {"~1~"}}});
  EXPECT_NE(text.find("a\\|b"), std::string::npos);
  EXPECT_NE(text.find("\\*x\\* \\`y\\` \\<b\\> \\[z\\]"), std::string::npos);
  EXPECT_NE(text.find("state_size \\_it\\_"), std::string::npos);
  EXPECT_NE(text.find("1<br>2"), std::string::npos);
  EXPECT_NE(text.find("R\\&D \\&amp; \\\\"), std::string::npos);
  EXPECT_NE(text.find("\\~1\\~"), std::string::npos);
}

TEST(ReportColumns, TellsNumbersFromText) {
  for (const char* cell : {"0", "97.3", "-1.2e-4", ".5", "52,874", "97.3 ± 0.4", "12.9 KiB",
                           "1.8 µJ", "3.5%", "3.5 %", "−4", "~7", "0.31 mm²", "2×"}) {
    EXPECT_TRUE(is_number(cell)) << cell;
  }
  for (const char* cell : {"", "float", "8-bit", "4-bit weights", "128 x 128", "2024-01-01", "S4D",
                           "1.2.3.4", "3 of the 5 chips"}) {
    EXPECT_FALSE(is_number(cell)) << cell;
  }
  EXPECT_FALSE(is_number(std::string(100000, '1')));
}

}  // namespace
}  // namespace crosstate::report
