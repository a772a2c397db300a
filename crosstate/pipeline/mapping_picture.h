// What sits where on every array, as a picture.
#pragma once

#include <string>

#include "crosstate/mapping/mapping.h"

namespace crosstate::pipeline {

/// An SVG: one square per array, one point per pair that holds a weight, coloured by its site.
std::string mapping_svg(const mapping::Mapping& mapping, const crossbar::CrossbarOptions& crossbar);

}  // namespace crosstate::pipeline
