// A file system without locks, as Lustre mounted with noflock: flock() and the locks of fcntl() are
// not implemented.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/file.h>

int flock(int file, int operation) {
  (void)file;
  (void)operation;
  errno = ENOSYS;
  return -1;
}

static int without_locks(const char* name, int file, int command, void* argument) {
  if (command == F_GETLK || command == F_SETLK || command == F_SETLKW) {
    errno = ENOSYS;
    return -1;
  }
  int (*next)(int, int, ...) = (int (*)(int, int, ...))dlsym(RTLD_NEXT, name);
  return next(file, command, argument);
}

int fcntl(int file, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return without_locks("fcntl", file, command, argument);
}

int fcntl64(int file, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  void* argument = va_arg(arguments, void*);
  va_end(arguments);
  return without_locks("fcntl64", file, command, argument);
}
