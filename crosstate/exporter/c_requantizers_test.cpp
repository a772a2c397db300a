#include "crosstate/exporter/c_requantizers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "crosstate/exporter/testing.h"

namespace crosstate::exporter {
namespace {

using testing::HasSubstr;
using testing::Not;

// One row of a requantizer of two sums, with the largest sums that it gets.
struct Row {
  std::int32_t first, second, shift;
  std::int64_t most;
};

// docs/arithmetic.md, "Rounding".
std::int64_t code_of(const Row& row, std::int64_t p, std::int64_t q) {
  const std::int64_t sum = p * row.first + q * row.second + (std::int64_t{1} << (row.shift - 1));
  return std::clamp<std::int64_t>(sum >> row.shift, -100, 90);
}

TEST(RequantizerWriter, GivesTheCodesOfTheDefinition) {
  std::string functions, body, expected;
  RequantizerWriter writer;
  Tables tables(1, "");
  const std::vector<Row> rows = {{1 << 20, -(1 << 19), 24, 10000},  // shifts in 32 bits
                                 {5871793, -77, 24, 100000},        // factors of 32 bits
                                 {8388607, 8388606, 40, std::int64_t{1} << 36}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Row& row = rows[i];
    integer::Requantizer r;
    r.first = {row.first};
    r.second = {row.second};
    r.shift = {row.shift};
    const Codes codes = writer.add(tables, "r" + std::to_string(i), {{&r, 0, 1}},
                                   [&](std::size_t, std::size_t) {
                                     return SumBounds{row.most, row.most};
                                   },
                                   {{-100, 90, 1}});
    EXPECT_TRUE(codes.uses_second());
    const bool narrow = row.most <= 0x7fffffff;
    const std::string code = writer.code(codes, {"p", narrow}, {"q", narrow}, "0");
    for (const std::int64_t p : {-row.most, row.most / -3, std::int64_t{0}, row.most / 7}) {
      for (const std::int64_t q : {row.most / -2, std::int64_t{1}, row.most}) {
        const std::string type = narrow ? "int32_t" : "int64_t";
        body += "    {\n        const " + type + " p = " + c_number(p) + ";\n        const " +
                type + " q = " + c_number(q) + ";\n        printf(\"%d\\n\", (int)" + code +
                ");\n    }\n";
        expected += std::to_string(code_of(row, p, q)) + '\n';
      }
    }
  }
  const fixtures::Workshop workshop;
  workshop.write({"main.c", "#include <stdint.h>\n#include <stdio.h>\n\n" + tables.arrays() +
                                writer.functions() + "int main(void)\n{\n" + body +
                                "    return 0;\n}\n"});
  EXPECT_EQ(workshop.compile_and_run("-std=c99 -Wall -Wextra -Wconversion -Werror "
                                     "-Wno-unused-function " +
                                     fixtures::kSanitized),
            expected);
}

TEST(RequantizerWriter, WritesOnlyWhatIsCalled) {
  RequantizerWriter writer;
  EXPECT_THAT(writer.functions(), HasSubstr("int32_t clamp("));
  EXPECT_THAT(writer.functions(), Not(HasSubstr("int64_t")));
  EXPECT_EQ(writer.rounded("sum", "3u"), "rounded(sum, 3u)");
  EXPECT_THAT(writer.functions(), HasSubstr("int64_t rounded("));
  EXPECT_THAT(writer.functions(), HasSubstr("int64_t down64("));
  EXPECT_THAT(writer.functions(), Not(HasSubstr("code64(")));
  writer.use_code64();
  EXPECT_THAT(writer.functions(), HasSubstr("int32_t code64("));
}

TEST(RequantizerWriter, LeavesOutFactorsOfOne) {
  EXPECT_EQ(times("p", "1"), "p");
  EXPECT_EQ(times("p", "3"), "p * 3");
}

}  // namespace
}  // namespace crosstate::exporter
