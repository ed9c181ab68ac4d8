// Bytes of files: blocks of every kind, files that shrink, and what is no file to read.
#include "narfast/onnx/byte_source.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "narfast/base/errors.h"

namespace narfast {
namespace {

/// A file of `size` bytes that goes when the test ends; byte i is `expected(i)`.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::size_t size) {
    const int fd = ::mkstemp(path_.data());
    REQUIRE(fd >= 0);
    ::close(fd);
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(expected(i));
    std::ofstream(path_, std::ios::binary) << text;
  }
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;

  static std::uint8_t expected(std::size_t i) {
    return static_cast<std::uint8_t>((i * 2654435761U) >> 13);
  }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/narfast_byte_source_XXXXXX";
};

bool right(std::span<const std::uint8_t> view, std::size_t offset) {
  for (std::size_t i = 0; i < view.size(); ++i) {
    if (view[i] != TemporaryFile::expected(offset + i)) return false;
  }
  return true;
}

TEST_CASE("bytes and views are those of the file, in any order, and views stay") {
  const std::size_t size = 3'000'000;
  const TemporaryFile file(size);
  ByteSource source(file.path());
  REQUIRE(source.size() == size);
  bool same = true;
  for (std::size_t i = 0; i < size; ++i) same = same && source.byte(i) == file.expected(i);
  CHECK(same);
  std::vector<std::pair<std::size_t, std::span<const std::uint8_t>>> views;
  for (std::size_t i = 0; i < 500; ++i) {
    const std::size_t offset = (i * 7'919'993) % size;
    const std::size_t count = std::min(size - offset, i % 7 == 0 ? 600'000 : i * 31);
    views.emplace_back(offset, source.view(offset, count));
    CHECK(views.back().second.size() == count);
  }
  for (const auto& [offset, view] : views) CHECK(right(view, offset));
  CHECK(source.view(size, 0).empty());
}

TEST_CASE("a file that shrinks is an error, and what was read stays") {
  const TemporaryFile file(1'000'000);
  ByteSource source(file.path());
  const auto head = source.view(0, 100);
  REQUIRE(::truncate(file.path().c_str(), 50) == 0);
  CHECK(right(head, 0));
  CHECK_THROWS_WITH_AS((void)source.byte(999'999),
                       doctest::Contains("byte 999999: the file became shorter"), CorruptFile);
  CHECK_THROWS_AS((void)source.view(10, 900'000), CorruptFile);
  CHECK(right(head, 0));
}

TEST_CASE("only regular files are read, and nothing is waited for") {
  CHECK_THROWS_WITH_AS(ByteSource("/nonexistent"), doctest::Contains("No such file"),
                       FileNotReadable);
  CHECK_THROWS_WITH_AS(ByteSource("/tmp"), doctest::Contains("directory"), FileNotReadable);
  CHECK_THROWS_WITH_AS(ByteSource("/dev/zero"), doctest::Contains("not a regular file"),
                       FileNotReadable);
  CHECK_THROWS_AS(ByteSource(std::string("a\0b", 3)), FileNotReadable);
  const std::string pipe = "/tmp/narfast_pipe_" + std::to_string(::getpid());
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(ByteSource{pipe}, doctest::Contains("not a regular file"), FileNotReadable);
  ::unlink(pipe.c_str());
}

}  // namespace
}  // namespace narfast
