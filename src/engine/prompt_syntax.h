// Pieces of prompts that other programs obey, and that fude draws as the text they are.
#pragma once

#include <span>
#include <string>

#include "fude/error.h"

namespace fude {

// One warning that names them: weights "(cat:1.3)", "((cat))", "(cat)1.2", "cat++" and "{{cat}}", "[dog]", "<lora:x:0.8>",
// "BREAK" and "AND", "__animal__", "{a|b}", "1.2::cat::", "embedding:x" and escapes such as "\(". Empty where there are none:
// parentheses without a weight and single braces without a bar are plain text. In linear time, whatever the prompts hold.
Message foreign_syntax_in(std::span<const std::string> prompts);

// The same of choices' weights and counts "{2::a|b}", "{2$$a|b}", which a gacha would draw as text of its options.
std::string foreign_choices_in(std::span<const std::string> prompts);

}  // namespace fude
