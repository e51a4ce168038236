// The options of a command: how they are declared, parsed, explained and, when mistyped, suggested.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fude/fude.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace fude {

// One command's line. Options are declared with what to do with their text, then parsed, then applied in the order of
// declaration; what is not given keeps its value.
class Options {
 public:
  // command: "generate"; usage: "PROMPT [options]"; about: what it does; examples: lines, may be empty.
  Options(std::string command, std::string usage, std::string about, std::string examples = {});
  ~Options();
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  // Names as CLI11 takes them ("--steps,--num-inference-steps"): the first long one is the option's name, the rest are aliases.
  // Begins a group with the first option of a new `group`.
  void add(std::string_view group, const std::string& names, const std::string& placeholder, const std::string& meaning,
           std::function<void(const std::string&)> apply);
  void add_text(std::string_view group, const std::string& names, const std::string& placeholder, const std::string& meaning,
                std::string& target);
  void add_integer(std::string_view group, const std::string& names, const std::string& meaning, int64_t& target);
  void add_number(std::string_view group, const std::string& names, const std::string& meaning, double& target);
  // A second one is refused, since it would silently take the place of the first; `several` says what to do instead.
  void add_once(std::string_view group, const std::string& names, const std::string& placeholder, const std::string& meaning,
                const std::string& several, std::function<void(const std::string&)> apply);
  // May be given several times: `apply` is called for each.
  void add_each(std::string_view group, const std::string& names, const std::string& placeholder, const std::string& meaning,
                std::function<void(const std::string&)> apply);
  // Words behind the command that belong to no option.
  void add_words(std::string_view group, const std::string& names, const std::string& placeholder, const std::string& meaning,
                 std::function<void(const std::string&)> apply);
  void add_flag(std::string_view group, const std::string& names, const std::string& meaning, bool& target);
  void add_flag(std::string_view group, const std::string& names, const std::string& meaning, std::function<void()> apply);

  // False when help was asked for and printed. Error{bad_request}, with a suggestion where one is near.
  bool parse(std::vector<std::string> arguments);
  // Runs what was declared. Error{bad_request}.
  void apply() const;
  // The text given for an option, before it is applied. Nothing also where the command has no such option.
  std::optional<std::string> given(const std::string& name) const;
  // The first option on the line that is none of these; empty: there is none.
  std::string given_besides(const std::vector<std::string>& names) const;

 private:
  struct Entry {
    CLI::Option* option;
    std::function<void(const std::string&)> apply;
    std::optional<std::string> several = {};  // of add_once
  };
  std::string help() const;
  void declare(CLI::Option* option, std::string_view group, const std::string& meaning,
               std::function<void(const std::string&)> apply);

  std::string command_, usage_, about_, examples_;
  std::vector<std::string> groups_;
  std::vector<Entry> entries_;
  std::unique_ptr<CLI::App> app_;
};

// The name nearest to a mistyped one, empty when none is near.
std::string nearest_name(std::string_view typed, const std::vector<std::string>& names);

// Error{bad_request} that names the option.
int64_t integer_from(const std::string& option, const std::string& text);
uint64_t unsigned_from(const std::string& option, const std::string& text);
std::optional<uint64_t> seed_from(const std::string& option, const std::string& text);  // none: a random one, by "random" or -1
double number_from(const std::string& option, const std::string& text);
int64_t bytes_from(const std::string& option,
                   const std::string& text);  // "8G", "1536M", "1.5GiB", plain bytes; units are of 1024

// What several commands share.
struct OutputOptions {
  bool json = false;
  bool quiet = false;
  bool no_color = false;
};
void add_output_options(Options& options, OutputOptions& output);
void add_model_options(Options& options, ModelFiles& files, const std::string& names = "--model");
void add_machine_options(Options& options, EngineOptions& engine);  // and where rates of the machine are kept
void add_cache_option(Options& options,
                      EngineOptions& engine);  // of commands that draw: embeddings are kept, unless --no-cache
// --model when given, else FUDE_MODEL, else the demo model. Error{bad_checkpoint} that says how to get weights when there is
// none.
std::string model_or_default(const std::string& given);
std::string demo_model();        // the folder; empty when this build has none
std::string hub_cache_folder();  // root of the Hugging Face cache, as its own libraries find it

// What fude keeps for itself: FUDE_HOME, else the user's folder for such data. Error{io} when there is none, or its drive does
// not answer.
std::filesystem::path home_folder();
std::filesystem::path history_file();
// For EngineOptions; empty where there is no home.
std::vector<std::string> embedding_folders();
std::string calibration_file();

}  // namespace fude
