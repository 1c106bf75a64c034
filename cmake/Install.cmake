# What `cmake --install` lays out, below the prefix:
#   bin/weir, include/weir/, share/weir/{plugins,www}, etc/weir/ (samples), share/man/man8, share/doc/weir with
#   examples/ (sources of native plugins, to build and to copy from)
install(TARGETS weir RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY gateway/include/weir DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY plugins www DESTINATION ${CMAKE_INSTALL_DATADIR}/weir
        PATTERN "*.c" EXCLUDE)
# A certificate that somebody made in conf/tls is theirs.
install(DIRECTORY conf/ DESTINATION ${CMAKE_INSTALL_SYSCONFDIR}/weir
        FILES_MATCHING PATTERN "*.yaml" PATTERN "*.json" PATTERN "tls" EXCLUDE)
install(FILES docs/weir.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}
        FILES_MATCHING PATTERN "*.md")
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY plugins/ DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples
        FILES_MATCHING PATTERN "*.c")
