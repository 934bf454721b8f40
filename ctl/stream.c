// SPDX-License-Identifier: GPL-2.0
/* Writes and reads records with a number and a checksum. Nothing that is read is used before it is checked. */
#include "stream.h"

#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../uapi/linux/droste.h"
#include "crc32c.h"
#include "utf8.h"

#define VCPUS	4095u	/* greatest index of a record about a vCPU */

/* The lengths and indices that records may have. */
static const struct kind {
	uint32_t type;
	const char *name;
	uint32_t least, most;	/* bytes */
	uint32_t unit;		/* behind the least, a multiple of so many bytes; 0: any number */
	uint32_t last;		/* greatest index */
} kinds[] = {
	{ MOVE_MACHINE, "machine", sizeof(struct move_machine), sizeof(struct move_machine), 0, 0 },
	{ MOVE_POOL, "processor", sizeof(struct droste_pool), sizeof(struct droste_pool), 0, 0 },
	{ MOVE_PAGES, "pages", 8 + MOVE_PAGE, 8 + MOVE_RUN * MOVE_PAGE, MOVE_PAGE, 0 },
	{ MOVE_ZERO, "zero pages", sizeof(struct move_zero), sizeof(struct move_zero), 0, 0 },
	{ MOVE_IRQCHIP, "interrupt controller", sizeof(struct kvm_irqchip), sizeof(struct kvm_irqchip), 0, 2 },
	{ MOVE_PIT, "timer", sizeof(struct kvm_pit_state2), sizeof(struct kvm_pit_state2), 0, 0 },
	{ MOVE_CLOCK, "clock", 8, 8, 0, 0 },
	{ MOVE_SERIAL, "serial port", sizeof(struct move_serial), sizeof(struct move_serial), 0, 0 },
	{ MOVE_RTC, "real-time clock", sizeof(struct move_rtc), sizeof(struct move_rtc), 0, 0 },
	{ MOVE_POWER, "power management", sizeof(struct move_power), sizeof(struct move_power), 0, 0 },
	{ MOVE_INPUT, "console input", 0, 1 << 16, 0, 0 },
	{ MOVE_OUTPUT, "console output", 1, MOVE_MAX, 0, 0 },
	{ MOVE_CPUID, "CPUID", sizeof(struct kvm_cpuid_entry2), 256 * sizeof(struct kvm_cpuid_entry2),
	  sizeof(struct kvm_cpuid_entry2), VCPUS },
	{ MOVE_SREGS, "system registers", sizeof(struct kvm_sregs), sizeof(struct kvm_sregs), 0, VCPUS },
	{ MOVE_LAPIC, "local APIC", sizeof(struct kvm_lapic_state), sizeof(struct kvm_lapic_state), 0, VCPUS },
	{ MOVE_NESTED, "nested state", sizeof(struct kvm_nested_state), 1 << 16, 0, VCPUS },
	{ MOVE_REGS, "registers", sizeof(struct kvm_regs), sizeof(struct kvm_regs), 0, VCPUS },
	{ MOVE_XCRS, "XCR0", sizeof(struct kvm_xcrs), sizeof(struct kvm_xcrs), 0, VCPUS },
	{ MOVE_XSAVE, "FPU", sizeof(struct kvm_xsave), 1 << 16, 0, VCPUS },
	{ MOVE_MSRS, "MSRs", sizeof(struct kvm_msr_entry), 1024 * sizeof(struct kvm_msr_entry), sizeof(struct kvm_msr_entry), VCPUS },
	{ MOVE_EVENTS, "events", sizeof(struct kvm_vcpu_events), sizeof(struct kvm_vcpu_events), 0, VCPUS },
	{ MOVE_MP, "run state", sizeof(struct kvm_mp_state), sizeof(struct kvm_mp_state), 0, VCPUS },
	{ MOVE_DEBUG, "debug registers", sizeof(struct kvm_debugregs), sizeof(struct kvm_debugregs), 0, VCPUS },
	{ MOVE_BARRIER, "barrier", sizeof(struct move_barrier), sizeof(struct move_barrier), 0, 0 },
	{ MOVE_END, "end", 0, 0, 0, 0 },
	{ MOVE_COMMIT, "commit", 0, 0, 0, 0 },
	{ MOVE_CANCEL, "cancel", 0, MOVE_TEXT, 0, 0 },
	{ MOVE_ACCEPT, "acceptance", 0, 0, 0, 0 },
	{ MOVE_REFUSE, "refusal", 0, MOVE_TEXT, 0, 0 },
	{ MOVE_ACK, "acknowledgement", 8, 8, 0, 0 },
	{ MOVE_READY, "readiness", 0, 0, 0, 0 },
};

static const struct kind *find_kind(uint32_t type)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].type == type)
			return &kinds[i];
	return NULL;
}

const char *move_name(uint32_t type)
{
	const struct kind *k = find_kind(type);

	return k ? k->name : "unknown record";
}

__attribute__((format(printf, 2, 3))) static int bad(struct stream *s, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->why, sizeof(s->why), format, ap);
	va_end(ap);
	return -1;
}

void stream_init(struct stream *s, int fd, const char *name)
{
	memset(s, 0, sizeof(*s));
	s->fd = fd;
	s->name = name;
	s->cut_after = -1;
}

/* --- writing --- */

/* Writes all of @v, and takes from it what is written. */
static int put_all(struct stream *s, struct iovec *v, int n)
{
	for (int i = 0; i < n;) {
		ssize_t done = writev(s->fd, v + i, n - i);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0 && errno == EAGAIN && s->step) {
			if (s->step(s, STREAM_WRITES))
				return -1;
			continue;
		}
		if (done <= 0)
			return bad(s, "writing to %s failed: %s", s->name, done ? strerror(errno) : "it takes no more");
		s->bytes += done;
		for (; i < n && (size_t)done >= v[i].iov_len; i++) {
			done -= v[i].iov_len;
			v[i].iov_len = 0;
		}
		if (i < n) {
			v[i].iov_base = (uint8_t *)v[i].iov_base + done;
			v[i].iov_len -= done;
		}
	}
	return 0;
}

/* Keeps what is missing of a record. A record of which nothing was written is not in the stream. */
static void keep_rest(struct stream *s, const struct iovec *v, size_t len)
{
	size_t left = v[0].iov_len + v[1].iov_len;

	if (!s->rest || left == len)
		return;
	for (int i = 0; i < 2; i++) {
		memcpy(s->rest + s->rest_len, v[i].iov_base, v[i].iov_len);
		s->rest_len += v[i].iov_len;
	}
	s->sent++;
}

static int begins(struct stream *s)
{
	return s->step ? s->step(s, STREAM_BEGINS) : 0;
}

int stream_begin(struct stream *s)
{
	struct move_start start = { .version = MOVE_VERSION };
	struct iovec v = { &start, sizeof(start) };

	memcpy(start.magic, MOVE_MAGIC, sizeof(start.magic));
	start.crc = crc32c(0, &start, offsetof(struct move_start, crc));
	return begins(s) || put_all(s, &v, 1) ? -1 : 0;
}

int stream_put(struct stream *s, uint32_t type, uint32_t index, const void *data, size_t len)
{
	struct move_head head = { .type = type, .index = index, .number = s->sent, .length = len };
	struct iovec v[2] = { { &head, sizeof(head) }, { len ? (void *)data : &head, len } };

	head.crc = crc32c(crc32c(0, &head, offsetof(struct move_head, crc)), data, len);
	if (begins(s))
		return -1;
	if (put_all(s, v, 2)) {
		keep_rest(s, v, sizeof(head) + len);
		return -1;
	}
	/* A crash, for tests: nothing is said, and nothing is cleaned up. */
	if (s->cut_after >= 0 && (uint32_t)s->cut_after == s->sent)
		raise(SIGKILL);
	s->sent++;
	return 0;
}

int stream_flush(struct stream *s)
{
	struct iovec v = { s->rest, s->rest_len };

	if (!s->rest_len)
		return 0;
	if (put_all(s, &v, 1))
		return -1;
	s->rest_len = 0;
	return 0;
}

int stream_text(struct stream *s, uint32_t type, const char *text)
{
	size_t len = strlen(text);

	return stream_put(s, type, 0, text, len < MOVE_TEXT ? len : MOVE_TEXT);
}

/* --- reading --- */

/* Returns the number of bytes, which is smaller at the end of the stream; -1 with why. */
static ssize_t get_all(struct stream *s, void *data, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = read(s->fd, (uint8_t *)data + done, len - done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && s->step) {
			if (s->step(s, STREAM_READS))
				return -1;
			continue;
		}
		if (n < 0) {
			s->lost = true;
			return bad(s, "reading from %s failed: %s", s->name, strerror(errno));
		}
		if (!n) {
			s->lost = true;
			break;
		}
		done += n;
	}
	return done;
}

int stream_check(struct stream *s)
{
	struct move_start start;
	ssize_t n = begins(s) ? -1 : get_all(s, &start, sizeof(start));

	if (n < 0)
		return -1;
	if (n < (ssize_t)sizeof(start.magic) || memcmp(start.magic, MOVE_MAGIC, sizeof(start.magic)))
		return bad(s, "%s is no machine that drostectl saved or sends", s->name);
	if (n < (ssize_t)sizeof(start))
		return bad(s, "%s ends before its first record", s->name);
	if (start.crc != crc32c(0, &start, offsetof(struct move_start, crc)))
		return bad(s, "%s is damaged in its first bytes", s->name);
	if (start.version != MOVE_VERSION)
		return bad(s, "%s has version %u of the format, and this drostectl reads version %u only", s->name, start.version,
			   MOVE_VERSION);
	return 0;
}

static bool length_fits(const struct kind *k, const struct move_head *h)
{
	return h->index <= k->last && h->length >= k->least && h->length <= k->most &&
	       (!k->unit || (h->length - k->least) % k->unit == 0);
}

static enum stream_got get_one(struct stream *s, struct record *r, const struct kind **kind)
{
	struct move_head h;
	ssize_t n = begins(s) ? -1 : get_all(s, &h, sizeof(h));

	if (!n)
		return STREAM_OVER;
	if (n < 0)
		return STREAM_BAD;
	if (n < (ssize_t)sizeof(h))
		return bad(s, "%s ends within record %u", s->name, s->got);
	if (h.length > MOVE_MAX)
		return bad(s, "%s is damaged in record %u: its length is impossible", s->name, s->got);
	n = get_all(s, r->data, h.length);
	if (n < 0)
		return STREAM_BAD;
	if (n < h.length)
		return bad(s, "%s ends within record %u", s->name, s->got);
	if (h.crc != crc32c(crc32c(0, &h, offsetof(struct move_head, crc)), r->data, h.length))
		return bad(s, "%s is damaged in record %u: its checksum is wrong", s->name, s->got);
	if (h.number != s->got)
		return bad(s, "%s has record %u where %u must be", s->name, h.number, s->got);
	*kind = find_kind(h.type);
	if (!*kind && (s->strict || !(h.type & MOVE_SKIP)))
		return bad(s, "%s has a record of the unknown type %#x", s->name, h.type);
	if (*kind && !length_fits(*kind, &h))
		return bad(s, "%s has a record \"%s\" of a wrong size or place", s->name, (*kind)->name);
	r->type = h.type;
	r->index = h.index;
	r->length = h.length;
	r->data[h.length] = 0;
	s->got++;
	return STREAM_RECORD;
}

enum stream_got stream_get(struct stream *s, struct record *r)
{
	const struct kind *kind = NULL;
	enum stream_got got;

	if (!r->data)
		r->data = malloc(MOVE_MAX + 1);
	if (!r->data)
		return bad(s, "there is no memory for a record of %s", s->name);
	do {
		got = get_one(s, r, &kind);
	} while (got == STREAM_RECORD && !kind);
	return got;
}

const char *record_text(struct record *r)
{
	char *text = (char *)r->data;

	utf8_clean(text);
	return *text ? text : "no reason is given";
}

void record_free(struct record *r)
{
	free(r->data);
	r->data = NULL;
}
