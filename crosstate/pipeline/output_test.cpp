#include "crosstate/pipeline/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/testing.h"

namespace crosstate::pipeline {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

class Output : public DirectoryTest {
 protected:
  // The files that a command writes.
  void leave(const std::string& command, const std::vector<std::string>& files,
             Earlier earlier = Earlier::kRefuse) const {
    OutputDirectory output(directory_, command, earlier);
    output.begin();
    for (const std::string& file : files) write(file);
  }
  void write(const std::string& file) const {
    fs::create_directories((directory_ / file).parent_path());
    write_file(directory_ / file, file);
  }
  void open(const std::string& command, Earlier earlier = Earlier::kRefuse) const {
    OutputDirectory(directory_, command, earlier);
  }
  void replace(const std::string& command, const std::vector<fs::path>& inputs = {}) const {
    OutputDirectory(directory_, command, Earlier::kReplace).begin(inputs);
  }
  void expect_refused(const std::string& command, Earlier earlier, const std::string& part) const {
    EXPECT_THAT([&] { open(command, earlier); },
                ThrowsMessage<Error>(AllOf(HasSubstr(directory_.string()), HasSubstr(part))))
        << command;
  }
  std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(directory_)) {
      names.insert(fs::relative(entry.path(), directory_).generic_string());
    }
    return names;
  }
};

TEST_F(Output, RefusesAnEarlierRunOfAnyCommand) {
  leave("train", {"float.safetensors", "float.checkpoint.safetensors"});
  const std::set<std::string> before = files();
  expect_refused("train", Earlier::kRefuse, "--resume continues them, --overwrite replaces them");
  EXPECT_NO_THROW(open("train", Earlier::kContinue));
  for (const char* other : {"demo", "prune", "quantize", "deploy", "simulate", "sweep", "search"}) {
    for (const Earlier earlier : {Earlier::kRefuse, Earlier::kContinue}) {
      expect_refused(other, earlier, "holds results of train (float.checkpoint.safetensors)");
    }
  }
  EXPECT_EQ(files(), before);
}

TEST_F(Output, RecordsOfTheFirstVersionHaveNoFormatAndThoseOfNewerOnesAreRefused) {
  leave("train", {"float.safetensors"});
  const fs::path record = directory_ / "crosstate.json";
  EXPECT_THAT(read_file(record), HasSubstr("\"format\":\"crosstate output 1\""));
  write_file(record, "{\"commands\": [\"train\"]}");
  expect_refused("prune", Earlier::kRefuse, "holds results of train");
  write_file(record, "{\"format\": \"crosstate output 2\", \"commands\": [\"train\"]}");
  expect_refused(
      "prune", Earlier::kReplace,
      "crosstate.json: format 'crosstate output 2', expected 'crosstate output 1': it was "
      "written by a newer version");
  write_file(record, "{\"format\": 1, \"commands\": [\"train\"]}");
  expect_refused("prune", Earlier::kReplace, "format '1', expected 'crosstate output 1'");
  EXPECT_TRUE(fs::exists(directory_ / "float.safetensors"));
}

TEST_F(Output, HoldsNoRunThatLeftNothing) {
  leave("train", {});
  for (const char* command : {"train", "prune", "sweep"}) EXPECT_NO_THROW(open(command));
  write("notes.txt");
  EXPECT_NO_THROW(open("train"));
}

TEST_F(Output, KnowsWhatItContinues) {
  const auto continues = [&](Earlier earlier) {
    return OutputDirectory(directory_, "train", earlier).continues();
  };
  leave("train", {});
  EXPECT_FALSE(continues(Earlier::kContinue));
  write("ptq.safetensors");
  EXPECT_FALSE(continues(Earlier::kContinue));
  write("qat.checkpoint.safetensors");
  EXPECT_TRUE(continues(Earlier::kContinue));
  EXPECT_FALSE(continues(Earlier::kReplace));
}

TEST_F(Output, RefusesFilesThatItWouldWriteWhoeverMadeThem) {
  write("prune.json");
  expect_refused("prune", Earlier::kRefuse, "prune.json");
  EXPECT_NO_THROW(open("train"));
  write("points/a-1/qat.safetensors");
  expect_refused("sweep", Earlier::kRefuse, "points/a-1/qat.safetensors");
}

TEST_F(Output, RefusesFoldersInThePlaceOfFiles) {
  fs::create_directories(directory_ / "qat.safetensors");
  for (const Earlier earlier : {Earlier::kRefuse, Earlier::kContinue, Earlier::kReplace}) {
    expect_refused("train", earlier, "qat.safetensors: is a directory");
  }
  EXPECT_NO_THROW(open("simulate"));
}

TEST_F(Output, RecognisesRunsThatAreNotRecorded) {
  write("sweep.sqlite");
  expect_refused("train", Earlier::kRefuse, "holds results of sweep");
  replace("train");
  EXPECT_THAT(files(), ElementsAre("crosstate.json"));
}

TEST_F(Output, ReportsStandBesideEachOtherAndBesideARun) {
  leave("train", {"qat.safetensors"});
  leave("eval", {"eval.json"});
  leave("info", {"info.json"});
  leave("bench-scan", {"bench-scan.json"});
  expect_refused("eval", Earlier::kRefuse, "eval.json");
  // A report cannot be continued.
  expect_refused("eval", Earlier::kContinue, "--overwrite");
  EXPECT_NO_THROW(replace("eval"));
  EXPECT_TRUE(fs::exists(directory_ / "eval.json"));  // until the new one replaces it
  leave("cost", {"cost.json", "cost.html"});
  EXPECT_NO_THROW(open("train", Earlier::kContinue));
  expect_refused("train", Earlier::kRefuse, "qat.safetensors");
  expect_refused("demo", Earlier::kRefuse, "holds results of train");
}

TEST_F(Output, ReplacesRunsAndNothingElse) {
  leave("sweep",
        {"sweep.sqlite", "results.csv", "report.html", "points/a-1/float.safetensors",
         "points/a-1/crosstate.json", "points/a-1/qat.jsonl.tmp-12-3", "float/b/summary.json"});
  leave("eval", {"eval.json"});
  for (const char* file : {"notes.txt", "sweep.toml", "points/mine.txt", "points/a-2/results.txt",
                           "other/float.safetensors", "conductance/mine.csv", "lock.txt"}) {
    write(file);
  }
  replace("train");
  EXPECT_THAT(files(),
              ElementsAre("conductance", "conductance/mine.csv", "crosstate.json", "eval.json",
                          "lock.txt", "notes.txt", "other", "other/float.safetensors", "points",
                          "points/a-2", "points/a-2/results.txt", "points/mine.txt", "sweep.toml"));
  EXPECT_NO_THROW(open("sweep"));
}

TEST_F(Output, RemovesWhatInterruptedWritesHaveLeft) {
  leave("train", {"qat.checkpoint.safetensors", "qat.checkpoint.safetensors.tmp-16748-8",
                  "summary.json.tmp-1-2", "notes.txt.tmp-1-2"});
  OutputDirectory output(directory_, "train", Earlier::kContinue);
  output.begin();
  EXPECT_TRUE(fs::exists(directory_ / "qat.checkpoint.safetensors"));
  EXPECT_TRUE(fs::exists(directory_ / "notes.txt.tmp-1-2"));
  EXPECT_FALSE(fs::exists(directory_ / "qat.checkpoint.safetensors.tmp-16748-8"));
  EXPECT_FALSE(fs::exists(directory_ / "summary.json.tmp-1-2"));
}

TEST_F(Output, LeavesNoEmptyDirectoryBehind) {
  { const OutputDirectory output(directory_ / "new", "train", Earlier::kRefuse); }
  EXPECT_FALSE(fs::exists(directory_ / "new"));
  {
    OutputDirectory output(directory_ / "new", "train", Earlier::kRefuse);
    output.begin();
  }
  EXPECT_TRUE(fs::exists(directory_ / "new"));
  { const OutputDirectory output(directory_ / "a" / "b" / "", "train", Earlier::kRefuse); }
  EXPECT_FALSE(fs::exists(directory_ / "a"));
  { const OutputDirectory output(directory_, "eval", Earlier::kRefuse); }
  EXPECT_TRUE(fs::exists(directory_));  // was there before
}

TEST_F(Output, NeverRemovesInputs) {
  leave("prune", {"pruned-1.safetensors", "pruned-2.safetensors"});
  replace("prune", {directory_ / "." / "pruned-1.safetensors", "", "absent"});
  EXPECT_THAT(files(), ElementsAre("crosstate.json", "pruned-1.safetensors"));
}

TEST_F(Output, NeverRemovesFilesToKeep) {
  leave("quantize", {"ptq.toml", "ptq.safetensors"});
  OutputDirectory output(directory_, "quantize", Earlier::kReplace);
  output.keep({directory_ / "ptq.toml"});
  output.begin();
  EXPECT_TRUE(fs::exists(directory_ / "ptq.toml"));
  EXPECT_FALSE(fs::exists(directory_ / "ptq.safetensors"));
}

TEST_F(Output, RemovesNothingBeforeItBegins) {
  leave("train", {"qat.safetensors"});
  open("train", Earlier::kReplace);
  EXPECT_TRUE(fs::exists(directory_ / "qat.safetensors"));
}

TEST_F(Output, DemoReplacesItsOwnRunsAlone) {
  leave("demo", {"float.safetensors", "report.html"});
  EXPECT_NO_THROW(leave("demo", {"float.safetensors"}));
  EXPECT_FALSE(fs::exists(directory_ / "report.html"));
  replace("train");
  write("float.safetensors");
  expect_refused("demo", Earlier::kRefuse, "holds results of train");
}

TEST_F(Output, IsHeldByOneAtATime) {
  const OutputDirectory output(directory_, "train", Earlier::kRefuse);
  for (const Earlier earlier : {Earlier::kRefuse, Earlier::kContinue, Earlier::kReplace}) {
    expect_refused("train", earlier, "another crosstate");
    expect_refused("eval", earlier, "another crosstate");
  }
  EXPECT_NO_THROW(OutputDirectory(directory_, "train", Earlier::kContinue, Guard::kAlreadyLocked));
}

TEST_F(Output, RefusesADamagedRecord) {
  fs::create_directories(directory_);
  for (const char* text : {"", "[]", "{}", "{\"commands\": 1}"}) {
    write_file(directory_ / "crosstate.json", text);
    expect_refused("train", Earlier::kRefuse, "crosstate.json");
  }
}

}  // namespace
}  // namespace crosstate::pipeline
