#include "crosstate/base/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "crosstate/base/error.h"

namespace crosstate {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

class Files : public testing::Test {
 protected:
  Files() {
    std::string name = fs::temp_directory_path() / "crosstate-files-XXXXXX";
    directory_ = mkdtemp(name.data());
  }
  ~Files() override { fs::remove_all(directory_); }

  fs::path put(const std::string& name, const std::string& bytes) {
    std::ofstream(directory_ / name, std::ios::binary) << bytes;
    return directory_ / name;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(directory_)) {
      found.push_back(entry.path().filename());
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  fs::path directory_;
};

std::string gzip(const std::string& bytes) {
  z_stream stream = {};
  deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

std::string varied_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  unsigned state = 1;
  for (char& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<char>(state >> 24);
  }
  return bytes;
}

// --- reading
// ---------------------------------------------------------------------------------------

TEST_F(Files, ReadReturnsEveryByte) {
  const std::string large = varied_bytes(1'000'000);
  for (const std::string& bytes : {std::string(), std::string("a\0b\r\n", 5), large}) {
    EXPECT_EQ(read_file(put("plain", bytes)), bytes);
  }
}

TEST_F(Files, ReadWorksOnAPipe) {
  const fs::path pipe = directory_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::thread writer([&] { std::ofstream(pipe) << "through a pipe"; });
  EXPECT_EQ(read_file(pipe), "through a pipe");
  writer.join();
}

TEST_F(Files, ReadNamesAMissingFile) {
  EXPECT_THAT([&] { read_file(directory_ / "none.toml"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("none.toml"), HasSubstr("No such file"))));
}

TEST_F(Files, ReadStopsAtTheMostBytesWanted) {
  const fs::path plain = put("plain", std::string(1000, 'x'));
  EXPECT_EQ(read_file(plain, 1000).size(), 1000u);
  EXPECT_THAT([&] { (void)read_file(plain, 999); },
              ThrowsMessage<Error>(AllOf(HasSubstr("plain"), HasSubstr("999 bytes"))));
  EXPECT_THROW((void)read_file("/dev/zero"), Error);
  EXPECT_EQ(read_file("/dev/null"), "");
}

// Sanitizers reserve far more memory than this limit.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(Files, ReadNamesTheFileThatMemoryCannotHold) {
  const fs::path sparse = put("sparse", "");
  fs::resize_file(sparse, std::uintmax_t{1} << 40);
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_DATA, &before), 0);
  const rlimit tight = {rlim_t{1} << 29, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_DATA, &tight), 0);
  EXPECT_THAT([&] { (void)read_file(sparse); },
              ThrowsMessage<Error>(AllOf(HasSubstr("sparse"), HasSubstr("memory"))));
  setrlimit(RLIMIT_DATA, &before);
}
#endif

TEST_F(Files, ReadRefusesADirectory) {
  EXPECT_THAT([&] { read_file(directory_); },
              ThrowsMessage<Error>(AllOf(HasSubstr(directory_), HasSubstr("directory"))));
}

TEST_F(Files, ReadNeedsPermission) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const fs::path path = put("secret", "x");
  fs::permissions(path, fs::perms::none);
  EXPECT_THAT([&] { read_file(path); }, ThrowsMessage<Error>(HasSubstr("Permission denied")));
}

TEST_F(Files, ReadRefusesWhatStandsForAFile) {
  const std::string lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:0a\nsize 123\n";
  for (const char* name : {"model.safetensors", "images.gz", "map.csv", "run.toml"}) {
    const fs::path path = put(name, lfs);
    EXPECT_THAT([&] { read_file(path); },
                ThrowsMessage<Error>(
                    AllOf(HasSubstr(name), HasSubstr("is a Git LFS pointer, not the file"))));
    put(name, "/annex/objects/SHA256E-s10--0a.wav\n");
    EXPECT_THAT([&] { read_file(path); },
                ThrowsMessage<Error>(HasSubstr("is a git-annex pointer, not the file")));
  }
}

// --- gzip
// ------------------------------------------------------------------------------------------

TEST_F(Files, GzipIsDecompressed) {
  const std::string zeros(3'000'000, '\0');
  for (const std::string& bytes :
       {std::string(), std::string("digits"), zeros, varied_bytes(600'000)}) {
    EXPECT_EQ(read_file(put("data.gz", gzip(bytes))), bytes);
  }
}

TEST_F(Files, GzipMembersAreJoined) {
  EXPECT_EQ(read_file(put("data.gz", gzip("one ") + gzip("two"))), "one two");
}

TEST_F(Files, GzipCutAnywhereIsAnError) {
  const std::string packed = gzip(varied_bytes(300));
  for (std::size_t size = 0; size < packed.size(); ++size) {
    const fs::path path = put("cut.gz", packed.substr(0, size));
    EXPECT_THAT([&] { read_file(path); },
                ThrowsMessage<Error>(AllOf(HasSubstr("cut.gz"), HasSubstr("ends too early"))))
        << "cut at " << size;
  }
}

TEST_F(Files, GzipWithABadByteIsAnError) {
  std::string packed = gzip(varied_bytes(300));
  packed[packed.size() - 8] ^= 1;  // the checksum
  const fs::path path = put("bad.gz", packed);
  EXPECT_THAT([&] { read_file(path); },
              ThrowsMessage<Error>(AllOf(HasSubstr("bad.gz"), HasSubstr("damaged gzip"))));
}

TEST_F(Files, GzipNameOnPlainBytesIsAnError) {
  const fs::path path = put("plain.gz", "not compressed at all");
  EXPECT_THAT([&] { read_file(path); },
              ThrowsMessage<Error>(
                  HasSubstr("plain.gz: is not gzip data, begins with \"not compressed at all\"")));
  put("plain.gz", "<!DOCTYPE html>\n<title>403 Forbidden</title>");
  EXPECT_THAT([&] { read_file(path); }, ThrowsMessage<Error>(HasSubstr("begins with \"<!DOCTYPE")));
  put("plain.gz", std::string("\0\0\x08\x03", 4) + std::string(100, '\xff'));
  EXPECT_THAT([&] { read_file(path); },
              ThrowsMessage<Error>(HasSubstr("begins with the bytes 00 00 08 03 ff")));
}

TEST_F(Files, GzipMayEndInZeros) {
  for (const std::size_t zeros : {1u, 7u, 512u, 300'000u}) {
    const std::string filler(zeros, '\0');
    EXPECT_EQ(read_file(put("tape.gz", gzip("data") + filler)), "data");
    EXPECT_EQ(read_file(put("tape.gz", gzip("one ") + filler + gzip("two") + filler)), "one two");
  }
}

TEST_F(Files, GzipFollowedByRubbishIsAnError) {
  for (const std::string& rubbish :
       {std::string("rubbish"), std::string("\0\0rubbish", 9), std::string("\x1f")}) {
    const fs::path path = put("tail.gz", gzip("data") + rubbish);
    EXPECT_THAT([&] { read_file(path); },
                ThrowsMessage<Error>(
                    AllOf(HasSubstr("tail.gz"), HasSubstr("after the end of the gzip data"))));
  }
}

TEST_F(Files, GzipOfManySmallMembersIsQuick) {
  const std::string member = gzip("");
  std::string packed;
  while (packed.size() < 2'000'000) packed += member;
  EXPECT_EQ(read_file(put("many.gz", packed + gzip("end"))), "end");
}

TEST_F(Files, GzipIsUnpackedFromMemoryToo) {
  EXPECT_EQ(unpack_gzip(gzip("digits"), "x", 6), "digits");
  EXPECT_THAT([] { unpack_gzip(gzip("digits"), "x", 5); },
              ThrowsMessage<Error>(HasSubstr("x: more than 5 bytes")));
  EXPECT_THAT([] { unpack_gzip("", "x"); },
              ThrowsMessage<Error>("x: the gzip data ends too early"));
}

// --- writing
// ---------------------------------------------------------------------------------------

TEST_F(Files, WriteReadsBack) {
  const std::string bytes = varied_bytes(700'000);
  write_file(directory_ / "out.bin", bytes);
  EXPECT_EQ(read_file(directory_ / "out.bin"), bytes);
  write_file(directory_ / "out.bin", "");
  EXPECT_EQ(read_file(directory_ / "out.bin"), "");
}

TEST_F(Files, WriteLeavesNothingElseBehind) {
  write_file(directory_ / "out", "1");
  write_file(directory_ / "out", "2");
  EXPECT_EQ(names(), std::vector<std::string>{"out"});
}

TEST_F(Files, WriteReplacesTheFileAndNeverChangesIt) {
  const fs::path path = put("out", "old");
  const int reader = open(path.c_str(), O_RDONLY);
  write_file(path, "new");
  char old[3] = {};
  EXPECT_EQ(read(reader, old, sizeof old), 3);
  close(reader);
  EXPECT_EQ(std::string(old, 3), "old");
  EXPECT_EQ(read_file(path), "new");
}

TEST_F(Files, ConcurrentWritersLeaveOneCompleteFile) {
  const fs::path path = directory_ / "shared";
  const std::string ones(100'000, '1'), twos(100'000, '2');
  std::thread other([&] {
    for (int i = 0; i < 20; ++i) write_file(path, ones);
  });
  for (int i = 0; i < 20; ++i) write_file(path, twos);
  other.join();
  EXPECT_THAT(read_file(path), testing::AnyOf(ones, twos));
  EXPECT_EQ(names(), std::vector<std::string>{"shared"});
}

TEST_F(Files, WriteFollowsALink) {
  const fs::path target = put("target", "old");
  fs::create_symlink(target, directory_ / "link");
  write_file(directory_ / "link", "new");
  EXPECT_TRUE(fs::is_symlink(directory_ / "link"));
  EXPECT_EQ(read_file(target), "new");
}

TEST_F(Files, WriteNeedsTheDirectory) {
  EXPECT_THAT([&] { write_file(directory_ / "none" / "out", "x"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("none/out"), HasSubstr("No such file"))));
}

TEST_F(Files, WriteRefusesWhatIsNotAFile) {
  EXPECT_THAT([&] { write_file(directory_, "x"); },
              ThrowsMessage<Error>(HasSubstr("not a regular file")));
  EXPECT_THAT([] { write_file("/dev/null", "x"); },
              ThrowsMessage<Error>(HasSubstr("not a regular file")));
}

// --- directories
// -----------------------------------------------------------------------------------

TEST_F(Files, DirectoryIsMadeWithItsParents) {
  make_writable_directory(directory_ / "a" / "b");
  make_writable_directory(directory_ / "a" / "b");
  EXPECT_TRUE(fs::is_directory(directory_ / "a" / "b"));
  EXPECT_TRUE(fs::is_empty(directory_ / "a" / "b"));
}

TEST_F(Files, DirectoryUnderAFileIsAnError) {
  const fs::path file = put("file", "");
  EXPECT_THAT([&] { make_writable_directory(file / "below"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("file/below"), HasSubstr("cannot create"))));
  EXPECT_THROW(make_writable_directory(file), Error);
}

TEST_F(Files, DirectoryThatCannotBeWrittenIsAnError) {
  // Not even root may create files there.
  EXPECT_THAT([] { make_writable_directory("/proc/self"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("/proc/self"), HasSubstr("cannot write into"))));
}

}  // namespace
}  // namespace crosstate
