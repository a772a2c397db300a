#include "crosstate/inference/stream.h"

#include <cstdint>
#include <utility>
#include <vector>

#include "crosstate/base/error.h"
#include "crosstate/data/front_end.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/engine.h"

namespace crosstate::inference {

struct ModelStream::Inside {
  const integer::IntegerNetwork network;
  const std::optional<Preparation> preparation;
  const std::string model, source;
  const std::int64_t longest;
  integer::IntegerStream stream;
  std::optional<data::FrontEndStream> front_end;
  std::vector<float> frames;
  long long steps = 0, sequences = 0;  // steps of this sequence; sequences before it

  Inside(integer::IntegerNetwork n, std::optional<Preparation> p, std::string m, std::string s)
      : network(std::move(n)),
        preparation(std::move(p)),
        model(std::move(m)),
        source(std::move(s)),
        longest(integer::longest_sequence(network)),
        stream(network) {
    if (preparation && preparation->front_end) front_end.emplace(*preparation->front_end);
  }

  void step(std::span<const float> values, const std::function<void()>& after_step) {
    if (steps >= longest) {
      const std::string most = std::to_string(longest);
      fail(model, "scores are proven to fit in 64 bits for sequences of up to " + most +
                      " steps, but sequence " + std::to_string(sequences + 1) + " of " + source +
                      " has more than " + most + " steps");
    }
    stream.step(values);
    ++steps;
    if (after_step) after_step();
  }
};

ModelStream::ModelStream(integer::IntegerNetwork network, std::optional<Preparation> preparation,
                         const std::string& model, const std::string& source) {
  if (preparation) {
    preparation->require_network(network.inputs, network.outputs, network.scope(), model);
  }
  if (preparation && preparation->permutation_seed != 0) {
    fail(model, "reads its time steps in a permuted order, which cannot be streamed");
  }
  inside_ = std::make_unique<Inside>(std::move(network), std::move(preparation), model, source);
}

ModelStream::~ModelStream() = default;
ModelStream::ModelStream(ModelStream&&) noexcept = default;
ModelStream& ModelStream::operator=(ModelStream&&) noexcept = default;

std::size_t ModelStream::width() const { return inside_->front_end ? 1 : inside_->network.inputs; }

void ModelStream::push(std::span<const float> values, const std::function<void()>& after_step) {
  Inside& in = *inside_;
  if (values.size() != width()) {
    fail(in.source, std::to_string(values.size()) + " values in a time step, expected " +
                        std::to_string(width()));
  }
  if (!in.front_end) {
    in.step(values, after_step);
    return;
  }
  in.frames.clear();
  in.front_end->push(values, in.frames);
  const std::size_t inputs = in.network.inputs;
  for (std::size_t at = 0; at < in.frames.size(); at += inputs) {
    in.step(std::span(in.frames).subspan(at, inputs), after_step);
  }
}

void ModelStream::reset() {
  Inside& in = *inside_;
  if (in.steps > 0) ++in.sequences;
  in.stream.reset();
  if (in.front_end) in.front_end->reset();
  in.steps = 0;
}

long long ModelStream::steps() const { return inside_->steps; }

integer::IntegerResult ModelStream::result() const { return inside_->stream.result(); }

}  // namespace crosstate::inference
