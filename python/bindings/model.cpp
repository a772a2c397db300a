// crosstate/model: poles and states of recurrences.
#include "crosstate/inference/model.h"

#include <complex>

#include "crosstate/base/error.h"
#include "crosstate/model/network_state.h"
#include "crosstate/model/reference.h"
#include "python/bindings/common.h"

namespace crosstate::python {
namespace {

namespace reference = model::reference;
using Complex = std::complex<double>;

const model::Network& network_of(const inference::Model& model) {
  if (model.network() != nullptr) return *model.network();
  fail(model.name(), "is an integer network, expected the float or quantized one of it");
}

// Values of all modes of a layer, and the first mode of each channel, with the end.
using Modes = nb::typed<nb::tuple, Out<Complex>, Out<std::int64_t>>;

Modes by_mode(std::vector<Complex> values, std::initializer_list<std::size_t> shape,
              const model::BlockShape& block) {
  std::vector<std::int64_t> first(block.first.begin(), block.first.end());
  const std::size_t count = first.size();
  return nb::make_tuple(to_numpy(std::move(values), shape), to_numpy(std::move(first), {count}));
}

nb::typed<nb::list, Modes> poles(const inference::Model& saved, bool rounded) {
  const model::Network& network = network_of(saved);
  if (rounded && !network.quantized()) fail(saved.name(), "is a float network: no pole is rounded");
  const auto exact = reference::values_of<double>(network);
  const model::Coefficients codes =
      rounded ? network.state().deployed_coefficients() : model::Coefficients();
  nb::typed<nb::list, Modes> layers;
  for (std::size_t l = 0; l < exact.blocks.size(); ++l) {
    std::vector<Complex> values;
    for (const auto& modes : exact.blocks[l].modes) {
      for (const auto& mode : modes) {
        const std::size_t i = values.size();
        if (rounded) {
          const model::BlockCoefficients& block = codes.blocks[l];
          values.emplace_back(block.ar[i], block.ai.empty() ? 0 : block.ai[i]);
        } else {
          values.push_back(mode.a);
        }
      }
    }
    const std::size_t count = values.size();
    layers.append(by_mode(std::move(values), {count}, network.state().shapes[l]));
  }
  return layers;
}

// Keeps the states of one layer, of which reference::recurrence() passes both parts, one after the
// other: by channel, then by step, then by mode.
struct Keep {
  std::vector<double>* parts;
  double operator()(reference::Site site, std::size_t, double x) const {
    if (site == reference::Site::kState && parts != nullptr) parts->push_back(x);
    return x;
  }
};

Modes states(const inference::Model& saved, const In<float>& x, std::size_t layer) {
  const model::Network& network = network_of(saved);
  std::vector<Complex> values;
  {
    const nb::gil_scoped_release release;
    const auto exact = reference::values_of<double>(network);
    const std::size_t steps = x.shape(0), inputs = x.shape(1);
    reference::Sequence<double> h;
    for (std::size_t t = 0; t < steps; ++t) {
      const std::vector<double> step(x.data() + t * inputs, x.data() + (t + 1) * inputs);
      h.push_back(reference::linear(exact.encoder, exact.encoder_bias, step));
    }
    std::vector<double> parts;
    for (std::size_t l = 0; l <= layer; ++l) {
      reference::run_block(exact, l, reference::Form::kRecurrence,
                           Keep{l == layer ? &parts : nullptr}, h);
    }
    const std::vector<std::size_t>& first = network.state().shapes[layer].first;
    const std::size_t all = first.back();
    values.resize(steps * all);
    std::size_t at = 0;
    for (std::size_t c = 0; c + 1 < first.size(); ++c) {
      for (std::size_t t = 0; t < steps; ++t) {
        for (std::size_t i = first[c]; i < first[c + 1]; ++i, at += 2) {
          values[t * all + i] = {parts[at], parts[at + 1]};
        }
      }
    }
  }
  const model::BlockShape& shape = network.state().shapes[layer];
  return by_mode(std::move(values), {x.shape(0), shape.first.back()}, shape);
}

}  // namespace

void bind_model(nb::module_& m) {
  m.def("poles", &poles, "model"_a, "rounded"_a);
  m.def("states", &states, "model"_a, "x"_a, "layer"_a);
}

}  // namespace crosstate::python
