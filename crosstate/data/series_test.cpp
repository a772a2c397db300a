#include "crosstate/data/series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/formats/matrix.h"

namespace crosstate::data {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

DataOptions csv(int channels, int targets) {
  DataOptions options;
  options.channels = channels;
  options.targets = targets;
  return options;
}

class SeriesTest : public testing::Test {
 protected:
  SeriesTest() { fs::create_directories(directory_); }
  ~SeriesTest() override { fs::remove_all(directory_); }
  void write(const std::string& name, const std::string& text) const {
    write_file(directory_ / name, text);
  }
  TrainTest read(const DataOptions& options = {},
                 const task::Task& task = task::regression()) const {
    return read_series(directory_, options, task);
  }
  void expect_error(const std::string& message, const DataOptions& options = {},
                    const task::Task& task = task::regression()) const {
    EXPECT_THAT([&] { read(options, task); }, ThrowsMessage<Error>(HasSubstr(message)));
  }

  fs::path directory_ = fs::path(testing::TempDir()) / ("series-" + std::to_string(getpid()));
};

TEST_F(SeriesTest, ReadsTargetsThenSteps) {
  write("train.csv", "force, x0,x1,x2\n1.5, 1,2,3\r\n-2,4,5,6\n");
  write("test.csv", "0.5,7,8,9\n");
  const TrainTest sets = read();
  EXPECT_EQ(sets.train.count, 2u);
  EXPECT_EQ(sets.train.length, 3u);
  EXPECT_THAT(sets.train.values, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(sets.train.targets, ElementsAre(1.5f, -2));
  EXPECT_THAT(sets.train.readout.names, ElementsAre("force"));
  EXPECT_EQ(sets.test.readout, sets.train.readout);
  EXPECT_TRUE(sets.train.lengths.empty());
  EXPECT_THAT(sets.test.targets, ElementsAre(0.5f));
}

TEST_F(SeriesTest, ReadsChannelsSeveralTargetsAndUnequalLengths) {
  write("train.csv", "1,2,10,20,11,21\n3,4,30,40,,\n");
  write("test.csv", "a,b\n5,6,1,2\n");
  const TrainTest sets = read(csv(2, 2));
  EXPECT_EQ(sets.train.channels, 2u);
  EXPECT_THAT(sets.train.values, ElementsAre(10, 20, 11, 21, 30, 40, 0, 0));
  EXPECT_THAT(sets.train.lengths, ElementsAre(2, 1));
  EXPECT_THAT(sets.train.target(1), ElementsAre(3, 4));
  EXPECT_THAT(sets.train.readout.names, ElementsAre("a", "b"));
}

TEST_F(SeriesTest, ReadsClassesThatOnePartLacks) {
  write("train.csv", "walk,1,2\nsit,3,4\n");
  write("test.csv", "run,1,2\nwalk,1,1\n");
  const TrainTest sets = read({}, task::classification());
  EXPECT_THAT(sets.train.readout.names, ElementsAre("run", "sit", "walk"));
  EXPECT_THAT(sets.train.targets, ElementsAre(2, 1));
  EXPECT_THAT(sets.test.targets, ElementsAre(0, 2));
}

TEST_F(SeriesTest, ReadsWhatNumPyWrites) {
  const formats::Matrix x{2, 3, {1, 2, 3, 4, 5, 6}}, y{2, 1, {0.25, 0.5}}, lengths{2, 1, {3, 2}};
  write("train.npz", formats::format_npz({{"x", x}, {"y", y}}));
  write("test.npz", formats::format_npz({{"x", x}, {"y", y}, {"lengths", lengths}}));
  const TrainTest sets = read();
  EXPECT_THAT(sets.train.values, ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(sets.train.targets, ElementsAre(0.25f, 0.5f));
  EXPECT_THAT(sets.test.values, ElementsAre(1, 2, 3, 4, 5, 0));
  EXPECT_THAT(sets.test.lengths, ElementsAre(3, 2));
  EXPECT_TRUE(holds_series(directory_));
}

TEST_F(SeriesTest, ReadsATargetAtEveryStep) {
  write("train.csv", "state,x\nrest,1\nrun,2\n,3\n\nrun,4\n");
  write("test.csv", "-1,5\r\nrest,6\r\n\r\n\r\nwalk,7\r\n");
  const TrainTest sets = read_series(directory_, {}, task::classification(), task::Scope::kStep);
  EXPECT_THAT(sets.train.readout.names, ElementsAre("rest", "run", "walk"));
  EXPECT_TRUE(sets.train.readout.every_step());
  EXPECT_THAT(sets.train.values, ElementsAre(1, 2, 3, 4, 0, 0));
  EXPECT_THAT(sets.train.lengths, ElementsAre(3, 1));
  EXPECT_THAT(sets.train.counted_targets(), ElementsAre(0, 1, 1));
  EXPECT_FALSE(task::counts(sets.train.target(0, 2)));
  EXPECT_THAT(sets.test.values, ElementsAre(5, 6, 7, 0));
  EXPECT_THAT(sets.test.counted_targets(), ElementsAre(0, 2));
  EXPECT_FALSE(task::counts(sets.test.target(0)));
}

TEST_F(SeriesTest, ReadsSeveralTargetsAtEveryStep) {
  write("train.csv", "1,-1,10,20\n,,11,21\n3,4,30,40\n");
  write("test.csv", "a,b,u,v\n5,6,1,2\n");
  const TrainTest sets = read_series(directory_, csv(2, 2), task::regression(), task::Scope::kStep);
  EXPECT_EQ(sets.train.count, 1u);
  EXPECT_EQ(sets.train.length, 3u);
  EXPECT_TRUE(sets.train.lengths.empty());
  EXPECT_THAT(sets.train.readout.names, ElementsAre("a", "b"));
  EXPECT_THAT(sets.train.counted_targets(), ElementsAre(1, -1, 3, 4));
}

TEST_F(SeriesTest, ReadsTargetsAtEveryStepThatNumPyWrites) {
  const double nan = std::nan("");
  const formats::Matrix x{2, 3, {1, 2, 3, 4, 5, 6}}, y{2, 3, {1, -1, 0, 0, 1, 1}};
  const formats::Matrix values{2, 3, {1, nan, 0.5, -1, 0, 2}}, lengths{2, 1, {3, 2}};
  write("train.npz", formats::format_npz({{"x", x}, {"y", y}}));
  write("test.npz", formats::format_npz({{"x", x}, {"y", y}, {"lengths", lengths}}));
  TrainTest sets = read_series(directory_, {}, task::classification(), task::Scope::kStep);
  EXPECT_THAT(sets.train.counted_targets(), ElementsAre(1, 0, 0, 1, 1));
  EXPECT_THAT(sets.test.counted_targets(), ElementsAre(1, 0, 0, 1));
  write("train.npz", formats::format_npz({{"x", x}, {"y", values}}));
  write("test.npz", formats::format_npz({{"x", x}, {"y", values}}));
  sets = read_series(directory_, {}, task::regression(), task::Scope::kStep);
  EXPECT_THAT(sets.train.counted_targets(), ElementsAre(1, 0.5f, -1, 0, 2));
}

TEST_F(SeriesTest, TellsWhatIsWrongWithTargetsOfSteps) {
  const auto refused = [&](const std::string& message, const DataOptions& options = {}) {
    EXPECT_THAT([&] { read_series(directory_, options, task::regression(), task::Scope::kStep); },
                ThrowsMessage<Error>(HasSubstr(message)));
  };
  write("test.csv", "1,2\n");
  write("train.csv", "1,2\n1,2,3\n");
  refused("train.csv:2: 3 fields, expected data.targets = 1 target values, then one step of");
  write("train.csv", "1,2,3\n1,,3\n");
  write("test.csv", "1,2,3\n");
  refused("train.csv:2: has 1 of 2 targets, expected all or none", csv(1, 2));
  write("test.csv", "1,2\n");
  write("train.csv", ",2\n,3\n");
  refused("train.csv: no step has a target");
  write("train.npz", formats::format_npz({{"x", {1, 2, {1, 2}}}, {"y", {1, 1, {1}}}}));
  refused("train.npz: y: expected one target for each of the 2 steps");
  write("train.npz", formats::format_npz({{"x", {1, 2, {1, 2}}}, {"y", {1, 2, {1, INFINITY}}}}));
  refused("train.npz: row 0: y is inf at step 1, expected a finite number, or NaN");
}

TEST_F(SeriesTest, RefusesNegativeClassesBesideStepsWithoutATarget) {
  const auto read_steps = [&] {
    return read_series(directory_, {}, task::classification(), task::Scope::kStep);
  };
  const auto refused = [&](const std::string& message) {
    EXPECT_THAT(read_steps, ThrowsMessage<Error>(HasSubstr(message)));
  };
  const formats::Matrix x{1, 3, {1, 2, 3}};
  write("test.npz", formats::format_npz({{"x", x}, {"y", {1, 3, {0, 1, 1}}}}));
  write("train.npz", formats::format_npz({{"x", x}, {"y", {1, 3, {-1, -2, 1}}}}));
  refused("train.npz: row 0, step 1: target -2 beside -1, which marks steps without a target");
  // The mark and the number may be in different parts, and classes may have names.
  write("test.npz", formats::format_npz({{"x", x}, {"y", {1, 3, {0, -1, 1}}}}));
  write("train.npz", formats::format_npz({{"x", x}, {"y", {1, 3, {0, 1, -3}}}}));
  refused("train.npz: row 0, step 2: target -3 beside -1");
  fs::remove(directory_ / "train.npz");
  write("train.csv", "rest,1\n-2,2\n");
  refused("train.csv:2: target -2 beside -1");
  // Without a mark, and with targets of whole sequences, nothing is ambiguous.
  write("train.csv", "-2,1\n0,2\n");
  write("test.npz", formats::format_npz({{"x", x}, {"y", {1, 3, {0, NAN, -2}}}}));
  EXPECT_THAT(read_steps().train.readout.names, ElementsAre("-2", "0"));
  write("train.csv", "-2,1\n-1,2\n");
  write("test.npz", formats::format_npz({{"x", {1, 1, {1}}}, {"y", {1, 1, {0}}}}));
  EXPECT_THAT(read({}, task::classification()).train.readout.names, ElementsAre("-2", "-1", "0"));
}

TEST_F(SeriesTest, RefusesLinesOfSeparators) {
  write("test.csv", "0,1\n");
  for (const char* line : {",", " , \r", ",,,", "\"\",", "\"\""}) {
    write("train.csv", std::string("0,1\n1,2\n") + line + "\n1,3\n");
    for (const task::Scope scope : {task::Scope::kStep, task::Scope::kSequence}) {
      EXPECT_THAT([&] { read_series(directory_, {}, task::classification(), scope); },
                  ThrowsMessage<Error>(HasSubstr("train.csv:3: no value, only separators")))
          << line;
    }
  }
  write("train.csv", "0,1\n1,2\n \t\r\n1,3\n\n");
  EXPECT_EQ(read_series(directory_, {}, task::classification(), task::Scope::kStep).train.count,
            2u);
}

TEST(MakeSeries, ReadsTheTargetsOfAllPartsTogether) {
  const auto part = [](const std::string& where, const std::vector<std::string>& cells,
                       std::size_t channels = 1) {
    SeriesPart made{where, channels, {}, {}};
    for (const std::string& cell : cells) {
      made.sequences.emplace_back(2 * channels, 1.0f);
      made.targets.cells.push_back(cell);
      made.targets.where.push_back(where);
    }
    return made;
  };
  const task::Task& task = task::classification();
  const std::vector<std::string> names = {"a", "b", "c"};
  const std::vector<Dataset> sets =
      make_series({part("x", {"5", "3"}), part("y", {"4"}), part("z", {"3"})}, names, task,
                  task::Scope::kSequence);
  ASSERT_EQ(sets.size(), 3u);
  for (const Dataset& set : sets) {
    EXPECT_EQ(set.readout.names, (std::vector<std::string>{"3", "4", "5"}));
  }
  EXPECT_EQ(sets[0].targets, (std::vector<float>{2, 0}));
  EXPECT_EQ(sets[1].targets, (std::vector<float>{1}));
  EXPECT_EQ(sets[2].name, "c");
  EXPECT_THAT(
      [&] {
        make_series({part("x", {"5", "3"}), part("y", {"4"}), part("z", {"3"}, 2)}, names, task,
                    task::Scope::kSequence);
      },
      ThrowsMessage<Error>(HasSubstr("z: 2 channels, but x has 1")));
}

TEST_F(SeriesTest, TellsWhatIsWrong) {
  EXPECT_FALSE(holds_series(directory_));
  expect_error("found neither train.csv nor train.npz");
  write("test.csv", "1,2,3\n");
  write("train.csv", "1,2,x\n");
  expect_error("train.csv:1: column 3: \"x\" is not a number");
  write("train.csv", "1,2,3\n1\n");
  expect_error("train.csv:2: 1 fields, expected data.targets = 1");
  write("train.csv", "1,2,3,4\n");
  expect_error("steps of data.channels = 2", csv(2, 1));
  write("train.csv", "tall,2,3\n");
  expect_error("train.csv:1: target \"tall\" is not a number");
  write("train.csv", "\n");
  expect_error("no sequences");
  write("train.csv", "1,2,3\n");
  expect_error("2 target columns, expected 1", csv(1, 2), task::classification());
  write("train.npz", formats::format_npz({{"x", {1, 2, {1, 2}}}}));
  expect_error("train.npz: has no array y");
  write("train.npz", formats::format_npz({{"x", {1, 2, {1, 2}}}, {"y", {2, 1, {1, 2}}}}));
  expect_error("train.npz: y: expected one row for each of the 1 sequences");
  write("train.npz", formats::format_npz({{"x", {1, 2, {1, 2}}}, {"y", {1, 1, {NAN}}}}));
  expect_error("train.npz: row 0: y is nan, expected a finite number", {}, task::classification());
}

}  // namespace
}  // namespace crosstate::data
