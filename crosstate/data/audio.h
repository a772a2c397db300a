// Folders of recordings as WAV or FLAC files.
#pragma once

#include <filesystem>

#include "crosstate/data/options.h"
#include "crosstate/data/recordings.h"

namespace crosstate {

/// One recording as one channel (several are averaged), full scale 1, and its sample rate in Hz.
/// Throws Error naming the file for anything but WAV and FLAC, damaged or truncated files, no
/// samples, more than `longest` seconds, and samples that are not finite.
struct Sound {
  std::vector<float> samples;
  int sample_rate = 0;
};
Sound read_sound(const std::filesystem::path& path, double longest);

/// The recordings of a directory, split in two; either part may be empty.
///
/// Layout "names": files label_speaker_n.wav in the directory itself, n a whole number, the label
/// without underscores. The test set is test_indices.
///
/// Layout "folders": one folder per class. With folders train/ and test/ each holds the classes, in
/// either layout; otherwise the test set is test_share, by a hash of the file's name. A name with
/// "_nohash_" begins with its speaker, as in Speech Commands, and then the hash is the speaker's,
/// so that nobody is in both parts. Folders that begin with "_" or "." are passed over.
///
/// A directory whose only recordings lie in one of its folders stands for that folder where
/// the layout is "auto".
///
/// With test_speaker the test set is that speaker in either layout. Other files than .wav and .flac
/// are passed over. Classes are the labels of all recordings in ascending order; each part is in
/// the order of a hash of its names, so that every prefix of it is a fair sample.
///
/// Throws Error for a directory without recordings or with one class only, names that do not fit
/// the layout, a recording at another sample rate than the first, and whatever read_sound()
/// refuses.
struct AudioSets {
  Recordings train, test;
};
AudioSets read_audio(const std::filesystem::path& directory, const DataOptions& options);

/// Whether read_audio() would find a recording there.
bool holds_audio(const std::filesystem::path& directory);

}  // namespace crosstate
