# Installs the build to a fresh prefix, then configures, builds and runs the consumer and the
# examples against it.
set(work ${build_dir}/install-test)
file(REMOVE_RECURSE ${work})

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

run(${CMAKE_COMMAND} --install ${build_dir} --prefix ${work}/prefix)
run(${CMAKE_COMMAND} -G Ninja -S ${source_dir}/tests/consumer -B ${work}/build
  -DCMAKE_PREFIX_PATH=${work}/prefix -DCMAKE_BUILD_TYPE=${build_type}
  -DCROSSTATE_EXAMPLES=${source_dir}/examples
  -DCMAKE_CXX_COMPILER=${cxx_compiler} -DCMAKE_CXX_FLAGS=${cxx_flags})
run(${CMAKE_COMMAND} --build ${work}/build)
run(${work}/build/consumer)
run(${work}/build/train)
run(${work}/build/array)
