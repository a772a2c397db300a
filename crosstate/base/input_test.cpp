#include "crosstate/base/input.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// A pipe whose writer has written everything and closed its end.
class Written {
 public:
  explicit Written(const std::string& bytes) {
    int ends[2];
    if (pipe(ends) != 0) ADD_FAILURE() << "no pipe";
    if (write(ends[1], bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
      ADD_FAILURE() << "the pipe is full";
    }
    close(ends[1]);
    number_ = ends[0];
  }
  ~Written() { close(number_); }
  int number() const { return number_; }

 private:
  int number_ = -1;
};

std::vector<std::string> lines_of(const std::string& bytes) {
  const Written pipe(bytes);
  Input input(pipe.number(), "pipe");
  std::vector<std::string> lines;
  for (std::string line; input.line(line, 100);) lines.push_back(line);
  EXPECT_EQ(input.line_number(), static_cast<long long>(lines.size()));
  return lines;
}

TEST(Input, ComesInLines) {
  EXPECT_THAT(lines_of(""), ElementsAre());
  EXPECT_THAT(lines_of("1\n\n2\n"), ElementsAre("1", "", "2"));
  EXPECT_THAT(lines_of("1\r\n2"), ElementsAre("1\r", "2"));
  EXPECT_THAT(lines_of("\n"), ElementsAre(""));
}

TEST(Input, ShowsBytesWithoutUsingThem) {
  const Written pipe("ab\ncd");
  Input input(pipe.number(), "pipe");
  EXPECT_EQ(input.peek(1), "a");
  EXPECT_EQ(input.peek(4), "ab\nc");
  std::string line;
  EXPECT_TRUE(input.line(line, 100));
  EXPECT_EQ(line, "ab");
  EXPECT_EQ(input.peek(9), "cd");
  EXPECT_TRUE(input.line(line, 100));
  EXPECT_EQ(line, "cd");
  EXPECT_EQ(input.peek(1), "");
}

TEST(Input, ShowsBytesThatArriveOneByOne) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    for (const char byte : std::string("12345")) {
      EXPECT_EQ(write(ends[1], &byte, 1), 1);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    close(ends[1]);
  });
  Input input(ends[0], "pipe");
  EXPECT_EQ(input.peek(3), "123");
  EXPECT_EQ(input.peek(5), "12345");
  char bytes[6] = {};
  EXPECT_EQ(input.bytes(bytes, 6), 5u);
  EXPECT_STREQ(bytes, "12345");
  writer.join();
  close(ends[0]);
}

TEST(Input, ComesInBytes) {
  const Written pipe("abcdefg");
  Input input(pipe.number(), "pipe");
  char bytes[5] = {};
  EXPECT_EQ(input.bytes(bytes, 5), 5u);
  EXPECT_EQ(std::string(bytes, 5), "abcde");
  EXPECT_EQ(input.bytes(bytes, 5), 2u);
  EXPECT_EQ(std::string(bytes, 2), "fg");
  EXPECT_EQ(input.bytes(bytes, 5), 0u);
}

TEST(Input, TellsAFailureFromAnEnd) {
  const auto expect_failure = [](int number, const std::string& reason) {
    const std::string message = "standard input: cannot read: " + reason;
    Input lines(number, "standard input"), bytes(number, "standard input");
    std::string line;
    char byte;
    EXPECT_THAT([&] { lines.line(line, 100); }, ThrowsMessage<Error>(HasSubstr(message)));
    EXPECT_THAT([&] { bytes.bytes(&byte, 1); }, ThrowsMessage<Error>(HasSubstr(message)));
  };
  const int directory = open("/", O_RDONLY | O_DIRECTORY);
  expect_failure(directory, "Is a directory");
  close(directory);
  expect_failure(directory, "Bad file descriptor");
  const int output = open("/dev/null", O_WRONLY);
  expect_failure(output, "Bad file descriptor");
  close(output);
}

TEST(Input, RefusesLinesWithoutAnEnd) {
  const Written pipe("1\n" + std::string(101, '0'));
  Input input(pipe.number(), "pipe");
  std::string line;
  EXPECT_TRUE(input.line(line, 100));
  EXPECT_THAT([&] { input.line(line, 100); },
              ThrowsMessage<Error>(HasSubstr("pipe:2: more than 100 bytes in one line")));
}

TEST(Input, WaitsWhereTheDescriptorDoesNot) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(write(ends[1], "late\n", 5), 5);
    close(ends[1]);
  });
  Input input(ends[0], "pipe");
  std::string line;
  EXPECT_TRUE(input.line(line, 100));
  EXPECT_EQ(line, "late");
  EXPECT_FALSE(input.line(line, 100));
  writer.join();
  close(ends[0]);
}

}  // namespace
}  // namespace crosstate
