# What every target is compiled with.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Debug, Release or RelWithDebInfo" FORCE)
endif()

find_program(BHVM_CCACHE ccache)
if(BHVM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${BHVM_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${BHVM_CCACHE}")
endif()

# Thousands of handlers' addresses stand in tables: packed, their relocations take 20 KB of a program instead of 800.
include(CheckCXXSourceRuns)
set(CMAKE_REQUIRED_LINK_OPTIONS "LINKER:-z,pack-relative-relocs")
check_cxx_source_runs("int main() { return 0; }" BHVM_PACKED_RELOCATIONS)
unset(CMAKE_REQUIRED_LINK_OPTIONS)
if(BHVM_PACKED_RELOCATIONS)
  add_link_options("LINKER:-z,pack-relative-relocs")
endif()

add_library(bhvm_options INTERFACE)
target_compile_options(bhvm_options INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-invalid-offsetof -Wno-missing-field-initializers
  -fno-strict-aliasing          # guest memory is bytes; the interpreter reads it at every width
  -ffp-contract=off -fno-fast-math
  $<$<BOOL:${BHVM_WERROR}>:-Werror>
  # GCC 12 sees uninitialised values where a checked function fills them, and array bounds inside std::vector::insert.
  $<$<CXX_COMPILER_ID:GNU>:-Wno-psabi;-Wno-maybe-uninitialized;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>)
target_include_directories(bhvm_options INTERFACE "${PROJECT_SOURCE_DIR}")
if(BHVM_TAIL_CALLS)
  target_compile_definitions(bhvm_options INTERFACE BHVM_TAIL_CALLS=1)
endif()
if(BHVM_RECORD_DISPATCH)
  target_compile_definitions(bhvm_options INTERFACE BHVM_RECORD_DISPATCH=1)
endif()
if(BHVM_PLANTED_FAULTS)
  target_compile_definitions(bhvm_options INTERFACE BHVM_PLANTED_FAULTS=1)
endif()
