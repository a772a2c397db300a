// Randomly shifted, rotated and scaled copies of images.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "crosstate/base/random.h"
#include "crosstate/base/threads.h"
#include "crosstate/data/augment.h"
#include "crosstate/data/dataset.h"
#include "crosstate/data/options.h"

namespace crosstate::data {

/// Shifts, rotates about the centre and scales an image at random, each uniformly within its
/// option; `image` and `varied` hold `rows` rows of equal length. Bilinear interpolation; pixels
/// from outside of the image are 0. An option of 0 draws nothing.
void vary_image(const AugmentOptions& options, std::size_t rows, std::span<const float> image,
                Random& random, std::span<float> varied);

/// Varies images by vary_image(), then permutes their pixels.
class ImageAugmenter : public Augmenter {
 public:
  /// `images`: in rows, not permuted. A `permutation_seed` of 0 leaves the order of the pixels. The
  /// pool must outlive this object. Throws Error for a set without rows or with several channels.
  ImageAugmenter(Dataset images, std::uint64_t permutation_seed, const AugmentOptions& options,
                 std::uint64_t seed, ThreadPool& pool);

 private:
  Dataset made(std::uint32_t epoch) const override;

  Dataset images_;
  std::uint64_t permutation_seed_, seed_;
  ThreadPool& pool_;
};

}  // namespace crosstate::data
