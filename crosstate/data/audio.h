// Folders of recordings as WAV or FLAC files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "crosstate/data/options.h"
#include "crosstate/data/recordings.h"

namespace crosstate::data {

/// Reads one recording: its samples as one channel (several channels are averaged) with full scale
/// 1, and its sample rate in Hz. Throws Error naming the file if the format is neither WAV (RIFF,
/// RIFX, RF64, BW64) nor FLAC, if the file is damaged or truncated, has no samples, is longer than
/// `longest` seconds, or has samples that are not finite.
///
/// A program that writes to a pipe cannot go back to the header and leaves a placeholder for the
/// length: 0, or a number near 2^31, 2^32 or 2^63. Such a file is read to its end.
struct Sound {
  std::vector<float> samples;
  int sample_rate = 0;
  bool to_end = false;    // the header does not give the length
  bool has_rest = false;  // bytes after the announced samples that are not chunks
};
Sound read_sound(const std::filesystem::path& path, double longest);

/// The recordings of a directory, split into parts; any part may be empty.
///
/// Layout "names": files label_speaker_n.wav in the directory itself; n is an integer, and the
/// label has no underscores. The test set is test_indices.
///
/// Layout "folders": one folder per class. If the lists testing_list.txt and validation_list.txt of
/// Speech Commands exist, they define the parts; otherwise the test set is a share test_share,
/// chosen by a hash of the file name. A name with "_nohash_" has its speaker before that, as in
/// Speech Commands, behind the last "_" if there is one ("bed_3efef882_nohash_0"); the hash is then
/// that of the speaker, so that no speaker is in both parts, and split_validation() holds out whole
/// speakers, too. Folders whose names begin with "_" or "." are not classes.
///
/// If every folder of the directory is a part by its name (train, training; val, valid, validation,
/// dev, development; test, testing, eval, evaluation; in any case, also followed by "set" or
/// "data"), each folder holds the recordings of its part, in either layout. Without a test part the
/// training part is split as above. Layout "classes" is "folders" without this rule: every folder
/// is a class, whatever its name.
///
/// With layout "auto", a directory whose only recordings are in one of its folders is read as if it
/// were that folder.
///
/// With test_speaker the test set is that speaker in every layout. Classes are the labels of all
/// recordings in ascending order, or those of them that `classes` names. Each part is ordered by a
/// hash of the names, so that every prefix of it is a fair sample. Names are converted to UTF-8 by
/// as_utf8().
///
/// Throws Error for a directory without recordings or with only one class, for folders of parts
/// beside folders of classes, for names that do not fit the layout, for a recording whose sample
/// rate differs from that of the first, for every file that read_sound() rejects, and for a class
/// to keep that no recording has.
struct AudioSets {
  Recordings train, validation, test;  // validation: empty unless the directory has one
  std::vector<std::string> notes;      // what was left out or assumed, one line each
};
AudioSets read_audio(const std::filesystem::path& directory, const DataOptions& options);

/// Whether the directory or a folder below it holds a recording.
bool holds_audio(const std::filesystem::path& directory);

}  // namespace crosstate::data
