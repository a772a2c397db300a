// Which classes of a data set are used (data.classes).
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "crosstate/data/dataset.h"

namespace crosstate::data {

/// The names of a set's classes that the setting data.classes keeps, in the order of the set; all
/// of them if the setting is empty. Throws Error naming `where` for a label that is no class of the
/// set.
std::vector<std::string> kept_classes(const std::string& setting,
                                      const std::vector<std::string>& classes,
                                      const std::string& where);

/// Removes sequences of other classes than kept_classes() and numbers the labels anew. Returns how
/// many were removed. Throws Error for a label that is no class of the set, and for a set whose
/// targets are not one class per sequence.
std::size_t keep_classes(Dataset& set, const std::string& setting);

/// What was left out, as a note: "2400 recordings of other classes not used: data.classes = ...".
/// `what` is the singular.
std::string left_out_note(std::size_t count, const std::string& what, const std::string& setting);

}  // namespace crosstate::data
