// SPDX-License-Identifier: GPL-2.0
/* The probe's part "msr": what RDMSR answers, by /dev/cpu/0/msr, and whether bits of IA32_DEBUGCTL and others stick. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

static const struct {
	uint32_t first, last;
} ranges[] = {
	{ 0x0, 0x4ff }, { 0x560, 0x83f }, { 0xc80, 0xcff }, { 0xd90, 0xdff }, { 0x40000000, 0x40000023 }, { 0x40000080, 0x400000ff },
	{ 0x4b564d00, 0x4b564d08 }, { 0xc0000080, 0xc0000104 }, { 0xc0010000, 0xc0010020 }, { 0xdeadbeef, 0xdeadbeef },
};

/* MSRs that change by themselves, or hold addresses of this kernel: only whether there is one is told. */
static const struct {
	uint32_t first, last;
} moving[] = {
	{ 0x10, 0x10 }, { 0x19, 0x19 }, { 0xe7, 0xe8 }, { 0x174, 0x176 }, { 0x19c, 0x19c }, { 0x3b, 0x3b }, { 0x6e0, 0x6e0 },
	{ 0x1b0, 0x1b1 }, { 0x1d9, 0x1e0 }, { 0x3a, 0x3a }, { 0x48, 0x48 }, { 0x38f, 0x390 },
	{ 0x800, 0x8ff }, { 0xc0000081, 0xc0000084 }, { 0xc0000100, 0xc0000103 },
};

/* Named, because their absence is told as well. */
static const uint32_t named[] = {
	0x0, 0x1, 0x10, 0x17, 0x1b, 0x34, 0x35, 0x3a, 0x3b, 0x48, 0x49, 0x8b, 0xc1, 0xce, 0xcf, 0xe2, 0xe7, 0xe8, 0xfe, 0x10a, 0x122,
	0x140, 0x179, 0x17a, 0x186, 0x198, 0x199, 0x19a, 0x19b, 0x19c, 0x1a0, 0x1a2, 0x1a4, 0x1ad, 0x1b0, 0x1b1, 0x1c8, 0x1c9, 0x1d9,
	0x1dd, 0x277, 0x2ff, 0x345, 0x38d, 0x38f, 0x480, 0x4e0, 0x600, 0x606, 0x611, 0x64f, 0x6e0, 0x770, 0xda0, 0x40000000, 0x40000001,
	0x40000020, 0x4b564d00, 0x4b564d01, 0xc0000080, 0xc00000e7, 0xc0010015, 0xdeadbeef,
};

static bool moves(uint32_t msr)
{
	for (size_t i = 0; i < sizeof(moving) / sizeof(moving[0]); i++)
		if (msr >= moving[i].first && msr <= moving[i].last)
			return true;
	return false;
}

static bool get(int fd, uint32_t msr, uint64_t *value)
{
	return pread(fd, value, 8, msr) == 8;
}

static bool put(int fd, uint32_t msr, uint64_t value)
{
	return pwrite(fd, &value, 8, msr) == 8;
}

/* What WRMSR does with a bit that is turned over: taken, dropped, or #GP. */
static void say_bit(int fd, uint32_t msr, int bit)
{
	uint64_t old, now;
	char name[64];

	snprintf(name, sizeof(name), "msr.write.%#x.bit%d", msr, bit);
	if (!get(fd, msr, &old)) {
		say(name, "no MSR");
		return;
	}
	if (!put(fd, msr, old ^ 1ULL << bit)) {
		say(name, "#GP");
		return;
	}
	if (!get(fd, msr, &now))
		say(name, "written, but not readable");
	else
		say(name, "%s", now == (old ^ 1ULL << bit) ? "taken" : now == old ? "dropped" : "changes others");
	put(fd, msr, old);
}

static void say_writes(int fd)
{
	static const int debugctl[] = { 0, 1, 2, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 63 };
	/* Not bit 34: without NX, the kernel's page tables have a reserved bit. */
	static const int misc[] = { 0, 3, 7, 11, 12, 16, 18, 22, 23, 38, 63 };
	static const struct {
		uint32_t msr;
		int bit;
	} others[] = {
		{ 0x17, 50 }, { 0x34, 0 }, { 0x3a, 0 }, { 0x8b, 40 }, { 0xce, 31 }, { 0x140, 0 }, { 0x1a4, 0 }, { 0x1a4, 3 },
		{ 0x1a2, 24 }, { 0x198, 0 }, { 0x199, 8 }, { 0x19a, 4 }, { 0x1b0, 0 }, { 0x277, 63 }, { 0x606, 0 }, { 0xfe, 0 },
		{ 0x40000000, 0 }, { 0xdeadbeef, 0 }, { 0xc0000080, 63 },
	};

	for (size_t i = 0; i < sizeof(debugctl) / sizeof(debugctl[0]); i++)
		say_bit(fd, 0x1d9, debugctl[i]);
	for (size_t i = 0; i < sizeof(misc) / sizeof(misc[0]); i++)
		say_bit(fd, 0x1a0, misc[i]);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		say_bit(fd, others[i].msr, others[i].bit);
}

void probe_msr(void)
{
	int fd = open("/dev/cpu/0/msr", O_RDWR);
	uint64_t value;
	char name[64];

	on_cpu(0);
	say("msr.device", "%s", fd < 0 ? strerror(errno) : "there");
	if (fd < 0)
		return;
	for (size_t r = 0; r < sizeof(ranges) / sizeof(ranges[0]); r++)
		for (uint32_t msr = ranges[r].first; msr <= ranges[r].last; msr++) {
			/* A zero is told only of those that are named. */
			if (!get(fd, msr, &value) || (!value && !moves(msr)))
				continue;
			snprintf(name, sizeof(name), "msr.value.%#x", msr);
			if (moves(msr))
				say(name, "there is one");
			else
				say(name, "0x%016llx", (unsigned long long)value);
		}
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		snprintf(name, sizeof(name), "msr.there.%#x", named[i]);
		say(name, "%s", get(fd, named[i], &value) ? "yes" : "#GP");
	}
	say_writes(fd);
	close(fd);
}
