#include "crosstate/exporter/c_products.h"

#include <algorithm>

#include "crosstate/exporter/pack.h"

namespace crosstate::exporter {
namespace {

std::string size(std::size_t value) { return std::to_string(value); }

// The number of words of `count` codes, as an expression.
std::string words_of(const std::string& count, int bits) {
  const std::size_t codes = codes_per_word(bits);
  if (count.find_first_not_of("0123456789u") == std::string::npos) {
    return size((std::stoul(count) + codes - 1) / codes) + "u";
  }
  return "((" + count + " + " + size(codes - 1) + "u) / " + size(codes) + "u)";
}

std::string mask_of(int bits) { return size((std::size_t{1} << bits) - 1) + "u"; }

}  // namespace

std::int64_t ProductWriter::extra(const Weights& weights, std::size_t columns, std::int64_t value) {
  if (weights.storage != Storage::kWords) return 0;
  return 3 * word_offset(weights.bits) * static_cast<std::int64_t>(columns) * value;
}

ProductWriter::Dot& ProductWriter::dot(const std::string& weight, int bits, const RowValues& values,
                                       bool narrow) {
  for (Dot& d : dots_) {
    if (d.weight == weight && d.bits == bits && d.value == values.type && d.narrow == narrow &&
        d.arranged == values.arranged) {
      return d;
    }
  }
  const std::string name = dots_.empty() ? "dot" : "dot_" + size(dots_.size() + 1);
  return dots_.emplace_back(Dot{name, weight, values.type, narrow, bits, values.arranged, false});
}

bool ProductWriter::arranges(const Weights& weights, const RowValues& values, bool narrow) {
  // Sums of every second product are kept 8 bits higher.
  constexpr std::int64_t kMost = std::int64_t{1} << 23;
  const auto products = static_cast<std::int64_t>((values.most + 1) / 2);
  return narrow && weights.storage == Storage::kPlain && weights.data.type == "int8_t" &&
         values.type == "int16_t" && products * 128 * values.largest < kMost;
}

std::string ProductWriter::arrange(const RowValues& values) {
  arranges_ = true;
  return "#ifdef USE_DSP\n    arrange(" + values.text + ", " + values.count + ");\n#endif\n";
}

std::string ProductWriter::both(const Weights& first, const Weights& second,
                                const RowValues& values, bool narrow) {
  for (const Weights* w : {&first, &second}) {
    if (w->storage != Storage::kPlain || w->data.type != "int8_t") return "";
  }
  if (!narrow || (values.type != "int8_t" && !values.arranged)) return "";
  Dot& shared = dot("int8_t", 0, values, narrow);
  shared.both = true;
  return shared.name + "_both";
}

RowSums ProductWriter::rows(const Weights& w, const std::string& name, const std::string& index,
                            const RowValues& values, bool narrow) {
  RowSums out;
  out.arguments = ", " + values.text + ", " + values.count + ")";
  const auto row_of = [&](const std::string& elements) {
    const std::string begin = elements == "1u" ? index : index + " * " + elements;
    return index.empty() ? w.data.text : "&" + w.data.text + "[" + begin + "]";
  };
  switch (w.storage) {
    case Storage::kPlain:
      out.row = row_of(values.count);
      out.function = dot(w.data.type, 0, values, narrow).name;
      break;
    case Storage::kWords:
      out.row = row_of(words_of(values.count, w.bits));
      out.function = dot(w.data.type, w.bits, values, narrow).name;
      out.offset = true;
      break;
    case Storage::kStream: {
      const Unpacked u = unpacked(w, name, values.count, values.most);
      out.before = u.before;
      out.inside = u.inside;
      out.row = name + "_row";
      out.function = dot("unpacked", 0, values, narrow).name;
      break;
    }
  }
  return out;
}

std::string ProductWriter::total(const Weights& w, const RowValues& values, bool narrow) {
  if (w.storage != Storage::kWords) return "";
  const std::string type = sum_type(narrow);
  const std::string name = "total_of_" + values.type + (narrow ? "" : "_64");
  totals_[name] =
      "/* x[0] + ... + x[count - 1] */\nstatic " + type + " " + name + "(const " + values.type +
      " *restrict x, size_t count)\n{\n    " + type +
      " sum = 0;\n    size_t i;\n    for (i = 0; i < count; ++i) {\n        sum += x[i];\n"
      "    }\n    return sum;\n}\n\n";
  const std::string sum = name + "(" + values.text + ", " + values.count + ")";
  return "    /* Codes in words are non-negative: their sums exceed those of the weights. */\n"
         "    const " +
         type + " total = " +
         (w.bits == 2 ? sum : size(static_cast<std::size_t>(word_offset(w.bits))) + " * " + sum) +
         ";\n";
}

ProductWriter::Unpacked ProductWriter::unpacked(const Weights& w, const std::string& name,
                                                const std::string& count, std::size_t most) {
  unpacked_type_ = unpacked_type_ == "int16_t" ? unpacked_type_ : w.type;
  scratch_ += most * 2;
  const std::string buffer =
      "    unpacked " + name + "_row[" + size(std::max<std::size_t>(1, most)) + "];\n";
  if (w.storage == Storage::kWords) {
    words_.insert(w.bits);
    const std::string at = name + "_at";
    return {"    size_t " + at + " = 0;\n" + buffer,
            "        unpack_" + size(static_cast<std::size_t>(w.bits)) + "(&" + w.data.text + "[" +
                at + "], " + count + ", " + name + "_row);\n        " + at +
                " += " + words_of(count, w.bits) + ";\n"};
  }
  for (const int width : w.widths) (width == 1 ? signs_ : bits_) = true;
  return {"    codes " + name + "_codes = {" + w.data.text + ", 0, 0};\n" + buffer,
          "        unpack(&" + name + "_codes, (uint32_t)" + w.width.text + ", " + count + ", " +
              name + "_row);\n"};
}

// The sums on processors with instructions for several products: of bytes with bytes or with 16
// bits. Helium masks the elements beyond the end; the others leave less than four to the loop.
std::string ProductWriter::wide_products(const Dot& dot) const {
  const std::string weight = dot.weight == "unpacked" ? unpacked_type_ : dot.weight;
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
      dot.arranged ? "        sum = __smlad(EVEN(four), (int16x2_t)word(&x[i]), sum);\n"
                     "        high = __smlad(HIGH(four), (int16x2_t)word(&x[i + 2u]), high);\n"
      : bytes      ? "        const uint32_t x_four = word(&x[i]);\n"
                     "        sum = __smlad(EVEN(four), EVEN(x_four), sum);\n"
                     "        sum = __smlad(ODD(four), ODD(x_four), sum);\n"
                   : "        const uint32_t low = word(&x[i]);\n"
                     "        const uint32_t high = word(&x[i + 2u]);\n"
                     "        const uint32_t even = (low & 0xffffu) | (high << 16);\n"
                     "        const uint32_t odd = (low >> 16) | (high & 0xffff0000u);\n"
                     "        sum = __smlad(EVEN(four), (int16x2_t)even, sum);\n"
                     "        sum = __smlad(ODD(four), (int16x2_t)odd, sum);\n";
  return "#if defined(USE_HELIUM)\n" + helium + "    }\n#else\n#if defined(USE_DSP)\n" +
         (dot.arranged ? "    int32_t high = 0;\n" : "") +
         "    const size_t fours = count & ~(size_t)3u;\n    for (; i < fours; i += 4u) {\n"
         "        const uint32_t four = word(&w[i]);\n" +
         dsp + "    }\n" + (dot.arranged ? "    sum += high >> 8;\n" : "") + "#endif\n";
}

// Two rows share the values that are read.
std::string ProductWriter::both_rows(const Dot& dot) {
  const std::string values = dot.arranged
                                 ? "        const int16x2_t even = (int16x2_t)word(&x[i]);\n"
                                   "        const int16x2_t odd = (int16x2_t)word(&x[i + 2u]);\n"
                                 : "        const uint32_t x_four = word(&x[i]);\n"
                                   "        const int16x2_t even = EVEN(x_four);\n"
                                   "        const int16x2_t odd = ODD(x_four);\n";
  return "/* Adds the products of two rows with the same values to two sums. */\nstatic void " +
         dot.name +
         "_both(int32_t sums[2], const int8_t *restrict w, const int8_t *restrict v,\n"
         "    const " +
         dot.value +
         " *restrict x, size_t count)\n{\n    size_t i = 0;\n"
         "#if defined(USE_DSP)\n    int32_t first = sums[0];\n    int32_t second = sums[1];\n" +
         (dot.arranged ? "    int32_t first_high = 0;\n    int32_t second_high = 0;\n" : "") +
         "    const size_t fours = count & ~(size_t)3u;\n    for (; i < fours; i += 4u) {\n"
         "        const uint32_t w_four = word(&w[i]);\n"
         "        const uint32_t v_four = word(&v[i]);\n" +
         values + "        first = __smlad(EVEN(w_four), even, first);\n" +
         (dot.arranged ? "        first_high = __smlad(HIGH(w_four), odd, first_high);\n"
                       : "        first = __smlad(ODD(w_four), odd, first);\n") +
         "        second = __smlad(EVEN(v_four), even, second);\n" +
         (dot.arranged ? "        second_high = __smlad(HIGH(v_four), odd, second_high);\n    }\n"
                         "    sums[0] = first + (first_high >> 8);\n"
                         "    sums[1] = second + (second_high >> 8);\n#endif\n"
                       : "        second = __smlad(ODD(v_four), odd, second);\n    }\n"
                         "    sums[0] = first;\n    sums[1] = second;\n#endif\n") +
         "    sums[0] = " + dot.name +
         "(sums[0], &w[i], &x[i], count - i);\n"
         "    sums[1] = " +
         dot.name + "(sums[1], &v[i], &x[i], count - i);\n}\n\n";
}

// The sums of a word of codes with values of 16 bits. A word and its copy 16 bits less one code
// higher hold neighbouring codes at the same places of both halves.
std::string ProductWriter::word_products(const Dot& dot) const {
  if (!dot.narrow || dot.value != "int16_t") return "";
  const std::size_t bits = static_cast<std::size_t>(dot.bits), codes = codes_per_word(dot.bits);
  const std::string mask = dot.bits == 2 ? "0x30003u" : "0xf000fu";
  std::string text = "#if defined(USE_DSP)\n    for (; (i + " + size(codes) +
                     "u) <= count; i += " + size(codes) +
                     "u) {\n        const uint32_t both = (uint32_t)*next | ((uint32_t)*next << " +
                     size(16 - bits) + ");\n        ++next;\n";
  for (std::size_t k = 0; k < codes; k += 2) {
    const std::string at = k == 0 ? "both" : "(both >> " + size(bits * k) + ")";
    text += "        sum = __smlad((int16x2_t)(" + at + " & " + mask + "), (int16x2_t)word(&x[i" +
            (k == 0 ? "" : " + " + size(k) + "u") + "]), sum);\n";
  }
  return text + "    }\n#endif\n";
}

std::string ProductWriter::dots() const {
  std::string text;
  bool bytes = false, fast = false;
  for (const Dot& dot : dots_) {
    const std::string type = sum_type(dot.narrow);
    const std::string wide = dot.bits == 0 ? wide_products(dot) : word_products(dot);
    fast = fast || !wide.empty();
    bytes = bytes || (dot.bits == 0 && !wide.empty());
    const std::string head =
        "static " + type + " " + dot.name + "(" + type + " start, const " + dot.weight +
        " *restrict w, const " + dot.value + " *restrict x,\n    size_t count)\n{\n    " + type +
        " sum = start;\n    size_t i = 0;\n" +
        (dot.bits == 0 ? "" : "    const " + dot.weight + " *next = w;\n") + wide;
    if (dot.bits == 0) {
      text += "/* start + w[0] x[0] + ... + w[count - 1] x[count - 1] */\n" + head +
              "    for (; i < count; ++i) {\n        sum += (" + type + ")w[i] * (" + type +
              ")x[i];\n    }\n" + (wide.empty() ? "" : "#endif\n");
    } else {
      const std::string codes = size(codes_per_word(dot.bits));
      text += "/* start + c[0] x[0] + ... + c[count - 1] x[count - 1] for codes c of " +
              std::to_string(dot.bits) + " bits, " + codes +
              " to a word,\n * the first lowest */\n" + head +
              "    for (; i < count; i += " + codes +
              "u) {\n        uint32_t c = *next;\n        size_t k;\n        ++next;\n"
              "        for (k = 0; (k < " +
              codes + "u) && ((i + k) < count); ++k) {\n            sum += (" + type + ")(c & " +
              mask_of(dot.bits) + ") * (" + type +
              ")x[i + k];\n            c >>= " + std::to_string(dot.bits) + ";\n        }\n    }\n";
    }
    text += "    return sum;\n}\n\n";
    if (dot.both) text += both_rows(dot);
  }
  std::string before;
  if (fast) {
    before =
        "#ifdef USE_DSP\nstatic uint32_t word(const void *from)\n{\n    uint32_t value;\n"
        "    (void)memcpy(&value, from, sizeof value);\n    return value;\n}\n";
    if (bytes) {
      before +=
          "\n/* Bytes 0 and 2, or 1 and 3, of a word as two numbers of 16 bits. */\n"
          "#define EVEN(four) __sxtb16((int8x4_t)(four))\n"
          "#define ODD(four) __sxtb16((int8x4_t)(((four) >> 8) | ((four) << 24)))\n";
    }
    if (arranges_) {
      before +=
          "\n/* Bytes 1 and 3, times 256: an instruction less. */\n"
          "#define HIGH(four) ((int16x2_t)((four) & 0xff00ff00u))\n"
          "\n/* Exchanges the middle two of every four values: they then lie as EVEN() and HIGH() "
          "give\n * weights. */\nstatic void arrange(int16_t *x, size_t count)\n{\n    size_t i;\n"
          "    for (i = 0; (i + 4u) <= count; i += 4u) {\n"
          "        const int16_t second = x[i + 1u];\n        x[i + 1u] = x[i + 2u];\n"
          "        x[i + 2u] = second;\n    }\n}\n";
    }
    before += "#endif\n\n";
  }
  return before + text;
}

std::string ProductWriter::unpacking() const {
  if (!bits_ && !signs_ && words_.empty()) return "";
  std::string text = "typedef " + unpacked_type_ + " unpacked; /* unpacked codes */\n\n";
  for (const int bits : words_) {
    const std::string width = std::to_string(bits), codes = size(codes_per_word(bits));
    text += "/* Codes of " + width + " bits, " + codes + " to a word, the first lowest, plus " +
            std::to_string(word_offset(bits)) + ". */\nstatic void unpack_" + width +
            "(const uint16_t *restrict from, size_t count, unpacked *restrict to)\n{\n"
            "    const uint16_t *next = from;\n    size_t i = 0;\n    while (i < count) {\n"
            "        const size_t end = ((count - i) < " +
            codes + "u) ? count : (i + " + codes +
            "u);\n        uint32_t c = *next;\n        ++next;\n        for (; i < end; ++i) {\n"
            "            to[i] = (unpacked)((int32_t)(c & " +
            mask_of(bits) + ") - " + std::to_string(word_offset(bits)) +
            ");\n            c >>= " + width + ";\n        }\n    }\n}\n\n";
  }
  if (!bits_ && !signs_) return text;
  text +=
      "/* A stream of packed codes. */\ntypedef struct {\n"
      "    const uint8_t *next;\n    uint32_t held;\n    uint32_t left;\n} codes;\n\n";
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
  if (signs_) {
    text += "/* Codes -1 and 1, a bit each. */\nstatic void unpack_signs" + head + tail +
            "        if (left == 0u) {\n            held = *next;\n            ++next;\n"
            "            left = 8u;\n        }\n"
            "        to[i] = (unpacked)((int32_t)((held & 1u) << 1) - 1);\n"
            "        held >>= 1;\n        --left;\n" +
            end;
  }
  const std::string signs = "unpack_signs(from, count, to);\n",
                    several = "unpack_bits(from, width, count, to);\n";
  std::string body = "    " + several;
  if (signs_ && bits_) {
    body =
        "    if (width == 1u) {\n        " + signs + "    } else {\n        " + several + "    }\n";
  } else if (signs_) {
    body = "    (void)width;\n    " + signs;
  }
  return text + "static void unpack(codes *from, uint32_t width, size_t count, unpacked *to)\n{\n" +
         body + "}\n\n";
}

std::string ProductWriter::functions() const {
  std::string text = unpacking();
  for (const auto& [name, definition] : totals_) text += definition;
  return text + dots();
}

}  // namespace crosstate::exporter
