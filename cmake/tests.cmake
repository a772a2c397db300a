# One GoogleTest program from the tests beside the sources and those in tests/, and the test that
# installs the library and builds a project against it.
enable_testing()
include(GoogleTest)
find_package(GTest REQUIRED)
find_program(CROSSTATE_NGSPICE ngspice REQUIRED)  # judges the solvers of crossbar circuits

file(GLOB CROSSTATE_SYSTEM_TESTS CONFIGURE_DEPENDS tests/*.cpp)
add_executable(crosstate_tests ${CROSSTATE_UNIT_TESTS} ${CROSSTATE_SYSTEM_TESTS})
crosstate_compile_fast(crosstate_tests)
# Half the time of compiling tests is spent on the headers that the tests of a folder share. Those
# that define something by the name that another one uses, too, stay apart.
string(CONCAT apart
  "crossbar/(array|conversion|converters|driven_columns|external|lane_product|read_noise)_test"
  "|/device/|integer/(pruned|rounding|steps)_test|kernels/scan_test|simulate/simulate_test")
crosstate_combine(crosstate_tests 6 EXCEPT "${apart}"
  SOURCES ${CROSSTATE_UNIT_TESTS} ${CROSSTATE_SYSTEM_TESTS})
crosstate_precompile(crosstate_tests <filesystem> <gmock/gmock.h> <gtest/gtest.h>
  <nlohmann/json.hpp>)
target_link_libraries(crosstate_tests PRIVATE crosstate_lib GTest::gmock GTest::gtest_main
  PkgConfig::SNDFILE SQLite::SQLite3)
target_compile_definitions(crosstate_tests PRIVATE
  CROSSTATE_SOURCE_DIR="${CMAKE_CURRENT_SOURCE_DIR}" CROSSTATE_NGSPICE="${CROSSTATE_NGSPICE}")
if(TARGET crosstate)
  add_dependencies(crosstate_tests crosstate)
  set(program "$<TARGET_FILE:crosstate>")
  if(CMAKE_CROSSCOMPILING_EMULATOR)  # tests start the program by its path
    set(program "${CMAKE_CURRENT_BINARY_DIR}/emulated/crosstate")
    file(GENERATE OUTPUT "${program}"
      CONTENT "#!/bin/sh\nexec ${CMAKE_CROSSCOMPILING_EMULATOR} '$<TARGET_FILE:crosstate>' \"$@\"\n"
      FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE)
  endif()
  target_compile_definitions(crosstate_tests PRIVATE CROSSTATE_PROGRAM="${program}")
endif()
# Preloaded, it makes every file system behave as if it had no locks.
add_library(no_locks MODULE tests/no_locks.c)
target_link_libraries(no_locks PRIVATE ${CMAKE_DL_LIBS})
add_dependencies(crosstate_tests no_locks)
target_compile_definitions(crosstate_tests PRIVATE CROSSTATE_NO_LOCKS="$<TARGET_FILE:no_locks>")
if(CROSSTATE_HAS_MPI AND MPIEXEC_EXECUTABLE)
  target_compile_definitions(crosstate_tests PRIVATE CROSSTATE_MPIRUN="${MPIEXEC_EXECUTABLE}")
endif()
gtest_discover_tests(crosstate_tests DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 60
  PROPERTIES TIMEOUT 600)

include(cmake/examples.cmake)

# The consumer links the library of this build, so it needs the same sanitizers.
list(JOIN sanitize_flags " " consumer_flags)
add_test(NAME install.consumer COMMAND ${CMAKE_COMMAND}
  -D source_dir=${CMAKE_CURRENT_SOURCE_DIR} -D build_dir=${CMAKE_CURRENT_BINARY_DIR}
  -D cxx_compiler=${CMAKE_CXX_COMPILER} "-D cxx_flags=${consumer_flags}"
  -D build_type=${CMAKE_BUILD_TYPE}
  -P ${CMAKE_CURRENT_SOURCE_DIR}/tests/consumer/run.cmake)
set_tests_properties(install.consumer PROPERTIES TIMEOUT 600)

# The scripts of docs/claims.md: every claim in its smallest form, and errors.
if(TARGET crosstate)
  add_test(NAME scripts.reproduce COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/tests/reproduce_test
    $<TARGET_FILE:crosstate> ${CMAKE_CURRENT_BINARY_DIR}/reproduce-test)
  set_tests_properties(scripts.reproduce PROPERTIES TIMEOUT 600)
endif()

# The tests of the Python package. AddressSanitizer has to be in the interpreter before the module
# comes, with the C++ library whose exceptions it intercepts; Python itself leaks.
if(TARGET crosstate_python AND (NOT CROSSTATE_SANITIZE OR CROSSTATE_SANITIZE MATCHES address))
  set(python_environment PYTHONPATH=${CMAKE_CURRENT_BINARY_DIR}/python PYTHONDONTWRITEBYTECODE=1)
  set(python_timeout 900)
  if(CROSSTATE_SANITIZE)
    foreach(library libasan.so libstdc++.so)
      execute_process(COMMAND ${CMAKE_CXX_COMPILER} -print-file-name=${library}
        OUTPUT_VARIABLE file OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
      list(APPEND preloaded ${file})
    endforeach()
    list(JOIN preloaded ":" preloaded)
    list(APPEND python_environment LD_PRELOAD=${preloaded} ASAN_OPTIONS=detect_leaks=0
      PYTHONMALLOC=malloc)
    set(python_timeout 3600)
  endif()
  add_test(NAME python COMMAND ${CMAKE_COMMAND} -E env ${python_environment}
    ${Python_EXECUTABLE} -m pytest -p no:cacheprovider -m "not extras"
    WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})
  set_tests_properties(python PROPERTIES TIMEOUT ${python_timeout})
endif()
