// Boxes and pictures with round corners.
#include "gallery/canvas.h"

#include <algorithm>
#include <cmath>

namespace fude {
namespace {

uint32_t pixel_of(uint32_t red, uint32_t green, uint32_t blue) { return red << 16 | green << 8 | blue; }

uint32_t pixel_of(Colour colour) {
  const auto byte = [](double part) { return static_cast<uint32_t>(std::lround(std::clamp(part, 0.0, 1.0) * 255)); };
  return pixel_of(byte(colour.red), byte(colour.green), byte(colour.blue));
}

uint32_t mixed(uint32_t under, uint32_t over, double part) {
  if (part >= 1) return over;
  uint32_t pixel = 0;
  for (const int shift : {0, 8, 16}) {
    const double a = under >> shift & 0xff, b = over >> shift & 0xff;
    pixel |= static_cast<uint32_t>(std::lround(a + (b - a) * part)) << shift;
  }
  return pixel;
}

double part_within(double begin, double end, int64_t pixel) {
  const auto at = static_cast<double>(pixel);
  return std::clamp(std::min(at + 1, end) - std::max(at, begin), 0.0, 1.0);
}

// How much of a pixel lies in the box: its area at straight edges, by its distance from them at round corners.
double covered(const Box& box, double radius, int64_t x, int64_t y) {
  const double at_x = static_cast<double>(x) + 0.5, at_y = static_cast<double>(y) + 0.5;
  const double right = box.x + box.width, bottom = box.y + box.height;
  const double across = std::max(box.x + radius - at_x, at_x - (right - radius));
  const double down = std::max(box.y + radius - at_y, at_y - (bottom - radius));
  if (across > 0 && down > 0) return std::clamp(radius + 0.5 - std::hypot(across, down), 0.0, 1.0);
  return part_within(box.x, right, x) * part_within(box.y, bottom, y);
}

// Paints what lies in the box; colour_at(x, y) is a pixel.
template <class ColourAt>
void fill(Page& page, const Box& box, double radius, const ColourAt& colour_at) {
  const auto first = [](double begin) { return std::max<int64_t>(0, static_cast<int64_t>(std::floor(begin))); };
  const auto last = [](double end, int64_t size) { return std::min(size, static_cast<int64_t>(std::ceil(end))); };
  const int64_t left = first(box.x), right = last(box.x + box.width, page.width);
  const int64_t top = first(box.y), bottom = last(box.y + box.height, page.height);
  for (int64_t y = top; y < bottom; ++y)
    for (int64_t x = left; x < right; ++x) {
      uint32_t& pixel = page.pixels[static_cast<size_t>(y * page.width + x)];
      pixel = mixed(pixel, colour_at(x, y), covered(box, radius, x, y));
    }
}

}  // namespace

Canvas::Canvas(const Fonts& fonts, Size size, Colour background) : fonts_(fonts), page_{size.width, size.height, {}} {
  page_.pixels.assign(static_cast<size_t>(size.width * size.height), pixel_of(background));
}

void Canvas::box(const Box& box, Colour colour, double radius) {
  fill(page_, box, radius, [pixel = pixel_of(colour)](int64_t, int64_t) { return pixel; });
}

void Canvas::picture(double x, double y, const Image& picture, double radius) {
  const auto left = static_cast<int64_t>(std::lround(x)), top = static_cast<int64_t>(std::lround(y));
  const Box box{static_cast<double>(left), static_cast<double>(top), static_cast<double>(picture.width),
                static_cast<double>(picture.height)};
  fill(page_, box, radius, [&](int64_t column, int64_t row) {
    const uint8_t* rgb = picture.rgb.data() + ((row - top) * picture.width + (column - left)) * 3;
    return pixel_of(rgb[0], rgb[1], rgb[2]);
  });
}

void Canvas::text(const Box& box, std::string_view text, const TextStyle& style) { fonts_.draw(page_, box, text, style); }

Image Canvas::image() const {
  Image image;
  image.width = page_.width;
  image.height = page_.height;
  image.rgb.reserve(page_.pixels.size() * 3);
  for (const uint32_t pixel : page_.pixels)
    for (const int shift : {16, 8, 0}) image.rgb.push_back(static_cast<uint8_t>(pixel >> shift));
  return image;
}

}  // namespace fude
