// Runs a saved model on an endless input in constant memory.
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
  /// that does not belong to the network (Preparation::require_network()) or permutes time steps.
  ModelStream(integer::IntegerNetwork network, std::optional<Preparation> preparation,
              const std::string& model, const std::string& source);
  ~ModelStream();
  ModelStream(ModelStream&&) noexcept;
  ModelStream& operator=(ModelStream&&) noexcept;

  /// Number of values per time step of the input: one sample for models of recordings, whose front
  /// end computes the steps of the network; otherwise one per input of the network.
  std::size_t width() const;
  /// Processes one time step of the input; calls `after_step` after every step of the network that
  /// it completes. Throws Error if the number of values is not width(), and after the number of
  /// steps for which the outputs are proven to fit in 64 bits.
  void push(std::span<const float> values, const std::function<void()>& after_step = nullptr);
  /// Ends the sequence.
  void reset();

  /// Steps of the network since the start of the sequence.
  long long steps() const;
  /// Outputs after the steps since reset(); requires at least one step.
  integer::IntegerResult result() const;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace crosstate::inference
