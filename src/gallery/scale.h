// Smaller copies of pictures.
#pragma once

#include "fude/fude.h"

namespace fude {

// The largest size of the picture's shape that lies inside `most`; never larger than the picture itself.
Size fitted(Size picture, Size most);

// Every new pixel is the mean of the area it covers, so that nothing fine is skipped. `to` is at most the picture's size.
Image scaled(const Image& picture, Size to);

}  // namespace fude
