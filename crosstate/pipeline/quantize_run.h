// Post-training quantization of a saved float model: in a given format, or in the best one that a
// search finds.
#pragma once

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "crosstate/cost/memory.h"
#include "crosstate/pipeline/options.h"
#include "crosstate/pipeline/stages.h"
#include "crosstate/ptq/format_search.h"
#include "crosstate/report/report.h"

namespace crosstate::pipeline {

/// Whether RunOptions::quant is the format, or where a search by RunOptions::ptq starts. Bits of
/// single sites that it names stay as they are in both cases.
struct QuantizeRequest {
  bool search = false;
  bool preset_named = false;  // with a search: then the preset names the bits of all sites
};

/// A format of ptq.front.
struct FrontPoint {
  std::string file;  // in the directory of the results
  ptq::FormatCost cost;
  quant::QuantOptions format;
  ptq::Verdict held_out;
  // Of the integer executor on the test set; empty and NaN without one.
  std::vector<double> sums;  // see Task::sums()
  double metric = std::numeric_limits<double>::quiet_NaN();
};

struct QuantizeSummary : PipelineSummary {
  std::string file, set;  // of the model, of the test set
  // On the test set: of a search by the integer executor, otherwise by fake quantization. Without a
  // test set NaN, and no sums.
  double metric = std::numeric_limits<double>::quiet_NaN();  // primary metric
  double loss = std::numeric_limits<double>::quiet_NaN();
  std::vector<double> sums;  // see Task::sums()
  // Likewise, of the float model; only of a search.
  double float_metric = std::numeric_limits<double>::quiet_NaN();
  std::string not_integer;  // the site that keeps the network from being integer; "" for none
  cost::MemorySummary memory;
  StageRecord measured, searched;
  std::optional<ptq::FoundFormat> found;        // only of a search
  std::vector<ptq::Sensitivity> sensitivities;  // likewise
  std::size_t held_out = 0;                     // sequences
  double held_out_float_metric = 0;
  std::vector<FrontPoint> front;  // from the most precise to the smallest
};

/// Writes ptq.safetensors and, if the network can be converted, ptq.integer.safetensors to the
/// directory, and of ptq.front a front-BYTES.safetensors for each format. A search writes the
/// settings of each format to a .toml of the same name. Throws Error for a model
/// that is quantized already or does not fit the data and, with a search, for layer norms, sites in
/// floating point, an empty validation share, and a goal that no format meets. A request to stop
/// ends it before the next pass over a batch
/// (`interrupted`): nothing is measured on the test set then, and it starts over when repeated.
QuantizeSummary quantize_model(const std::string& file, const RunOptions& options,
                               const QuantizeRequest& request, const RunContext& context);

/// The metrics of the test set with "model", "data", "bytes", "memory" and, of a search, "float",
/// "held_out", "quant", "choices", "sensitivity", "front". If interrupted, only "model" and "data".
nlohmann::json to_json(const QuantizeSummary& summary);

/// What was chosen for every site, and why; only of a search.
report::Table choice_table(const QuantizeSummary& summary);

/// The formats of ptq.front; without rows where there are none.
report::Table front_table(const QuantizeSummary& summary);

}  // namespace crosstate::pipeline
