#include "crosstate/exporter/c_network.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <utility>

#include "crosstate/base/error.h"
#include "crosstate/base/version.h"
#include "crosstate/exporter/c_tables.h"
#include "crosstate/exporter/c_text.h"
#include "crosstate/exporter/requantizers.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/code_map.h"
#include "crosstate/integer/reference.h"
#include "crosstate/kernels/scan.h"
#include "crosstate/kernels/state_draws.h"
#include "crosstate/quant/poles.h"

namespace crosstate::exporter {
namespace {

using integer::IntegerBlock;
using integer::IntegerMatrix;
using integer::IntegerNetwork;
using kernels::RoundingMode;

constexpr std::int64_t kMost32 = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kOne = std::int64_t{1} << quant::kPoleFraction;
static_assert(quant::kPoleFraction == 14 && kernels::kStateDrawBits == 14);

std::string number(std::int64_t value) { return c_number(value); }
std::string size(std::size_t value) { return std::to_string(value); }

// A binary floating-point constant; decimal digits would be rounded twice.
std::string hexadecimal(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%a", value);
  return text;
}

std::vector<std::int64_t> wide(const auto& values) { return {values.begin(), values.end()}; }

// Text of a parameter list and of the arguments of its only call.
struct Parameters {
  std::string declared, arguments;

  void add(const std::string& declaration, const std::string& argument) {
    declared += (declared.empty() ? "" : ",\n    ") + declaration;
    arguments += (arguments.empty() ? "" : ",\n        ") + argument;
  }
  // Adds a constant by mode; returns the expression of the entry of mode m inside the function.
  std::string mode(const std::string& name, const Reference& of, const std::string& offset) {
    if (of.is_literal) return of.text;
    if (!of.is_table) {
      add("const " + of.type + " " + name, of.text);
      return name;
    }
    add("const " + of.type + " *restrict " + name, "&" + of.text + "[" + offset + "]");
    return name + "[m]";
  }
};

std::string times(const std::string& a, const std::string& b) {
  return b == "1" ? a : a + " * " + b;
}

class Generator {
 public:
  Generator(const IntegerNetwork& n, const CNetworkOptions& options)
      : n_(n), o_(options), block_(n.blocks.size(), "b"), top_(1, "") {}

  CNetwork run() {
    choose_types();
    const std::string encode = encoder(), recur = recurrence(), mix = pointwise();
    const std::string scores = decoder();
    const std::string step = step_function();
    CNetwork out;
    out.longest = longest_;
    out.header = fill(header(out), o_.prefix);
    out.source = fill(preamble() + top_.arrays() + "\n" + block_tables() + helpers() + encode +
                          recur + mix + step + scores + sensor() + in_floats(),
                      o_.prefix);
    out.table_bytes = top_.bytes() + block_.bytes();
    out.scratch_bytes = scratch_;
    return out;
  }

 private:
  // --- types

  bool shaped() const { return n_.state_rounding == RoundingMode::kNoiseShaped && residues_; }
  bool stochastic() const { return n_.state_rounding == RoundingMode::kStochastic; }
  bool counts_steps() const { return !n_.pool_last || stochastic(); }

  void choose_types() {
    input_ = smallest_type(n_.input.quant_min, n_.input.quant_max);
    residual_ = smallest_type(n_.residual.quant_min, n_.residual.quant_max);
    state_ = smallest_type(-n_.state_limit, n_.state_limit);
    std::int64_t low = 0, high = 0, most_residue = 0;
    for (const IntegerBlock& b : n_.blocks) {
      low = std::min<std::int64_t>(low, b.activation.quant_min);
      high = std::max<std::int64_t>(high, b.activation.quant_max);
      for (const int bits : b.residue_bits)
        most_residue = std::max<std::int64_t>(most_residue, bits);
      modes_ += b.shape.modes();
      widest_ = std::max(widest_, b.shape.size());
      for (std::size_t s = 0; s < b.shape.size(); ++s) {
        most_modes_ = std::max(most_modes_, b.shape.modes(s));
      }
    }
    activation_ = smallest_type(low, high);
    residues_ = most_residue > 0;
    const std::int64_t half = std::int64_t{1} << std::max<std::int64_t>(0, most_residue - 1);
    residue_ = smallest_type(-half, half - 1);
    if (!n_.pool_last) {
      const std::int64_t most = kMost32 / std::max<std::int64_t>(1, magnitude(n_.residual));
      longest_ = static_cast<std::uint64_t>(std::min(most, integer::longest_sequence(n_)));
    }
  }

  static bool fits_32(std::int64_t bound) { return bound <= kMost32; }
  static const char* sum_type(bool narrow) { return narrow ? "int32_t" : "int64_t"; }

  // --- requantizers

  struct Codes {
    RequantizerPlan plan;
    Reference first, second, shift, early, low, high;
  };

  using Bounds = std::function<SumBounds(std::size_t block, std::size_t row)>;

  Codes codes(Tables& tables, const std::string& name, const std::vector<SiteRows>& rows,
              const Bounds& bounds, const std::vector<integer::CodeFormat>& to) {
    Codes c;
    c.plan = plan_requantizers(rows, bounds);
    c.first = tables.table(name + "_first", c.plan.first);
    if (c.plan.two) c.second = tables.table(name + "_second", c.plan.second);
    c.shift = tables.table(name + "_shift", c.plan.shift);
    if (c.plan.shifts_first) c.early = tables.table(name + "_early", c.plan.early);
    std::vector<std::int64_t> low, high;
    for (const integer::CodeFormat& format : to) {
      low.push_back(format.quant_min);
      high.push_back(format.quant_max);
    }
    c.low = tables.scalar(name + "_min", low);
    c.high = tables.scalar(name + "_max", high);
    uses_32_ = uses_32_ || c.plan.in_32_bits;
    uses_64_ = uses_64_ || !c.plan.in_32_bits;
    uses_rounded_ = uses_rounded_ || c.plan.shifts_first;
    return c;
  }

  // An expression, and whether its type is int32_t or smaller.
  struct Sum {
    std::string text;
    bool narrow = true;
  };

  static bool uses_second(const Codes& c) {
    return c.plan.two && !(c.second.is_literal && c.second.text == "0");
  }

  // The code of sums p and q.
  static std::string code(const Codes& c, const Sum& first, const Sum& second,
                          const std::string& index) {
    std::string p = first.text, q = second.text;
    const std::string shift = ", (uint32_t)" + c.shift.at(index) + ", ";
    const std::string range = c.low.text + ", " + c.high.text + ")";
    const bool narrow = c.plan.in_32_bits;
    if (!narrow) {
      p = c.plan.shifts_first ? "rounded(" + p + ", (uint32_t)" + c.early.at(index) + ")"
                              : "(int64_t)" + p;
      q = "(int64_t)" + q;
    } else {
      if (!first.narrow) p = "(int32_t)" + p;
      // Codes of the residual stream are promoted to int, which has 16 bits on some processors.
      if (!second.narrow || q == "u[h]") q = "(int32_t)" + q;
    }
    std::string sum = times(p, c.first.at(index));
    if (uses_second(c)) {
      sum = (sum.find(" * ") == std::string::npos ? sum : "(" + sum + ")") + " + (" +
            times(q, c.second.at(index)) + ")";
    }
    return (narrow ? "code32(" : "code64(") + sum + shift + range;
  }

  // --- products of rows

  // The function that adds products of weights and values of these types.
  std::string dot(const std::string& weight, const std::string& value, bool narrow) {
    const std::string key = weight + " " + value + " " + sum_type(narrow);
    const auto found = dots_.find(key);
    if (found != dots_.end()) return found->second;
    const std::string name = dots_.empty() ? "dot" : "dot_" + size(dots_.size() + 1);
    dots_[key] = name;
    dot_list_.push_back({name, weight, value, narrow});
    return name;
  }

  struct Dot {
    std::string name, weight, value;
    bool narrow = true;
  };

  // The sums on processors with instructions for several products: of bytes with bytes or with 16
  // bits. Helium masks the elements beyond the end; the others leave less than four to the loop.
  std::string wide_products(const Dot& dot) const {
    const std::string weight = dot.weight == "unpacked" ? buffer_type_ : dot.weight;
    const bool bytes = dot.value == "int8_t";
    if (!dot.narrow || weight != "int8_t" || (!bytes && dot.value != "int16_t")) return "";
    const std::string helium =
        bytes ? "    for (; i < count; i += 16u) {\n"
                "        const mve_pred16_t p = vctp8q((uint32_t)(count - i));\n"
                "        sum = vmladavaq_p_s8(sum, vldrbq_z_s8(&w[i], p), vldrbq_z_s8(&x[i], p), "
                "p);\n"
              : "    for (; i < count; i += 8u) {\n"
                "        const mve_pred16_t p = vctp16q((uint32_t)(count - i));\n"
                "        sum = vmladavaq_p_s16(sum, vldrbq_z_s16(&w[i], p), vldrhq_z_s16(&x[i], "
                "p), p);\n";
    const std::string dsp =
        bytes ? "        const uint32_t x_four = word(&x[i]);\n"
                "        sum = __smlad(EVEN(four), EVEN(x_four), sum);\n"
                "        sum = __smlad(ODD(four), ODD(x_four), sum);\n"
              : "        const uint32_t low = word(&x[i]);\n"
                "        const uint32_t high = word(&x[i + 2u]);\n"
                "        const uint32_t even = (low & 0xffffu) | (high << 16);\n"
                "        const uint32_t odd = (low >> 16) | (high & 0xffff0000u);\n"
                "        sum = __smlad(EVEN(four), (int16x2_t)even, sum);\n"
                "        sum = __smlad(ODD(four), (int16x2_t)odd, sum);\n";
    return "#if defined(USE_HELIUM)\n" + helium +
           "    }\n#else\n#if defined(USE_DSP)\n    const size_t fours = count & ~(size_t)3u;\n"
           "    for (; i < fours; i += 4u) {\n        const uint32_t four = word(&w[i]);\n" +
           dsp + "    }\n#endif\n";
  }

  std::string dot_functions() const {
    std::string text;
    bool fast = false;
    for (const Dot& dot : dot_list_) {
      const std::string type = sum_type(dot.narrow), wide = wide_products(dot);
      fast = fast || !wide.empty();
      text += "/* start + w[0] x[0] + ... + w[count - 1] x[count - 1] */\nstatic " + type + " " +
              dot.name + "(" + type + " start, const " + dot.weight + " *restrict w, const " +
              dot.value + " *restrict x,\n    size_t count)\n{\n    " + type +
              " sum = start;\n    size_t i = 0;\n" + wide +
              "    for (; i < count; ++i) {\n        sum += (" + type + ")w[i] * (" + type +
              ")x[i];\n    }\n" + (wide.empty() ? "" : "#endif\n") + "    return sum;\n}\n\n";
    }
    if (!fast) return text;
    return "#ifdef USE_DSP\nstatic uint32_t word(const void *from)\n{\n    uint32_t value;\n"
           "    (void)memcpy(&value, from, sizeof value);\n    return value;\n}\n\n"
           "/* Bytes 0 and 2, or 1 and 3, of a word as two numbers of 16 bits. */\n"
           "#define EVEN(four) __sxtb16((int8x4_t)(four))\n"
           "#define ODD(four) __sxtb16((int8x4_t)(((four) >> 8) | ((four) << 24)))\n#endif\n\n" +
           text;
  }

  void note_stream(const Weights& w) {
    for (const int width : w.widths) {
      (width == 1 ? signs_ : width == 2 ? ternary_ : width == 4 ? nibbles_ : bits_) = true;
    }
  }

  // Statements before a loop over rows, and in the loop; the row is then at `row`.
  struct RowAccess {
    std::string before, inside, row;
  };
  RowAccess rows(const Weights& w, const std::string& name, const std::string& index,
                 const std::string& count, std::size_t most, const std::string& indent) {
    if (!w.in_stream) {
      const std::string begin = count == "1" ? index : index + " * " + count;
      return {"", "", index.empty() ? w.data.text : "&" + w.data.text + "[" + begin + "]"};
    }
    note_stream(w);
    buffer_type_ = buffer_type_ == "int16_t" ? buffer_type_ : w.type;
    scratch_ += most * 2;
    return {"    codes " + name + "_codes = {" + w.data.text + ", 0, 0};\n    unpacked " + name +
                "_row[" + size(most) + "];\n",
            indent + "unpack(&" + name + "_codes, (uint32_t)" + w.width.text + ", (size_t)" +
                count + ", " + name + "_row);\n",
            name + "_row"};
  }

  static std::vector<std::int64_t> row_range(const IntegerMatrix& m, std::size_t begin,
                                             std::size_t end) {
    const auto at = [&](std::size_t row) {
      return m.weight.begin() + static_cast<std::ptrdiff_t>(row * m.columns);
    };
    return {at(begin), at(end)};
  }

  bool rows_fit_32(const IntegerMatrix& m, std::int64_t input) const {
    for (std::size_t o = 0; o < m.rows; ++o) {
      if (!fits_32(integer::row_bound(m, o, input))) return false;
    }
    return true;
  }

  // --- encoder

  std::string encoder() {
    const std::size_t I = n_.inputs, H = n_.channels;
    const std::int64_t input = integer::magnitude(n_.input);
    const bool narrow = rows_fit_32(n_.encoder, input);
    const Weights w = top_.weights("encoder", {wide(n_.encoder.weight)}, {n_.encoder.bits});
    const Reference bias = top_.table("encoder_bias", {n_.encoder.bias});
    const Codes c = codes(top_, "encoder", {{&n_.encoder_codes, 0, H}},
                          [&](std::size_t, std::size_t row) {
                            return SumBounds{integer::row_bound(n_.encoder, row, input), 0};
                          },
                          {n_.residual});
    scratch_ += I * static_cast<std::size_t>(input_.bytes);
    const RowAccess row = rows(w, "encoder", "h", I == 1 ? "1" : size(I) + "u", I, "        ");
    const std::string weight = w.in_stream ? "unpacked" : w.data.type;
    const std::string sum = dot(weight, input_.name, narrow);
    return "static void encode(const int32_t *in, " + std::string(residual_.name) +
           " *u)\n"
           "{\n" +
           row.before + "    " + input_.name + " x[%N%_INPUTS];\n" +
           "    size_t i;\n    size_t h;\n"
           "    for (i = 0; i < (size_t)%N%_INPUTS; ++i) {\n"
           "        x[i] = (" +
           input_.name +
           ")clamp(in[i], %N%_INPUT_MIN, %N%_INPUT_MAX);\n"
           "    }\n"
           "    for (h = 0; h < CHANNELS; ++h) {\n" +
           row.inside + "        const " + sum_type(narrow) + " sum = " + sum + "(" + bias.at("h") +
           ", " + row.row + ", x, (size_t)%N%_INPUTS);\n" + "        u[h] = (" + residual_.name +
           ")" + code(c, {"sum", narrow}, {}, "h") + ";\n    }\n}\n\n";
  }

  // --- recurrence

  // Sums of states fit in 32 bits.
  bool states_fit_32() const {
    const std::int64_t stream = integer::magnitude(n_.residual);
    for (const IntegerBlock& b : n_.blocks) {
      for (std::size_t i = 0; i < b.ar.size(); ++i) {
        const std::int64_t parts =
            std::abs(std::int64_t{b.ar[i]}) + (n_.complex ? std::abs(std::int64_t{b.ai[i]}) : 0);
        // A pole as an increment adds the state times one on both sides.
        const std::int64_t sum =
            (parts + 2 * kOne) * n_.state_limit + (stream << b.input_shift[i]) + 2 * kOne;
        if (!fits_32(sum)) return false;
      }
    }
    return true;
  }

  // The poles as integers times a common power of two or, as increments, times one per mode.
  struct Poles {
    PerBlock re, im, shift;
    std::vector<int> widths;
    int places = 0;  // without increments
    bool increments = false;
  };

  static int width_of(const std::vector<std::int64_t>& re, const std::vector<std::int64_t>& im,
                      int declared) {
    std::int64_t most = 1;
    for (const auto* values : {&re, &im}) {
      for (const std::int64_t v : *values) most = std::max(most, std::abs(v));
    }
    const int width = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(most))) + 1;
    return width > 8 ? 16 : std::max(width, std::min(declared, 8));
  }

  Poles poles() const {
    Poles p;
    std::uint64_t bits = 0;
    for (const IntegerBlock& b : n_.blocks) {
      for (const auto* parts : {&b.ar, &b.ai}) {
        for (const std::int16_t v : *parts) bits |= static_cast<std::uint64_t>(std::int64_t{v});
      }
    }
    p.places = bits == 0 ? 0 : std::countr_zero(bits);
    for (const IntegerBlock& b : n_.blocks) {
      p.re.push_back(wide(b.ar));
      p.im.push_back(wide(b.ai));
      for (PerBlock* parts : {&p.re, &p.im}) {
        for (std::int64_t& v : parts->back()) v /= std::int64_t{1} << p.places;
      }
      p.widths.push_back(width_of(p.re.back(), p.im.back(), b.a_bits));
    }
    const bool coded = n_.scheme && n_.scheme->coding == quant::PoleCoding::kIncrement;
    return coded ? as_increments(std::move(p)) : p;
  }

  // The same poles if their increments do not fit the declared bits.
  Poles as_increments(Poles plain) const {
    Poles p;
    p.increments = true;
    for (const IntegerBlock& b : n_.blocks) {
      for (PerBlock* of : {&p.re, &p.im, &p.shift}) of->emplace_back();
      for (std::size_t i = 0; i < b.ar.size(); ++i) {
        const std::int64_t re = b.ar[i] - kOne, im = n_.complex ? b.ai[i] : 0;
        const auto bits = static_cast<std::uint64_t>(re) | static_cast<std::uint64_t>(im);
        const int places = bits == 0 ? 0 : std::countr_zero(bits);
        p.re.back().push_back(re / (std::int64_t{1} << places));
        p.im.back().push_back(im / (std::int64_t{1} << places));
        p.shift.back().push_back(places);
      }
      p.widths.push_back(width_of(p.re.back(), p.im.back(), b.a_bits));
      if (p.widths.back() > 8) return plain;
    }
    return p;
  }

  // Weights by mode: with packed codes, buffers of one channel that the caller unpacks.
  struct ModeWeights {
    std::string re, im;  // entries inside advance()
    std::string buffers, unpack;
  };
  ModeWeights mode_weights(Parameters& parameters, const std::string& name, const PerBlock& re,
                           const PerBlock& im, const std::vector<int>& widths) {
    ModeWeights out;
    PerBlock parts[] = {re, im};
    const bool streams =
        std::any_of(widths.begin(), widths.end(),
                    [](int width) { return width != 8 && width != 16; }) ||
        std::adjacent_find(widths.begin(), widths.end(), std::not_equal_to<>()) != widths.end();
    if (streams) {
      // One stream with the real parts of a channel before the imaginary ones.
      PerBlock together;
      for (std::size_t l = 0; l < re.size(); ++l) {
        std::vector<std::int64_t> all;
        const model::BlockShape& shape = n_.blocks[l].shape;
        for (std::size_t s = 0; s < shape.size(); ++s) {
          for (const PerBlock& part : parts) {
            if (part[l].empty()) continue;
            for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
              all.push_back(part[l][i]);
            }
          }
        }
        together.push_back(std::move(all));
      }
      const Weights w = block_.weights(name, together, widths);
      note_stream(w);
      buffer_type_ = buffer_type_ == "int16_t" ? buffer_type_ : w.type;
      out.buffers = "    codes " + name + "_codes = {" + w.data.text + ", 0, 0};\n";
      for (const char* part : {"re", "im"}) {
        if (part[0] == 'i' && !n_.complex) continue;
        const std::string buffer = name + "_" + part;
        out.buffers +=
            "    unpacked " + buffer + "[" + size(std::max<std::size_t>(1, most_modes_)) + "];\n";
        out.unpack += "        unpack(&" + name + "_codes, (uint32_t)" + w.width.text +
                      ", count, " + buffer + ");\n";
        parameters.add("const unpacked *restrict " + buffer, buffer);
        scratch_ += most_modes_ * 2;
      }
    } else {
      for (const char* part : {"re", "im"}) {
        if (part[0] == 'i' && !n_.complex) continue;
        const std::string table = name + "_" + part;
        const Weights w = block_.weights(table, part[0] == 'i' ? im : re, widths);
        parameters.add("const " + w.data.type + " *restrict " + table, "&" + w.data.text + "[i]");
      }
    }
    out.re = name + "_re[m]";
    out.im = name + "_im[m]";
    return out;
  }

  std::string recurrence() {
    const bool narrow = states_fit_32();
    const std::string sum = sum_type(narrow), cast = "(" + sum + ")";
    bool outputs_narrow = true, through_narrow = true;
    const std::int64_t stream = integer::magnitude(n_.residual);
    PerBlock shifts, residue, d, counts, channels, cr, ci, table;
    std::vector<std::int64_t> sizes, firsts, bases;
    std::vector<int> c_bits, d_bits;
    std::vector<SiteRows> rows_of;
    std::vector<integer::CodeFormat> to;
    std::size_t modes_before = 0;
    for (const IntegerBlock& b : n_.blocks) {
      shifts.push_back(wide(b.input_shift));
      residue.push_back(wide(b.residue_bits));
      d.push_back(wide(b.d));
      cr.push_back(wide(b.cr));
      ci.push_back(wide(b.ci));
      counts.push_back(wide(b.shape.counts()));
      channels.push_back(wide(b.shape.channels));
      // Codes that do not fit a byte may fit one without the smallest.
      const bool offset = b.activation.quant_max > 127 && b.activation.quant_min < 0 &&
                          b.activation.quant_max - b.activation.quant_min < 256;
      bases.push_back(offset ? b.activation.quant_min : 0);
      table.push_back(wide(b.activation_table));
      for (std::int64_t& v : table.back()) v -= bases.back();
      sizes.push_back(static_cast<std::int64_t>(b.shape.size()));
      firsts.push_back(static_cast<std::int64_t>(modes_before));
      c_bits.push_back(b.c_bits);
      d_bits.push_back(b.d_bits);
      rows_of.push_back({&b.output, 0, b.shape.size()});
      to.push_back(b.ssm_output);
      modes_before += b.shape.modes();
      for (std::size_t s = 0; s < b.shape.size(); ++s) {
        outputs_narrow = outputs_narrow && fits_32(integer::output_bound(n_, b, s));
        through_narrow = through_narrow && fits_32(std::abs(std::int64_t{b.d[s]}) * stream);
      }
    }
    const std::string out_sum = sum_type(outputs_narrow);
    sizes_ = block_.scalar("channels", sizes);
    const Reference first_mode = block_.scalar("first", firsts);
    const std::string first = first_mode.is_literal ? first_mode.text + "u" : first_mode.text;

    Parameters p;
    const Reference mode_counts = block_.table("modes", counts);
    const bool fixed_count = mode_counts.is_literal;
    if (!fixed_count) p.add("size_t count", "count");
    const Poles a = poles();
    const ModeWeights A = mode_weights(p, "a", a.re, a.im, a.widths);
    const std::string a_shift =
        a.increments ? p.mode("a_shift", block_.table("a_shift", a.shift), "i") : "";
    const std::string b_shift = p.mode("b_shift", block_.table("b_shift", shifts), "i");
    const ModeWeights C = mode_weights(p, "c", cr, ci, c_bits);
    std::string r;
    if (shaped()) {
      r = p.mode("residue_bits", block_.table("residue_bits", residue), "i");
    }
    const std::vector<std::string> parts =
        n_.complex ? std::vector<std::string>{"re", "im"} : std::vector<std::string>{"re"};
    for (const std::string& part : parts) {
      p.add(std::string(state_.name) + " *restrict " + part,
            "&state->" + part + "[" + first + " + i]");
      if (!shaped()) continue;
      p.add(std::string(residue_.name) + " *restrict residue_" + part,
            "&state->residue_" + part + "[" + first + " + i]");
    }
    if (stochastic()) {
      p.add("uint32_t mode", "(uint32_t)(" + first + " + i)");
      p.add("uint32_t draw", "draw");
    }
    Parameters many = p;
    p.add(sum + " in", "in");
    many.add("const int32_t *restrict in", "inputs");
    many.add("int32_t *restrict out", "products");

    // The body.
    const std::string one = narrow ? "(uint32_t)1" : "(uint64_t)1";
    const std::string limit = number(n_.state_limit);
    const auto power = [&](const std::string& exponent) {
      return cast + "(" + one + " << " + exponent + ")";
    };
    const auto scaled = [&](const std::string& product) {
      if (a.increments) {
        return "(" + product + ") * " + power(a_shift);
      }
      return a.places == 0 ? product : "(" + product + ") * " + number(std::int64_t{1} << a.places);
    };
    // `input` and `result`: expressions of the input of mode m and of the place of its output.
    const auto body_of = [&](const std::string& input, const std::string& result) {
      std::string body;
      body += "        const " + sum + " x = re[m];\n";
      if (n_.complex) body += "        const " + sum + " y = im[m];\n";
      if (shaped()) {
        body += "        const uint32_t r = (uint32_t)" + r + ";\n" +
                "        /* Half a step of the state and half a step of the residue, where it has "
                "one. */\n" +
                "        const " + sum + " half = 8192 + " + cast + "((8192u >> r) & 8191u);\n" +
                "        const " + sum + " unit = " + power("(14u - r)") + ";\n";
      } else if (stochastic()) {
        body +=
            "        const uint32_t bits = mixed(mixed(0x243f6a88u ^ mixed(mode + (uint32_t)m)) ^ "
            "draw);\n";
      }
      const auto offset = [&](const std::string& part) -> std::string {
        if (shaped()) return "(residue_" + part + "[m] * unit) + half";
        if (!stochastic()) return "8192";
        return part == "re" ? cast + "(bits >> 18)" : cast + "((bits >> 4) & 16383u)";
      };
      const std::string through_one = a.increments ? " * 16384) + " : "";
      const std::string real =
          n_.complex ? "(" + A.re + " * x) - (" + A.im + " * y)" : "(" + A.re + " * x)";
      body += "        const " + sum + " v = " + (a.increments ? "(x" + through_one : "") +
              scaled(real) + " + (" + input + " * " + power(b_shift) + ") + " + offset("re") +
              ";\n";
      if (n_.complex) {
        body += "        const " + sum + " w = " + (a.increments ? "(y" + through_one : "") +
                scaled("(" + A.im + " * x) + (" + A.re + " * y)") + " + " + offset("im") + ";\n";
      }
      const std::string down = narrow ? "down32" : "down64", clamped = narrow ? "clamp" : "clamp64";
      (narrow ? uses_down32_ : uses_down64_) = true;
      uses_clamp64_ = uses_clamp64_ || !narrow;
      for (const std::string& part : parts) {
        const std::string v = part == "re" ? "v" : "w";
        const std::string next = "next_" + part, nearest = "nearest_" + part;
        const std::string shifted = down + "(" + v + ", 14u)";
        const std::string to_state = (narrow ? "" : "(int32_t)") + clamped + "(" +
                                     (shaped() ? nearest : shifted) + ", -" + limit + ", " + limit +
                                     ")";
        if (shaped()) body += "        const " + sum + " " + nearest + " = " + shifted + ";\n";
        body += "        const int32_t " + next + " = " + to_state + ";\n";
      }
      for (const std::string& part : parts) {
        const std::string v = part == "re" ? "v" : "w";
        body += "        " + part + "[m] = (" + state_.name + ")next_" + part + ";\n";
        if (!shaped()) continue;
        body += "        residue_" + part + "[m] = (" + residue_.name + ")((next_" + part +
                " == nearest_" + part + ") ? " + "((int32_t)(((uint32_t)" + v +
                " & 16383u) >> (14u - r)) - (int32_t)((1u << r) >> 1)) : 0);\n";
      }
      const std::string c_cast = outputs_narrow ? "" : "(int64_t)";
      body += "        " + result + "(" + c_cast + C.re + " * next_re)" +
              (n_.complex ? " - (" + c_cast + C.im + " * next_im)" : std::string()) + ";\n";
      return body;
    };

    const std::string count = fixed_count ? mode_counts.text + "u" : "count";
    const std::size_t modes = fixed_count ? most_modes_ : 0;
    const bool tables = A.unpack.empty() && C.unpack.empty();
    const bool equal_sizes = sizes_.is_literal && !stochastic();
    // Loops of 32 modes or more fill vectors of bytes.
    for (std::size_t g = 2; modes > 0 && modes < 32 && narrow && outputs_narrow && tables &&
                            equal_sizes && at_once_ == 1 && g <= widest_;
         g *= 2) {
      if (g * modes >= 32 && widest_ % g == 0) at_once_ = g;
    }
    const std::string group = "(AT_ONCE * " + count + ")";
    std::string text;
    if (at_once_ > 1) {
      text =
          "#ifdef AT_ONCE\n/* Advances the states of several channels by the inputs of their "
          "modes; out is C "
          "times\n * state, mode by mode. */\nstatic void advance_many(\n    " +
          many.declared + ")\n{\n    size_t m;\n    for (m = 0; m < " + group + "; ++m) {\n" +
          body_of("in[m]", "out[m] = ") + "    }\n}\n#else\n";
    }
    text +=
        "/* Advances the states of one channel by its input, and returns the sum of C times state. "
        "*/\nstatic " +
        out_sum + " advance(\n    " + p.declared + ")\n{\n    " + out_sum +
        " sum = 0;\n    size_t m;\n    for (m = 0; m < " + count + "; ++m) {\n" +
        body_of("in", "sum += ") + "    }\n    return sum;\n}\n" +
        (at_once_ > 1 ? "#endif\n\n" : "\n");

    // All channels.
    const Weights D = block_.weights("d", d, d_bits);
    const Codes c = codes(
        block_, "output", rows_of,
        [&](std::size_t l, std::size_t s) {
          const IntegerBlock& b = n_.blocks[l];
          return SumBounds{integer::output_bound(n_, b, s),
                           std::abs(std::int64_t{b.d[s]}) * stream};
        },
        to);
    const Reference activation = block_.array("activation", table);
    const Reference base = block_.scalar("activation_min", bases);
    const std::string entry = "(int32_t)" + activation.text + "[" + minus("y", c.low) + "]";
    const std::string from_table = base.is_literal && base.text == "0"
                                       ? entry
                                       : "(" + entry + " + " + bracketed(base.text) + ")";
    bool whole = true;
    for (const IntegerBlock& b : n_.blocks) whole = whole && b.shape.every_channel(n_.channels);
    const Reference stream_channels =
        whole ? Reference{} : block_.array("stream_channels", channels);
    const RowAccess through = rows(D, "d", "", "1", 1, "        ");
    const std::string d_s = D.in_stream ? "d_row[0]" : D.data.at("s");
    const std::string through_sum = sum_type(through_narrow);
    text +=
        "/* The state-space models of all channels, and the activation. */\n"
        "static void recur(const block_tables *b, %n%_state *state, const " +
        std::string(residual_.name) + " *u, " + activation_.name + " *a)\n{\n" + A.buffers +
        C.buffers + through.before +
        (stochastic() ? "    const uint32_t draw = mixed(state->steps);\n" : "") +
        "    size_t s; /* channel */\n    size_t i = 0; /* first mode of the channel */\n";
    const auto input_of = [&](const std::string& channel) {
      return "u[" + (whole ? channel : stream_channels.at(channel)) + "]";
    };
    const std::string declared =
        (uses_second(c) ? "            " + through_sum + " through;\n" : "") +
        "            int32_t y;\n";
    const std::string tail =
        (uses_second(c) ? "            through = (" + through_sum + ")" + d_s + " * in;\n" : "") +
        "            y = " + code(c, {"sum", outputs_narrow}, {"through", through_narrow}, "s") +
        ";\n            a[s] = (" + activation_.name + ")" + from_table + ";\n";
    const std::string each = sizes_.is_literal ? sizes_.text + "u" : "(size_t)" + sizes_.text;
    if (at_once_ > 1) {
      text += "#ifdef AT_ONCE\n    size_t g;\n    size_t m;\n    for (g = 0; g < " + each +
              "; g += AT_ONCE) {\n        int32_t inputs[AT_ONCE * " + count +
              "];\n        int32_t products[AT_ONCE * " + count + "];\n        for (m = 0; m < " +
              group + "; ++m) {\n            inputs[m] = " + input_of("g + (m / " + count + ")") +
              ";\n        }\n        advance_many(\n        " + many.arguments +
              ");\n        for (s = g; s < (g + AT_ONCE); ++s) {\n" +
              "            const int32_t in = inputs[(s - g) * " + count +
              "];\n            int32_t sum = 0;\n" + declared + through.inside +
              "            for (m = 0; m < " + count +
              "; ++m) {\n                sum += products[((s - g) * " + count +
              ") + m];\n            }\n" + tail + "        }\n        i += " + group +
              ";\n    }\n#else\n";
    }
    text += "    for (s = 0; s < " + each + "; ++s) {\n        const size_t count = " +
            (fixed_count ? count : "(size_t)" + mode_counts.at("s")) +
            ";\n        const int32_t in = " + input_of("s") + ";\n        " + out_sum + " sum;\n" +
            replaced(declared, "            ", "        ") + A.unpack + C.unpack + through.inside +
            "        sum = advance(\n        " + p.arguments + ");\n" +
            replaced(tail, "            ", "        ") + "        i += count;\n    }\n";
    text += at_once_ > 1 ? "#endif\n}\n\n" : "}\n\n";
    return text;
  }

  static std::string bracketed(const std::string& text) {
    return text[0] == '-' ? "(" + text + ")" : text;
  }
  static std::string minus(const std::string& a, const Reference& b) {
    return a + " - " + bracketed(b.text);
  }

  // --- pointwise layer, gate, residual sum

  std::string pointwise() {
    const std::size_t H = n_.channels;
    const std::int64_t stream = integer::magnitude(n_.residual);
    PerBlock value, gate, value_bias, gate_bias, table;
    std::vector<int> bits;
    std::vector<SiteRows> value_rows, gate_rows, sum_rows;
    std::vector<integer::CodeFormat> linear, residual;
    bool narrow = true, branch_narrow = true;
    for (const IntegerBlock& b : n_.blocks) {
      value.push_back(row_range(b.linear_map, 0, H));
      const auto middle = b.linear_map.bias.begin() + static_cast<std::ptrdiff_t>(H);
      value_bias.emplace_back(b.linear_map.bias.begin(), middle);
      bits.push_back(b.linear_map.bits);
      narrow = narrow && rows_fit_32(b.linear_map, integer::magnitude(b.activation));
      sum_rows.push_back({&b.sum, 0, H});
      residual.push_back(n_.residual);
      if (!n_.gated) continue;
      gate.push_back(row_range(b.linear_map, H, 2 * H));
      gate_bias.emplace_back(middle, b.linear_map.bias.end());
      value_rows.push_back({&b.linear_codes, 0, H});
      gate_rows.push_back({&b.linear_codes, H, 2 * H});
      linear.push_back(b.linear);
      table.push_back(wide(b.gate_table));
      branch_narrow = branch_narrow && fits_32(integer::branch_bound(n_, b, 0));
    }
    const std::string S = sizes_.is_literal ? sizes_.text + "u" : "(size_t)" + sizes_.text;
    std::size_t columns = widest_;
    const Weights values = block_.weights("value", value, bits);
    const Reference bias = block_.table("value_bias", value_bias);
    const RowAccess row = rows(values, "value", "h", S, columns, "        ");
    const std::string weight = values.in_stream ? "unpacked" : values.data.type;
    const std::string add = dot(weight, activation_.name, narrow);
    const std::string sum = sum_type(narrow);
    std::string before = row.before, inside = row.inside;
    std::string p;
    const auto row_sum = [&](const RowAccess& of, const Reference& b) {
      return add + "(" + b.at("h") + ", " + of.row + ", a, " + S + ")";
    };
    inside += "        const " + sum + " value = " + row_sum(row, bias) + ";\n";
    if (n_.gated) {
      const Weights gates = block_.weights("gate", gate, bits);
      const Reference gates_bias = block_.table("gate_bias", gate_bias);
      const RowAccess gate_row = rows(gates, "gate", "h", S, columns, "        ");
      before += gate_row.before;
      const auto bounds_from = [&](std::size_t begin) {
        return [this, begin](std::size_t l, std::size_t h) {
          const IntegerBlock& b = n_.blocks[l];
          return SumBounds{
              integer::row_bound(b.linear_map, begin + h, integer::magnitude(b.activation)), 0};
        };
      };
      const Codes z = codes(block_, "value", value_rows, bounds_from(0), linear);
      const Codes g = codes(block_, "gate", gate_rows, bounds_from(H), linear);
      const Reference gate_table = block_.array("gate_table", table);
      const std::string branch = sum_type(branch_narrow);
      inside += "        const int32_t z = " + code(z, {"value", narrow}, {}, "h") + ";\n";
      inside += gate_row.inside;
      inside +=
          "        const int32_t g = " + code(g, {row_sum(gate_row, gates_bias), narrow}, {}, "h") +
          ";\n";
      inside += "        const " + branch + " p = (" + branch + ")z * (" + branch + ")" +
                gate_table.text + "[" + minus("g", g.low) + "];\n";
      p = "p";
    } else {
      p = "value";
      branch_narrow = narrow;
    }
    const Codes c = codes(
        block_, "sum", sum_rows,
        [&](std::size_t l, std::size_t h) {
          return SumBounds{integer::branch_bound(n_, n_.blocks[l], h), stream};
        },
        residual);
    inside += "        u[h] = (" + std::string(residual_.name) + ")" +
              code(c, {p, branch_narrow}, {"u[h]", true}, "h") + ";\n";
    return "/* The pointwise layer" + std::string(n_.gated ? ", the gate" : "") +
           " and the residual sum. */\nstatic void mix(const block_tables *b, const " +
           activation_.name + " *a, " + residual_.name + " *u)\n{\n" + before + "    size_t h;\n" +
           "    for (h = 0; h < CHANNELS; ++h) {\n" + inside + "    }\n}\n\n";
  }

  // --- a step

  std::string step_function() {
    scratch_ += n_.channels * static_cast<std::size_t>(residual_.bytes) +
                widest_ * static_cast<std::size_t>(activation_.bytes);
    std::string pool;
    if (n_.pool_last) {
      pool = "    (void)memcpy(state->last, u, sizeof u);\n";
      if (counts_steps()) pool += "    ++state->steps;\n";
    } else {
      pool =
          "    if (state->steps < %N%_LONGEST) {\n        size_t h;\n        ++state->steps;\n"
          "        for (h = 0; h < CHANNELS; ++h) {\n            state->sum[h] += u[h];\n"
          "        }\n    }\n";
    }
    return "void %n%_reset(%n%_state *state)\n{\n    (void)memset(state, 0, sizeof *state);\n}\n\n"
           "void %n%_step(%n%_state *state, const int32_t in[%N%_INPUTS])\n{\n    " +
           std::string(residual_.name) + " u[CHANNELS]; /* the residual stream */\n    " +
           activation_.name + " a[" + size(widest_) + "]; /* activations */\n    size_t l;\n" +
           "    encode(in, u);\n    for (l = 0; l < (sizeof blocks / sizeof blocks[0]); ++l) {\n"
           "        recur(&blocks[l], state, u, a);\n        mix(&blocks[l], a, u);\n    }\n" +
           pool + "}\n\n";
  }

  // --- scores

  std::string decoder() {
    const std::int64_t stream = integer::magnitude(n_.residual);
    const bool narrow = n_.pool_last && rows_fit_32(n_.decoder, stream);
    const Weights w = top_.weights("decoder", {wide(n_.decoder.weight)}, {n_.decoder.bits});
    const Reference bias = top_.table("decoder_bias", {n_.decoder.bias});
    const Reference first = top_.table("decoder_first", {wide(n_.scores.first)});
    const std::string pooled = n_.pool_last ? "last" : "sum";
    const RowAccess row = rows(w, "decoder", "k", "CHANNELS", n_.channels, "        ");
    const std::string weight = w.in_stream ? "unpacked" : w.data.type;
    const std::string add = dot(weight, n_.pool_last ? residual_.name : "int32_t", narrow);
    // Sums over many steps lose the lowest bits before the product, docs/arithmetic.md.
    const bool early = n_.pool_last ? n_.early_score_shift(1) > 0
                                    : n_.early_score_shift(static_cast<std::int64_t>(longest_)) > 0;
    uses_rounded_ = uses_rounded_ || early;
    std::string places;
    if (early) {
      const int whole = n_.score_steps;
      const std::string shift =
          whole < 0 ? "places - " + std::to_string(-whole) : "places + " + std::to_string(whole);
      places =
          "/* Places that sums over these steps lose before they become scores. */\n"
          "static uint32_t score_places(uint32_t steps)\n{\n"
          "    const uint32_t last = steps > 0u ? steps - 1u : 0u;\n    uint32_t places = " +
          std::to_string(std::max(0, -whole)) + "u;\n    while (last >> (" + shift +
          "u) != 0u) {\n        ++places;\n    }\n    return places;\n}\n\n";
    }
    early_ = early;
    const std::string steps = n_.pool_last ? "1u" : "state->steps";
    const std::string start = n_.pool_last ? (narrow ? bias.at("k") : "(int64_t)" + bias.at("k"))
                                           : "(int64_t)state->steps * " + bias.at("k");
    std::string text = places;
    text += "void %n%_scores(const %n%_state *state, int64_t out[%N%_OUTPUTS])\n{\n" + row.before +
            (early ? "    const uint32_t places = score_places(" + steps + ");\n" : "") +
            "    size_t k;\n    for (k = 0; k < (size_t)%N%_OUTPUTS; ++k) {\n" + row.inside +
            "        const " + sum_type(narrow) + " sum = " + add + "(" + start + ", " + row.row +
            ", state->" + pooled + ", CHANNELS);\n        out[k] = " +
            times(early ? "rounded(sum, places)" : "(int64_t)sum", first.at("k")) +
            ";\n    }\n}\n\n";
    if (o_.classifier) {
      text +=
          "int %n%_class(const %n%_state *state)\n{\n    int64_t scores[%N%_OUTPUTS];\n"
          "    int best = 0;\n    int k;\n    %n%_scores(state, scores);\n"
          "    for (k = 1; k < %N%_OUTPUTS; ++k) {\n        if (scores[k] > scores[best]) {\n"
          "            best = k;\n        }\n    }\n    return best;\n}\n\n";
    }
    return text;
  }

  // --- real values

  std::string sensor() const {
    if (!o_.unit) return "";
    SensorScale s = sensor_scale(*o_.unit / n_.input.scale);
    std::int64_t offset = 0;
    // The input quantizer rounds in binary32. Sensors get exactly its codes where a factor and an
    // offset give them for all values up to the ends of the codes: outside the values from which it
    // is fitted, a factor may be far from the unit.
    constexpr double kLeast = 1 << 16, kMost = 1 << 23;
    const double reach =
        (static_cast<double>(integer::magnitude(n_.input)) + 1) * n_.input.scale / *o_.unit;
    if (reach <= kMost) {
      const auto most = static_cast<std::int32_t>(std::max(kLeast, std::ceil(reach)));
      const auto map = integer::fit_code_map(-most, most, n_.input, [&](std::int32_t value) {
        return integer::input_code(n_.input, static_cast<float>(value * *o_.unit));
      });
      if (map && map->shift > 0) {
        s = {map->factor, map->shift};
        offset = map->bias - (std::int64_t{1} << (map->shift - 1));
      }
    }
    return "int32_t %n%_code(int32_t value)\n{\n    return code64((int64_t)value * " +
           number(s.factor) + (offset == 0 ? "" : " + " + number(offset)) + ", " +
           std::to_string(s.shift) + "u, %N%_INPUT_MIN, %N%_INPUT_MAX);\n}\n\n";
  }

  std::string in_floats() const {
    const float inverse = 1.0f / static_cast<float>(n_.input.scale);
    std::string text =
        "#ifdef %N%_WITH_FLOAT\n"
        "int32_t %n%_code_of(float value)\n{\n"
        "    volatile float product = value * " +
        hexadecimal(inverse) +
        "f; /* rounded before the sum */\n    const float steps = product + 0.5f;\n"
        "    int32_t code;\n"
        "    if (!(steps > (float)%N%_INPUT_MIN)) {\n        return %N%_INPUT_MIN;\n    }\n"
        "    if (steps >= (float)%N%_INPUT_MAX) {\n        return %N%_INPUT_MAX;\n    }\n"
        "    code = (int32_t)steps;\n"
        "    return ((float)code > steps) ? (code - 1) : code;\n}\n\n"
        "void %n%_outputs(const %n%_state *state, float out[%N%_OUTPUTS])\n{\n"
        "    int64_t scores[%N%_OUTPUTS];\n"
        "    double unit = " +
        hexadecimal(std::ldexp(1.0, -n_.scores.shift[0])) + ";\n    size_t k;\n";
    if (early_) {
      text += "    uint32_t places = score_places(" +
              std::string(n_.pool_last ? "1u" : "state->steps") +
              ");\n"
              "    for (; places > 0u; --places) {\n        unit *= 2.0;\n    }\n";
    }
    const std::string steps = n_.pool_last ? "" : " / (double)state->steps";
    text +=
        "    %n%_scores(state, scores);\n    for (k = 0; k < %N%_OUTPUTS; ++k) {\n"
        "        out[k] = (float)((double)scores[k] * unit" +
        steps + ");\n    }\n";
    for (std::size_t k = 0; k < o_.scale.size(); ++k) {
      const std::string at = "out[" + size(k) + "]";
      text += "    " + at + " = (float)(" + hexadecimal(o_.offset[k]) + " + " +
              hexadecimal(o_.scale[k]) + " * (double)" + at + ");\n";
    }
    return text + "}\n#endif\n";
  }

  // --- the parts around these

  std::string block_tables() const {
    std::string text = block_.arrays();
    std::string members = block_.members();
    text += "\n/* What differs between blocks. */\ntypedef struct {\n" +
            (members.empty() ? "    uint8_t none;\n" : members) + "} block_tables;\n\n";
    text += "static const block_tables blocks[" + size(n_.blocks.size()) + "] = {\n";
    for (std::size_t l = 0; l < n_.blocks.size(); ++l) {
      text += "    " + (members.empty() ? "{0}" : block_.initialiser(l)) + ",\n";
    }
    return text + "};\n\n";
  }

  std::string preamble() const {
    return "/* %n%.c: generated by Crosstate " + std::string(kVersion) + " from " + o_.origin +
           ".\n * Integer arithmetic as specified in docs/arithmetic.md of Crosstate. */\n"
           "#include \"%n%.h\"\n\n#include <string.h>\n\n"
           "/* Right shifts of negative numbers must round downwards, as they do on every common "
           "compiler. */\n"
           "typedef char %n%_shifts_round_down[((((int32_t)-3 >> 1) == -2) &&\n"
           "    (((int64_t)-3 >> 1) == -2)) ? 1 : -1];\n\n"
           "/* Instructions for several products at once: Helium, or those of the DSP extension of "
           "Cortex-M.\n * %N%_PORTABLE leaves them out. */\n"
           "#if !defined(%N%_PORTABLE) && defined(__ARM_FEATURE_MVE)\n#include <arm_mve.h>\n"
           "#define USE_HELIUM\n"
           "#elif !defined(%N%_PORTABLE) && defined(__ARM_FEATURE_DSP) && "
           "!defined(__ARM_BIG_ENDIAN)\n"
           "#include <arm_acle.h>\n#define USE_DSP\n#endif\n\n"
           "#define CHANNELS " +
           size(n_.channels) + "u\n\n" +
           (at_once_ > 1
                ? "/* GCC needs long loops for wide vectors: there, this many channels advance at "
                  "once. "
                  "*/\n#if !defined(%N%_PORTABLE) && defined(__GNUC__) && !defined(__clang__) && "
                  "defined(__AVX2__)\n#define AT_ONCE " +
                      size(at_once_) + "u\n#endif\n\n"
                : "");
  }

  std::string helpers() const {
    std::string text =
        "static int32_t clamp(int32_t value, int32_t low, int32_t high)\n{\n"
        "    const int32_t above = (value < low) ? low : value;\n"
        "    return (above > high) ? high : above;\n}\n\n";
    const bool code64 = uses_64_ || o_.unit.has_value();
    if (uses_clamp64_ || code64) {
      text +=
          "static int64_t clamp64(int64_t value, int64_t low, int64_t high)\n{\n"
          "    const int64_t above = (value < low) ? low : value;\n"
          "    return (above > high) ? high : above;\n}\n\n";
    }
    const auto down = [&](const char* bits) {
      return "/* value 2^-places, rounded downwards */\nstatic int" + std::string(bits) +
             "_t down" + bits + "(int" + bits +
             "_t value, uint32_t places)\n{\n    return value >> "
             "places;\n}\n\n";
    };
    if (uses_down32_ || uses_32_) text += down("32");
    if (uses_down64_ || code64 || uses_rounded_) text += down("64");
    if (uses_rounded_) {
      text +=
          "/* value 2^-places, rounded to nearest, ties upwards */\n"
          "static int64_t rounded(int64_t value, uint32_t places)\n{\n"
          "    return down64(value + (int64_t)(((uint64_t)1 << places) >> 1), places);\n}\n\n";
    }
    if (uses_32_) {
      text +=
          "/* sum 2^-places, rounded to nearest, ties upwards, and saturated */\n"
          "static int32_t code32(int32_t sum, uint32_t places, int32_t low, int32_t high)\n{\n"
          "    return clamp(down32(sum + (int32_t)(((uint32_t)1 << places) >> 1), places), low, "
          "high);\n}\n\n";
    }
    if (code64) {
      text +=
          "/* sum 2^-places, rounded to nearest, ties upwards, and saturated */\n"
          "static int32_t code64(int64_t sum, uint32_t places, int32_t low, int32_t high)\n{\n"
          "    return (int32_t)clamp64(down64(sum + (int64_t)(((uint64_t)1 << places) >> 1), "
          "places), low, "
          "high);\n}\n\n";
    }
    if (stochastic()) {
      text +=
          "/* A bijection of words, from which stochastic rounding draws. */\n"
          "static uint32_t mixed(uint32_t x)\n{\n    x ^= x >> 16;\n    x *= 0x7feb352du;\n"
          "    x ^= x >> 15;\n    x *= 0x846ca68bu;\n    return x ^ (x >> 16);\n}\n\n";
    }
    text += unpacking() + dot_functions();
    return text;
  }

  std::string unpacking() const {
    if (!bits_ && !nibbles_ && !ternary_ && !signs_) return "";
    // The stream is kept in variables: a store to `to` might otherwise change it.
    const std::string head = "(codes *from, ",
                      tail =
                          "size_t count, unpacked *restrict to)\n{\n"
                          "    const uint8_t *next = from->next;\n"
                          "    uint32_t held = from->held;\n    uint32_t left = from->left;\n"
                          "    size_t i;\n    for (i = 0; i < count; ++i) {\n",
                      end =
                          "    }\n    from->next = next;\n    from->held = held;\n"
                          "    from->left = left;\n}\n\n";
    std::string text = "typedef " + buffer_type_ +
                       " unpacked; /* unpacked codes */\n\n"
                       "/* A stream of packed codes. */\ntypedef struct {\n"
                       "    const uint8_t *next;\n    uint32_t held;\n    uint32_t left;\n} "
                       "codes;\n\n";
    const auto refill = [](const char* count) {
      return "        if (left == 0u) {\n            held = *next;\n            ++next;\n"
             "            left = " +
             std::string(count) + "u;\n        }\n";
    };
    if (bits_) {
      text +=
          "/* Codes of `width` bits, from the lowest bit of the first byte on, plus "
          "2^(width-1). */\nstatic void unpack_bits" +
          head + "uint32_t width, " + tail +
          "        while (left < width) {\n            held |= (uint32_t)*next << left;\n"
          "            ++next;\n            left += 8u;\n        }\n"
          "        to[i] = (unpacked)((int32_t)(held & (((uint32_t)1 << width) - 1u)) - "
          "(int32_t)((uint32_t)1 << (width - 1u)));\n"
          "        held >>= width;\n        left -= width;\n" +
          end;
    }
    if (nibbles_) {
      text +=
          "/* Codes of 4 bits, the lower half of a byte first, plus 8. */\n"
          "static void unpack_nibbles" +
          head + tail + refill("2") +
          "        to[i] = (unpacked)((int32_t)(held & 15u) - 8);\n"
          "        held >>= 4;\n        --left;\n" +
          end;
    }
    if (ternary_) {
      text +=
          "/* Five codes -1, 0, 1 to a byte; multiplications by 3 bring them out one by one. "
          "*/\nstatic void unpack_ternary" +
          head + tail + refill("5") +
          "        held *= 3u;\n        to[i] = (unpacked)((int32_t)(held >> 8) - 1);\n"
          "        held &= 255u;\n        --left;\n" +
          end;
    }
    if (signs_) {
      text += "/* Codes -1 and 1, a bit each. */\nstatic void unpack_signs" + head + tail +
              refill("8") +
              "        to[i] = (unpacked)((int32_t)((held & 1u) << 1) - 1);\n"
              "        held >>= 1;\n        --left;\n" +
              end;
    }
    // One function for all sites; the last kind needs no condition.
    std::vector<std::pair<std::string, std::string>> kinds;
    if (signs_) kinds.emplace_back("width == 1u", "unpack_signs(from, count, to);\n");
    if (ternary_) kinds.emplace_back("width == 2u", "unpack_ternary(from, count, to);\n");
    if (nibbles_) kinds.emplace_back("width == 4u", "unpack_nibbles(from, count, to);\n");
    if (bits_) kinds.emplace_back("", "unpack_bits(from, width, count, to);\n");
    std::string body;
    if (kinds.size() == 1) {
      body = (bits_ ? "    " : "    (void)width;\n    ") + kinds[0].second;
    } else {
      for (std::size_t k = 0; k < kinds.size(); ++k) {
        const bool last = k + 1 == kinds.size();
        body += k == 0 ? "    " : " else ";
        body += (last ? "{\n        " : "if (" + kinds[k].first + ") {\n        ") +
                kinds[k].second + "    }";
      }
      body += "\n";
    }
    return text +
           "static void unpack(codes *from, uint32_t width, size_t count, unpacked *to)\n{\n" +
           body + "}\n\n";
  }

  std::string header(CNetwork& out) const {
    struct Member {
      std::string type, name;
      std::size_t count;
      int bytes;
    };
    std::vector<Member> members;
    if (!n_.pool_last) members.push_back({"int32_t", "sum", n_.channels, 4});
    const std::size_t modes = std::max<std::size_t>(1, modes_);
    for (const char* part : {"re", "im"}) {
      if (part[0] == 'i' && !n_.complex) continue;
      members.push_back({state_.name, part, modes, state_.bytes});
      if (!shaped()) continue;
      members.push_back({residue_.name, std::string("residue_") + part, modes, residue_.bytes});
    }
    if (n_.pool_last) members.push_back({residual_.name, "last", n_.channels, residual_.bytes});
    std::stable_sort(members.begin(), members.end(),
                     [](const Member& a, const Member& b) { return a.bytes > b.bytes; });
    std::string state;
    std::size_t bytes = 0;
    for (const Member& m : members) {
      state += "    " + m.type + " " + m.name + "[" + size(m.count) + "];\n";
      bytes += m.count * static_cast<std::size_t>(m.bytes);
    }
    if (counts_steps()) {
      state = "    uint32_t steps;\n" + state;
      bytes += 4;
    }
    const std::size_t align = counts_steps() ? 4 : static_cast<std::size_t>(members.front().bytes);
    out.state_bytes = (bytes + align - 1) / align * align;

    std::string text =
        "/* %n%.h: generated by Crosstate " + std::string(kVersion) + " from " + o_.origin +
        ".\n *\n * One step:    %n%_step(&state, codes);\n"
        " * One sequence: %n%_reset(&state), then %n%_step() for every time step, then "
        "%n%_scores().\n * Every instance has a state of its own; nothing else is shared. */\n"
        "#ifndef %N%_H\n#define %N%_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n"
        "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n"
        "#define %N%_INPUTS " +
        size(n_.inputs) + "\n#define %N%_OUTPUTS " + size(n_.outputs) +
        "\n\n/* Range of the codes of inputs; others are replaced by the nearer end. */\n"
        "#define %N%_INPUT_MIN (" +
        number(n_.input.quant_min) + ")\n#define %N%_INPUT_MAX (" + number(n_.input.quant_max) +
        ")\n";
    if (longest_ > 0) {
      text +=
          "\n/* Steps of a sequence that are pooled; the scores stay as they are in later ones. "
          "*/\n#define %N%_LONGEST " +
          std::to_string(longest_) + "u\n";
    }
    if (o_.output_names.size() == n_.outputs) {
      std::string names;
      for (const std::string& name : o_.output_names) {
        names += (names.empty() ? "" : ", ") + c_string(name);
      }
      text +=
          "\n/* Names of the outputs, as an initialiser: const char *names[] = %N%_NAMES; */\n"
          "#define %N%_NAMES {" +
          names + "}\n";
    }
    text += "\ntypedef struct {\n" + state +
            "} %n%_state;\n\n"
            "/* Begins a sequence. */\nvoid %n%_reset(%n%_state *state);\n\n"
            "/* One time step, from the codes of its inputs. */\n"
            "void %n%_step(%n%_state *state, const int32_t in[%N%_INPUTS]);\n\n"
            "/* The scores of the outputs " +
            std::string(n_.every_step  ? "at the last step"
                        : n_.pool_last ? "at the last step"
                                       : "over the steps since the reset") +
            ". */\nvoid %n%_scores(const %n%_state *state, int64_t out[%N%_OUTPUTS]);\n\n";
    if (o_.classifier) {
      text +=
          "/* The first output with the largest score. */\nint %n%_class(const %n%_state "
          "*state);\n\n";
    }
    if (o_.unit) {
      char unit[32];
      std::snprintf(unit, sizeof unit, "%.9g", *o_.unit);
      text += "/* The code of an integer of the sensor, of which one is " + std::string(unit) +
              " in the unit of the network's input. */\nint32_t %n%_code(int32_t value);\n\n";
    }
    char scale[32];
    std::snprintf(scale, sizeof scale, "%.9g", n_.input.scale);
    text +=
        "#ifdef %N%_WITH_FLOAT\n/* The code of a real input, which is the real number divided "
        "by " +
        std::string(scale) +
        ", rounded. */\nint32_t %n%_code_of(float value);\n\n/* The outputs as real numbers" +
        std::string(o_.classifier ? ", logits" : "") +
        "; after at least one step. */\nvoid %n%_outputs(const %n%_state *state, float "
        "out[%N%_OUTPUTS]);\n#endif\n\n"
        "#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
    return text;
  }

  const IntegerNetwork& n_;
  const CNetworkOptions& o_;
  Tables block_, top_;
  CType input_{}, residual_{}, activation_{}, state_{}, residue_{};
  bool residues_ = false, early_ = false;
  bool uses_32_ = false, uses_64_ = false, uses_rounded_ = false;
  bool uses_down32_ = false, uses_down64_ = false, uses_clamp64_ = false;
  bool bits_ = false, nibbles_ = false, ternary_ = false, signs_ = false;
  std::string buffer_type_ = "int8_t";
  Reference sizes_;
  std::map<std::string, std::string> dots_;
  std::vector<Dot> dot_list_;
  std::size_t at_once_ = 1;
  std::size_t modes_ = 0, most_modes_ = 0, widest_ = 0, scratch_ = 0;
  std::uint64_t longest_ = 0;
};

}  // namespace

CNetwork c_network(const IntegerNetwork& network, const CNetworkOptions& options) {
  return Generator(network, options).run();
}

SensorScale sensor_scale(double steps) {
  constexpr int kBits = 31;  // of the factor
  if (!(std::isfinite(steps) && steps > 0)) {
    fail("export.unit", "is not a positive number, expected the real value of one sensor step");
  }
  const int exponent = std::ilogb(steps);
  SensorScale s;
  s.shift = std::clamp(kBits - 2 - exponent, 1, 62);
  const double factor = std::round(std::ldexp(steps, s.shift));
  if (factor < 1 || factor > static_cast<double>(kMost32)) {
    fail("export.unit", "makes one step of the sensor " + std::to_string(steps) +
                            " codes of the input, which no 32-bit factor represents");
  }
  s.factor = static_cast<std::int64_t>(factor);
  return s;
}

}  // namespace crosstate::exporter
