/* Failing system calls, on purpose: loaded with LD_PRELOAD before the C library.
 *
 * While armed it counts the calls below that touch a file beneath one directory, in order over
 * all threads. It lets one of them fail, be cut short, or be the last that the process does, and
 * writes each to a trace. A forked child is not armed. What is written through a memory mapping
 * is not seen. How that is done is in shim.h; here are the calls.
 */
#include "shim.h"

/* Opening */

static int opened(int directory, const char *path, int flags, mode_t mode,
                  int (*real)(int, const char *, int, ...))
{
    const char *where = AT(directory, path);
    int is_new = where != NULL && flags & O_CREAT && inode_at(where) == 0;
    uint32_t bits = (is_new ? CREATED : 0) | (flags & O_TRUNC ? TRUNCATED : 0);
    return GUARDED(int, -1, "open", where, real(directory, path, flags, mode),
                   note("open", path_, "", result_, inode_of(result_), bits, 0, "", 0));
}

#define MODE(flags) ({ mode_t mode_ = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); \
        mode_ = va_arg(rest, mode_t); va_end(rest); } mode_; })
#define OPEN(name) int name(const char *path, int flags, ...) \
    { return opened(AT_FDCWD, path, flags, MODE(flags), REAL(openat)); }
#define OPENAT(name) int name(int directory, const char *path, int flags, ...) \
    { return opened(directory, path, flags, MODE(flags), REAL(openat)); }
#define OPEN_2(name) int name(const char *path, int flags) \
    { return opened(AT_FDCWD, path, flags, 0, REAL(openat)); }
#define OPENAT_2(name) int name(int directory, const char *path, int flags) \
    { return opened(directory, path, flags, 0, REAL(openat)); }
#define CREAT(name) int name(const char *path, mode_t mode) \
    { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode, REAL(openat)); }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)
OPEN_2(__open_2) OPEN_2(__open64_2) OPENAT_2(__openat_2) OPENAT_2(__openat64_2)
CREAT(creat) CREAT(creat64)

int close(int fd)
{
    const char *path = OF(fd);
    enum action action = begin("close", path, 0);
    if (action != OUTSIDE) note("close", path, "", 0, 0, 0, 0, "", 0);
    int result = REAL(close)(fd);
    if (action == FAIL) result = -1, errno = error;
    int saved = errno;
    end("close", action);
    errno = saved;
    return result;
}

/* Reading and writing */

#define HALVED(size) (action == HALF ? (size) / 2 : (size))

static ssize_t did_read(const char *path, enum action action, ssize_t result)
{
    int saved = errno;
    if (action != OUTSIDE) note("read", path, "", result, 0, 0, 0, "", 0);
    end("read", action);
    errno = saved;
    return result;
}

static ssize_t did_write(const char *path, enum action action, int fd, ssize_t result,
                         off_t offset, const void *data)
{
    int saved = errno;
    if (action != OUTSIDE && trace >= 0) {
        if (result >= 0 && offset < 0) offset = lseek(fd, 0, SEEK_CUR) - result;
        note("write", path, "", result, inode_of(fd), 0, offset, data, result > 0 ? result : 0);
    }
    end("write", action);
    errno = saved;
    return result;
}

#define READ(name, parameters, call, size) ssize_t name parameters { \
    const char *path = OF(fd); \
    enum action action = begin("read", path, size > 1); \
    if (action == FAIL) return errno = error, did_read(path, action, -1); \
    return did_read(path, action, call); }
#define WRITE(name, parameters, call, size, offset) ssize_t name parameters { \
    const char *path = OF(fd); \
    enum action action = begin("write", path, size > 1); \
    if (action == FAIL) return errno = error, did_write(path, action, fd, -1, 0, ""); \
    return did_write(path, action, fd, call, offset, data); }

READ(read, (int fd, void *data, size_t size), REAL(read)(fd, data, HALVED(size)), size)
READ(pread, (int fd, void *data, size_t size, off_t from),
     REAL(pread)(fd, data, HALVED(size), from), size)
READ(pread64, (int fd, void *data, size_t size, off64_t from),
     REAL(pread)(fd, data, HALVED(size), from), size)
READ(__read_chk, (int fd, void *data, size_t size, size_t room),
     ((void)room, REAL(read)(fd, data, HALVED(size))), size)
READ(__pread_chk, (int fd, void *data, size_t size, off_t from, size_t room),
     ((void)room, REAL(pread)(fd, data, HALVED(size), from)), size)
READ(__pread64_chk, (int fd, void *data, size_t size, off64_t from, size_t room),
     ((void)room, REAL(pread)(fd, data, HALVED(size), from)), size)
WRITE(write, (int fd, const void *data, size_t size), REAL(write)(fd, data, HALVED(size)),
      size, -1)
WRITE(pwrite, (int fd, const void *data, size_t size, off_t to),
      REAL(pwrite)(fd, data, HALVED(size), to), size, to)
WRITE(pwrite64, (int fd, const void *data, size_t size, off64_t to),
      REAL(pwrite)(fd, data, HALVED(size), to), size, to)

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    const char *path = OF(fd);
    if (path == NULL) return REAL(writev)(fd, parts, count);
    size_t size = 0;
    for (int part = 0; part < count; part++) size += parts[part].iov_len;
    char *data = malloc(size + 1), *next = data;
    for (int part = 0; part < count; part++)
        next = mempcpy(next, parts[part].iov_base, parts[part].iov_len);
    ssize_t result = write(fd, data, size);
    free(data);
    return result;
}

/* Copies within the kernel cannot be shown byte by byte: the caller must copy by itself. */
ssize_t sendfile64(int out, int in, off64_t *offset, size_t size)
{
    if (OF(out) != NULL) return errno = ENOSYS, -1;
    return REAL(sendfile64)(out, in, offset, size);
}

ssize_t sendfile(int out, int in, off_t *offset, size_t size)
{
    return sendfile64(out, in, offset, size);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size,
                        unsigned int flags)
{
    if (OF(out) != NULL) return errno = ENOSYS, -1;
    return REAL(copy_file_range)(in, from, out, to, size, flags);
}

#define SIZED(name, parameters, op, path, call, inode) int name parameters \
    { return GUARDED(int, -1, op, path, call, \
                     note(op, path_, "", 0, inode, 0, size, "", 0)); }
SIZED(ftruncate, (int fd, off_t size), "truncate", OF(fd), REAL(ftruncate)(fd, size), inode_of(fd))
SIZED(ftruncate64, (int fd, off64_t size), "truncate", OF(fd), REAL(ftruncate)(fd, size),
      inode_of(fd))
SIZED(truncate, (const char *path, off_t size), "truncate", HERE(path),
      REAL(truncate)(path, size), inode_at(path_))
SIZED(truncate64, (const char *path, off64_t size), "truncate", HERE(path),
      REAL(truncate)(path, size), inode_at(path_))

/* Nothing is waited for: what a power cut would leave is enumerated from the trace. */
#define SYNC(name) int name(int fd) \
    { return GUARDED(int, -1, "sync", OF(fd), fcntl(fd, F_GETFD) < 0 ? -1 : 0, \
                     note("sync", path_, "", 0, inode_of(fd), 0, 0, "", 0)); }
SYNC(fsync) SYNC(fdatasync)

/* Names */

#define NAMED(name, parameters, op, path, call) int name parameters \
    { return GUARDED(int, -1, op, path, call, \
                     note(op, path_, "", 0, inode_at(path_), 0, 0, "", 0)); }
#define RENAMED(name, parameters, op, path, target, call) int name parameters \
    { const char *from_ = path, *to_ = target; \
      return GUARDED(int, -1, op, from_ ? from_ : to_, call, \
                     note(op, from_ ? from_ : "", to_ ? to_ : "", 0, 0, 0, 0, "", 0)); }
NAMED(unlink, (const char *path), "unlink", HERE(path), REAL(unlink)(path))
NAMED(unlinkat, (int directory, const char *path, int flags),
      flags & AT_REMOVEDIR ? "rmdir" : "unlink", AT(directory, path),
      REAL(unlinkat)(directory, path, flags))
NAMED(rmdir, (const char *path), "rmdir", HERE(path), REAL(rmdir)(path))
NAMED(mkdir, (const char *path, mode_t mode), "mkdir", HERE(path), REAL(mkdir)(path, mode))
NAMED(mkdirat, (int directory, const char *path, mode_t mode), "mkdir", AT(directory, path),
      REAL(mkdirat)(directory, path, mode))
RENAMED(rename, (const char *from, const char *to), "rename", HERE(from), HERE(to),
      REAL(rename)(from, to))
RENAMED(renameat, (int from_directory, const char *from, int directory, const char *to), "rename",
      AT(from_directory, from), AT(directory, to),
      REAL(renameat)(from_directory, from, directory, to))
RENAMED(renameat2, (int from_directory, const char *from, int directory, const char *to,
      unsigned int flags), flags & RENAME_EXCHANGE ? "exchange" : "rename",
      AT(from_directory, from), AT(directory, to),
      REAL(renameat2)(from_directory, from, directory, to, flags))
NAMED(link, (const char *from, const char *path), "link", HERE(path), REAL(link)(from, path))
NAMED(linkat, (int from_directory, const char *from, int directory, const char *path, int flags),
      "link", AT(directory, path), REAL(linkat)(from_directory, from, directory, path, flags))

static int linked(const char *target, int directory, const char *path)
{
    return GUARDED(int, -1, "symlink", AT(directory, path),
                   REAL(symlinkat)(target, directory, path),
                   note("symlink", path_, target, 0, inode_at(path_), 0, 0, "", 0));
}
int symlink(const char *target, const char *path) { return linked(target, AT_FDCWD, path); }
int symlinkat(const char *target, int directory, const char *path)
{
    return linked(target, directory, path);
}

/* What leaves the disk as it is */

#define KEEPS(name, parameters, op, path, call) int name parameters \
    { return PLAIN(int, -1, op, path, call); }
int fchmod(int, mode_t);
int stat(const char *, void *), stat64(const char *, void *);
int lstat(const char *, void *), lstat64(const char *, void *);
int fstat(int, void *), fstat64(int, void *);
int fstatat(int, const char *, void *, int), fstatat64(int, const char *, void *, int);
int __xstat(int, const char *, void *), __xstat64(int, const char *, void *);
int __lxstat(int, const char *, void *), __lxstat64(int, const char *, void *);
int __fxstat(int, int, void *), __fxstat64(int, int, void *);
int __fxstatat(int, int, const char *, void *, int), __fxstatat64(int, int, const char *, void *, int);
int statx(int, const char *, int, unsigned int, void *);
int flock(int, int);
KEEPS(fchmod, (int fd, mode_t mode), "chmod", OF(fd), REAL(fchmod)(fd, mode))
KEEPS(fchown, (int fd, uid_t user, gid_t group), "chown", OF(fd), REAL(fchown)(fd, user, group))
KEEPS(stat, (const char *path, void *out), "stat", HERE(path), REAL(stat)(path, out))
KEEPS(stat64, (const char *path, void *out), "stat", HERE(path), REAL(stat64)(path, out))
KEEPS(lstat, (const char *path, void *out), "stat", HERE(path), REAL(lstat)(path, out))
KEEPS(lstat64, (const char *path, void *out), "stat", HERE(path), REAL(lstat64)(path, out))
KEEPS(fstat, (int fd, void *out), "stat", OF(fd), REAL(fstat)(fd, out))
KEEPS(fstat64, (int fd, void *out), "stat", OF(fd), REAL(fstat64)(fd, out))
KEEPS(fstatat, (int fd, const char *path, void *out, int flags), "stat", AT(fd, path),
      REAL(fstatat)(fd, path, out, flags))
KEEPS(fstatat64, (int fd, const char *path, void *out, int flags), "stat", AT(fd, path),
      REAL(fstatat64)(fd, path, out, flags))
KEEPS(__xstat, (int v, const char *path, void *out), "stat", HERE(path),
      REAL(__xstat)(v, path, out))
KEEPS(__xstat64, (int v, const char *path, void *out), "stat", HERE(path),
      REAL(__xstat64)(v, path, out))
KEEPS(__lxstat, (int v, const char *path, void *out), "stat", HERE(path),
      REAL(__lxstat)(v, path, out))
KEEPS(__lxstat64, (int v, const char *path, void *out), "stat", HERE(path),
      REAL(__lxstat64)(v, path, out))
KEEPS(__fxstat, (int v, int fd, void *out), "stat", OF(fd), REAL(__fxstat)(v, fd, out))
KEEPS(__fxstat64, (int v, int fd, void *out), "stat", OF(fd), REAL(__fxstat64)(v, fd, out))
KEEPS(__fxstatat, (int v, int fd, const char *path, void *out, int flags), "stat", AT(fd, path),
      REAL(__fxstatat)(v, fd, path, out, flags))
KEEPS(__fxstatat64, (int v, int fd, const char *path, void *out, int flags), "stat", AT(fd, path),
      REAL(__fxstatat64)(v, fd, path, out, flags))
KEEPS(statx, (int fd, const char *path, int flags, unsigned int mask, void *out), "stat",
      AT(fd, path), REAL(statx)(fd, path, flags, mask, out))
KEEPS(flock, (int fd, int operation), "lock", OF(fd), REAL(flock)(fd, operation))

static int controlled(int fd, int command, void *argument, int (*real)(int, int, ...))
{
    switch (command) {
    case F_SETLK: case F_SETLKW: case F_OFD_SETLK: case F_OFD_SETLKW:
        return PLAIN(int, -1, "lock", OF(fd), real(fd, command, argument));
    default:
        return real(fd, command, argument);
    }
}
#define FCNTL(name) int name(int fd, int command, ...) { \
    va_list rest; va_start(rest, command); void *argument = va_arg(rest, void *); va_end(rest); \
    return controlled(fd, command, argument, REAL(name)); }
FCNTL(fcntl) FCNTL(fcntl64)

DIR *opendir(const char *path)
{
    return PLAIN(DIR *, NULL, "opendir", HERE(path), REAL(opendir)(path));
}

#define READDIR(name, type) type *name(DIR *stream) \
    { return PLAIN(type *, NULL, "readdir", OF(dirfd(stream)), REAL(name)(stream)); }
READDIR(readdir, struct dirent) READDIR(readdir64, struct dirent64)
