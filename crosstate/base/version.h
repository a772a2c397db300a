// Version of the library; CMakeLists.txt reads it from here.
#pragma once

#include <string_view>

namespace crosstate {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace crosstate
