# Installs the library into a prefix of its own, then configures, builds and runs the example against it.
function(run)
  cmake_parse_arguments(arg "" "RESULT" "COMMAND" ${ARGN})
  execute_process(COMMAND ${arg_COMMAND} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result EQUAL arg_RESULT)
    list(JOIN arg_COMMAND " " command)
    message(FATAL_ERROR "${command}\nended with ${result}, not ${arg_RESULT}:\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
run(RESULT 0 COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/prefix" --component library)
run(RESULT 0 COMMAND "${CMAKE_COMMAND}" -S "${SOURCE}/examples/run_kernel" -B "${WORK}/build" -G "${GENERATOR}"
    "-DCMAKE_PREFIX_PATH=${WORK}/prefix" "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_FLAGS=${CXX_FLAGS}"
    "-DCMAKE_BUILD_TYPE=${BUILD_TYPE}")
run(RESULT 0 COMMAND "${CMAKE_COMMAND}" --build "${WORK}/build")
run(RESULT 0 COMMAND "${WRITE_GUEST}" "${WORK}/guest")
run(RESULT 3 COMMAND "${WORK}/build/run_kernel" "${WORK}/guest")
if(NOT output MATCHES "hello from the guest" OR NOT output MATCHES "guest-exit after")
  message(FATAL_ERROR "the example printed:\n${output}")
endif()
run(RESULT 2 COMMAND "${WORK}/build/run_kernel" "${WORK}/missing")
