#include "crosstate/base/numbers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kNotANumber = "is not a number";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool begins_with_word(std::string_view text, std::string_view word) {
  return text.size() >= word.size() && std::equal(word.begin(), word.end(), text.begin(),
                                                  [](char a, char b) { return a == lower(b); });
}

std::size_t digits_at(std::string_view text, std::size_t at) {
  const std::size_t end = text.size();
  std::size_t count = 0;
  while (at + count < end && is_digit(text[at + count])) ++count;
  return count;
}

// Whether the whole text is digits with at most one point and an exponent.
bool is_decimal(std::string_view text) {
  std::size_t at = digits_at(text, 0), digits = at;
  if (at < text.size() && text[at] == '.') {
    const std::size_t fraction = digits_at(text, at + 1);
    at += 1 + fraction;
    digits += fraction;
  }
  if (digits == 0) return false;
  if (at < text.size() && lower(text[at]) == 'e') {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    const std::size_t exponent = digits_at(text, at);
    if (exponent == 0) return false;
    at += exponent;
  }
  return at == text.size();
}

// Whether a decimal outside the range of floating point is too large, not too small: its first
// non-zero digit stands for a non-negative power of ten.
bool is_large(std::string_view text) {
  constexpr long long kFar = 1'000'000'000'000'000;
  const std::size_t e = std::min(text.find_first_of("eE"), text.size());
  const std::string_view digits = text.substr(0, e);
  const std::size_t first = digits.find_first_of("123456789");
  if (first == std::string_view::npos) return false;
  const std::size_t point = std::min(digits.find('.'), digits.size());
  long long power = 0;
  if (e < text.size()) {
    std::string_view exponent = text.substr(e + 1);
    const bool negative = exponent.front() == '-';
    if (!is_digit(exponent.front())) exponent.remove_prefix(1);
    for (const char c : exponent) power = std::min(kFar, 10 * power + (c - '0'));
    if (negative) power = -power;
  }
  const auto place = static_cast<long long>(point) - static_cast<long long>(first);
  return power + place - (place > 0 ? 1 : 0) >= 0;
}

// What is wrong with a text that is not a decimal number.
std::string_view fault_of(std::string_view text) {
  if (text.empty()) return "is empty";
  if (text.front() == '+' || text.front() == '-') text.remove_prefix(1);
  if (begins_with_word(text, "nan") || begins_with_word(text, "inf")) return "is not finite";
  if (begins_with_word(text, "0x")) return "is hexadecimal";
  return kNotANumber;
}

}  // namespace

template <class T>
ReadNumber<T> read_number(std::string_view text) {
  text = without_blanks(text);
  std::string_view digits = text;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (!is_decimal(digits)) return {std::nullopt, fault_of(text)};
  T value = 0;
  const char* const end = digits.data() + digits.size();
  const std::errc error = std::from_chars(digits.data(), end, value).ec;
  // The standard library does not set the value if it is out of range, in either direction.
  if (error == std::errc::result_out_of_range) {
    if (is_large(digits)) return {std::nullopt, "is too large"};
    value = 0;
  } else if (error != std::errc{} || !std::isfinite(value)) {
    return {std::nullopt, std::isinf(value) ? "is too large" : kNotANumber};
  }
  return {negative ? -value : value, {}};
}
template ReadNumber<float> read_number<float>(std::string_view text);
template ReadNumber<double> read_number<double>(std::string_view text);

std::string exact_text(double number) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr;
  return {buffer.data(), end};
}

std::string fixed_text(double number, int digits) {
  if (std::isnan(number)) return "-";
  constexpr std::size_t kMost = 320;  // sign, the 309 digits of the largest double, point, and more
  std::string text(kMost + static_cast<std::size_t>(std::max(digits, 0)), '\0');
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number,
                                 std::chars_format::fixed, digits);
  text.resize(static_cast<std::size_t>(end.ptr - text.data()));
  return text;
}

std::string rounded_text(double number, int digits) {
  constexpr std::size_t kMost = 32;  // sign, point, exponent, zeros behind the point
  std::string text(kMost + static_cast<std::size_t>(std::max(digits, 0)), '\0');
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number,
                                 std::chars_format::general, digits);
  text.resize(static_cast<std::size_t>(end.ptr - text.data()));
  return text;
}

bool is_overload(double value) {
  return nearly_equal(std::abs(value), 9.9e37) || nearly_equal(std::abs(value), 9.91e37);
}

void split_numbers(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  bool wanted = true;  // a field is expected, at the beginning and after a comma
  for (std::size_t at = 0; at < line.size();) {
    if (kBlanks.find(line[at]) != std::string_view::npos) {
      ++at;
    } else if (line[at] == ',') {
      if (wanted) fields.push_back(line.substr(at, 0));
      wanted = true;
      ++at;
    } else {
      const std::size_t end = std::min(line.find_first_of(", \t\r", at), line.size());
      fields.push_back(line.substr(at, end - at));
      wanted = false;
      at = end;
    }
  }
}

std::string_view without_blanks(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string_view without_byte_order_mark(std::string_view text, const std::string& where) {
  constexpr std::string_view kUtf8 = "\xEF\xBB\xBF", kUtf16Little = "\xFF\xFE",
                             kUtf16Big = "\xFE\xFF", kUtf32Big("\0\0\xFE\xFF", 4);
  for (const std::string_view mark : {kUtf16Little, kUtf16Big, kUtf32Big}) {
    if (text.starts_with(mark)) fail(where, "is text in UTF-16 or UTF-32, expected ASCII or UTF-8");
  }
  if (text.starts_with(kUtf8)) text.remove_prefix(kUtf8.size());
  return text;
}

bool nearly_equal(double a, double b) {
  // Rounding to binary32 changes a number by at most 2^-24 of its magnitude; several roundings may
  // be combined.
  constexpr double kRounding = 0x1p-21;
  const double larger = std::max(std::abs(a), std::abs(b));
  return std::isfinite(larger) && std::abs(a - b) <= kRounding * larger;
}

bool nearly_within(double a, double low, double high) {
  return (a >= low || nearly_equal(a, low)) && (a <= high || nearly_equal(a, high));
}

}  // namespace crosstate
