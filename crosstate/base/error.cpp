#include "crosstate/base/error.h"

namespace crosstate {

void fail(std::string_view where, std::string_view what) {
  std::string message(where);
  message += ": ";
  message += what;
  throw Error(message);
}

}  // namespace crosstate
