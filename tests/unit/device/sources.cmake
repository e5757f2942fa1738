set(LIBS attune_select ${CMAKE_DL_LIBS})

# A library in four states, for detection at run time.
function(fake_library state)
  add_library(fake_${state} MODULE ${CMAKE_CURRENT_SOURCE_DIR}/unit/device/fake_library/library.cc)
  target_compile_definitions(fake_${state} PRIVATE ${ARGN})
  set_target_properties(fake_${state} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/fake_library)
endfunction()
fake_library(whole FAKE_VERSION=130100 FAKE_MATMUL)
fake_library(old FAKE_VERSION=110300 FAKE_MATMUL)
fake_library(partial FAKE_VERSION=130100)
fake_library(nameless FAKE_MATMUL)
list(APPEND DEPENDENCIES fake_whole fake_old fake_partial fake_nameless)
