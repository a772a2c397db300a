// Files that the build embeds in the library (cmake/charts.cmake); internal to report/.
#pragma once

#include <string_view>

namespace crosstate::report::embedded {

std::string_view chart_library();  // Chart.js, one browser file
std::string_view page_style();     // page.css
std::string_view page_script();    // page.js

}  // namespace crosstate::report::embedded
