// What programs call a sampler or a schedule. Tables of them are read both ways: whose name it is, and what it is called there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fude {

struct Names {
  std::string name;                      // of the command line and of requests; ComfyUI's, where it has one
  std::string a1111;                     // of the PNG's parameters text, written and read
  std::string diffusers;                 // a scheduler's class, or the option of one; empty: it has none
  std::vector<std::string> others = {};  // k-diffusion's, stable-diffusion.cpp's, older ones
};

// By any of its names, in any spelling, but its own name first; null when there is none.
const Names* find_name(const std::vector<Names>& table, std::string_view name);
// What A1111's text calls one of ours, and ours for what was written there; a name that is none stays as it is.
std::string a1111_name_of(const std::vector<Names>& table, const std::string& name);
std::string name_from_a1111(const std::vector<Names>& table, std::string_view a1111_name);

// A name without the differences of spelling: "DPM++ 2M", "dpmpp_2m" and "Dpmpp-2m" are all "dpmpp2m".
std::string folded(std::string_view name);

}  // namespace fude
