/* Times of one batch and the line of JSON that tells them: {"us":[1.5,2.5],"answer":...}. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define SAMPLES_MAX 10000

struct samples {
	double us[SAMPLES_MAX];
	int n;
	int64_t begin_ns;
};

static inline int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline void sample_begin(struct samples *samples)
{
	samples->begin_ns = now_ns();
}

static inline void sample_end(struct samples *samples)
{
	samples->us[samples->n++] = (double)(now_ns() - samples->begin_ns) / 1000;
}

/* `answer` is JSON. */
static inline void samples_print(const struct samples *samples, const char *answer)
{
	printf("{\"us\":[");
	for (int i = 0; i < samples->n; i++)
		printf("%s%.3f", i ? "," : "", samples->us[i]);
	printf("],\"answer\":%s}\n", answer);
	fflush(stdout);
}
