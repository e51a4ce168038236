// Text in whatever script, laid out and drawn: by Pango and Cairo, on Windows by DirectWrite. Lengths are pixels.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fude {

struct Colour {
  double red = 0, green = 0, blue = 0;  // 0–1
};

struct Box {
  double x = 0, y = 0, width = 0, height = 0;
};

struct TextStyle {
  double size = 16;
  bool bold = false;
  Colour colour;
  int lines = 1;          // as many at most; text that needs more ends with …
  bool to_right = false;  // ends at the right edge, else starts at the left
};

// Rows of pixels, 0x00rrggbb each.
struct Page {
  int64_t width = 0, height = 0;
  std::vector<uint32_t> pixels;
};

// The first that is there; after them whatever the system thinks has no serifs.
inline constexpr std::string_view kFontFamilies[] = {"Inter",    "Noto Sans",      "Source Sans 3",
                                                     "Segoe UI", "Helvetica Neue", "Liberation Sans"};

// The fonts of this machine.
class Fonts {
 public:
  // `sample` tells which language's shapes Han characters take.
  explicit Fonts(std::string_view sample);
  ~Fonts();
  Fonts(const Fonts&) = delete;
  Fonts& operator=(const Fonts&) = delete;

  double width(std::string_view text, const TextStyle& style) const;  // on one line
  double height(std::string_view text, const TextStyle& style, double width) const;
  void draw(Page& page, const Box& box, std::string_view text, const TextStyle& style) const;  // from the top of the box on

  // The message when no font has some of the characters: which, and what to install. Else empty.
  std::string complaint_about(std::string_view text) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fude
