# Warnings, language level, hardening and sanitizers: one interface target that every other target links.
add_library(weir_settings INTERFACE)
target_compile_definitions(weir_settings INTERFACE _GNU_SOURCE WEIR_VERSION="${PROJECT_VERSION}")
# Socket addresses are written and read as more than one type; with strict aliasing only optimised builds would be
# wrong, which no sanitizer sees.
target_compile_options(weir_settings INTERFACE
    -Wall -Wextra -Wshadow -Wconversion -Werror -fno-omit-frame-pointer -fno-strict-aliasing)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_FLAGS_RELEASE "-O3 -g1")

if(CMAKE_BUILD_TYPE STREQUAL "Release")
    set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
    # Ubuntu's compilers define _FORTIFY_SOURCE themselves; to define it again would be a warning.
    target_compile_options(weir_settings INTERFACE
        -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection)
    target_link_options(weir_settings INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
endif()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

if(WEIR_SANITIZE)
    target_compile_options(weir_settings INTERFACE -fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(weir_settings INTERFACE -fsanitize=${WEIR_SANITIZE})
endif()
if(WEIR_FUZZ)
    target_compile_options(weir_settings INTERFACE -fsanitize=fuzzer-no-link)
endif()
