// What a message tells as one text, its remedies in brackets: "steps is 0, outside 1 to 1000 [use_value steps 1]".
#pragma once

#include <string>

#include "fude/error.h"

namespace fude {

inline std::string told(const Message& message) {
  std::string text = message.what;
  for (const Remedy& remedy : message.remedies) {
    text += " [" + std::string(name_of(remedy.kind));
    if (remedy.field != Field::none) text += ' ' + std::string(name_of(remedy.field));
    for (const std::string& value : remedy.values) text += ' ' + value;
    if (remedy.width > 0) text += " width " + std::to_string(remedy.width);
    if (remedy.height > 0) text += " height " + std::to_string(remedy.height);
    if (remedy.bytes > 0) text += ' ' + std::to_string(remedy.bytes);
    text += ']';
  }
  for (const Message& part : message.parts) text += '\n' + told(part);
  return text;
}

}  // namespace fude
