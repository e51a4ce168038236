// The recycle bin.
#include <windows.h>

#include "trash.h"
// after windows.h
#include <shellapi.h>

#include <string>

#include "fude/error.h"
#include "weights/paths.h"
#include "weights/quote.h"

namespace fs = std::filesystem;

namespace fude {
namespace {

[[noreturn]] void fail(const fs::path& file, const std::string& why) {
  throw Error(Code::io, "cannot move " + shown(file) + " to the trash: " + why +
                            ". It is where it was; delete it yourself, then once more here.");
}

}  // namespace

fs::path move_to_trash(const fs::path& file) {
  std::wstring names = absolute_of(file).wstring() + L'\0';  // a list, which a second zero ends
  SHFILEOPSTRUCTW operation{};
  operation.wFunc = FO_DELETE;
  operation.pFrom = names.c_str();
  operation.fFlags = FOF_ALLOWUNDO | FOF_NOCONFIRMATION | FOF_SILENT | FOF_NOERRORUI;
  if (SHFileOperationW(&operation) != 0 || operation.fAnyOperationsAborted) fail(file, "the system refuses it");
  return {};
}

}  // namespace fude
