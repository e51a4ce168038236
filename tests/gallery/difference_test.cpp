// Change, PSNR and SSIM of two pictures, against scikit-image's numbers.
#include "gallery/difference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "fude/error.h"
#include "gallery/made_pictures.h"

namespace fude {
namespace {

// From scikit-image 0.26: structural_similarity on luma 0.299 R + 0.587 G + 0.114 B with data_range=255, gaussian_weights=True,
// sigma=1.5, use_sample_covariance=False; peak_signal_noise_ratio on RGB.
TEST(Difference, IsScikitImages) {
  const Image picture = made_picture(64, 48);
  const struct {
    Image a, b;
    double change, psnr, ssim;
  } cases[] = {
      {picture, noisy(picture, 12), 0.023868975, 31.141801056, 0.961398490},
      {picture, noisy(picture, 100), 0.173623451, 13.727001917, 0.417207829},
      {picture, made_picture(64, 48, 5), 0.034995404, 18.004540099, 0.888662244},
      {made_picture(11, 11), noisy(made_picture(11, 11), 30), 0.056425215, 23.647147877, 0.360636439},
  };
  for (const auto& one : cases) {
    const Difference difference = difference_between(one.a, one.b);
    EXPECT_NEAR(difference.change, one.change, 1e-8);
    EXPECT_NEAR(difference.psnr, one.psnr, 1e-8);
    EXPECT_NEAR(difference.ssim, one.ssim, 1e-8);
  }
}

TEST(Difference, IsNoneBetweenEqualPictures) {
  const Difference difference = difference_between(made_picture(32, 16), made_picture(32, 16));
  EXPECT_EQ(difference.change, 0);
  EXPECT_TRUE(std::isinf(difference.psnr));
  EXPECT_DOUBLE_EQ(difference.ssim, 1);
}

TEST(Difference, NeedsOneSize) {
  EXPECT_THROW(difference_between(made_picture(32, 16), made_picture(16, 32)), Error);
  EXPECT_THROW(difference_between(made_picture(32, 10), made_picture(32, 10)), Error);
}

}  // namespace
}  // namespace fude
