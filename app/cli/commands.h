// The commands. Each takes the words behind its name, prints its result and returns the exit code; failures are Errors.
#pragma once

#include <string>
#include <vector>

namespace fude {

using Arguments = std::vector<std::string>;

struct Command {
  std::string name;
  std::string summary;
  int (*run)(const Arguments& arguments);
};

int generate_command(const Arguments& arguments);
int plan_command(const Arguments& arguments);
int sweep_command(const Arguments& arguments);
int gacha_command(const Arguments& arguments);
int refine_command(const Arguments& arguments);
int history_command(const Arguments& arguments);
int bench_command(const Arguments& arguments);
int model_command(const Arguments& arguments);
int doctor_command(const Arguments& arguments);

// Runs the command that the first word names, or prints the list. `prefix` is what stands before the name: "fude" or "fude
// model".
int run_command(const std::string& prefix, const std::string& about, const std::vector<Command>& commands,
                const Arguments& arguments);

// "oneDNN 2.6.3, …": what this build is made of.
std::string libraries();
std::string device_kind_names();

}  // namespace fude
