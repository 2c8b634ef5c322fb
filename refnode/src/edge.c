#include "edge.h"

#include "fmath.h"
#include "spectrum.h"

#define RATE ((float)CSI_RATE_HZ)
#define DECIMATED_HZ (RATE / EDGE_DECIMATION)
#define DEFAULT_PRESENCE_RAD 0.020f
#define MOTION_RAD_S2 1.5f /* between breathing (up to 1.1 with noise) and walking (from 2.0) */
#define BREATHING_MIN_RAD 0.02f
#define BREATHING_MIN_SHARE 0.6f /* of the power; less is not a breath but somebody who shifted */
#define HEART_MIN_RAD 0.003f
#define SECOND_PERSON_SHARE 0.25f /* of the strongest line's power */

enum { PRESENCE_VALUES = 25 /* 5 s */, VITALS_MIN_VALUES = 40 /* 8 s: two slow breaths */ };

/* Angle between two samples over some subcarriers, exact in integers up to the last step. */
static float turn_between(const int8_t *now, const int8_t *before, const uint8_t *chosen, unsigned count) {
  int32_t real = 0, imaginary = 0;
  for (unsigned i = 0; i < count; i++) {
    unsigned k = chosen ? chosen[i] : i;
    int32_t a = now[2 * k], b = now[2 * k + 1], c = before[2 * k], d = before[2 * k + 1];
    real += a * c + b * d;
    imaginary += b * c - a * d;
  }
  return fm_atan2((float)imaginary, (float)real);
}

static void rank_subcarriers(struct edge *edge, const int8_t *iq) {
  int32_t power[CSI_SUBCARRIERS];
  for (int k = 0; k < CSI_SUBCARRIERS; k++) {
    power[k] = iq[2 * k] * iq[2 * k] + iq[2 * k + 1] * iq[2 * k + 1];
  }
  for (unsigned rank = 0; rank < edge->settings.subcarriers; rank++) {
    unsigned best = 0;
    for (unsigned k = 1; k < CSI_SUBCARRIERS; k++) {
      best = power[k] > power[best] ? k : best;
    }
    edge->strongest[rank] = (uint8_t)best;
    power[best] = -1;
  }
}

void edge_init(struct edge *edge, const struct edge_settings *settings) {
  memset(edge, 0, sizeof *edge);
  edge->settings = *settings;
  if (edge->settings.subcarriers > CSI_SUBCARRIERS) {
    edge->settings.subcarriers = CSI_SUBCARRIERS;
  }
}

static void restart(struct edge *edge, const struct csi_sample *sample) {
  edge->known = 0;
  edge->fast_frames = 0;
  edge->square_count = 0;
  edge->history_count = 0;
  edge->phase = edge->phase_sum = 0.0f;
  edge->phase_count = 0;
  if (sample->subcarriers) {
    rank_subcarriers(edge, sample->iq);
  }
}

static void keep_phase(struct edge *edge, float turn) {
  edge->phase += turn;
  edge->phase_sum += edge->phase;
  if (++edge->phase_count == EDGE_DECIMATION) {
    edge->history[edge->history_count++ % EDGE_HISTORY] = edge->phase_sum / EDGE_DECIMATION;
    edge->phase_sum = 0.0f;
    edge->phase_count = 0;
  }
}

/* Three consecutive frames at or above the threshold are a fall; then five seconds of cool-down. */
static void watch_for_fall(struct edge *edge, struct edge_event *event) {
  float size = fm_abs(event->acceleration);
  if (edge->cool_down) {
    edge->cool_down--;
    edge->fast_frames = 0;
    return;
  }
  if (size * 1000.0f < (float)edge->settings.fall_threshold_mrad) {
    edge->fast_frames = 0;
    return;
  }
  edge->peak = edge->fast_frames == 0 || size > edge->peak ? size : edge->peak;
  if (++edge->fast_frames == EDGE_FALL_FRAMES) {
    event->fall = true;
    event->fall_peak = (uint32_t)(edge->peak * 1000.0f + 0.5f);
    edge->fast_frames = 0;
    edge->cool_down = EDGE_COOL_DOWN_FRAMES;
  }
}

static struct edge_event take_turn(struct edge *edge, const struct csi_sample *sample, uint32_t gap) {
  struct edge_event event = {0};
  float turn = turn_between(sample->iq, edge->previous, NULL, CSI_SUBCARRIERS) / (float)gap;
  if (edge->known == 2) {
    event.has_acceleration = true;
    event.acceleration = (turn - edge->turn) * RATE * RATE * 2.0f / (float)(gap + edge->gap);
    edge->squares[edge->square_count++ % EDGE_SECOND] = event.acceleration * event.acceleration;
    if (edge->settings.tier >= 2) {
      watch_for_fall(edge, &event);
    }
  }
  edge->turn = turn;
  edge->gap = gap;
  edge->known = 2;
  turn = turn_between(sample->iq, edge->previous, edge->strongest, edge->settings.subcarriers) / (float)gap;
  for (uint32_t i = 0; i < gap; i++) { /* a straight line across the gap */
    keep_phase(edge, turn);
  }
  return event;
}

struct edge_event edge_feed(struct edge *edge, const struct csi_sample *sample) {
  struct edge_event event = {0};
  uint32_t gap = sample->number - edge->number;
  bool continues = edge->known && gap >= 1 && gap <= EDGE_GAP_MAX && sample->channel == edge->channel;
  edge->rssi = sample->rssi;
  if (edge->settings.tier == 0) {
    return event;
  }
  if (!continues || sample->subcarriers == 0) {
    restart(edge, sample);
  }
  if (sample->subcarriers == 0) {
    return event;
  }
  if (edge->known) {
    event = take_turn(edge, sample, gap);
  } else {
    edge->known = 1;
  }
  memcpy(edge->previous, sample->iq, sizeof edge->previous);
  edge->number = sample->number;
  edge->channel = sample->channel;
  return event;
}

/* The newest `count` decimated phases, oldest first, without their straight-line trend. */
static unsigned recent(const struct edge *edge, unsigned count, float *values) {
  uint32_t have = edge->history_count < EDGE_HISTORY ? edge->history_count : EDGE_HISTORY;
  count = count < have ? count : have;
  for (unsigned i = 0; i < count; i++) {
    values[i] = edge->history[(edge->history_count - count + i) % EDGE_HISTORY];
  }
  return count;
}

static float deviation(const float *values, unsigned count) {
  float mean = 0.0f, squares = 0.0f;
  for (unsigned i = 0; i < count; i++) {
    mean += values[i];
  }
  mean /= (float)count;
  for (unsigned i = 0; i < count; i++) {
    squares += (values[i] - mean) * (values[i] - mean);
  }
  return fm_sqrt(squares / (float)count);
}

static float motion_energy(const struct edge *edge) {
  if (edge->square_count < EDGE_SECOND) {
    return 0.0f;
  }
  float total = 0.0f;
  for (int i = 0; i < EDGE_SECOND; i++) {
    total += edge->squares[i];
  }
  return fm_sqrt(total / EDGE_SECOND);
}

/* Breathing 6 to 30 a minute, heart 48 to 120; a second breathing line is a second person. */
static void estimate_rates(const struct edge *edge, struct vitals *vitals) {
  float values[EDGE_HISTORY];
  unsigned count = recent(edge, edge->settings.window_frames / EDGE_DECIMATION, values);
  if (count < VITALS_MIN_VALUES || (vitals->flags & VITALS_MOTION)) {
    return; /* whoever moves hides his breath */
  }
  spectrum_prepare(values, count);
  struct spectrum_peak peaks[2];
  unsigned found = spectrum_peaks(values, count, DECIMATED_HZ, 0.10f, 0.55f, 0.0125f, peaks);
  float first = found >= 1 ? spectrum_share(values, count, &peaks[0]) : 0.0f;
  float second = found == 2 ? spectrum_share(values, count, &peaks[1]) : 0.0f;
  if (found >= 1 && peaks[0].amplitude >= BREATHING_MIN_RAD && first + second >= BREATHING_MIN_SHARE) {
    vitals->breathing_bpm = 60.0f * peaks[0].frequency;
    if (second >= SECOND_PERSON_SHARE * first) {
      vitals->persons = 2;
    }
  }
  found = spectrum_peaks(values, count, DECIMATED_HZ, 0.80f, 2.00f, 0.025f, peaks);
  if (found >= 1 && peaks[0].amplitude >= HEART_MIN_RAD) {
    vitals->heart_bpm = 60.0f * peaks[0].frequency;
  }
}

void edge_vitals(const struct edge *edge, struct vitals *vitals) {
  *vitals = (struct vitals){.rssi = edge->rssi};
  float values[PRESENCE_VALUES];
  unsigned count = recent(edge, PRESENCE_VALUES, values);
  if (edge->settings.tier == 0 || count == 0) {
    return;
  }
  float threshold = edge->settings.presence_threshold_mrad ? (float)edge->settings.presence_threshold_mrad / 1000.0f
                                                           : DEFAULT_PRESENCE_RAD;
  vitals->presence_score = deviation(values, count);
  vitals->motion_energy = motion_energy(edge);
  if (vitals->motion_energy >= MOTION_RAD_S2) {
    vitals->flags |= VITALS_MOTION;
  }
  if (vitals->presence_score >= threshold) {
    vitals->flags |= VITALS_PRESENCE;
    vitals->persons = 1;
  }
  if (edge->settings.tier >= 2) {
    if (edge->cool_down) {
      vitals->flags |= VITALS_FALL;
    }
    if (vitals->flags & VITALS_PRESENCE) {
      estimate_rates(edge, vitals);
    }
  }
}
