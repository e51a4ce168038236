// Input: a picture of any kind, as `--from` takes it. Whatever it holds, reading its texts and the request of whatever program
// in them ends with one or with an Error. The same bytes are also read as each of the texts that programs write, so that
// mutations of JSON and of settings need no container around them.
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "engine/containers/exif.h"
#include "engine/containers/texts.h"
#include "engine/foreign/foreign.h"
#include "engine/prompt_syntax.h"
#include "engine/request.h"
#include "fude/error.h"

namespace {

template <class Work>
void attempt(Work work) {
  try {
    work();
  } catch (const fude::Error&) {
  }
}

void read(const std::vector<fude::PictureText>& texts) {
  using namespace fude;
  attempt([&] {
    const std::optional<ForeignPicture> picture = foreign_picture_in(texts);
    if (!picture) return;
    for (const bool given : {true, false}) attempt([&] { description_of(*picture, "it", [&](Field) { return given; }); });
    const Provenance provenance = provenance_from(*picture);
    check_request(provenance.request);
    parse_parameters(parameters_text(provenance));
    foreign_syntax_in(std::vector{provenance.request.prompt, provenance.request.negative});
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace fude;
  attempt([&] { read(read_picture_texts({data, size})); });
  read(read_exif_texts({data, size}));
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (const char* keyword : {"parameters", "prompt", "invokeai_metadata", "sd-metadata", "UserComment", "Make"})
    read({{keyword, text, {}}});
  read({{"Software", "NovelAI", {}}, {"Comment", text, {}}});
  return 0;
}
