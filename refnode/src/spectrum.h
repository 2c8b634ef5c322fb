/* Lines in a short, slow signal. */
#ifndef SPECTRUM_H
#define SPECTRUM_H

enum { SPECTRUM_MAX = 64 };

struct spectrum_peak {
  float frequency; /* Hz */
  float amplitude; /* of the sine, in the unit of the values */
};

/* Remove the straight-line trend and apply a Hann window, in place; count at most SPECTRUM_MAX. */
void spectrum_prepare(float *values, unsigned count);

/* The two strongest local maxima between two frequencies, strongest first; returns how many there are.
 * An edge of the band is no maximum. Frequencies are interpolated between the steps. */
unsigned spectrum_peaks(const float *values, unsigned count, float rate, float from, float to, float step,
                        struct spectrum_peak peaks[2]);

/* The share, about 0..1, that a line has in the power of the prepared values. */
float spectrum_share(const float *values, unsigned count, const struct spectrum_peak *peak);

#endif
