#include "counter.h"

#include "config.h"
#include "hal.h"
#include "log.h"
#include "nvs.h"
#include "timer.h"

#define TAG "flash"
#define INTERVAL_US 10000u

static struct timer timer;
static struct nvs nvs;
static uint32_t asked, done_of_asked, done;

static void write_next(void) {
  uint32_t value = 0;
  nvs_get_uint(&nvs, COUNTER_SPACE, COUNTER_KEY, UINT32_MAX - 1, &value);
  const char *problem = nvs_put_uint(&nvs, COUNTER_SPACE, COUNTER_KEY, value + 1);
  if (problem) {
    LOG_ERROR(TAG, "write %u of %u failed: %s", (unsigned)done_of_asked + 1, (unsigned)asked, problem);
    asked = done_of_asked = 0;
    return;
  }
  done++;
  done_of_asked++;
  LOG_INFO(TAG, "write %u of %u done, writes=%u", (unsigned)done_of_asked, (unsigned)asked, (unsigned)value + 1);
  if (done_of_asked < asked) {
    timer_set(&timer, hal_time_us() + INTERVAL_US);
  } else {
    asked = done_of_asked = 0;
  }
}

void counter_write(uint32_t times) {
  if (asked == 0 && times > 0) {
    config_open_nvs(&nvs);
    timer_set(&timer, hal_time_us() + INTERVAL_US);
  }
  asked += times;
}

uint32_t counter_done(void) { return done; }

void counter_start(void) { timer_add(&timer, write_next); }
