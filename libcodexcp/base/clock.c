#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

/* The years 0000 to 9999, which is what RFC 3339 can write. */
#define WALL_MIN_MS (-62167219200000LL)
#define WALL_MAX_MS 253402300799999LL

static bool read_clock(clockid_t id, int64_t *ret_ms)
{
	struct timespec ts;

	if (clock_gettime(id, &ts) < 0)
		return false;
	*ret_ms = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	return true;
}

static int64_t system_wall_ms(void *data)
{
	int64_t ms = 0;

	read_clock(CLOCK_REALTIME, &ms);
	return ms;
}

static int64_t system_boot_ms(void *data)
{
	int64_t ms = 0;

	if (!read_clock(CLOCK_BOOTTIME, &ms))
		read_clock(CLOCK_MONOTONIC, &ms);
	return ms;
}

const struct ccp_clock *ccp_clock_system(void)
{
	static const struct ccp_clock system_clock = { system_wall_ms, system_boot_ms, NULL };

	return &system_clock;
}

const char *ccp_time_format(int64_t wall_ms, char out[static CCP_TIME_SIZE])
{
	int64_t ms = CCP_CLAMP(wall_ms, WALL_MIN_MS, WALL_MAX_MS) - WALL_MIN_MS;
	time_t seconds = (time_t)(ms / 1000 + WALL_MIN_MS / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&seconds, &tm);
	n = (size_t)snprintf(out, CCP_TIME_SIZE, "%04d", tm.tm_year + 1900);
	n += strftime(out + n, CCP_TIME_SIZE - n, "-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CCP_TIME_SIZE - n, ".%03dZ", (int)(ms % 1000));
	return out;
}

/* `width` digits that make a number in [min, max], and one of the characters `after`. */
static bool take_number(const char **s, int width, int min, int max, const char *after, int *ret)
{
	int value = 0;

	for (; width > 0; width--, (*s)++) {
		if (**s < '0' || **s > '9')
			return false;
		value = value * 10 + (**s - '0');
	}
	if (value < min || value > max)
		return false;
	if (*after) {
		if (!**s || !strchr(after, **s))
			return false;
		(*s)++;
	}
	*ret = value;
	return true;
}

static bool take_date_time(const char **s, int64_t *ret_ms)
{
	static const struct {
		int width, min, max;
		const char *after;
	} parts[] = {
		{ 4, 0, 9999, "-" }, { 2, 1, 12, "-" }, { 2, 1, 31, "Tt " },
		{ 2, 0, 23, ":" },   { 2, 0, 59, ":" }, { 2, 0, 60, "" },
	};
	int v[CCP_ARRAY_SIZE(parts)];
	struct tm tm;

	for (size_t i = 0; i < CCP_ARRAY_SIZE(parts); i++) {
		if (!take_number(s, parts[i].width, parts[i].min, parts[i].max, parts[i].after,
				 &v[i]))
			return false;
	}
	tm = (struct tm){ .tm_year = v[0] - 1900, .tm_mon = v[1] - 1, .tm_mday = v[2] };
	*ret_ms = ((int64_t)timegm(&tm) + v[3] * 3600 + v[4] * 60 + v[5]) * 1000;
	return tm.tm_mday == v[2]; /* 30 February has become 2 March */
}

/* ".123456": milliseconds count, the rest is dropped. */
static bool take_fraction(const char **s, int64_t *ret_ms)
{
	int64_t ms = 0, weight = 100;

	*ret_ms = 0;
	if (**s != '.')
		return true;
	if (!strchr("0123456789", *++*s) || !**s)
		return false;
	for (; **s >= '0' && **s <= '9'; (*s)++, weight /= 10)
		ms += (**s - '0') * weight;
	*ret_ms = ms;
	return true;
}

static bool take_offset(const char **s, int64_t *ret_ms)
{
	int hours, minutes, sign;

	*ret_ms = 0;
	if (**s == 'Z' || **s == 'z') {
		(*s)++;
		return true;
	}
	if (**s != '+' && **s != '-')
		return false;
	sign = *(*s)++ == '-' ? -1 : 1;
	if (!take_number(s, 2, 0, 23, ":", &hours) || !take_number(s, 2, 0, 59, "", &minutes))
		return false;
	*ret_ms = (int64_t)sign * (hours * 60 + minutes) * 60000;
	return true;
}

bool ccp_time_parse(const char *s, int64_t *ret_wall_ms)
{
	int64_t date_ms, fraction_ms, offset_ms;

	if (!take_date_time(&s, &date_ms) || !take_fraction(&s, &fraction_ms) ||
	    !take_offset(&s, &offset_ms) || *s)
		return false;
	*ret_wall_ms = date_ms + fraction_ms - offset_ms;
	return true;
}
