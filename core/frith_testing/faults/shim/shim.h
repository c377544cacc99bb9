/* The machinery of shim.c: being armed, the order of the calls, the fault, the trace. */
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
    /* In one write, because a lock is noted by its thread while another thread notes something. */
    struct iovec parts[] = {{&record, sizeof record}, {(void *)path, record.path_size},
                            {(void *)other, record.other_size}, {(void *)data, size}};
    size_t whole = sizeof record + record.path_size + record.other_size + size;
    if (syscall(SYS_writev, trace, parts, 4) != (ssize_t)whole) abort();
}

/* Arm: the nth call (from 0, -1 for none) meets the fault. Descriptors may be -1. */
void frith_arm(const char *directory, long number, int kind, int code, int trace_fd, int hits_fd)
{
    root_size = strlen(strncpy(root, directory, sizeof root - 1));
    counted = 0, nth = number, fault = kind, error = code, trace = trace_fd, hits = hits_fd;
    armed = getpid();
}

/* Disarm; return how many calls were counted. */
long frith_disarm(void)
{
    pthread_mutex_lock(&order);
    armed = 0;
    pthread_mutex_unlock(&order);
    return counted;
}

/* Note in the trace that something was promised by now. */
void frith_mark(const char *text)
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
