include(${CMAKE_SOURCE_DIR}/cmake/rapidcheck.cmake)
list(APPEND LIBS ${RAPIDCHECK})
