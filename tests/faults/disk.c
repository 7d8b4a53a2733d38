/* A disk that fails, for it/crash/disk.rs: put before the C library (LD_PRELOAD), it stands between a process and the
 * files below one folder.
 *
 * FAULT_FOLDER  the folder; files elsewhere are left alone.
 * FAULT         what fails, as <kind>:<count>:
 *                 space:<bytes>   there is room for so many more bytes, then ENOSPC; what fits of a write is written
 *                 write:<n>       from the n-th write on, EIO
 *                 sync:<n>        from the n-th fsync or fdatasync on, EIO
 *                 sync-once:<n>   only the n-th fsync or fdatasync, EIO; what was written stays written
 *                 rename:<n>      from the n-th rename on, EIO
 *                 open:<n>        only the n-th file that is made or opened for writing, EMFILE
 *                 segment:<n>     from the n-th segment on that is opened to be read, EMFILE
 *                 keyword:<n>     from the n-th file on that is made or opened for writing in a keyword index, ENOSPC
 *                 locked:<n>      from the n-th write on, whatever changes a file or a folder: EROFS
 *                 short:<n>       every n-th write takes half of its bytes
 *                 interrupt:<n>   every n-th write is interrupted, EINTR
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[4096], kind[32];
static long most;
static atomic_long count;

__attribute__((constructor)) static void begin(void) {
    const char *fault = getenv("FAULT"), *below = getenv("FAULT_FOLDER");
    if (!fault || !below || !realpath(below, folder)) return;
    if (sscanf(fault, "%31[^:]:%ld", kind, &most) != 2) kind[0] = 0;
}

static int is(const char *name) { return strcmp(kind, name) == 0; }

static int is_below(const char *path) { return kind[0] && strncmp(path, folder, strlen(folder)) == 0; }

/* Whether a file is a plain one below the folder. */
static int concerns(int fd) {
    char link[64], path[4096];
    if (!kind[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return is_below(path);
}

/* The next one of what is counted. */
static long next(void) { return atomic_fetch_add(&count, 1) + 1; }

/* How many bytes of a write are let through: all of them, some, or none with errno. */
static ssize_t admit(int fd, size_t bytes) {
    if (bytes == 0 || !concerns(fd)) return (ssize_t)bytes;
    if (is("space")) {
        long before = atomic_fetch_add(&count, (long)bytes);
        if (before + (long)bytes <= most) return (ssize_t)bytes;
        if (before < most) return most - before;
        errno = ENOSPC;
        return -1;
    }
    if (is("write") && next() >= most) { errno = EIO; return -1; }
    if (is("locked") && next() >= most) { errno = EROFS; return -1; }
    if (is("short") && next() % most == 0) return (ssize_t)(bytes + 1) / 2;
    if (is("interrupt") && next() % most == 0) { errno = EINTR; return -1; }
    return (ssize_t)bytes;
}

static int may_sync(int fd) {
    if (!concerns(fd)) return 1;
    long number = is("sync") || is("sync-once") ? next() : 0;
    if ((is("sync") && number >= most) || (is("sync-once") && number == most)) { errno = EIO; return 0; }
    return 1;
}

/* Whether a name below the folder may be made, changed or removed. */
static int may_change(const char *path) {
    if (!is_below(path)) return 1;
    if (is("locked") && atomic_load(&count) >= most) { errno = EROFS; return 0; }
    if (is("space") && atomic_load(&count) >= most) { errno = ENOSPC; return 0; }
    return 1;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *bytes, size_t length) {
    REAL(write);
    ssize_t admitted = admit(fd, length);
    return admitted < 0 ? -1 : real(fd, bytes, (size_t)admitted);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    REAL(pwrite64);
    ssize_t admitted = admit(fd, length);
    return admitted < 0 ? -1 : real(fd, bytes, (size_t)admitted, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }

ssize_t writev(int fd, const struct iovec *parts, int number) {
    REAL(writev);
    size_t length = 0;
    for (int part = 0; part < number; part++) length += parts[part].iov_len;
    ssize_t admitted = admit(fd, length);
    if (admitted < 0) return -1;
    if ((size_t)admitted == length) return real(fd, parts, number);
    size_t first = parts[0].iov_len < (size_t)admitted ? parts[0].iov_len : (size_t)admitted;
    return write(fd, parts[0].iov_base, first);
}

int fsync(int fd) {
    REAL(fsync);
    return may_sync(fd) ? real(fd) : -1;
}

int fdatasync(int fd) {
    REAL(fdatasync);
    return may_sync(fd) ? real(fd) : -1;
}

/* Room that is taken before it is written to. */
int fallocate64(int fd, int mode, off64_t at, off64_t length) {
    REAL(fallocate64);
    if (concerns(fd) && is("space") && atomic_load(&count) >= most) { errno = ENOSPC; return -1; }
    return real(fd, mode, at, length);
}

int fallocate(int fd, int mode, off_t at, off_t length) { return fallocate64(fd, mode, at, length); }

int rename(const char *from, const char *to) {
    REAL(rename);
    if (is_below(to) && is("rename") && next() >= most) { errno = EIO; return -1; }
    return may_change(to) ? real(from, to) : -1;
}

int unlink(const char *path) {
    REAL(unlink);
    int is_locked = is_below(path) && is("locked") && atomic_load(&count) >= most;
    if (is_locked) { errno = EROFS; return -1; }
    return real(path);
}

int mkdir(const char *path, mode_t mode) {
    REAL(mkdir);
    return may_change(path) ? real(path, mode) : -1;
}

static int may_open(const char *path, int flags) {
    if (!is_below(path)) return 1;
    if (!(flags & (O_CREAT | O_WRONLY | O_RDWR))) {
        size_t length = strlen(path);
        int is_segment = is("segment") && length > 4 && strcmp(path + length - 4, ".seg") == 0;
        if (is_segment && next() >= most) { errno = EMFILE; return 0; }
        return 1;
    }
    if (is("open") && next() == most) { errno = EMFILE; return 0; }
    if (is("keyword") && strstr(path, "/keyword/") && next() >= most) { errno = ENOSPC; return 0; }
    return flags & O_CREAT ? may_change(path) : 1;
}

int open64(const char *path, int flags, ...) {
    REAL(open64);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return may_open(path, flags) ? real(path, flags, mode) : -1;
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return open64(path, flags, mode);
}
