#include "console.h"

#include "config.h"
#include "counter.h"
#include "hal.h"
#include "heap.h"
#include "log.h"
#include "net.h"
#include "node.h"
#include "tdm.h"
#include "timer.h"

#define TAG "console"

enum { LINE = 512, WORDS = 5, HEX_BYTES = 256, LEAK_BLOCK = 1024, LEAK_REST = 8 };

static char line[LINE];
static size_t line_length;

typedef bool command_function(unsigned words, char **word); /* false: show the usage */

struct command {
  const char *name;
  command_function *run;
  const char *usage;
};

static bool parse_number(const char *text, uint32_t *value) {
  uint32_t base = 10, result = 0;
  if (text[0] == '0' && text[1] == 'x') {
    base = 16;
    text += 2;
  }
  if (!*text) {
    return false;
  }
  for (; *text; text++) {
    uint32_t digit = *text >= '0' && *text <= '9'   ? (uint32_t)(*text - '0')
                     : *text >= 'a' && *text <= 'f' ? (uint32_t)(*text - 'a') + 10
                     : *text >= 'A' && *text <= 'F' ? (uint32_t)(*text - 'A') + 10
                                                    : 16;
    if (digit >= base || result > (UINT32_MAX - digit) / base) {
      return false;
    }
    result = result * base + digit;
  }
  *value = result;
  return true;
}

/* The number of bytes, 0 for what is not pairs of hexadecimal digits. */
static size_t parse_hex(const char *text, uint8_t bytes[HEX_BYTES]) {
  size_t length = strlen(text) / 2;
  if (strlen(text) % 2 || length > HEX_BYTES) {
    return 0;
  }
  for (size_t i = 0; i < length; i++) {
    char pair[5] = {'0', 'x', text[2 * i], text[2 * i + 1], '\0'};
    uint32_t value;
    if (!parse_number(pair, &value)) {
      return 0;
    }
    bytes[i] = (uint8_t)value;
  }
  return length;
}

static bool run_stats(unsigned words, char **word) {
  (void)words, (void)word;
  const struct tdm_status *tdm = tdm_status();
  static const char *const states[] = {"waiting", "synchronised", "free"};
  uint32_t busy = hal_busy_basis_points();
  LOG_INFO("stats", "uptime_ms=%u cpu=%u.%02u%% heap_free=%u heap_low=%u", (unsigned)(hal_time_us() / 1000),
           (unsigned)busy / 100, (unsigned)busy % 100, (unsigned)heap_free_bytes(), (unsigned)heap_low_water());
  LOG_INFO("stats", "samples=%u csi=%u vitals=%u filtered=%u late=%u unsent=%u falls=%u",
           (unsigned)node_counters.samples, (unsigned)node_counters.frames, (unsigned)node_counters.vitals,
           (unsigned)node_counters.filtered, (unsigned)node_counters.late, (unsigned)node_counters.unsent,
           (unsigned)node_counters.falls);
  LOG_INFO("stats", "rx=%u tx=%u rx_malformed=%u tx_full=%u unresolved=%u", (unsigned)net_counters.received,
           (unsigned)net_counters.sent, (unsigned)net_counters.malformed, (unsigned)net_counters.queue_full,
           (unsigned)net_counters.unresolved);
  LOG_INFO("stats", "tdm=%s beacons=%u exchanges=%u offset_ms=%d delay_us=%u", states[tdm->state],
           (unsigned)tdm->beacons, (unsigned)tdm->exchanges, (int)(tdm->offset_us / 1000), (unsigned)tdm->delay_us);
  LOG_INFO("stats", "starved=%u late_max_ms=%u flash_writes=%u", (unsigned)timer_counters.starved,
           (unsigned)timer_counters.worst_ms, (unsigned)counter_done());
  return true;
}

static bool run_reboot(unsigned words, char **word) {
  (void)words, (void)word;
  LOG_INFO(TAG, "restarting");
  hal_reset();
}

static bool run_crash(unsigned words, char **word) {
  (void)words, (void)word;
  hal_load_from_nowhere();
  return true;
}

/* Recursion that the compiler can neither unroll nor turn into a loop. */
static __attribute__((noinline)) uint32_t recurse(volatile uint32_t *depth) {
  volatile uint32_t local = *depth + 1;
  return local ? recurse(&local) + local : 0; /* the stack ends long before the number */
}

static bool run_recurse(unsigned words, char **word) {
  (void)words, (void)word;
  volatile uint32_t depth = 0;
  LOG_INFO(TAG, "depth=%u", (unsigned)recurse(&depth));
  return true;
}

/* So many blocks, or, without a number, everything down to the last byte. */
static bool run_leak(unsigned words, char **word) {
  uint32_t kib = UINT32_MAX;
  if (words > 2 || (words == 2 && !parse_number(word[1], &kib))) {
    return false;
  }
  while (kib && heap_allocate(LEAK_BLOCK)) {
    kib--;
  }
  while (words == 1 && heap_allocate(LEAK_REST)) {
  }
  LOG_INFO(TAG, "heap_free=%u", (unsigned)heap_free_bytes());
  return true;
}

static bool run_hang(unsigned words, char **word) {
  (void)words, (void)word;
  LOG_WARN(TAG, "hanging until a reset");
  hal_hang();
}

static bool run_starve(unsigned words, char **word) {
  uint32_t ms;
  if (words != 2 || !parse_number(word[1], &ms)) {
    return false;
  }
  LOG_WARN(TAG, "no timer is served for %u ms", (unsigned)ms);
  timers_hold(hal_time_us() + ms * (uint64_t)1000);
  return true;
}

static bool run_flood(unsigned words, char **word) {
  uint32_t frames;
  if (words != 2 || !parse_number(word[1], &frames)) {
    return false;
  }
  node_flood(frames);
  return true;
}

static bool run_stop(unsigned words, char **word) {
  (void)words, (void)word;
  node_set_sending(false);
  LOG_INFO(TAG, "sending is off");
  return true;
}

static bool run_start(unsigned words, char **word) {
  (void)words, (void)word;
  node_set_sending(true);
  LOG_INFO(TAG, "sending is on");
  return true;
}

static bool run_flash_write(unsigned words, char **word) {
  uint8_t bytes[HEX_BYTES];
  uint32_t offset;
  if (words == 2 && parse_number(word[1], &offset)) {
    counter_write(offset);
    return true;
  }
  size_t length = words == 3 ? parse_hex(word[2], bytes) : 0;
  if (length == 0 || !parse_number(word[1], &offset)) {
    return false;
  }
  if (hal_flash_write(offset, bytes, length)) {
    LOG_INFO(TAG, "flash: %u bytes written at 0x%x", (unsigned)length, (unsigned)offset);
  } else {
    LOG_ERROR(TAG, "flash: cannot write %u bytes at 0x%x", (unsigned)length, (unsigned)offset);
  }
  return true;
}

static bool run_send(unsigned words, char **word) {
  uint8_t bytes[HEX_BYTES];
  uint32_t ip, port;
  size_t length = words == 4 ? parse_hex(word[3], bytes) : 0;
  if (length == 0 || !config_parse_ip(word[1], &ip) || !parse_number(word[2], &port) || port > UINT16_MAX) {
    return false;
  }
  bool sent = net_send_udp(ip, config.target_port, (uint16_t)port, bytes, length);
  LOG_INFO(TAG, "send: %u bytes %s", (unsigned)length, sent ? "on their way" : "dropped");
  return true;
}

/* What can be changed while the node runs; the ranges are those of NVS. */
static bool set_value(const char *key, uint32_t value) {
  if (strcmp(key, "scenario") == 0 && (value <= 9 || value == SCENARIO_ALL)) {
    config.scenario = (uint8_t)value;
  } else if (strcmp(key, "channel") == 0 && config_channel_exists(value)) {
    config.channel = (uint8_t)value;
  } else if (strcmp(key, "edge_tier") == 0 && value <= 2) {
    config.edge_tier = (uint8_t)value;
  } else if (strcmp(key, "tdm_slot") == 0 && value < config.tdm_nodes) {
    config.tdm_slot = (uint8_t)value;
  } else if (strcmp(key, "fall_thresh") == 0 && value >= 1 && value <= UINT16_MAX) {
    config.fall_threshold = (uint16_t)value;
  } else if (strcmp(key, "pres_thresh") == 0 && value <= UINT16_MAX) {
    config.presence_threshold = (uint16_t)value;
  } else if (strcmp(key, "vital_int") == 0 && value >= 50 && value <= UINT16_MAX) {
    config.vitals_interval_ms = (uint16_t)value;
  } else {
    return false;
  }
  return true;
}

static bool run_set(unsigned words, char **word) {
  uint32_t value;
  if (words == 3 && strcmp(word[1], "target") == 0 && config_parse_ip(word[2], &config.target_ip)) {
    LOG_INFO(TAG, "set: target=" IP_FORMAT, IP_ARGUMENTS(config.target_ip));
  } else if (words == 3 && parse_number(word[2], &value) && set_value(word[1], value)) {
    LOG_INFO(TAG, "set: %s=%u", word[1], (unsigned)value);
  } else {
    return false;
  }
  node_reconfigure();
  return true;
}

static command_function run_help;

/* `panic` is not listed: a log that shows the word looks like a crash. `crash` is the same. */
static const struct command commands[] = {
    {"help", run_help, "help"},
    {"stats", run_stats, "stats"},
    {"reboot", run_reboot, "reboot"},
    {"crash", run_crash, "crash"},
    {"recurse", run_recurse, "recurse"},
    {"leak", run_leak, "leak [KIB]"},
    {"hang", run_hang, "hang"},
    {"starve", run_starve, "starve MS"},
    {"flood", run_flood, "flood FRAMES"},
    {"stop", run_stop, "stop"},
    {"start", run_start, "start"},
    {"flash-write", run_flash_write, "flash-write TIMES|OFFSET HEX"},
    {"send", run_send, "send IP PORT HEX"},
    {"set", run_set, "set scenario|channel|edge_tier|tdm_slot|fall_thresh|pres_thresh|vital_int|target VALUE"},
    {"panic", run_crash, NULL},
};

static bool run_help(unsigned words, char **word) {
  (void)words, (void)word;
  for (size_t i = 0; i < COUNT_OF(commands); i++) {
    if (commands[i].usage) {
      LOG_INFO(TAG, "  %s", commands[i].usage);
    }
  }
  return true;
}

static unsigned split(char *text, char *word[WORDS]) {
  unsigned count = 0;
  while (*text && count < WORDS) {
    while (*text == ' ' || *text == '\t') {
      *text++ = '\0';
    }
    if (*text) {
      word[count++] = text;
    }
    while (*text && *text != ' ' && *text != '\t') {
      text++;
    }
  }
  return count;
}

static void run_line(char *text) {
  char *word[WORDS];
  unsigned words = split(text, word);
  if (words == 0) {
    return;
  }
  for (size_t i = 0; i < COUNT_OF(commands); i++) {
    if (strcmp(word[0], commands[i].name) == 0) {
      if (!commands[i].run(words, word)) {
        LOG_WARN(TAG, "usage: %s", commands[i].usage);
      }
      return;
    }
  }
  LOG_WARN(TAG, "unknown command, try help"); /* not repeated: anything could be in it */
}

void console_poll(void) {
  int c;
  while ((c = hal_uart_read()) >= 0) {
    if (c == '\r' || c == '\n') {
      bool fits = line_length < LINE;
      line[fits ? line_length : 0] = '\0';
      line_length = 0;
      if (fits) {
        run_line(line);
      } else {
        LOG_WARN(TAG, "line too long");
      }
    } else if (c == '\b' || c == 0x7f) {
      line_length -= line_length > 0;
    } else if (line_length < LINE) {
      line[line_length < LINE ? line_length : 0] = (char)c;
      line_length++;
    }
  }
}
