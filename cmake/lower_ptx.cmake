# Says in a PTX file that it is of VERSION, if it says that it is of a newer one: cmake -DPTX=FILE -DVERSION=8.0 -P lower_ptx.cmake.
# fude's kernels use nothing newer; whoever reads the file would refuse what it does not know.
file(READ ${PTX} text)
string(REGEX MATCH "\n[.]version ([0-9.]+)\n" line "${text}")
if(CMAKE_MATCH_1 VERSION_GREATER VERSION)
  string(REPLACE "${line}" "\n.version ${VERSION}\n" text "${text}")
  file(WRITE ${PTX} "${text}")
endif()
