// Numbers as text, as written by instruments, spreadsheets and people.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crosstate {

/// Parses a number: decimal digits with an optional sign, point and exponent, as in 3, -.5 and
/// +1.0E-06; blanks (space, tab, carriage return) around it are skipped. A magnitude too small for
/// T becomes 0. Any other text has no value, and `wrong` is the reason, as in "is not a number". T:
/// float or double.
template <class T>
struct ReadNumber {
  std::optional<T> value;
  std::string_view wrong;
};
template <class T>
ReadNumber<T> read_number(std::string_view text);
extern template ReadNumber<float> read_number<float>(std::string_view text);
extern template ReadNumber<double> read_number<double>(std::string_view text);

/// The shortest text that reads back as the same number; also "inf" and "nan".
std::string exact_text(double number);

/// A number for people, with `digits` digits after the point; "-" for NaN.
std::string fixed_text(double number, int digits);

/// A number rounded to `digits` significant digits, without zeros at the end, with an exponent if
/// it is large or small: %.*g of printf(), but with a point for every setlocale(), as files need
/// it.
std::string rounded_text(double number, int digits);

/// Whether a value is one of those by which instruments (SCPI) report a missing measurement:
/// 9.9E+37 (overload) and 9.91E+37 (not a number), of either sign, as a float or as a double.
bool is_overload(double value);

/// Splits a line of numbers at blanks or commas into `fields`. Two commas enclose a field even if
/// it is empty, so that no missing value goes unnoticed; one comma may end the line.
void split_numbers(std::string_view line, std::vector<std::string_view>& fields);

/// The text without leading and trailing blanks.
std::string_view without_blanks(std::string_view text);

/// The text without the byte order mark (UTF-8) that some editors and spreadsheets write at the
/// beginning of a file. Throws Error with `where` for the marks of UTF-16 and UTF-32.
std::string_view without_byte_order_mark(std::string_view text, const std::string& where);

/// Whether two values (conductances, times, ...) are equal if one of them may have been rounded to
/// binary32, as files and instruments do.
bool nearly_equal(double a, double b);
/// Whether low <= a <= high, up to such a rounding.
bool nearly_within(double a, double low, double high);

}  // namespace crosstate
