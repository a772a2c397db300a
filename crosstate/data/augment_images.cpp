#include "crosstate/data/augment_images.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "crosstate/base/error.h"

namespace crosstate::data {
namespace {

// Pixels between the four around a position; 0 outside.
float interpolate(std::span<const float> image, std::ptrdiff_t rows, std::ptrdiff_t columns,
                  double y, double x) {
  const double top = std::floor(y), left = std::floor(x);
  const auto row = static_cast<std::ptrdiff_t>(top), column = static_cast<std::ptrdiff_t>(left);
  const auto pixel = [&](std::ptrdiff_t r, std::ptrdiff_t c) {
    const bool inside = r >= 0 && r < rows && c >= 0 && c < columns;
    return inside ? image[static_cast<std::size_t>(r * columns + c)] : 0.0f;
  };
  const auto down = static_cast<float>(y - top), right = static_cast<float>(x - left);
  const float above = std::lerp(pixel(row, column), pixel(row, column + 1), right);
  const float below = std::lerp(pixel(row + 1, column), pixel(row + 1, column + 1), right);
  return std::lerp(above, below, down);
}

}  // namespace

void vary_image(const AugmentOptions& options, std::size_t rows, std::span<const float> image,
                Random& random, std::span<float> varied) {
  const auto drawn = [&](double most) { return most > 0 ? random.uniform(-most, most) : 0.0; };
  // Whole pixels: a shift between them would blur nearly every image, and none of the test set.
  const auto shifted = [&] {
    const int most = options.image.shift;
    return most > 0 ? int(random.below(2 * std::uint32_t(most) + 1)) - most : 0;
  };
  const int shift_y = shifted(), shift_x = shifted();
  const double angle = drawn(options.image.rotation) * std::numbers::pi / 180;
  const double size = 1 + drawn(options.image.scale);
  const std::size_t columns = image.size() / rows;
  const double middle_y = static_cast<double>(rows - 1) / 2;
  const double middle_x = static_cast<double>(columns - 1) / 2;
  const double along = std::cos(angle) / size, across = std::sin(angle) / size;
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const double y = static_cast<double>(r) - middle_y - shift_y;
      const double x = static_cast<double>(c) - middle_x - shift_x;
      varied[r * columns + c] = interpolate(
          image, static_cast<std::ptrdiff_t>(rows), static_cast<std::ptrdiff_t>(columns),
          middle_y + along * y - across * x, middle_x + across * y + along * x);
    }
  }
}

ImageAugmenter::ImageAugmenter(Dataset images, std::uint64_t permutation_seed,
                               const AugmentOptions& options, std::uint64_t seed, ThreadPool& pool)
    : Augmenter(options),
      images_(std::move(images)),
      permutation_seed_(permutation_seed),
      seed_(seed),
      pool_(pool) {
  images_.validate();
  if (images_.rows == 0) fail(images_.name, "no rows of pixels, expected images");
  if (images_.channels != 1) {
    fail(images_.name, std::to_string(images_.channels) + " values per pixel, expected 1");
  }
}

Dataset ImageAugmenter::made(std::uint32_t epoch) const {
  Dataset set = images_;
  pool_.parallel_for(images_.count, [&](std::size_t i, int) {
    Random random(seed_, Stream::kAugment, epoch, static_cast<std::uint32_t>(i));
    vary_image(options(), images_.rows, images_.sequence(i), random,
               std::span(set.values).subspan(i * images_.length, images_.length));
  });
  if (permutation_seed_ != 0) permute_steps(set, permutation_seed_);
  return set;
}

}  // namespace crosstate::data
