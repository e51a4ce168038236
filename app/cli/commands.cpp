// Finding a command by its name, and the lists of commands and libraries.
#include "commands.h"

#include <png.h>
#include <sqlite3.h>

#include <CLI/Version.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "console.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "options.h"
#include "studio/sha256.h"
#include "weights/quote.h"

namespace fude {
namespace {

std::string list_of(const std::string& prefix, const std::string& about, const std::vector<Command>& commands) {
  constexpr size_t kNameColumn = 14;
  std::string text = "Usage: " + prefix + " COMMAND [options]\n\n" + about + "\n\nCommands:\n";
  for (const Command& command : commands) {
    std::string line = "  " + command.name;
    line.resize(kNameColumn, ' ');
    text += line + command.summary + '\n';
  }
  return text + "\nEach command explains its options: " + prefix + " help " + commands[0].name + '\n';
}

}  // namespace

int run_command(const std::string& prefix, const std::string& about, const std::vector<Command>& commands,
                const Arguments& arguments) {
  const bool asks = !arguments.empty() && arguments[0] == "help";
  if (asks && arguments.size() > 1) {  // of a command
    Arguments asked(arguments.begin() + 1, arguments.end());
    asked.emplace_back("--help");
    return run_command(prefix, about, commands, asked);
  }
  if (arguments.empty() || asks || arguments[0] == "--help" || arguments[0] == "-h") {
    print(list_of(prefix, about, commands));
    return 0;
  }
  const auto found =
      std::find_if(commands.begin(), commands.end(), [&](const Command& command) { return command.name == arguments[0]; });
  if (found != commands.end()) return found->run({arguments.begin() + 1, arguments.end()});
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.name);
  const std::string near = nearest_name(arguments[0], names);
  throw Error(Code::bad_request, "there is no command " + shown(arguments[0]) + "." +
                                     (near.empty() ? "" : " Did you mean: " + prefix + ' ' + near + "?") + " See: " + prefix +
                                     " --help");
}

std::string libraries() {
  std::string text;
  for (const DeviceKind& kind : device_kinds()) text += kind.library + ", ";
  return text + "libpng " PNG_LIBPNG_VER_STRING ", nlohmann-json " + std::to_string(NLOHMANN_JSON_VERSION_MAJOR) + '.' +
         std::to_string(NLOHMANN_JSON_VERSION_MINOR) + '.' + std::to_string(NLOHMANN_JSON_VERSION_PATCH) +
         ", CLI11 " CLI11_VERSION ", " + sha256_library() + ", SQLite " SQLITE_VERSION;
}

std::string device_kind_names() {
  std::string text;
  for (const DeviceKind& kind : device_kinds()) text += (text.empty() ? "" : ", ") + kind.name;
  return text;
}

}  // namespace fude
