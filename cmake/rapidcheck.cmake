# RAPIDCHECK: what to link; Debian's package has a library alone, Ubuntu's a CMake package too.
find_package(rapidcheck CONFIG)
if(TARGET rapidcheck)
  set(RAPIDCHECK rapidcheck)
else()
  find_library(RAPIDCHECK_LIBRARY rapidcheck)
  set(RAPIDCHECK ${RAPIDCHECK_LIBRARY})
endif()
