# Installs the public headers: those that public_headers.txt and the examples name, and what they
# include. Runs at installation, so that it sees the includes of that time.
cmake_minimum_required(VERSION 3.25)
file(STRINGS ${source_dir}/cmake/public_headers.txt waiting REGEX "^[^#]")
file(GLOB examples ${source_dir}/examples/*.cpp)
foreach(example ${examples})
  file(STRINGS ${example} lines REGEX "^#include [<\"]crosstate/")
  list(TRANSFORM lines REPLACE "^#include [<\"]crosstate/([^>\"]+).*" "\\1")
  list(APPEND waiting ${lines})
endforeach()

set(public)
while(waiting)
  list(POP_FRONT waiting header)
  if(header IN_LIST public)
    continue()
  endif()
  list(APPEND public ${header})
  file(STRINGS ${source_dir}/crosstate/${header} lines REGEX "^#include \"crosstate/")
  list(TRANSFORM lines REPLACE "^#include \"crosstate/([^\"]+).*" "\\1")
  list(APPEND waiting ${lines})
endwhile()

cmake_path(ABSOLUTE_PATH include_dir BASE_DIRECTORY ${CMAKE_INSTALL_PREFIX})
foreach(header ${public})
  cmake_path(GET header PARENT_PATH folder)
  file(INSTALL ${source_dir}/crosstate/${header}
    DESTINATION ${include_dir}/crosstate/${folder})
endforeach()
