# The flags of everything built in this tree.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
  endif()
  set(CMAKE_CXX_FLAGS_RELEASE "-O3 -DNDEBUG")
  find_program(CCACHE ccache)
  if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    # ccache serves precompiled headers only where it may ignore what they might make of __TIME__
    # and of macros defined before them, and how new they are.
    set(sloppiness pch_defines,time_macros,include_file_mtime,include_file_ctime)
    set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=${sloppiness} ${CCACHE})
  endif()
endif()

add_compile_options(-Wall -Wextra -Wshadow -Wconversion)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # False alarms of GCC 12 and 13 on std::string and std::optional under -O3, e.g.
  # https://gcc.gnu.org/bugzilla/show_bug.cgi?id=105651
  add_compile_options(-Wno-restrict -Wno-maybe-uninitialized)
endif()
if(CROSSTATE_WERROR)
  add_compile_options(-Werror)
endif()
add_compile_definitions($<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)

# Contraction to fused multiply-add would make results depend on the instruction set; kernels ask
# for it explicitly where it is wanted.
add_compile_options(-ffp-contract=off)
# GCC divides complex numbers by a function of its run-time library, which on Arm is compiled with
# contraction. These are the same formulas (Smith 1962) as code.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$" AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fcx-fortran-rules>)
endif()

if(CROSSTATE_SANITIZE)
  set(sanitize_flags -fsanitize=${CROSSTATE_SANITIZE} -fno-sanitize-recover=all)
  add_compile_options(${sanitize_flags})
  add_link_options(${sanitize_flags})
endif()

# Marks the branches that a fuzzer learns from; its main() is linked by cmake/fuzz.cmake.
if(CROSSTATE_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "CROSSTATE_FUZZ needs clang++, for libFuzzer; found ${CMAKE_CXX_COMPILER}")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# Code that no long computation runs through compiles twice as fast with -O1, and every result is
# the same: call it for targets after -O3 has been set.
function(crosstate_compile_fast target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# With CROSSTATE_PRECOMPILE, precompiles for one target headers of the standard library that most
# sources include, and the given ones. Headers of this project are left out: they change often, and
# ccache cannot tell whether a precompiled header is older than what it was made of. Every source
# still includes what it uses, which builds without the option show.
function(crosstate_precompile target)
  if(NOT CROSSTATE_PRECOMPILE)
    return()
  endif()
  target_precompile_headers(${target} PRIVATE <algorithm> <array> <cmath> <complex> <cstddef>
    <cstdint> <functional> <map> <memory> <numeric> <optional> <span> <stdexcept> <string>
    <string_view> <type_traits> <unordered_map> <utility> <variant> <vector> ${ARGN})
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
    target_compile_options(${target} PRIVATE
      -fpch-preprocess  # shows ccache that there is a precompiled header
      # False alarms on std::string, which GCC 12 does not recognize as such in precompiled headers.
      -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread)
  elseif(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    # The same content gives the same file, which ccache then knows.
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()

# With CROSSTATE_COMBINE, compiles the sources of each folder in groups of up to `count`, except
# those whose path matches an expression: crosstate_combine(target count EXCEPT regex SOURCES ...)
function(crosstate_combine target count)
  if(NOT CROSSTATE_COMBINE)
    return()
  endif()
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "EXCEPT" "SOURCES")
  list(SORT arg_SOURCES)
  foreach(source IN LISTS arg_SOURCES)
    if(arg_EXCEPT AND source MATCHES "${arg_EXCEPT}")
      continue()
    endif()
    cmake_path(GET source PARENT_PATH folder)
    if(NOT folder STREQUAL previous)
      set(previous "${folder}")
      set(index 0)
    endif()
    math(EXPR group "${index} / ${count}")
    math(EXPR index "${index} + 1")
    cmake_path(GET folder FILENAME name)
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP ${name}_${group})
  endforeach()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
endfunction()
