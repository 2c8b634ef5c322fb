// The first program of a container on the fabric: waits until the rig has made the network interface, then becomes the
// container's own program. Static, without a C library, so that it runs in any image (also in an empty one).
//
//   gate PROGRAM [ARGUMENT ...]
//
// It reads one byte from /.swarmrig/go. Exit 126 without one, or when PROGRAM cannot be executed; 127 when it is not
// there. PROGRAM is looked for in PATH, as execvp(3) does it.
//
// cc -Os -static -nostdlib -nostartfiles -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables -fno-pie
//    -no-pie -Wl,--build-id=none,-z,noseparate-code,-z,noexecstack -s -o gate-x86_64 gate.c

#define O_CLOEXEC 02000000
#define ENOENT 2
#define MAX_PATH 4096

enum { READ = 0, WRITE = 1, OPEN = 2, EXECVE = 59, EXIT = 60 };

static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}

static long length(const char *text) {
    long count = 0;
    while (text[count]) count++;
    return count;
}

static int has_slash(const char *text) {
    for (; *text; text++)
        if (*text == '/') return 1;
    return 0;
}

static const char *path_of(char **environment) {
    for (; *environment; environment++) {
        const char *each = *environment;
        if (each[0] == 'P' && each[1] == 'A' && each[2] == 'T' && each[3] == 'H' && each[4] == '=') return each + 5;
    }
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static long search(char **words, char **environment) {
    static char file[MAX_PATH];
    const char *at = path_of(environment);
    long worst = -ENOENT, size = length(words[0]);
    for (;;) {
        long n = 0;
        while (at[n] && at[n] != ':') n++;
        if (n + size + 2 <= MAX_PATH) {
            long end = 0;
            for (; end < n; end++) file[end] = at[end];
            if (n) file[end++] = '/';
            for (long i = 0; i <= size; i++) file[end + i] = words[0][i];
            long error = call(EXECVE, (long)file, (long)words, (long)environment);
            if (error != -ENOENT) worst = error;
        }
        if (!at[n]) return worst;
        at += n + 1;
    }
}

static void say(const char *text) { call(WRITE, 2, (long)text, length(text)); }

__attribute__((noreturn, used)) static void run(long *stack) {
    long count = stack[0], error = -ENOENT;
    char **words = (char **)(stack + 1) + 1, **environment = (char **)(stack + 1) + count + 1;
    char byte;
    long go = call(OPEN, (long)"/.swarmrig/go", O_CLOEXEC, 0);
    if (count < 2 || go < 0 || call(READ, go, (long)&byte, 1) != 1) {
        say("swarmrig: the rig has not let this container go\n");
        for (;;) call(EXIT, 126, 0, 0);
    }
    error = has_slash(words[0]) ? call(EXECVE, (long)words[0], (long)words, (long)environment)
                                : search(words, environment);
    say(words[0]);
    say(error == -ENOENT ? ": no such program in the container\n" : ": this program cannot be executed\n");
    for (;;) call(EXIT, error == -ENOENT ? 127 : 126, 0, 0);
}

__asm__(".globl _start\n_start:\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call run\n");
