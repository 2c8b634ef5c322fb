/* One device driven from standard input, for runs under sanitizers. Records: kind (1 byte), length (2 bytes, little
 * endian), data. Kinds: F flash image (before boot), B boot, R received frame, T typed text, A advance by µs (4). */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

uint64_t host_boot(void);
uint64_t host_step(void);
void host_set_time(uint64_t us);
void host_set_mac(const uint8_t mac[6]);
void host_set_flash(const uint8_t *data, size_t length);
bool host_receive(const uint8_t *data, size_t length);
size_t host_take_frame(uint8_t *out);
size_t host_take_console(char *out, size_t capacity);
void host_type(const char *text, size_t length);

static uint64_t now;

static bool step(void) {
  static uint8_t frame[1600];
  static char text[1 << 16];
  host_set_time(now);
  uint64_t next = host_step();
  while (host_take_frame(frame)) {
  }
  fwrite(text, 1, host_take_console(text, sizeof text), stdout);
  return next == 0;
}

int main(void) {
  static uint8_t head[3], data[1 << 16];
  const uint8_t mac[6] = {0x52, 0x54, 0, 0, 0, 1};
  host_set_mac(mac);
  while (fread(head, 1, sizeof head, stdin) == sizeof head) {
    size_t length = head[1] | (size_t)head[2] << 8;
    if (fread(data, 1, length, stdin) != length) {
      return 2;
    }
    uint32_t advance;
    switch (head[0]) {
      case 'F': host_set_flash(data, length); continue;
      case 'B': host_boot(); continue;
      case 'R': host_receive(data, length); break;
      case 'T': host_type((const char *)data, length); break;
      case 'A': memcpy(&advance, data, 4); now += advance; break;
      default: return 3;
    }
    while (step()) {
    }
  }
  puts("done");
  return 0;
}
