// Lists of the recordings of a part, in the format of Speech Commands.
#include <algorithm>

#include "crosstate/data/recording_files.h"
#include "fuzz/target.h"

void crosstate::fuzz::read(const std::string& bytes) {
  std::vector<std::string> names = data::parse_recording_list(bytes);
  std::string text;
  for (const std::string& name : names) {
    require(!name.empty() && name.find('\n') == std::string::npos, "a name of one line");
    text += name + ".wav\n";
  }
  require(data::parse_recording_list(text) == names, "a list that reads back");
  std::sort(names.begin(), names.end());
  require(std::adjacent_find(names.begin(), names.end()) == names.end(), "every name once");
}
