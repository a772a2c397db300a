# Each examples/NAME.cpp is a program of its own, which the tests run.
file(GLOB CROSSTATE_EXAMPLES CONFIGURE_DEPENDS examples/*.cpp)
foreach(source ${CROSSTATE_EXAMPLES})
  cmake_path(GET source STEM name)
  add_executable(example_${name} ${source})
  set_target_properties(example_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY examples)
  target_link_libraries(example_${name} PRIVATE crosstate_lib)
  crosstate_compile_fast(example_${name})
  add_test(NAME example.${name} COMMAND example_${name})
  set_tests_properties(example.${name} PROPERTIES TIMEOUT 60)
endforeach()
