# Writes a C++ file that returns a text file's bytes: std::string_view FUNCTION() in namespace fude.
function(fude_embed source function output)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
  file(READ ${source} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT
"#include <string_view>
namespace fude {
std::string_view @function@();
static constexpr unsigned char kBytes[] = {
@bytes@};
std::string_view @function@() { return {reinterpret_cast<const char*>(kBytes), sizeof kBytes}; }
}  // namespace fude
")
endfunction()
