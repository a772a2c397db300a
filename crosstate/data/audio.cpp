#include "crosstate/data/audio.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/hash.h"
#include "crosstate/base/utf8.h"
#include "crosstate/data/classes.h"
#include "crosstate/data/recording_files.h"

namespace crosstate::data {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> classes_of(const std::vector<RecordingFile>& files) {
  std::set<std::string> labels;
  for (const RecordingFile& file : files) labels.insert(file.label);
  return {labels.begin(), labels.end()};
}

// Number of recordings with some property, and the first of them.
struct Alike {
  std::size_t count = 0;
  std::string first;

  void add(const std::string& name) {
    if (++count == 1) first = name;
  }
  void note(const std::string& where, const std::string& what,
            std::vector<std::string>& notes) const {
    if (count == 0) return;
    notes.push_back(where + std::to_string(count) + (count == 1 ? " recording " : " recordings ") +
                    what + "; the first is " + as_utf8(first));
  }
};

// Notes on files whose headers are incomplete.
struct Headers {
  Alike to_end, has_rest;
};

Recording read_recording(const RecordingFile& file, const std::vector<std::string>& classes,
                         double longest, int& sample_rate, Headers& headers) {
  Sound sound = read_sound(file.path, longest);
  if (sample_rate == 0) sample_rate = sound.sample_rate;
  if (sound.sample_rate != sample_rate) {
    fail(file.path.string(), std::to_string(sound.sample_rate) + " Hz, expected " +
                                 std::to_string(sample_rate) +
                                 " Hz, from data.sample_rate or the first recording");
  }
  if (sound.to_end) headers.to_end.add(file.name);
  if (sound.has_rest) headers.has_rest.add(file.name);
  const auto label = std::lower_bound(classes.begin(), classes.end(), file.label);
  return {as_utf8(file.name), file.speaker, static_cast<std::int32_t>(label - classes.begin()),
          std::move(sound.samples)};
}

std::string base_name(const fs::path& directory) {
  std::error_code error;
  const fs::path resolved = fs::weakly_canonical(directory, error);
  return as_utf8((error ? directory : resolved).filename().string());
}

// Returns how many recordings of other speakers were in the test part.
std::size_t set_test_speaker(std::vector<RecordingFile>& files, const std::string& speaker) {
  std::size_t moved = 0;
  for (RecordingFile& file : files) {
    if (file.speaker == speaker) {
      file.part = Part::kTest;
    } else if (file.part == Part::kTest) {
      file.part = Part::kTrain;
      ++moved;
    }
  }
  return moved;
}

// Notes the settings that have no effect because something else chooses the test set.
void note_unused_settings(RecordingFiles& found, const DataOptions& options) {
  if (!options.test_speaker.empty()) return;
  const DataOptions defaults;
  const auto note = [&](const std::string& key, bool set, bool used, const std::string& chosen) {
    if (set && !used) found.notes.push_back(key + " has no effect: " + chosen);
  };
  const std::string told = "the directory specifies which recordings are for testing";
  note("data.test_share", options.test_share != defaults.test_share,
       !found.has_test && !found.by_names,
       found.has_test ? told : "the file names and data.test_indices choose the test set");
  note("data.test_indices", options.test_indices != defaults.test_indices,
       !found.has_test && found.by_names,
       found.has_test ? told : "the folders are classes, and data.test_share chooses the test set");
}

// Orders by hash, so that every prefix is a fair sample.
void sort_by_hash(std::vector<RecordingFile>& files) {
  std::vector<std::pair<std::uint64_t, RecordingFile*>> order;
  for (RecordingFile& file : files) order.emplace_back(name_hash(file.name), &file);
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first, std::string_view(a.second->name)) <
           std::pair(b.first, std::string_view(b.second->name));
  });
  std::vector<RecordingFile> sorted;
  for (const auto& [hash, file] : order) sorted.push_back(std::move(*file));
  files = std::move(sorted);
}

}  // namespace

bool holds_audio(const fs::path& directory) { return count_recordings(directory) > 0; }

AudioSets read_audio(const fs::path& directory, const DataOptions& options) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    fail(directory.string(), "no such directory, expected one with recordings");
  }
  RecordingFiles found = find_recordings(directory, options);
  std::vector<RecordingFile>& files = found.files;
  if (files.empty()) {
    fail(directory.string(),
         "no recordings, expected .wav or .flac files named label_speaker_n, or "
         "one folder of them per class" +
             (found.notes.empty() ? "" : "; " + found.notes.front()));
  }
  if (found.has_validation && !options.validation_speaker.empty()) {
    fail("options", "data.validation_speaker = \"" + excerpt(options.validation_speaker) +
                        "\", but " + directory.string() +
                        " has a validation part, expected one of the two");
  }
  note_unused_settings(found, options);
  if (!options.test_speaker.empty()) {
    const std::size_t moved = set_test_speaker(files, options.test_speaker);
    if (found.has_test && moved > 0) {
      found.notes.push_back(
          std::to_string(moved) + (moved == 1 ? " recording" : " recordings") +
          " of the test part are not used for testing: data.test_speaker selects another speaker");
    }
  }
  const std::vector<std::string> classes =
      kept_classes(options.classes, classes_of(files), directory.string());
  const std::size_t left_out = std::erase_if(files, [&](const RecordingFile& file) {
    return !std::binary_search(classes.begin(), classes.end(), file.label);
  });
  if (left_out > 0) {
    found.notes.push_back(left_out_note(left_out, "recording", options.classes));
  }
  sort_by_hash(files);
  if (classes.size() < 2) {
    fail(directory.string(), "all recordings are of one class, \"" + classes.front() +
                                 "\", expected at least two classes");
  }
  const std::string base = base_name(directory);
  int sample_rate = options.sample_rate;
  AudioSets sets;
  sets.train = {base + " train", 0, {}, classes};
  sets.validation = {base + " validation", 0, {}, classes};
  sets.test = {base + " test", 0, {}, classes};
  if (!options.test_speaker.empty()) sets.test.name += " (" + options.test_speaker + ')';
  Headers headers;
  for (const RecordingFile& file : files) {
    Recordings& part = file.part == Part::kTest         ? sets.test
                       : file.part == Part::kValidation ? sets.validation
                                                        : sets.train;
    part.items.push_back(read_recording(file, classes, options.longest, sample_rate, headers));
  }
  for (Recordings* part : {&sets.train, &sets.validation, &sets.test}) {
    part->sample_rate = sample_rate;
    part->by_speaker = !found.by_names;
  }
  if (!options.test_speaker.empty() && sets.test.items.empty()) {
    split_speaker(sets.train, options.test_speaker);  // throws an error that lists the speakers
  }
  const std::string where = as_utf8(directory.string()) + ": ";
  for (const std::string& note : found.notes) sets.notes.push_back(where + note);
  headers.to_end.note(
      where, "read to the end of the file, since the header does not give the length", sets.notes);
  headers.has_rest.note(where, "with bytes after the announced samples that are not chunks",
                        sets.notes);
  return sets;
}

}  // namespace crosstate::data
