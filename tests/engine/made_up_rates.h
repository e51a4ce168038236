// A calibration file with rates that a test chooses: nothing is measured, and predictions follow from these rates.
#pragma once

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/devices.h"
#include "fude/fude.h"

namespace fude::test {

// Writes a calibration of a device, of the host if none is named: so many FLOP and bytes a second.
inline void write_rates(const std::filesystem::path& file, int threads, double rate, const std::string& name = "cpu",
                        const std::string& dtype = "f32") {
  const DeviceInfo device = device_info(name, threads);
  const nlohmann::json none = nlohmann::json::array();
  const nlohmann::json table{{"x", {1}}, {"y", {1}}, {"rates", {rate}}};
  const nlohmann::json rates{
      {"gemm", table},
      {"attention", table},
      {"convolutions", table},
      {"passes", table},
      {"launch", 1e-9},
      {"upload", 0},
      {"load", rate},
      {"host", 0},
      {"taken", {{"load", none}, {"host_offloaded", none}, {"encode", none}, {"denoise", none}, {"decode", none}}}};
  std::ofstream(file) << nlohmann::json{{"fude", version()},
                                        {"machines", {{device.description + ", " + device.library + ", " + dtype, rates}}}};
}

}  // namespace fude::test
