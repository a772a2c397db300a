# The extension module of the Python package (docs/python.md). In the build tree, the package is
# complete in the folder python, which PYTHONPATH may name; scikit-build-core installs it in a wheel.
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module
  OPTIONAL_COMPONENTS Development.SABIModule)
execute_process(COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
  OUTPUT_VARIABLE nanobind_ROOT OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(failed)
  message(FATAL_ERROR "${Python_EXECUTABLE} has no nanobind, which CROSSTATE_PYTHON needs.\n"
    "Install python/requirements.txt there, or let scripts/test or pip install . do it.")
endif()
find_package(nanobind CONFIG REQUIRED)

file(GLOB CROSSTATE_BINDINGS CONFIGURE_DEPENDS python/bindings/*.cpp)
nanobind_add_module(crosstate_python STABLE_ABI NB_STATIC ${CROSSTATE_BINDINGS})
target_link_libraries(crosstate_python PRIVATE crosstate_lib)
crosstate_compile_fast(crosstate_python)
crosstate_combine(crosstate_python 5 EXCEPT "(block|kernels).cpp" SOURCES ${CROSSTATE_BINDINGS})
# These move the data of every layer of PyTorch.
set_source_files_properties(python/bindings/kernels.cpp python/bindings/block.cpp PROPERTIES
  COMPILE_OPTIONS $<$<CONFIG:Release>:-O3>)
# nanobind itself is compiled here, too, and is not held to the warnings of this project.
foreach(target nanobind-static nanobind-static-abi3)
  if(TARGET ${target})
    target_compile_options(${target} PRIVATE -w)
    set_target_properties(${target} PROPERTIES SYSTEM ON)
  endif()
endforeach()

set(package_dir ${CMAKE_CURRENT_BINARY_DIR}/python/crosstate)
set_target_properties(crosstate_python PROPERTIES
  OUTPUT_NAME _core LIBRARY_OUTPUT_DIRECTORY ${package_dir})
set(package_source_dir ${CMAKE_CURRENT_SOURCE_DIR}/python/crosstate)
file(GLOB_RECURSE modules RELATIVE ${package_source_dir} CONFIGURE_DEPENDS
  ${package_source_dir}/*.py ${package_source_dir}/py.typed)
foreach(module ${modules})
  cmake_path(GET module PARENT_PATH folder)
  file(MAKE_DIRECTORY ${package_dir}/${folder})
  file(CREATE_LINK ${package_source_dir}/${module} ${package_dir}/${module} SYMBOLIC)
endforeach()
file(MAKE_DIRECTORY ${package_dir}/bin)
file(CREATE_LINK ${CMAKE_CURRENT_BINARY_DIR}/crosstate ${package_dir}/bin/crosstate SYMBOLIC)

# A module with a sanitizer can only be loaded by an interpreter that has it preloaded.
if(NOT CROSSTATE_SANITIZE)
  nanobind_add_stub(crosstate_python_stub MODULE _core OUTPUT ${package_dir}/_core.pyi
    PYTHON_PATH ${package_dir} DEPENDS crosstate_python)
endif()

if(SKBUILD)
  install(TARGETS crosstate_python LIBRARY DESTINATION crosstate COMPONENT python)
  install(FILES ${package_dir}/_core.pyi DESTINATION crosstate COMPONENT python)
  install(PROGRAMS $<TARGET_FILE:crosstate> DESTINATION crosstate/bin COMPONENT python)
  install(DIRECTORY data/ DESTINATION crosstate/data COMPONENT python)
endif()
