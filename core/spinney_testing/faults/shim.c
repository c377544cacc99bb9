/* Failing system calls, on purpose: loaded with LD_PRELOAD before the C library.
 *
 * While armed it counts the calls below that touch a file beneath one directory, in order over
 * all threads. It lets one of them fail, be cut short, or be the last that the process does, and
 * writes each to a trace. A forked child is not armed. What is written through a memory mapping
 * is not seen.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/stat.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum fault { NONE, KILL_BEFORE, KILL_AFTER, SHORT, ERROR };
enum action { OUTSIDE, PASS, FAIL, HALF, LAST };

static pid_t armed; /* process id, 0 if not */
static char root[PATH_MAX];
static size_t root_size;
static long counted, nth;
static enum fault fault;
static int error, trace, hits;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

/* The record of one call; the two paths and the data follow it. */
struct record {
    char op[16];
    int64_t result, inode, offset;
    uint32_t flags, path_size, other_size, data_size;
};
enum { CREATED = 1, TRUNCATED = 2 };

static void put(int fd, const void *data, size_t size)
{
    for (const char *rest = data; size > 0;) {
        ssize_t done = syscall(SYS_write, fd, rest, size);
        if (done < 0) abort();
        rest += done;
        size -= done;
    }
}

static void note(const char *op, const char *path, const char *other, int64_t result,
                 int64_t inode, uint32_t flags, int64_t offset, const void *data, size_t size)
{
    if (trace < 0) return;
    struct record record = {.result = result, .inode = inode, .offset = offset, .flags = flags,
                            .path_size = strlen(path), .other_size = strlen(other),
                            .data_size = size};
    strncpy(record.op, op, sizeof record.op - 1);
    put(trace, &record, sizeof record);
    put(trace, path, record.path_size);
    put(trace, other, record.other_size);
    put(trace, data, size);
}

/* Arm: the nth call (from 0, -1 for none) meets the fault. Descriptors may be -1. */
void spinney_arm(const char *directory, long number, int kind, int code, int trace_fd, int hits_fd)
{
    root_size = strlen(strncpy(root, directory, sizeof root - 1));
    counted = 0, nth = number, fault = kind, error = code, trace = trace_fd, hits = hits_fd;
    armed = getpid();
}

/* Disarm; return how many calls were counted. */
long spinney_disarm(void)
{
    pthread_mutex_lock(&order);
    armed = 0;
    pthread_mutex_unlock(&order);
    return counted;
}

/* Note in the trace that something was promised by now. */
void spinney_mark(const char *text)
{
    pthread_mutex_lock(&order);
    if (armed == getpid()) note("mark", text, "", 0, 0, 0, 0, "", 0);
    pthread_mutex_unlock(&order);
}

static const char *beneath(const char *path)
{
    int inside = strncmp(path, root, root_size) == 0 &&
                 (path[root_size] == '/' || path[root_size] == 0);
    return inside ? path : NULL;
}

/* Return the absolute path of a descriptor if it is beneath the root, else NULL. */
static const char *of(int fd, char *buffer)
{
    if (armed == 0 || armed != getpid()) return NULL;
    char link[32] = "/proc/self/fd/";
    char *digit = link + sizeof link - 1;
    if (fd < 0) return NULL;
    *digit = 0;
    do *--digit = '0' + fd % 10; while (fd /= 10);
    memmove(link + 14, digit, strlen(digit) + 1);
    ssize_t size = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
    if (size < 0) return NULL;
    buffer[size] = 0;
    char *deleted = size > 10 ? buffer + size - 10 : buffer;
    if (strcmp(deleted, " (deleted)") == 0) *deleted = 0;
    return beneath(buffer);
}

/* Return the absolute form of a path if it is beneath the root, else NULL. */
static const char *at(int directory, const char *path, char *buffer)
{
    if (armed == 0 || armed != getpid() || path == NULL) return NULL;
    if (*path == '/') return beneath(path);
    if (*path == 0) return of(directory, buffer);
    if (directory == AT_FDCWD) {
        if (syscall(SYS_getcwd, buffer, PATH_MAX) < 0) return NULL;
    } else {
        int saved = errno;
        if (of(directory, buffer) == NULL) return errno = saved, NULL;
    }
    size_t size = strlen(buffer);
    if (size + strlen(path) + 2 > PATH_MAX) return NULL;
    buffer[size] = '/';
    strcpy(buffer + size + 1, path);
    return beneath(buffer);
}

#define OF(fd) of(fd, (char[PATH_MAX]){0})
#define AT(directory, path) at(directory, path, (char[PATH_MAX]){0})
#define HERE(path) AT(AT_FDCWD, path)

/* Whether a call is one whose place in the order matters; a lock is waited for outside of it. */
static int ordered(const char *op) { return trace >= 0 && strcmp(op, "lock") != 0; }

static enum action begin(const char *op, const char *path, int divisible)
{
    if (path == NULL) return OUTSIDE;
    if (ordered(op)) pthread_mutex_lock(&order);
    long number = __atomic_fetch_add(&counted, 1, __ATOMIC_SEQ_CST);
    if (number != nth || fault == NONE || (fault == SHORT && !divisible)) return PASS;
    char text[PATH_MAX + 64] = {'H'};
    strncat(strncat(strcat(text + 5, op), " ", 2), path, PATH_MAX);
    uint32_t size = strlen(text + 5);
    memcpy(text + 1, &size, sizeof size);
    if (hits >= 0) put(hits, text, size + 5);
    if (fault == KILL_BEFORE) kill(getpid(), SIGKILL), pause();
    return fault == KILL_AFTER ? LAST : fault == SHORT ? HALF : FAIL;
}

static void end(const char *op, enum action action)
{
    if (action == LAST) kill(getpid(), SIGKILL), pause();
    if (action != OUTSIDE && ordered(op)) pthread_mutex_unlock(&order);
}

static int64_t inode_of(int fd)
{
    struct statx found;
    return syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_INO, &found) ? 0 : found.stx_ino;
}

static int64_t inode_at(const char *path)
{
    struct statx found;
    return syscall(SYS_statx, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, STATX_INO, &found)
               ? 0 : found.stx_ino;
}

#define REAL(name) ({ \
    static __typeof__(name) *real_; \
    if (real_ == NULL) real_ = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
    real_; })

/* Do a call that the fault may hit, and then, if it succeeded, what notes it in the trace. */
#define GUARDED(type, failed, op, path, call, noting) ({ \
    int before_ = errno; \
    const char *path_ = path; \
    enum action action_ = begin(op, path_, 0); \
    errno = before_; \
    type result_ = failed; \
    if (action_ == FAIL) errno = error; else result_ = call; \
    int after_ = errno; \
    if (action_ != OUTSIDE && trace >= 0) { \
        if (result_ != failed) noting; else note(op, path_, "", -1, 0, 0, 0, "", 0); } \
    end(op, action_); \
    errno = after_; \
    result_; })
#define PLAIN(type, failed, op, path, call) \
    GUARDED(type, failed, op, path, call, note(op, path_, "", 0, 0, 0, 0, "", 0))

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

/* Copies within the kernel cannot be shown byte by byte: whoever asks must copy by itself. */
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
