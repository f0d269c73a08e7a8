/*
 * gr_sys: the few functions of the C library that gr_launch and gr_warden call, as plain system calls, for x86-64.
 *
 * The start of the C library asks the processor what it can do. Inside a virtual machine each such question goes to
 * the hypervisor: 0.27 ms in all, twice for each cell. Elsewhere the two programs are linked with the C library.
 * Only what they need is here: `printf` formats %s %.Ns %d %u %ld %lu %lld %llu, no locale, no threads.
 * Sources: the x86-64 psABI (process start, registers of system calls), syscalls(2), vfork(2), errno(3).
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "gr_sys is written for x86-64"
#endif

#define KERNEL_SIGSET 8
#define TEXT 4096

/* ---- process start -------------------------------------------------------------------------------------- */

int main(int argc, char **argv);
char **environ;
uintptr_t __stack_chk_guard;

__asm__(".globl _start\n"
        "_start:\n"
        "    xor %ebp, %ebp\n"
        "    mov %rsp, %rdi\n"
        "    and $-16, %rsp\n"
        "    call gr_begin\n"
        "    hlt\n");

/* The stack holds: count, arguments, 0, environment, 0, auxiliary vector. */
__attribute__((used, noreturn, optimize("no-stack-protector"))) void gr_begin(long *stack) {
    char **argv = (char **)(stack + 1);
    environ = argv + stack[0] + 1;
    char **after = environ;
    while (*after != NULL)
        after++;
    for (const Elf64_auxv_t *entry = (const Elf64_auxv_t *)(after + 1); entry->a_type != AT_NULL; entry++)
        if (entry->a_type == AT_RANDOM)
            memcpy(&__stack_chk_guard, (const void *)entry->a_un.a_val, sizeof __stack_chk_guard);
    __stack_chk_guard &= ~(uintptr_t)0xff; /* a string that runs over ends at its zero byte */
    _exit(main((int)stack[0], argv));
}

__attribute__((used, noreturn)) void __stack_chk_fail(void) {
    for (;;)
        kill(getpid(), SIGKILL);
}

/* ---- system calls --------------------------------------------------------------------------------------- */

static int last_error;

int *__errno_location(void) {
    return &last_error;
}

static long call(long number, long a, long b, long c, long d, long e, long f) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    if (result < 0 && result > -4096) {
        last_error = (int)-result;
        return -1;
    }
    return result;
}

#define CALL3(number, a, b, c) call(number, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define CALL5(number, a, b, c, d, e) call(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)

long syscall(long number, ...) {
    long word[6];
    va_list args;
    va_start(args, number);
    for (int i = 0; i < 6; i++)
        word[i] = va_arg(args, long);
    va_end(args);
    return call(number, word[0], word[1], word[2], word[3], word[4], word[5]);
}

/* The child returns first, on the same stack: the way back must not lie there. */
__asm__(".globl vfork\n"
        "vfork:\n"
        "    pop %rdx\n"
        "    mov $58, %eax\n"
        "    syscall\n"
        "    push %rdx\n"
        "    test %rax, %rax\n"
        "    js 1f\n"
        "    ret\n"
        "1:  neg %eax\n"
        "    mov %eax, last_error(%rip)\n"
        "    mov $-1, %rax\n"
        "    ret\n");

void _exit(int status) {
    for (;;)
        CALL3(SYS_exit_group, status, 0, 0);
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return (int)CALL5(SYS_openat, AT_FDCWD, path, flags, mode, 0);
}

int close(int fd) {
    return (int)CALL3(SYS_close, fd, 0, 0);
}

ssize_t read(int fd, void *into, size_t size) {
    return CALL3(SYS_read, fd, into, size);
}

ssize_t write(int fd, const void *from, size_t size) {
    return CALL3(SYS_write, fd, from, size);
}

int dup2(int fd, int as) {
    return (int)CALL3(SYS_dup2, fd, as, 0);
}

int stat(const char *path, struct stat *found) {
    return (int)CALL3(SYS_stat, path, found, 0);
}

int fstat(int fd, struct stat *found) {
    return (int)CALL3(SYS_fstat, fd, found, 0);
}

int statfs(const char *path, struct statfs *found) {
    return (int)CALL3(SYS_statfs, path, found, 0);
}

int mkdir(const char *path, mode_t mode) {
    return (int)CALL3(SYS_mkdir, path, mode, 0);
}

int mknod(const char *path, mode_t mode, dev_t device) {
    return (int)CALL3(SYS_mknod, path, mode, device);
}

int chdir(const char *path) {
    return (int)CALL3(SYS_chdir, path, 0, 0);
}

int mount(const char *source, const char *target, const char *kind, unsigned long flags, const void *data) {
    return (int)CALL5(SYS_mount, source, target, kind, flags, data);
}

int unshare(int flags) {
    return (int)CALL3(SYS_unshare, flags, 0, 0);
}

mode_t umask(mode_t mask) {
    return (mode_t)CALL3(SYS_umask, mask, 0, 0);
}

int prctl(int option, ...) {
    unsigned long word[4];
    va_list args;
    va_start(args, option);
    for (int i = 0; i < 4; i++)
        word[i] = va_arg(args, unsigned long);
    va_end(args);
    return (int)CALL5(SYS_prctl, option, word[0], word[1], word[2], word[3]);
}

pid_t getpid(void) {
    return (pid_t)CALL3(SYS_getpid, 0, 0, 0);
}

pid_t getppid(void) {
    return (pid_t)CALL3(SYS_getppid, 0, 0, 0);
}

uid_t getuid(void) {
    return (uid_t)CALL3(SYS_getuid, 0, 0, 0);
}

pid_t setsid(void) {
    return (pid_t)CALL3(SYS_setsid, 0, 0, 0);
}

int setgroups(size_t count, const gid_t *groups) {
    return (int)CALL3(SYS_setgroups, count, groups, 0);
}

int setresgid(gid_t real, gid_t effective, gid_t saved) {
    return (int)CALL3(SYS_setresgid, real, effective, saved);
}

int setresuid(uid_t real, uid_t effective, uid_t saved) {
    return (int)CALL3(SYS_setresuid, real, effective, saved);
}

int getresuid(uid_t *real, uid_t *effective, uid_t *saved) {
    return (int)CALL3(SYS_getresuid, real, effective, saved);
}

int kill(pid_t pid, int number) {
    return (int)CALL3(SYS_kill, pid, number, 0);
}

pid_t waitpid(pid_t pid, int *status, int options) {
    return (pid_t)CALL5(SYS_wait4, pid, status, options, NULL, 0);
}

pid_t wait(int *status) {
    return waitpid(-1, status, 0);
}

int poll(struct pollfd *fds, nfds_t count, int timeout) {
    return (int)CALL3(SYS_poll, fds, count, timeout);
}

int getrusage(__rusage_who_t who, struct rusage *used) {
    return (int)CALL3(SYS_getrusage, who, used, 0);
}

int setrlimit(__rlimit_resource_t resource, const struct rlimit *bound) {
    return (int)CALL5(SYS_prlimit64, 0, resource, bound, NULL, 0);
}

int getrlimit(__rlimit_resource_t resource, struct rlimit *bound) {
    return (int)CALL5(SYS_prlimit64, 0, resource, NULL, bound, 0);
}

/* ---- signals: the kernel's set is the first word of the library's ----------------------------------------- */

int sigemptyset(sigset_t *set) {
    memset(set, 0, sizeof *set);
    return 0;
}

int sigaddset(sigset_t *set, int number) {
    set->__val[0] |= 1UL << (number - 1);
    return 0;
}

int sigprocmask(int how, const sigset_t *set, sigset_t *before) {
    return (int)CALL5(SYS_rt_sigprocmask, how, set, before, KERNEL_SIGSET, 0);
}

int signalfd(int fd, const sigset_t *set, int flags) {
    return (int)CALL5(SYS_signalfd4, fd, set, KERNEL_SIGSET, flags, 0);
}

/* Only for SIG_DFL and SIG_IGN: a handler would need a way back. */
__sighandler_t signal(int number, __sighandler_t handler) {
    struct {
        __sighandler_t handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } action = {handler, 0, NULL, 0};
    return CALL5(SYS_rt_sigaction, number, &action, NULL, KERNEL_SIGSET, 0) == 0 ? SIG_DFL : SIG_ERR;
}

/* ---- text ----------------------------------------------------------------------------------------------- */

void *memset(void *at, int byte, size_t size) {
    void *begin = at;
    __asm__ volatile("rep stosb" : "+D"(at), "+c"(size) : "a"(byte) : "memory");
    return begin;
}

void *memcpy(void *restrict to, const void *restrict from, size_t size) {
    void *begin = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return begin;
}

int memcmp(const void *one, const void *other, size_t size) {
    const unsigned char *a = one, *b = other;
    for (size_t i = 0; i < size; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0)
        length++;
    return length;
}

int strncmp(const char *one, const char *other, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (one[i] != other[i])
            return (unsigned char)one[i] < (unsigned char)other[i] ? -1 : 1;
        if (one[i] == 0)
            return 0;
    }
    return 0;
}

int strcmp(const char *one, const char *other) {
    return strncmp(one, other, SIZE_MAX);
}

char *strchr(const char *text, int wanted) {
    for (;; text++) {
        if (*text == (char)wanted)
            return (char *)text;
        if (*text == 0)
            return NULL;
    }
}

char *strrchr(const char *text, int wanted) {
    const char *found = NULL;
    for (;; text++) {
        if (*text == (char)wanted)
            found = text;
        if (*text == 0)
            return (char *)found;
    }
}

/* Decimal digits only, no sign; what is too large becomes LLONG_MAX / 10, above any bound that is asked for. */
long long strtoll(const char *restrict text, char **restrict end, int base) {
    unsigned long long value = 0;
    for (; base == 10 && *text >= '0' && *text <= '9'; text++)
        value = value > (unsigned long long)INT64_MAX / 10 - 1 ? INT64_MAX / 10 : value * 10 + (unsigned)(*text - '0');
    if (end != NULL)
        *end = (char *)text;
    return (long long)value;
}

long strtol(const char *restrict text, char **restrict end, int base) {
    return strtoll(text, end, base);
}

char *strerror(int error) {
    static char other[32];
    switch (error) {
    case EPERM:
        return "Operation not permitted";
    case ENOENT:
        return "No such file or directory";
    case E2BIG:
        return "Argument list too long";
    case ENOEXEC:
        return "Exec format error";
    case EAGAIN:
        return "Resource temporarily unavailable";
    case ENOMEM:
        return "Cannot allocate memory";
    case EACCES:
        return "Permission denied";
    case ENOTDIR:
        return "Not a directory";
    case EINVAL:
        return "Invalid argument";
    case EMFILE:
        return "Too many open files";
    case ENOSPC:
        return "No space left on device";
    case ENOSYS:
        return "Function not implemented";
    case ELOOP:
        return "Too many levels of symbolic links";
    default:
        snprintf(other, sizeof other, "error %d", error);
        return other;
    }
}

struct text {
    char *at;
    size_t room;
    size_t length;
};

static void put(struct text *text, const char *from, size_t size) {
    for (size_t i = 0; i < size; i++, text->length++)
        if (text->length + 1 < text->room)
            text->at[text->length] = from[i];
}

static void put_number(struct text *text, unsigned long long value, int negative) {
    char digits[24];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    if (negative)
        digits[--at] = '-';
    put(text, digits + at, sizeof digits - at);
}

int vsnprintf(char *restrict into, size_t room, const char *restrict format, va_list args) {
    struct text text = {into, room, 0};
    for (; *format != 0; format++) {
        if (*format != '%') {
            put(&text, format, 1);
            continue;
        }
        size_t most = SIZE_MAX;
        int longs = 0;
        format++;
        if (*format == '.') {
            char *end;
            most = (size_t)strtoll(format + 1, &end, 10);
            format = end;
        }
        for (; *format == 'l'; format++)
            longs++;
        if (*format == 's') {
            const char *from = va_arg(args, const char *);
            size_t size = strlen(from);
            put(&text, from, size < most ? size : most);
        } else if (*format == 'd') {
            long long value = longs ? va_arg(args, long long) : va_arg(args, int);
            put_number(&text, value < 0 ? -(unsigned long long)value : (unsigned long long)value, value < 0);
        } else if (*format == 'u') {
            put_number(&text, longs ? va_arg(args, unsigned long long) : va_arg(args, unsigned), 0);
        } else {
            return -1;
        }
    }
    if (room > 0)
        into[text.length < room ? text.length : room - 1] = 0;
    return (int)text.length;
}

int snprintf(char *restrict into, size_t room, const char *restrict format, ...) {
    va_list args;
    va_start(args, format);
    int length = vsnprintf(into, room, format, args);
    va_end(args);
    return length;
}

int dprintf(int fd, const char *restrict format, ...) {
    char line[TEXT];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < 0)
        return -1;
    return (int)write(fd, line, (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}

/* ---- programs ------------------------------------------------------------------------------------------- */

int execve(const char *path, char *const argv[], char *const environment[]) {
    return (int)CALL3(SYS_execve, path, argv, environment);
}

static const char *path_of_environment(void) {
    for (char **entry = environ; *entry != NULL; entry++)
        if (strncmp(*entry, "PATH=", 5) == 0)
            return *entry + 5;
    return "/bin:/usr/bin";
}

/* As execvp(3): along PATH, going on where a file is missing or may not be run; a script without #! by the shell. */
static int run(const char *path, char *const argv[]) {
    execve(path, argv, environ);
    if (errno != ENOEXEC)
        return -1;
    size_t count = 0;
    while (argv[count] != NULL)
        count++;
    char *words[count + 2];
    words[0] = "/bin/sh";
    words[1] = (char *)path;
    for (size_t i = 1; i <= count; i++)
        words[i + 1] = argv[i];
    return execve(words[0], words, environ);
}

int execvp(const char *file, char *const argv[]) {
    char path[TEXT];
    int refused = 0;
    if (strchr(file, '/') != NULL)
        return run(file, argv);
    for (const char *at = path_of_environment(); at != NULL;) {
        const char *colon = strchr(at, ':');
        size_t length = colon != NULL ? (size_t)(colon - at) : strlen(at);
        if (length + strlen(file) + 2 <= sizeof path) {
            memcpy(path, at, length);
            snprintf(path + length, sizeof path - length, "%s%s", length > 0 ? "/" : "", file);
            run(path, argv);
            if (errno == EACCES)
                refused = 1;
            else if (errno != ENOENT && errno != ENOTDIR)
                return -1;
        }
        at = colon != NULL ? colon + 1 : NULL;
    }
    errno = refused ? EACCES : ENOENT;
    return -1;
}
