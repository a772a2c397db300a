// Numbers as text, the way instruments, spreadsheets and people write them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crosstate {

/// The number that `text` is: decimal digits with an optional sign, point and exponent, as in 3,
/// -.5 and +1.0E-06; blanks (space, tab, carriage return) around it are skipped. A magnitude too
/// small for T is 0. Anything else gives no value: `wrong` then says why, as in "is not a number".
/// T: float or double.
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

/// Whether a value is one of those by which instruments (SCPI) say that they have measured none:
/// 9.9E+37 (overload) and 9.91E+37 (not a number), of either sign, as a float or as a double.
bool is_overload(double value);

/// Fills `fields` with the parts of a line of numbers between blanks or commas. What lies between
/// two commas is a field even where it is empty, so that no value can be missing unseen; one comma
/// may end the line.
void split_numbers(std::string_view line, std::vector<std::string_view>& fields);

/// The same text without blanks at both ends.
std::string_view without_blanks(std::string_view text);

/// The same text without the byte order mark (UTF-8) that some editors and spreadsheets begin a
/// file with. Throws Error with `where` for the marks of UTF-16 and UTF-32.
std::string_view without_byte_order_mark(std::string_view text, const std::string& where);

/// Whether two conductances, times and the like are the same where one of them may have been
/// rounded to binary32 on its way, as files and instruments do.
bool nearly_equal(double a, double b);
/// Whether a lies between low and high, up to such a rounding.
bool nearly_within(double a, double low, double high);

}  // namespace crosstate
