// The POSIX side of MappedFile.
#include "narfast/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "narfast/errors.h"

namespace narfast {
namespace {

/// Closes the descriptor on every way out; the map outlives it.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

[[noreturn]] void refuse(const std::string& path, const std::string& why) {
  throw FileNotReadable("cannot read " + path + ": " + why +
                        "; give the path of an existing, readable file");
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  if (path.find('\0') != std::string::npos) refuse(path.c_str(), "the path contains a zero byte");
  // O_NONBLOCK: a named pipe must be refused below, not waited for.
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) refuse(path, std::strerror(errno));
  struct stat info{};
  if (::fstat(file.fd, &info) != 0) refuse(path, std::strerror(errno));
  if (S_ISDIR(info.st_mode)) refuse(path, "it is a directory");
  if (!S_ISREG(info.st_mode)) refuse(path, "it is not a regular file");
  if (info.st_size == 0) return;
  const auto size = static_cast<std::size_t>(info.st_size);
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (data == MAP_FAILED) refuse(path, std::strerror(errno));
  // Readers here hop over large fields: read-ahead would fetch the very bytes they skip.
  ::madvise(data, size, MADV_RANDOM);
  data_ = static_cast<const std::uint8_t*>(data);
  size_ = size;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::uint8_t*>(data_), size_);
}

}  // namespace narfast
