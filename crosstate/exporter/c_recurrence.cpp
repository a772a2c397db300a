#include "crosstate/exporter/c_recurrence.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <functional>
#include <utility>

#include "crosstate/exporter/pack.h"
#include "crosstate/integer/bounds.h"
#include "crosstate/integer/reference.h"
#include "crosstate/kernels/state_draws.h"
#include "crosstate/quant/poles.h"

namespace crosstate::exporter {
namespace {

using integer::IntegerBlock;

constexpr std::int64_t kOne = std::int64_t{1} << quant::kPoleFraction;
static_assert(quant::kPoleFraction == 14 && kernels::kStateDrawBits == 14);

std::string number(std::int64_t value) { return c_number(value); }
std::string size(std::size_t value) { return std::to_string(value); }

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

// The code at an index of a row of words.
std::string code_in_words(const Weights& w, const std::string& index) {
  const std::string bits = std::to_string(w.bits), codes = size(codes_per_word(w.bits));
  return "((int32_t)(((uint32_t)" + w.data.text + "[" + index + " / " + codes + "u] >> (" + bits +
         "u * (" + index + " % " + codes + "u))) & " + size((std::size_t{1} << w.bits) - 1) +
         "u) - " + number(word_offset(w.bits)) + ")";
}

class Recurrence {
 public:
  explicit Recurrence(NetworkWriter& writer) : w_(writer), n_(writer.n) {}

  std::string run() {
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
    const Reference first_mode = w_.block.scalar("first", firsts);
    const std::string first = first_mode.is_literal ? first_mode.text + "u" : first_mode.text;

    Parameters p;
    const Reference mode_counts = w_.block.table("modes", counts);
    fixed_count_ = mode_counts.is_literal;
    if (!fixed_count_) p.add("size_t count", "count");
    const Poles a = poles();
    const ModeWeights A = mode_weights(p, "a", a.re, a.im, a.widths);
    const std::string a_shift =
        a.increments ? p.mode("a_shift", w_.block.table("a_shift", a.shift), "i") : "";
    const std::string b_shift = p.mode("b_shift", w_.block.table("b_shift", shifts), "i");
    const ModeWeights C = mode_weights(p, "c", cr, ci, c_bits);
    std::string r;
    if (w_.shaped()) {
      r = p.mode("residue_bits", w_.block.table("residue_bits", residue), "i");
    }
    const std::vector<std::string> parts =
        n_.complex ? std::vector<std::string>{"re", "im"} : std::vector<std::string>{"re"};
    for (const std::string& part : parts) {
      p.add(std::string(w_.state.name) + " *restrict " + part,
            "&state->" + part + "[" + first + " + i]");
      if (!w_.shaped()) continue;
      p.add(std::string(w_.residue.name) + " *restrict residue_" + part,
            "&state->residue_" + part + "[" + first + " + i]");
    }
    if (w_.stochastic()) {
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
      if (w_.shaped()) {
        body += "        const uint32_t r = (uint32_t)" + r + ";\n" +
                "        /* Half a step of the state and half a step of the residue, where it has "
                "one. */\n" +
                "        const " + sum + " half = 8192 + " + cast + "((8192u >> r) & 8191u);\n" +
                "        const " + sum + " unit = " + power("(14u - r)") + ";\n";
      } else if (w_.stochastic()) {
        body +=
            "        const uint32_t bits = mixed(mixed(0x243f6a88u ^ mixed(mode + (uint32_t)m)) ^ "
            "draw);\n";
      }
      const auto offset = [&](const std::string& part) -> std::string {
        if (w_.shaped()) return "(residue_" + part + "[m] * unit) + half";
        if (!w_.stochastic()) return "8192";
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
      w_.requantizers.use_down(narrow);
      if (!narrow) w_.requantizers.use_clamp64();
      for (const std::string& part : parts) {
        const std::string v = part == "re" ? "v" : "w";
        const std::string next = "next_" + part, nearest = "nearest_" + part;
        const std::string shifted = down + "(" + v + ", 14u)";
        const std::string to_state = (narrow ? "" : "(int32_t)") + clamped + "(" +
                                     (w_.shaped() ? nearest : shifted) + ", -" + limit + ", " +
                                     limit + ")";
        if (w_.shaped()) body += "        const " + sum + " " + nearest + " = " + shifted + ";\n";
        body += "        const int32_t " + next + " = " + to_state + ";\n";
      }
      for (const std::string& part : parts) {
        const std::string v = part == "re" ? "v" : "w";
        body += "        " + part + "[m] = (" + w_.state.name + ")next_" + part + ";\n";
        if (!w_.shaped()) continue;
        body += "        residue_" + part + "[m] = (" + w_.residue.name + ")((next_" + part +
                " == nearest_" + part + ") ? " + "((int32_t)(((uint32_t)" + v +
                " & 16383u) >> (14u - r)) - (int32_t)(((uint32_t)1 << r) >> 1)) : 0);\n";
      }
      const std::string c_cast = outputs_narrow ? "" : "(int64_t)";
      body += "        " + result + "(" + c_cast + C.re + " * next_re)" +
              (n_.complex ? " - (" + c_cast + C.im + " * next_im)" : std::string()) + ";\n";
      return body;
    };

    const std::string count = fixed_count_ ? mode_counts.text + "u" : "count";
    const std::size_t modes = fixed_count_ ? w_.most_modes : 0;
    const bool tables = A.unpack.empty() && C.unpack.empty();
    const bool equal_sizes = w_.sizes.is_literal && !w_.stochastic();
    // Loops of 32 modes or more fill vectors of bytes.
    for (std::size_t g = 2; modes > 0 && modes < 32 && narrow && outputs_narrow && tables &&
                            equal_sizes && w_.at_once == 1 && g <= w_.widest;
         g *= 2) {
      if (g * modes >= 32 && w_.widest % g == 0) w_.at_once = g;
    }
    const std::string group = "(AT_ONCE * " + count + ")";
    std::string text;
    if (w_.stochastic()) {
      text =
          "/* A bijection of words, from which stochastic rounding draws. */\n"
          "static uint32_t mixed(uint32_t seed)\n{\n    uint32_t x = seed ^ (seed >> 16);\n"
          "    x *= 0x7feb352du;\n    x ^= x >> 15;\n    x *= 0x846ca68bu;\n"
          "    return x ^ (x >> 16);\n}\n\n";
    }
    if (w_.at_once > 1) {
      text +=
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
        (w_.at_once > 1 ? "#endif\n\n" : "\n");

    // All channels.
    PerBlock channel_counts;
    for (const std::int64_t of_block : sizes) channel_counts.push_back({of_block});
    const Weights D = w_.block.weights("d", d, d_bits, channel_counts);
    const Codes c = w_.requantizers.add(
        w_.block, "output", rows_of,
        [&](std::size_t l, std::size_t s) {
          const IntegerBlock& b = n_.blocks[l];
          return SumBounds{integer::output_bound(n_, b, s),
                           std::abs(std::int64_t{b.d[s]}) * stream};
        },
        to);
    const Reference activation = w_.block.array("activation", table);
    const Reference base = w_.block.scalar("activation_min", bases);
    const std::string entry = "(int32_t)" + activation.text + "[y - " + bracketed(c.low.text) + "]";
    const std::string from_table = base.is_literal && base.text == "0"
                                       ? entry
                                       : "(" + entry + " + " + bracketed(base.text) + ")";
    bool whole = true;
    for (const IntegerBlock& b : n_.blocks) whole = whole && b.shape.every_channel(n_.channels);
    const Reference stream_channels =
        whole ? Reference{} : w_.block.array("stream_channels", channels);
    ProductWriter::Unpacked through;
    if (D.storage == Storage::kStream) through = w_.products.unpacked(D, "d", "(size_t)1", 1);
    const std::string d_s = D.storage == Storage::kPlain    ? "(int32_t)" + D.data.at("s")
                            : D.storage == Storage::kStream ? "(int32_t)d_row[0]"
                                                            : code_in_words(D, "s");
    const std::string through_sum = sum_type(through_narrow);
    text +=
        "/* The state-space models of all channels, and the activation. */\n"
        "static void recur(const block_tables *b, %n%_state *state, const " +
        std::string(w_.residual.name) + " *u, " + w_.activation.name + " *a)\n{\n" + A.buffers +
        C.buffers + through.before +
        (w_.stochastic() ? "    const uint32_t draw = mixed(state->steps);\n" : "") +
        "    size_t s; /* channel */\n    size_t i = 0; /* first mode of the channel */\n";
    const auto input_of = [&](const std::string& channel) {
      return "u[" + (whole ? channel : stream_channels.at(channel)) + "]";
    };
    const std::string declared =
        (c.uses_second() ? "            " + through_sum + " through;\n" : "") +
        "            int32_t y;\n";
    const std::string tail =
        (c.uses_second() ? "            through = " +
                               std::string(through_narrow ? "" : "(int64_t)") + d_s + " * in;\n"
                         : "") +
        "            y = " +
        w_.requantizers.code(c, {"sum", outputs_narrow}, {"through", through_narrow}, "s") +
        ";\n            a[s] = (" + w_.activation.name + ")" + from_table + ";\n";
    const std::string each = w_.sizes.is_literal ? w_.sizes.text + "u" : "(size_t)" + w_.sizes.text;
    if (w_.at_once > 1) {
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
            (fixed_count_ ? count : "(size_t)" + mode_counts.at("s")) +
            ";\n        const int32_t in = " + input_of("s") + ";\n        " + out_sum + " sum;\n" +
            replaced(declared, "            ", "        ") + A.unpack + C.unpack + through.inside +
            "        sum = advance(\n        " + p.arguments + ");\n" +
            replaced(tail, "            ", "        ") + "        i += count;\n    }\n";
    text += w_.at_once > 1 ? "#endif\n}\n\n" : "}\n\n";
    return text;
  }

 private:
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

  // Weights by mode: with packed codes, a buffer of one channel that the caller unpacks, the real
  // parts before the imaginary ones.
  struct ModeWeights {
    std::string re, im;  // entries inside advance()
    std::string buffers, unpack;
  };
  ModeWeights mode_weights(Parameters& parameters, const std::string& name, const PerBlock& re,
                           const PerBlock& im, const std::vector<int>& widths) {
    ModeWeights out;
    const bool packed =
        (widths[0] != 8 && widths[0] != 16) ||
        std::adjacent_find(widths.begin(), widths.end(), std::not_equal_to<>()) != widths.end();
    if (packed) {
      const std::size_t parts = n_.complex ? 2 : 1;
      PerBlock together, columns;
      for (std::size_t l = 0; l < re.size(); ++l) {
        std::vector<std::int64_t> all, of_channel;
        const model::BlockShape& shape = n_.blocks[l].shape;
        for (std::size_t s = 0; s < shape.size(); ++s) {
          for (const PerBlock* part : {&re, &im}) {
            if (part == &im && !n_.complex) continue;
            for (std::size_t i = shape.first[s]; i < shape.first[s + 1]; ++i) {
              all.push_back((*part)[l][i]);
            }
          }
          of_channel.push_back(static_cast<std::int64_t>(parts * shape.modes(s)));
        }
        together.push_back(std::move(all));
        columns.push_back(std::move(of_channel));
      }
      const Weights w = w_.block.weights(name, together, widths, columns);
      const std::string count = fixed_count_ ? size(parts * w_.most_modes) + "u"
                                : n_.complex ? "(2u * count)"
                                             : "count";
      const ProductWriter::Unpacked u = w_.products.unpacked(w, name, count, parts * w_.most_modes);
      out.buffers = u.before;
      out.unpack = u.inside;
      parameters.add("const unpacked *restrict " + name + "_re", name + "_row");
      if (n_.complex) {
        parameters.add("const unpacked *restrict " + name + "_im", "&" + name + "_row[count]");
      }
    } else {
      for (const char* part : {"re", "im"}) {
        if (part[0] == 'i' && !n_.complex) continue;
        const std::string table = name + "_" + part;
        const Weights w = w_.block.weights(table, part[0] == 'i' ? im : re, widths, {});
        parameters.add("const " + w.data.type + " *restrict " + table, "&" + w.data.text + "[i]");
      }
    }
    out.re = name + "_re[m]";
    out.im = name + "_im[m]";
    return out;
  }

  NetworkWriter& w_;
  const integer::IntegerNetwork& n_;
  bool fixed_count_ = false;  // all channels have the same number of modes
};

}  // namespace

std::string recurrence_functions(NetworkWriter& writer) { return Recurrence(writer).run(); }

}  // namespace crosstate::exporter
