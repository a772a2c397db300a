// Memory of a deployed network in bytes, counted site by site.
#pragma once

#include <array>
#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "crosstate/base/named.h"
#include "crosstate/cost/deployment.h"

namespace crosstate::cost {

enum class MemoryKind { kWeights, kBiases, kScales, kTables, kState };
constexpr auto enum_names(MemoryKind) {
  return std::array{Named{"weights", MemoryKind::kWeights}, Named{"biases", MemoryKind::kBiases},
                    Named{"scales", MemoryKind::kScales}, Named{"tables", MemoryKind::kTables},
                    Named{"state", MemoryKind::kState}};
}

struct MemorySite {
  std::string name;  // "layers.0.C"
  MemoryKind kind = MemoryKind::kWeights;
  std::size_t values = 0;
  int bits = 0;  // per value
  std::size_t bytes() const { return (values * static_cast<std::size_t>(bits) + 7) / 8; }
};

struct MemorySummary {
  std::vector<MemorySite> sites;
  std::size_t bytes(MemoryKind kind) const;
  std::size_t bits(MemoryKind kind) const;  // of the values only, without padding to bytes
  std::size_t total() const;
};

/// The memory required by streaming inference, one value per trained or derived number:
/// - weights: the encoder, the discretised A, C (with B folded in), D, the pointwise layers and the
///   decoder, with the bits of their codes, or 32 if not quantized; polar poles as the 16-bit
///   fixed-point numbers that they decode to, unless codes and a table per channel are smaller;
/// - biases: 32 bits each;
/// - scales: 32-bit multiplier and 8-bit shift for every free scale, an 8-bit shift for every power
///   of two; the affine maps of norms that were not folded; 4 bits for the number of residue bits
///   of every mode, unless all have the same;
/// - tables: one entry per code for every activation and gate that is not a ramp, those of poles
///   with 16 bits for each part, and for pruned blocks the indices of their channels and the number
///   of modes of each, 16 bits each;
/// - state: both parts of every mode, for a noise-shaped state also the residue of each part, and
///   the sums of the pooling (32 bits).
/// A float network needs no scales and no tables.
MemorySummary count_memory(const Deployment& deployment);
/// Memory of the network as deployed, with its batch norms folded.
MemorySummary count_memory(const model::Network& network);
/// The same as for the network from which it was converted.
MemorySummary count_memory(const integer::IntegerNetwork& network);

/// {"weights": bytes, "biases": ..., "scales": ..., "tables": ..., "state": ..., "total": ...}
nlohmann::json to_json(const MemorySummary& memory);

}  // namespace crosstate::cost
