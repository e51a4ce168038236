// fude: pictures from words. Picks the command, and turns every failure into one message and an exit code.
#include <algorithm>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <string>

#include "commands.h"
#include "console.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "skip_teardown.h"
#include "terminal.h"
#include "wording.h"

namespace fude {
namespace {

const std::vector<Command>& all_commands() {
  static const std::vector<Command> commands = {
      {"generate", "draw one or more pictures from a prompt", generate_command},
      {"plan", "what a request will need: memory, seconds; draws nothing", plan_command},
      {"sweep", "every combination of several settings: sheet and report", sweep_command},
      {"gacha", "many numbered candidates, to choose from", gacha_command},
      {"refine", "chosen pictures again: more steps, larger, or varied", refine_command},
      {"history", "what was drawn: find it, repeat it, star it", history_command},
      {"bench", "time this machine: operations, a step, a whole request", bench_command},
      {"model", "inspect or verify the files of a model", model_command},
      {"doctor", "show what was found: devices, libraries, models, free memory", doctor_command},
  };
  return commands;
}

int run(const Arguments& arguments) {
  if (!arguments.empty() && (arguments[0] == "--version" || arguments[0] == "-V" || arguments[0] == "version")) {
    print("fude " + version() + "\ndevices: " + device_kind_names() + "\nlibraries: " + libraries() + '\n');
    return 0;
  }
  return run_command("fude", "fude draws pictures with Stable Diffusion 3.5 on the computer you have.", all_commands(),
                     arguments);
}

// With --json a failure is a document too; it may have been part of another.
int failed(const Console& console, const Error& error, bool tells_json) {
  console.error(worded(error.message()));
  if (tells_json) {
    try {
      print(nlohmann::ordered_json{{"error", json_from(error)}}.dump(2, ' ', false,
                                                                     nlohmann::ordered_json::error_handler_t::replace) +
            '\n');
    } catch (const Error&) {  // what failed is said
    }
  }
  return ended_with(exit_code_of(error.code()));
}

}  // namespace
}  // namespace fude

int main(int argc, char** argv) {
  fude::Arguments arguments = fude::terminal::arguments(argc, argv);
  if (!arguments.empty()) arguments.erase(arguments.begin());
  const auto texts = std::find(arguments.begin(), arguments.end(), "--");  // behind it nothing is an option
  const auto has = [&](const char* option) { return std::find(arguments.begin(), texts, option) != texts; };
  const bool json = has("--json");
  const fude::Console console(false, has("--no-color"));
  try {
    if (const std::string missing = fude::terminal::missing_library(); !missing.empty())
      throw fude::Error(fude::Code::io, missing + " is not in the folder of this program. Unpack the whole archive again.");
    return fude::ended_with(fude::run(arguments));
  } catch (const fude::ToldError& error) {
    return fude::failed(console, error, false);
  } catch (const fude::Error& error) {
    return fude::failed(console, error, json);
  } catch (const std::bad_alloc&) {
    const fude::Error error(fude::Code::out_of_memory, {.what = "the memory is used up. Ask for a smaller picture.",
                                                        .remedies = {{fude::Remedy::close_other_programs}}});
    return fude::failed(console, error, json);
  } catch (const std::exception& error) {
    console.error(std::string("this should not have happened: ") + error.what() +
                  ". Please report it with the command you ran.");
    return fude::ended_with(1);
  }
}
