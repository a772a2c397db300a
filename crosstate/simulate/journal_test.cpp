#include "crosstate/simulate/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/identity.h"

namespace crosstate::simulate {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const SimulateJournal::Sums kSums = {0.1 + 0.2, -1e-300, 3};  // must be kept bit for bit

class Journal : public testing::Test {
 protected:
  std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) /
                                ("journal-" + std::to_string(getpid()) + ".jsonl");
  nlohmann::json identity_ = {{"model", "m"}, {"seed", 1}};

  SimulateJournal resumed() const { return {path_, identity_, true}; }
  void append(const std::string& text) const { write_file(path_, read_file(path_) + text); }
  ~Journal() override { std::filesystem::remove(path_); }
};

TEST_F(Journal, KnowsWhatWasAddedBeforeItEnded) {
  {
    SimulateJournal journal(path_, identity_, false);
    EXPECT_FALSE(journal.find(0, 0));
    EXPECT_FALSE(journal.find_chunk(0, 0, 0, 16));
    journal.add_chunk(0, 0, 0, 16, {9, 7});
    journal.add(0, 0, kSums);
    journal.add_chunk(0, 1, 0, 16, {0, 16});
    journal.add_chunk(0, 1, 16, 20, {4, 0});
  }
  append("{\"chip\":0,\"age\":1,\"fir");  // cut off
  const SimulateJournal journal = resumed();
  EXPECT_EQ(journal.find(0, 0), kSums);
  EXPECT_FALSE(journal.find(0, 1));
  EXPECT_EQ(journal.find_chunk(0, 1, 0, 16), (SimulateJournal::Sums{0, 16}));
  EXPECT_EQ(journal.find_chunk(0, 1, 16, 20), (SimulateJournal::Sums{4, 0}));
  EXPECT_FALSE(journal.find_chunk(0, 1, 16, 32));
  EXPECT_FALSE(journal.find_chunk(1, 1, 16, 20));
}

TEST_F(Journal, KeepsChunksOnlyOfWhatIsNotFinished) {
  {
    SimulateJournal journal(path_, identity_, false);
    journal.add_chunk(0, 0, 0, 16, {9, 7});
    journal.add(0, 0, {0.5});
    journal.add_chunk(0, 1, 0, 16, {0, 16});
  }
  resumed();
  const std::string text = read_file(path_);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_TRUE(resumed().find_chunk(0, 1, 0, 16));
}

TEST_F(Journal, StartsAnewWithoutResume) {
  SimulateJournal(path_, identity_, false).add_chunk(0, 0, 0, 16, {9});
  EXPECT_FALSE(SimulateJournal(path_, identity_, false).find_chunk(0, 0, 0, 16));
}

TEST_F(Journal, OfTheFirstVersionHasNoFormatAndThoseOfNewerOnesAreRefused) {
  SimulateJournal(path_, identity_, false).add(0, 0, {0.5});
  const std::string text = read_file(path_), format = "\"format\":\"crosstate simulation 1\",";
  const std::size_t at = text.find(format);
  ASSERT_LT(at, text.find('\n'));
  std::string changed = text;
  write_file(path_, changed.erase(at, format.size()));
  EXPECT_TRUE(resumed().find(0, 0));
  EXPECT_EQ(read_file(path_), text);  // continues in this version
  changed = text;
  write_file(path_, changed.replace(text.find("tion 1"), 6, "tion 2"));
  EXPECT_THAT([&] { resumed(); }, ThrowsMessage<Error>(HasSubstr(
                                      "line 1: format 'crosstate simulation 2', expected "
                                      "'crosstate simulation 1': it was written by a newer")));
  EXPECT_EQ(read_file(path_), changed);
}

TEST_F(Journal, RefusesOtherSimulationsAndDamage) {
  SimulateJournal(path_, identity_, false).add(0, 0, {0.5});
  EXPECT_THAT(
      [&] {
        SimulateJournal(path_, {{"model", "m"}, {"seed", 2}}, true);
      },
      ThrowsMessage<CannotContinue>(HasSubstr("line 1: seed was 1 and is now 2")));
  EXPECT_THAT(
      [&] {
        SimulateJournal(path_, {{"model", "m"}}, true);
      },
      ThrowsMessage<CannotContinue>(HasSubstr("seed was 1 and is now missing")));
  nlohmann::json more = identity_;
  more["external"] = 1;
  EXPECT_THAT([&] { SimulateJournal(path_, more, true); },
              ThrowsMessage<CannotContinue>(HasSubstr("external was missing")));
  const std::string text = read_file(path_);
  write_file(path_, "{\"a\":" + std::string(200'000, '[') + std::string(200'000, ']') + "}\n");
  EXPECT_THAT([&] { resumed(); }, ThrowsMessage<Error>(HasSubstr("line 1: nested too deeply")));
  write_file(path_, text);
  append("{\"chip\":0,\"age\":1,\"first\":0,\"last\":16}\n");
  EXPECT_THAT([&] { resumed(); }, ThrowsMessage<Error>(HasSubstr("line 3: expected chip, age")));
}

}  // namespace
}  // namespace crosstate::simulate
