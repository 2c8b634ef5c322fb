/* Two UARTs: a console, and a line to the other machine. Every 20 ms a ping goes out on the line; what comes in there is
 * told on the console, and so is what is typed. Between two milliseconds the processor sleeps. */
#include <stdint.h>

#define CONSOLE 0x10000000u
#ifndef LINE
#define LINE 0x10001000u
#endif
#define MTIMECMP 0x02004000u
#define MTIME 0x0200bff8u
#define TICKS_PER_MS 10000u
#define PING_MS 20u
#define MIE_MTIE (1u << 7)

enum { RBR = 0, THR = 0, IER = 1, FCR = 2, LSR = 5, LSR_READY = 0x01, LSR_EMPTY = 0x20, FCR_ON = 0x07 };

struct input {
  char text[80];
  unsigned length;
};

static volatile uint8_t *reg(uintptr_t uart, unsigned number) { return (volatile uint8_t *)(uart + number); }

static void put(uintptr_t uart, const char *text) {
  for (; *text; text++) {
    while (!(*reg(uart, LSR) & LSR_EMPTY)) {
    }
    *reg(uart, THR) = (uint8_t)*text;
  }
}

static void put_number(uintptr_t uart, unsigned value) {
  char digits[11], *at = digits + 10;
  *at = 0;
  do {
    *--at = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  put(uart, at);
}

/* True when a line is complete; it is in `input` then, without its end. */
static int hear(uintptr_t uart, struct input *input) {
  while (*reg(uart, LSR) & LSR_READY) {
    char byte = (char)*reg(uart, RBR);
    if (byte == '\n' || byte == '\r') {
      int any = input->length > 0;
      input->text[input->length] = 0;
      input->length = 0;
      if (any) {
        return 1;
      }
    } else if (input->length < sizeof input->text - 1) {
      input->text[input->length++] = byte;
    }
  }
  return 0;
}

static void tell(const char *who, const char *what) {
  put(CONSOLE, who);
  put(CONSOLE, what);
  put(CONSOLE, "\r\n");
}

static uint64_t now(void) {
  uint32_t high, low;
  do {
    high = *(volatile uint32_t *)(MTIME + 4);
    low = *(volatile uint32_t *)MTIME;
  } while (*(volatile uint32_t *)(MTIME + 4) != high);
  return (uint64_t)high << 32 | low;
}

static void sleep_until(uint64_t then) {
  *(volatile uint32_t *)(MTIMECMP + 4) = UINT32_MAX; /* no match while the two halves disagree */
  *(volatile uint32_t *)MTIMECMP = (uint32_t)then;
  *(volatile uint32_t *)(MTIMECMP + 4) = (uint32_t)(then >> 32);
  while (now() < then) {
    __asm__ volatile("wfi");
  }
}

int main(void) {
  static struct input typed, heard;
  unsigned pings = 0;
  __asm__ volatile("csrw mie, %0" ::"r"(MIE_MTIE)); /* ends a sleep; nothing is interrupted */
  *reg(CONSOLE, FCR) = FCR_ON;
  *reg(LINE, FCR) = FCR_ON;
  tell("boot: ", "pair");
  uint64_t begin = now();
  for (unsigned ms = 1;; ms++) {
    sleep_until(begin + (uint64_t)ms * TICKS_PER_MS);
    if (hear(CONSOLE, &typed)) {
      tell("heard: ", typed.text);
    }
    if (hear(LINE, &heard)) {
      tell("peer says: ", heard.text);
    }
    if (ms % PING_MS == 0) {
      put(LINE, "ping ");
      put_number(LINE, ++pings);
      put(LINE, "\n");
    }
  }
}
