/* A guest that boots at once: it says so, beats ten times a second, and answers lines that are typed. */
typedef unsigned char u8;
typedef unsigned u32;
typedef unsigned long long u64;

enum { COM1 = 0x3f8, STATUS = COM1 + 5, READABLE = 0x01, WRITABLE = 0x20, TICKS = 250000000 };

__asm__(".section .multiboot, \"a\"\n"
        ".balign 4\n"
        ".long 0x1BADB002, 0, -0x1BADB002\n"
        ".text\n"
        ".globl _start\n"
        "_start: movl $stack, %esp\n"
        "call begin\n"
        ".lcomm below, 4096\n"
        ".lcomm stack, 4\n");

static inline void out(u32 port, u8 value)
{
    __asm__ volatile("outb %0, %w1" ::"a"(value), "d"(port));
}

static inline u8 in(u32 port)
{
    u8 value;
    __asm__ volatile("inb %w1, %0" : "=a"(value) : "d"(port));
    return value;
}

static inline u64 ticks(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (u64)high << 32 | low;
}

static void say(const char *text)
{
    for (; *text; text++) {
        while (!(in(STATUS) & WRITABLE))
            ;
        out(COM1, (u8)*text);
    }
}

static void listen(void)
{
    static char line[64];
    static u32 length;

    while (in(STATUS) & READABLE) {
        char c = (char)in(COM1);
        if (c != '\n') {
            if (length < sizeof line - 1)
                line[length++] = c;
            continue;
        }
        line[length] = 0;
        length = 0;
        say("said ");
        say(line);
        say("\n");
    }
}

void begin(void)
{
    out(COM1 + 3, 3); /* 8 data bits */
    say("ready\n");
    for (;;) {
        u64 since = ticks();
        while (ticks() - since < TICKS)
            listen();
        say("beat\n");
    }
}
