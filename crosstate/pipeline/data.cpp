#include "crosstate/pipeline/data.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>
#include <system_error>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/identity.h"
#include "crosstate/base/json.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/utf8.h"
#include "crosstate/data/audio.h"
#include "crosstate/data/augment_images.h"
#include "crosstate/data/classes.h"
#include "crosstate/data/recording_files.h"
#include "crosstate/data/series.h"
#include "crosstate/train/identity.h"

namespace crosstate::pipeline {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t kCalibrationBatch = 64;

}  // namespace

data::DataKind kind_of(const data::DataOptions& options) {
  if (options.sets) return data::DataKind::kSeries;
  if (options.recordings) return data::DataKind::kRecordings;
  if (options.directory.empty() &&
      (options.kind == data::DataFormat::kAudio || options.kind == data::DataFormat::kSeries)) {
    fail("options", "data.kind = \"" + name_of(options.kind) +
                        "\" without data.directory, expected the directory of the data");
  }
  if (options.kind == data::DataFormat::kAudio) return data::DataKind::kRecordings;
  if (options.kind == data::DataFormat::kSeries) return data::DataKind::kSeries;
  if (options.kind == data::DataFormat::kMnist || options.directory.empty() ||
      data::holds_mnist(options.directory)) {
    return data::DataKind::kImages;
  }
  std::error_code ignored;
  if (!fs::is_directory(options.directory, ignored)) {
    fail(options.directory,
         "no such directory, expected one with MNIST files, recordings or series");
  }
  if (data::holds_series(options.directory)) return data::DataKind::kSeries;
  if (data::holds_audio(options.directory)) return data::DataKind::kRecordings;
  fail(options.directory,
       "found neither MNIST files (train-images-idx3-ubyte, ...) nor recordings (.wav, .flac) nor "
       "series (train.csv or .npz, ...)");
}

bool holds_recordings(const data::DataOptions& options) {
  return kind_of(options) == data::DataKind::kRecordings;
}

namespace {

void keep_first(data::Recordings& set, int limit) {
  const auto count = static_cast<std::size_t>(limit);
  if (limit > 0 && count < set.items.size()) set.items.resize(count);
}

void require_task(const data::DataOptions& options, data::DataKind kind);

// Where the data come from, for messages.
std::string place_of(const data::DataOptions& options) {
  if (options.recordings) return "the recordings in memory";
  return options.directory.empty() ? "the built-in sample" : as_utf8(options.directory);
}

// The sequences of the chosen classes, of which the limits then take the first.
data::TrainTest chosen(data::TrainTest sets, const data::DataOptions& options) {
  std::size_t left_out = 0;
  if (!options.classes.empty()) {
    left_out = data::keep_classes(sets.train, options.classes) +
               data::keep_classes(sets.test, options.classes);
  }
  data::TrainTest result{
      data::first(std::move(sets.train), static_cast<std::size_t>(options.train_limit)),
      data::first(std::move(sets.test), static_cast<std::size_t>(options.test_limit))};
  if (left_out > 0) {
    const char* const what = kind_of(options) == data::DataKind::kImages ? "image" : "sequence";
    result.test.notes.push_back(place_of(options) + ": " +
                                data::left_out_note(left_out, what, options.classes));
  }
  return result;
}

data::AudioSets load_recordings(const data::DataOptions& options) {
  require_task(options, data::DataKind::kRecordings);
  if (options.recordings) {
    data::AudioSets sets = *options.recordings;
    keep_first(sets.train, options.train_limit);
    keep_first(sets.test, options.test_limit);
    return sets;
  }
  data::AudioSets sets = data::read_audio(options.directory, options);
  keep_first(sets.train, options.train_limit);
  keep_first(sets.test, options.test_limit);
  if (sets.test.items.empty()) {
    fail(options.directory,
         "no recording belongs to the test set; expected numbers of "
         "data.test_indices in the names, a folder test, or data.test_share "
         "above 0" +
             (sets.notes.empty() ? "" : "; " + sets.notes.front()));
  }
  return sets;
}

void require_training(const data::AudioSets& sets, const data::DataOptions& options) {
  if (!sets.train.items.empty()) return;
  fail(place_of(options),
       "every recording belongs to the test set, none is left to train or calibrate; expected "
       "numbers beyond data.test_indices in the names, a folder train, or a smaller "
       "data.test_share");
}

std::string plural_of(data::DataKind kind) {
  if (kind == data::DataKind::kImages) return "images";
  return kind == data::DataKind::kRecordings ? "recordings" : "series";
}

// Images and recordings are always classification; the task of series must be given.
void require_task(const data::DataOptions& options, data::DataKind kind) {
  if (kind == data::DataKind::kSeries) {
    if (options.task != "auto") return;
    std::string names;
    for (const std::string& name : task::task_names()) names += (names.empty() ? "" : ", ") + name;
    fail("options", "data.task = \"auto\", expected the task of the targets in " +
                        as_utf8(options.directory) + ": one of " + names);
  }
  if (&data::task_of(options) != &task::classification()) {
    fail("options",
         "data.task = \"" + options.task + "\", expected \"classification\" of " + plural_of(kind));
  }
}

data::TrainTest sequences_in_memory(const data::DataOptions& options, task::Scope scope) {
  const data::DataSets& sets = *options.sets;
  const data::Dataset& some = sets.train.count > 0 ? sets.train : sets.test;
  if (some.readout.scope != scope) {
    fail(some.name, std::string("has a target for every ") + some.readout.unit() +
                        ", expected one for every " + name_of(scope) + " (model.readout)");
  }
  return {data::first(sets.train, static_cast<std::size_t>(options.train_limit)),
          data::first(sets.test, static_cast<std::size_t>(options.test_limit))};
}

data::TrainTest load_sequences(const data::DataOptions& options, task::Scope scope) {
  if (options.sets) return sequences_in_memory(options, scope);
  const data::DataKind kind = kind_of(options);
  require_task(options, kind);
  if (kind == data::DataKind::kSeries) {
    return chosen(data::read_series(options.directory, options, data::task_of(options), scope),
                  options);
  }
  data::TrainTest sets = chosen(
      options.directory.empty() ? data::read_mnist_sample() : data::read_mnist(options.directory),
      options);
  if (options.directory.empty()) return sets;
  if (const std::size_t unused = data::count_recordings(options.directory); unused > 0) {
    sets.test.notes.push_back(
        as_utf8(options.directory) + ": " + std::to_string(unused) +
        (unused == 1 ? " recording" : " recordings") +
        " not used: the MNIST files are the data set, unless data.kind = \"audio\"");
  }
  return sets;
}

json data_identity(const data::Recordings& set) {
  const auto bytes = [](const auto& values) {
    return std::string_view(reinterpret_cast<const char*>(values.data()),
                            values.size() * sizeof values[0]);
  };
  // Of each recording its identity and samples, not its place.
  std::string all = std::to_string(set.sample_rate);
  for (const std::string& name : set.classes) all += ' ' + name + '\0';
  for (const data::Recording& item : set.items) {
    all += ' ' + std::to_string(item.label) + ' ' + item.speaker + '\0' +
           std::to_string(item.samples.size()) + ' ' +
           std::to_string(checksum(bytes(item.samples)));
  }
  return {{"count", set.items.size()},
          {"classes", set.classes.size()},
          {"checksum", checksum(std::string_view(all))}};
}

void permute(data::Dataset& set, std::uint64_t seed) {
  if (seed != 0) data::permute_steps(set, seed);
}

// The validation part of the data if there is one, else according to the settings.
data::RecordingsSplit split_recordings(data::AudioSets& sets, const RunOptions& options) {
  data::RecordingsSplit split{std::move(sets.train), std::move(sets.validation)};
  if (!split.validation.items.empty()) {
    // The data have a validation part. A default setting needs no note.
    if (options.train.validation != RunOptions().train.validation) {
      sets.notes.push_back(place_of(options.data) +
                           ": train.validation has no effect: the data have a validation part");
    }
  } else if (!options.data.validation_speaker.empty()) {
    split = data::split_speaker(split.train, options.data.validation_speaker);
  } else if (options.train.validation > 0) {
    split = data::split_validation(split.train, options.train.validation, options.seed);
  }
  if (split.train.items.empty()) {
    fail(split.train.name, "every recording is held out for validation, none is left to train");
  }
  return split;
}

RunData run_recordings(const RunOptions& options, ThreadPool& pool) {
  data::AudioSets sets = load_recordings(options.data);
  require_training(sets, options.data);
  data::RecordingsSplit split = split_recordings(sets, options);
  data::FrontEnd front_end(options.front_end, split.train.sample_rate);
  front_end.fit(split.train, pool);
  RunData data;
  data.notes = std::move(sets.notes);
  data.training = data::make_sequences(split.train, front_end, pool);
  if (!split.validation.items.empty()) {
    data.validation = data::make_sequences(split.validation, front_end, pool);
  }
  if (!sets.test.items.empty()) data.test = data::make_sequences(sets.test, front_end, pool);
  data.preparation.front_end = front_end;
  if (options.augment.any()) {
    data.augmenter = std::make_unique<data::RecordingAugmenter>(
        std::move(split.train), std::move(front_end), options.augment, options.seed, pool);
  }
  return data;
}

// Of sequences with targets at some steps, a part may have none at all: the reader only checks the
// whole files. Its mean loss would be 0 / 0. `setting`: what chose the part.
void require_counted(const data::Dataset& set, const std::string& setting,
                     const std::string& expected) {
  if (set.count == 0 || !set.readout.every_step() || !set.counted_targets().empty()) return;
  fail(set.name, "no step of " + std::to_string(set.count) +
                     (set.count == 1 ? " sequence" : " sequences") + " has a target with " +
                     setting + ", expected " + expected);
}

void require_counted_first(const data::Dataset& set, const char* limit, int value) {
  require_counted(set, std::string(limit) + " = " + std::to_string(value),
                  "a larger limit, or 0 for all sequences");
}

RunData run_sequences(const RunOptions& options, task::Scope scope) {
  data::TrainTest sets = load_sequences(options.data, scope);
  require_counted_first(sets.train, "data.train_limit", options.data.train_limit);
  require_counted_first(sets.test, "data.test_limit", options.data.test_limit);
  RunData data;
  data.notes = std::move(sets.test.notes);
  data.test = std::move(sets.test);
  if (options.data.sets && options.data.sets->validation.count > 0) {
    data.training = std::move(sets.train);
    data.validation = options.data.sets->validation;
  } else if (options.train.validation > 0) {
    data::Split split = data::split_validation(sets.train, options.train.validation, options.seed);
    data.training = std::move(split.train);
    data.validation = std::move(split.validation);
    const std::string share =
        "train.validation = " + exact_json_text(json(options.train.validation));
    require_counted(data.training, share, "a smaller share, or another run.seed");
    require_counted(data.validation, share, "a larger share, 0, or another run.seed");
  } else {
    data.training = std::move(sets.train);
  }
  return data;
}

// A network cannot learn a class without training sequences, and nothing from a single class.
void check_targets(const data::Dataset& training, const data::DataOptions& options,
                   std::vector<std::string>& notes) {
  const task::Task& task = *training.readout.task;
  const std::vector<float> targets = training.counted_targets();
  const std::string unusable = task.unusable(training.readout, targets);
  if (!unusable.empty()) {
    fail(training.name,
         unusable + (options.train_limit > 0
                         ? "; data.train_limit = " + std::to_string(options.train_limit)
                         : std::string()));
  }
  const std::string lacking = task.lacking(training.readout, targets);
  if (!lacking.empty()) notes.push_back(training.name + ": " + lacking);
}

}  // namespace

void require_data(const RunOptions& options) {
  const data::DataKind kind = kind_of(options.data);
  const data::AugmentOptions& augment = options.augment;
  struct Variation {
    const char* key;
    double value;
    data::DataKind kind;
  };
  using enum data::DataKind;
  for (const Variation& variation : {Variation{"shift", augment.shift, kRecordings},
                                     {"gain", augment.gain, kRecordings},
                                     {"speed", augment.speed, kRecordings},
                                     {"noise", augment.noise, kRecordings},
                                     {"time_masks", double(augment.time_masks), kRecordings},
                                     {"band_masks", double(augment.band_masks), kRecordings},
                                     {"image.shift", double(augment.image.shift), kImages},
                                     {"image.rotation", augment.image.rotation, kImages},
                                     {"image.scale", augment.image.scale, kImages}}) {
    if (variation.value == 0 || variation.kind == kind) continue;
    fail("options", std::string("augment.") + variation.key + " = " + exact_text(variation.value) +
                        " varies " + plural_of(variation.kind) + ", but the data are " +
                        plural_of(kind) + "; expected 0");
  }
  if (options.model.readout == task::Scope::kStep && kind != data::DataKind::kSeries) {
    fail("options", "model.readout = \"step\", expected \"sequence\" of " + plural_of(kind) +
                        ", which have one target each; series have one at every step");
  }
}

RunData load_run_data(const RunOptions& options, ThreadPool& pool) {
  require_data(options);
  const bool audio = holds_recordings(options.data);
  RunData data =
      audio ? run_recordings(options, pool) : run_sequences(options, options.model.readout);
  if (!audio && options.augment.any()) {
    data.augmenter = std::make_unique<data::ImageAugmenter>(
        data.training, options.data.permutation_seed, options.augment, options.seed, pool);
  }
  task::Readout& readout = data.preparation.readout = data.training.readout;
  readout.task->fit(readout, data.training.counted_targets());
  data.preparation.permutation_seed = options.data.permutation_seed;
  if (options.data.permutation_seed != 0) data.preparation.permuted_steps = data.training.length;
  for (data::Dataset* set : {&data.training, &data.validation, &data.test}) {
    permute(*set, options.data.permutation_seed);
    if (set->count > 0) set->readout = readout;
    set->validate();
  }
  check_targets(data.training, options.data, data.notes);
  if (options.start.empty()) train::require_effect(options.train, readout, "train");
  if (options.quantize) train::require_effect(options.qat, readout, "qat");
  return data;
}

namespace {

void require_kind(bool audio, const data::DataOptions& options,
                  const std::optional<inference::Preparation>& preparation,
                  const std::string& where) {
  const bool hears = preparation && preparation->front_end;
  if (audio == hears) return;
  fail(where, hears ? "made for recordings, but the data are " + plural_of(kind_of(options)) +
                          "; give a directory of recordings with --data"
                    : "not made for recordings, but " + options.directory + " contains recordings");
}

// If the options do not set the task, it is that of the model.
data::DataOptions with_task_of(const std::optional<inference::Preparation>& preparation,
                               data::DataOptions options) {
  if (preparation && options.task == "auto" && kind_of(options) == data::DataKind::kSeries) {
    options.task = preparation->readout.task->name();
  }
  return options;
}

task::Scope scope_of(const std::optional<inference::Preparation>& preparation) {
  return preparation ? preparation->readout.scope : task::Scope::kSequence;
}

data::Dataset prepared(data::Dataset set, const data::DataOptions& options,
                       const std::optional<inference::Preparation>& preparation,
                       const std::string& where) {
  if (preparation) {
    task::require_same_outputs(preparation->readout, set.readout, where, set.name);
    set.readout = preparation->readout;
    preparation->require_length(set, where);
  }
  permute(set, preparation ? preparation->permutation_seed : options.permutation_seed);
  set.validate();
  return set;
}

}  // namespace

RunData load_model_data(const RunOptions& given,
                        const std::optional<inference::Preparation>& preparation,
                        const std::string& where, ThreadPool& pool) {
  RunOptions options = given;
  options.data = with_task_of(preparation, options.data);
  const bool audio = holds_recordings(options.data);
  require_kind(audio, options.data, preparation, where);
  RunData data;
  if (audio) {
    data::AudioSets recordings = load_recordings(options.data);
    require_training(recordings, options.data);
    const data::RecordingsSplit split = split_recordings(recordings, options);
    data.training = data::make_sequences(split.train, *preparation->front_end, pool);
    if (!split.validation.items.empty()) {
      data.validation = data::make_sequences(split.validation, *preparation->front_end, pool);
    }
    if (!recordings.test.items.empty()) {
      data.test = data::make_sequences(recordings.test, *preparation->front_end, pool);
    }
    data.test.notes = recordings.notes;
  } else {
    data = run_sequences(options, scope_of(preparation));
    data.test.notes = std::move(data.notes);
  }
  for (data::Dataset* set : {&data.training, &data.validation, &data.test}) {
    if (set->count > 0) {
      *set = prepared(std::move(*set), options.data, preparation, where);
    }
  }
  check_targets(data.training, options.data, data.test.notes);
  train::require_effect(options.qat, data.training.readout, "qat");
  return data;
}

data::Dataset load_test_data(const data::DataOptions& given,
                             const std::optional<inference::Preparation>& preparation,
                             const std::string& where, ThreadPool& pool) {
  const data::DataOptions options = with_task_of(preparation, given);
  const bool audio = holds_recordings(options);
  require_kind(audio, options, preparation, where);
  data::Dataset set;
  if (audio) {
    const data::AudioSets recordings = load_recordings(options);
    set = data::make_sequences(recordings.test, *preparation->front_end, pool);
    set.notes = recordings.notes;
  } else {
    set = load_sequences(options, scope_of(preparation)).test;
    require_counted_first(set, "data.test_limit", options.test_limit);
  }
  return prepared(std::move(set), options, preparation, where);
}

json data_identity(const data::DataOptions& options, task::Scope scope) {
  if (holds_recordings(options)) {
    const data::AudioSets sets = load_recordings(options);
    return {{"training", data_identity(sets.train)},
            {"validation", data_identity(sets.validation)},
            {"test", data_identity(sets.test)}};
  }
  const data::TrainTest sets = load_sequences(options, scope);
  return {{"training", train::data_identity(sets.train)},
          {"test", train::data_identity(sets.test)}};
}

std::vector<data::Batch> calibration_batches(const data::Dataset& set, const RunOptions& options) {
  std::vector<std::uint32_t> order = data::shuffled(set.count, options.seed, 0);
  order.resize(std::min(order.size(), static_cast<std::size_t>(options.calibration)));
  std::vector<data::Batch> batches;
  for (std::size_t begin = 0; begin < order.size(); begin += kCalibrationBatch) {
    const std::size_t size = std::min(kCalibrationBatch, order.size() - begin);
    data::fill_batch(set, std::span(order).subspan(begin, size),
                     static_cast<std::size_t>(options.model.block_length), batches.emplace_back());
  }
  return batches;
}

std::vector<data::Batch> score_batches(const data::Dataset& set, const RunOptions& options) {
  constexpr std::size_t kSequences = 16;
  const std::size_t wanted = static_cast<std::size_t>(options.prune.batches) * kSequences;
  const std::size_t count = std::min(wanted, set.count);
  std::vector<data::Batch> batches;
  for (std::size_t begin = 0; begin < count; begin += kSequences) {
    std::vector<std::uint32_t> rows;
    for (std::size_t i = begin; i < std::min(begin + kSequences, count); ++i) {
      rows.push_back(static_cast<std::uint32_t>(i * set.count / count));
    }
    data::fill_batch(set, rows, static_cast<std::size_t>(options.model.block_length),
                     batches.emplace_back());
  }
  return batches;
}

}  // namespace crosstate::pipeline
