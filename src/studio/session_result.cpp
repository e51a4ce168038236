// What a session came to, as JSON.
#include "studio/session_result.h"

#include <nlohmann/json.hpp>

#include "engine/metadata.h"
#include "weights/quote.h"

namespace fude {

using Json = nlohmann::ordered_json;

Json json_from(const SessionResult& result) {
  Json cells = Json::array();
  for (const SessionCell& cell : result.cells) {
    Json& json = cells.emplace_back(Json{{"number", cell.number}});
    if (cell.of_before) json.update({{"path", text_of(cell.file.path)}, {"seed", cell.file.seed}});
    else json.update(json_from(cell.file));
  }
  return {{"kind", result.kind},
          {"folder", text_of(result.folder)},
          {"sheet", result.sheet.empty() ? Json() : Json(text_of(result.sheet))},
          {"report", text_of(result.report)},
          {"cells", cells},
          {"seconds", json_from(result.seconds)}};
}

}  // namespace fude
