#include "crosstate/data/recording_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "crosstate/base/error.h"
#include "crosstate/base/json.h"
#include "crosstate/data/testing.h"

namespace crosstate::data {
namespace {

namespace fs = std::filesystem;
using reference::noise;
using reference::SoundDirectory;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<std::string> names(const RecordingFiles& found, Part part) {
  std::vector<std::string> result;
  for (const RecordingFile& file : found.files) {
    if (file.part == part) result.push_back(file.name);
  }
  return result;
}

std::set<std::string> classes(const RecordingFiles& found) {
  std::set<std::string> result;
  for (const RecordingFile& file : found.files) result.insert(file.label);
  return result;
}

class RecordingFilesTest : public testing::Test {
 protected:
  // The files are not read here, so they may be empty.
  void put(const std::string& name, const std::string& text = "") const {
    fs::create_directories((sounds_.path() / name).parent_path());
    std::ofstream(sounds_.path() / name, std::ios::binary) << text;
  }
  void put_all(const std::vector<std::string>& files) const {
    for (const std::string& file : files) put(file);
  }
  RecordingFiles find(const DataOptions& options = {}) const {
    RecordingFiles found = find_recordings(sounds_.path(), options);
    // Every recording of the directory is used or counted.
    std::size_t counted = found.files.size();
    for (const std::string& note : found.notes) {
      if (note.find("recording") != std::string::npos &&
          note.find("not used") != std::string::npos && note.find("begin with .") == note.npos) {
        counted += std::stoul(note);
      }
    }
    EXPECT_EQ(counted, count_recordings(sounds_.path())) << testing::PrintToString(found.notes);
    return found;
  }
  void expect_refused(const std::vector<std::string>& parts, const DataOptions& options = {}) {
    std::string message;
    try {
      find_recordings(sounds_.path(), options);
    } catch (const Error& error) {
      message = error.what();
    }
    EXPECT_NE(message, "") << "was accepted";
    for (const std::string& part : parts) EXPECT_THAT(message, HasSubstr(part));
  }
  SoundDirectory sounds_;
};

// --- parts

TEST_F(RecordingFilesTest, NamesOfPartsCountInAnyCase) {
  struct Case {
    const char *train, *validation, *test;
  };
  for (const Case& c : {Case{"train", "valid", "test"}, Case{"Train", "VAL", "TEST"},
                        Case{"training", "validation", "testing"}, Case{"TRAIN", "Dev", "Eval"},
                        Case{"train_set", "dev-set", "Test Set"},
                        Case{"Training_Data", "development", "evaluation"}}) {
    const std::string train = c.train, validation = c.validation, test = c.test;
    put_all(
        {train + "/yes/0.wav", train + "/no/1.wav", validation + "/yes/2.wav", test + "/no/3.wav"});
    const RecordingFiles found = find();
    EXPECT_THAT(names(found, Part::kTrain),
                UnorderedElementsAre(train + "/yes/0.wav", train + "/no/1.wav"));
    EXPECT_THAT(names(found, Part::kValidation), ElementsAre(validation + "/yes/2.wav"));
    EXPECT_THAT(names(found, Part::kTest), ElementsAre(test + "/no/3.wav"));
    EXPECT_TRUE(found.has_validation);
    EXPECT_THAT(found.notes, IsEmpty());
    for (const RecordingFile& file : found.files) {
      EXPECT_THAT(file.label, testing::AnyOf("yes", "no"));
    }
    for (const std::string& part : {train, validation, test}) fs::remove_all(sounds_.path() / part);
  }
}

TEST_F(RecordingFilesTest, PartsMayGoByNames) {
  put_all({"Train/a_ann_0.wav", "Train/b_ann_9.wav", "Test/a_bob_7.wav"});
  const RecordingFiles found = find();
  EXPECT_THAT(names(found, Part::kTrain),
              UnorderedElementsAre("Train/a_ann_0.wav", "Train/b_ann_9.wav"));
  EXPECT_THAT(names(found, Part::kTest), ElementsAre("Test/a_bob_7.wav"));
}

TEST_F(RecordingFilesTest, PartsBesideClassesAreRefused) {
  put_all({"Train/yes/0.wav", "Test/yes/1.wav", "bus/2.wav", "car/3.wav"});
  const std::vector<std::string> message = {sounds_.path().string(), "Test, Train", "bus, car",
                                            "data.layout = \"classes\""};
  expect_refused(message);
  DataOptions options;
  options.layout = RecordingLayout::kFolders;
  expect_refused(message, options);
  // Empty folders are ignored.
  fs::remove_all(sounds_.path() / "bus");
  fs::remove(sounds_.path() / "car/3.wav");
  EXPECT_EQ(find().files.size(), 2u);
}

TEST_F(RecordingFilesTest, LayoutClassesTakesEveryFolderForAClass) {
  put_all({"train/0.wav", "bus/1.wav", "car/2.wav"});
  expect_refused({"train", "bus, car"});
  DataOptions options;
  options.layout = RecordingLayout::kClasses;
  EXPECT_THAT(classes(find(options)), ElementsAre("bus", "car", "train"));
}

TEST_F(RecordingFilesTest, APartStandsOnce) {
  put_all({"train/yes/0.wav", "test/yes/1.wav", "Eval/no/2.wav"});
  expect_refused({"two folders for the test part", "Eval", "test"});
}

TEST_F(RecordingFilesTest, WithoutATestPartTheTrainingPartIsSplit) {
  for (int i = 0; i < 40; ++i) {
    put("train/" + std::string(i % 2 == 0 ? "yes/" : "no/") + std::to_string(i) + ".wav");
  }
  put("val/yes/99.wav");
  DataOptions options;
  options.test_share = 0.4;
  const RecordingFiles found = find(options);
  EXPECT_THAT(names(found, Part::kValidation), ElementsAre("val/yes/99.wav"));
  EXPECT_GT(names(found, Part::kTrain).size(), 10u);
  EXPECT_GT(names(found, Part::kTest).size(), 4u);
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("no folder test")));
}

TEST_F(RecordingFilesTest, RecordingsBesidePartsAreCounted) {
  put_all({"train/yes/0.wav", "test/yes/1.wav", "a_ann_0.wav", "b_ann_1.wav"});
  const RecordingFiles found = find();
  EXPECT_EQ(found.files.size(), 2u);
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("2 recordings in the directory itself")));
  fs::remove_all(sounds_.path() / "train");
  expect_refused({"2 recordings beside folders of parts (test)", "folder train"});
}

// --- unused files

TEST_F(RecordingFilesTest, CountsWhatLiesBelowAClass) {
  put_all({"yes/0.wav", "no/1.wav", "yes/more/2.wav", "yes/more/still/3.flac", "no/more/4.wav"});
  const RecordingFiles found = find();
  EXPECT_EQ(found.files.size(), 2u);
  EXPECT_THAT(found.notes, ElementsAre(AllOf(HasSubstr("3 recordings in"), HasSubstr("no/more"),
                                             HasSubstr("yes/more"),
                                             HasSubstr("in subfolders of the class folders"))));
}

TEST_F(RecordingFilesTest, CountsFoldersBesideFiles) {
  put_all({"0_ann_0.wav", "1_ann_7.wav", "2/s0_nohash_0.wav", "2/s1_nohash_0.wav"});
  const RecordingFiles found = find();
  EXPECT_EQ(found.files.size(), 2u);
  EXPECT_THAT(found.notes,
              ElementsAre(AllOf(HasSubstr("2 recordings in 2 not used"), HasSubstr("beside"))));
}

TEST_F(RecordingFilesTest, CountsFilesBesideFolders) {
  put_all({"yes/0.wav", "no/1.wav", "demo.wav"});
  const RecordingFiles found = find();
  EXPECT_EQ(found.files.size(), 2u);
  EXPECT_THAT(found.notes, ElementsAre(HasSubstr("1 recording in the directory itself not used")));
}

TEST_F(RecordingFilesTest, CountsFoldersThatAreNoClass) {
  put_all({"yes/0.wav", "no/1.wav", "_background_noise_/hum.wav", "_background_noise_/README.md",
           ".trash/yes/2.wav"});
  const RecordingFiles found = find();
  EXPECT_EQ(found.files.size(), 2u);
  EXPECT_THAT(found.notes,
              ElementsAre(AllOf(HasSubstr("2 recordings in"), HasSubstr("_background_noise_"),
                                HasSubstr(".trash/yes"))));
}

TEST_F(RecordingFilesTest, CountsHiddenAndForeignFiles) {
  put_all({"yes/0.wav", "no/1.wav", "yes/._0.wav", "yes/a.mp3", "no/b.MP3", "no/notes.txt", "c.ogg",
           "README.md", "yes/.DS_Store"});
  const RecordingFiles found = find();
  EXPECT_EQ(found.files.size(), 2u);
  EXPECT_THAT(found.notes,
              ElementsAre(AllOf(HasSubstr("1 recording in yes"), HasSubstr("begin with .")),
                          AllOf(HasSubstr("4 files not used"), HasSubstr(".mp3, .ogg, .txt"))));
}

TEST_F(RecordingFilesTest, SaysWhereRecordingsLieTooDeep) {
  put_all({"yes/ann/0.wav", "yes/bob/1.wav", "no/ann/2.wav"});
  expect_refused({"/no", "holds no recording itself, but 1 in folders below it"});
}

TEST_F(RecordingFilesTest, FoldersThatLeadBackEnd) {
  put_all({"yes/0.wav", "no/1.wav"});
  fs::create_directory_symlink(sounds_.path(), sounds_.path() / "yes/loop");
  EXPECT_EQ(find().files.size(), 2u);
}

// --- lists

TEST_F(RecordingFilesTest, FollowsTheListsOfSpeechCommands) {
  put_all({"yes/a_nohash_0.wav", "yes/b_nohash_0.wav", "no/a_nohash_0.wav", "no/c_nohash_1.flac",
           "no/d_nohash_0.wav", "_background_noise_/hum.wav"});
  put("testing_list.txt", "no/c_nohash_1.wav\r\n./yes/b_nohash_0.wav\n\nno/x_nohash_0.wav\n");
  put("validation_list.txt", "no/d_nohash_0.wav\n");
  DataOptions options;
  options.test_share = 0.9;  // has no effect here
  const RecordingFiles found = find(options);
  EXPECT_THAT(names(found, Part::kTest),
              UnorderedElementsAre("no/c_nohash_1.flac", "yes/b_nohash_0.wav"));
  EXPECT_THAT(names(found, Part::kValidation), ElementsAre("no/d_nohash_0.wav"));
  EXPECT_THAT(names(found, Part::kTrain),
              UnorderedElementsAre("yes/a_nohash_0.wav", "no/a_nohash_0.wav"));
  EXPECT_TRUE(found.has_validation);
  EXPECT_THAT(found.notes,
              ElementsAre(AllOf(HasSubstr("1 of the 3 recordings that testing_list.txt lists"),
                                HasSubstr("no/x_nohash_0")),
                          HasSubstr("1 recording in _background_noise_")));
}

TEST_F(RecordingFilesTest, TheListForValidationAloneLeavesTheTestSet) {
  for (int i = 0; i < 40; ++i)
    put(i % 2 == 0 ? "yes/" + std::to_string(i) + ".wav" : "no/" + std::to_string(i) + ".wav");
  DataOptions options;
  options.test_share = 0.4;
  const std::size_t before = names(find(options), Part::kTest).size();
  put("validation_list.txt", "yes/0.wav\nno/1.wav\n");
  const RecordingFiles found = find(options);
  EXPECT_EQ(names(found, Part::kValidation).size(), 2u);
  EXPECT_GE(names(found, Part::kTest).size() + 2, before);
}

TEST_F(RecordingFilesTest, ListsAreUtf8) {
  put_all({"yes/0.wav", "no/1.wav"});
  put("testing_list.txt", std::string("\xff\xfey\0e\0s\0", 8));
  expect_refused({"testing_list.txt", "UTF-16"});
}

TEST_F(RecordingFilesTest, FoldersTooDeepToLookIntoAreTold) {
  std::string deep = "yes";
  for (int i = 0; i < 20; ++i) deep += "/d";
  put_all({"yes/0.wav", "no/1.wav", deep + "/2.wav"});
  EXPECT_THAT(find().notes, ElementsAre(HasSubstr("1 folder not searched")));
}

TEST_F(RecordingFilesTest, ARecordingIsInOneListAtMost) {
  put_all({"yes/0.wav", "no/1.wav"});
  put("testing_list.txt", "yes/0.wav\n");
  put("validation_list.txt", "yes/0.wav\n");
  expect_refused({"testing_list.txt", "yes/0", "validation_list.txt as well"});
}

TEST_F(RecordingFilesTest, ListsBesidePartsOrFilesAreNotFollowed) {
  put_all({"train/yes/0.wav", "test/yes/1.wav"});
  put("testing_list.txt", "train/yes/0.wav\n");
  EXPECT_THAT(find().notes, ElementsAre(HasSubstr("testing_list.txt is ignored")));
  fs::rename(sounds_.path() / "testing_list.txt", sounds_.path() / "train/testing_list.txt");
  EXPECT_THAT(find().notes, ElementsAre(HasSubstr("train/testing_list.txt is ignored")));
  fs::rename(sounds_.path() / "train/testing_list.txt", sounds_.path() / "testing_list.txt");
  fs::remove_all(sounds_.path() / "train");
  fs::remove_all(sounds_.path() / "test");
  put_all({"a_ann_0.wav", "b_ann_9.wav"});
  EXPECT_THAT(find().notes, ElementsAre(HasSubstr("testing_list.txt is ignored")));
}

TEST(RecordingList, IsNamesWithoutEndings) {
  EXPECT_THAT(parse_recording_list("\xef\xbb\xbf yes/a.wav \r\n\n.\\no\\b.wav\nyes/a.wav\nno/c"),
              ElementsAre("yes/a", "no/b", "no/c"));
  EXPECT_THAT(parse_recording_list(""), IsEmpty());
}

// --- names as text

TEST_F(RecordingFilesTest, NamesOfClassesBecomeUtf8) {
  put_all({"caf\xe9/b\xe9_nohash_0.wav", "tea/0.wav"});
  const RecordingFiles found = find();
  EXPECT_THAT(classes(found), ElementsAre("caf\xef\xbf\xbd", "tea"));
  put("caf\xe8/0.wav");
  expect_refused({"two classes are named \"caf\xef\xbf\xbd\""});
}

TEST_F(RecordingFilesTest, NotesAreUtf8) {
  put_all({"yes/0.wav", "no/1.wav", "yes/m\xe9/2.wav", "yes/x.m\xe9"});
  for (const std::string& note : find().notes) {
    EXPECT_NO_THROW((void)exact_json_text(nlohmann::json(note))) << note;
  }
}

}  // namespace
}  // namespace crosstate::data
