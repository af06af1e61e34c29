# bhvm_floor(name): a folder of the house, if it is there.
function(bhvm_floor folder)
  if(EXISTS "${PROJECT_SOURCE_DIR}/${folder}/CMakeLists.txt")
    add_subdirectory("${folder}")
  endif()
endfunction()

# bhvm_library(name SOURCES a.cpp ... LINKS bhvm_base ...): one folder's static library, bhvm_<name>.
function(bhvm_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(bhvm_${name} STATIC ${arg_SOURCES})
  target_link_libraries(bhvm_${name} PRIVATE $<BUILD_INTERFACE:bhvm_options> PUBLIC ${arg_LINKS})
  target_include_directories(bhvm_${name} PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}>)
endfunction()

# bhvm_test(name SOURCES a.cpp ... LINKS bhvm_x ... [LABELS l ...]): a GoogleTest program whose cases CTest knows.
function(bhvm_test name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE bhvm_options ${arg_LINKS} GTest::gtest GTest::gmock GTest::gtest_main)
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${arg_LABELS}")
endfunction()
