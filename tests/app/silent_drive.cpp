// A network drive that is gone: whoever asks anything about a path below SILENT_DRIVE waits for ever. To be preloaded.
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <cstring>

namespace {

void wait_if_gone(const char* path) {
  const char* drive = std::getenv("SILENT_DRIVE");
  if (!drive || !path || std::strncmp(path, drive, std::strlen(drive)) != 0) return;
  for (;;) pause();
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" {

int stat(const char* path, struct stat* info) noexcept {
  wait_if_gone(path);
  return next<int(const char*, struct stat*)>("stat")(path, info);
}

int lstat(const char* path, struct stat* info) noexcept {
  wait_if_gone(path);
  return next<int(const char*, struct stat*)>("lstat")(path, info);
}

int mkdir(const char* path, mode_t mode) noexcept {
  wait_if_gone(path);
  return next<int(const char*, mode_t)>("mkdir")(path, mode);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  wait_if_gone(path);
  return next<int(const char*, int, ...)>("open")(path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  wait_if_gone(path);
  return next<int(const char*, int, ...)>("open64")(path, flags, mode);
}

}  // extern "C"
