#include "crosstate/base/numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/random.h"
#include "crosstate/base/testing.h"

namespace crosstate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

template <class T>
void expect_reads(const std::string& text, T expected) {
  const ReadNumber<T> number = read_number<T>(text);
  ASSERT_TRUE(number.value) << text << ' ' << number.wrong;
  EXPECT_EQ(*number.value, expected) << text;
  EXPECT_EQ(std::signbit(*number.value), std::signbit(expected)) << text;
  EXPECT_EQ(number.wrong, "") << text;
}

TEST(Numbers, ReadWhatInstrumentsWrite) {
  expect_reads<double>("+1.0E-06", 1e-6);
  expect_reads<double>("-1.234e+3", -1234);
  expect_reads<double>("+.5", 0.5);
  expect_reads<double>("5.", 5);
  expect_reads<double>("5.e1", 50);
  expect_reads<double>("007", 7);
  expect_reads<double>(" \t0.25\r", 0.25);
  expect_reads<double>("-0", -0.0);
  expect_reads<float>("+1.0E-06", 1e-6f);
  expect_reads<float>("0.1", 0.1f);
}

TEST(Numbers, TakeWhatUnderflowsFor0) {
  for (const std::string& text : std::vector<std::string>{
           "1e-400", "0.1e-330", "1E-99999999999999999999", "0e400", "0.000e99999999999999999999",
           "0." + std::string(500, '0') + "1", "0." + std::string(500, '0') + "1e100"}) {
    expect_reads<double>(text, 0);
    expect_reads<double>('-' + text, -0.0);
  }
  expect_reads<float>("1e-50", 0);
  expect_reads<float>("-1e-50", -0.0f);
  expect_reads<double>("1e-50", 1e-50);
  expect_reads<double>("5e-324", std::numeric_limits<double>::denorm_min());
  expect_reads<float>("1.4e-45", std::numeric_limits<float>::denorm_min());
  // Far from 1 in both directions.
  expect_reads<double>("0." + std::string(500, '0') + "1e501", 1);
  expect_reads<double>('1' + std::string(500, '0') + "e-500", 1);
}

TEST(Numbers, SayWhatIsWrong) {
  const auto wrong = [](const std::string& text) {
    const ReadNumber<double> number = read_number<double>(text);
    EXPECT_FALSE(number.value) << text;
    EXPECT_FALSE(read_number<float>(text).value) << text;
    return std::string(number.wrong);
  };
  for (const std::string& text :
       std::vector<std::string>{"1e400", "-1e400", "+1E+999999999999999999999",
                                '1' + std::string(400, '0'), '9' + std::string(999, '9')}) {
    EXPECT_EQ(wrong(text), "is too large") << text;
  }
  EXPECT_EQ(read_number<float>("1e39").wrong, "is too large");
  for (const char* text : {"inf", "-INF", "+Infinity", "nan", "NaN(1)", "-nan"}) {
    EXPECT_EQ(wrong(text), "is not finite") << text;
  }
  for (const char* text : {"0x1p3", "-0X10", "0x"}) EXPECT_EQ(wrong(text), "is hexadecimal");
  for (const char* text : {"", "  "}) EXPECT_EQ(wrong(text), "is empty");
  for (const char* text : {"+-1",
                           "--1",
                           "++1",
                           "+ 1",
                           "1 2",
                           "1,5",
                           "1.5V",
                           "1e",
                           "1e+",
                           "e5",
                           ".",
                           "-",
                           "+",
                           ".e1",
                           "1.2.3",
                           "1_000",
                           "1d5",
                           "1-2",
                           "\xEF\xBB\xBF"
                           "1",
                           "OVLD",
                           "\x01"}) {
    EXPECT_EQ(wrong(text), "is not a number") << text;
  }
}

// Every text written by the standard library reads back as the same bits.
TEST(Numbers, ReadBackTheSameBits) {
  Random random(1, Stream::kShuffle, 0);
  for (int i = 0; i < 20000; ++i) {
    const double value =
        std::ldexp(random.uniform() - 0.5, static_cast<int>(random.below(2100)) - 1070);
    if (!std::isfinite(value)) continue;
    char text[64];
    const auto end = std::to_chars(text, text + sizeof text, value).ptr;
    EXPECT_EQ(read_number<double>({text, end}).value, value);
    const auto narrow = static_cast<float>(value);
    if (!std::isfinite(narrow)) continue;
    const auto short_end = std::to_chars(text, text + sizeof text, narrow).ptr;
    EXPECT_EQ(read_number<float>({text, short_end}).value, narrow);
  }
}

TEST(Numbers, KnowTheValuesThatStandForNone) {
  for (const double value : {9.9e37, -9.9e37, 9.91e37}) {
    EXPECT_TRUE(is_overload(value));
    EXPECT_TRUE(is_overload(static_cast<float>(value)));
  }
  for (const double value : {0.0, 1.0, 9.8e37, 9.92e37, 1e38, 1e300, -9.8e37}) {
    EXPECT_FALSE(is_overload(value)) << value;
  }
}

TEST(Numbers, AreSplitAtBlanksAndCommas) {
  const auto split = [](std::string_view line) {
    std::vector<std::string_view> fields{"left over"};
    split_numbers(line, fields);
    return fields;
  };
  EXPECT_THAT(split(""), ElementsAre());
  EXPECT_THAT(split(" \t\r"), ElementsAre());
  EXPECT_THAT(split("1 2,3 , 4\t5\r"), ElementsAre("1", "2", "3", "4", "5"));
  EXPECT_THAT(split("1,2,"), ElementsAre("1", "2"));
  EXPECT_THAT(split("1,,2"), ElementsAre("1", "", "2"));
  EXPECT_THAT(split("1, ,2"), ElementsAre("1", "", "2"));
  EXPECT_THAT(split(",1"), ElementsAre("", "1"));
  EXPECT_THAT(split(","), ElementsAre(""));
  EXPECT_THAT(split("1-2 0x1p3"), ElementsAre("1-2", "0x1p3"));
}

TEST(Numbers, SkipAByteOrderMark) {
  EXPECT_EQ(without_byte_order_mark("\xEF\xBB\xBF"
                                    "1,2",
                                    "g.csv"),
            "1,2");
  EXPECT_EQ(without_byte_order_mark("1,2", "g.csv"), "1,2");
  EXPECT_EQ(without_byte_order_mark("", "g.csv"), "");
  // Only the first: a second one is not a mark.
  EXPECT_EQ(without_byte_order_mark("\xEF\xBB\xBF\xEF\xBB\xBF", "g.csv"), "\xEF\xBB\xBF");
  for (const std::string& bytes : {std::string("\xFF\xFE"
                                               "1\0",
                                               4),
                                   std::string("\xFE\xFF\0"
                                               "1",
                                               4),
                                   std::string("\0\0\xFE\xFF", 4)}) {
    EXPECT_THAT([&] { without_byte_order_mark(bytes, "g.csv"); },
                ThrowsMessage<Error>(HasSubstr("g.csv: is text in UTF-16")));
  }
}

TEST(Numbers, AreWrittenWithFixedDigits) {
  EXPECT_EQ(fixed_text(2.0 / 3, 4), "0.6667");
  EXPECT_EQ(fixed_text(-1234.5, 0), "-1234");
  EXPECT_EQ(fixed_text(0, 2), "0.00");
  EXPECT_EQ(fixed_text(NAN, 2), "-");
  EXPECT_EQ(fixed_text(INFINITY, 1), "inf");
  EXPECT_EQ(fixed_text(-1e308, 3).size(), 314u);  // sign, 309 digits, point, 3 digits
}

// Those of printf() in the locale "C".
TEST(Numbers, AreRoundedToSignificantDigits) {
  EXPECT_EQ(rounded_text(2.0 / 3, 4), "0.6667");
  EXPECT_EQ(rounded_text(1234567, 6), "1.23457e+06");
  EXPECT_EQ(rounded_text(0.5, 9), "0.5");
  EXPECT_EQ(rounded_text(-0.0, 3), "-0");
  EXPECT_EQ(rounded_text(INFINITY, 3), "inf");
  Random random(7, Stream::kTest);
  for (int i = 0; i < 1000; ++i) {
    const double value = (random.below(2) == 0 ? 1 : -1) * std::pow(10, random.uniform(-320, 308));
    for (const int digits : {0, 1, 3, 6, 9, 12, 17, 40}) {
      char expected[400];
      std::snprintf(expected, sizeof expected, "%.*g", digits, value);
      EXPECT_EQ(rounded_text(value, digits), expected);
      std::snprintf(expected, sizeof expected, "%.*f", digits, value);
      EXPECT_EQ(fixed_text(value, digits), expected);
    }
  }
}

TEST(Numbers, HaveAPointInEveryLocale) {
  const DecimalComma locale;
  EXPECT_EQ(exact_text(0.25), "0.25");
  EXPECT_EQ(fixed_text(1234.5, 2), "1234.50");
  EXPECT_EQ(rounded_text(1234.5, 6), "1234.5");
  EXPECT_EQ(read_number<double>("0.25").value, 0.25);
  EXPECT_FALSE(read_number<double>("0,25").value);
}

TEST(Numbers, ForgiveRoundingToBinary32) {
  for (const double exact : {20.7, 10.35, 88.2, 1e-6, 31536000.7, -0.3}) {
    EXPECT_TRUE(nearly_equal(exact, static_cast<float>(exact)));
    EXPECT_TRUE(nearly_equal(static_cast<float>(exact), exact));
    EXPECT_FALSE(nearly_equal(exact, exact * 1.000001));
  }
  EXPECT_TRUE(nearly_within(20.7000008, 0, 20.7));
  EXPECT_TRUE(nearly_within(0, 0, 20.7));
  EXPECT_FALSE(nearly_within(20.70002, 0, 20.7));
  EXPECT_FALSE(nearly_within(-1e-12, 0, 20.7));
  EXPECT_FALSE(nearly_within(NAN, 0, 20.7));
  EXPECT_FALSE(nearly_within(INFINITY, 0, 20.7));
}

}  // namespace
}  // namespace crosstate
