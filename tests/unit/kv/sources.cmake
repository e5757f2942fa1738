include(${CMAKE_SOURCE_DIR}/cmake/rapidcheck.cmake)
set(LIBS attune_kv ${RAPIDCHECK})
