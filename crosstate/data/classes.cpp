#include "crosstate/data/classes.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/lists.h"
#include "crosstate/data/options.h"
#include "crosstate/task/task.h"

namespace crosstate::data {

std::vector<std::string> kept_classes(const std::string& setting,
                                      const std::vector<std::string>& classes,
                                      const std::string& where) {
  const std::vector<std::string> wanted = parse_classes(setting);
  if (wanted.empty()) return classes;
  const auto in = [](const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (const std::string& label : wanted) {
    if (in(classes, label)) continue;
    fail(where, "data.classes = \"" + excerpt(setting) + "\", but there is no class \"" +
                    excerpt(label) + "\"; expected some of " + listing(classes));
  }
  std::vector<std::string> kept;
  for (const std::string& name : classes) {
    if (in(wanted, name)) kept.push_back(name);
  }
  return kept;
}

std::size_t keep_classes(Dataset& set, const std::string& setting) {
  const bool steps = set.readout.every_step();
  if (set.readout.task != &task::classification() || steps) {
    const std::string targets =
        steps ? "a target for every step" : std::string("targets for ") + set.readout.task->name();
    fail(set.name, "data.classes chooses sequences by their class, but these have " + targets +
                       "; expected data.classes = \"\"");
  }
  const std::vector<std::string> kept = kept_classes(setting, set.readout.names, set.name);
  set.validate();  // labels are indices below
  // kept.size() for a class that is not kept.
  const auto label = [&](float target) {
    const std::string& name = set.readout.names[static_cast<std::size_t>(target)];
    return static_cast<std::size_t>(std::find(kept.begin(), kept.end(), name) - kept.begin());
  };
  std::vector<std::uint32_t> rows;
  for (std::size_t i = 0; i < set.count; ++i) {
    if (label(set.targets[i]) < kept.size()) rows.push_back(static_cast<std::uint32_t>(i));
  }
  const std::size_t removed = set.count - rows.size();
  if (removed > 0) {
    std::vector<std::string> notes = std::move(set.notes);
    set = select(set, rows, set.name);
    set.notes = std::move(notes);
  }
  for (float& target : set.targets) target = static_cast<float>(label(target));
  set.readout.names = kept;
  return removed;
}

std::string left_out_note(std::size_t count, const std::string& what, const std::string& setting) {
  return std::to_string(count) + ' ' + what + (count == 1 ? "" : "s") +
         " of other classes not used: data.classes = \"" + setting + '"';
}

}  // namespace crosstate::data
