# `cmake --install` gives the program, the libraries and packages: find_package(fude), then link fude::fude, or fude::c for the C interface;
# pkg-config fude for C alone.
# The component fude_program is what somebody needs who only draws.
include(CMakePackageConfigHelpers)

add_library(fude_library INTERFACE)
set_target_properties(fude_library PROPERTIES EXPORT_NAME fude)
target_link_libraries(fude_library INTERFACE fude_engine)
add_library(fude::fude ALIAS fude_library)

install(TARGETS fude_library fude_core fude_reference fude_cpu fude_cuda fude_weights fude_offload fude_model fude_diffusion fude_engine
        EXPORT fude_targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
add_library(fude::c ALIAS fude_shared)
install(TARGETS fude_shared EXPORT fude_targets COMPONENT fude_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS fude RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT fude_program)
install(DIRECTORY include/fude ${PROJECT_BINARY_DIR}/include/fude DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(EXISTS ${PROJECT_SOURCE_DIR}/models/demo/model_index.json)
  install(DIRECTORY models/demo DESTINATION ${CMAKE_INSTALL_DATADIR}/${FUDE_INSTALLED_MODELS} COMPONENT fude_program)
endif()
if(WIN32)
  install(FILES ${dlls} DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT fude_program)
  install(DIRECTORY ${windows_libraries}/licences DESTINATION ${CMAKE_INSTALL_DATADIR} COMPONENT fude_program)
endif()

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/fude)
install(EXPORT fude_targets FILE fude-targets.cmake NAMESPACE fude:: DESTINATION ${package_dir})
configure_package_config_file(cmake/fude-config.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/fude-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/fude-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fude-config.cmake ${CMAKE_CURRENT_BINARY_DIR}/fude-config-version.cmake
        cmake/FindUtf8proc.cmake DESTINATION ${package_dir})
file(RELATIVE_PATH up_from_pc /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/fude.pc.in ${CMAKE_CURRENT_BINARY_DIR}/fude.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/fude.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
