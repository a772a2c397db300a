#include "crosstate/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

#include "crosstate/base/descriptor.h"
#include "crosstate/base/error.h"

namespace crosstate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBlock = std::size_t{1} << 18;
constexpr std::size_t kMostOfDevice = std::size_t{1} << 20;

[[noreturn]] void fail_errno(const fs::path& path, std::string_view action, int error) {
  fail(path.string(), std::string(action) + ": " + std::strerror(error));
}

Descriptor open_file(const fs::path& path, int flags) {
  return Descriptor(open(path.c_str(), flags | O_CLOEXEC, 0666));
}

void require_at_most(std::size_t most, const std::string& bytes, const std::string& where) {
  if (bytes.size() <= most) return;
  fail(where, "more than " + std::to_string(most) + " bytes, the limit for such a file");
}

std::string read_raw(const fs::path& path, std::size_t most) {
  const Descriptor file = open_file(path, O_RDONLY);
  if (!file.is_open()) fail_errno(path, "cannot open", errno);
  // Some devices never end.
  struct stat status = {};
  const bool known = fstat(file.number(), &status) == 0;
  if (known && S_ISCHR(status.st_mode)) most = std::min(most, kMostOfDevice);
  std::string bytes;
  for (;;) {
    const std::size_t size = bytes.size();
    bytes.resize(size + kBlock);
    const ssize_t got = read(file.number(), bytes.data() + size, kBlock);
    const int error = errno;
    bytes.resize(size + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    require_at_most(most, bytes, path.string());
    if (got == 0) return bytes;
    if (got < 0 && error != EINTR) fail_errno(path, "cannot read", error);
  }
}

// The first bytes of a file, quoted if they are text.
std::string beginning(std::string_view bytes) {
  constexpr std::size_t kText = 32, kBytes = 8;
  const auto is_text = [](char c) { return (c >= ' ' && c < 0x7f) || c == '\n' || c == '\r'; };
  const std::string_view start = bytes.substr(0, kText);
  if (std::all_of(start.begin(), start.end(), is_text)) return '"' + excerpt(bytes, kText) + '"';
  std::string text = "the bytes";
  for (const char c : bytes.substr(0, kBytes)) {
    char digits[8];
    std::snprintf(digits, sizeof digits, " %02x", static_cast<unsigned>(c) & 0xff);
    text += digits;
  }
  return text;
}

// Decompresses in memory rather than by gzread(), which passes files that are not gzip through
// unchanged and reports a missing end only in some cases.
class Inflater {
 public:
  Inflater(const std::string& where, std::size_t most) : where_(where), most_(most) {
    constexpr int kGzipOnly = 16 + MAX_WBITS;
    if (inflateInit2(&stream_, kGzipOnly) != Z_OK) fail(where_, "zlib cannot start");
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  std::string run(std::string_view packed) {
    if (!begins_gzip(packed) && !kMagic.starts_with(packed)) {
      fail(where_, "is not gzip data, begins with " + beginning(packed));
    }
    // A gzip file may have several members, one after another, each followed by zeros that fill the
    // blocks of tapes and of some downloads.
    do {
      packed.remove_prefix(inflate_member(packed));
      inflateReset(&stream_);
      packed.remove_prefix(std::min(packed.size(), packed.find_first_not_of('\0')));
    } while (begins_gzip(packed));
    if (!packed.empty()) {
      fail(where_, std::to_string(packed.size()) +
                       " bytes after the end of the gzip data, beginning with " +
                       beginning(packed) + "; expected only zeros");
    }
    return std::move(bytes_);
  }

 private:
  static constexpr std::string_view kMagic = "\x1f\x8b";

  static bool begins_gzip(std::string_view bytes) { return bytes.starts_with(kMagic); }

  // Appends the bytes of one member; returns how many bytes of `packed` were used.
  std::size_t inflate_member(std::string_view packed) {
    std::size_t taken = 0;
    for (;;) {
      const std::size_t chunk = std::min(packed.size() - taken, kBlock);
      stream_.next_in =
          reinterpret_cast<Bytef*>(const_cast<char*>(packed.data() + taken));  // zlib only reads
      stream_.avail_in = static_cast<uInt>(chunk);
      stream_.next_out = reinterpret_cast<Bytef*>(block_.data());
      stream_.avail_out = static_cast<uInt>(kBlock);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      taken += chunk - stream_.avail_in;
      bytes_.append(block_, 0, kBlock - stream_.avail_out);
      require_at_most(most_, bytes_, where_);
      if (status == Z_STREAM_END) return taken;
      if (status == Z_BUF_ERROR) fail(where_, "the gzip data ends too early");
      if (status != Z_OK) {
        fail(where_, std::string("damaged gzip data: ") +
                         (stream_.msg != nullptr ? stream_.msg : zError(status)));
      }
    }
  }

  const std::string& where_;
  const std::size_t most_;
  z_stream stream_ = {};
  // The output buffer, allocated once: a file may have a great many small members.
  std::string block_ = std::string(kBlock, '\0');
  std::string bytes_;
};

void write_all(const fs::path& path, const Descriptor& file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file.number(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail_errno(path, "cannot write", errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

// A name in the target's directory that no other thread or process uses.
fs::path temporary_name(const fs::path& target) {
  static std::atomic<unsigned> serial = 0;
  fs::path name = target;
  name += ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(serial++);
  return name;
}

// Path of the file to replace: renaming onto a link would replace the link, and renaming onto a
// device would replace the device.
fs::path resolve_target(const fs::path& path) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    fail(path.string(), "cannot write: it exists and is not a regular file");
  }
  const fs::path resolved = fs::canonical(path, ignored);
  return resolved.empty() ? path : resolved;
}

// Removes the file on destruction unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(fs::path path) : path_(std::move(path)) {}
  ~TemporaryFile() {
    if (!renamed_) unlink(path_.c_str());
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  const fs::path& path() const { return path_; }
  bool rename_to(const fs::path& target) {
    renamed_ = rename(path_.c_str(), target.c_str()) == 0;
    return renamed_;
  }

 private:
  fs::path path_;
  bool renamed_ = false;
};

// Makes a rename durable across a power failure; not every file system supports this, which is not
// an error.
void flush_directory(const fs::path& directory) {
  const Descriptor folder = open_file(directory.empty() ? "." : directory, O_RDONLY | O_DIRECTORY);
  if (folder.is_open()) fsync(folder.number());
}

}  // namespace

void refuse_pointer(std::string_view bytes, const std::string& where) {
  if (bytes.starts_with("version https://git-lfs.github.com/spec/")) {
    fail(where, "is a Git LFS pointer, not the file; fetch it by git lfs pull");
  }
  if (bytes.starts_with("/annex/objects/")) {
    fail(where, "is a git-annex pointer, not the file; fetch it by git annex get");
  }
}

std::string read_file(const fs::path& path, std::size_t most) {
  try {
    std::string bytes = read_raw(path, most);
    refuse_pointer(bytes, path.string());
    if (path.extension() != ".gz") return bytes;
    return unpack_gzip(bytes, path.string(), most);
  } catch (const std::bad_alloc&) {
    fail(path.string(), "does not fit in memory");
  }
}

std::string unpack_gzip(std::string_view packed, const std::string& where, std::size_t most) {
  return Inflater(where, most).run(packed);
}

void write_file(const fs::path& path, std::string_view bytes) {
  const fs::path target = resolve_target(path);
  TemporaryFile temporary(temporary_name(target));
  {
    const Descriptor file = open_file(temporary.path(), O_WRONLY | O_CREAT | O_EXCL);
    if (!file.is_open()) fail_errno(path, "cannot write", errno);
    write_all(path, file, bytes);
    if (fsync(file.number()) != 0) fail_errno(path, "cannot flush to disk", errno);
  }
  if (!temporary.rename_to(target)) fail_errno(path, "cannot write", errno);
  flush_directory(target.parent_path());
}

void make_writable_directory(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail_errno(path, "cannot create the directory", error.value());

  const TemporaryFile probe(temporary_name(path / "probe"));
  const Descriptor file = open_file(probe.path(), O_WRONLY | O_CREAT | O_EXCL);
  if (!file.is_open()) fail_errno(path, "cannot write into the directory", errno);
}

}  // namespace crosstate
