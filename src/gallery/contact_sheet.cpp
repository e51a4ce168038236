// Computing the layout of a sheet, and drawing it.
#include "gallery/contact_sheet.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "fude/error.h"
#include "gallery/canvas.h"
#include "gallery/scale.h"

namespace fude {
namespace {

constexpr Colour kPaper{0.972, 0.969, 0.961}, kFrame{0.925, 0.918, 0.902}, kRule{0.867, 0.859, 0.839};
constexpr Colour kInk{0.125, 0.122, 0.114}, kQuiet{0.435, 0.424, 0.400}, kFaint{0.725, 0.714, 0.686};

constexpr double kRoom = 3720;  // widths of pictures side by side, as long as they stay large enough to see
constexpr double kLeastGap = 8;
constexpr double kLargest = 512, kLeast = 96;  // widths of a picture on it
constexpr double kNarrowest = 960;             // so that the header has room
constexpr double kTooSmall = 16;
constexpr int64_t kMostPictures = 10000;
constexpr double kLongestSide = 32000, kMostPixels = 32e6;

constexpr double kLineHeight = 1.4;  // of a caption, in sizes of its text

double gap_of(double width) { return std::max(kLeastGap, std::round(width * 0.045)); }

// The positions and sizes of everything on the sheet.
struct Layout {
  Size size;
  double text = 16;  // size of plain text
  double margin = 0;
  Size thumbnail;                // largest size of a picture
  int lines_of_choices = 0;      // below it
  std::map<int64_t, Box> boxes;  // of pictures, by number
  struct Line {
    Box box;
    std::string text;
    TextStyle style;
  };
  std::vector<Line> lines;
  double rule = 0;  // y of the line below the header
};

class Setter {
 public:
  Setter(const Arrangement& arrangement, const Fonts& fonts)
      : arrangement_(arrangement), fonts_(fonts), tables_(tables_of(arrangement)) {
    assert(arrangement.count > 0 && arrangement.size.width > 0 && arrangement.size.height > 0);
    const std::set<std::string_view> choices(arrangement.choices.begin(), arrangement.choices.end());
    for (const std::string_view choice : choices) widest_choice_ = std::max(widest_choice_, fonts.width(choice, {100}) / 100);
  }

  Layout set() const {
    for (double width = first_width(); width >= kTooSmall && arrangement_.count <= kMostPictures; width *= 0.85) {
      Layout layout = set_with(std::floor(width));
      const auto wide = static_cast<double>(layout.size.width), tall = static_cast<double>(layout.size.height);
      if (wide <= kLongestSide && tall <= kLongestSide && wide * tall <= kMostPixels) return layout;
    }
    throw Error(Code::bad_request, "a contact sheet of " + std::to_string(arrangement_.count) +
                                       " pictures would be too large. Ask for fewer values at a time.");
  }

 private:
  double tallness() const {
    return static_cast<double>(arrangement_.size.height) / static_cast<double>(arrangement_.size.width);
  }

  int64_t columns() const {
    if (tables_.empty()) {  // a little wider than tall
      const double even = std::sqrt(static_cast<double>(arrangement_.count) * 1.5 * (tallness() + 0.12));
      const double most = std::min(static_cast<double>(arrangement_.count), kRoom / (kLeast + kLeastGap));
      return static_cast<int64_t>(std::clamp(std::round(even), 1.0, most));
    }
    size_t most = 1;
    for (const Table& table : tables_) most = std::max(most, table.columns.size());
    return static_cast<int64_t>(most);
  }

  double first_width() const {
    const double share = (kRoom - (rows_are_named() ? 300 : 0)) / static_cast<double>(columns());
    return std::min({static_cast<double>(arrangement_.size.width), kLargest, std::max(kLeast, share - gap_of(share))});
  }

  bool rows_are_named() const { return !tables_.empty() && !tables_[0].rows.empty(); }

  Layout set_with(double width) const {
    Layout layout;
    layout.thumbnail = {std::max<int64_t>(8, static_cast<int64_t>(width)),
                        std::max<int64_t>(8, std::llround(width * tallness()))};
    const auto n = static_cast<double>(columns());
    const double gap = gap_of(width);
    const double pictures = n * width + (n - 1) * gap;
    layout.text = std::clamp(std::round(pictures / 82), 16.0, 34.0);
    const double margin = layout.margin = std::round(layout.text * 2.4);

    const TextStyle label{std::min(layout.text, std::max(12.0, width * 0.08)), true, kInk, 3};
    double names = 0;  // width of the row labels
    if (rows_are_named()) {
      for (const std::string& row : tables_[0].rows) names = std::max(names, fonts_.width(row, label));
      names = std::min(names, layout.text * 11) + std::round(layout.text * 1.2);
    }
    const double whole = std::max(kNarrowest, 2 * margin + names + pictures);

    double y = margin;
    const auto put = [&](double x, double most, const std::string& text, const TextStyle& style) {
      const double height = fonts_.height(text, style, most);
      layout.lines.push_back({{x, y, most, height}, text, style});
      return height;
    };
    if (!arrangement_.title.empty())
      y += put(margin, whole - 2 * margin, arrangement_.title, {std::round(layout.text * 1.5), true, kInk, 3}) +
           layout.text * 0.45;
    for (const std::string& line : arrangement_.lines)
      y += put(margin, whole - 2 * margin, line, {layout.text, false, kQuiet, 2}) + layout.text * 0.2;
    layout.rule = std::round(y + layout.text * 0.9);
    y = layout.rule + std::round(layout.text * 1.6);

    const double caption = caption_size(layout);
    if (!arrangement_.choices.empty()) layout.lines_of_choices = widest_choice_ * caption <= width ? 1 : 2;
    const double below = std::round(caption * (2.3 + kLineHeight * layout.lines_of_choices));  // for the caption
    const auto height = static_cast<double>(layout.thumbnail.height);
    const auto put_picture = [&](int64_t number, int64_t column) {
      const double x = margin + names + static_cast<double>(column) * (width + gap);
      layout.boxes[number] = {std::round(x), std::round(y), width, height};
    };
    for (int64_t i = 0; tables_.empty() && i < arrangement_.count; ++i) {
      put_picture(i + 1, i % columns());
      if ((i + 1) % columns() == 0 || i + 1 == arrangement_.count) y += height + below + gap;
    }
    for (const Table& table : tables_) {
      if (!table.heading.empty())
        y +=
            put(margin, whole - 2 * margin, table.heading, {std::round(layout.text * 1.15), true, kInk, 2}) + layout.text * 0.9;
      double labels = 0;
      for (size_t column = 0; column < table.columns.size(); ++column)
        labels = std::max(
            labels, put(margin + names + static_cast<double>(column) * (width + gap), width, table.columns[column], label));
      y = std::round(y + labels + label.size * 0.6);
      for (size_t row = 0; row < table.numbers.size(); ++row) {
        if (!table.rows.empty()) {
          TextStyle name = label;
          name.lines = std::max(1, static_cast<int>(height / (label.size * 1.5)));
          const double most = names - std::round(layout.text * 1.2);
          const double top = y;
          y += std::max(0.0, (height - fonts_.height(table.rows[row], name, most)) / 2);
          put(margin, most, table.rows[row], name);
          y = top;
        }
        for (size_t column = 0; column < table.numbers[row].size(); ++column)
          put_picture(table.numbers[row][column], static_cast<int64_t>(column));
        y += height + below + gap;
      }
      y += layout.text * 1.2;
    }
    if (!tables_.empty()) y -= layout.text * 1.2;
    layout.size = {static_cast<int64_t>(std::ceil(whole)), static_cast<int64_t>(std::ceil(y - gap + margin * 0.6))};
    return layout;
  }

 public:
  static double caption_size(const Layout& layout) {
    return std::clamp(static_cast<double>(layout.thumbnail.width) * 0.066, 11.0, layout.text * 0.9);
  }

 private:
  const Arrangement& arrangement_;
  const Fonts& fonts_;
  std::vector<Table> tables_;
  double widest_choice_ = 0;  // at a text size of 1
};

std::string everything_in(const Arrangement& arrangement) {
  std::string text = arrangement.title;
  for (const std::string& line : arrangement.lines) text += ' ' + line;
  for (const Axis& axis : arrangement.axes)
    for (const std::string& value : axis.values) text += ' ' + value;
  for (const std::string_view choice : std::set<std::string_view>(arrangement.choices.begin(), arrangement.choices.end()))
    text.append(1, ' ').append(choice);
  return text;
}

std::string text_of_seconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, seconds < 0.1 ? "%.1g s" : seconds < 100 ? "%.1f s" : "%.0f s", seconds);
  return text;
}

}  // namespace

struct ContactSheet::State {
  explicit State(const Arrangement& arrangement)
      : fonts(everything_in(arrangement)),
        choices(arrangement.choices),
        is_flow(arrangement.axes.empty()),
        layout(Setter(arrangement, fonts).set()),
        canvas(fonts, layout.size, kPaper) {}

  Fonts fonts;
  std::vector<std::string> choices;
  bool is_flow;
  Layout layout;
  Canvas canvas;

  double radius() const { return std::round(static_cast<double>(layout.thumbnail.width) * 0.012); }

  void draw_all_but_pictures() {
    for (const Layout::Line& line : layout.lines) canvas.text(line.box, line.text, line.style);
    const double margin = layout.margin;
    canvas.box({margin, layout.rule, static_cast<double>(layout.size.width) - 2 * margin, std::max(1.0, layout.text / 16)},
               kRule);
    for (const auto& [number, box] : layout.boxes) {
      canvas.box(box, kFrame, radius());
      const TextStyle style{std::clamp(box.width * 0.14, 12.0, 64.0), false, kFaint};
      const std::string text = std::to_string(number);
      const double width = fonts.width(text, style);
      canvas.text({box.x + (box.width - width) / 2, box.y + (box.height - style.size * 1.4) / 2, width + 1, 0}, text, style);
    }
  }

  void caption(const Box& box, const Cell& cell) {
    const double size = Setter::caption_size(layout);
    const double y = box.y + box.height + std::round(size * 0.45);
    const TextStyle bold{size, true, kInk};
    const TextStyle plain{size, false, kQuiet, 1, true};
    const std::string number = std::to_string(cell.number);
    canvas.text({box.x, y, box.width, 0}, number, bold);
    const double taken = fonts.width(number, bold) + size * 0.8;
    std::string text;
    if (is_flow) {
      const std::string seed = std::to_string(cell.provenance.request.seed);
      text = "seed " + seed;
      if (fonts.width(text, plain) > box.width - taken) text = seed;
    } else if (cell.stats.seconds.total > 0) {
      text = text_of_seconds(cell.stats.seconds.total);
    }
    canvas.text({box.x + taken, y, box.width - taken, 0}, text, plain);
    if (const auto index = static_cast<size_t>(cell.number - 1); index < choices.size())
      canvas.text({box.x, y + size * kLineHeight, box.width, 0}, choices[index], {size, false, kInk, layout.lines_of_choices});
  }
};

ContactSheet::ContactSheet(const Arrangement& arrangement, const std::function<void(const std::string&)>& warning)
    : state_(std::make_unique<State>(arrangement)) {
  const std::string complaint = state_->fonts.complaint_about(everything_in(arrangement));
  if (warning && !complaint.empty()) warning("on the contact sheet: " + complaint);
  state_->draw_all_but_pictures();
}

ContactSheet::~ContactSheet() = default;
ContactSheet::ContactSheet(ContactSheet&&) noexcept = default;
ContactSheet& ContactSheet::operator=(ContactSheet&&) noexcept = default;

void ContactSheet::add(const Cell& cell, const Image& picture) {
  const auto found = state_->layout.boxes.find(cell.number);
  if (found == state_->layout.boxes.end()) return;
  const Box& box = found->second;
  const Size size = fitted({picture.width, picture.height}, state_->layout.thumbnail);
  state_->canvas.box(box, kPaper);
  state_->canvas.box(box, kFrame, state_->radius());
  state_->canvas.picture(box.x + std::floor((box.width - static_cast<double>(size.width)) / 2),
                         box.y + std::floor((box.height - static_cast<double>(size.height)) / 2), scaled(picture, size),
                         state_->radius());
  state_->caption(box, cell);
}

Image ContactSheet::render() const { return state_->canvas.image(); }

}  // namespace fude
