#include "crosstate/data/recording_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <system_error>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/hash.h"
#include "crosstate/base/lists.h"
#include "crosstate/base/numbers.h"
#include "crosstate/base/utf8.h"

namespace crosstate::data {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kAfterSpeaker = "_nohash_";  // in names of Speech Commands
constexpr int kDeepest = 12;                            // folders below the directory
constexpr std::size_t kNamed = 4;                       // names listed in a message

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

bool is_passed_over(const std::string& name) {
  return name.starts_with('_') || name.starts_with('.');
}

std::string count_of(std::size_t count, const std::string& what) {
  return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s");
}

// --- directory tree
// -------------------------------------------------------------------------------

// A folder with its contents, in ascending order, so that the result does not depend on the file
// system.
struct Folder {
  fs::path path;
  std::string name;
  std::vector<fs::path> sounds;         // .wav and .flac files
  std::vector<fs::path> hidden_sounds;  // .wav and .flac files whose names begin with '.'
  std::vector<fs::path> others;         // files that do not begin with '.'
  std::vector<Folder> folders;
  std::string unreadable;  // the reason; empty if readable

  std::size_t count() const {
    std::size_t all = sounds.size();
    for (const Folder& folder : folders) all += folder.count();
    return all;
  }
  // Folders that may be classes or parts.
  std::vector<const Folder*> visible() const {
    std::vector<const Folder*> result;
    for (const Folder& folder : folders) {
      if (!is_passed_over(folder.name)) result.push_back(&folder);
    }
    return result;
  }
};

class Scan {
 public:
  Folder run(const fs::path& directory) {
    Folder folder{directory, directory.filename().string(), {}, {}, {}, {}, {}};
    fill(folder, 0);
    return folder;
  }

 private:
  void fill(Folder& folder, int depth) {
    // A link may lead back to a folder above it.
    struct stat status = {};
    if (stat(folder.path.c_str(), &status) != 0) return;
    const std::pair place(status.st_dev, status.st_ino);
    if (std::count(above_.begin(), above_.end(), place) > 0) return;
    if (depth > kDeepest) {
      folder.unreadable = "more than " + std::to_string(kDeepest) + " folders deep";
      return;
    }
    above_.push_back(place);
    std::error_code error, ignored;
    for (fs::directory_iterator it(folder.path, error), end; !error && it != end;
         it.increment(error)) {
      const fs::path& path = it->path();
      const std::string name = path.filename().string();
      if (fs::is_directory(path, ignored)) {
        folder.folders.push_back({path, name, {}, {}, {}, {}, {}});
      } else {
        add_file(folder, path, name);
      }
    }
    if (error) folder.unreadable = error.message();
    for (std::vector<fs::path>* paths : {&folder.sounds, &folder.hidden_sounds, &folder.others}) {
      std::sort(paths->begin(), paths->end());
    }
    std::sort(folder.folders.begin(), folder.folders.end(),
              [](const Folder& a, const Folder& b) { return a.path < b.path; });
    for (Folder& below : folder.folders) fill(below, depth + 1);
    above_.pop_back();
  }

  static void add_file(Folder& folder, const fs::path& path, const std::string& name) {
    const std::string ending = lower(path.extension().string());
    const bool sound = ending == ".wav" || ending == ".flac";
    if (name.starts_with('.')) {
      if (sound) folder.hidden_sounds.push_back(path);
    } else {
      (sound ? folder.sounds : folder.others).push_back(path);
    }
  }

  std::vector<std::pair<dev_t, ino_t>> above_;
};

// --- file names
// ------------------------------------------------------------------------------

// Fields of label_speaker_n.
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

// HASH_nohash_n of Speech Commands also has three fields, but none of them is a label.
bool tells_label(const fs::path& path) {
  return path.filename().string().find(kAfterSpeaker) == std::string::npos && parts_of(path);
}

RecordingFile named_file(const fs::path& path, const std::vector<IndexRange>& test_indices) {
  const std::optional<NameParts> parts = parts_of(path);
  if (!parts) {
    fail(path.string(),
         "the name does not give label, speaker and number; expected label_speaker_n.wav such as "
         "7_jackson_12.wav");
  }
  const bool test = std::any_of(test_indices.begin(), test_indices.end(), [&](IndexRange r) {
    return parts->index >= r.first && parts->index <= r.last;
  });
  return {path, path.filename().string(), parts->label, parts->speaker,
          test ? Part::kTest : Part::kTrain};
}

RecordingFile folder_file(const fs::path& path, double test_share) {
  const std::string label = path.parent_path().filename().string();
  const std::string stem = path.stem().string();
  const std::size_t speaker_end = stem.find(kAfterSpeaker);
  RecordingFile file{path, label + '/' + path.filename().string(), label, "", Part::kTrain};
  if (speaker_end != std::string::npos) {
    // Sets that join words into one class often put the word in front: "bed_3efef882_nohash_0".
    file.speaker = stem.substr(0, speaker_end);
    file.speaker.erase(0, file.speaker.rfind('_') + 1);
  }
  const std::string& who = file.speaker.empty() ? file.name : file.speaker;
  const double place = static_cast<double>(name_hash(who) >> 11) * 0x1p-53;
  file.part = place < test_share ? Part::kTest : Part::kTrain;
  return file;
}

// --- parts
// ---------------------------------------------------------------------------------------

struct PartName {
  const char* name;
  Part part;
};
constexpr PartName kPartNames[] = {{"train", Part::kTrain},
                                   {"training", Part::kTrain},
                                   {"test", Part::kTest},
                                   {"testing", Part::kTest},
                                   {"eval", Part::kTest},
                                   {"evaluation", Part::kTest},
                                   {"val", Part::kValidation},
                                   {"valid", Part::kValidation},
                                   {"validation", Part::kValidation},
                                   {"dev", Part::kValidation},
                                   {"development", Part::kValidation}};

const char* text_of(Part part) {
  if (part == Part::kTrain) return "training";
  return part == Part::kTest ? "test" : "validation";
}

// The part that a folder name denotes, in any case: "Train", "test_set", "dev-data".
std::optional<Part> part_of(const std::string& name) {
  std::string plain = lower(name);
  std::erase_if(plain, [](char c) { return c == '_' || c == '-' || c == ' '; });
  for (const std::string_view ending : {"set", "data"}) {
    if (plain.ends_with(ending)) plain.resize(plain.size() - ending.size());
  }
  for (const PartName& known : kPartNames) {
    if (plain == known.name) return known.part;
  }
  return std::nullopt;
}

struct PartFolder {
  Part part;
  const Folder* folder;
};

// The top-level folders that are parts of the set; none if they are classes. Throws Error for a
// mixture, in which some recordings would have no class or no part.
std::vector<PartFolder> find_parts(const Folder& top) {
  std::vector<PartFolder> parts;
  std::set<std::string> names, others;
  bool filled = false;
  for (const Folder* folder : top.visible()) {
    const std::size_t count = folder->count();
    if (const std::optional<Part> part = part_of(folder->name)) {
      parts.push_back({*part, folder});
      names.insert(folder->name);
      filled = filled || count > 0;
    } else if (count > 0) {
      others.insert(folder->name);
    }
  }
  if (!filled) return {};
  if (!others.empty()) {
    fail(top.path.string(), "folders of parts (" + listing(names, kNamed) +
                                ") beside other folders (" + listing(others, kNamed) +
                                "), expected only parts or only classes; data.layout = \"classes\" "
                                "makes every folder a class");
  }
  std::map<Part, std::string> first;
  for (const PartFolder& part : parts) {
    const auto [at, added] = first.emplace(part.part, part.folder->name);
    if (added) continue;
    fail(top.path.string(), "two folders for the " + std::string(text_of(part.part)) + " part, " +
                                as_utf8(at->second) + " and " + as_utf8(part.folder->name) +
                                ", expected one");
  }
  if (!top.sounds.empty() && !first.contains(Part::kTrain)) {
    fail(top.path.string(), count_of(top.sounds.size(), "recording") +
                                " beside folders of parts (" + listing(names, kNamed) +
                                "), expected the training recordings in a folder train");
  }
  return parts;
}

// --- lists of Speech Commands
// --------------------------------------------------------------------

std::string without_ending(const std::string& name) {
  const std::size_t dot = name.rfind('.');
  const std::size_t slash = name.rfind('/');
  const std::size_t begin = slash == std::string::npos ? 0 : slash + 1;
  const bool has = dot != std::string::npos && dot > begin;
  return has ? name.substr(0, dot) : name;
}

struct ListName {
  const char* name;
  Part part;
};
constexpr std::array kLists = {ListName{"validation_list.txt", Part::kValidation},
                               ListName{"testing_list.txt", Part::kTest}};

// --- search
// -----------------------------------------------------------------------------------

class Finder {
 public:
  Finder(const Folder& top, const DataOptions& options) : top_(top), options_(options) {}

  RecordingFiles run() {
    if (!top_.unreadable.empty()) fail(top_.path.string(), "cannot be read: " + top_.unreadable);
    const std::vector<PartFolder> parts =
        options_.layout == RecordingLayout::kClasses ? std::vector<PartFolder>() : find_parts(top_);
    if (parts.empty()) {
      result_.files = files_of(resolve());
      follow_lists();
    } else {
      take(parts);
      for (const ListName& list : kLists) {
        if (exists(list.name)) {
          note(std::string(list.name) + " is ignored: the folders define the parts");
        }
        for (const PartFolder& part : parts) {
          std::error_code ignored;
          if (!fs::exists(part.folder->path / list.name, ignored)) continue;
          note(as_utf8(part.folder->name) + '/' + list.name +
               " is ignored: the folders define the parts; it is used only beside the folders of "
               "classes in the directory itself");
        }
      }
    }
    count_unused();
    make_labels_utf8();
    return std::move(result_);
  }

 private:
  void note(const std::string& line) { result_.notes.push_back(line); }

  bool exists(const char* file) const {
    std::error_code ignored;
    return fs::exists(top_.path / file, ignored);
  }

  // Path relative to the directory, for messages.
  std::string below(const fs::path& path) const {
    return as_utf8(path.lexically_relative(top_.path).string());
  }

  // A directory whose only sounds are in one of its folders is read as that folder (as the root of
  // a checked-out set), unless the names show that the folder is a class.
  const Folder& resolve() const {
    if (options_.layout != RecordingLayout::kAuto || !top_.sounds.empty()) return top_;
    const Folder* only = nullptr;
    for (const Folder* folder : top_.visible()) {
      if (folder->sounds.empty()) continue;
      if (only != nullptr) return top_;
      only = folder;
    }
    const bool stands =
        only != nullptr && std::any_of(only->sounds.begin(), only->sounds.end(), tells_label);
    return stands ? *only : top_;
  }

  // Whether the recordings are the files of the directory itself, not those of its folders.
  bool goes_by_names(const Folder& folder) const {
    if (options_.layout == RecordingLayout::kNames) return true;
    if (options_.layout != RecordingLayout::kAuto || folder.sounds.empty()) return false;
    if (std::any_of(folder.sounds.begin(), folder.sounds.end(), tells_label)) return true;
    const std::vector<const Folder*> folders = folder.visible();
    return std::all_of(folders.begin(), folders.end(),
                       [](const Folder* f) { return f->sounds.empty(); });
  }

  std::vector<RecordingFile> files_of(const Folder& folder) {
    if (goes_by_names(folder)) {
      result_.by_names = true;
      const std::vector<IndexRange> indices = parse_indices(options_.test_indices);
      std::vector<RecordingFile> files;
      for (const fs::path& path : folder.sounds) files.push_back(named_file(path, indices));
      return files;
    }
    return files_of_classes(folder);
  }

  std::vector<RecordingFile> files_of_classes(const Folder& folder) {
    std::vector<RecordingFile> files;
    const Folder* empty = nullptr;
    for (const Folder* label : folder.visible()) {
      if (!label->unreadable.empty()) {
        fail(label->path.string(), "cannot be read: " + label->unreadable);
      }
      if (label->sounds.empty() && empty == nullptr) empty = label;
      for (const fs::path& path : label->sounds) {
        files.push_back(folder_file(path, options_.test_share));
      }
      classes_.insert(label);
    }
    // An error, since silently dropping a class without recordings would make the task easier.
    if (empty != nullptr && (!files.empty() || empty->count() > 0)) {
      const std::size_t deeper = empty->count();
      fail(empty->path.string(),
           deeper == 0
               ? "holds no .wav or .flac recording, expected those of its class; a folder that is "
                 "not a class begins with _"
               : "holds no recording itself, but " + std::to_string(deeper) +
                     " in folders below it; expected the folder whose folders are the classes, or "
                     "folders of parts (train, test) that hold those of the classes");
    }
    return files;
  }

  void take(const std::vector<PartFolder>& parts) {
    const auto has = [&](Part part) {
      return std::any_of(parts.begin(), parts.end(),
                         [&](const PartFolder& p) { return p.part == part; });
    };
    std::size_t split = 0;
    for (const PartFolder& part : parts) {
      const Folder& folder = *part.folder;
      if (!folder.unreadable.empty()) {
        fail(folder.path.string(), "cannot be read: " + folder.unreadable);
      }
      for (RecordingFile& file : files_of(folder)) {
        file.name.insert(0, folder.name + '/');
        // Without a test part, the training part is split in the same way as a set without parts.
        const bool keeps = part.part == Part::kTrain && !has(Part::kTest);
        if (!keeps) file.part = part.part;
        split += keeps && file.part == Part::kTest ? 1 : 0;
        result_.has_validation = result_.has_validation || file.part == Part::kValidation;
        result_.has_test = result_.has_test || part.part == Part::kTest;
        result_.files.push_back(std::move(file));
      }
    }
    if (split > 0 && options_.test_speaker.empty()) {
      note("no folder test: " + count_of(split, "recording") +
           " of the training folder are the test set, as without folders of parts");
    }
  }

  void follow_lists() {
    std::map<std::string, std::vector<RecordingFile*>> known;
    std::map<std::string, Part> listed;
    for (RecordingFile& file : result_.files) {
      if (classes_.empty()) break;
      known[without_ending(file.name)].push_back(&file);
    }
    std::set<Part> told;
    for (const ListName& list : kLists) {
      if (!exists(list.name)) continue;
      if (classes_.empty()) {
        note(std::string(list.name) + " is ignored: there are no folders of classes");
        continue;
      }
      told.insert(list.part);
      follow(list, known, listed);
    }
    result_.has_validation = told.contains(Part::kValidation);
    result_.has_test = told.contains(Part::kTest);
    // A recording that is in neither list is for training, whatever the hash of its name.
    if (!told.contains(Part::kTest)) return;
    for (auto& [name, files] : known) {
      if (listed.contains(name)) continue;
      for (RecordingFile* file : files) file->part = Part::kTrain;
    }
  }

  void follow(const ListName& list, std::map<std::string, std::vector<RecordingFile*>>& known,
              std::map<std::string, Part>& listed) {
    constexpr std::size_t kMostBytes = std::size_t{1} << 28;
    const fs::path path = top_.path / list.name;
    const std::string text = read_file(path, kMostBytes);
    const std::vector<std::string> names =
        parse_recording_list(std::string(without_byte_order_mark(text, path.string())));
    std::size_t absent = 0;
    std::string first;
    for (const std::string& name : names) {
      const auto found = known.find(name);
      if (found == known.end()) {
        if (++absent == 1) first = name;
        continue;
      }
      if (!listed.emplace(name, list.part).second) {
        fail(path.string(), '"' + excerpt(name) + "\" is in " + kLists[0].name +
                                " as well, expected every recording in at most one list");
      }
      for (RecordingFile* file : found->second) file->part = list.part;
    }
    if (names.empty()) note(std::string(list.name) + " lists no recordings");
    if (absent > 0) {
      note(std::to_string(absent) + " of the " + std::to_string(names.size()) +
           " recordings that " + list.name + " lists are missing, the first \"" + excerpt(first) +
           '"');
    }
  }

  // --- unused files

  struct Unused {
    std::size_t count = 0;
    std::set<std::string> places;
    void add(std::size_t more, const std::string& place) {
      if (more == 0) return;
      count += more;
      places.insert(place);
    }
  };

  void count_unused() {
    for (const RecordingFile& file : result_.files) used_.insert(file.path.native());
    walk(top_, false, false);
    if (passed_over_.count > 0) {
      note(count_of(passed_over_.count, "recording") + " in " +
           listing(passed_over_.places, kNamed) +
           " not used: folders that begin with _ or . are not classes");
    }
    if (below_class_.count > 0) {
      note(count_of(below_class_.count, "recording") + " in " +
           listing(below_class_.places, kNamed) +
           " not used: in subfolders of the class folders, expected directly in them");
    }
    if (beside_.count > 0) {
      note(count_of(beside_.count, "recording") + " in " + listing(beside_.places, kNamed) +
           " not used: beside the " +
           (classes_.empty() ? "the files label_speaker_n, which are the set"
                             : "the folders of the classes, which are the set"));
    }
    if (hidden_.count > 0) {
      note(count_of(hidden_.count, "recording") + " in " + listing(hidden_.places, kNamed) +
           " not used: names that begin with .");
    }
    if (foreign_.count > 0) {
      note(count_of(foreign_.count, "file") + " not used: neither .wav nor .flac but " +
           listing(foreign_.places, kNamed));
    }
    if (unreadable_.count > 0) {
      note(count_of(unreadable_.count, "folder") + " not searched: unreadable or more than " +
           std::to_string(kDeepest) + " folders deep: " + listing(unreadable_.places, kNamed));
    }
  }

  void walk(const Folder& folder, bool passed_over, bool below_class) {
    const std::string place = &folder == &top_ ? "the directory itself" : below(folder.path);
    const auto unused = static_cast<std::size_t>(
        std::count_if(folder.sounds.begin(), folder.sounds.end(),
                      [&](const fs::path& path) { return !used_.contains(path.native()); }));
    (passed_over ? passed_over_ : below_class ? below_class_ : beside_).add(unused, place);
    hidden_.add(folder.hidden_sounds.size(), place);
    if (!folder.unreadable.empty()) unreadable_.add(1, place);
    // Every file in the folder of a class should be a recording.
    const bool is_class = classes_.contains(&folder);
    for (const fs::path& path : folder.others) {
      const std::string ending = lower(path.extension().string());
      if (is_class || is_other_sound(ending))
        foreign_.add(1, ending.empty() ? "no extension" : ending);
    }
    for (const Folder& next : folder.folders) {
      walk(next, passed_over || is_passed_over(next.name), below_class || is_class);
    }
  }

  static bool is_other_sound(const std::string& ending) {
    static const std::set<std::string> kEndings = {
        ".mp3",  ".ogg", ".oga", ".opus", ".m4a", ".aac",  ".wma", ".aif",  ".aiff",
        ".aifc", ".au",  ".snd", ".caf",  ".w64", ".rf64", ".bwf", ".wave", ".sph",
        ".nist", ".pcm", ".amr", ".webm", ".mp4", ".3gp",  ".voc"};
    return kEndings.contains(ending);
  }

  // --- names as text

  void make_labels_utf8() {
    std::map<std::string, std::string> labels;
    for (RecordingFile& file : result_.files) {
      const auto [at, added] = labels.emplace(as_utf8(file.label), file.label);
      if (!added && at->second != file.label) {
        fail(file.path.string(), "two classes are named \"" + at->first +
                                     "\" after conversion to UTF-8, expected different names");
      }
      file.label = at->first;
      file.speaker = as_utf8(file.speaker);
    }
  }

  const Folder& top_;
  const DataOptions& options_;
  RecordingFiles result_;
  std::set<const Folder*> classes_;  // folders of classes
  std::set<std::string> used_;
  Unused passed_over_, below_class_, beside_, hidden_, foreign_, unreadable_;
};

}  // namespace

RecordingFiles find_recordings(const fs::path& directory, const DataOptions& options) {
  const Folder top = Scan().run(directory);
  return Finder(top, options).run();
}

std::size_t count_recordings(const fs::path& directory) {
  std::error_code ignored;
  if (!fs::is_directory(directory, ignored)) return 0;
  return Scan().run(directory).count();
}

std::vector<std::string> parse_recording_list(const std::string& text) {
  // The file may begin with a byte order mark, and a name with "./".
  constexpr std::string_view kSpace = " \t\r", kBefore[] = {" ", "\t", "\r", "\xef\xbb\xbf", "./"};
  std::string_view rest = text;
  std::set<std::string> seen;
  std::vector<std::string> names;
  while (!rest.empty()) {
    std::string line(rest.substr(0, rest.find('\n')));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    std::replace(line.begin(), line.end(), '\\', '/');
    std::string_view name = line;
    name = name.substr(0, name.find_last_not_of(kSpace) + 1);
    const auto take_before = [&](std::string_view before) {
      if (!name.starts_with(before)) return false;
      name.remove_prefix(before.size());
      return true;
    };
    while (std::any_of(std::begin(kBefore), std::end(kBefore), take_before)) {
    }
    std::string plain = without_ending(std::string(name));
    if (plain.empty() || plain.ends_with('/')) continue;  // not the name of a file
    if (seen.insert(plain).second) names.push_back(std::move(plain));
  }
  return names;
}

}  // namespace crosstate::data
