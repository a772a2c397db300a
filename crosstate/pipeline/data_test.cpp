#include "crosstate/pipeline/data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/data/audio.h"
#include "crosstate/data/batch.h"
#include "crosstate/data/testing.h"

namespace crosstate::pipeline {
namespace {

namespace fs = std::filesystem;
using data::reference::SoundDirectory;
using data::reference::tone_set;
using testing::HasSubstr;
using testing::ThrowsMessage;

class RunDataTest : public testing::Test {
 protected:
  RunDataTest() {
    const data::Recordings set = data::reference::tone_set(60, 1);
    for (std::size_t i = 0; i < set.items.size(); ++i) {
      const data::Recording& item = set.items[i];
      sounds_.write(set.classes[static_cast<std::size_t>(item.label)] + '_' + item.speaker + '_' +
                        std::to_string(i / 6) + ".wav",
                    item.samples);
    }
    options_.data.directory = sounds_.path();
    options_.front_end.bands = 8;
  }
  void expect_refused(const std::string& what) {
    EXPECT_THAT([&] { load_run_data(options_, pool_); }, ThrowsMessage<Error>(HasSubstr(what)));
  }
  // Through a file, as in `eval`.
  static std::optional<inference::Preparation> reloaded(const RunData& data) {
    formats::Safetensors model;
    data.preparation.save(model);
    return inference::Preparation::load(
        formats::parse_safetensors(formats::format_safetensors(model), "model"), "model");
  }

  SoundDirectory sounds_;
  ThreadPool pool_{2};
  RunOptions options_;
};

TEST_F(RunDataTest, PreparesRecordings) {
  const RunData data = load_run_data(options_, pool_);
  EXPECT_EQ(data.test.count, 30u);
  EXPECT_EQ(data.training.count + data.validation.count, 30u);
  EXPECT_EQ(data.validation.count, 3u);  // one of each class
  EXPECT_EQ(data.training.channels, 8u);
  EXPECT_EQ(data.training.readout.names, (std::vector<std::string>{"high", "low", "middle"}));
  EXPECT_EQ(data.augmenter, nullptr);
  ASSERT_TRUE(data.preparation.front_end);
  EXPECT_EQ(data.preparation.front_end->sample_rate(), 8000);
}

TEST_F(RunDataTest, StatisticsAreThoseOfTheTrainingSetAlone) {
  const std::vector<float> mean = load_run_data(options_, pool_).preparation.front_end->mean();
  // Another test set does not change them, another training set does.
  options_.data.test_limit = 5;
  EXPECT_EQ(load_run_data(options_, pool_).preparation.front_end->mean(), mean);
  options_.data.train_limit = 20;
  EXPECT_NE(load_run_data(options_, pool_).preparation.front_end->mean(), mean);
}

TEST_F(RunDataTest, TestSetIsTheSameForTheSavedModel) {
  options_.front_end.deltas = true;
  const RunData data = load_run_data(options_, pool_);
  const data::Dataset test = load_test_data(options_.data, reloaded(data), "model", pool_);
  EXPECT_EQ(test.values, data.test.values);
  EXPECT_EQ(test.targets, data.test.targets);
}

TEST_F(RunDataTest, HoldsSpeakersOut) {
  options_.data.test_speaker = "ann";
  EXPECT_EQ(load_run_data(options_, pool_).test.count, 30u);
  for (const std::string& who : load_run_data(options_, pool_).test.speakers) {
    EXPECT_EQ(who, "ann");
  }
  options_.data.test_speaker = "";
  options_.data.validation_speaker = "bob";
  const RunData data = load_run_data(options_, pool_);
  EXPECT_EQ(std::count(data.training.speakers.begin(), data.training.speakers.end(), "bob"), 0);
  EXPECT_EQ(data.validation.count, 15u);
  options_.data.test_speaker = "ann";
  expect_refused("none is left to train");
  options_.data.validation_speaker = "eve";
  expect_refused("\"eve\"");
}

TEST_F(RunDataTest, AugmentsTheTrainingSetAlone) {
  const RunData plain = load_run_data(options_, pool_);
  options_.augment.gain = 6;
  RunData data = load_run_data(options_, pool_);
  ASSERT_NE(data.augmenter, nullptr);
  EXPECT_EQ(data.training.values, plain.training.values);
  EXPECT_EQ(data.validation.values, plain.validation.values);
  EXPECT_EQ(data.test.values, plain.test.values);
  EXPECT_EQ(data.augmenter->epoch(0).targets, data.training.targets);
  EXPECT_NE(data.augmenter->epoch(0).values, data.training.values);
}

TEST_F(RunDataTest, AugmentsImagesBeforeTheyArePermuted) {
  options_ = {};
  options_.data.train_limit = options_.data.test_limit = 40;
  const RunData plain = load_run_data(options_, pool_);
  options_.augment.image.shift = 2;
  data::Dataset varied = load_run_data(options_, pool_).augmenter->epoch(1);
  EXPECT_EQ(varied.targets, plain.training.targets);
  EXPECT_NE(varied.values, plain.training.values);
  options_.data.permutation_seed = 7;
  RunData permuted = load_run_data(options_, pool_);
  data::permute_steps(varied, 7);
  EXPECT_EQ(permuted.augmenter->epoch(1).values, varied.values);
}

TEST_F(RunDataTest, RefusesWhatDoesNotBelongTogether) {
  options_.data.permutation_seed = 3;
  expect_refused("equal lengths");
  options_.data.permutation_seed = 0;
  options_.data.kind = data::DataFormat::kMnist;
  expect_refused(sounds_.path().string());
  options_.data.kind = data::DataFormat::kAuto;
  options_.data.test_indices = "100";
  expect_refused("no recording belongs to the test set");
  options_.data.test_indices = "0-100";
  expect_refused("none is left to train");

  const RunData images = [&] {
    RunOptions options;
    options.data.train_limit = options.data.test_limit = 20;
    return load_run_data(options, pool_);
  }();
  options_.data.test_indices = "0-4";
  const RunData recordings = load_run_data(options_, pool_);
  const auto refuse = [&](const data::DataOptions& data, const RunData& model, const char* what) {
    EXPECT_THAT([&] { load_test_data(data, reloaded(model), "m.safetensors", pool_); },
                ThrowsMessage<Error>(testing::AllOf(HasSubstr("m.safetensors"), HasSubstr(what))));
  };
  refuse(options_.data, images, "not made for recordings");
  refuse({}, recordings, "made for recordings");
  fs::rename(sounds_.path() / "low_ann_0.wav", sounds_.path() / "extra_ann_0.wav");
  refuse(options_.data, recordings, "class 0 is \"high\" there and \"extra\" here");
}

TEST_F(RunDataTest, RefusesToCalibrateOnTestRecordings) {
  const auto preparation = reloaded(load_run_data(options_, pool_));
  EXPECT_EQ(load_model_data(options_, preparation, "model", pool_).test.count, 30u);
  options_.data.test_indices = "0-100";
  EXPECT_THAT([&] { load_model_data(options_, preparation, "model", pool_); },
              ThrowsMessage<Error>(testing::AllOf(HasSubstr(sounds_.path().string()),
                                                  HasSubstr("none is left to train"),
                                                  HasSubstr("data.test_indices"))));
  EXPECT_EQ(load_test_data(options_.data, preparation, "model", pool_).count, 60u);
}

TEST_F(RunDataTest, TakesTheValidationPartOfTheData) {
  const fs::path parts = sounds_.path() / "parts";
  std::vector<fs::path> files;
  for (const auto& file : fs::directory_iterator(sounds_.path())) files.push_back(file.path());
  for (const fs::path& file : files) {
    const std::string name = file.filename();
    const char number = name[name.size() - 5];
    const std::string part = number < '6' ? "train" : number < '8' ? "dev" : "test";
    fs::create_directories(parts / part);
    fs::copy(file, parts / part);
  }
  options_.data.directory = parts;
  options_.train.validation = 0.5;  // has no effect
  const RunData data = load_run_data(options_, pool_);
  EXPECT_EQ(data.training.count, 36u);
  EXPECT_EQ(data.validation.count, 12u);
  EXPECT_EQ(data.test.count, 12u);
  EXPECT_THAT(data.validation.name, HasSubstr("validation"));
  EXPECT_THAT(data.notes, testing::ElementsAre(HasSubstr("train.validation has no effect")));
  const auto model = reloaded(data);
  EXPECT_EQ(load_model_data(options_, model, "model", pool_).training.count, 36u);
}

TEST_F(RunDataTest, TellsWhatIsLeftOut) {
  fs::create_directories(sounds_.path() / "more");
  fs::copy(sounds_.path() / "low_ann_0.wav", sounds_.path() / "more");
  const RunData data = load_run_data(options_, pool_);
  EXPECT_THAT(data.notes, testing::ElementsAre(HasSubstr("1 recording in more not used")));
  const auto model = reloaded(data);
  EXPECT_EQ(load_test_data(options_.data, model, "model", pool_).notes, data.notes);
  EXPECT_EQ(load_model_data(options_, model, "model", pool_).test.notes, data.notes);
}

TEST_F(RunDataTest, AClassWithoutTrainingIsANoteAndASingleOneAnError) {
  for (int i = 5; i < 10; ++i) {
    for (const char* who : {"ann", "bob"}) {
      fs::remove(sounds_.path() / ("high_" + (who + ('_' + std::to_string(i))) + ".wav"));
    }
  }
  const RunData data = load_run_data(options_, pool_);
  EXPECT_EQ(data.training.readout.outputs(), 3u);
  EXPECT_THAT(data.notes,
              testing::ElementsAre(HasSubstr("no training sequence of class \"high\"")));
  EXPECT_EQ(load_model_data(options_, reloaded(data), "model", pool_).test.notes, data.notes);
  options_.data.train_limit = 1;
  expect_refused(
      "every training sequence is of one class, expected at least two; data.train_limit");
  options_ = {};
  options_.data.train_limit = 5;
  EXPECT_THAT(load_run_data(options_, pool_).notes,
              testing::ElementsAre(HasSubstr("no training sequence of 5 classes: \"5\"")));
}

TEST_F(RunDataTest, CountsRecordingsBesideImages) {
  const fs::path sample = fs::path(CROSSTATE_SOURCE_DIR) / "data" / "mnist-sample";
  for (const auto& file : fs::directory_iterator(sample)) fs::copy(file.path(), sounds_.path());
  const RunData data = load_run_data(options_, pool_);
  EXPECT_THAT(data.notes, testing::ElementsAre(HasSubstr("60 recordings not used")));
  EXPECT_EQ(load_model_data(options_, reloaded(data), "model", pool_).test.notes, data.notes);
}

TEST_F(RunDataTest, SaysWhatIsMissingInADirectory) {
  const fs::path empty = sounds_.path() / "empty";
  fs::create_directories(empty);
  options_.data.directory = empty;
  expect_refused("neither MNIST files");
  options_.data.directory = empty / "absent";
  expect_refused("no such directory");
  options_.data.directory = "";
  options_.data.kind = data::DataFormat::kAudio;
  expect_refused("data.directory");
  options_.data.kind = data::DataFormat::kAuto;
  options_.augment.gain = 3;
  expect_refused("augment.gain = 3 varies recordings, but the data are images; expected 0");
  options_.data.directory = sounds_.path();
  options_.augment.gain = 0;
  options_.augment.image.scale = 0.5;
  expect_refused(
      "augment.image.scale = 0.5 varies images, but the data are recordings; expected 0");
}

TEST_F(RunDataTest, PermutesImagesAndRemembersIt) {
  options_ = {};
  options_.data.train_limit = options_.data.test_limit = 20;
  const RunData plain = load_run_data(options_, pool_);
  options_.data.permutation_seed = 7;
  const RunData permuted = load_run_data(options_, pool_);
  EXPECT_NE(permuted.training.values, plain.training.values);
  const std::vector<std::uint32_t> order = data::shuffled(784, 7, 0);
  for (std::size_t t = 0; t < 784; ++t) {
    ASSERT_EQ(permuted.test.sequence(3)[t], plain.test.sequence(3)[order[t]]);
  }
  formats::Safetensors model;
  permuted.preparation.save(model);
  const auto saved = model.tensors.at("permutation").integers<std::int32_t>({784}, "model");
  EXPECT_TRUE(std::equal(saved.begin(), saved.end(), order.begin(), order.end()));
  model.metadata["permutation_seed"] = "8";
  EXPECT_THAT([&] { inference::Preparation::load(model, "model"); },
              ThrowsMessage<Error>(HasSubstr("tensor 'permutation' is not the order")));
  data::DataOptions told_nothing = options_.data;
  told_nothing.permutation_seed = 0;
  EXPECT_EQ(load_test_data(told_nothing, reloaded(permuted), "model", pool_).values,
            permuted.test.values);
  EXPECT_EQ(load_test_data(options_.data, std::nullopt, "model", pool_).values,
            permuted.test.values);

  // The steps of sequences of another length would be in an unrelated order.
  std::optional<inference::Preparation> longer = reloaded(permuted);
  EXPECT_EQ(longer->permuted_steps, 784u);
  longer->permuted_steps = 785;
  const auto refusal = ThrowsMessage<Error>(
      HasSubstr("m.safetensors: reads sequences of 785 steps in one permuted order, but those of"));
  EXPECT_THAT([&] { load_test_data(options_.data, longer, "m.safetensors", pool_); }, refusal);
  EXPECT_THAT([&] { load_model_data(options_, longer, "m.safetensors", pool_); }, refusal);

  formats::Safetensors same;
  permuted.preparation.save(same);
  EXPECT_EQ(permuted.preparation.difference(same), "");
  EXPECT_EQ(plain.preparation.difference(same), "permutation_seed");
  EXPECT_EQ(longer->difference(same), "permutation");
  same.tensors.erase("permutation");
  EXPECT_EQ(permuted.preparation.difference(same), "permutation");
  EXPECT_THAT([&] { inference::Preparation::load(same, "m"); },
              ThrowsMessage<Error>(HasSubstr("m: has no tensor 'permutation'")));
}

// Before any training, also if only the second stage would have no use for a setting.
TEST_F(RunDataTest, RefusesSettingsOfCategoriesInRegression) {
  const fs::path series = sounds_.path() / "series";
  fs::create_directories(series);
  write_file(series / "train.csv", "1,1\n2,2\n4,3\n");
  write_file(series / "test.csv", "3,5\n");
  options_ = {};
  options_.data.directory = series;
  options_.data.task = "regression";
  options_.qat.label_smoothing = 0.1;
  options_.train.validation = 0;
  expect_refused("qat.label_smoothing has no effect on regression, expected 0");
  options_.quantize = false;
  EXPECT_NO_THROW(load_run_data(options_, pool_));
  options_.train.class_weights = train::ClassWeights::kBalanced;
  expect_refused("train.class_weights = \"balanced\" has no effect on regression");
  options_.train.class_weights = train::ClassWeights::kNone;
  options_.train.class_offsets = "yes=1";
  expect_refused("train.class_offsets has no effect on regression");
  options_.start = "float.safetensors";
  EXPECT_NO_THROW(load_run_data(options_, pool_));
}

// The reader only knows whole files, in which some step has a target.
TEST_F(RunDataTest, RefusesPartsWithoutATargetAtAnyStep) {
  const fs::path series = sounds_.path() / "series";
  fs::create_directories(series);
  write_file(series / "train.csv", ",1\n,2\n\n1,3\n2,4\n");
  write_file(series / "test.csv", ",5\n,6\n\n3,7\n,8\n");
  options_ = {};
  options_.data.directory = series;
  options_.data.task = "regression";
  options_.model.readout = task::Scope::kStep;
  options_.train.validation = 0;
  const RunData data = load_run_data(options_, pool_);
  EXPECT_EQ(data.training.counted_targets(), (std::vector<float>{1, 2}));
  const auto model = reloaded(data);
  const auto expect_both_refuse = [&](const char* what) {
    expect_refused(what);
    EXPECT_THAT([&] { load_model_data(options_, model, "m", pool_); },
                ThrowsMessage<Error>(HasSubstr(what)));
  };

  options_.data.test_limit = 1;
  const char* of_test =
      "series test: no step of 1 sequence has a target with data.test_limit = 1, expected a larger "
      "limit, or 0 for all sequences";
  expect_both_refuse(of_test);
  EXPECT_THAT([&] { load_test_data(options_.data, model, "m", pool_); },
              ThrowsMessage<Error>(HasSubstr(of_test)));
  options_.data.test_limit = 0;

  options_.data.train_limit = 1;
  expect_both_refuse(
      "series train: no step of 1 sequence has a target with data.train_limit = 1, expected a "
      "larger limit, or 0 for all sequences");
  EXPECT_EQ(load_test_data(options_.data, model, "m", pool_).count, 2u);
  options_.data.train_limit = 0;

  // One of the two sequences is held out, and only one has targets.
  options_.train.validation = 0.5;
  expect_both_refuse("no step of 1 sequence has a target with train.validation = 0.5, expected a");
}

TEST_F(RunDataTest, RecordingsInMemoryAreThoseOfFiles) {
  const RunData files = load_run_data(options_, pool_);
  const auto sets =
      std::make_shared<data::AudioSets>(data::read_audio(options_.data.directory, options_.data));
  options_.data = {};
  options_.data.recordings = sets;
  const RunData memory = load_run_data(options_, pool_);
  EXPECT_EQ(memory.training.values, files.training.values);
  EXPECT_EQ(memory.test.targets, files.test.targets);
  EXPECT_EQ(load_test_data(options_.data, reloaded(memory), "model", pool_).values,
            files.test.values);

  data::AudioSets untested = *sets;
  untested.validation = std::exchange(untested.test, {});
  options_.data.recordings = std::make_shared<data::AudioSets>(untested);
  options_.train.validation = 0.25;
  const RunData held_out = load_run_data(options_, pool_);
  EXPECT_EQ(held_out.test.count, 0u);
  EXPECT_EQ(held_out.validation.count, 30u);
  EXPECT_THAT(held_out.notes, testing::Contains(HasSubstr("the recordings in memory: ")));
}

TEST(Preparation, RefusesDamage) {
  formats::Safetensors good;
  inference::Preparation{{.names = {"a", "b"}}, 3, 5, std::nullopt}.save(good);
  EXPECT_EQ(inference::Preparation::load(good, "m")->permutation_seed, 3u);
  EXPECT_FALSE(inference::Preparation::load({}, "m"));
  for (const auto& [key, text] :
       std::vector<std::pair<std::string, std::string>>{{"classes", "["},
                                                        {"classes", "[1]"},
                                                        {"classes", "{}"},
                                                        {"permutation_seed", "-1"},
                                                        {"permutation_seed", "x"},
                                                        {"permutation_seed", "1.5"}}) {
    formats::Safetensors bad = good;
    bad.metadata[key] = text;
    EXPECT_THAT([&] { inference::Preparation::load(bad, "m"); },
                ThrowsMessage<Error>(HasSubstr("m: metadata")))
        << key << text;
  }
  good.metadata.erase("permutation_seed");
  EXPECT_THAT([&] { inference::Preparation::load(good, "m"); },
              ThrowsMessage<Error>(HasSubstr("missing")));
}

}  // namespace
}  // namespace crosstate::pipeline
