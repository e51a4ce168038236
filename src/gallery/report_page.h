// report.html, part of the program: embedded when it is built.
#pragma once

#include <string_view>

namespace fude {

std::string_view report_page();

}  // namespace fude
