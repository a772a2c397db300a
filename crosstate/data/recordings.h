// Labelled recordings in memory, each with its own length, before a front end turns them into
// sequences.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace crosstate::data {

struct Recording {
  std::string name;            // of the file, relative to the directory of the set
  std::string speaker;         // empty: unknown
  std::int32_t label = 0;      // in [0, classes.size())
  std::vector<float> samples;  // one channel, full scale 1
};

struct Recordings {
  std::string name;     // "recordings test"
  int sample_rate = 0;  // Hz, of all recordings
  std::vector<Recording> items;
  std::vector<std::string> classes;  // names by label
};

/// The recordings `order[...]`, in that order. Throws Error for an index outside the set.
Recordings select(const Recordings& set, std::span<const std::uint32_t> order, std::string name);

/// Splits `set` into (rest, held out), both in the order of the set: by a class-balanced share as
/// in split_validation(), or by speaker. Throws Error for a share outside [0, 1) and for a speaker
/// who is not in the set (the message lists the speakers of the set).
struct RecordingsSplit {
  Recordings train, validation;
};
RecordingsSplit split_validation(const Recordings& set, double share, std::uint64_t seed);
RecordingsSplit split_speaker(const Recordings& set, const std::string& speaker);

}  // namespace crosstate::data
