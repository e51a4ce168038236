// Draws a picture with the library and writes it as a binary PPM, which most programs that show pictures open.
//
//   draw MODEL PROMPT FILE.ppm [SEED]
//
// The public header is all it needs. In a program of your own: find_package(fude), then link fude::fude.
#include <fude/fude.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

void write_ppm(const std::string& path, const fude::Image& image) {
  std::ofstream file(path, std::ios::binary);
  file << "P6\n" << image.width << ' ' << image.height << "\n255\n";
  file.write(reinterpret_cast<const char*>(image.rgb.data()), static_cast<std::streamsize>(image.rgb.size()));
  file.close();
  if (!file) throw fude::Error(fude::Code::io, "cannot write " + path + ". Choose another place.");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: draw MODEL PROMPT FILE.ppm [SEED]\n");
    return 2;
  }
  try {
    fude::Engine engine({.model = argv[1]});  // reads headers only; weights come with the first picture

    fude::Request request;
    request.prompt = argv[2];
    request.seed = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 7;
    request.steps = 20;

    fude::Callbacks callbacks;
    callbacks.progress = [](const fude::Progress& progress) {
      std::fprintf(stderr, "\r%-8s %3lld/%lld ", std::string(fude::name_of(progress.stage)).c_str(),
                   static_cast<long long>(progress.step), static_cast<long long>(progress.steps));
    };
    const fude::Result result = engine.generate(request, callbacks);
    std::fprintf(stderr, "\ndrawn on %s in %s, %.1f s\n", result.device.c_str(), result.dtype.c_str(), result.seconds.total);
    write_ppm(argv[3], result.images[0]);
  } catch (const fude::Error& error) {  // every failure; message() tells as data what may help
    std::fprintf(stderr, "\n%s\n", error.what());
    return 1;
  }
}
