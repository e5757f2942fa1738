# The tests run the program; the library gives them the table of flags.
set(LIBS attune_core nlohmann_json::nlohmann_json)
list(APPEND DEPENDENCIES fake_old)  # stands in for a driver
if(ATTUNE_CUDA)  # what a driver that is absent or wrong does shows in this program alone; needs no device
  set(LABELS cuda)
endif()
