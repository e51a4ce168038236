// Draws a picture with the library and writes it as a PNG that holds its request, so that fude can draw it again.
//
//   draw MODEL PROMPT FILE.png [SEED]
//
// The public header is all it needs. In a program of your own: find_package(fude), then link fude::fude.
#include <fude/fude.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

// What a picture will be like, in the terminal: a character for two latents, darker where there is more ink.
void show(const fude::Preview& preview) {
  const std::string inks = "#*+-. ";
  for (int64_t y = 0; y < preview.height; y += 2) {
    for (int64_t x = 0; x < preview.width; ++x) {
      const uint8_t green = preview.rgb[static_cast<size_t>((y * preview.width + x) * 3 + 1)];
      std::fputc(inks[static_cast<size_t>(green) * inks.size() / 256], stderr);
    }
    std::fputc('\n', stderr);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: draw MODEL PROMPT FILE.png [SEED]\n");
    return 2;
  }
  try {
    fude::EngineOptions options;
    options.log = [](const fude::LogEntry& entry) {
      std::fprintf(stderr, "%s: %s\n", std::string(fude::name_of(entry.event)).c_str(), entry.text.c_str());
    };
    fude::Engine engine({.model = argv[1]}, options);  // reads headers only; weights come with the first picture

    fude::Request request;
    request.prompt = argv[2];
    request.seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 7;
    request.steps = 20;

    fude::Callbacks callbacks;
    callbacks.progress = [](const fude::Progress& progress) {
      std::fprintf(stderr, "%-8s %3lld/%lld\r", std::string(fude::name_of(progress.stage)).c_str(),
                   static_cast<long long>(progress.step), static_cast<long long>(progress.steps));
    };
    callbacks.preview = show;
    callbacks.preview_every = 10;
    const fude::Result result = engine.generate(request, callbacks);
    std::fprintf(stderr, "drawn on %s in %s, %.1f s\n", result.device.c_str(), result.dtype.c_str(), result.seconds.total);
    fude::save_png(argv[3], result.images[0]);
  } catch (const fude::Error& error) {  // every failure; message() tells as data what may help
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
