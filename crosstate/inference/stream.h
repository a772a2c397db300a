// A saved model at work on an endless input, in constant memory.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "crosstate/inference/preparation.h"
#include "crosstate/integer/network.h"
#include "crosstate/integer/reference.h"

namespace crosstate::inference {

class ModelStream {
 public:
  /// `model` and `source` name the model and its input in errors. Throws Error for a preparation
  /// that does not belong to the network or permutes time steps.
  ModelStream(integer::IntegerNetwork network, std::optional<Preparation> preparation,
              const std::string& model, const std::string& source);
  ~ModelStream();
  ModelStream(ModelStream&&) noexcept;
  ModelStream& operator=(ModelStream&&) noexcept;

  /// Values of one time step of the input: one sample for models of recordings, whose front end
  /// makes the steps of the network; otherwise one per input of the network.
  std::size_t width() const;
  /// Takes one time step of the input; calls `after_step` after every step of the network that it
  /// completes. Throws Error for another number of values than width(), and beyond the steps for
  /// which the outputs are proven to fit 64 bits.
  void push(std::span<const float> values, const std::function<void()>& after_step = nullptr);
  /// Ends the sequence.
  void reset();

  /// Steps of the network in this sequence.
  long long steps() const;
  /// Outputs after the steps since reset(); at least one.
  integer::IntegerResult result() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::inference
