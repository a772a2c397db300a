# Library, headers, program, data, and the package files for find_package(crosstate).
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/crosstate)

install(TARGETS crosstate_lib EXPORT crosstate)
install(CODE "set(source_dir \"${CMAKE_CURRENT_SOURCE_DIR}\")
set(include_dir \"${CMAKE_INSTALL_INCLUDEDIR}\")")
install(SCRIPT cmake/install_headers.cmake)
if(TARGET crosstate)
  install(TARGETS crosstate)
  # The program prints its manual page and its completions; one built for another machine cannot run.
  if(NOT CMAKE_CROSSCOMPILING)
    set(shell_dir ${CMAKE_CURRENT_BINARY_DIR}/shell)
    file(MAKE_DIRECTORY ${shell_dir})
    add_custom_command(OUTPUT ${shell_dir}/crosstate.1 ${shell_dir}/crosstate.bash ${shell_dir}/_crosstate
      COMMAND crosstate man > ${shell_dir}/crosstate.1
      COMMAND crosstate completion bash > ${shell_dir}/crosstate.bash
      COMMAND crosstate completion zsh > ${shell_dir}/_crosstate
      DEPENDS crosstate)
    add_custom_target(crosstate_shell ALL DEPENDS ${shell_dir}/crosstate.1)
    install(FILES ${shell_dir}/crosstate.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
    install(FILES ${shell_dir}/crosstate.bash RENAME crosstate
      DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
    install(FILES ${shell_dir}/_crosstate DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  endif()
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
