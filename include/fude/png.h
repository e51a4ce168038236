// Pictures as files: PNG out, pixels of a PNG in, and the request that a picture of fude or of another program holds.
//
// Any thread, at any time; results belong to the caller. Files that are read may be hostile: sizes are bounded (512 MiB a file,
// 32768 pixels a side, 2²⁷ pixels, 16 MiB of texts) and checksums verified.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "fude/image.h"

namespace fude {

// 8-bit RGB, with Image::provenance as texts where it is there: "parameters" as A1111 writes it, and "fude" with the request as
// JSON. The same bytes for the same image. Error: bad_request where the pixels are not width·height·3 bytes; io.
std::vector<uint8_t> encode_png(const Image& image);
// Into a file, which appears whole or not at all; its folder is made when it is missing. Error: bad_request, io.
void save_png(const std::string& path, const Image& image);

// Pixels as 8-bit RGB, whatever the file stores: gray and palettes become RGB, 16 bits are rounded to 8, alpha is left out.
// Everything else of the image is empty. Error: bad_request when it is not a whole PNG; io.
Image decode_png(std::span<const uint8_t> file);
Image load_png(const std::string& path);

// The request that a picture's file holds.
struct StoredRequest {
  Provenance provenance;             // draws the picture again, or is the nearest to that; what is not stored is left open
  bool exact = false;                // fude's own record was there; else only what texts tell
  bool has_seed = true;              // else the picture had a seed that is not known
  std::string program;               // that drew it: "fude", "A1111", "ComfyUI" …
  std::vector<std::string> dropped;  // what that program drew with and fude does not: "LoRA detail"
};
// Of a PNG, JPEG or WebP; pixels are not decoded. Error: bad_request when no request is in it, or none that can be read; io.
StoredRequest read_request(std::span<const uint8_t> file);
StoredRequest load_request(const std::string& path);

}  // namespace fude
