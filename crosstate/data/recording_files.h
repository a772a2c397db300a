// Which files of a directory are recordings of a set, of which class and in which part of it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "crosstate/data/options.h"

namespace crosstate::data {

enum class Part { kTrain, kValidation, kTest };

/// A recording before anything of it is read.
struct RecordingFile {
  std::filesystem::path path;
  std::string name;            // below the directory, with '/'; the bytes of the file system
  std::string label, speaker;  // UTF-8; speaker: empty where unknown
  Part part = Part::kTrain;
};

struct RecordingFiles {
  std::vector<RecordingFile> files;
  bool has_validation = false;     // the directory tells which recordings are for validation
  bool has_test = false;           // likewise for the test
  bool by_names = false;           // data.test_indices, else data.test_share, would choose the test
  std::vector<std::string> notes;  // one line for each reason to leave recordings out
};

/// Finds the recordings (.wav and .flac) of a directory as read_audio() describes it. Every one
/// that is there is either among the files or counted in a note. Throws Error where the layout is
/// ambiguous or damaged; `files` may be empty where nothing is found.
RecordingFiles find_recordings(const std::filesystem::path& directory, const DataOptions& options);

/// How many .wav and .flac files a directory and the folders below it hold; 0 for what is no
/// directory.
std::size_t count_recordings(const std::filesystem::path& directory);

/// A list of Speech Commands (testing_list.txt): a name "label/file.wav" on each line. The names
/// without their endings, which may differ from those of the files, once each.
std::vector<std::string> parse_recording_list(const std::string& text);

}  // namespace crosstate::data
