// Options of the data: where sequences come from, how the front end prepares them, how training
// varies them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "crosstate/base/named.h"
#include "crosstate/base/options.h"
#include "crosstate/task/task.h"

namespace crosstate::data {

/// Images (including the built-in sample), recordings, or series in CSV or NPZ files.
enum class DataKind { kImages, kRecordings, kSeries };

/// Type of a directory's contents as a setting; kAuto detects it.
enum class DataFormat { kAuto, kMnist, kAudio, kSeries };
constexpr auto enum_names(DataFormat) {
  return std::array{Named{"auto", DataFormat::kAuto}, Named{"mnist", DataFormat::kMnist},
                    Named{"audio", DataFormat::kAudio}, Named{"series", DataFormat::kSeries}};
}

enum class RecordingLayout { kAuto, kNames, kFolders, kClasses };
constexpr auto enum_names(RecordingLayout) {
  return std::array{Named{"auto", RecordingLayout::kAuto}, Named{"names", RecordingLayout::kNames},
                    Named{"folders", RecordingLayout::kFolders},
                    Named{"classes", RecordingLayout::kClasses}};
}

enum class FrontEndKind { kLogMel, kWaveform };
constexpr auto enum_names(FrontEndKind) {
  return std::array{Named{"log-mel", FrontEndKind::kLogMel},
                    Named{"waveform", FrontEndKind::kWaveform}};
}

struct DataSets;   // data/dataset.h
struct AudioSets;  // data/audio.h

/// Arithmetic of the front end: binary32, or whole numbers as in deployment.
enum class FrontEndArithmetic { kFloat, kInteger };
constexpr auto enum_names(FrontEndArithmetic) {
  return std::array{Named{"float", FrontEndArithmetic::kFloat},
                    Named{"integer", FrontEndArithmetic::kInteger}};
}

struct DataOptions {
  std::string directory;                // empty: the built-in sample
  DataFormat kind = DataFormat::kAuto;  // auto | mnist | audio | series
  std::string task = "auto";            // auto: classification | name of a task
  std::string classes;                  // classes to keep; empty: all
  int train_limit = 0;                  // use only the first sequences of each part; 0: all
  int test_limit = 0;                   // likewise
  std::uint64_t permutation_seed = 0;   // 0: time steps are not permuted
  // Series only.
  int channels = 1;  // values per time step, in CSV files
  int targets = 1;   // target values per sequence, in CSV files
  // Recordings only.
  RecordingLayout layout = RecordingLayout::kAuto;  // auto | names | folders | classes
  std::string test_indices = "0-4";                 // for layout "names"
  double test_share = 0.1;                          // for layout "folders" without train/ and test/
  std::string test_speaker;                         // empty: split by index or name
  std::string validation_speaker;                   // empty: train.validation
  int sample_rate = 0;                              // Hz; 0: that of the first file
  double longest = 30;                              // seconds

  // Not settings: data in memory, in place of those of `directory`. At most one of them is set.
  std::shared_ptr<const DataSets> sets;
  std::shared_ptr<const AudioSets> recordings;
};

/// Lowest front_end.floor with front_end.arithmetic = integer, in dB.
inline constexpr double kLowestIntegerFloor = -100;

/// How samples become the input of the network; see FrontEnd.
struct FrontEndOptions {
  FrontEndKind kind = FrontEndKind::kLogMel;                   // log-mel | waveform
  FrontEndArithmetic arithmetic = FrontEndArithmetic::kFloat;  // float | integer
  int decimation = 1;
  double frame = 25;  // ms
  double hop = 10;    // ms
  int bands = 20;
  double low = 60;     // Hz
  double high = 0;     // Hz; 0: half the sample rate
  double floor = -80;  // dB below a full-scale sine
  bool deltas = false;
  bool normalise = true;
};

struct ImageVariation {
  int shift = 0;        // pixels
  double rotation = 0;  // degrees
  double scale = 0;     // relative
};

/// How training varies recordings and images; see Augmenter. All zero: no augmentation.
struct AugmentOptions {
  double shift = 0;      // ms
  double gain = 0;       // dB
  double speed = 0;      // relative
  double noise = 0;      // probability
  double snr_low = 10;   // dB
  double snr_high = 40;  // dB
  int time_masks = 0;
  double time_mask = 50;  // ms
  int band_masks = 0;
  int band_mask = 3;
  int variants = 0;  // of every sequence, used by the epochs in turn; 0: a new one in every epoch
  ImageVariation image = {};

  /// Whether anything varies recordings: their samples, or the frames computed from them.
  bool varies_samples() const { return shift > 0 || gain > 0 || speed > 0 || noise > 0; }
  bool varies_frames() const { return time_masks > 0 || band_masks > 0; }
  bool varies_images() const { return image.shift > 0 || image.rotation > 0 || image.scale > 0; }
  bool any() const { return varies_samples() || varies_frames() || varies_images(); }
};

/// Kind of the targets of the data.
const task::Task& task_of(const DataOptions& options);

/// Bind the fields of sections "data", "front_end" and "augment".
void fields(FieldList& list, DataOptions& options);
void fields(FieldList& list, FrontEndOptions& options);
void fields(FieldList& list, AugmentOptions& options);

/// Throw Error for a value out of range and for contradictory values.
void validate(const DataOptions& options);
void validate(const FrontEndOptions& options);
void validate(const AugmentOptions& options);
/// Throws Error unless at least one band of every recording remains unmasked.
void validate(const AugmentOptions& options, const FrontEndOptions& front_end);

/// Integers from text such as "0-4" or "3 7 10-12".
struct IndexRange {
  std::uint64_t first, last;
};
std::vector<IndexRange> parse_indices(const std::string& text);

/// Labels from text such as "0 1" or, if labels contain spaces, "left hand, right hand"; none from
/// empty text. Throws Error for a single label and for one that is named twice.
std::vector<std::string> parse_classes(const std::string& text);

}  // namespace crosstate::data
