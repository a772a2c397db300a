// Forward pass of a network, written once for all fast executors: the order of its steps. An
// executor supplies the steps in its own arithmetic and memory:
//
//   encoder    x = input()              the input, quantized
//              s = encode(x)            accumulators of the encoder
//              enter(s)                 requantized: the residual stream before block 0
//   block l    u = select(l)            the channels of the stream that the recurrence takes
//              y = recur(l, u)          the recurrence: sums over the modes of Re(c x)
//              a = activate(l, y, u)    with D u (unless recur has added it) requantized, then the
//                                       activation function, requantized
//              z = linear(l, a)         accumulators of the linear layer
//              v = normalize(l, z)      batch norm, unless it is folded into the linear layer
//              g = gate(l, v)           requantized; with a gate, the product with the gate
//              r = add_residual(l, g)   the sum with the stream
//              n = normalize_sum(l, r)  layer norm, if the network has it
//              leave(l, n)              requantized: the residual stream before block l + 1
//   read-out   read()                   what the decoder takes of the stream behind the last block:
//                                       its sum over time or, with task::Scope::kStep, every step
//
// The types of the values passed from step to step are defined by the executor: panels of floats,
// panels of codes, single vectors. Steps are resolved at compile time, so an executor may derive
// from another one and hide the steps in which it differs. The specifications (model/reference.h,
// integer/reference.h) are deliberately independent of this header.
//
// To add an executor, write a class with these steps. For one that computes with codes, CodePanels
// (integer/code_panels.h) has the digital steps; it remains to supply the sites: the products with
// the weights of the encoder, of each recurrence and of each linear layer, and the conversion of
// each product to codes. An executor that places some sites on digital arithmetic and others on
// arrays is a class of sites that forwards each call to one or the other by site and layer
// (example: integer/code_panels_test.cpp). An exporter can emit code from the same steps.
#pragma once

#include <cstddef>

namespace crosstate::model {

/// Norms of an executor whose networks have them folded into the linear layers.
struct FoldedNorms {
  template <class Value>
  static Value normalize(std::size_t, Value v) {
    return v;
  }
  template <class Value>
  static Value normalize_sum(std::size_t, Value v) {
    return v;
  }
};

template <class Executor>
void walk_encoder(Executor& e) {
  e.enter(e.encode(e.input()));
}

/// Block l up to the accumulators of its linear layer, which are returned. Training with batch norm
/// stops here to collect statistics of the whole batch.
template <class Executor>
auto walk_to_norm(Executor& e, std::size_t l) {
  const auto u = e.select(l);
  const auto y = e.recur(l, u);
  const auto a = e.activate(l, y, u);
  return e.linear(l, a);
}

/// The rest of block l, from the accumulators of its linear layer.
template <class Executor, class Value>
void walk_from_norm(Executor& e, std::size_t l, Value z) {
  const auto v = e.normalize(l, z);
  const auto g = e.gate(l, v);
  const auto r = e.add_residual(l, g);
  e.leave(l, e.normalize_sum(l, r));
}

template <class Executor>
void walk_block(Executor& e, std::size_t l) {
  walk_from_norm(e, l, walk_to_norm(e, l));
}

/// One range of time steps through the whole network, for executors that keep the residual stream
/// of one range and carry the states of every layer to the next.
template <class Executor>
void walk_stretch(Executor& e, std::size_t layers) {
  walk_encoder(e);
  for (std::size_t l = 0; l < layers; ++l) walk_block(e, l);
  e.read();
}

/// Whole sequences in ranges of time. e.at(t) selects a range.
template <class Executor, class Stretches>
void walk_stretches(Executor& e, std::size_t layers, const Stretches& stretches) {
  for (const auto& t : stretches) {
    e.at(t);
    walk_stretch(e, layers);
  }
}

/// Whole sequences layer by layer, for executors that keep the residual stream of all ranges of
/// time: the weights of one layer stay in the cache. e.at(t) selects a range.
template <class Executor, class Stretches>
void walk_layers(Executor& e, std::size_t layers, const Stretches& stretches) {
  for (const auto& t : stretches) {
    e.at(t);
    walk_encoder(e);
  }
  for (std::size_t l = 0; l < layers; ++l) {
    for (const auto& t : stretches) {
      e.at(t);
      walk_block(e, l);
      if (l + 1 == layers) e.read();
    }
  }
}

// The adjoint: the same steps in reverse. The argument of each adjoint step is the gradient of the
// result of the forward step of the same name; its result is the gradient of that step's argument.
// recompute(l) first repeats the forward steps whose values after the linear layer were not kept.

/// From the gradient of the residual stream after block l to the gradient of the result of
/// normalize(), which is returned. Training with batch norm stops here to collect sums over the
/// whole batch.
template <class Adjoint>
auto walk_back_to_norm(Adjoint& e, std::size_t l) {
  e.recompute(l);
  e.leave(l);
  e.normalize_sum(l);
  const auto g = e.add_residual(l);
  return e.gate(l, g);
}

/// From there to the gradient of the residual stream before block l. recur() adds the gradient
/// through the recurrence to the result of add_residual().
template <class Adjoint, class Value>
void walk_back_from_norm(Adjoint& e, std::size_t l, Value v) {
  const auto z = e.normalize(l, v);
  const auto a = e.linear(l, z);
  const auto y = e.activate(l, a);
  e.recur(l, y);
}

}  // namespace crosstate::model
