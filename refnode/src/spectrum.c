#include "spectrum.h"

#include "fmath.h"

void spectrum_prepare(float *values, unsigned count) {
  float centre = 0.5f * (float)(count - 1), mean = 0.0f, moment = 0.0f, spread = 0.0f;
  for (unsigned i = 0; i < count; i++) {
    float x = (float)i - centre;
    mean += values[i];
    moment += x * values[i];
    spread += x * x;
  }
  mean /= (float)count;
  float slope = spread > 0.0f ? moment / spread : 0.0f;
  for (unsigned i = 0; i < count; i++) {
    float window = 0.5f - 0.5f * fm_cos_turns(((float)i + 0.5f) / (float)count);
    values[i] = (values[i] - mean - slope * ((float)i - centre)) * window;
  }
}

/* Power at one frequency by the recurrence of Goertzel (1958), as the squared amplitude of a sine there.
 * The Hann window halves the sum, hence the factor 4 / count. */
static float power_at(const float *values, unsigned count, float turns_per_value) {
  float coefficient = 2.0f * fm_cos_turns(turns_per_value), s1 = 0.0f, s2 = 0.0f;
  for (unsigned i = 0; i < count; i++) {
    float s0 = values[i] + coefficient * s1 - s2;
    s2 = s1;
    s1 = s0;
  }
  float power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
  return power * 16.0f / ((float)count * (float)count);
}

static void insert(struct spectrum_peak peaks[2], unsigned *found, struct spectrum_peak peak) {
  if (*found == 0 || peak.amplitude > peaks[0].amplitude) {
    peaks[1] = peaks[0];
    peaks[0] = peak;
  } else if (*found == 1 || peak.amplitude > peaks[1].amplitude) {
    peaks[1] = peak;
  } else {
    return;
  }
  *found += *found < 2;
}

/* The vertex of the parabola through three neighbouring powers, in steps from the middle one. */
static float vertex(float left, float middle, float right) {
  float curvature = left - 2.0f * middle + right;
  return curvature < 0.0f ? 0.5f * (left - right) / curvature : 0.0f;
}

unsigned spectrum_peaks(const float *values, unsigned count, float rate, float from, float to, float step,
                        struct spectrum_peak peaks[2]) {
  unsigned found = 0, steps = (unsigned)((to - from) / step + 0.5f);
  float left = 0.0f, middle = power_at(values, count, from / rate);
  for (unsigned i = 1; i <= steps; i++) {
    float right = power_at(values, count, (from + (float)i * step) / rate);
    if (i >= 2 && middle > left && middle >= right) {
      float frequency = from + ((float)(i - 1) + vertex(left, middle, right)) * step;
      insert(peaks, &found, (struct spectrum_peak){frequency, fm_sqrt(middle)});
    }
    left = middle;
    middle = right;
  }
  return found;
}

float spectrum_share(const float *values, unsigned count, const struct spectrum_peak *peak) {
  float total = 0.0f;
  for (unsigned i = 0; i < count; i++) {
    total += values[i] * values[i];
  }
  /* A sine under a Hann window has the mean square amplitude^2 / 2 * 3 / 8. */
  float line = peak->amplitude * peak->amplitude * (float)count * (3.0f / 16.0f);
  return total > 0.0f ? line / total : 0.0f;
}
