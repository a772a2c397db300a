# One program per file in bench/, placed in build/<preset>/bench.
find_package(benchmark REQUIRED)
pkg_check_modules(OPENBLAS REQUIRED IMPORTED_TARGET openblas)

file(GLOB CROSSTATE_BENCH_SOURCES CONFIGURE_DEPENDS bench/*.cpp)
foreach(source ${CROSSTATE_BENCH_SOURCES})
  cmake_path(GET source STEM name)
  add_executable(bench_${name} ${source})
  set_target_properties(bench_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY bench)
  target_link_libraries(bench_${name} PRIVATE
    crosstate_lib benchmark::benchmark_main PkgConfig::OPENBLAS)
endforeach()
