// Folders of recordings as WAV or FLAC files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "crosstate/data/options.h"
#include "crosstate/data/recordings.h"

namespace crosstate::data {

/// One recording as one channel (several are averaged), full scale 1, and its sample rate in Hz.
/// Throws Error naming the file for anything but WAV (RIFF, RIFX, RF64, BW64) and FLAC, damaged or
/// truncated files, no samples, more than `longest` seconds, and samples that are not finite.
///
/// Who writes to a pipe cannot go back to its header and leaves a placeholder for the length there:
/// 0, or a number near 2^31, 2^32 or 2^63. Such a file is read to its end.
struct Sound {
  std::vector<float> samples;
  int sample_rate = 0;
  bool to_end = false;    // the header did not tell the length
  bool has_rest = false;  // bytes behind the announced samples that are no chunks
};
Sound read_sound(const std::filesystem::path& path, double longest);

/// The recordings of a directory, split into parts; each of them may be empty.
///
/// Layout "names": files label_speaker_n.wav in the directory itself, n a whole number, the label
/// without underscores. The test set is test_indices.
///
/// Layout "folders": one folder per class. The lists testing_list.txt and validation_list.txt of
/// Speech Commands, where they are there, tell the parts; otherwise the test set is test_share, by
/// a hash of the file's name. A name with "_nohash_" begins with its speaker, as in Speech
/// Commands, and then the hash is the speaker's, so that nobody is in both parts. Folders that
/// begin with "_" or "." are no classes.
///
/// Where every folder of the directory is a part by its name - train, training; val, valid,
/// validation, dev, development; test, testing, eval, evaluation; in any case, also with "set" or
/// "data" behind it - each holds the recordings of its part, in either layout. Without a test part
/// the training part is split as above. Layout "classes" is "folders" without this: it takes every
/// folder for a class, whatever its name.
///
/// A directory whose only recordings lie in one of its folders stands for that folder where
/// the layout is "auto".
///
/// With test_speaker the test set is that speaker in any layout. Classes are the labels of all
/// recordings in ascending order; each part is in the order of a hash of its names, so that every
/// prefix of it is a fair sample. Names become UTF-8 by as_utf8().
///
/// Throws Error for a directory without recordings or with one class only, for parts beside
/// classes, names that do not fit the layout, a recording at another sample rate than the first,
/// and whatever read_sound() refuses.
struct AudioSets {
  Recordings train, validation, test;  // validation: empty where the directory tells none
  std::vector<std::string> notes;      // what was left out or assumed, a line each
};
AudioSets read_audio(const std::filesystem::path& directory, const DataOptions& options);

/// Whether a recording is in the directory or below it.
bool holds_audio(const std::filesystem::path& directory);

}  // namespace crosstate::data
