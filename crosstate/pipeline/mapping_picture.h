// Picture of the contents of every array.
#pragma once

#include <string>

#include "crosstate/mapping/mapping.h"

namespace crosstate::pipeline {

/// An SVG with one square per array and one point per pair that holds a weight, coloured by site.
std::string mapping_svg(const mapping::Mapping& mapping, const crossbar::CrossbarOptions& crossbar);

}  // namespace crosstate::pipeline
