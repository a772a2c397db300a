# Library, headers, program, data, and the package files for find_package(crosstate).
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/crosstate)

install(TARGETS crosstate_lib EXPORT crosstate)
install(CODE "set(source_dir \"${CMAKE_CURRENT_SOURCE_DIR}\")
set(include_dir \"${CMAKE_INSTALL_INCLUDEDIR}\")")
install(SCRIPT cmake/install_headers.cmake)
if(TARGET crosstate)
  install(TARGETS crosstate)
endif()
install(DIRECTORY data/ DESTINATION ${CMAKE_INSTALL_DATADIR}/crosstate/data)
install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})

install(EXPORT crosstate NAMESPACE crosstate:: FILE crosstateTargets.cmake
  DESTINATION ${package_dir})
configure_package_config_file(cmake/crosstateConfig.cmake.in crosstateConfig.cmake
  INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(crosstateConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/crosstateConfig.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/crosstateConfigVersion.cmake DESTINATION ${package_dir})
