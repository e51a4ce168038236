// Text by Pango and Cairo, in the fonts that fontconfig finds.
#include <pango/pangocairo.h>

#include <cmath>
#include <new>
#include <set>
#include <vector>

#include "gallery/fonts.h"

namespace fude {
namespace {

std::string families() {
  std::string names;
  for (const std::string_view family : kFontFamilies) names.append(family) += ", ";
  return names + "sans-serif";
}

template <auto release>
struct Release {
  template <class T>
  void operator()(T* object) const {
    release(object);
  }
};
template <class T>
using Object = std::unique_ptr<T, Release<g_object_unref>>;
using Description = std::unique_ptr<PangoFontDescription, Release<pango_font_description_free>>;
using Options = std::unique_ptr<cairo_font_options_t, Release<cairo_font_options_destroy>>;
using Surface = std::unique_ptr<cairo_surface_t, Release<cairo_surface_destroy>>;
using Drawing = std::unique_ptr<cairo_t, Release<cairo_destroy>>;
using Attributes = std::unique_ptr<PangoAttrList, Release<pango_attr_list_unref>>;
using Iterator = std::unique_ptr<PangoLayoutIter, Release<pango_layout_iter_free>>;
using Bytes8 = std::unique_ptr<char, Release<g_free>>;

// Valid UTF-8 in one paragraph, so that what limits lines limits all of them.
std::string cleaned(std::string_view text) {
  const Bytes8 valid(g_utf8_make_valid(text.data(), static_cast<gssize>(text.size())));
  std::string clean(valid.get());
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return clean;
}

bool is_east_asian(gunichar character) {
  switch (g_unichar_get_script(character)) {
    case G_UNICODE_SCRIPT_HAN:
    case G_UNICODE_SCRIPT_HIRAGANA:
    case G_UNICODE_SCRIPT_KATAKANA:
    case G_UNICODE_SCRIPT_HANGUL:
    case G_UNICODE_SCRIPT_BOPOMOFO: return true;
    default:  // their punctuation and wide letters belong to no script of their own
      return (character >= 0x3000 && character < 0x3040) || (character >= 0xff00 && character < 0xfff0);
  }
}

// Whether any character of clean text is such.
template <class Is>
bool has(const std::string& clean, const Is& is) {
  for (const char* at = clean.c_str(); *at; at = g_utf8_next_char(at)) {
    if (is(g_utf8_get_char(at))) return true;
  }
  return false;
}

// Japanese and Korean are recognised by letters that Chinese does not have.
PangoLanguage* language_of(std::string_view text) {
  const std::string clean = cleaned(text);
  const auto has_script = [&](GUnicodeScript a, GUnicodeScript b) {
    return has(clean, [&](gunichar c) { return g_unichar_get_script(c) == a || g_unichar_get_script(c) == b; });
  };
  if (has_script(G_UNICODE_SCRIPT_HIRAGANA, G_UNICODE_SCRIPT_KATAKANA)) return pango_language_from_string("ja");
  if (has_script(G_UNICODE_SCRIPT_HANGUL, G_UNICODE_SCRIPT_HANGUL)) return pango_language_from_string("ko");
  return nullptr;
}

// The Debian package whose fonts have the character.
const char* package_with(gunichar character) {
  if (is_east_asian(character)) return "fonts-noto-cjk";
  const bool emoji = (character >= 0x1f000 && character < 0x1fb00) || (character >= 0x2600 && character < 0x27c0);
  return emoji ? "fonts-noto-color-emoji" : "fonts-noto-core";
}

// Cairo's pixels are 32 bits in the machine's order: nothing, red, green, blue.
Surface surface_on(Page& page) {
  const auto width = static_cast<int>(page.width);
  Surface surface(cairo_image_surface_create_for_data(reinterpret_cast<unsigned char*>(page.pixels.data()), CAIRO_FORMAT_RGB24,
                                                      width, static_cast<int>(page.height), 4 * width));
  if (cairo_surface_status(surface.get()) != CAIRO_STATUS_SUCCESS) throw std::bad_alloc();
  return surface;
}

}  // namespace

struct Fonts::State {
  Object<PangoFontMap> map{pango_cairo_font_map_new()};
  Object<PangoContext> context{pango_font_map_create_context(map.get())};
  PangoLanguage* language = nullptr;  // of East Asian text; Pango owns it
  bool any = false;                   // without a single font Pango has nothing to draw with, and says so on standard error

  Object<PangoLayout> layout(std::string_view text, const TextStyle& style, double width) const {
    Object<PangoLayout> layout(pango_layout_new(context.get()));
    const Description description(pango_font_description_new());
    pango_font_description_set_family(description.get(), families().c_str());
    pango_font_description_set_weight(description.get(), style.bold ? PANGO_WEIGHT_SEMIBOLD : PANGO_WEIGHT_NORMAL);
    pango_font_description_set_absolute_size(description.get(), style.size * PANGO_SCALE);
    pango_layout_set_font_description(layout.get(), description.get());
    pango_layout_set_width(layout.get(), width < 0 ? -1 : static_cast<int>(width * PANGO_SCALE));
    pango_layout_set_wrap(layout.get(), PANGO_WRAP_WORD_CHAR);
    pango_layout_set_height(layout.get(), -style.lines);
    pango_layout_set_ellipsize(layout.get(), width < 0 ? PANGO_ELLIPSIZE_NONE : PANGO_ELLIPSIZE_END);
    pango_layout_set_alignment(layout.get(), style.to_right ? PANGO_ALIGN_RIGHT : PANGO_ALIGN_LEFT);
    const std::string clean = cleaned(text);
    pango_layout_set_text(layout.get(), clean.data(), static_cast<int>(clean.size()));
    if (language && has(clean, is_east_asian)) {  // no other text, whose font it would change as well
      const Attributes attributes(pango_attr_list_new());
      pango_attr_list_insert(attributes.get(), pango_attr_language_new(language));
      pango_layout_set_attributes(layout.get(), attributes.get());
    }
    return layout;
  }
};

Fonts::Fonts(std::string_view sample) : state_(std::make_unique<State>()) {
  const Description description(pango_font_description_from_string(families().c_str()));
  state_->any =
      Object<PangoFont>(pango_font_map_load_font(state_->map.get(), state_->context.get(), description.get())) != nullptr;
  // Sheets are looked at in any size: shapes stay as they were drawn instead of being fitted to these pixels.
  const Options options(cairo_font_options_create());
  cairo_font_options_set_antialias(options.get(), CAIRO_ANTIALIAS_GRAY);
  cairo_font_options_set_hint_style(options.get(), CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_hint_metrics(options.get(), CAIRO_HINT_METRICS_OFF);
  pango_cairo_context_set_font_options(state_->context.get(), options.get());
  state_->language = language_of(sample);
}

Fonts::~Fonts() = default;

double Fonts::width(std::string_view text, const TextStyle& style) const {
  if (!state_->any) return 0;
  int width = 0;
  pango_layout_get_size(state_->layout(text, style, -1).get(), &width, nullptr);
  return std::ceil(static_cast<double>(width) / PANGO_SCALE);
}

double Fonts::height(std::string_view text, const TextStyle& style, double width) const {
  if (!state_->any) return 0;
  int height = 0;
  pango_layout_get_size(state_->layout(text, style, width).get(), nullptr, &height);
  return std::ceil(static_cast<double>(height) / PANGO_SCALE);
}

std::string Fonts::complaint_about(std::string_view text) const {
  if (!state_->any)
    return "no font was found, so pictures stand without text. Install fonts-noto-core (apt-get install fonts-noto-core).";
  const Object<PangoLayout> layout = state_->layout(text, {}, -1);
  if (pango_layout_get_unknown_glyphs_count(layout.get()) == 0) return {};

  std::set<std::string> packages;
  std::string characters;
  size_t count = 0;
  std::set<gunichar> seen;
  const char* all = pango_layout_get_text(layout.get());
  const Iterator runs(pango_layout_get_iter(layout.get()));
  do {
    const PangoLayoutRun* run = pango_layout_iter_get_run_readonly(runs.get());
    for (int i = 0; run && i < run->glyphs->num_glyphs; ++i) {
      if (!(run->glyphs->glyphs[i].glyph & PANGO_GLYPH_UNKNOWN_FLAG)) continue;
      const char* at = all + run->item->offset + run->glyphs->log_clusters[i];
      const gunichar character = g_utf8_get_char(at);
      if (!seen.insert(character).second) continue;
      packages.insert(package_with(character));
      if (++count <= 8) characters.append(at, static_cast<const char*>(g_utf8_next_char(at)));
    }
  } while (pango_layout_iter_next_run(runs.get()));
  std::string names;
  for (const std::string& package : packages) names += (names.empty() ? "" : " ") + package;
  return "no font here has " + characters + (count > 8 ? "… (" + std::to_string(count) + " characters)" : "") +
         ", so boxes stand in their place. Install " + names + " (apt-get install " + names + ").";
}

void Fonts::draw(Page& page, const Box& box, std::string_view text, const TextStyle& style) const {
  if (!state_->any) return;
  const Object<PangoLayout> layout = state_->layout(text, style, box.width);
  const Surface surface = surface_on(page);
  const Drawing drawing(cairo_create(surface.get()));
  cairo_set_source_rgb(drawing.get(), style.colour.red, style.colour.green, style.colour.blue);
  cairo_move_to(drawing.get(), box.x, box.y);
  pango_cairo_show_layout(drawing.get(), layout.get());
  cairo_surface_flush(surface.get());
}

}  // namespace fude
