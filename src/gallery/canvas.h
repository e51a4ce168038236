// A picture that text and other pictures are drawn on. Lengths are pixels.
#pragma once

#include <string_view>

#include "fude/fude.h"
#include "gallery/fonts.h"

namespace fude {

class Canvas {
 public:
  Canvas(const Fonts& fonts, Size size, Colour background);

  void box(const Box& box, Colour colour, double radius = 0);
  void picture(double x, double y, const Image& picture, double radius = 0);
  void text(const Box& box, std::string_view text, const TextStyle& style);  // begins at the top of the box
  Image image() const;

 private:
  const Fonts& fonts_;
  Page page_;
};

}  // namespace fude
