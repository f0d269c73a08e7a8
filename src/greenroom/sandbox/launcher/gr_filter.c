/*
 * gr_filter: writes the seccomp program of the cells, for this machine's architecture, to standard output.
 * Run once, at set-up; its output becomes part of gr_launch.
 *
 * usage: gr_filter main | truncate
 *
 * A deny list: what no build, test or tool needs and what has been a way out. Sources: seccomp(2), syscalls(2),
 * namespaces(7), and the lists of the manual pages of the calls named.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static const char *const denied[] = {
    /* mounts and roots */
    "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsconfig", "fsmount",
    "fspick", "mount_setattr",
    /* namespaces */
    "unshare", "setns",
    /* other processes' memory and descriptors */
    "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd", "process_madvise",
    /* large kernel surfaces that have been ways out */
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "memfd_secret",
    "add_key", "request_key", "keyctl", "fanotify_init", "open_by_handle_at", "name_to_handle_at", "vmsplice",
    "modify_ldt", "move_pages", "migrate_pages",
    /* the machine itself */
    "init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms", "kexec_load",
    "kexec_file_load", "reboot", "swapon", "swapoff", "acct", "quotactl", "quotactl_fd", "syslog", "settimeofday",
    "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "stime", "sethostname",
    "setdomainname", "iopl", "ioperm", "vhangup", "nfsservctl", "lookup_dcookie", "_sysctl", "sysfs", "uselib",
    "ustat", "vm86", "vm86old",
};

static scmp_filter_ctx filter;

static int fail(const char *name, int code) {
    fprintf(stderr, "gr_filter: %s: %s\n", name, strerror(-code));
    return 1;
}

static int deny(const char *name, int error, unsigned count, const struct scmp_arg_cmp *when) {
    int call = seccomp_syscall_resolve_name(name);
    if (call == __NR_SCMP_ERROR)
        return fail(name, -ENOSYS);
    int code = seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((uint32_t)error), call, count, when);
    return code == 0 ? 0 : fail(name, code);
}

static int deny_bits(const char *name, unsigned arg, uint64_t bits) {
    const struct scmp_arg_cmp when[] = {SCMP_CMP64(arg, SCMP_CMP_MASKED_EQ, bits, bits)};
    return deny(name, EPERM, 1, when);
}

/* No program that takes on its owner's rights, whoever runs it later outside. */
static int deny_setuid_files(void) {
    static const mode_t bits[] = {S_ISUID, S_ISGID};
    int bad = 0;
    for (size_t i = 0; i < 2; i++) {
        bad |= deny_bits("chmod", 1, bits[i]) | deny_bits("fchmod", 1, bits[i]) | deny_bits("fchmodat", 2, bits[i]);
        bad |= deny_bits("creat", 1, bits[i]) | deny_bits("mknod", 1, bits[i]) | deny_bits("mknodat", 2, bits[i]);
        const struct scmp_arg_cmp open_[] = {SCMP_A1_64(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT),
                                             SCMP_A2_64(SCMP_CMP_MASKED_EQ, bits[i], bits[i])};
        const struct scmp_arg_cmp openat_[] = {SCMP_A2_64(SCMP_CMP_MASKED_EQ, O_CREAT, O_CREAT),
                                               SCMP_A3_64(SCMP_CMP_MASKED_EQ, bits[i], bits[i])};
        bad |= deny("open", EPERM, 2, open_) | deny("openat", EPERM, 2, openat_);
    }
    /* Its mode lies in memory, where a filter cannot look. */
    return bad | deny("openat2", ENOSYS, 0, NULL);
}

/* Only local, IPv4, IPv6 and route sockets: others (vsock, alg, packet...) are not all kept in by a namespace. */
static int deny_sockets(void) {
    int bad = 0;
    for (uint64_t family = 3; family <= 16; family++) {
        const struct scmp_arg_cmp when[] = {SCMP_A0_64(SCMP_CMP_EQ, family)};
        if (family != AF_INET6 && family != AF_NETLINK)
            bad |= deny("socket", EAFNOSUPPORT, 1, when) | deny("socketpair", EAFNOSUPPORT, 1, when);
    }
    const struct scmp_arg_cmp later[] = {SCMP_A0_64(SCMP_CMP_GT, 16)};
    const struct scmp_arg_cmp netlink[] = {SCMP_A0_64(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2_64(SCMP_CMP_NE, 0)};
    bad |= deny("socket", EAFNOSUPPORT, 1, later) | deny("socketpair", EAFNOSUPPORT, 1, later);
    return bad | deny("socket", EAFNOSUPPORT, 2, netlink);
}

static int deny_namespaces(void) {
    static const uint64_t flags[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                     CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};
    int bad = 0;
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        bad |= deny_bits("clone", 0, flags[i]);
    /* Its flags lie in memory; without it the C library uses clone. */
    return bad | deny("clone3", ENOSYS, 0, NULL);
}

static int deny_terminal_input(void) {
    static const uint64_t requests[] = {TIOCSTI, 0x541C /* TIOCLINUX */, TIOCSETD, TIOCCONS};
    int bad = 0;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        const struct scmp_arg_cmp when[] = {SCMP_A1_64(SCMP_CMP_MASKED_EQ, 0xffffffffULL, requests[i])};
        bad |= deny("ioctl", EPERM, 1, when);
    }
    return bad;
}

static int main_filter(void) {
    int bad = 0;
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
        bad |= deny(denied[i], EPERM, 0, NULL);
    for (unsigned bit = 0; bit < 32; bit++) /* any execution domain but the plain one; asking (-1) is refused too */
        bad |= deny_bits("personality", 0, 1ULL << bit);
    return bad | deny_namespaces() | deny_sockets() | deny_terminal_input() | deny_setuid_files();
}

static int truncate_filter(void) {
    const uint64_t mask = O_ACCMODE | O_TRUNC;
    const struct scmp_arg_cmp open_[] = {SCMP_A1_64(SCMP_CMP_MASKED_EQ, mask, O_TRUNC)};
    const struct scmp_arg_cmp openat_[] = {SCMP_A2_64(SCMP_CMP_MASKED_EQ, mask, O_TRUNC)};
    return deny("truncate", EPERM, 0, NULL) | deny("truncate64", EPERM, 0, NULL) | deny("open", EPERM, 1, open_) |
           deny("openat", EPERM, 1, openat_);
}

int main(int argc, char **argv) {
    if (argc != 2 || (strcmp(argv[1], "main") != 0 && strcmp(argv[1], "truncate") != 0))
        return 2;
    filter = seccomp_init(SCMP_ACT_ALLOW);
    if (filter == NULL)
        return 1;
    int bad = strcmp(argv[1], "main") == 0 ? main_filter() : truncate_filter();
    if (seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0)
        bad = 1;
    int code = seccomp_export_bpf(filter, STDOUT_FILENO);
    if (code != 0)
        bad = fail("export", code);
    seccomp_release(filter);
    return bad;
}
