#include "crosstate/hardware/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate::hardware {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ExternalProtocol, SaysWhatToDoInLines) {
  EXPECT_EQ(hello_request(16, 64, 128), "hello 1 16 64 128\n");
  EXPECT_EQ(program_request(3, 2, std::vector<double>{1e-6, 0, 2.5e-5, 4e-5}),
            "program 3\n1e-06 0\n2.5e-05 4e-05\n");
  EXPECT_EQ(age_request(3600), "age 3600\n");
  EXPECT_EQ(multiply_request(3, {4, 2}, 2, std::vector<double>{0.2, 0, -0.1, 0.05}),
            "multiply 3 4 2 2\n0.2 0\n-0.1 0.05\n");
  EXPECT_EQ(quit_request(), "quit\n");
}

TEST(ExternalProtocol, NumbersReadBackAsTheSameBits) {
  const std::vector<double> numbers{0.1,    1.0 / 3, 0.2 * 3 / 127,
                                    1e-300, 5e-324,  std::numeric_limits<double>::max()};
  std::string text = multiply_request(0, {0, 2}, 1, numbers);
  std::vector<double> found(numbers.size());
  ReplyReader reader("chip", kReply, 1, found);
  reader.take("ok\n");
  reader.take(text.substr(text.find('\n') + 1));
  EXPECT_TRUE(reader.complete());
  EXPECT_EQ(found, numbers);
}

TEST(ExternalProtocol, TakesRepliesInPiecesOfAnySize) {
  const std::string text = "ok\r\n1 -2e-6\t3 \n 4   5 6\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    std::vector<double> found(6);
    ReplyReader reader("chip", kReply, 2, found);
    for (std::size_t i = 0; i < text.size(); i += size) {
      EXPECT_FALSE(reader.complete());
      reader.take(std::string_view(text).substr(i, size));
    }
    EXPECT_TRUE(reader.complete());
    EXPECT_THAT(found, ElementsAre(1, -2e-6, 3, 4, 5, 6));
  }
}

TEST(ExternalProtocol, TakesNumbersAsInstrumentsWriteThem) {
  std::vector<double> found(6);
  ReplyReader reader("chip", kReply, 2, found);
  reader.take("ok\n+1.000000E-06 -2.5e-7 1e-400\n.5 5. +0\n");
  EXPECT_TRUE(reader.complete());
  EXPECT_THAT(found, ElementsAre(1e-6, -2.5e-7, 0, 0.5, 5, 0));
}

TEST(ExternalProtocol, RefusesNumbersAboveTheirLimit) {
  std::vector<double> found(2);
  ReplyReader reader("chip", kReply, 2, found, 1e6);
  reader.take("ok\n-1e6\n");
  EXPECT_THAT([&] { reader.take("-1.1e6\n"); },
              ThrowsMessage<Error>(HasSubstr("line 2 of the currents has \"-1.1e6\", expected")));
}

TEST(ExternalProtocol, SkipsAByteOrderMarkWhereTheDriverBegins) {
  ReplyReader hello("chip", kHelloReply);
  hello.take("\xEF\xBB\xBFok 1\r\n");
  EXPECT_TRUE(hello.complete());
}

void expect_refused(const std::string& text, const std::string& what) {
  std::vector<double> found(6);
  ReplyReader reader("chip", kReply, 2, found);
  EXPECT_THAT([&] { reader.take(text); },
              ThrowsMessage<Error>(AllOf(HasSubstr("chip: "), HasSubstr(what))))
      << text;
}

TEST(ExternalProtocol, RefusesAnythingElse) {
  expect_refused("error no such array\n", "the chip answers \"error no such array\"");
  expect_refused("okay\n", "the chip answers \"okay\", expected \"ok\" or \"error TEXT\"");
  expect_refused("ok 1\n", "\"ok 1\"");
  expect_refused("\n", "answers \"\"");
  expect_refused("ok\n1 2\n", "line 1 of the currents has 2 numbers, expected 3");
  expect_refused("ok\n1 2 3\n1 2 3 4\n", "line 2 of the currents has 4 numbers, expected 3");
  expect_refused("ok\n\n", "has 0 numbers");
  for (const char* word :
       {"nan", "inf", "-inf", "1e999", "0x1", "1,5", "1.5V", "+-1", "--1", "\x01"}) {
    expect_refused("ok\n1 " + std::string(word) + " 3\n", "expected a finite number");
  }
  for (const char* word :
       {"9.91E+37", "9.90000000E+37", "-9.9E37", "9.91e37", "1e999", "inf", "-INF", "nan"}) {
    expect_refused("ok\n1 2 3\n1 " + std::string(word) + " 3\n",
                   "line 2 of the currents has \"" + std::string(word) + "\", an overload");
  }
  expect_refused("\xEF\xBB\xBFok\n1 2 3\n4 5 6\n", "the chip answers");
  expect_refused("ok\n1 2 3\n1 2 3\nok\n", "\"ok?\" after the whole reply");
  expect_refused(std::string(100000, 'x'), "line 1 has more than");
}

TEST(ExternalProtocol, KnowsHowMuchHasCome) {
  std::vector<double> found(6);
  ReplyReader reader("chip", kReply, 2, found);
  EXPECT_EQ(reader.progress(), "0 of 3 lines");
  reader.take("ok\n1 2 3\n1 2");
  EXPECT_EQ(reader.progress(), "2 of 3 lines");
  EXPECT_FALSE(reader.complete());
}

}  // namespace
}  // namespace crosstate::hardware
