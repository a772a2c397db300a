#include "crosstate/data/options.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "crosstate/base/error.h"
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
  list.add("directory", options.directory,
           "Where the four MNIST files, the recordings or the series are; empty: built-in sample.");
  list.add("kind", options.kind, "What is in the directory; auto looks.");
  std::vector<std::string> task_choices = task::task_names();
  task_choices.insert(task_choices.begin(), "auto");
  list.add("task", options.task,
           "What the targets are; auto: that of the model, else classification. Series have to say "
           "it, for training.")
      .one_of(task_choices);
  list.add("channels", options.channels, "Of series in CSV files: values of every time step.")
      .range(1, 65536);
  list.add("targets", options.targets, "Of series in CSV files: target values before them.")
      .range(1, 65536);
  list.add("train_limit", options.train_limit, "Uses the first training sequences only; 0: all.")
      .in("sequences")
      .range(0, 1e9);
  list.add("test_limit", options.test_limit, "Uses the first test sequences only; 0: all.")
      .in("sequences")
      .range(0, 1e9);
  list.add("permutation_seed", options.permutation_seed,
           "Puts the time steps of all sequences into one random order, as in permuted sequential "
           "MNIST; 0: leaves them in order.")
      .range(0, 9e18);
  list.add(
      "layout", options.layout,
      "Of recordings. names: files label_speaker_n.wav; folders: one per class; auto looks. In "
      "folders train, test and validation, if there are any; classes: every folder is a class.");
  list.add("test_indices", options.test_indices,
           "Layout names: recordings with these numbers n are the test set.");
  list.add("test_share", options.test_share,
           "Layout folders without a folder test or testing_list.txt: share of the recordings that "
           "are the test set, chosen by their names.")
      .range(0, 0.9);
  list.add("test_speaker", options.test_speaker,
           "All recordings of this speaker are the test set, whatever else would choose it.");
  list.add("validation_speaker", options.validation_speaker,
           "Holds out this speaker of the training set instead of train.validation.");
  list.add("sample_rate", options.sample_rate,
           "What every recording must have; 0: the rate of the first.")
      .in("Hz")
      .range(0, 1e6);
  list.add("longest", options.longest, "A longer recording is an error.")
      .in("s")
      .range(0.001, 3600);
}

void fields(FieldList& list, FrontEndOptions& options) {
  list.section("front_end");
  list.add("kind", options.kind, "What the network hears: energies in bands, or the samples.");
  list.add("decimation", options.decimation,
           "Keeps every n-th sample behind a low-pass; raise where the task has no high tones.")
      .range(1, 64);
  list.add("frame", options.frame, "Length of the window that a spectrum looks at.")
      .in("ms")
      .range(1, 1000);
  list.add("hop", options.hop, "Time between two frames; longer makes short sequences.")
      .in("ms")
      .range(0.1, 1000);
  list.add("bands", options.bands, "Bands of the mel scale; more for finer spectra.").range(1, 256);
  list.add("low", options.low, "Lower edge of the lowest band.").in("Hz").range(0, 1e6);
  list.add("high", options.high, "Upper edge of the highest band; 0: half the sample rate.")
      .in("Hz")
      .range(0, 1e6);
  list.add("floor", options.floor,
           "Energies sink no lower, against a sine of full scale; raise where silence is noisy.")
      .in("dB")
      .range(-200, 0);
  list.add("deltas", options.deltas, "Adds the slope of every band over the last five frames.");
  list.add("normalise", options.normalise,
           "Brings every feature to mean 0 and deviation 1 over the training set.");
}

void fields(FieldList& list, AugmentOptions& options) {
  list.section("augment");
  list.add("shift", options.shift, "Begins up to so much earlier or later.")
      .in("ms")
      .range(0, 10000);
  list.add("gain", options.gain, "Louder or softer by up to so much.").in("dB").range(0, 60);
  list.add("speed", options.speed, "Faster or slower, and higher or lower, by up to this share.")
      .range(0, 0.5);
  list.add("noise", options.noise, "Probability of added noise.").range(0, 1);
  list.add("snr_low", options.snr_low, "Lowest ratio of recording to noise.")
      .in("dB")
      .range(-40, 100);
  list.add("snr_high", options.snr_high, "Highest ratio of recording to noise.")
      .in("dB")
      .range(-40, 100);
  list.add("time_masks", options.time_masks, "Stretches of time in which all features are 0.")
      .range(0, 100);
  list.add("time_mask", options.time_mask, "Longest such stretch.").in("ms").range(0, 10000);
  list.add("band_masks", options.band_masks, "Groups of neighbouring bands that are 0 throughout.")
      .range(0, 100);
  list.add("band_mask", options.band_mask, "Widest such group.").in("bands").range(1, 256);
}

void validate(const DataOptions& options) {
  check_ranges(options);
  parse_indices(options.test_indices);
  if (!options.test_speaker.empty() && options.test_speaker == options.validation_speaker) {
    fail("options", "data.validation_speaker = \"" + excerpt(options.validation_speaker) +
                        "\" is data.test_speaker, expected another");
  }
}

void validate(const FrontEndOptions& options) {
  check_ranges(options);
  if (options.high != 0 && options.high <= options.low) {
    fail("options", "front_end.high = " + exact_text(options.high) +
                        ", expected more than front_end.low = " + exact_text(options.low));
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
    fail("options", "augment.band_mask = " + std::to_string(options.band_mask) +
                        ", expected less than front_end.bands = " +
                        std::to_string(front_end.bands) + ": no recording may vanish");
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

}  // namespace crosstate::data
