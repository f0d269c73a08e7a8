/*
 * gr_warden: stands outside one cell, from its start to its end. It gives up its rights for the cell, joins it to
 * its control groups, and leaves no process behind, also when the keeper that started it is killed.
 *
 * usage: gr_warden CONTROL_FD STATUS_FD [uid=N gid=N] [join=FD]... [into=FD] [pass=FD]... [stage=PATH]... \
 *        -- PROGRAM [ARG]...
 *   pass: a descriptor for PROGRAM; every other one is closed
 *   stage: a path of the host that the cell mounts; the Nth is put at STAGE/N in a mount namespace of the cell's own,
 *          so that its user needs no way through the directories above it. Only as root.
 *   join: a `tasks` file of a control group, version 1; into: the directory of one, version 2
 *
 * CONTROL_FD is watched: when anything can be read from it, or its other end is closed (the keeper is dead), all is
 * killed. On STATUS_FD it writes two lines, `cpu-us=N` and `rss-kb=N`, when no process of the cell is left.
 * Sources: prctl(2) PR_SET_CHILD_SUBREAPER, signalfd(2), setresuid(2), cgroups(7),
 * clone(2) CLONE_INTO_CGROUP.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
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
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_JOIN 16
#define MAX_STAGED 64
#define MAX_KEPT 64
#define STAGE "/tmp" /* there on every system; nothing of ours is looked up in it afterwards */
#define PATIENCE_MS 20

static int control_fd, status_fd, signal_fd;
static int join[MAX_JOIN], join_count, into = -1;
static int kept[MAX_KEPT], kept_count; /* ascending */
static long uid = -1, gid = -1;
static const char *staged[MAX_STAGED];
static int staged_count;

static void die(const char *what) {
    dprintf(STDERR_FILENO, "gr_warden: %s: %s\n", what, strerror(errno));
    _exit(125);
}

static long number(const char *text) {
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == 0 || *end != 0 || value < 0) {
        errno = EINVAL;
        die(text);
    }
    return value;
}

static void give_up_rights(void) {
    uid_t real, effective, saved;
    if (uid < 0)
        return;
    if (setgroups(0, NULL) != 0 || setresgid((gid_t)gid, (gid_t)gid, (gid_t)gid) != 0)
        die("setresgid");
    if (setresuid((uid_t)uid, (uid_t)uid, (uid_t)uid) != 0)
        die("setresuid");
    if (getresuid(&real, &effective, &saved) != 0 || real != (uid_t)uid || effective != (uid_t)uid ||
        saved != (uid_t)uid || real == 0)
        die("uid");
}

static void stage(void) {
    int trees[MAX_STAGED];
    if (staged_count == 0)
        return;
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        die("mount namespace");
    /* All are opened before the stage covers what lies there. */
    for (int i = 0; i < staged_count; i++) {
        trees[i] = (int)syscall(SYS_open_tree, AT_FDCWD, staged[i],
                                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_SYMLINK_NOFOLLOW);
        if (trees[i] < 0)
            die(staged[i]);
    }
    if (mount("stage", STAGE, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=65536") != 0)
        die("stage");
    for (int i = 0; i < staged_count; i++) {
        char path[64];
        struct stat found;
        snprintf(path, sizeof path, STAGE "/%d", i);
        if (fstat(trees[i], &found) != 0)
            die(staged[i]);
        int made = S_ISDIR(found.st_mode) ? mkdir(path, 0755) : mknod(path, S_IFREG | 0444, 0);
        if (made != 0 || syscall(SYS_move_mount, trees[i], "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) != 0)
            die(staged[i]);
        close(trees[i]);
    }
}

static void become(char **argv, pid_t warden) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 0; i < join_count; i++)
        if (write(join[i], "0", 1) != 1)
            die("cgroup");
    /* When the whole machine runs out of memory, cells go first. */
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (score >= 0) {
        ssize_t ignored = write(score, "500", 3);
        (void)ignored;
        close(score);
    }
    give_up_rights();
    /* After the change of uid, which clears it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        die("prctl");
    if (getppid() != warden)
        _exit(125);
    close(control_fd);
    close(status_fd);
    close(signal_fd);
    for (int i = 0; i < join_count; i++)
        close(join[i]);
    if (into >= 0)
        close(into);
    char *const empty[] = {NULL};
    execve(argv[0], argv, empty);
    die(argv[0]);
}

/* The parent of a process, by /proc/PID/stat; -1 when it is gone. */
static pid_t parent_of(const char *pid) {
    char path[280], text[512];
    snprintf(path, sizeof path, "/proc/%s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    if (size <= 0)
        return -1;
    text[size] = 0;
    const char *after = strrchr(text, ')'); /* the name may hold anything, brackets too; then " S PARENT" */
    return after == NULL || strlen(after) < 5 ? -1 : (pid_t)strtol(after + 4, NULL, 10);
}

/* Orphans of the cell come to us, because we are their subreaper. */
static void kill_children(void) {
    struct entry {
        uint64_t inode;
        int64_t next;
        uint16_t size;
        unsigned char kind;
        char name[];
    };
    pid_t self = getpid();
    _Alignas(struct entry) char entries[4096];
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long filled;
    while (proc >= 0 && (filled = syscall(SYS_getdents64, proc, entries, sizeof entries)) > 0)
        for (long at = 0; at < filled;) {
            const struct entry *entry = (const struct entry *)(entries + at);
            at += entry->size;
            if (entry->name[0] >= '1' && entry->name[0] <= '9' && parent_of(entry->name) == self)
                kill((pid_t)strtol(entry->name, NULL, 10), SIGKILL);
        }
    if (proc >= 0)
        close(proc);
}

/* Reaps; returns 0 when no child is left. */
static int reap(pid_t *first) {
    for (;;) {
        pid_t ended = waitpid(-1, NULL, WNOHANG | __WALL);
        if (ended == 0)
            return 1;
        if (ended < 0)
            return errno == EINTR;
        if (ended == *first)
            *first = 0;
    }
}

static void keep(int fd) {
    int at = kept_count++;
    if (kept_count > MAX_KEPT)
        _exit(125);
    for (; at > 0 && kept[at - 1] > fd; at--)
        kept[at] = kept[at - 1];
    kept[at] = fd;
}

/* Closes everything from 3 on but what is kept. */
static void close_others(void) {
    unsigned from = 3;
    for (int i = 0; i < kept_count; i++) {
        if (kept[i] > (int)from)
            syscall(SYS_close_range, from, (unsigned)kept[i] - 1, 0);
        if (kept[i] >= (int)from)
            from = (unsigned)kept[i] + 1;
    }
    syscall(SYS_close_range, from, ~0U, 0);
}

static void keep_only_ours(void) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        die("/dev/null");
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    kept_count = 0;
    keep(control_fd);
    keep(status_fd);
    keep(signal_fd);
    close_others();
}

static void watch(pid_t first) {
    struct pollfd fds[2] = {{.fd = control_fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
    int ending = 0;
    for (;;) {
        int ready = poll(fds, 2, ending ? PATIENCE_MS : -1);
        if (ready < 0 && errno != EINTR)
            ending = 1;
        if (fds[1].revents & POLLIN) {
            struct signalfd_siginfo info;
            if (read(signal_fd, &info, sizeof info) == sizeof info && info.ssi_signo != SIGCHLD)
                fds[0].revents = POLLIN;
        }
        if (fds[0].revents != 0) {
            if (first > 0)
                kill(first, SIGKILL);
            fds[0].fd = -1; /* asked once; a closed end would be ready for ever */
            fds[0].revents = 0;
        }
        if (!reap(&first))
            return;
        if (ending && ready == 0)
            kill_children();
        ending = ending || first == 0;
    }
}

/* Returns the words of the program to start. */
static char **read_arguments(int argc, char **argv) {
    int at = 3;
    if (argc < 5)
        _exit(125);
    keep(control_fd = (int)number(argv[1]));
    keep(status_fd = (int)number(argv[2]));
    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (strncmp(argv[at], "uid=", 4) == 0)
            uid = number(argv[at] + 4);
        else if (strncmp(argv[at], "gid=", 4) == 0)
            gid = number(argv[at] + 4);
        else if (strncmp(argv[at], "join=", 5) == 0 && join_count < MAX_JOIN)
            keep(join[join_count++] = (int)number(argv[at] + 5));
        else if (strncmp(argv[at], "into=", 5) == 0)
            keep(into = (int)number(argv[at] + 5));
        else if (strncmp(argv[at], "pass=", 5) == 0)
            keep((int)number(argv[at] + 5));
        else if (strncmp(argv[at], "stage=", 6) == 0 && staged_count < MAX_STAGED)
            staged[staged_count++] = argv[at] + 6;
        else
            _exit(125);
    }
    if (++at >= argc || (uid < 0) != (gid < 0))
        _exit(125);
    return argv + at;
}

static void prepare(void) {
    close_others();
    if (chdir("/") != 0)
        die("/");
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGHUP);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
    /* Its own session: an interrupt typed at the keeper's terminal is the keeper's to handle. */
    setsid();
    if (signal_fd < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        die("prctl");
    stage();
}

int main(int argc, char **argv) {
    char **program = read_arguments(argc, argv);
    prepare();
    struct clone_args inside = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (unsigned)into};
    pid_t self = getpid();
    /* vfork: the child runs in our memory until it becomes bubblewrap, and changes nothing there. */
    pid_t first = into < 0 ? vfork() : (pid_t)syscall(SYS_clone3, &inside, sizeof inside);
    if (first < 0)
        die("clone");
    if (first == 0)
        become(program, self);
    keep_only_ours();
    watch(first);
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    long long cpu = (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000LL + used.ru_utime.tv_usec +
                    used.ru_stime.tv_usec;
    dprintf(status_fd, "cpu-us=%lld\nrss-kb=%ld\n", cpu, used.ru_maxrss);
    return 0;
}
