/* A device for Arm's MPS2 AN385 board: on every tick it broadcasts a frame and says so; it says what it receives, with a
 * checksum of it and of the moment. The tick's length depends on the MAC address, so that nodes get out of step. */
typedef unsigned int u32;
#define REGISTER(address) (*(volatile u32 *)(address))

/* CMSDK UART */
#define UART_DATA REGISTER(0x40004000)
#define UART_STATE REGISTER(0x40004004)
#define UART_CONTROL REGISTER(0x40004008)
#define UART_DIVIDER REGISTER(0x40004010)
/* LAN9118 */
#define RX_DATA REGISTER(0x40200000)
#define TX_DATA REGISTER(0x40200020)
#define RX_STATUS REGISTER(0x40200040)
#define TX_CONFIG REGISTER(0x40200070)
#define RX_FIFO REGISTER(0x4020007c)
#define MAC_COMMAND REGISTER(0x402000a4)
#define MAC_VALUE REGISTER(0x402000a8)
/* System timer of the core, 25 MHz */
#define TICK_CONTROL REGISTER(0xe000e010)
#define TICK_RELOAD REGISTER(0xe000e014)
#define TICK_VALUE REGISTER(0xe000e018)
#define TICK_MS 25000

static volatile u32 ticks, unmaskable;

void start(void);
static void on_tick(void) { ticks++; }
static void on_nmi(void) { unmaskable++; }
static void hang(void) { for (;;) ; }

__attribute__((section(".vectors"), used)) static void *const vectors[16] = {
    (void *)0x20040000, start, on_nmi, hang, hang, hang, hang, 0, 0, 0, 0, hang, hang, 0, hang, on_tick,
};

static void put(char c)
{
    while (UART_STATE & 1)
        ;
    UART_DATA = c;
}

static void say(const char *text, u32 value)
{
    while (*text)
        put(*text++);
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[value >> shift & 15]);
    put('\n');
}

static u32 mac_read(u32 index)
{
    MAC_COMMAND = 0xc0000000u | index;
    return MAC_VALUE;
}

static void mac_write(u32 index, u32 value)
{
    MAC_VALUE = value;
    MAC_COMMAND = 0x80000000u | index;
}

static void send(const u32 *words, u32 length)
{
    TX_DATA = 0x3000 | length;
    TX_DATA = 1u << 16 | length;
    for (u32 i = 0; i < (length + 3) / 4; i++)
        TX_DATA = words[i];
}

static u32 receive(u32 sum)
{
    u32 length = RX_STATUS >> 16 & 0x3fff;
    for (u32 i = 0; i < (length + 3) / 4; i++)
        sum = (sum ^ RX_DATA) * 16777619u;
    return (sum ^ TICK_VALUE) * 16777619u;
}

void start(void)
{
    u32 sum = 2166136261u, seen = 0, low, high;
    ticks = unmaskable = 0;
    UART_DIVIDER = 16;
    UART_CONTROL = 1;
    TX_CONFIG = 2;
    mac_write(1, 1u << 18 | 1u << 3 | 1u << 2);
    low = mac_read(3), high = mac_read(2);
    say("boot ", high);
    TICK_RELOAD = (10 + (high >> 8 & 255)) * TICK_MS - 1;
    TICK_VALUE = 0;
    TICK_CONTROL = 7;
    for (;;) {
        __asm__ volatile("wfi");
        if (unmaskable) {
            unmaskable = 0;
            say("nmi ", TICK_VALUE);
        }
        if (ticks == seen)
            continue;
        seen = ticks;
        while (RX_FIFO >> 16 & 255) {
            sum = receive(sum);
            say("received ", sum);
        }
        for (volatile u32 i = 0; i < 500 + (sum & 1023); i++)
            ;
        static u32 frame[16];
        frame[0] = 0xffffffff, frame[1] = 0xffffu | low << 16, frame[2] = low >> 16 | high << 16, frame[3] = 0xb588;
        frame[4] = ticks, frame[5] = sum, frame[6] = TICK_VALUE;
        send(frame, sizeof frame);
        say("tick ", sum);
    }
}
