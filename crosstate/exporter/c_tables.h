// Constants of generated C that may differ between blocks. Where all blocks agree, a literal takes
// the place of a table or of a member of the structure that describes a block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "crosstate/exporter/c_text.h"

namespace crosstate::exporter {

/// Values of one constant in every block.
using PerBlock = std::vector<std::vector<std::int64_t>>;

/// How generated code refers to a constant.
struct Reference {
  std::string text;       // a literal, or an expression
  std::string type;       // of an entry
  bool is_table = false;  // text is a pointer to entries
  bool is_literal = false;

  /// The entry of an index.
  std::string at(const std::string& index) const {
    return is_table ? text + "[" + index + "]" : text;
  }
};

/// How weights are stored.
enum class Storage {
  kPlain,   // an integer type for each
  kWords,   // rows of words of 16 bits, see in_words()
  kStream,  // one stream of packed codes, see in_stream()
};

/// A table of weights.
struct Weights {
  Reference data;
  Storage storage = Storage::kPlain;
  std::string type;         // of a code once it is read
  int bits = 0;             // kWords: of a code
  Reference width;          // kStream: packed_bits() of the codes
  std::vector<int> widths;  // kStream: those that occur
};

class Tables {
 public:
  /// `structure`: expression of the structure that describes a block ("b"); "" for constants that
  /// exist once.
  Tables(std::size_t blocks, std::string structure)
      : blocks_(blocks), structure_(std::move(structure)) {}

  /// One value per block.
  Reference scalar(const std::string& name, const std::vector<std::int64_t>& values);
  /// Values by index; a table only where they differ within a block.
  Reference table(const std::string& name, const PerBlock& values);
  /// A table in any case, of the given type or the smallest that holds all values.
  Reference array(const std::string& name, const PerBlock& values, const CType* type = nullptr);
  /// Weights with the declared bits of each block; `columns`: codes of a row, by block and row, or
  /// one number for all rows of a block.
  Weights weights(const std::string& name, const PerBlock& codes, const std::vector<int>& widths,
                  const PerBlock& columns);

  /// Definitions of all arrays.
  const std::string& arrays() const { return arrays_; }
  /// Members of the structure, one line each; "" if there are none.
  std::string members() const;
  /// The initialiser of a block's structure.
  std::string initialiser(std::size_t block) const;
  /// Bytes of all constants, without those that are part of the code.
  std::size_t bytes() const { return bytes_; }

 private:
  struct Member {
    std::string declaration;
    std::vector<std::string> values;  // [blocks]
  };
  std::string array_name(const std::string& name, std::size_t block) const;

  std::size_t blocks_;
  std::string structure_, arrays_;
  std::vector<Member> members_;
  std::size_t bytes_ = 0;
};

}  // namespace crosstate::exporter
