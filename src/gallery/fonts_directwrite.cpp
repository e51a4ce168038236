// Text by DirectWrite: it lays out, and what it would put on a screen is mixed into the page as coverage.
#include <windows.h>
// after windows.h
#include <dwrite.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <set>
#include <string>

#include "fude/error.h"
#include "gallery/fonts.h"

namespace fude {
namespace {

constexpr float kWide = 1e6f;  // a line that is not wrapped
constexpr wchar_t kMore = L'\u2026';

struct Release {
  void operator()(IUnknown* object) const { object->Release(); }
};
template <class T>
using Object = std::unique_ptr<T, Release>;

void check(HRESULT result) {
  if (SUCCEEDED(result)) return;
  char code[16];
  std::snprintf(code, sizeof code, "0x%08lx", static_cast<unsigned long>(result));
  throw Error(Code::io, std::string("Windows cannot draw text (DirectWrite answers ") + code +
                            "). Check its system files: sfc /scannow.");
}

// One paragraph, so that what limits lines limits all of them. What is no UTF-8 becomes U+FFFD.
std::wstring cleaned(std::string_view text) {
  const auto size = static_cast<int>(text.size());
  std::wstring clean(text.size(), L'\0');  // never more units than bytes
  clean.resize(static_cast<size_t>(
      size == 0 ? 0 : MultiByteToWideChar(CP_UTF8, 0, text.data(), size, clean.data(), static_cast<int>(clean.size()))));
  for (wchar_t& c : clean) {
    if (c < 0x20 || c == 0x7f) c = L' ';
  }
  return clean;
}

std::string utf8_of(std::wstring_view text) {
  std::string utf8(text.size() * 3, '\0');
  utf8.resize(static_cast<size_t>(WideCharToMultiByte(CP_UTF8, 0, text.data(), static_cast<int>(text.size()), utf8.data(),
                                                      static_cast<int>(utf8.size()), nullptr, nullptr)));
  return utf8;
}

// Japanese and Korean are recognised by letters that Chinese does not have.
const wchar_t* language_of(const std::wstring& text) {
  const auto has = [&](wchar_t first, wchar_t last) {
    return std::any_of(text.begin(), text.end(), [&](wchar_t c) { return c >= first && c <= last; });
  };
  if (has(0x3041, 0x30ff)) return L"ja";
  if (has(0x1100, 0x11ff) || has(0xac00, 0xd7a3)) return L"ko";
  return L"";
}

bool is_high_surrogate(wchar_t unit) { return unit >= 0xd800 && unit < 0xdc00; }

uint32_t mixed(uint32_t under, Colour over, double part) {
  uint32_t pixel = 0;
  int shift = 16;
  for (const double colour : {over.red, over.green, over.blue}) {
    const double a = under >> shift & 0xff;
    pixel |= static_cast<uint32_t>(std::lround(a + (colour * 255 - a) * part)) << shift;
    shift -= 8;
  }
  return pixel;
}

// Receives the glyphs of a layout, run by run. It lives on the stack, so nobody counts who holds it.
class Glyphs : public IDWriteTextRenderer {
 public:
  ULONG STDMETHODCALLTYPE AddRef() override { return 1; }
  ULONG STDMETHODCALLTYPE Release() override { return 1; }
  HRESULT STDMETHODCALLTYPE QueryInterface(REFIID, void** object) override {
    *object = this;
    return S_OK;
  }
  HRESULT STDMETHODCALLTYPE IsPixelSnappingDisabled(void*, BOOL* disabled) override {
    *disabled = TRUE;
    return S_OK;
  }
  HRESULT STDMETHODCALLTYPE GetCurrentTransform(void*, DWRITE_MATRIX* transform) override {
    *transform = {1, 0, 0, 1, 0, 0};
    return S_OK;
  }
  HRESULT STDMETHODCALLTYPE GetPixelsPerDip(void*, FLOAT* pixels) override {
    *pixels = 1;
    return S_OK;
  }
  HRESULT STDMETHODCALLTYPE DrawUnderline(void*, FLOAT, FLOAT, DWRITE_UNDERLINE const*, IUnknown*) override { return S_OK; }
  HRESULT STDMETHODCALLTYPE DrawStrikethrough(void*, FLOAT, FLOAT, DWRITE_STRIKETHROUGH const*, IUnknown*) override {
    return S_OK;
  }
  HRESULT STDMETHODCALLTYPE DrawInlineObject(void*, FLOAT, FLOAT, IDWriteInlineObject*, BOOL, BOOL, IUnknown*) override {
    return S_OK;
  }

 protected:
  ~Glyphs() = default;
};

class Painter final : public Glyphs {
 public:
  Painter(IDWriteFactory& factory, Page& page, Colour colour) : factory_(factory), page_(page), colour_(colour) {}

  HRESULT STDMETHODCALLTYPE DrawGlyphRun(void*, FLOAT x, FLOAT y, DWRITE_MEASURING_MODE, DWRITE_GLYPH_RUN const* run,
                                         DWRITE_GLYPH_RUN_DESCRIPTION const*, IUnknown*) override {
    IDWriteGlyphRunAnalysis* made = nullptr;
    const HRESULT result = factory_.CreateGlyphRunAnalysis(run, 1, nullptr, DWRITE_RENDERING_MODE_CLEARTYPE_NATURAL_SYMMETRIC,
                                                           DWRITE_MEASURING_MODE_NATURAL, x, y, &made);
    if (FAILED(result)) return result;
    const Object<IDWriteGlyphRunAnalysis> analysis(made);
    RECT area{};
    check(analysis->GetAlphaTextureBounds(DWRITE_TEXTURE_CLEARTYPE_3x1, &area));
    const int64_t width = area.right - area.left, height = area.bottom - area.top;
    if (width <= 0 || height <= 0) return S_OK;
    thirds_.resize(static_cast<size_t>(width * height * 3));
    check(
        analysis->CreateAlphaTexture(DWRITE_TEXTURE_CLEARTYPE_3x1, &area, thirds_.data(), static_cast<UINT32>(thirds_.size())));
    for (int64_t row = std::max<int64_t>(0, -area.top); row < std::min(height, page_.height - area.top); ++row)
      for (int64_t column = std::max<int64_t>(0, -area.left); column < std::min(width, page_.width - area.left); ++column) {
        const uint8_t* thirds = thirds_.data() + (row * width + column) * 3;
        uint32_t& pixel = page_.pixels[static_cast<size_t>((area.top + row) * page_.width + area.left + column)];
        pixel = mixed(pixel, colour_, (thirds[0] + thirds[1] + thirds[2]) / 765.0);
      }
    return S_OK;
  }

 private:
  IDWriteFactory& factory_;
  Page& page_;
  Colour colour_;
  std::vector<uint8_t> thirds_;  // of pixels, side by side: how much of each is covered
};

// Glyph 0 of a font stands for what it does not have.
class Missing final : public Glyphs {
 public:
  std::set<std::wstring> characters;

  HRESULT STDMETHODCALLTYPE DrawGlyphRun(void*, FLOAT, FLOAT, DWRITE_MEASURING_MODE, DWRITE_GLYPH_RUN const* run,
                                         DWRITE_GLYPH_RUN_DESCRIPTION const* text, IUnknown*) override {
    for (UINT32 i = 0; i < text->stringLength; ++i) {
      if (run->glyphIndices[text->clusterMap[i]] != 0) continue;
      const bool pair = is_high_surrogate(text->string[i]) && i + 1 < text->stringLength;
      characters.emplace(text->string + i, pair ? 2 : 1);
      i += pair ? 1 : 0;
    }
    return S_OK;
  }
};

}  // namespace

struct Fonts::State {
  Object<IDWriteFactory> factory;
  std::wstring family;  // empty: there is no font
  std::wstring language;

  Object<IDWriteTextLayout> whole_layout(const std::wstring& text, const TextStyle& style, double width) const {
    IDWriteTextFormat* made_format = nullptr;
    check(factory->CreateTextFormat(
        family.c_str(), nullptr, style.bold ? DWRITE_FONT_WEIGHT_SEMI_BOLD : DWRITE_FONT_WEIGHT_NORMAL,
        DWRITE_FONT_STYLE_NORMAL, DWRITE_FONT_STRETCH_NORMAL, static_cast<float>(style.size), language.c_str(), &made_format));
    const Object<IDWriteTextFormat> format(made_format);
    check(format->SetWordWrapping(width < 0 ? DWRITE_WORD_WRAPPING_NO_WRAP : DWRITE_WORD_WRAPPING_WRAP));
    check(format->SetTextAlignment(style.to_right ? DWRITE_TEXT_ALIGNMENT_TRAILING : DWRITE_TEXT_ALIGNMENT_LEADING));
    IDWriteTextLayout* made = nullptr;
    check(factory->CreateTextLayout(text.data(), static_cast<UINT32>(text.size()), format.get(),
                                    width < 0 ? kWide : static_cast<float>(width), kWide, &made));
    return Object<IDWriteTextLayout>(made);
  }

  static DWRITE_TEXT_METRICS size_of(IDWriteTextLayout& layout) {
    DWRITE_TEXT_METRICS metrics{};
    check(layout.GetMetrics(&metrics));
    return metrics;
  }

  // DirectWrite limits the height of a text, not its lines: the longest beginning that fits is found by halving.
  Object<IDWriteTextLayout> layout(std::string_view utf8, const TextStyle& style, double width) const {
    const std::wstring text = cleaned(utf8);
    const auto fits = [&](IDWriteTextLayout& layout) {
      const DWRITE_TEXT_METRICS size = size_of(layout);
      return width < 0 || (static_cast<int>(size.lineCount) <= style.lines && size.width <= static_cast<float>(width));
    };
    Object<IDWriteTextLayout> best = whole_layout(text, style, width);
    if (fits(*best)) return best;
    size_t most = 0;
    for (size_t too_many = text.size(); most + 1 < too_many;) {
      const size_t units = (most + too_many) / 2;
      const bool fit = fits(*whole_layout(beginning_of(text, units), style, width));
      (fit ? most : too_many) = units;
    }
    return whole_layout(beginning_of(text, most), style, width);
  }

  static std::wstring beginning_of(const std::wstring& text, size_t units) {
    if (units > 0 && is_high_surrogate(text[units - 1])) --units;
    std::wstring beginning = text.substr(0, units);
    while (beginning.ends_with(L' ')) beginning.pop_back();
    return beginning + kMore;
  }
};

Fonts::Fonts(std::string_view sample) : state_(std::make_unique<State>()) {
  IDWriteFactory* made = nullptr;
  check(DWriteCreateFactory(DWRITE_FACTORY_TYPE_SHARED, __uuidof(IDWriteFactory), reinterpret_cast<IUnknown**>(&made)));
  state_->factory.reset(made);
  state_->language = language_of(cleaned(sample));
  IDWriteFontCollection* installed = nullptr;
  check(made->GetSystemFontCollection(&installed, FALSE));
  const Object<IDWriteFontCollection> collection(installed);
  for (const std::string_view name : kFontFamilies) {
    const std::wstring wide(name.begin(), name.end());
    UINT32 index = 0;
    BOOL exists = FALSE;
    check(collection->FindFamilyName(wide.c_str(), &index, &exists));
    if (!exists) continue;
    state_->family = wide;
    return;
  }
  if (collection->GetFontFamilyCount() > 0) state_->family = L"Arial";  // DirectWrite takes another in its place
}

Fonts::~Fonts() = default;

double Fonts::width(std::string_view text, const TextStyle& style) const {
  if (state_->family.empty()) return 0;
  return std::ceil(State::size_of(*state_->layout(text, style, -1)).widthIncludingTrailingWhitespace);
}

double Fonts::height(std::string_view text, const TextStyle& style, double width) const {
  if (state_->family.empty()) return 0;
  return std::ceil(State::size_of(*state_->layout(text, style, width)).height);
}

void Fonts::draw(Page& page, const Box& box, std::string_view text, const TextStyle& style) const {
  if (state_->family.empty()) return;
  Painter painter(*state_->factory, page, style.colour);
  check(state_->layout(text, style, box.width)->Draw(nullptr, &painter, static_cast<float>(box.x), static_cast<float>(box.y)));
}

std::string Fonts::complaint_about(std::string_view text) const {
  constexpr size_t kNamed = 8;
  const std::string remedy = " Add one in Windows' Settings: Apps, Optional features, Supplemental fonts.";
  if (state_->family.empty()) return "no font was found, so pictures stand without text." + remedy;
  Missing missing;
  check(state_->layout(text, {}, -1)->Draw(nullptr, &missing, 0, 0));
  if (missing.characters.empty()) return {};
  std::wstring characters;
  size_t count = 0;
  for (const std::wstring& character : missing.characters)
    if (++count <= kNamed) characters += character;
  return "no font here has " + utf8_of(characters) + (count > kNamed ? "… (" + std::to_string(count) + " characters)" : "") +
         ", so boxes stand in their place." + remedy;
}

}  // namespace fude
