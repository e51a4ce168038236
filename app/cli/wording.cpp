// Sentences for remedies, options for fields.
#include "wording.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/fields.h"
#include "engine/told_json.h"
#include "weights/quote.h"

namespace fude {
namespace {

std::string listed(const std::vector<std::string>& values, const char* between) {
  std::string text;
  for (const std::string& value : values) text += (text.empty() ? "" : between) + value;
  return text;
}

std::string wanted_of(Field field) {
  const std::string with = " with " + option_of(field);
  switch (field) {
    case Field::model: return "give the path of a model's folder or file" + with;
    case Field::prompt: return "say what to draw" + with;
    case Field::tokenizers:
      return "give a folder that holds tokenizer, tokenizer_2 and tokenizer_3 of a diffusers model, or clip and t5," + with;
    default: return "give its file" + with;
  }
}

// Of a picture that is drawn again: no option gives it.
bool is_of_draft(Field field) { return name_of(field).starts_with("draft_"); }

// What a field of a request is where nobody says: "the model's own".
std::string usual_of(Field field) {
  std::string usual;
  visit_rows([&](const auto& row) {
    if (row.info.field == field) usual = row.info.usual;
  });
  return usual;
}

// As part of a sentence.
std::string worded(const Remedy& remedy) {
  const std::string option = option_of(remedy.field);
  switch (remedy.kind) {
    case Remedy::use_value:
      if (is_of_draft(remedy.field)) return "the nearest that works is " + listed(remedy.values, " or ");
      return remedy.values == std::vector<std::string>{"true"} ? "say " + option
                                                               : "use " + option + ' ' + listed(remedy.values, " or ");
    case Remedy::give: return wanted_of(remedy.field);
    case Remedy::leave_out: {
      const std::string usual = usual_of(remedy.field);
      return "leave out " + option + (usual.empty() ? "" : " to use " + usual);
    }
    case Remedy::raise: return "raise " + option;
    case Remedy::use_size:
      return "the nearest size that works is" + (remedy.width > 0 ? " --width " + std::to_string(remedy.width) : "") +
             (remedy.height > 0 ? " --height " + std::to_string(remedy.height) : "");
    case Remedy::allow_memory:
      return remedy.bytes > 0 ? "allow " + option + ' ' + text_of_budget(remedy.bytes) : "allow less with " + option;
    case Remedy::close_other_programs: return "close other programs";
    case Remedy::check_model: return "check its files with `fude model verify`";
    case Remedy::download_model:
      return remedy.values.empty() ? "download the model again"
                                   : "get it with `huggingface-cli download " + remedy.values[0] +
                                         "` after accepting its licence on huggingface.co/" + remedy.values[0];
    case Remedy::free_space: return "free some space";
    case Remedy::choose_folder: return "choose another folder";
    case Remedy::choose_home: return "name another folder in FUDE_HOME";
    case Remedy::give_request: return "give the request by options instead of --from";
    case Remedy::use_one_of:
      return "use one of: " + listed(remedy.values, ", ") +
             (remedy.field == Field::device ? " (`fude doctor` lists devices)" : "");
    case Remedy::give_another: return "give another file with " + option;
    case Remedy::draw_elsewhere: return "draw it where there is more memory";
    case Remedy::draw_gacha: return "choices such as {red|blue} are for fude gacha";
    case Remedy::go_on: return "go on with: fude " + remedy.values[0] + " --resume " + shown(remedy.path);
  }
  return {};
}

}  // namespace

std::string option_of(Field field) {
  std::string option = "--" + std::string(name_of(field));
  std::replace(option.begin(), option.end(), '_', '-');
  return option;
}

std::vector<std::string> options_that_give(Field field) {
  if (field == Field::prompt) return {"--prompt", "--prompts"};
  if (field == Field::size) return {"--size", "--width", "--height"};
  return {option_of(field)};
}

Field field_of(const std::string& option) {
  for (int i = static_cast<int>(Field::none) + 1; i <= static_cast<int>(Field::card); ++i)
    if (option_of(static_cast<Field>(i)) == option) return static_cast<Field>(i);
  return Field::none;
}

std::string text_of_budget(int64_t bytes) {
  constexpr int64_t kMiB = int64_t{1} << 20, kGiB = int64_t{1} << 30;
  if (bytes < kGiB) return std::to_string(bytes / kMiB) + 'M';
  char text[32];
  std::snprintf(text, sizeof text, "%gG", static_cast<double>(bytes) / kGiB);
  return text;
}

std::string worded(const Message& message) {
  std::string text = message.what;
  const auto with_option = [&](Field field, size_t at) {
    const std::string name = words_of(field) + ' ';
    if (text.compare(at, name.size(), name) == 0) text.replace(at, name.size() - 1, option_of(field));
  };
  if (message.field == Field::size) {  // both sides: "width …, and height …"
    with_option(Field::width, 0);
    if (const size_t second = text.find(", and height "); second != std::string::npos) with_option(Field::height, second + 6);
  } else if (message.field != Field::none && !is_of_draft(message.field)) {
    with_option(message.field, 0);
  }
  std::string advice;
  for (const Remedy& remedy : message.remedies) advice += (advice.empty() ? "" : ", or ") + worded(remedy);
  if (!advice.empty()) {
    advice[0] = static_cast<char>(advice[0] - 'a' + 'A');
    text += (text.ends_with('.') ? " " : ". ") + advice;
    if (message.remedies.back().kind != Remedy::go_on) text += '.';  // which is a command, to be copied
  }
  for (const Message& part : message.parts) text += (text.empty() ? "" : "\n") + worded(part);
  return text;
}

int exit_code_of(Code code) {
  switch (code) {
    case Code::bad_request: return 2;
    case Code::out_of_memory: return 3;
    case Code::bad_checkpoint: return 4;
    case Code::cancelled: return 130;
    case Code::device:
    case Code::io:
    case Code::non_finite: return 1;
  }
  return 1;
}

nlohmann::ordered_json json_from(const Error& error) { return json_from(error, worded); }

}  // namespace fude
