# What `cmake --install` lays out.
install(TARGETS weir RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY gateway/include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
