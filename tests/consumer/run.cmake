# Installs the build to a fresh prefix, then configures, builds and runs the consumer and the
# examples against it. No installed header needs what the package does not bring along.
set(work ${build_dir}/install-test)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

run(${CMAKE_COMMAND} --install ${build_dir} --prefix ${work}/prefix)
file(GLOB_RECURSE headers ${work}/prefix/*.h)
foreach(header ${headers})
  file(STRINGS ${header} includes REGEX "^#include <[^>]*[./]")
  foreach(include ${includes})
    if(NOT include MATCHES "<(nlohmann|sys)/")
      message(FATAL_ERROR "${header}: ${include} is not a dependency of the package")
    endif()
  endforeach()
  cmake_path(GET header FILENAME name)
  if(name MATCHES "^testing\\.h$|-inl\\.h$|^targets\\.h$")
    message(FATAL_ERROR "${header} is private")
  endif()
endforeach()

run(${CMAKE_COMMAND} -G Ninja -S ${source_dir}/tests/consumer -B ${work}/build
  -DCMAKE_PREFIX_PATH=${work}/prefix -DCMAKE_BUILD_TYPE=${build_type}
  -DCROSSTATE_EXAMPLES=${source_dir}/examples
  -DCMAKE_CXX_COMPILER=${cxx_compiler} -DCMAKE_CXX_FLAGS=${cxx_flags})
run(${CMAKE_COMMAND} --build ${work}/build)
run(${work}/build/consumer)
run(${work}/build/train)
run(${work}/build/quickstart)
run(${work}/build/array)
