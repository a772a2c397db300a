#include "crosstate/data/options.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/lists.h"
#include "crosstate/base/numbers.h"

namespace crosstate::data {
namespace {

template <class Options>
void check_ranges(const Options& options) {
  Options copy = options;
  FieldList list;
  fields(list, copy);
  list.from_json(list.to_json(), "options");
}

}  // namespace

const task::Task& task_of(const DataOptions& options) {
  return options.task == "auto" ? *task::tasks().front()
                                : task::task_named(options.task, "data.task");
}

void fields(FieldList& list, DataOptions& options) {
  list.section("data");
  list.add(
      "directory", options.directory,
      "Directory of the four MNIST files, the recordings or the series; empty: built-in sample.");
  list.add("kind", options.kind, "Type of the data; auto detects it.");
  std::vector<std::string> task_choices = task::task_names();
  task_choices.insert(task_choices.begin(), "auto");
  list.add("task", options.task,
           "Task; auto: that of the model, else classification. Training on series requires it.")
      .one_of(task_choices);
  list.add("channels", options.channels, "Series in CSV files: number of values per time step.")
      .range(1, 65536);
  list.add("targets", options.targets,
           "Series in CSV files: number of target values, which precede the steps.")
      .range(1, 65536);
  list.add(
      "classes", options.classes,
      "Labels of the classes to use, separated by spaces or, if one contains spaces, by commas; "
      "sequences of other classes are left out. Empty: all classes.");
  list.add("train_limit", options.train_limit, "Use only the first training sequences; 0: all.")
      .in("sequences")
      .range(0, 1e9);
  list.add("test_limit", options.test_limit, "Use only the first test sequences; 0: all.")
      .in("sequences")
      .range(0, 1e9);
  list.add("permutation_seed", options.permutation_seed,
           "Seed of one random permutation of the time steps of all sequences, as in permuted "
           "sequential MNIST; 0: no permutation.")
      .range(0, 9e18);
  list.add("layout", options.layout,
           "Recordings. names: files label_speaker_n.wav; folders: one per class; auto: detect. "
           "Folders train, test and validation are parts; classes: every folder is a class.");
  list.add("test_indices", options.test_indices,
           "Layout names: the test set is the recordings with these numbers n.");
  list.add("test_share", options.test_share,
           "Layout folders without a folder test or testing_list.txt: share of the recordings for "
           "the test set, chosen by their names.")
      .range(0, 0.9);
  list.add("test_speaker", options.test_speaker,
           "The test set is all recordings of this speaker; overrides the other settings.");
  list.add(
      "validation_speaker", options.validation_speaker,
      "Hold out this speaker of the training set for validation, instead of train.validation.");
  list.add("sample_rate", options.sample_rate,
           "Required sample rate of all recordings; 0: the rate of the first.")
      .in("Hz")
      .range(0, 1e6);
  list.add("longest", options.longest, "Longest recording; a longer one is an error.")
      .in("s")
      .range(0.001, 3600);
}

void fields(FieldList& list, FrontEndOptions& options) {
  list.section("front_end");
  list.add("kind", options.kind, "Input of the network: energies in mel bands, or the samples.");
  list.add("arithmetic", options.arithmetic,
           "integer: 16-bit samples and whole numbers throughout, with the bits of the C code for "
           "microcontrollers.");
  list.add("decimation", options.decimation,
           "Keep every n-th sample after a low-pass; raise if high frequencies are irrelevant.")
      .range(1, 64);
  list.add("frame", options.frame, "Length of the window of a spectrum.").in("ms").range(1, 1000);
  list.add("hop", options.hop, "Time between two frames; a longer hop gives shorter sequences.")
      .in("ms")
      .range(0.1, 1000);
  list.add("bands", options.bands, "Number of mel bands.").range(1, 256);
  list.add("low", options.low, "Lower edge of the lowest band.").in("Hz").range(0, 1e6);
  list.add("high", options.high, "Upper edge of the highest band; 0: half the sample rate.")
      .in("Hz")
      .range(0, 1e6);
  list.add("floor", options.floor,
           "Lower limit of energies relative to a full-scale sine; raise if silence is noisy.")
      .in("dB")
      .range(-200, 0);
  list.add("deltas", options.deltas, "Append the slope of every band over the last five frames.");
  list.add("normalise", options.normalise,
           "Normalise every feature to mean 0 and standard deviation 1 over the training set.");
}

void fields(FieldList& list, AugmentOptions& options) {
  list.section("augment");
  list.add("shift", options.shift, "Maximum random shift in time, in either direction.")
      .in("ms")
      .range(0, 10000);
  list.add("gain", options.gain, "Maximum random change of loudness, in either direction.")
      .in("dB")
      .range(0, 60);
  list.add("speed", options.speed,
           "Maximum relative change of speed (and pitch), in either direction.")
      .range(0, 0.5);
  list.add("noise", options.noise, "Probability of added noise.").range(0, 1);
  list.add("snr_low", options.snr_low, "Lowest signal-to-noise ratio.").in("dB").range(-40, 100);
  list.add("snr_high", options.snr_high, "Highest signal-to-noise ratio.").in("dB").range(-40, 100);
  list.add("time_masks", options.time_masks,
           "Number of time masks: intervals in which all features are 0.")
      .range(0, 100);
  list.add("time_mask", options.time_mask, "Longest time mask.").in("ms").range(0, 10000);
  list.add("band_masks", options.band_masks,
           "Number of band masks: groups of adjacent bands that are 0 throughout.")
      .range(0, 100);
  list.add("band_mask", options.band_mask, "Widest band mask.").in("bands").range(1, 256);
  list.add("variants", options.variants,
           "Number of variants of the training set, used by the epochs in turn; only these are "
           "computed, but all are kept in memory. 0: a new variant in every epoch.")
      .range(0, 100000);
  list.section("augment.image");
  list.add("shift", options.image.shift,
           "Maximum random shift, of rows and of columns, in either direction; whole pixels, which "
           "keep images sharp.")
      .in("pixels")
      .range(0, 1000);
  list.add("rotation", options.image.rotation,
           "Maximum random rotation about the centre, in either direction.")
      .in("degrees")
      .range(0, 180);
  list.add("scale", options.image.scale, "Maximum relative change of size, in either direction.")
      .range(0, 0.9);
}

void validate(const DataOptions& options) {
  check_ranges(options);
  parse_indices(options.test_indices);
  if (!parse_classes(options.classes).empty() && (options.sets || options.recordings)) {
    fail("options",
         "data.classes = \"" + excerpt(options.classes) +
             "\" chooses from data.directory, but the data are in memory; expected \"\", "
             "and only sequences of these classes");
  }
  if (!options.test_speaker.empty() && options.test_speaker == options.validation_speaker) {
    fail("options", "data.validation_speaker = \"" + excerpt(options.validation_speaker) +
                        "\" is also data.test_speaker, expected another speaker");
  }
}

void validate(const FrontEndOptions& options) {
  check_ranges(options);
  if (options.high != 0 && options.high <= options.low) {
    fail("options", "front_end.high = " + exact_text(options.high) +
                        ", expected more than front_end.low = " + exact_text(options.low));
  }
  if (options.arithmetic == FrontEndArithmetic::kInteger && options.kind == FrontEndKind::kLogMel &&
      options.floor < kLowestIntegerFloor) {
    fail("options", "front_end.floor = " + exact_text(options.floor) + ", expected at least " +
                        exact_text(kLowestIntegerFloor) +
                        " with front_end.arithmetic = \"integer\"");
  }
}

void validate(const AugmentOptions& options) {
  check_ranges(options);
  if (options.snr_low > options.snr_high) {
    fail("options", "augment.snr_low = " + exact_text(options.snr_low) +
                        ", expected at most augment.snr_high = " + exact_text(options.snr_high));
  }
}

void validate(const AugmentOptions& options, const FrontEndOptions& front_end) {
  if (options.band_masks == 0) return;
  if (front_end.kind == FrontEndKind::kWaveform) {
    fail("options", "augment.band_masks = " + std::to_string(options.band_masks) +
                        ", expected 0 with front_end.kind = \"waveform\", which has no bands");
  }
  if (options.band_mask >= front_end.bands) {
    fail("options",
         "augment.band_mask = " + std::to_string(options.band_mask) +
             ", expected less than front_end.bands = " + std::to_string(front_end.bands) +
             ", so that no recording is masked completely");
  }
}

std::vector<IndexRange> parse_indices(const std::string& text) {
  std::vector<IndexRange> ranges;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&](std::uint64_t& value) {
    const auto [rest, error] = std::from_chars(at, end, value);
    at = rest;
    return error == std::errc{};
  };
  for (;;) {
    while (at != end && *at == ' ') ++at;
    if (at == end) break;
    IndexRange range{};
    bool good = number(range.first);
    range.last = range.first;
    if (good && at != end && *at == '-') {
      ++at;
      good = number(range.last) && range.last >= range.first;
    }
    if (!good || (at != end && *at != ' ')) {
      fail("options", "data.test_indices = \"" + excerpt(text) +
                          "\", expected numbers and ascending ranges such as \"0-4 7\"");
    }
    ranges.push_back(range);
  }
  return ranges;
}

std::vector<std::string> parse_classes(const std::string& text) {
  const std::vector<std::string> labels = split_list(text);
  for (auto label = labels.begin(); label != labels.end(); ++label) {
    if (std::find(labels.begin(), label, *label) == label) continue;
    fail("options", "data.classes = \"" + excerpt(text) + "\" has \"" + excerpt(*label) +
                        "\" twice, expected every label once");
  }
  if (labels.size() == 1) {
    fail("options", "data.classes = \"" + excerpt(text) +
                        "\", expected at least two labels, or none for all classes");
  }
  return labels;
}

}  // namespace crosstate::data
