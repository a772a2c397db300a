// From samples to network input: log-mel energies or the decimated waveform, frame by frame.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/data/integer_front_end.h"
#include "crosstate/data/options.h"
#include "crosstate/data/recordings.h"
#include "crosstate/formats/safetensors.h"

namespace crosstate::data {

/// A front end for one sample rate, with the statistics for normalisation.
///
/// With options().arithmetic = kInteger, it computes in whole numbers from 16-bit samples, to which
/// it rounds others; its features are multiples of 2^-15. Otherwise it is computed in float, and
/// integer arithmetic begins with the input quantizer of the network.
class FrontEnd {
 public:
  /// Throws Error for options that are out of range or do not fit the sample rate (Hz).
  FrontEnd(const FrontEndOptions& options, int sample_rate);

  const FrontEndOptions& options() const { return options_; }
  int sample_rate() const { return sample_rate_; }
  /// Values per frame: the number of bands, twice that with deltas, or 1.
  std::size_t features() const;
  /// Samples between two frames, and samples that a frame needs in addition to those of the
  /// low-pass; both at the full sample rate.
  std::size_t hop() const;
  std::size_t window() const;

  /// Sets mean and standard deviation of every feature to those of the frames of a training set;
  /// does nothing unless options().normalise.
  void fit(const Recordings& training, ThreadPool& pool);
  /// value -> (value - mean) * scale; in whole numbers approximated by integers()->scales.
  const std::vector<float>& mean() const { return mean_; }
  const std::vector<float>& scale() const { return scale_; }
  /// The constants in whole numbers; null unless options().arithmetic = kInteger.
  const IntegerFrontEnd* integers() const { return integers_ ? &*integers_ : nullptr; }

  /// The same front end in the other arithmetic, with the same statistics. Throws Error for options
  /// that are out of its range.
  FrontEnd in(FrontEndArithmetic arithmetic) const;

  /// Adds options and statistics to a model file, under names that begin with "front_end", and
  /// reads them back. load() throws Error naming a tensor that is missing, has another shape or is
  /// not finite or out of range, and for the format of a newer version.
  void save(formats::Safetensors& model) const;
  static FrontEnd load(const formats::Safetensors& model, const std::string& where);
  static bool is_in(const formats::Safetensors& model);

 private:
  friend class FrontEndStream;
  std::size_t window_kept() const;  // samples after the decimator
  std::size_t hop_kept() const;
  void set_statistics(std::vector<float> mean, std::vector<float> scale);

  FrontEndOptions options_;
  int sample_rate_;
  std::vector<float> mean_, scale_;
  std::optional<IntegerFrontEnd> integers_;
};

/// Processes one stream of samples with a front end. A frame depends only on samples up to its end,
/// with silence before the first sample; there is one frame per hop. Use one object per thread.
class FrontEndStream {
 public:
  /// The front end must outlive the stream.
  explicit FrontEndStream(const FrontEnd& front_end);
  ~FrontEndStream();

  /// Appends the frames that these samples complete, features() values each. The result has the
  /// same bits however the stream is divided into calls.
  void push(std::span<const float> samples, std::vector<float>& frames);
  /// Resets to silence.
  void reset();

 private:
  struct Stages;
  const FrontEnd& front_end_;
  std::unique_ptr<Stages> stages_;
};

/// Computes the frames of recording `item` and appends them to `frames`, which is empty.
using MakeFrames =
    std::function<void(std::size_t item, FrontEndStream& stream, std::vector<float>& frames)>;

/// The sequences of a set of recordings, padded to the longest. Throws Error for a recording that
/// is shorter than one hop or has another sample rate.
Dataset make_sequences(const Recordings& set, const FrontEnd& front_end, ThreadPool& pool);
/// The same with another function that computes the frames.
Dataset make_sequences(const Recordings& set, const FrontEnd& front_end, ThreadPool& pool,
                       const MakeFrames& make);

}  // namespace crosstate::data
