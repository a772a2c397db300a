# Each fuzz/NAME.cpp, with its samples in fuzz/corpus/NAME, is one reader under test. With
# CROSSTATE_FUZZ it becomes the libFuzzer program fuzz/NAME; among the tests it reads its samples
# once, with any compiler, so that former crashes do not return.
file(GLOB CROSSTATE_FUZZ_TARGETS CONFIGURE_DEPENDS fuzz/*.cpp)

# What all readers share: the program around them, compiled once.
function(crosstate_add_fuzz_main name main)
  add_library(${name} OBJECT fuzz/main/accepts.cpp ${main})
  target_link_libraries(${name} PRIVATE crosstate_lib)
  crosstate_compile_fast(${name})
endfunction()
if(CROSSTATE_FUZZ)
  crosstate_add_fuzz_main(fuzz_main fuzz/main/libfuzzer.cpp)
endif()
if(CROSSTATE_TESTS)
  crosstate_add_fuzz_main(replay_main fuzz/main/replay.cpp)
endif()

function(crosstate_add_fuzz prefix name)
  add_executable(${prefix}_${name} fuzz/${name}.cpp)
  set_target_properties(${prefix}_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY ${prefix})
  target_link_libraries(${prefix}_${name} PRIVATE ${prefix}_main crosstate_lib)
  crosstate_compile_fast(${prefix}_${name})
endfunction()

foreach(source ${CROSSTATE_FUZZ_TARGETS})
  cmake_path(GET source STEM name)
  if(CROSSTATE_FUZZ)
    crosstate_add_fuzz(fuzz ${name})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  endif()
  if(CROSSTATE_TESTS)
    crosstate_add_fuzz(replay ${name})
    add_test(NAME fuzz.${name}
      COMMAND replay_${name} ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/corpus/${name})
    set_tests_properties(fuzz.${name} PROPERTIES TIMEOUT 120)
  endif()
endforeach()

if(CROSSTATE_FUZZ)
  add_executable(fuzz_seeds fuzz/main/seeds.cpp)
  set_target_properties(fuzz_seeds PROPERTIES OUTPUT_NAME seeds)
  target_link_libraries(fuzz_seeds PRIVATE crosstate_lib ZLIB::ZLIB PkgConfig::SNDFILE)
endif()
