// What many pictures show together: report.html for people, report.json and report.csv for programs.
#pragma once

#include <filesystem>
#include <span>

#include "gallery/arrangement.h"
#include "gallery/cell.h"

namespace fude {

// A picture as the page shows it, one of `count`: made when the picture is at hand, it need not be decoded for the page.
std::vector<uint8_t> jpeg_for_report(const Image& picture, int64_t count);

// Writes the three files into the folder, each whole or not at all; the page holds everything it shows and links to the
// pictures' files. Cells are those that were drawn, in any order. Pictures without their JPEG, and those of a series,
// are decoded, which takes up to a tenth of a second each: meant for the end of the work, or where it was interrupted. Error:
// io, bad_request (a picture is damaged).
void write_report(const std::filesystem::path& folder, const Arrangement& arrangement, std::span<const Cell> cells);

}  // namespace fude
