// Parsing and explaining options, values from text, and where things are by default.
#include "options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "commands.h"
#include "console.h"
#include "engine/file.h"
#include "fude/error.h"
#include "terminal.h"
#include "weights/paths.h"
#include "weights/quote.h"
#include "wording.h"

namespace fude {
namespace {

constexpr int kHelpWidth = 100;
constexpr size_t kNameColumn = 28;
constexpr const char* kHistory = "history.sqlite3";
constexpr const char* kEmbeddings = "embeddings";
constexpr const char* kCalibration = "calibration.json";
constexpr std::chrono::seconds kPatience(5);  // with a drive

[[noreturn]] void refuse(const std::string& message) { throw Error(Code::bad_request, message); }

// Insertions, deletions, replacements and swapped neighbours that lead from one word to the other.
size_t edits_between(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

template <class Number>
std::optional<Number> parsed(const std::string& text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "-W, --width N" and the other long names.
std::string names_of(const CLI::Option& option) {
  std::string names;
  if (!option.get_snames().empty()) names = "-" + option.get_snames()[0] + ", ";
  names += "--" + option.get_lnames()[0];
  return option.get_type_name().empty() ? names : names + ' ' + option.get_type_name();
}

std::string aliases_of(const CLI::Option& option) {
  std::string aliases;
  for (size_t i = 1; i < option.get_lnames().size(); ++i) aliases += (i == 1 ? "" : ", ") + ("--" + option.get_lnames()[i]);
  return aliases.empty() ? "" : " [" + aliases + ']';
}

// In home_folder(); empty where there is none.
std::string own_path(std::string_view name) {
  try {
    return text_of(home_folder() / path_of(name));
  } catch (const Error&) {
    return {};
  }
}

std::string path_beside(const std::string& folder, std::string_view below) { return text_of(path_of(folder) / path_of(below)); }

}  // namespace

Options::Options(std::string command, std::string usage, std::string about, std::string examples)
    : command_(std::move(command)),
      usage_(std::move(usage)),
      about_(std::move(about)),
      examples_(std::move(examples)),
      app_(std::make_unique<CLI::App>()) {
  app_->set_help_flag();                     // help is printed here, in our own form
  app_->allow_windows_style_options(false);  // a prompt or a path may begin with /
}

Options::~Options() = default;

void Options::declare(CLI::Option* option, std::string_view group, const std::string& meaning,
                      std::function<void(const std::string&)> apply) {
  if (std::find(groups_.begin(), groups_.end(), group) == groups_.end()) groups_.emplace_back(group);
  option->description(meaning)->group(std::string(group));
  entries_.push_back({option, std::move(apply)});
}

void Options::add(std::string_view group, const std::string& names, const std::string& placeholder, const std::string& meaning,
                  std::function<void(const std::string&)> apply) {
  declare(app_->add_option(names)->expected(1)->type_name(placeholder)->take_last(), group, meaning, std::move(apply));
}

void Options::add_once(std::string_view group, const std::string& names, const std::string& placeholder,
                       const std::string& meaning, const std::string& several, std::function<void(const std::string&)> apply) {
  add(group, names, placeholder, meaning, std::move(apply));
  entries_.back().several = several;
}

void Options::add_each(std::string_view group, const std::string& names, const std::string& placeholder,
                       const std::string& meaning, std::function<void(const std::string&)> apply) {
  declare(app_->add_option(names)->expected(1)->type_name(placeholder)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll),
          group, meaning, std::move(apply));
}

void Options::add_words(std::string_view group, const std::string& names, const std::string& placeholder,
                        const std::string& meaning, std::function<void(const std::string&)> apply) {
  declare(app_->add_option(names)->type_name(placeholder)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)->expected(-1),
          group, meaning, std::move(apply));
}

void Options::add_text(std::string_view group, const std::string& names, const std::string& placeholder,
                       const std::string& meaning, std::string& target) {
  add(group, names, placeholder, meaning, [&target](const std::string& text) { target = text; });
}

void Options::add_integer(std::string_view group, const std::string& names, const std::string& meaning, int64_t& target) {
  const std::string name = names.substr(0, names.find(','));
  add(group, names, "N", meaning, [&target, name](const std::string& text) { target = integer_from(name, text); });
}

void Options::add_number(std::string_view group, const std::string& names, const std::string& meaning, double& target) {
  const std::string name = names.substr(0, names.find(','));
  add(group, names, "X", meaning, [&target, name](const std::string& text) { target = number_from(name, text); });
}

void Options::add_flag(std::string_view group, const std::string& names, const std::string& meaning, bool& target) {
  add_flag(group, names, meaning, [&target] { target = true; });
}

void Options::add_flag(std::string_view group, const std::string& names, const std::string& meaning,
                       std::function<void()> apply) {
  declare(app_->add_flag(names), group, meaning, [apply = std::move(apply)](const std::string&) { apply(); });
}

bool Options::parse(std::vector<std::string> arguments) {
  const std::string see_help = " See: fude " + command_ + " --help";
  bool help_wanted = false;
  add_flag("Other", "--help,-h", "show this help", help_wanted);
  const auto texts = std::find(arguments.begin(), arguments.end(), "--");  // behind it nothing is an option
  if (std::find(arguments.begin(), texts, "--help") != texts || std::find(arguments.begin(), texts, "-h") != texts) {
    print(help());
    return false;
  }
  std::reverse(arguments.begin(), arguments.end());  // CLI11 takes them from the back
  try {
    app_->parse(std::move(arguments));
  } catch (const CLI::ExtrasError&) {
    std::vector<std::string> extras = app_->remaining();
    const bool has_mark = std::erase(extras, "--") > 0;  // behind which everything is text
    const auto option = std::find_if(extras.begin(), extras.end(), [](const auto& word) { return word.starts_with('-'); });
    if (option == extras.end() || has_mark) {
      refuse(shown(extras.empty() ? "--" : extras[0]) + " is one word too many. " +
             (has_mark ? "Behind -- everything is text: write options before it."
                       : "Put quotation marks around a text of several words.") +
             see_help);
    }
    const std::string typed = option->substr(0, option->find('='));
    if (typed.find(' ') != std::string::npos) {
      refuse(shown(typed) + " looks like an option. Write a text that starts with a hyphen behind --, or as --prompt=TEXT." +
             see_help);
    }
    std::vector<std::string> names;
    for (const Entry& entry : entries_) {
      for (const std::string& name : entry.option->get_lnames()) names.push_back("--" + name);
    }
    const std::string near = nearest_name(typed, names);
    refuse("there is no option " + typed + "." + (near.empty() ? "" : " Did you mean " + near + "?") + see_help);
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string what = error.what();
    refuse(what.substr(0, what.find(':')) + " needs a value behind it." + see_help);
  } catch (const CLI::ParseError& error) {
    refuse(std::string(error.what()) + "." + see_help);
  }
  return true;
}

void Options::apply() const {
  const auto take = [](const Entry& entry, const std::string& text) {
    try {
      entry.apply(text);
    } catch (const Error& error) {
      Message message = error.message();
      if (message.field == Field::none) message.field = field_of("--" + entry.option->get_lnames()[0]);
      throw Error(error.code(), std::move(message));
    }
  };
  for (const Entry& entry : entries_) {
    if (entry.option->get_multi_option_policy() == CLI::MultiOptionPolicy::TakeAll) {
      for (const std::string& text : entry.option->results()) take(entry, text);
    } else if (entry.option->count() > 0) {
      if (entry.several && entry.option->count() > 1)
        refuse("--" + entry.option->get_lnames()[0] + " is there " + std::to_string(entry.option->count()) + " times. " +
               *entry.several);
      take(entry, entry.option->results().back());
    }
  }
}

std::optional<std::string> Options::given(const std::string& name) const {
  const CLI::Option* option = app_->get_option_no_throw(name);
  if (!option || option->count() == 0) return std::nullopt;
  return option->results().back();
}

std::string Options::given_besides(const std::vector<std::string>& names) const {
  for (const Entry& entry : entries_) {
    const std::string name = "--" + entry.option->get_lnames()[0];
    if (entry.option->count() > 0 && std::find(names.begin(), names.end(), name) == names.end()) return name;
  }
  return {};
}

std::string Options::help() const {
  const int width = std::min(kHelpWidth, terminal::width(terminal::Stream::output));
  std::string text = "Usage: fude " + command_ + ' ' + usage_ + "\n\n" + wrapped(about_, width, 0) + '\n';
  if (!examples_.empty()) text += "\nExamples:\n" + examples_;
  const std::string margin(kNameColumn, ' ');
  for (const std::string& group : groups_) {
    text += '\n' + group + ":\n";
    for (const Entry& entry : entries_) {
      if (entry.option->get_group() != group) continue;
      std::string names = "  " + names_of(*entry.option);
      if (names.size() + 2 > kNameColumn) names += '\n' + margin;
      else names.resize(kNameColumn, ' ');
      const std::string meaning = margin + entry.option->get_description() + aliases_of(*entry.option);
      text += names + wrapped(meaning, width, static_cast<int>(kNameColumn)).substr(kNameColumn) + '\n';
    }
  }
  return text;
}

std::string nearest_name(std::string_view typed, const std::vector<std::string>& names) {
  const std::string* best = nullptr;
  size_t fewest = std::max<size_t>(1, typed.size() / 3) + 1;
  for (const std::string& name : names) {
    const size_t edits = name.starts_with(typed) && typed.size() > 3 ? 1 : edits_between(typed, name);
    if (edits < fewest) {
      fewest = edits;
      best = &name;
    }
  }
  return best ? *best : std::string();
}

int64_t integer_from(const std::string& option, const std::string& text) {
  const std::optional<int64_t> number = parsed<int64_t>(text);
  if (!number) refuse(option + " " + shown(text) + " is not a whole number. Write it in digits, such as " + option + " 16.");
  return *number;
}

uint64_t unsigned_from(const std::string& option, const std::string& text) {
  const std::optional<uint64_t> number = parsed<uint64_t>(text);
  if (!number) {
    refuse(option + " " + shown(text) +
           " is neither random (or -1) nor a whole number from 0 to 18446744073709551615. Use one of them, such as " + option +
           " 42.");
  }
  return *number;
}

std::optional<uint64_t> seed_from(const std::string& option, const std::string& text) {
  if (text == "random" || text == "-1") return std::nullopt;
  return unsigned_from(option, text);
}

double number_from(const std::string& option, const std::string& text) {
  const std::optional<double> number = parsed<double>(text);
  if (!number) refuse(option + " " + shown(text) + " is not a number. Write it in digits, such as " + option + " 4.5.");
  return *number;
}

int64_t bytes_from(const std::string& option, const std::string& text) {
  constexpr std::string_view kUnits = "kmgt";
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string unit(static_cast<const char*>(end), text.data() + text.size());
  for (char& c : unit) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  double factor = 1;
  if (const size_t power = unit.empty() ? std::string_view::npos : kUnits.find(unit[0]); power != std::string_view::npos) {
    factor = std::ldexp(1.0, 10 * (static_cast<int>(power) + 1));
    unit.erase(0, 1);
    if (unit == "ib") unit = "b";
  }
  const double bytes = number * factor;
  if (error != std::errc() || !(unit.empty() || unit == "b") || !(bytes >= 1 && bytes < 0x1p62))
    refuse(option + ' ' + shown(text) + " is not a size of memory. Write a number with K, M or G behind it, such as " + option +
           " 8G or " + option + " 1536M.");
  return static_cast<int64_t>(bytes);
}

void add_output_options(Options& options, OutputOptions& output) {
  options.add_flag("Other", "--json", "one JSON document on standard output, nothing else there", output.json);
  options.add_flag("Other", "--quiet,-q", "no progress and no notes; warnings and errors stay", output.quiet);
  options.add_flag("Other", "--no-color", "no colours (NO_COLOR in the environment does the same)", output.no_color);
}

void add_model_options(Options& options, ModelFiles& files, const std::string& names) {
  const char* group = "Model";
  options.add_text(group, names, "PATH",
                   "diffusers folder, single .safetensors file, or the Hugging Face id or page of a model that is in the local "
                   "cache; default: FUDE_MODEL "
                   "in the environment, else the demo model",
                   files.model);
  options.add_text(group, "--clip-l", "FILE", "CLIP-L from its own file", files.clip_l);
  options.add_text(group, "--clip-g", "FILE", "CLIP-G from its own file", files.clip_g);
  options.add(group, "--t5", "FILE", "T5 from its own file", [&files](const std::string& file) {
    files.t5 = file;
    files.no_t5 = false;  // of a picture that was drawn without
  });
  options.add_text(group, "--vae", "FILE", "VAE from its own file", files.vae);
  options.add_text(group, "--tokenizers", "FOLDER", "tokenizer, tokenizer_2 and tokenizer_3 from this folder",
                   files.tokenizers);
  options.add_flag(group, "--no-t5", "leave T5 out: less memory, less understanding of long prompts", files.no_t5);
}

void add_machine_options(Options& options, EngineOptions& engine) {
  const char* group = "Machine";
  options.add_text(group, "--device", "NAME", "auto, " + device_kind_names() + "; default auto", engine.device);
  options.add_text(group, "--dtype", "NAME", "compute in auto, f32, bf16 or f16; default auto", engine.dtype);
  options.add(group, "--threads", "N", "CPU threads, default: the cores", [&engine](const std::string& text) {
    const int64_t threads = integer_from("--threads", text);
    if (threads < 1 || threads > 4096) refuse("--threads must be 1 to 4096. Leave it out to use all cores.");
    engine.threads = static_cast<int>(threads);
  });
  const auto budget = [&](const std::string& name, const std::string& meaning, int64_t& target) {
    options.add(group, name, "SIZE", meaning, [name, &target](const std::string& text) { target = bytes_from(name, text); });
  };
  budget("--vram", "of the card's memory take at most this, everything included: 8G, 1536M; default: what is free",
         engine.vram);
  budget("--ram", "the same of the computer's memory", engine.ram);
  options.add_flag(group, "--verbose", "say on standard error what the library does: opened, planned, loaded …",
                   [&engine] { engine.log = log_to_console; });
  engine.calibration = calibration_file();
}

void add_cache_option(Options& options, EngineOptions& engine) {
  engine.embeddings = embedding_folders();
  options.add_flag("Machine", "--no-cache", "neither read nor write kept embeddings of prompts",
                   [&engine] { engine.embeddings.clear(); });
}

namespace {

// What is installed lies beside the program, wherever that was moved to; a build takes its clone's.
std::vector<std::filesystem::path> demo_places() {
  std::vector<std::filesystem::path> places;
  if (const std::filesystem::path folder = terminal::program_folder(); !folder.empty())
    places.push_back((folder / FUDE_DEMO_MODEL_FROM_PROGRAM).lexically_normal());
  if (const std::filesystem::path of_clone = path_of(FUDE_DEMO_MODEL_OF_CLONE); !of_clone.empty()) places.push_back(of_clone);
  return places;
}

}  // namespace

std::string model_or_default(const std::string& given) {
  if (!given.empty()) return given;
  if (const std::string named = terminal::environment("FUDE_MODEL"); !named.empty()) return named;
  if (const std::string demo = demo_model(); !demo.empty()) return demo;
  std::string looked;
  for (const std::filesystem::path& place : demo_places()) looked += (looked.empty() ? "" : " and ") + shown(place);
  throw Error(Code::bad_checkpoint, "no model was named and there is no demo model (looked in " + looked +
                                        ").\nStable Diffusion 3.5 is free to download once its licence is accepted at "
                                        "https://huggingface.co/stabilityai/stable-diffusion-3.5-medium; then give the folder "
                                        "with --model or in FUDE_MODEL.");
}

std::string demo_model() {
  for (const std::filesystem::path& folder : demo_places())
    if (is_there(folder / "model_index.json")) return text_of(folder);
  return {};
}

std::string hub_cache_folder() {
  if (const std::string hub = terminal::environment("HF_HUB_CACHE"); !hub.empty()) return hub;
  if (const std::string home = terminal::environment("HF_HOME"); !home.empty()) return path_beside(home, "hub");
  if (const std::string cache = terminal::environment("XDG_CACHE_HOME"); !cache.empty())
    return path_beside(cache, "huggingface/hub");
  for (const char* name : {"USERPROFILE", "HOME"}) {  // the first only on Windows, as huggingface_hub looks there
    if (const std::string home = terminal::environment(name); !home.empty()) return path_beside(home, ".cache/huggingface/hub");
  }
  return {};
}

std::filesystem::path home_folder() {
  const std::pair<const char*, const char*> places[] = {
      // a variable, and the folder below what it names
      {"FUDE_HOME", ""},
      {"XDG_DATA_HOME", "fude"},
      {"LOCALAPPDATA", "fude"},
      {"HOME", ".local/share/fude"},
  };
  for (const auto& [variable, below] : places) {
    const std::string named = terminal::environment(variable);
    if (named.empty()) continue;
    std::filesystem::path home = absolute_of(path_of(named) / below);
    static const bool there = answers({home / kHistory, home / kEmbeddings / "x", home / kCalibration}, kPatience);
    if (there) return home;
    throw Error(Code::io, "the drive that holds fude's own files in " + shown(home) +
                              " does not answer. If it is a network's, mount it anew, or name "
                              "another folder in FUDE_HOME.");
  }
  throw Error(
      Code::io,
      "there is no folder for fude's own files: none of FUDE_HOME, LOCALAPPDATA and HOME is set. Name a folder in FUDE_HOME.");
}

std::filesystem::path history_file() { return home_folder() / kHistory; }

std::vector<std::string> embedding_folders() {
  const std::string folder = own_path(kEmbeddings);
  return folder.empty() ? std::vector<std::string>() : std::vector{folder};
}

std::string calibration_file() { return own_path(kCalibration); }

}  // namespace fude
