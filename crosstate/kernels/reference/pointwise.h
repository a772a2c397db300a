// The specification of crosstate/kernels/pointwise.h in plain scalar code, for float and double.
// Tests compare the vector kernels with it; it is never optimised.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "crosstate/kernels/pointwise.h"

namespace crosstate::kernels::reference {

/// Rows and ConstRows in the type T: element (r, c).
template <class T>
struct Panel {
  T* data = nullptr;
  std::size_t stride = 0;
  T& operator()(std::size_t r, std::size_t c) const { return data[r * stride + c]; }
};

template <class T>
void linear_forward(const T* weight, const T* bias, std::size_t outputs, std::size_t inputs,
                    std::size_t columns, Panel<T> x, Panel<T> y) {
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t c = 0; c < columns; ++c) {
      T total = bias != nullptr ? bias[o] : T(0);
      for (std::size_t i = 0; i < inputs; ++i) total += weight[o * inputs + i] * x(i, c);
      y(o, c) = total;
    }
  }
}

template <class T>
void linear_adjoint_weight(std::size_t outputs, std::size_t inputs, std::size_t columns,
                           Panel<T> gy, Panel<T> x, double* gw, double* gb) {
  for (std::size_t o = 0; o < outputs; ++o) {
    for (std::size_t c = 0; c < columns; ++c) {
      for (std::size_t i = 0; i < inputs; ++i) {
        gw[o * inputs + i] += static_cast<double>(gy(o, c) * x(i, c));
      }
      if (gb != nullptr) gb[o] += static_cast<double>(gy(o, c));
    }
  }
}

template <class T>
T activation(Activation f, T x) {
  switch (f) {
    case Activation::kIdentity:
      return x;
    case Activation::kRelu:
      return x > 0 ? x : T(0);
    case Activation::kGelu:
      return x / 2 * std::erfc(-x / std::sqrt(T(2)));
    case Activation::kHardGelu:
      return x * std::clamp((x + T(1.5)) / 3, T(0), T(1));
    case Activation::kSigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::kHardSigmoid:
      return std::clamp(x / 4 + T(0.5), T(0), T(1));
  }
  return x;
}

/// f'(x); at a kink the slope of the flatter side, for hard GELU at 1.5 that of the right side.
template <class T>
T activation_slope(Activation f, T x) {
  constexpr T kSqrtTwoPi = T(2.50662827463100050242);
  switch (f) {
    case Activation::kIdentity:
      return 1;
    case Activation::kRelu:
      return x > 0 ? T(1) : T(0);
    case Activation::kGelu:
      return std::erfc(-x / std::sqrt(T(2))) / 2 + x * std::exp(-x * x / 2) / kSqrtTwoPi;
    case Activation::kHardGelu:
      if (std::fabs(x) < T(1.5)) return (2 * x + T(1.5)) / 3;
      return x > 0 ? T(1) : T(0);
    case Activation::kSigmoid: {
      const T e = std::exp(-std::fabs(x));
      return e / ((1 + e) * (1 + e));
    }
    case Activation::kHardSigmoid:
      return std::fabs(x) < 2 ? T(0.25) : T(0);
  }
  return 0;
}

template <class T>
void activation_forward(Activation f, std::size_t rows, std::size_t columns, Panel<T> x,
                        Panel<T> y) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) y(r, c) = activation(f, x(r, c));
  }
}

template <class T>
void activation_with_slope(Activation f, std::size_t rows, std::size_t columns, Panel<T> x,
                           Panel<T> y, Panel<T> slope) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      y(r, c) = activation(f, x(r, c));
      slope(r, c) = activation_slope(f, x(r, c));
    }
  }
}

template <class T>
void gate_adjoint(Activation f, std::size_t rows, std::size_t columns, Panel<T> value, Panel<T> gy,
                  Panel<T> gx) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const T v = value(r, c);
      const T hard = v > 0 && v < 1 ? T(0.25) : T(0);
      gx(r, c) = gy(r, c) * (f == Activation::kSigmoid ? v * (1 - v) : hard);
    }
  }
}

template <class T>
void multiply(std::size_t rows, std::size_t columns, Panel<T> a, Panel<T> b, Panel<T> out) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) out(r, c) = a(r, c) * b(r, c);
  }
}

template <class T>
void multiply_add(std::size_t rows, std::size_t columns, Panel<T> a, Panel<T> b, Panel<T> add,
                  Panel<T> out) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) out(r, c) = a(r, c) * b(r, c) + add(r, c);
  }
}

template <class T>
void accumulate(const T* scale, std::size_t rows, std::size_t columns, Panel<T> a, Panel<T> out) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T by = scale != nullptr ? scale[r] : T(1);
    for (std::size_t c = 0; c < columns; ++c) out(r, c) += by * a(r, c);
  }
}

template <class T>
void affine_forward(const T* scale, const T* shift, std::size_t rows, std::size_t columns,
                    Panel<T> x, Panel<T> y) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      y(r, c) = scale[r] * x(r, c) + (shift != nullptr ? shift[r] : T(0));
    }
  }
}

template <class T>
void row_sums(std::size_t rows, std::size_t columns, const float* mask, Panel<T> a, Panel<T> b,
              double* sum, double* dot) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      if (mask != nullptr && mask[c] == 0) continue;
      sum[r] += static_cast<double>(a(r, c));
      dot[r] += static_cast<double>(a(r, c) * b(r, c));
    }
  }
}

template <class T>
void table_forward(const T* table, std::size_t entries, T low, T inverse_scale, std::size_t rows,
                   std::size_t columns, Panel<T> x, Panel<T> y) {
  for (std::size_t r = 0; r < rows; ++r) {
    for (std::size_t c = 0; c < columns; ++c) {
      const T code = std::nearbyint(x(r, c) * inverse_scale - low);
      const T index = std::clamp(code, T(0), static_cast<T>(entries - 1));
      y(r, c) = std::isnan(x(r, c)) ? x(r, c) : table[static_cast<std::size_t>(index)];
    }
  }
}

/// Mean and 1 / sqrt(variance + 1e-5) of one column.
template <class T>
struct Moments {
  Moments(std::size_t rows, Panel<T> x, std::size_t c) {
    for (std::size_t r = 0; r < rows; ++r) mean += x(r, c) / static_cast<T>(rows);
    T variance = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      variance += (x(r, c) - mean) * (x(r, c) - mean) / static_cast<T>(rows);
    }
    inverse = 1 / std::sqrt(variance + T(1e-5));
  }
  T mean = 0, inverse = 0;
};

template <class T>
void layer_norm_forward(const T* gamma, const T* beta, std::size_t rows, std::size_t columns,
                        Panel<T> x, Panel<T> y) {
  for (std::size_t c = 0; c < columns; ++c) {
    const Moments<T> m(rows, x, c);
    for (std::size_t r = 0; r < rows; ++r) {
      y(r, c) = gamma[r] * (x(r, c) - m.mean) * m.inverse + beta[r];
    }
  }
}

/// With the unit column n = (x - mean) inverse and g = gamma gy:
/// gx = inverse (g - mean(g) - n mean(g n)).
template <class T>
void layer_norm_adjoint(const T* gamma, std::size_t rows, std::size_t columns, Panel<T> x,
                        Panel<T> gy, Panel<T> gx, double* ggamma, double* gbeta) {
  for (std::size_t c = 0; c < columns; ++c) {
    const Moments<T> m(rows, x, c);
    T mean_g = 0, mean_gn = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      const T unit = (x(r, c) - m.mean) * m.inverse;
      mean_g += gamma[r] * gy(r, c) / static_cast<T>(rows);
      mean_gn += gamma[r] * gy(r, c) * unit / static_cast<T>(rows);
      ggamma[r] += static_cast<double>(gy(r, c) * unit);
      gbeta[r] += static_cast<double>(gy(r, c));
    }
    for (std::size_t r = 0; r < rows; ++r) {
      const T unit = (x(r, c) - m.mean) * m.inverse;
      gx(r, c) = m.inverse * (gamma[r] * gy(r, c) - mean_g - unit * mean_gn);
    }
  }
}

/// The division is a multiplication by the rounded reciprocal: exact for powers of two.
template <class T>
void fake_quantize_forward(const T* scale, T low, T high, std::size_t rows, std::size_t columns,
                           Panel<T> x, Panel<T> y) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T inverse = 1 / scale[r];
    for (std::size_t c = 0; c < columns; ++c) {
      y(r, c) = std::clamp(std::floor(x(r, c) * inverse + T(0.5)), low, high) * scale[r];
    }
  }
}

template <class T>
void fake_quantize_adjoint(const T* scale, T low, T high, RangeGradient kind, std::size_t rows,
                           std::size_t columns, Panel<T> x, Panel<T> gy, Panel<T> gx,
                           double* glog) {
  for (std::size_t r = 0; r < rows; ++r) {
    const T inverse = 1 / scale[r];
    for (std::size_t c = 0; c < columns; ++c) {
      const T steps = x(r, c) * inverse;
      const T whole = std::clamp(std::floor(steps + T(0.5)), low, high);
      const bool inside = low <= steps && steps <= high;
      const T error = kind == RangeGradient::kSteps ? whole - steps : T(0);
      const T slope = scale[r] * (inside ? error : whole);
      if (glog != nullptr) glog[r] += static_cast<double>(gy(r, c) * slope);
      gx(r, c) = inside ? gy(r, c) : T(0);
    }
  }
}

}  // namespace crosstate::kernels::reference
