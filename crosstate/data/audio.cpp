#include "crosstate/data/audio.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

namespace fs = std::filesystem;

enum class Part { kTrain, kTest };

// A file that belongs to the set, before anything of it is read.
struct Entry {
  fs::path path;
  std::string name;  // below the directory, with '/'
  std::string label, speaker;
  Part part = Part::kTrain;
  std::uint64_t order = 0;
};

// FNV-1a of 64 bits with a final mix (that of SplitMix64), without which the upper bits of short
// names hardly differ.
std::uint64_t hash(std::string_view text) {
  std::uint64_t value = 0xcbf29ce484222325;
  for (const char c : text) {
    value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

bool is_sound(const fs::path& path) {
  std::string ending = path.extension().string();
  for (char& c : ending) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return (ending == ".wav" || ending == ".flac") && !path.filename().string().starts_with('.');
}

// In ascending order, so that nothing depends on the file system.
std::vector<fs::path> list(const fs::path& directory, bool folders) {
  std::vector<fs::path> paths;
  std::error_code error, ignored;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool folder = fs::is_directory(it->path(), ignored);
    if (folder != folders) continue;
    if (folders ? !name.starts_with('_') && !name.starts_with('.') : is_sound(it->path())) {
      paths.push_back(it->path());
    }
  }
  if (error) fail(directory.string(), "cannot be read: " + error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Of label_speaker_n.
struct NameParts {
  std::string label, speaker;
  std::uint64_t index = 0;
};

std::optional<NameParts> parts_of(const fs::path& path) {
  const std::string stem = path.stem().string();
  const std::size_t first = stem.find('_'), last = stem.rfind('_');
  if (first == std::string::npos || first == 0 || last <= first + 1) return std::nullopt;
  NameParts parts{stem.substr(0, first), stem.substr(first + 1, last - first - 1)};
  const char* const end = stem.data() + stem.size();
  const auto [rest, error] = std::from_chars(stem.data() + last + 1, end, parts.index);
  if (error != std::errc{} || rest != end) return std::nullopt;
  return parts;
}

Entry named_entry(const fs::path& path, const std::vector<IndexRange>& test_indices) {
  const std::optional<NameParts> parts = parts_of(path);
  if (!parts) {
    fail(path.string(),
         "the name does not tell label, speaker and number; expected "
         "label_speaker_n.wav such as 7_jackson_12.wav");
  }
  const bool test = std::any_of(test_indices.begin(), test_indices.end(), [&](IndexRange r) {
    return parts->index >= r.first && parts->index <= r.last;
  });
  return {path, path.filename().string(), parts->label, parts->speaker,
          test ? Part::kTest : Part::kTrain};
}

constexpr std::string_view kAfterSpeaker = "_nohash_";  // in names of Speech Commands

Entry folder_entry(const fs::path& path, double test_share) {
  const std::string label = path.parent_path().filename().string();
  const std::string stem = path.stem().string();
  const std::size_t speaker_end = stem.find(kAfterSpeaker);
  Entry entry{path, label + '/' + path.filename().string(), label, ""};
  if (speaker_end != std::string::npos) entry.speaker = stem.substr(0, speaker_end);
  const std::string& who = entry.speaker.empty() ? entry.name : entry.speaker;
  const double place = static_cast<double>(hash(who) >> 11) * 0x1p-53;
  entry.part = place < test_share ? Part::kTest : Part::kTrain;
  return entry;
}

// The files of one directory in one of the two layouts.
std::vector<Entry> entries_of(const fs::path& directory, const DataOptions& options) {
  std::vector<Entry> entries;
  if (options.layout != "folders") {
    const std::vector<IndexRange> indices = parse_indices(options.test_indices);
    for (const fs::path& path : list(directory, false)) {
      entries.push_back(named_entry(path, indices));
    }
  }
  if (options.layout == "names" || (options.layout == "auto" && !entries.empty())) return entries;
  std::optional<fs::path> empty;
  for (const fs::path& folder : list(directory, true)) {
    const std::vector<fs::path> sounds = list(folder, false);
    if (sounds.empty() && !empty) empty = folder;
    for (const fs::path& path : sounds) entries.push_back(folder_entry(path, options.test_share));
  }
  // Left out in silence, a class whose recordings are missing would make an easier task.
  if (empty && !entries.empty()) {
    fail(empty->string(),
         "holds no .wav or .flac recording, expected some of its class; a folder that is no class "
         "begins with _");
  }
  return entries;
}

bool has_parts(const fs::path& directory) {
  std::error_code ignored;
  return fs::is_directory(directory / "train", ignored) &&
         fs::is_directory(directory / "test", ignored);
}

// Speech Commands' HASH_nohash_n has three parts, too, but no label among them.
bool tells_label(const fs::path& path) {
  return path.filename().string().find(kAfterSpeaker) == std::string::npos && parts_of(path);
}

// A directory whose only sounds are in one of its folders stands for that folder, as the root of a
// checked-out set does, unless the names show that the folder is a class.
fs::path resolve(const fs::path& directory, const DataOptions& options) {
  if (options.layout != "auto" || has_parts(directory) || !list(directory, false).empty()) {
    return directory;
  }
  std::vector<fs::path> folders = list(directory, true);
  std::erase_if(folders, [](const fs::path& folder) { return list(folder, false).empty(); });
  if (folders.size() != 1) return directory;
  const std::vector<fs::path> sounds = list(folders.front(), false);
  return std::any_of(sounds.begin(), sounds.end(), tells_label) ? folders.front() : directory;
}

std::vector<Entry> find_entries(const fs::path& directory, const DataOptions& options) {
  if (!has_parts(directory)) return entries_of(resolve(directory, options), options);
  std::vector<Entry> all;
  for (const Part part : {Part::kTrain, Part::kTest}) {
    const std::string below = part == Part::kTest ? "test" : "train";
    for (Entry& entry : entries_of(directory / below, options)) {
      entry.name.insert(0, below + '/');
      entry.part = part;
      all.push_back(std::move(entry));
    }
  }
  return all;
}

void set_test_speaker(std::vector<Entry>& entries, const std::string& speaker) {
  for (Entry& e : entries) e.part = e.speaker == speaker ? Part::kTest : Part::kTrain;
}

std::vector<std::string> classes_of(const std::vector<Entry>& entries) {
  std::set<std::string> labels;
  for (const Entry& entry : entries) labels.insert(entry.label);
  return {labels.begin(), labels.end()};
}

Recording read_entry(const Entry& entry, const std::vector<std::string>& classes, double longest,
                     int& sample_rate) {
  Sound sound = read_sound(entry.path, longest);
  if (sample_rate == 0) sample_rate = sound.sample_rate;
  if (sound.sample_rate != sample_rate) {
    fail(entry.path.string(), std::to_string(sound.sample_rate) + " Hz, expected " +
                                  std::to_string(sample_rate) +
                                  " Hz as data.sample_rate or the first recording says");
  }
  const auto label = std::lower_bound(classes.begin(), classes.end(), entry.label);
  return {entry.name, entry.speaker, static_cast<std::int32_t>(label - classes.begin()),
          std::move(sound.samples)};
}

std::string base_name(const fs::path& directory) {
  std::error_code error;
  const fs::path resolved = fs::weakly_canonical(directory, error);
  return (error ? directory : resolved).filename().string();
}

}  // namespace

bool holds_audio(const fs::path& directory) {
  if (has_parts(directory)) {
    return holds_audio(directory / "train") || holds_audio(directory / "test");
  }
  if (!list(directory, false).empty()) return true;
  const std::vector<fs::path> folders = list(directory, true);
  return std::any_of(folders.begin(), folders.end(),
                     [](const fs::path& folder) { return !list(folder, false).empty(); });
}

AudioSets read_audio(const fs::path& directory, const DataOptions& options) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) {
    fail(directory.string(), "no such directory, expected one with recordings");
  }
  std::vector<Entry> entries = find_entries(directory, options);
  if (entries.empty()) {
    fail(directory.string(),
         "no recordings, expected .wav or .flac files named label_speaker_n, or "
         "one folder of them per class");
  }
  if (!options.test_speaker.empty()) set_test_speaker(entries, options.test_speaker);
  for (Entry& entry : entries) entry.order = hash(entry.name);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.order, std::string_view(a.name)) <
           std::pair(b.order, std::string_view(b.name));
  });

  const std::vector<std::string> classes = classes_of(entries);
  if (classes.size() < 2) {
    fail(directory.string(), "all recordings are of one class, \"" + classes.front() +
                                 "\", expected at least two classes");
  }
  const std::string base = base_name(directory);
  int sample_rate = options.sample_rate;
  AudioSets sets;
  sets.train = {base + " train", 0, {}, classes};
  sets.test = {base + " test", 0, {}, classes};
  if (!options.test_speaker.empty()) sets.test.name += " (" + options.test_speaker + ')';
  for (const Entry& entry : entries) {
    Recordings& part = entry.part == Part::kTest ? sets.test : sets.train;
    part.items.push_back(read_entry(entry, classes, options.longest, sample_rate));
  }
  sets.train.sample_rate = sets.test.sample_rate = sample_rate;
  if (!options.test_speaker.empty() && sets.test.items.empty()) {
    split_speaker(sets.train, options.test_speaker);  // tells who there is
  }
  return sets;
}

}  // namespace crosstate
