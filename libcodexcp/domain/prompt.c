#include "domain/prompt.h"

#include <string.h>
#include <utf8proc.h>

#include "base/str.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#define NORMAL_FORM (UTF8PROC_STABLE | UTF8PROC_COMPAT | UTF8PROC_COMPOSE | UTF8PROC_CASEFOLD)

#define COMPARED_CHARS 2000
/* What is cut before normalisation, which may shorten a text: room for blanks that collapse. */
#define RAW_CHARS (4 * COMPARED_CHARS)
/* Two texts of one repeated letter take COMPARED_CHARS squared, ordinary ones a tenth of this. */
#define STEPS_MAX  1000000
#define BUCKETS    256
#define WORD_BITS  64
#define LOOK_EVERY 16 /* characters: whether the rest can still do */
/* Two printable digits hold a count up to COMPARED_CHARS. */
#define SHAPE_BASE 64
#define SHAPE_ZERO '0'

static bool is_ascii_blank(utf8proc_int32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* White_Space of the Unicode character database. */
static bool is_blank(utf8proc_int32_t c)
{
	utf8proc_category_t category;

	if (is_ascii_blank(c) || c == 0x85)
		return true;
	category = utf8proc_category(c);
	return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
	       category == UTF8PROC_CATEGORY_ZP;
}

/* Every run becomes one blank, those at the ends none; line ends need no rule of their own. */
static void collapse_blanks(char *text)
{
	const char *in = text;
	char *out = text;
	bool gap = false;

	while (*in) {
		utf8proc_int32_t c;
		utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)in, -1, &c);

		if (is_blank(c)) {
			gap = out > text;
		} else {
			if (gap)
				*out++ = ' ';
			gap = false;
			memmove(out, in, (size_t)n);
			out += n;
		}
		in += n;
	}
	*out = '\0';
}

/* ASCII needs no tables, which take ten times as long. 1, or 0 when there is more than ASCII. */
static int normalise_ascii(const char *text, size_t len, char **ret_text, struct codexcp_error *err)
{
	_cleanup_free_ char *normal = malloc(len + 1);
	char *out = normal;
	bool gap = false;

	if (!normal)
		return ccp_fail_oom(err);
	for (size_t i = 0; i < len; i++) {
		const char c = text[i];

		if ((unsigned char)c >= 0x80)
			return 0;
		if (is_ascii_blank(c)) {
			gap = out > normal;
			continue;
		}
		if (gap)
			*out++ = ' ';
		gap = false;
		*out++ = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
	}
	*out = '\0';
	*ret_text = TAKE_PTR(normal);
	return 1;
}

static int normalise(const char *text, size_t len, char **ret_text, struct codexcp_error *err)
{
	int r = normalise_ascii(text, len, ret_text, err);
	utf8proc_uint8_t *mapped = NULL;
	utf8proc_ssize_t n;

	if (r != 0)
		return CCP_MIN(r, 0);
	n = utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)len, &mapped,
			 NORMAL_FORM);
	if (n == UTF8PROC_ERROR_NOMEM)
		return ccp_fail_oom(err);
	if (n < 0)
		return ccp_fail(err, CODEXCP_E_INVALID_ARGUMENT, "the prompt: %s",
				utf8proc_errmsg(n));
	collapse_blanks((char *)mapped);
	*ret_text = (char *)mapped;
	return 0;
}

int ccp_prompt_normalise(const char *text, char **ret_text, struct codexcp_error *err)
{
	return normalise(text, strlen(text), ret_text, err);
}

static void append_hash(struct ccp_strbuf *sb, const char *name, const json_t *value)
{
	char hash[CCP_SHA256_HEX];

	if (ccp_sha256_json(value, hash))
		ccp_strbuf_appendf(sb, "\n%s:%s", name, hash);
	else
		sb->failed = true;
}

int ccp_prompt_hash(const char *message, const json_t *output_schema, const json_t *input_items,
		    char ret_hash[static CCP_SHA256_HEX], struct codexcp_error *err)
{
	_cleanup_(ccp_strbuf_done) struct ccp_strbuf sb = CCP_STRBUF(SIZE_MAX);
	_cleanup_free_ char *normal = NULL;
	int r = normalise(message, strlen(message), &normal, err);

	if (r < 0)
		return r;
	ccp_strbuf_append(&sb, normal);
	if (json_is_object(output_schema))
		append_hash(&sb, "output_schema", output_schema);
	if (json_array_size(input_items))
		append_hash(&sb, "input_items", input_items);
	if (sb.failed)
		return ccp_fail_oom(err);
	ccp_sha256_hex(ccp_strbuf_str(&sb), sb.len, ret_hash);
	return 0;
}

struct chars {
	utf8proc_int32_t at[COMPARED_CHARS];
	size_t n;
};

/* Of valid UTF-8 with at most COMPARED_CHARS code points. */
static void decode(const char *text, struct chars *ret)
{
	const utf8proc_uint8_t *in = (const utf8proc_uint8_t *)text;

	for (ret->n = 0; *in; ret->n++)
		in += utf8proc_iterate(in, -1, &ret->at[ret->n]);
}

static size_t bucket(utf8proc_int32_t c)
{
	return (size_t)c % BUCKETS;
}

static double ratio(const struct chars *a, const struct chars *b, size_t matched)
{
	return 2.0 * (double)matched / (double)(a->n + b->n);
}

static bool is_similar(const struct chars *a, const struct chars *b, size_t matched)
{
	return ratio(a, b, matched) >= CCP_PROMPT_SIMILAR;
}

/* A form of a prompt (its text, or its words in order) that is compared with many. */
struct form {
	char *text;
	struct chars chars;
	size_t words;     /* of WORD_BITS, for a bit a character */
	uint64_t *places; /* for each bucket, the places where its characters stand */
};

static void form_done(struct form *form)
{
	free(form->text);
	free(form->places);
}

/* Steals the text; NULL means that memory ran out. */
static bool form_init(struct form *form, char *text)
{
	form->text = text;
	if (!text)
		return false;
	decode(text, &form->chars);
	form->words = (form->chars.n + WORD_BITS - 1) / WORD_BITS;
	form->places = calloc(BUCKETS * form->words, sizeof(*form->places));
	for (size_t i = 0; form->places && i < form->chars.n; i++)
		form->places[bucket(form->chars.at[i]) * form->words + i / WORD_BITS] |=
			(uint64_t)1 << i % WORD_BITS;
	return form->places;
}

static size_t count_zeros(const uint64_t *bits, size_t words)
{
	size_t n = 0;

	for (size_t w = 0; w < words; w++)
		n += (size_t)__builtin_popcountll(~bits[w]);
	return n;
}

/*
 * Whether the longest common subsequence (of buckets), which nothing that is matched in blocks
 * exceeds, is long enough. A bit of `gaps` falls where it grows; a word of them at a time, so this
 * costs little beside a match.
 */
static bool may_match(const struct form *a, const struct chars *b)
{
	uint64_t gaps[(COMPARED_CHARS + WORD_BITS - 1) / WORD_BITS];

	memset(gaps, 0xff, a->words * sizeof(*gaps));
	for (size_t j = 0; j < b->n; j++) {
		const uint64_t *places = &a->places[bucket(b->at[j]) * a->words];
		uint64_t carry = 0;

		for (size_t w = 0; w < a->words; w++) {
			uint64_t hit = gaps[w] & places[w], sum;
			uint64_t over = __builtin_add_overflow(gaps[w], hit, &sum);

			over |= __builtin_add_overflow(sum, carry, &sum);
			gaps[w] = sum | (gaps[w] - hit);
			carry = over;
		}
		if (j % LOOK_EVERY == 0 &&
		    !is_similar(&a->chars, b, count_zeros(gaps, a->words) + b->n - j - 1))
			return false;
	}
	return is_similar(&a->chars, b, count_zeros(gaps, a->words));
}

/*
 * Ratcliff-Obershelp: the longest common run, then the same on its left and on its right. For each
 * character of a, `last` and `previous` lead through the places in b where it may stand (a bucket,
 * not a character), from the end; `run` is how long the common run is that ends there, if it was
 * `seen` in the row (the character of a) before this one.
 */
struct matcher {
	const struct chars *a, *b;
	int last[BUCKETS], previous[COMPARED_CHARS];
	uint32_t run[COMPARED_CHARS + 1], seen[COMPARED_CHARS + 1]; /* [0]: before the first */
	uint32_t row;
	size_t steps;
	size_t possible; /* falls with all that stays unmatched; in the end what was matched */
};

struct range {
	size_t a, a_end, b, b_end;
};

struct block {
	size_t a, b, len;
};

static void matcher_init(struct matcher *m, const struct chars *a, const struct chars *b)
{
	memset(m, 0, sizeof(*m));
	m->a = a;
	m->b = b;
	m->possible = CCP_MIN(a->n, b->n);
	for (size_t i = 0; i < BUCKETS; i++)
		m->last[i] = -1;
	for (size_t j = 0; j < b->n; j++) {
		m->previous[j] = m->last[bucket(b->at[j])];
		m->last[bucket(b->at[j])] = (int)j;
	}
}

/* The longest run; of several the first in a, of these the first in b. */
static struct block find_longest(struct matcher *m, const struct range *in)
{
	struct block best = { .len = 0 };
	size_t best_end = 0;

	m->row++; /* the rows of an earlier search are no neighbours */
	for (size_t i = in->a; i < in->a_end && m->steps <= STEPS_MAX; i++) {
		utf8proc_int32_t c = m->a->at[i];

		m->row++;
		for (int j = m->last[bucket(c)]; j >= (int)in->b; j = m->previous[j]) {
			size_t end = (size_t)j + 1;
			uint32_t len;

			m->steps++;
			if (end > in->b_end || m->b->at[j] != c)
				continue;
			len = m->seen[end - 1] == m->row - 1 ? m->run[end - 1] + 1 : 1;
			m->run[end] = len;
			m->seen[end] = m->row;
			if (len > best.len || (len == best.len && best_end == i)) {
				best = (struct block){ i + 1 - len, end - len, len };
				best_end = i;
			}
		}
	}
	return best;
}

static size_t shorter(const struct range *range)
{
	return CCP_MIN(range->a_end - range->a, range->b_end - range->b);
}

static void match(struct matcher *m, struct range in)
{
	while (shorter(&in)) {
		struct block block = find_longest(m, &in);
		struct range left = { in.a, block.a, in.b, block.b };
		struct range right = { block.a + block.len, in.a_end, block.b + block.len,
				       in.b_end };

		m->possible -= shorter(&in);
		if (!block.len)
			return;
		m->possible += shorter(&left) + block.len + shorter(&right);
		if (m->steps > STEPS_MAX)
			m->possible = 0;
		if (!is_similar(m->a, m->b, m->possible))
			return;
		match(m, left);
		if (!is_similar(m->a, m->b, m->possible))
			return;
		in = right;
	}
}

/* 0 when it is below CCP_PROMPT_SIMILAR: nearly all pairs are seen to be so before they are
 * matched. */
static double compare(const struct form *a, const char *b_text)
{
	struct chars b;
	struct matcher m;

	decode(b_text, &b);
	if (!may_match(a, &b))
		return 0;
	matcher_init(&m, &a->chars, &b);
	match(&m, (struct range){ 0, a->chars.n, 0, b.n });
	return is_similar(&a->chars, &b, m.possible) ? ratio(&a->chars, &b, m.possible) : 0;
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The words of a normalised text in order, a blank between them. NULL when memory ran out. */
static char *sort_words(const char *text)
{
	char *words[COMPARED_CHARS / 2 + 1];
	_cleanup_free_ char *copy = strdup(text), *sorted = strdup(text);
	char *out = sorted;
	size_t n = 0;

	if (!copy || !sorted)
		return NULL;
	for (char *rest = copy, *word; (word = strsep(&rest, " "));)
		words[n++] = word;
	qsort(words, n, sizeof(words[0]), compare_words);
	for (size_t i = 0; i < n; i++) {
		if (i)
			*out++ = ' ';
		out = stpcpy(out, words[i]);
	}
	return TAKE_PTR(sorted);
}

/* What is compared of a text, NULL when that is too short (or memory ran out). */
static char *compared_part(const char *text)
{
	_cleanup_free_ char *normal = NULL;
	size_t len;

	if (normalise(text, ccp_utf8_clip(text, strlen(text), RAW_CHARS), &normal, NULL) < 0)
		return NULL;
	len = strlen(normal);
	if (ccp_utf8_chars(normal, len) < CCP_PROMPT_SIMILAR_MIN_CHARS)
		return NULL;
	len = ccp_utf8_clip(normal, len, COMPARED_CHARS);
	normal[len] = '\0';
	return TAKE_PTR(normal);
}

struct ccp_prompt {
	struct form text, words;
	char shape[CCP_PROMPT_SHAPE_SIZE];
};

void ccp_prompt_free(struct ccp_prompt *prompt)
{
	if (!prompt)
		return;
	form_done(&prompt->text);
	form_done(&prompt->words);
	free(prompt);
}

/* Small letters, digits and punctuation of ASCII have a count of their own. */
static size_t shape_index(utf8proc_int32_t c)
{
	return (size_t)(((c >> 1) & 32) | (c & 31));
}

static void write_shape(const struct chars *chars, char shape[static CCP_PROMPT_SHAPE_SIZE])
{
	unsigned counts[CCP_PROMPT_SHAPE_COUNTS] = { 0 };

	for (size_t i = 0; i < chars->n; i++)
		counts[shape_index(chars->at[i])]++;
	for (size_t i = 0; i < CCP_PROMPT_SHAPE_COUNTS; i++) {
		*shape++ = (char)(SHAPE_ZERO + counts[i] / SHAPE_BASE);
		*shape++ = (char)(SHAPE_ZERO + counts[i] % SHAPE_BASE);
	}
	*shape = '\0';
}

static unsigned shape_count(const char *shape, size_t i)
{
	return (unsigned)(shape[2 * i] - SHAPE_ZERO) * SHAPE_BASE +
	       (unsigned)(shape[2 * i + 1] - SHAPE_ZERO);
}

int ccp_prompt_new(const char *text, struct ccp_prompt **ret_prompt, struct codexcp_error *err)
{
	_cleanup_(ccp_prompt_freep) struct ccp_prompt *prompt = NULL;
	_cleanup_free_ char *part = compared_part(text), *words = part ? sort_words(part) : NULL;

	if (!part)
		return 0;
	prompt = calloc(1, sizeof(*prompt));
	if (!prompt || !form_init(&prompt->text, TAKE_PTR(part)) ||
	    !form_init(&prompt->words, TAKE_PTR(words)))
		return ccp_fail_oom(err);
	write_shape(&prompt->text.chars, prompt->shape);
	*ret_prompt = TAKE_PTR(prompt);
	return 1;
}

const char *ccp_prompt_shape(const struct ccp_prompt *prompt)
{
	return prompt->shape;
}

double ccp_prompt_similarity_bound(const struct ccp_prompt *prompt, const char *shape)
{
	unsigned common = 0, all = 0;

	if (!shape || strlen(shape) != CCP_PROMPT_SHAPE_SIZE - 1)
		return 0;
	for (size_t i = 0; i < CCP_PROMPT_SHAPE_COUNTS; i++) {
		unsigned a = shape_count(prompt->shape, i), b = shape_count(shape, i);

		common += CCP_MIN(a, b);
		all += a + b;
	}
	return 2.0 * common / all;
}

double ccp_prompt_similarity(const struct ccp_prompt *prompt, const char *other)
{
	_cleanup_free_ char *text = compared_part(other), *words = NULL;
	double by_text, by_words;

	if (!text)
		return 0;
	if (ccp_streq(prompt->text.text, text))
		return 1;
	words = sort_words(text);
	by_text = compare(&prompt->text, text);
	by_words = words ? compare(&prompt->words, words) : 0;
	return CCP_MAX(by_text, by_words);
}
