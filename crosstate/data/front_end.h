// From samples to the network's input: log-mel energies or the decimated waveform, frame by frame.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "crosstate/base/threads.h"
#include "crosstate/data/dataset.h"
#include "crosstate/data/options.h"
#include "crosstate/data/recordings.h"
#include "crosstate/formats/safetensors.h"

namespace crosstate::data {

/// What one front end does at one sample rate, with the statistics that normalise it.
///
/// In deployment the border of the integer arithmetic is drawn behind it: it stays in floating
/// point, and the network's input quantizer rounds what comes out.
class FrontEnd {
 public:
  /// Throws Error for options out of their ranges or that do not fit the sample rate (Hz).
  FrontEnd(const FrontEndOptions& options, int sample_rate);

  const FrontEndOptions& options() const { return options_; }
  int sample_rate() const { return sample_rate_; }
  /// Values per frame: the bands, twice as many with deltas, or 1.
  std::size_t features() const;
  /// Samples from one frame to the next, and that one looks at besides the low-pass, both at the
  /// full sample rate.
  std::size_t hop() const;
  std::size_t window() const;

  /// Sets mean and deviation of every feature to those over the frames of a training set; does
  /// nothing unless options().normalise.
  void fit(const Recordings& training, ThreadPool& pool);
  /// value -> (value - mean) * scale.
  const std::vector<float>& mean() const { return mean_; }
  const std::vector<float>& scale() const { return scale_; }

  /// Adds options and statistics to a model's file, under names that begin with "front_end", and
  /// back. load() throws Error naming what is missing, of another shape or not finite.
  void save(formats::Safetensors& model) const;
  static FrontEnd load(const formats::Safetensors& model, const std::string& where);
  static bool is_in(const formats::Safetensors& model);

 private:
  friend class FrontEndStream;
  std::size_t window_kept() const;  // samples behind the decimator
  std::size_t hop_kept() const;

  FrontEndOptions options_;
  int sample_rate_;
  std::vector<float> mean_, scale_;
};

/// A front end at work on one stream of samples. A frame depends on samples up to its end alone,
/// with silence before the first; there is one frame per hop. One object per thread.
class FrontEndStream {
 public:
  /// The front end must outlive the stream.
  explicit FrontEndStream(const FrontEnd& front_end);
  ~FrontEndStream();

  /// Appends the frames that the samples complete, features() values each: the same bits however
  /// the stream is cut into pieces.
  void push(std::span<const float> samples, std::vector<float>& frames);
  /// Back to silence.
  void reset();

 private:
  struct Stages;
  const FrontEnd& front_end_;
  std::unique_ptr<Stages> stages_;
};

/// Makes the frames of recording `item`: appends them to `frames`, which is empty.
using MakeFrames =
    std::function<void(std::size_t item, FrontEndStream& stream, std::vector<float>& frames)>;

/// The sequences of a set of recordings, padded to the longest. Throws Error for a recording that
/// is shorter than one hop or of another sample rate.
Dataset make_sequences(const Recordings& set, const FrontEnd& front_end, ThreadPool& pool);
/// The same with frames made in another way.
Dataset make_sequences(const Recordings& set, const FrontEnd& front_end, ThreadPool& pool,
                       const MakeFrames& make);

}  // namespace crosstate::data
