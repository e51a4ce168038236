# `cmake --install` gives the program, the library and a package: find_package(fude), then link fude::fude.
include(CMakePackageConfigHelpers)

add_library(fude_library INTERFACE)
set_target_properties(fude_library PROPERTIES EXPORT_NAME fude)
target_link_libraries(fude_library INTERFACE fude_engine)
add_library(fude::fude ALIAS fude_library)

install(TARGETS fude_library fude_core fude_reference fude_cpu fude_cuda fude_weights fude_offload fude_model fude_diffusion fude_engine
        EXPORT fude_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS fude RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/fude ${PROJECT_BINARY_DIR}/include/fude DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(EXISTS ${PROJECT_SOURCE_DIR}/models/demo/model_index.json)
  install(DIRECTORY models/demo DESTINATION ${CMAKE_INSTALL_DATADIR}/${FUDE_INSTALLED_MODELS})
endif()

set(find_cuda "")
if(fude_with_cuda)
  set(find_cuda "find_dependency(CUDAToolkit)")
endif()
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fude)
install(EXPORT fude_targets FILE fude-targets.cmake NAMESPACE fude:: DESTINATION ${package_dir})
configure_package_config_file(cmake/fude-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/fude-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/fude-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fude-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/fude-config-version.cmake
        cmake/FindUtf8proc.cmake DESTINATION ${package_dir})
