// The safetensors container (https://github.com/huggingface/safetensors): tensors and string
// metadata. Tensors of all types are read and written; values are accessible for float32, float64,
// int16, int32 and int64.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace crosstate::formats {

struct Tensor {
  std::string dtype;  // "F32", "F64", "I16", "I32", "I64", "U8", "BF16", ...
  std::vector<std::uint64_t> shape;
  std::string bytes;  // little-endian, row-major

  static Tensor from(const std::vector<float>& values, std::vector<std::uint64_t> shape);
  static Tensor from(const std::vector<double>& values, std::vector<std::uint64_t> shape);
  static Tensor from(const std::vector<std::int16_t>& values, std::vector<std::uint64_t> shape);
  static Tensor from(const std::vector<std::int32_t>& values, std::vector<std::uint64_t> shape);
  static Tensor from(const std::vector<std::int64_t>& values, std::vector<std::uint64_t> shape);
  /// Throws Error (with `where` in the message) unless dtype and shape match.
  std::vector<float> floats(const std::vector<std::uint64_t>& expected_shape,
                            const std::string& where) const;
  std::vector<double> doubles(const std::vector<std::uint64_t>& expected_shape,
                              const std::string& where) const;
  /// T: std::int16_t ("I16"), std::int32_t ("I32") or std::int64_t ("I64").
  template <class T>
  std::vector<T> integers(const std::vector<std::uint64_t>& expected_shape,
                          const std::string& where) const;
};

struct Safetensors {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Throws Error naming the file for a truncated file, a header length beyond the file or over 100
/// MB, invalid JSON, overlapping, unordered or out-of-range offsets, gaps, shapes that do not match
/// their byte counts, and sizes that overflow. Tensors of an unsupported or unknown type are an
/// error only if their values are accessed.
Safetensors read_safetensors(const std::filesystem::path& path);
/// Throws Error (with `where`) naming the first tensor or metadata key of `content` that `known`
/// lacks.
void refuse_unknown(const Safetensors& content, const Safetensors& known, const std::string& where);
/// Parses the bytes of a file, for tests and fuzzing; `where` names the source in errors.
Safetensors parse_safetensors(const std::string& bytes, const std::string& where);
std::string format_safetensors(const Safetensors& content);
/// Written to a temporary file and renamed.
void write_safetensors(const std::filesystem::path& path, const Safetensors& content);

}  // namespace crosstate::formats
