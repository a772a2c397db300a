// Products of rows of weights with values in generated C, and the unpacking of weights.
#pragma once

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "crosstate/exporter/c_tables.h"

namespace crosstate::exporter {

/// Values that a row of weights is multiplied by.
struct RowValues {
  std::string text;       // of the array
  std::string type;       // of an element
  std::string count;      // an expression of type size_t
  std::size_t most;       // elements
  std::int64_t largest;   // magnitude
  bool arranged = false;  // by ProductWriter::arrange()
};

/// How a loop over rows gets the sum of each.
struct RowSums {
  std::string before;  // statements before the loop, after the values are known
  std::string inside;  // statements in the loop
  /// The sum of a row is function(START, row, ...).
  std::string function, row, arguments;
  bool offset = false;

  /// The expression of a sum that begins with `start`.
  std::string sum(const std::string& start) const {
    const bool compound = start.find(' ') != std::string::npos;
    const std::string first = compound ? "(" + start + ")" : start;
    return function + "(" + (offset ? "(" + first + " - total)" : start) + ", " + row + arguments;
  }
};

/// "int32_t" for sums of 32 bits, "int64_t" for others.
inline const char* sum_type(bool narrow) { return narrow ? "int32_t" : "int64_t"; }

class ProductWriter {
 public:
  /// Largest magnitude that intermediate sums of packed rows add to the bound of the sum.
  static std::int64_t extra(const Weights& weights, std::size_t columns, std::int64_t value);

  /// The sums of rows `index` (an expression; "" for the only row) of a table. Rows of words need
  /// total() before.
  RowSums rows(const Weights& weights, const std::string& name, const std::string& index,
               const RowValues& values, bool narrow);
  /// The statement that defines `total`, which sums of rows of words subtract; "" for other
  /// storage.
  std::string total(const Weights& weights, const RowValues& values, bool narrow);

  /// Whether products of these weights want values of 16 bits in the order of arrange().
  static bool arranges(const Weights& weights, const RowValues& values, bool narrow);
  /// The statement that brings values in the order that instructions for several products need.
  std::string arrange(const RowValues& values);
  /// The name of a function (SUMS, ROW, OTHER ROW, VALUES, COUNT) that adds the products of two
  /// rows to an array of two sums, faster than one after the other; "" if there is none.
  std::string both(const Weights& first, const Weights& second, const RowValues& values,
                   bool narrow);

  /// Rows that are unpacked to a buffer one after the other.
  struct Unpacked {
    std::string before, inside;
  };
  /// `most`: of codes in a row. The buffer is NAME_row, or NAME_row[0] for rows of one code.
  Unpacked unpacked(const Weights& weights, const std::string& name, const std::string& count,
                    std::size_t most);

  /// Type of unpacked codes: call after all tables are known.
  const std::string& unpacked_type() const { return unpacked_type_; }
  /// Definitions of all functions that are called.
  std::string functions() const;
  /// Bytes of all buffers.
  std::size_t scratch_bytes() const { return scratch_; }

 private:
  struct Dot {
    std::string name, weight, value;
    bool narrow = true;
    int bits = 0;  // of codes in words; 0: weights are numbers
    bool arranged = false;
    bool both = false;
  };
  Dot& dot(const std::string& weight, int bits, const RowValues& values, bool narrow);
  std::string wide_products(const Dot& dot) const;
  static std::string both_rows(const Dot& dot);
  std::string word_products(const Dot& dot) const;
  std::string dots() const;
  std::string unpacking() const;

  std::vector<Dot> dots_;
  std::map<std::string, std::string> totals_;  // name of the function, its definition
  std::set<int> words_;                        // widths of codes that are unpacked from words
  bool arranges_ = false;
  bool bits_ = false, signs_ = false;  // what streams contain
  std::string unpacked_type_ = "int8_t";
  std::size_t scratch_ = 0;
};

}  // namespace crosstate::exporter
