// How measurements that take long are ended from outside.
#pragma once

#include <functional>

namespace crosstate::ptq {

/// Called before every part of a measurement, on the thread that called it; throws to end it.
/// Empty: nothing ends it.
using Check = std::function<void()>;

inline void check_with(const Check& check) {
  if (check) check();
}

}  // namespace crosstate::ptq
