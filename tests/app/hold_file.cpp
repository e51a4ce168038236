// Has a file open for itself alone, as some programs of Windows do, until its standard input ends.
#include <windows.h>

#include <cstdio>

int main(int argc, char** argv) {
  const HANDLE file = argc == 2 ? CreateFileA(argv[1], GENERIC_READ, 0, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr)
                                : INVALID_HANDLE_VALUE;
  std::puts(file == INVALID_HANDLE_VALUE ? "cannot open it" : "held");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
