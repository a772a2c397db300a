// A cheap estimate of loss and memory for a choice of bits and size, without training.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <vector>

#include "crosstate/pipeline/data.h"
#include "crosstate/search/genome.h"

namespace crosstate::search {

struct ProxyMeasures {
  double loss = 0, metric = 0;  // on held-out training sequences; primary metric of the task
  double bytes = 0;             // total
};
nlohmann::json to_json(const ProxyMeasures& measures);
/// Throws Error for JSON that is no measures.
ProxyMeasures proxy_measures_from(const nlohmann::json& json);

/// Requantizes a network that was trained with quantization at all sites to other bits,
/// recalibrates the affected ranges on training data, and evaluates it on held-out data.
/// Thread-safe; networks and data are read at the first call.
class Proxy {
 public:
  /// `references` are the files of the networks, one of each size; only the first `sequences`
  /// held-out sequences are used (0: all).
  Proxy(pipeline::RunOptions options, std::vector<std::filesystem::path> references,
        std::size_t sequences, int threads);

  /// Evaluates a candidate that starts from the network of `size`. Returns nothing if stopped.
  /// Throws Error if no sequences are held out, and for an unreadable file.
  std::optional<ProxyMeasures> measure(std::size_t size, const quant::QuantOptions& quant,
                                       const std::function<bool()>& stop);

 private:
  struct Material;
  const Material& material();

  pipeline::RunOptions options_;
  std::vector<std::filesystem::path> references_;
  std::size_t sequences_;
  int threads_;
  std::mutex mutex_;
  std::shared_ptr<const Material> material_;
};

}  // namespace crosstate::search
