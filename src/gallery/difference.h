// How far two pictures are apart.
#pragma once

#include "fude/fude.h"

namespace fude {

struct Difference {
  double change = 0;  // mean absolute difference of all bytes, divided by 255
  double psnr = 0;    // dB, over all bytes; infinite when the pictures are equal
  double ssim = 1;  // Wang et al. 2004 on luma (Rec. 601): Gaussian window of 11×11, sigma 1.5, the mean where it lies inside
};

// Error{bad_request} when their sizes differ, or a side is shorter than 11 pixels.
Difference difference_between(const Image& a, const Image& b);

}  // namespace fude
