// Which files of a directory are recordings of a set, with the class and the part of each.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "crosstate/data/options.h"

namespace crosstate::data {

enum class Part { kTrain, kValidation, kTest };

/// A recording file that has not been read yet.
struct RecordingFile {
  std::filesystem::path path;
  std::string name;            // relative to the directory, with '/'; the bytes of the file system
  std::string label, speaker;  // UTF-8; speaker: empty where unknown
  Part part = Part::kTrain;
};

struct RecordingFiles {
  std::vector<RecordingFile> files;
  bool has_validation = false;  // the directory specifies which recordings are for validation
  bool has_test = false;        // the directory specifies which recordings are for testing
  bool by_names = false;  // the test set is chosen by data.test_indices, else by data.test_share
  std::vector<std::string> notes;  // one line for each reason why recordings were left out
};

/// Finds the recordings (.wav and .flac) of a directory as described at read_audio(). Every
/// recording is either in `files` or counted in a note. Throws Error if the layout is ambiguous or
/// damaged; `files` may be empty.
RecordingFiles find_recordings(const std::filesystem::path& directory, const DataOptions& options);

/// Number of .wav and .flac files in a directory and the folders below it; 0 if it is not a
/// directory.
std::size_t count_recordings(const std::filesystem::path& directory);

/// Parses a list of Speech Commands (testing_list.txt) with one name "label/file.wav" per line.
/// Returns the names without their extensions (which may differ from those of the files) and
/// without duplicates.
std::vector<std::string> parse_recording_list(const std::string& text);

}  // namespace crosstate::data
