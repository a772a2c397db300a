# The flags of everything built in this tree.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(PROJECT_IS_TOP_LEVEL)
  if(NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release)
  endif()
  set(CMAKE_CXX_FLAGS_RELEASE "-O3 -g1 -DNDEBUG")
  find_program(CCACHE ccache)
  if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
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
# for it explicitly where they want it.
add_compile_options(-ffp-contract=off)

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
# the same: call it for sources or whole targets after -O3 has been set.
function(crosstate_compile_fast)
  cmake_parse_arguments(fast "" "TARGET" "SOURCES" ${ARGN})
  set(flags $<$<CONFIG:Release>:-O1>)
  if(fast_TARGET)
    target_compile_options(${fast_TARGET} PRIVATE ${flags})
  endif()
  if(fast_SOURCES)
    set_property(SOURCE ${fast_SOURCES} APPEND PROPERTY COMPILE_OPTIONS ${flags})
  endif()
endfunction()
