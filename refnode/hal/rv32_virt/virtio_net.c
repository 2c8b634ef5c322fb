/* virtio-net over virtio-mmio version 2 (Virtual I/O Device specification 1.1, sections 4.2.2, 2.6 and 5.1):
 * split queues, no offloads, one buffer a frame. */
#include "board.h"

#include "hal.h"

enum {
  REG_MAGIC = 0x000, REG_VERSION = 0x004, REG_DEVICE = 0x008,
  REG_DEVICE_FEATURES = 0x010, REG_DEVICE_FEATURES_SEL = 0x014,
  REG_DRIVER_FEATURES = 0x020, REG_DRIVER_FEATURES_SEL = 0x024,
  REG_QUEUE_SEL = 0x030, REG_QUEUE_NUM_MAX = 0x034, REG_QUEUE_NUM = 0x038, REG_QUEUE_READY = 0x044,
  REG_QUEUE_NOTIFY = 0x050, REG_INTERRUPT_STATUS = 0x060, REG_INTERRUPT_ACK = 0x064, REG_STATUS = 0x070,
  REG_QUEUE_DESC = 0x080, REG_QUEUE_DRIVER = 0x090, REG_QUEUE_DEVICE = 0x0a0, REG_CONFIG = 0x100,
};
enum { STATUS_ACKNOWLEDGE = 1, STATUS_DRIVER = 2, STATUS_DRIVER_OK = 4, STATUS_FEATURES_OK = 8 };
enum { FEATURE_MAC = 1u << 5, FEATURE_VERSION_1_HIGH = 1u << 0 };
enum { DESC_WRITE = 2, AVAIL_NO_INTERRUPT = 1, DEVICE_NET = 1, HEADER = 12 };
enum { RX_QUEUE = 0, TX_QUEUE = 1, QUEUE_SIZE = 64, BUFFER = 1536 };

#define MAGIC 0x74726976u /* "virt" */

struct descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t flags, next;
};

struct available {
  uint16_t flags;
  volatile uint16_t index;
  uint16_t ring[QUEUE_SIZE];
  uint16_t used_event;
};

struct used {
  uint16_t flags;
  volatile uint16_t index;
  struct {
    uint32_t id, length;
  } ring[QUEUE_SIZE];
  uint16_t available_event;
};

struct queue {
  struct descriptor descriptors[QUEUE_SIZE] __attribute__((aligned(16)));
  struct available available __attribute__((aligned(2)));
  struct used used __attribute__((aligned(4)));
  uint16_t seen; /* used entries already taken */
};

static struct queue rx, tx;
static uint8_t rx_buffers[QUEUE_SIZE][BUFFER] __attribute__((aligned(16), section(".uncleared")));
static uint8_t tx_buffers[QUEUE_SIZE][BUFFER] __attribute__((aligned(16), section(".uncleared")));
static uintptr_t device;

static uint32_t get(uint32_t reg) { return read32(device + reg); }
static void set(uint32_t reg, uint32_t value) { write32(device + reg, value); }
static void barrier(void) { __asm__ volatile("fence rw, rw" ::: "memory"); }

static uint32_t find_device(void) {
  for (uint32_t slot = 0; slot < VIRTIO_SLOTS; slot++) {
    uintptr_t base = VIRTIO_BASE + slot * VIRTIO_STRIDE;
    if (read32(base + REG_MAGIC) == MAGIC && read32(base + REG_VERSION) == 2 &&
        read32(base + REG_DEVICE) == DEVICE_NET) {
      device = base;
      return IRQ_VIRTIO_FIRST + slot;
    }
  }
  return 0;
}

static bool negotiate(void) {
  set(REG_STATUS, 0);
  set(REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
  set(REG_DEVICE_FEATURES_SEL, 1);
  if (!(get(REG_DEVICE_FEATURES) & FEATURE_VERSION_1_HIGH)) {
    return false;
  }
  set(REG_DRIVER_FEATURES_SEL, 0);
  set(REG_DRIVER_FEATURES, FEATURE_MAC);
  set(REG_DRIVER_FEATURES_SEL, 1);
  set(REG_DRIVER_FEATURES, FEATURE_VERSION_1_HIGH);
  set(REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
  return get(REG_STATUS) & STATUS_FEATURES_OK;
}

static bool give_queue(uint32_t number, struct queue *queue) {
  set(REG_QUEUE_SEL, number);
  if (get(REG_QUEUE_NUM_MAX) < QUEUE_SIZE) {
    return false;
  }
  set(REG_QUEUE_NUM, QUEUE_SIZE);
  set(REG_QUEUE_DESC, (uint32_t)(uintptr_t)queue->descriptors);
  set(REG_QUEUE_DESC + 4, 0);
  set(REG_QUEUE_DRIVER, (uint32_t)(uintptr_t)&queue->available);
  set(REG_QUEUE_DRIVER + 4, 0);
  set(REG_QUEUE_DEVICE, (uint32_t)(uintptr_t)&queue->used);
  set(REG_QUEUE_DEVICE + 4, 0);
  set(REG_QUEUE_READY, 1);
  return true;
}

static void offer(uint16_t id) {
  rx.available.ring[rx.available.index % QUEUE_SIZE] = id;
  barrier();
  rx.available.index++;
}

bool hal_nic_init(uint8_t mac[6]) {
  uint32_t irq = find_device();
  if (!irq || !negotiate() || !give_queue(RX_QUEUE, &rx) || !give_queue(TX_QUEUE, &tx)) {
    device = 0;
    return false;
  }
  for (int i = 0; i < 6; i++) {
    mac[i] = read8(device + REG_CONFIG + (uint32_t)i);
  }
  for (uint16_t i = 0; i < QUEUE_SIZE; i++) {
    rx.descriptors[i] =
        (struct descriptor){.address = (uint32_t)(uintptr_t)rx_buffers[i], .length = BUFFER, .flags = DESC_WRITE};
    tx.descriptors[i] = (struct descriptor){.address = (uint32_t)(uintptr_t)tx_buffers[i]};
    tx.available.ring[i] = i;
    for (int byte = 0; byte < HEADER; byte++) {
      tx_buffers[i][byte] = 0;
    }
    offer(i);
  }
  tx.available.flags = AVAIL_NO_INTERRUPT; /* finished sends are found when the next one needs room */
  set(REG_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
  set(REG_QUEUE_NOTIFY, RX_QUEUE);
  plic_enable(irq);
  return true;
}

void nic_acknowledge(void) { set(REG_INTERRUPT_ACK, get(REG_INTERRUPT_STATUS)); }

const uint8_t *hal_nic_receive(size_t *length) {
  while (device && rx.used.index != rx.seen) {
    barrier();
    uint32_t id = rx.used.ring[rx.seen % QUEUE_SIZE].id % QUEUE_SIZE;
    uint32_t size = rx.used.ring[rx.seen % QUEUE_SIZE].length;
    if (size > HEADER && size <= BUFFER) {
      *length = size - HEADER;
      return rx_buffers[id] + HEADER;
    }
    hal_nic_release();
  }
  return NULL;
}

void hal_nic_release(void) {
  offer((uint16_t)(rx.used.ring[rx.seen % QUEUE_SIZE].id % QUEUE_SIZE));
  rx.seen++;
  barrier();
  set(REG_QUEUE_NOTIFY, RX_QUEUE);
}

uint8_t *hal_nic_send_buffer(void) {
  /* Frames leave in order, so slot n is free again once n - QUEUE_SIZE was used. */
  if (!device || (uint16_t)(tx.available.index - tx.used.index) >= QUEUE_SIZE) {
    return NULL;
  }
  return tx_buffers[tx.available.index % QUEUE_SIZE] + HEADER;
}

void hal_nic_send(size_t length) {
  uint16_t slot = tx.available.index % QUEUE_SIZE;
  tx.descriptors[slot].length = (uint32_t)length + HEADER; /* the header before the frame stays all zero */
  barrier();
  tx.available.index++;
  barrier();
  set(REG_QUEUE_NOTIFY, TX_QUEUE);
}
