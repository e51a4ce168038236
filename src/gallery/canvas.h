// A picture that text and other pictures are drawn on, with Cairo and Pango. Lengths are pixels.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "fude/fude.h"

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

// The fonts that fontconfig finds on this machine.
class Fonts {
 public:
  // `sample` tells which language's shapes Han characters take.
  explicit Fonts(std::string_view sample);
  ~Fonts();
  Fonts(const Fonts&) = delete;
  Fonts& operator=(const Fonts&) = delete;

  double width(std::string_view text, const TextStyle& style) const;  // on one line
  double height(std::string_view text, const TextStyle& style, double width) const;

  // The message when no font has some of the characters: which, and which package to install. Else empty.
  std::string complaint_about(std::string_view text) const;

 private:
  friend class Canvas;
  struct State;
  std::unique_ptr<State> state_;
};

class Canvas {
 public:
  Canvas(const Fonts& fonts, Size size, Colour background);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  void box(const Box& box, Colour colour, double radius = 0);
  void picture(double x, double y, const Image& picture, double radius = 0);
  void text(const Box& box, std::string_view text, const TextStyle& style);  // begins at the top of the box
  Image image() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fude
