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
  bool by_speaker = false;           // parts divide the speakers, not the recordings of a speaker
};

/// The recordings `order[...]`, in that order. Throws Error for an index outside the set.
Recordings select(const Recordings& set, std::span<const std::uint32_t> order, std::string name);

/// A set as (rest, held out), both in the order of the set.
struct RecordingsSplit {
  Recordings train, validation;
};

/// Holds out a share of every class, chosen by the seed, as split_rows() does. With by_speaker,
/// whole speakers are held out instead, chosen by the seed, until their recordings reach the share:
/// none with whom they would be more than twice that (but the one with the fewest recordings if
/// this leaves out all), and none who has all the remaining recordings of a class. Recordings
/// without a speaker, and all of them if no speaker can be held out, are held out by class as
/// above. Throws Error for a share outside [0, 1).
RecordingsSplit split_validation(const Recordings& set, double share, std::uint64_t seed);

/// Holds out one speaker. Throws Error for a speaker who is not in the set; the message lists those
/// who are.
RecordingsSplit split_speaker(const Recordings& set, const std::string& speaker);

}  // namespace crosstate::data
