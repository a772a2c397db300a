#include "crosstate/pipeline/quantize_run.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/files.h"
#include "crosstate/base/numbers.h"
#include "crosstate/inference/model.h"
#include "crosstate/integer/convert.h"
#include "crosstate/ptq/judge.h"
#include "crosstate/ptq/round_network.h"

namespace crosstate::pipeline {
namespace {

using nlohmann::json;

// The format as a file of settings. How a network is trained in it is left to other files.
std::string format_toml(const quant::QuantOptions& format, const std::string& model) {
  quant::QuantOptions copy = format;
  FieldList list;
  quant::fields(list, copy);
  std::vector<std::string> of_format;
  for (const Field& field : list.all()) {
    const std::string& key = field.key;
    if (key == "quant.preset" || key == "quant.granularity" || key.ends_with("scales") ||
        (key.find('.') != key.rfind('.') && !key.starts_with("quant.array.") &&
         !key.ends_with(".learned"))) {
      of_format.push_back(key);
    }
  }
  list.use_only(of_format, "a format");
  return "# The format of " + model + ", for --config.\n\nversion = 1\n\n" + list.to_toml();
}

class QuantizeRun {
 public:
  QuantizeRun(const std::string& file, const RunOptions& options, const QuantizeRequest& request,
              const RunContext& context)
      : request_(request),
        saved_(inference::Model::load(file)),
        pipeline_("quantize", context, summary_) {
    if (saved_.quantized()) fail(file, "is already quantized, expected a float model");
    network_ = std::make_unique<model::Network>(*saved_.network());
    network_->fold_norms();
    RunOptions of_model = options;
    of_model.model = network_->options();
    if (request_.search) {
      require_codes(of_model);
    } else {
      require_any_code(of_model.quant);
    }
    pipeline_.load(of_model, saved_.preparation(), file);
    saved_.require_fit(longest_set(), inference::ModelBackend::kFloat);
    summary_.file = file;
    summary_.set = pipeline_.data().test.name;
    if (request_.search) pipeline_.run_before([this] { prepare_search(); });
    if (!summary_.interrupted) pipeline_.begin({file});
  }

  QuantizeSummary run() {
    if (summary_.interrupted) return std::move(summary_);
    std::vector<Stage> list;
    if (request_.search) {
      list.push_back({"sensitivity",
                      "measuring what each site loses",
                      {},
                      [this](const Stage&) { search_->measure(options().ptq); },
                      &summary_.measured});
      list.push_back(
          {"ptq", "searching", {}, [this](const Stage&) { find(); }, &summary_.searched});
      list.push_back({"test", "testing", {}, [this](const Stage&) { test_integers(); }});
      if (options().ptq.front > 0) {
        list.push_back({"front", "measuring a front", {}, [this](const Stage&) { find_front(); }});
      }
    } else {
      list.push_back({"ptq", "choosing the ranges", {}, [this](const Stage&) { quantize(); }});
      list.push_back({"test", "testing", {}, [this](const Stage&) { test(); }});
    }
    pipeline_.run(list);
    return std::move(summary_);
  }

 private:
  const RunOptions& options() const { return pipeline_.options(); }

  // The set whose sequences the network has to process: of data without a test set the training
  // set.
  const data::Dataset& longest_set() const {
    const RunData& data = pipeline_.data();
    return data.test.count > 0 ? data.test : data.training;
  }

  void require_codes(const RunOptions& options) const {
    const std::string site = site_without_codes(options);
    if (!site.empty()) {
      fail("options", site +
                          ", expected codes at every site in a search for a format (ptq.loss, "
                          "ptq.bytes)");
    }
    if (options.model.norm != model::Norm::kNone) {
      fail(saved_.name(), "model.norm = \"" + name_of(options.model.norm) +
                              "\" does not fold into the weights, which a search for a format "
                              "needs");
    }
  }

  static void require_any_code(const quant::QuantOptions& format) {
    const std::vector<quant::SiteBits> sites = quant::bits_of_sites(quant::resolved(format));
    if (std::any_of(sites.begin(), sites.end(),
                    [](const quant::SiteBits& site) { return site.bits > 0; })) {
      return;
    }
    fail("options", "quant.preset = \"" + excerpt(format.preset) +
                        "\" leaves every site in floating point, expected bits of at least one, "
                        "such as quant.weight.bits");
  }

  void prepare_search() {
    const RunData& data = pipeline_.data();
    if (data.validation.count == 0) {
      fail("options",
           "train.validation = 0, expected a share of the training data that is held out, on which "
           "formats are compared");
    }
    ThreadPool& pool = pipeline_.pool();
    batches_ = calibration_batches(data.training, options());
    const ptq::Check check = [this] { pipeline_.leave_if_stopped(); };
    rounder_ = std::make_unique<ptq::NetworkRounder>(*network_, batches_, pool, check);
    some_ = ptq::spread(data.validation, static_cast<std::size_t>(options().ptq.sequences));
    coarse_ = std::make_unique<ptq::Judge>(saved_, some_, pool, check);
    fine_ = std::make_unique<ptq::Judge>(saved_, data.validation, pool, check);
    search_ = std::make_unique<ptq::FormatSearch>(
        *rounder_, options().quant, request_.preset_named, *coarse_, *fine_, longest_set().length,
        ptq::SearchContext{[this](const std::string& what) { pipeline_.say(what); }, check});
    search_->require_possible(options().ptq);
  }

  void find() {
    summary_.found = search_->find(options().ptq);
    summary_.sensitivities = search_->sensitivities();
    summary_.held_out = fine_->sequences();
    summary_.held_out_float_metric = fine_->metric();
    save(summary_.found->network);
    write_file(pipeline_.file("ptq.toml"), format_toml(summary_.found->format, "ptq.safetensors"));
  }

  void find_front() {
    for (const ptq::FoundFormat& found : search_->front(options().ptq.front)) {
      const inference::Model rounded(found.network, saved_.preparation(), saved_.name());
      const std::string name = "front-" + std::to_string(found.cost.bytes);
      FrontPoint point{.file = name + ".safetensors",
                       .cost = found.cost,
                       .format = found.format,
                       .held_out = found.verdict,
                       .sums = {}};
      rounded.save(pipeline_.file(point.file));
      write_file(pipeline_.file(name + ".toml"), format_toml(point.format, point.file));
      if (const data::Dataset& set = pipeline_.data().test; set.count > 0) {
        point.sums = evaluated(rounded, inference::ModelBackend::kInteger).sums;
        point.metric = task::primary_value(set.readout, point.sums);
      }
      summary_.front.push_back(std::move(point));
    }
  }

  void quantize() {
    pipeline_.leave_if_stopped();
    network_->quantize(options().quant, calibration_batches(pipeline_.data().training, options()),
                       pipeline_.pool());
    save(*network_);
  }

  void save(const model::Network& network) {
    const inference::Model rounded(network, saved_.preparation(), saved_.name());
    rounded.save(pipeline_.file("ptq.safetensors"));
    summary_.not_integer = integer::site_in_floating_point(network);
    if (summary_.not_integer.empty()) {
      rounded.to_integers().save(pipeline_.file("ptq.integer.safetensors"));
    }
    summary_.memory = cost::count_memory(network);
  }

  void test() {
    if (pipeline_.data().test.count == 0) return;
    const train::Tally tally = pipeline_.evaluate(*network_, pipeline_.data().test);
    summary_.sums = tally.sums;
    summary_.metric = tally.metric();
    summary_.loss = tally.loss();
  }

  void test_integers() {
    const data::Dataset& set = pipeline_.data().test;
    if (set.count == 0) return;
    const inference::Model rounded(summary_.found->network, saved_.preparation(), saved_.name());
    const inference::Evaluation found = evaluated(rounded, inference::ModelBackend::kInteger);
    summary_.sums = found.sums;
    summary_.metric = task::primary_value(set.readout, found.sums);
    summary_.loss = found.loss;
    summary_.float_metric =
        task::primary_value(set.readout, evaluated(saved_, inference::ModelBackend::kFloat).sums);
  }

  inference::Evaluation evaluated(const inference::Model& model, inference::ModelBackend backend) {
    const data::Dataset& set = pipeline_.data().test;
    const auto predictions = model.predict(set, backend, pipeline_.pool(), pipeline_.stop());
    if (!predictions) Pipeline::leave();
    return inference::evaluate(*predictions, set, model.name());
  }

  QuantizeRequest request_;
  inference::Model saved_;
  QuantizeSummary summary_;
  Pipeline pipeline_;
  std::unique_ptr<model::Network> network_;
  std::vector<data::Batch> batches_;
  data::Dataset some_;
  std::unique_ptr<ptq::NetworkRounder> rounder_;
  std::unique_ptr<ptq::Judge> coarse_, fine_;
  std::unique_ptr<ptq::FormatSearch> search_;
};

json format_json(const quant::QuantOptions& format) {
  quant::QuantOptions copy = format;
  FieldList list;
  quant::fields(list, copy);
  return list.to_json().at("quant");
}

}  // namespace

QuantizeSummary quantize_model(const std::string& file, const RunOptions& options,
                               const QuantizeRequest& request, const RunContext& context) {
  validate(options);
  return QuantizeRun(file, options, request, context).run();
}

json to_json(const QuantizeSummary& summary) {
  const task::Readout& readout = summary.readout;
  const std::string metric = readout.task->primary().name;
  if (summary.interrupted) return json{{"model", summary.file}, {"data", summary.set}};
  json out = json::object();
  if (!summary.sums.empty()) {
    out = readout.task->to_json(readout, summary.sums);
    out["loss"] = summary.loss;
  }
  out.update({{"model", summary.file},
              {"data", summary.set},
              {"integer", summary.not_integer.empty()},
              {"bytes", summary.memory.total()},
              {"memory", cost::to_json(summary.memory)}});
  if (!summary.found) return out;
  const ptq::FoundFormat& found = *summary.found;
  const ptq::Verdict& verdict = found.verdict;
  out["bit_operations"] = found.cost.bit_operations;
  if (!summary.sums.empty()) out["float"] = {{metric, summary.float_metric}};
  out["held_out"] = {{"sequences", summary.held_out},
                     {metric, verdict.metric},
                     {"float_" + metric, summary.held_out_float_metric},
                     {"points_lost", verdict.loss},
                     {"standard_error", verdict.deviation},
                     {"error", verdict.error}};
  out["quant"] = format_json(found.format);
  out["choices"] = json::array();
  for (const ptq::ChosenSite& site : found.sites) {
    json choice = {{"site", site.site}, {"choice", site.choice}, {"error", site.error}};
    if (!site.next.empty()) {
      choice["next"] = {{"choice", site.next},
                        {"error", site.error_of_next},
                        {"bytes_saved", site.bytes_of_next}};
    }
    out["choices"].push_back(std::move(choice));
  }
  out["sensitivity"] = json::array();
  for (const ptq::Sensitivity& s : summary.sensitivities) {
    out["sensitivity"].push_back({{"site", s.site},
                                  {"choice", s.choice},
                                  {"error", s.error},
                                  {"points_lost", s.loss},
                                  {"bytes", s.cost.bytes},
                                  {"bit_operations", s.cost.bit_operations}});
  }
  if (!summary.front.empty()) out["front"] = json::array();
  for (const FrontPoint& point : summary.front) {
    json one = {{"file", point.file},
                {"bytes", point.cost.bytes},
                {"bit_operations", point.cost.bit_operations},
                {"held_out",
                 {{metric, point.held_out.metric},
                  {"points_lost", point.held_out.loss},
                  {"standard_error", point.held_out.deviation},
                  {"error", point.held_out.error}}},
                {"quant", format_json(point.format)}};
    if (!point.sums.empty()) one.update(readout.task->to_json(readout, point.sums));
    out["front"].push_back(std::move(one));
  }
  out["evaluations"] = found.evaluations;
  out["seconds"] = {{"sensitivity", summary.measured.seconds},
                    {"search", summary.searched.seconds},
                    {"total", summary.seconds}};
  return out;
}

report::Table choice_table(const QuantizeSummary& summary) {
  report::Table table{
      "Format",
      {"site", "chosen", "adds error (%)", "next", "would add (%)", "would save (B)"},
      {}};
  if (!summary.found) return table;
  for (const ptq::ChosenSite& site : summary.found->sites) {
    const bool none = site.next.empty();
    table.rows.push_back({site.site, site.choice, fixed_text(100 * site.error, 2),
                          none ? "-" : site.next,
                          none ? "-" : fixed_text(100 * site.error_of_next, 2),
                          none ? "-" : std::to_string(site.bytes_of_next)});
  }
  return table;
}

report::Table front_table(const QuantizeSummary& summary) {
  report::Table table{"Front",
                      {"file", "bytes", "bit operations", "held out: points lost",
                       "test " + summary.readout.task->primary().heading(), "95 % interval"},
                      {}};
  for (const FrontPoint& point : summary.front) {
    const bool tested = !point.sums.empty();
    table.rows.push_back({point.file, std::to_string(point.cost.bytes),
                          std::to_string(point.cost.bit_operations),
                          fixed_text(point.held_out.loss, 2),
                          tested ? summary.readout.task->primary().cell(point.metric) : "-",
                          tested ? interval_text(summary, point.metric) : "-"});
  }
  return table;
}

}  // namespace crosstate::pipeline
