# Embeds the report page's parts in the library: the charting library from the system's packages
# and the page's own style and script. Reports then need neither a network nor installed files.

find_file(CROSSTATE_CHART_JS
  NAMES chart.min.js chart.umd.js chart.umd.min.js
  PATHS
    /usr/share/javascript/chart.js
    /usr/share/nodejs/chart.js/dist
    /usr/local/share/javascript/chart.js
    /usr/lib/node_modules/chart.js/dist
  NO_DEFAULT_PATH
  DOC "Chart.js 3 or 4 as one browser file (UMD)")
if(NOT CROSSTATE_CHART_JS)
  message(FATAL_ERROR
    "Chart.js was not found (looked for /usr/share/javascript/chart.js/chart.min.js).\n"
    "Install the package libjs-chart.js, or set CROSSTATE_CHART_JS to the path of chart.min.js "
    "or chart.umd.js, version 3 or 4.")
endif()

# Writes a C++ source that defines crosstate::report::embedded::<name>() as the bytes of a file.
function(crosstate_embed target name file)
  set(source ${CMAKE_CURRENT_BINARY_DIR}/embedded/${name}.cpp)
  if(NOT EXISTS ${source} OR ${file} IS_NEWER_THAN ${source}
     OR ${CMAKE_CURRENT_FUNCTION_LIST_FILE} IS_NEWER_THAN ${source})
    file(READ ${file} text)
    string(FIND "${text}" "</script" closing)
    if(NOT closing EQUAL -1)
      message(FATAL_ERROR "${file} contains '</script' and cannot stand inside a page")
    endif()
    file(READ ${file} bytes HEX)
    string(REGEX REPLACE "(................................)" "\\1\n" bytes "${bytes}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    file(WRITE ${source}
"// Generated from ${file}.
#include \"crosstate/report/embedded.h\"

namespace crosstate::report::embedded {
namespace {
const unsigned char kBytes[] = {
${bytes}
};
}  // namespace

std::string_view ${name}() { return {reinterpret_cast<const char*>(kBytes), sizeof kBytes}; }

}  // namespace crosstate::report::embedded
")
  endif()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  target_sources(${target} PRIVATE ${source})
endfunction()

crosstate_embed(crosstate_cold chart_library "${CROSSTATE_CHART_JS}")
crosstate_embed(crosstate_cold page_style "${CMAKE_CURRENT_SOURCE_DIR}/crosstate/report/page.css")
crosstate_embed(crosstate_cold page_script "${CMAKE_CURRENT_SOURCE_DIR}/crosstate/report/page.js")
