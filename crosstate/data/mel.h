// Logarithms of band energies on the mel scale.
#pragma once

#include <complex>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace crosstate::data {

/// Mel frequency of f Hz, 2595 log10(1 + f / 700), and its inverse.
double mel(double hertz);
double hertz_of_mel(double value);

struct MelShape {
  std::size_t window = 0;  // samples
  double sample_rate = 0;  // Hz
  std::size_t bands = 0;
  double low = 0, high = 0;  // Hz, the outer edges
  double floor = -80;        // dB below a full-scale sine
};

/// Hann window of `window` points, largest in its middle: 0.5 - 0.5 cos(2 pi (i + 0.5) / window).
std::vector<double> hann(std::size_t window);

/// Points of the spectrum of a window: the least power of two that is at least the window and 4.
std::size_t spectrum_points(std::size_t window);

/// A band: weights of the bins from `first` on, all positive.
struct Triangle {
  std::size_t first = 0;
  std::vector<double> weights;
};
/// The bands of a shape, whose corners are equally spaced on the mel scale. Throws Error unless
/// 0 <= low < high <= sample_rate / 2, and for a band so narrow that it contains no frequency of
/// the spectrum.
std::vector<Triangle> mel_triangles(const MelShape& shape);

/// Hann window, power spectrum (the number of points is a power of two, at least the window),
/// triangular bands whose corners are equally spaced on the mel scale. A sine of amplitude 1 at the
/// centre of a bin has power 1 there. Holds scratch memory: use one object per thread.
class MelBands {
 public:
  /// Throws Error as mel_triangles() does.
  explicit MelBands(const MelShape& shape);
  ~MelBands();
  MelBands(MelBands&&) noexcept;
  MelBands& operator=(MelBands&&) noexcept;

  /// log(energy + floor) of every band for a window of samples; `out` has shape.bands values.
  void operator()(std::span<const float> window, float* out);

 private:
  struct Band {
    std::size_t first;  // bin
    std::vector<float> weights;
  };
  struct Transform;

  std::vector<float> taper_, samples_, power_;
  std::vector<std::complex<float>> spectrum_;
  std::vector<Band> bands_;
  float floor_;
  std::unique_ptr<Transform> transform_;
};

}  // namespace crosstate::data
