// fude: pictures from words. Picks the command, and turns every failure into one message and an exit code.
#include <exception>
#include <new>
#include <string>

#include "commands.h"
#include "console.h"
#include "fude/error.h"
#include "fude/fude.h"
#include "skip_teardown.h"
#include "terminal.h"

namespace fude {
namespace {

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
    print("fude " + version() + "\nbackends: " + backend_names() + "\nlibraries: " + libraries() + '\n');
    return 0;
  }
  return run_command("fude", "fude draws pictures with Stable Diffusion 3.5 on the computer you have.", all_commands(),
                     arguments);
}

}  // namespace
}  // namespace fude

int main(int argc, char** argv) {
  fude::Arguments arguments = fude::terminal::arguments(argc, argv);
  if (!arguments.empty()) arguments.erase(arguments.begin());
  bool no_color = false;
  for (const std::string& argument : arguments) no_color = no_color || argument == "--no-color";
  const fude::Console console(false, no_color);
  try {
    return fude::ended_with(fude::run(arguments));
  } catch (const fude::Error& error) {
    console.error(error.what());
    return fude::ended_with(fude::exit_code_of(error.code()));
  } catch (const std::bad_alloc&) {
    console.error("the memory is used up. Ask for a smaller picture, or close other programs.");
    return fude::ended_with(fude::exit_code_of(fude::Code::out_of_memory));
  } catch (const std::exception& error) {
    console.error(std::string("this should not have happened: ") + error.what() +
                  ". Please report it with the command you ran.");
    return fude::ended_with(1);
  }
}
