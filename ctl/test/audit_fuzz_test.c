// SPDX-License-Identifier: GPL-2.0
/* Gives "drostectl audit" cut and changed files. The sanitizers, with which this program is built, find the errors. */
#include <fcntl.h>
#include <getopt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <linux/kvm.h>

#include "audit.h"
#include "nested/vmcs12.h"
#include "tap.h"
#include "vmcsfile.h"

#define ROUNDS	1500	/* unless the argument says how many */

static const char *const samples[] = {
	"test/audit/dump-6.12.txt", "test/audit/dump-6.1-two.txt", "test/audit/dump-mail.txt",
	"test/audit/vmcs.json", "test/audit/caps.json", "test/audit/beyond.json", "test/audit/dump-xen.txt", "",
};

#define NR_SAMPLES	(sizeof(samples) / sizeof(samples[0]))

static uint64_t seed = 1;

static uint32_t random_below(uint32_t limit)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % limit;
}

/* The contents of a sample; the last is a nested state. */
static char *load(size_t n, size_t *size)
{
	struct kvm_nested_state head = {
		.format = KVM_STATE_NESTED_FORMAT_VMX,
		.size = sizeof(head) + 2 * KVM_STATE_NESTED_VMX_VMCS_SIZE,
		.hdr.vmx = { .vmxon_pa = 0x1000, .vmcs12_pa = 0x2000 },
	};
	struct vmcs12 v = { .revision_id = VMCS12_REVISION };
	char *data;

	if (*samples[n])
		return vmcs_file_load(samples[n], size);
	*size = head.size;
	data = calloc(1, head.size);
	memcpy(data, &head, sizeof(head));
	memcpy(data + sizeof(head), &v, sizeof(v));
	return data;
}

static void change(char *data, size_t *size)
{
	static const char *const words[] = { "0x", "{", "[[[[[[[[", "\"", "\\u00", "\n", "ffffffffffffffffffff", "-1", "\377\200", ":" };

	for (int i = random_below(8); i >= 0 && *size; i--) {
		uint32_t at = random_below(*size);
		const char *word = words[random_below(sizeof(words) / sizeof(words[0]))];

		switch (random_below(5)) {
		case 0:
			data[at] = random_below(256);
			break;
		case 1:
			data[at] ^= 1 << random_below(8);
			break;
		case 2:
			memset(data + at, random_below(256), *size - at < 16 ? *size - at : 16);
			break;
		case 3:
			if (at + strlen(word) < *size)
				memcpy(data + at, word, strlen(word));
			break;
		default:
			if (!random_below(4))
				*size = at;
		}
	}
}

/* Runs the command on a file with these contents. */
static int run(const char *data, size_t size, bool as_caps, bool json)
{
	char path[32];
	int fd = memfd_create("audit", 0), status;
	char *argv[6] = { "audit", "--caps", as_caps ? path : "default", as_caps ? (char *)samples[3] : path,
			 json ? "--json" : NULL, NULL };

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	optind = 0;
	status = cmd_audit(json ? 5 : 4, argv);
	close(fd);
	return status;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS, out = dup(STDOUT_FILENO);
	long seen[3] = { 0 }, wrong = 0;

	if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
		return 1;
	for (int i = 0; i < rounds; i++) {
		size_t n = random_below(NR_SAMPLES), size;
		char *data = load(n, &size);
		int status;

		if (!data)
			abort();
		if (i % 16 == 0)
			for (size_t k = 0; k < size; k++)
				data[k] = random_below(256);
		else
			change(data, &size);
		status = run(data, size, n == 4 || i % 32 == 5, i % 3 == 0);
		free(data);
		if (status < 0 || status > 2)
			wrong++;
		else
			seen[status]++;
	}
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	ok(!wrong);
	ok(seen[1] > rounds / 10);
	ok(seen[2] > rounds / 20);
	return tap_done();
}
