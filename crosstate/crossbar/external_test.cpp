#include "crosstate/hardware/external.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/threads.h"
#include "crosstate/crossbar/target.h"

namespace crosstate::crossbar {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t kRows = 4, kLines = 6;

std::string python_chip(const std::string& arguments = "") {
  return "exec python3 '" CROSSTATE_SOURCE_DIR "/examples/simulated_chip.py' " + arguments;
}

// Two arrays; the cell of array a at row r and line l has a + r + l / 10 uS.
std::unique_ptr<hardware::ExternalChip> programmed(const std::string& arguments = "",
                                                   double timeout = 20) {
  const hardware::ExternalOptions options{.command = python_chip(arguments), .timeout = timeout};
  auto chip = std::make_unique<hardware::ExternalChip>(options, 2, kRows, kLines);
  for (std::size_t a = 0; a < 2; ++a) {
    std::vector<double> cells;
    for (std::size_t i = 0; i < kRows * kLines; ++i) {
      cells.push_back(1e-6 *
                      (static_cast<double>(a + i / kLines) + static_cast<double>(i % kLines) / 10));
    }
    chip->program(a, cells);
  }
  return chip;
}

// Row 2 alone at 0.5 V, then all rows at -1 V.
std::vector<double> read(hardware::ExternalChip& chip, std::size_t array) {
  const std::vector<double> volts{0, 0, 0.5, 0, -1, -1, -1, -1};
  std::vector<double> amperes(4);
  chip.multiply(array, {3, 2}, 2, volts, amperes);
  return amperes;
}

void expect_currents(const std::vector<double>& found, double array) {
  EXPECT_NEAR(found[0], 0.5e-6 * (array + 2.3), 1e-18);
  EXPECT_NEAR(found[1], 0.5e-6 * (array + 2.4), 1e-18);
  EXPECT_NEAR(found[2], -1e-6 * (4 * array + 6 + 1.2), 1e-18);
  EXPECT_NEAR(found[3], -1e-6 * (4 * array + 6 + 1.6), 1e-18);
}

void expect_no_children() {
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(ExternalChip, ProgramsAgesAndMultiplies) {
  {
    const auto chip = programmed();
    expect_currents(read(*chip, 0), 0);
    chip->age_to(100);
    expect_currents(read(*chip, 1), 1);
    EXPECT_THAT([&] { chip->age_to(99); },
                ThrowsMessage<Error>(HasSubstr("before the present age")));
    expect_currents(read(*chip, 0), 0);
  }
  expect_no_children();
}

TEST(ExternalChip, TakesTurnsBetweenThreads) {
  const auto chip = programmed();
  ThreadPool pool(4);
  std::vector<std::vector<double>> found(40);
  pool.parallel_for(found.size(), [&](std::size_t i, int) { found[i] = read(*chip, i % 2); });
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], found[i % 2]);
  expect_currents(found[1], 1);
}

// Far more data than pipes can buffer in both directions, to a driver that answers line by line.
TEST(ExternalChip, LargeMessagesDoNotBlock) {
  hardware::ExternalChip chip(
      {.command =
           "read x; echo ok 1; exec sed -u -e 's/^[m-q].*/ok/;t' -e 's/.*/0.1250000000000000/'",
       .timeout = 20},
      1, 2, 2);
  const std::size_t count = 10000;
  const std::vector<double> volts(2 * count, 0.1234567890123456);
  std::vector<double> amperes(count);
  chip.multiply(0, {0, 1}, count, volts, amperes);
  EXPECT_EQ(amperes, std::vector<double>(count, 0.125));
}

// A prompt error that names command and request; the same error for later requests; no process is
// left.
void expect_failure(const std::string& arguments, const std::string& what) {
  SCOPED_TRACE(arguments);
  const auto begin = std::chrono::steady_clock::now();
  {
    const auto chip = programmed(arguments);
    expect_currents(read(*chip, 1), 1);
    const auto error = AllOf(HasSubstr("external chip \"exec python3"),
                             HasSubstr("multiply 2 vectors by array 0: "), HasSubstr(what));
    EXPECT_THAT([&] { read(*chip, 0); }, ThrowsMessage<Error>(error));
    EXPECT_THAT([&] { read(*chip, 1); }, ThrowsMessage<Error>(error));
    EXPECT_THAT([&] { chip->age_to(1e9); }, ThrowsMessage<Error>(error));
  }
  expect_no_children();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST(ExternalChip, TellsOfADriverThatIsKilled) {
  expect_failure("--die-after 2", "ended by signal 9 (Killed); received: 0 of 3 lines");
}

TEST(ExternalChip, TellsOfNonsense) {
  expect_failure("--nonsense 2", "the chip answers \"what?\", expected \"ok\"");
  expect_failure("--nonsense 2 --kind count", "has 1 numbers, expected 2");
  expect_failure("--nonsense 2 --kind nan", "has \"nan\", an overload or no measurement, expected");
}

TEST(ExternalChip, TellsOfADriverThatIsSlow) {
  const auto chip = programmed("--slow 100", 1);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THAT([&] { read(*chip, 0); },
              ThrowsMessage<Error>(
                  HasSubstr("no complete reply within 1 s (external.timeout); received: 0")));
  hardware::ExternalChip brief(
      {.command = "read x; echo ok 1; read x; echo ok; sleep 100", .timeout = 0.5}, 2, kRows,
      kLines);
  EXPECT_THAT([&] { read(brief, 0); }, ThrowsMessage<Error>(HasSubstr("received: 1 of 3 lines")));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(8));
  expect_no_children();
}

void expect_no_start(const std::string& command, const std::string& what, double timeout = 20) {
  EXPECT_THAT([&] { hardware::ExternalChip({.command = command, .timeout = timeout}, 1, 2, 2); },
              ThrowsMessage<Error>(
                  AllOf(HasSubstr("external chip \"" + command + "\", hello: "), HasSubstr(what))));
  expect_no_children();
}

TEST(ExternalChip, TellsOfADriverThatDoesNotGreet) {
  expect_no_start("exit 3", "the driver ended with status 3");
  expect_no_start("/nowhere/driver 2>/dev/null", "the driver ended with status 127");
  expect_no_start("sleep 100 & sleep 100", "no complete reply within 0.2 s", 0.2);
  expect_no_start("read x; echo ok 2", "answers \"ok 2\", expected \"ok 1\"");
  expect_no_start("read x; echo error only 1 row of 2", "answers \"error only 1 row of 2\"");
  expect_no_start("yes", "answers \"y\"");
  expect_no_start("yes | tr -d '\\n'", "line 1 has more than");
}

// Neither a broken pipe nor an unread message ends this process.
TEST(ExternalChip, TellsOfADriverThatDoesNotListen) {
  const std::vector<double> cells(100000, 1e-6);
  hardware::ExternalChip deaf({.command = "read x; echo ok 1; exec <&-; sleep 100", .timeout = 0.5},
                              1, 1, cells.size());
  EXPECT_THAT([&] { deaf.program(0, cells); },
              ThrowsMessage<Error>(HasSubstr("program array 0: ")));
  hardware::ExternalChip hasty(
      {.command = "read x; echo ok 1; read x; exec <&-; echo ok; sleep 100", .timeout = 5}, 1, 1,
      cells.size());
  EXPECT_THAT(
      [&] { hasty.program(0, cells); },
      ThrowsMessage<Error>(HasSubstr("closed its input before it had read the whole request")));
  hardware::ExternalChip talker(
      {.command = "read x; echo ok 1; read x; echo ok; echo 1; cat", .timeout = 5}, 1, 1, 2);
  EXPECT_THAT(
      [&] {
        talker.age_to(0);
        for (;;) talker.age_to(0);
      },
      ThrowsMessage<Error>(AllOf(HasSubstr("age 0 s: "), HasSubstr("\"1"))));
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST(ExternalOptions, AreASectionOfTheTarget) {
  Target target;
  FieldList list;
  fields(list, target);
  list.set("external.command=./driver --port 3");
  list.set("external.voltage=0.1");
  EXPECT_TRUE(target.external.used());
  EXPECT_EQ(target.external.command, "./driver --port 3");
  validate(target);
  EXPECT_THAT([&] { list.set("external.timeout=0"); },
              ThrowsMessage<Error>(HasSubstr("external.timeout")));
  EXPECT_FALSE(ideal_target(target).external.used());
}

}  // namespace
}  // namespace crosstate::crossbar
