/*
 * gr_launch: process 1 of a cell. Bubblewrap starts it last; it puts up the walls that must come after
 * the mounts (Landlock, seccomp, resource limits), starts the command and tells how it ended.
 *
 * usage: gr_launch REPORT_FD [NAME=VALUE]... -- COMMAND [ARG]...
 *   cpu, fsize, nproc, nofile, data, as   resource limits (seconds, bytes, counts); one left out is not set, and one
 *                                         above the hard limit that we stand under becomes that
 *   rw=PATH                               a tree that may be written; all else is read only (Landlock)
 *
 * On REPORT_FD it writes lines `name=value`: the walls, each found by trying once it is up, `started=1` when the
 * command was started behind all of them, then how it ended. `error=` instead: a wall could not be put up.
 * Exit: that of the command, 128 + signal, or 125 when a wall could not be put up.
 * Sources: landlock(7), seccomp(2), prctl(2), getrlimit(2), capabilities(7), user_namespaces(7), pid_namespaces(7)
 * of the Linux manual pages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "gr_filter.h" /* generated: gr_filter_main[], gr_filter_truncate[] */

#define WALL_FAILED 125
#define MAX_WRITABLE 64

/* The newest system call that the deny list was written against; a later one does not exist here. */
#define NEWEST_SYSCALL 450

/* Rights by Landlock ABI; written out because the headers may be older than the kernel. */
#define FS_EXECUTE (1ULL << 0)
#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR (1ULL << 3)
#define FS_ABI_1 ((1ULL << 13) - 1)
#define FS_REFER (1ULL << 13)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define SCOPE_ALL ((1ULL << 0) | (1ULL << 1))

struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

struct limit {
    const char *name;
    int resource;
    long long value;
};

static struct limit limits[] = {
    {"cpu", RLIMIT_CPU, -1},       {"fsize", RLIMIT_FSIZE, -1}, {"nproc", RLIMIT_NPROC, -1},
    {"nofile", RLIMIT_NOFILE, -1}, {"data", RLIMIT_DATA, -1},   {"as", RLIMIT_AS, -1},
};
static const char *writable[MAX_WRITABLE];
static size_t writable_count;
static int report_fd = -1;

/* Set by the child that shares our memory, when nothing but the command's own start is left to fail. */
static volatile int all_walls_up;

static char unsaid[4096];
static size_t unsaid_size;

/* Lines are gathered and sent together: each sending wakes the keeper. */
static void send_report(void) {
    ssize_t ignored = write(report_fd, unsaid, unsaid_size);
    (void)ignored;
    unsaid_size = 0;
}

static void say(const char *format, ...) {
    size_t room = sizeof unsaid - unsaid_size;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(unsaid + unsaid_size, room, format, args);
    va_end(args);
    if (length > 0 && (size_t)length < room)
        unsaid_size += (size_t)length;
}

static void die(const char *what) {
    say("error=%.200s: %s\n", what, strerror(errno));
    send_report();
    _exit(WALL_FAILED);
}

#ifdef GR_TIMES
/* For a benchmark's own build: when each part was done, in nanoseconds of the monotonic clock. */
static void lap(const char *part) {
    struct timespec at = {0, 0};
    if (syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &at) == 0)
        say("at-%s=%llu\n", part, (unsigned long long)at.tv_sec * 1000000000ULL + (unsigned long long)at.tv_nsec);
}
#else
#define lap(part) ((void)0)
#endif

/* ---- Landlock ------------------------------------------------------------------------------------------- */

static void allow_beneath(int ruleset, const char *path, uint64_t rights) {
    struct landlock_path_beneath_attr rule = {.allowed_access = rights};
    struct stat found;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &found) != 0)
        die(path);
    if (!S_ISDIR(found.st_mode))
        rule.allowed_access &= FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV;
    rule.parent_fd = fd;
    if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
        die("landlock-rule");
    close(fd);
}

/* Returns the ABI enforced, 0 when this kernel has no Landlock. */
static int put_up_landlock(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi < 1)
        return 0;
    struct ruleset attr = {.fs = FS_ABI_1};
    if (abi >= 2)
        attr.fs |= FS_REFER;
    if (abi >= 3)
        attr.fs |= FS_TRUNCATE;
    if (abi >= 5)
        attr.fs |= FS_IOCTL_DEV;
    if (abi >= 6)
        attr.scoped = SCOPE_ALL;
    size_t size = abi >= 6 ? sizeof attr : abi >= 4 ? offsetof(struct ruleset, scoped) : sizeof attr.fs;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (ruleset < 0)
        die("landlock-ruleset");
    allow_beneath(ruleset, "/", FS_EXECUTE | FS_READ_FILE | FS_READ_DIR);
    for (size_t i = 0; i < writable_count; i++)
        allow_beneath(ruleset, writable[i], attr.fs);
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
        die("landlock");
    close(ruleset);
    return (int)abi;
}

/* ---- seccomp -------------------------------------------------------------------------------------------- */

static void put_up_filter(const struct sock_filter *code, size_t count, const char *name) {
    struct sock_fprog program = {.len = (unsigned short)count, .filter = (struct sock_filter *)code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
        die(name);
}

static void put_up_seccomp(int landlock_abi) {
    static const struct sock_filter unknown[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, NEWEST_SYSCALL, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    put_up_filter(unknown, sizeof unknown / sizeof *unknown, "seccomp-unknown");
    /* Before its third ABI Landlock did not govern truncation by path. */
    if (landlock_abi < 3)
        put_up_filter(gr_filter_truncate, sizeof gr_filter_truncate / sizeof *gr_filter_truncate, "seccomp-truncate");
    put_up_filter(gr_filter_main, sizeof gr_filter_main / sizeof *gr_filter_main, "seccomp");
}

/* ---- capabilities, limits ------------------------------------------------------------------------------- */

static void drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 && errno != EINVAL)
        die("ambient-capabilities");
    if (syscall(SYS_capset, &header, none) != 0)
        die("capabilities");
}

static void die_of_limit(const char *name) {
    int error = errno;
    char what[32];
    snprintf(what, sizeof what, "limit-%s", name);
    errno = error;
    die(what);
}

static void set_limits(void) {
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0)
        die_of_limit("core");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (limits[i].value < 0)
            continue;
        struct rlimit bound = {(rlim_t)limits[i].value, (rlim_t)limits[i].value}, outer;
        if (getrlimit(limits[i].resource, &outer) != 0)
            die_of_limit(limits[i].name);
        if (limits[i].resource == RLIMIT_CPU)
            bound.rlim_max += 1; /* the soft limit warns with SIGXCPU, the hard one kills */
        /* A lower hard limit cannot be raised from here, and is the stricter one. */
        if (bound.rlim_max > outer.rlim_max)
            bound.rlim_max = outer.rlim_max;
        if (bound.rlim_cur > bound.rlim_max)
            bound.rlim_cur = bound.rlim_max;
        if (setrlimit(limits[i].resource, &bound) != 0)
            die_of_limit(limits[i].name);
    }
}

/* ---- reporting ------------------------------------------------------------------------------------------ */

static void say_namespace(const char *name) {
    char path[64];
    struct stat found;
    snprintf(path, sizeof path, "/proc/self/ns/%s", name);
    if (stat(path, &found) == 0)
        say("%s-namespace=%llu\n", name, (unsigned long long)found.st_ino);
}

/* Those held or to be had later, and those that the start of a program could give. */
static void say_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct held[2];
    if (syscall(SYS_capget, &header, held) != 0)
        die("capabilities");
    int any = 0, in_bound;
    for (size_t i = 0; i < 2; i++)
        any |= (held[i].effective | held[i].permitted | held[i].inheritable) != 0;
    for (int number = 0; (in_bound = prctl(PR_CAPBSET_READ, number, 0, 0, 0)) >= 0; number++)
        any |= in_bound;
    say("capabilities=%d\n", any);
}

/* Only the mount's own refusal counts: a directory closed to this user may be open to another. */
static int is_read_only(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno == EROFS;
    close(fd);
    syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    return 0;
}

/* Before Landlock, which would refuse first. */
static void say_root(void) {
    struct stat root, tmp;
    struct statfs kind;
    char self[8];
    say("read-only-root=%d\n", is_read_only("/.greenroom-trial") && is_read_only("/usr/.greenroom-trial"));
    if (stat("/", &root) == 0 && stat("/tmp", &tmp) == 0 && statfs("/tmp", &kind) == 0 && root.st_dev != tmp.st_dev &&
        kind.f_type == TMPFS_MAGIC)
        say("tmp-device=%llu\n", (unsigned long long)tmp.st_dev);
    /* A /proc of other processes has another name for the first one of this cell. */
    long length = syscall(SYS_readlinkat, AT_FDCWD, "/proc/self", self, sizeof self);
    say("own-proc=%d\n", getpid() == 1 && length == 1 && self[0] == '1');
}

static int is_refused(long made) {
    if (made == 0)
        _exit(0); /* the child of a clone that should not have come about */
    if (made > 0)
        waitpid((pid_t)made, NULL, __WALL);
    return made < 0;
}

static void say_nesting(void) {
    struct clone_args inside = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    int refused = is_refused(syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0)) &&
                  is_refused(syscall(SYS_clone3, &inside, sizeof inside));
    /* Tried last, and by ourselves: where it comes about there is no way back. */
    if (refused && syscall(SYS_unshare, CLONE_NEWUSER) == 0) {
        errno = EINVAL;
        die("nested-user-namespace");
    }
    say("nested-user-namespaces=%d\n", !refused);
}

static void say_walls(int landlock_abi) {
    say("landlock=%d\n", landlock_abi);
    say("seccomp=%d\n", prctl(PR_GET_SECCOMP, 0, 0, 0, 0));
    say("no-new-privileges=%d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    say("uid=%u\n", (unsigned)getuid());
    say_nesting();
}

static void say_end(int status) {
    struct statfs space;
    if (statfs("/tmp", &space) == 0)
        say("tmp-free=%llu\n", (unsigned long long)space.f_bavail * (unsigned long long)space.f_frsize);
    if (WIFSIGNALED(status))
        say("signal=%d\n", WTERMSIG(status));
    else
        say("exit=%d\n", WEXITSTATUS(status));
}

/* ---- the command ---------------------------------------------------------------------------------------- */

/* Runs in the parent's memory, which waits (vfork): limits, signals and descriptors are the child's own. */
static void start(char **argv) {
    set_limits();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL); /* what the keeper ignores, the command must not */
    umask(022);
    if (syscall(SYS_close_range, 3, ~0U, 0) != 0)
        die("close-range");
    all_walls_up = 1;
    execvp(argv[0], argv);
    int error = errno;
    dprintf(STDERR_FILENO, "cannot start %s: %s\n", argv[0], strerror(error));
    _exit(error == ENOENT ? 127 : 126);
}

static int wait_for(pid_t command) {
    for (;;) {
        int status;
        pid_t ended = wait(&status);
        if (ended == command)
            return status;
        if (ended < 0 && errno != EINTR)
            die("wait");
    }
}

/* Killed and reaped by us: what dies with its namespace is not counted in anyone's CPU time. */
static void end_the_rest(void) {
    kill(-1, SIGKILL);
    while (wait(NULL) > 0 || errno == EINTR)
        continue;
}

static void read_option(const char *option) {
    const char *value = strchr(option, '=');
    if (value == NULL)
        die(option);
    size_t length = (size_t)(value++ - option);
    if (length == 2 && memcmp(option, "rw", 2) == 0) {
        if (writable_count == MAX_WRITABLE)
            die("too many writable trees");
        writable[writable_count++] = value;
        return;
    }
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (strlen(limits[i].name) == length && memcmp(option, limits[i].name, length) == 0) {
            char *end;
            limits[i].value = strtoll(value, &end, 10);
            if (*value == 0 || *end != 0 || limits[i].value < 0)
                die(option);
            return;
        }
    die(option);
}

/* Returns the command's words. */
static char **read_arguments(int argc, char **argv) {
    int at = 2;
    if (argc < 4)
        _exit(WALL_FAILED);
    report_fd = (int)strtol(argv[1], NULL, 10);
    errno = EINVAL;
    for (; at < argc && strcmp(argv[at], "--") != 0; at++)
        read_option(argv[at]);
    if (++at >= argc)
        die("no command");
    return argv + at;
}

static void put_up_walls(void) {
    lap("begin");
    /* Not dumpable: the command, which has the same uid, then cannot open /proc/1/mem or /proc/1/fd. */
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        die("prctl");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        die("no-new-privileges");
    say_namespace("user");
    say_namespace("pid");
    say_namespace("net");
    drop_capabilities();
    say_capabilities();
    say_root();
    lap("namespaces");
    int abi = put_up_landlock();
    lap("landlock");
    put_up_seccomp(abi);
    lap("seccomp");
    say_walls(abi);
    lap("trying-them");
}

int main(int argc, char **argv) {
    char **command = read_arguments(argc, argv);
    put_up_walls();
    pid_t first = vfork();
    if (first < 0)
        die("vfork");
    if (first == 0)
        start(command);
    if (!all_walls_up)
        return WALL_FAILED; /* the child has said why */
    lap("limits-and-exec");
    say("rlimits=1\nstarted=1\n");
    send_report();
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    int status = wait_for(first);
    end_the_rest();
    say_end(status);
    send_report();
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
