#include "crosstate/exporter/c_layers.h"

#include <algorithm>
#include <cstdlib>

#include "crosstate/integer/bounds.h"
#include "crosstate/integer/reference.h"

namespace crosstate::exporter {
namespace {

using integer::IntegerBlock;
using integer::IntegerMatrix;

std::string number(std::size_t value) { return std::to_string(value); }

std::vector<std::int64_t> row_range(const IntegerMatrix& m, std::size_t begin, std::size_t end) {
  const auto at = [&](std::size_t row) {
    return m.weight.begin() + static_cast<std::ptrdiff_t>(row * m.columns);
  };
  return {at(begin), at(end)};
}

// Products of words of codes take values of 16 bits.
const CType& for_products(const Weights& weights, const CType& type) {
  return weights.storage == Storage::kWords && type.bytes == 1 ? smallest_type(-32767, 32767)
                                                               : type;
}

}  // namespace

std::string encoder_function(NetworkWriter& w) {
  const std::size_t inputs = w.n.inputs, channels = w.n.channels;
  const std::int64_t largest = integer::magnitude(w.n.input);
  const Weights weights = w.top.weights("encoder", {wide(w.n.encoder.weight)}, {w.n.encoder.bits},
                                        {{static_cast<std::int64_t>(inputs)}});
  const bool narrow =
      w.rows_fit_32(w.n.encoder, largest, ProductWriter::extra(weights, inputs, largest));
  const Reference bias = w.top.table("encoder_bias", {w.n.encoder.bias});
  const Codes c =
      w.requantizers.add(w.top, "encoder", {{&w.n.encoder_codes, 0, channels}},
                         [&](std::size_t, std::size_t row) {
                           return SumBounds{integer::row_bound(w.n.encoder, row, largest), 0};
                         },
                         {w.n.residual});
  const CType& type = for_products(weights, w.input);
  w.scratch_bytes += inputs * static_cast<std::size_t>(type.bytes);
  RowValues x = {"x", type.name, number(inputs) + "u", inputs, largest};
  x.arranged = ProductWriter::arranges(weights, x, narrow);
  const RowSums rows = w.products.rows(weights, "encoder", "h", x, narrow);
  return "static void encode(const int32_t *in, " + std::string(w.residual.name) + " *u)\n{\n    " +
         type.name + " x[%N%_INPUTS];\n    size_t i;\n    size_t h;\n" + rows.before +
         "    for (i = 0; i < " + x.count + "; ++i) {\n        x[i] = (" + type.name +
         ")clamp(in[i], %N%_INPUT_MIN, %N%_INPUT_MAX);\n    }\n" +
         (x.arranged ? w.products.arrange(x) : "") + w.products.total(weights, x, narrow) +
         "    for (h = 0; h < CHANNELS; ++h) {\n" + rows.inside + "        const " +
         sum_type(narrow) + " sum = " + rows.sum(bias.at("h")) + ";\n        u[h] = (" +
         w.residual.name + ")" + w.requantizers.code(c, {"sum", narrow}, {}, "h") +
         ";\n    }\n}\n\n";
}

std::string pointwise_function(NetworkWriter& w) {
  const std::size_t channels = w.n.channels;
  const std::int64_t stream = integer::magnitude(w.n.residual);
  PerBlock value, gate, value_bias, gate_bias, table, columns;
  std::vector<int> bits;
  std::vector<SiteRows> value_rows, gate_rows, sum_rows;
  std::vector<integer::CodeFormat> linear, residual;
  bool branch_narrow = true;
  for (const IntegerBlock& b : w.n.blocks) {
    value.push_back(row_range(b.linear_map, 0, channels));
    columns.push_back({static_cast<std::int64_t>(b.linear_map.columns)});
    const auto middle = b.linear_map.bias.begin() + static_cast<std::ptrdiff_t>(channels);
    value_bias.emplace_back(b.linear_map.bias.begin(), middle);
    bits.push_back(b.linear_map.bits);
    sum_rows.push_back({&b.sum, 0, channels});
    residual.push_back(w.n.residual);
    if (!w.n.gated) continue;
    gate.push_back(row_range(b.linear_map, channels, 2 * channels));
    gate_bias.emplace_back(middle, b.linear_map.bias.end());
    value_rows.push_back({&b.linear_codes, 0, channels});
    gate_rows.push_back({&b.linear_codes, channels, 2 * channels});
    linear.push_back(b.linear);
    table.push_back(wide(b.gate_table));
    branch_narrow = branch_narrow && fits_32(integer::branch_bound(w.n, b, 0));
  }
  const Weights values = w.block.weights("value", value, bits, columns);
  const Reference bias = w.block.table("value_bias", value_bias);
  Weights gates;
  Reference gates_bias;
  if (w.n.gated) {
    gates = w.block.weights("gate", gate, bits, columns);
    gates_bias = w.block.table("gate_bias", gate_bias);
  }
  // Both halves have the same declared bits, but one of them may have no zeros.
  const bool words = values.storage == Storage::kWords || gates.storage == Storage::kWords;
  w.activation = for_products(values.storage == Storage::kWords ? values : gates, w.activation);
  bool narrow = true;
  for (const IntegerBlock& b : w.n.blocks) {
    const std::int64_t largest = integer::magnitude(b.activation);
    const std::int64_t extra =
        std::max(ProductWriter::extra(values, b.linear_map.columns, largest),
                 words ? ProductWriter::extra(gates, b.linear_map.columns, largest) : 0);
    narrow = narrow && w.rows_fit_32(b.linear_map, largest, extra);
  }
  RowValues a = {"a", w.activation.name, w.channels(), w.widest, 0};
  for (const IntegerBlock& b : w.n.blocks) {
    a.largest = std::max(a.largest, integer::magnitude(b.activation));
  }
  a.arranged = ProductWriter::arranges(values, a, narrow) &&
               (!w.n.gated || ProductWriter::arranges(gates, a, narrow));
  const RowSums row = w.products.rows(values, "value", "h", a, narrow);
  const std::string sum = sum_type(narrow);
  std::string before = row.before, inside = row.inside;
  before += (a.arranged ? w.products.arrange(a) : "") + w.products.total(values, a, narrow);
  const std::string both = w.n.gated ? w.products.both(values, gates, a, narrow) : "";
  if (both.empty()) {
    inside += "        const " + sum + " value = " + row.sum(bias.at("h")) + ";\n";
  }
  std::string p = "value";
  if (w.n.gated) {
    const RowSums gate_row = w.products.rows(gates, "gate", "h", a, narrow);
    before += gate_row.before;
    if (values.storage != Storage::kWords) before += w.products.total(gates, a, narrow);
    const auto bounds_from = [&](std::size_t begin) {
      return [&w, begin](std::size_t l, std::size_t h) {
        const IntegerBlock& b = w.n.blocks[l];
        return SumBounds{
            integer::row_bound(b.linear_map, begin + h, integer::magnitude(b.activation)), 0};
      };
    };
    const Codes z = w.requantizers.add(w.block, "value", value_rows, bounds_from(0), linear);
    const Codes g = w.requantizers.add(w.block, "gate", gate_rows, bounds_from(channels), linear);
    const Reference gate_table = w.block.array("gate_table", table);
    const std::string branch = sum_type(branch_narrow);
    std::string first = "value", second = "gate";
    const std::string second_sum =
        "        const " + sum + " gate = " + gate_row.sum(gates_bias.at("h")) + ";\n";
    if (!both.empty()) {
      first = "sums[0]";
      second = "sums[1]";
      inside += "        int32_t sums[2] = {" + bias.at("h") + ", " + gates_bias.at("h") +
                "};\n        " + both + "(sums, " + row.row + ", " + gate_row.row +
                gate_row.arguments + ";\n";
    }
    inside += "        const int32_t z = " + w.requantizers.code(z, {first, narrow}, {}, "h") +
              ";\n" + gate_row.inside + (both.empty() ? second_sum : "") +
              "        const int32_t g = " + w.requantizers.code(g, {second, narrow}, {}, "h") +
              ";\n        const " + branch + " p = (" + branch + ")z * (" + branch + ")" +
              gate_table.text + "[g - " + bracketed(g.low.text) + "];\n";
    p = "p";
  } else {
    branch_narrow = narrow;
  }
  const Codes c = w.requantizers.add(
      w.block, "sum", sum_rows,
      [&](std::size_t l, std::size_t h) {
        return SumBounds{integer::branch_bound(w.n, w.n.blocks[l], h), stream};
      },
      residual);
  inside += "        u[h] = (" + std::string(w.residual.name) + ")" +
            w.requantizers.code(c, {p, branch_narrow}, {"u[h]", true}, "h") + ";\n";
  return "/* The pointwise layer" + std::string(w.n.gated ? ", the gate" : "") +
         " and the residual sum. */\nstatic void mix(const block_tables *b, " +
         (a.arranged ? "" : "const ") + w.activation.name + " *a, " + w.residual.name +
         " *u)\n{\n" + before + "    size_t h;\n" + "    for (h = 0; h < CHANNELS; ++h) {\n" +
         inside + "    }\n}\n\n";
}

std::string decoder_functions(NetworkWriter& w) {
  const std::int64_t stream = integer::magnitude(w.n.residual);
  const std::size_t channels = w.n.channels;
  const Weights weights = w.top.weights("decoder", {wide(w.n.decoder.weight)}, {w.n.decoder.bits},
                                        {{static_cast<std::int64_t>(channels)}});
  const bool narrow =
      w.n.pool_last &&
      w.rows_fit_32(w.n.decoder, stream, ProductWriter::extra(weights, channels, stream));
  const Reference bias = w.top.table("decoder_bias", {w.n.decoder.bias});
  const Reference first = w.top.table("decoder_first", {wide(w.n.scores.first)});
  const RowValues pooled = {w.n.pool_last ? "state->last" : "state->sum",
                            w.n.pool_last ? w.residual.name : "int32_t", "CHANNELS", channels,
                            stream};
  const RowSums rows = w.products.rows(weights, "decoder", "k", pooled, narrow);
  // Sums over many steps lose the lowest bits before the product, docs/arithmetic.md.
  w.early_scores =
      w.n.early_score_shift(w.n.pool_last ? 1 : static_cast<std::int64_t>(w.longest)) > 0;
  std::string text;
  if (w.early_scores) {
    const int whole = w.n.score_steps;
    const std::string shift =
        whole < 0 ? "places - " + std::to_string(-whole) : "places + " + std::to_string(whole);
    text =
        "/* Places that sums over these steps lose before they become scores. */\n"
        "static uint32_t score_places(uint32_t steps)\n{\n"
        "    const uint32_t last = steps > 0u ? steps - 1u : 0u;\n    uint32_t places = " +
        std::to_string(std::max(0, -whole)) + "u;\n    while (last >> (" + shift +
        "u) != 0u) {\n        ++places;\n    }\n    return places;\n}\n\n";
  }
  const std::string steps = w.n.pool_last ? "1u" : "state->steps";
  const std::string start = w.n.pool_last ? (narrow ? bias.at("k") : "(int64_t)" + bias.at("k"))
                                          : "(int64_t)state->steps * " + bias.at("k");
  const std::string sum = w.early_scores ? w.requantizers.rounded("sum", "places") : "(int64_t)sum";
  text += "void %n%_scores(const %n%_state *state, int64_t out[%N%_OUTPUTS])\n{\n" + rows.before +
          w.products.total(weights, pooled, narrow) +
          (w.early_scores ? "    const uint32_t places = score_places(" + steps + ");\n" : "") +
          "    size_t k;\n    for (k = 0; k < (size_t)%N%_OUTPUTS; ++k) {\n" + rows.inside +
          "        const " + sum_type(narrow) + " sum = " + rows.sum(start) +
          ";\n        out[k] = " + times(sum, first.at("k")) + ";\n    }\n}\n\n";
  if (w.o.classifier) {
    text +=
        "int %n%_class(const %n%_state *state)\n{\n    int64_t scores[%N%_OUTPUTS];\n"
        "    int best = 0;\n    int k;\n    %n%_scores(state, scores);\n"
        "    for (k = 1; k < %N%_OUTPUTS; ++k) {\n        if (scores[k] > scores[best]) {\n"
        "            best = k;\n        }\n    }\n    return best;\n}\n\n";
  }
  return text;
}

}  // namespace crosstate::exporter
