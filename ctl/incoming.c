// SPDX-License-Identifier: GPL-2.0
/* Makes a machine of what came by a stream: first it is looked whether the device can run it, and the VM is made last. */
#include "incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devstate.h"
#include "machine.h"
#include "movetest.h"
#include "outcome.h"
#include "paint.h"
#include "pin.h"
#include "poolhost.h"
#include "poolrun.h"
#include "poolsay.h"
#include "say.h"
#include "vcpu.h"
#include "vcpustate.h"

/* --- the processor --- */

/* The names of what is missing, in one line. */
static void lost_text(char *text, size_t size, const struct droste_pool *guest, const struct droste_pool *both)
{
	char *lines = NULL, *from;
	size_t len, used = 0;
	FILE *f = open_memstream(&lines, &len);

	*text = 0;
	if (!f)
		return;
	pool_say_lost(f, guest, both, false);
	fclose(f);
	for (char *next = lines, *line; (line = strsep(&next, "\n"));) {
		from = line + strspn(line, " ");
		if (*from && used < size)
			used += snprintf(text + used, size - used, "%s%s", used ? "; " : "", from);
	}
	free(lines);
}

bool incoming_fits(const struct image *im, int dev_fd, char *why, size_t size)
{
	static struct droste_pool host, both;
	int most = vm_cap(dev_fd, KVM_CAP_MAX_VCPUS);
	char lost[3072];

	if (most && im->machine.nr_vcpus > (unsigned int)most) {
		snprintf(why, size, "the device gives a guest %d processors, and this one has %u", most, im->machine.nr_vcpus);
		return false;
	}
	if (pool_host_read(&host, dev_fd)) {
		snprintf(why, size, "the device does not tell what processor it gives to guests");
		return false;
	}
	pool_meet(&im->pool.p, &host, &both);
	if (!pool_lost(&im->pool.p, &both, NULL, NULL) && !pool_lost_tsc(&im->pool.p, &host))
		return true;
	lost_text(lost, sizeof(lost), &im->pool.p, &both);
	snprintf(why, size, "the device here cannot give the guest its processor, because it lacks: %s", !both.nr_cpuid ?
		 "a processor of the same maker" : *lost ? lost : "the TSC's frequency");
	return false;
}

/* --- the machine --- */

static int build_vcpu(struct machine *m, const struct image *im, unsigned int id, char *why, size_t size)
{
	struct kvm_cpuid2 *cpuid = vcpu_state_cpuid(&im->state, id);
	int ret = cpuid ? vcpu_create_as(&m->vm, cpuid, id) : -1;

	free(cpuid);
	if (!ret)
		ret = pool_run_msrs(&im->pool, m->vm.vcpu[id].fd);
	if (ret)
		snprintf(why, size, "processor %u cannot be made as it was", id);
	return ret;
}

static int build_parts(struct machine *m, const struct image *im, const struct run_options *o, char *why, size_t size)
{
	unsigned int i;

	if (vm_create(&m->vm, im->machine.nr_vcpus) || machine_devices(m)) {
		snprintf(why, size, "the machine cannot be made here");
		return -1;
	}
	mover_init(m, &o->move, im->machine.moves);
	for (i = 0; i < im->machine.nr_vcpus; i++)
		if (build_vcpu(m, im, i, why, size))
			return -1;
	if (m->vm.logs && dirty_map(&m->vm)) {
		snprintf(why, size, "the dirty rings cannot be mapped");
		return -1;
	}
	/* The vCPUs first: what an interrupt controller has pending goes to their local APICs. */
	for (i = 0; i < im->machine.nr_vcpus; i++)
		if (vcpu_state_restore(&m->vm.vcpu[i], &im->state, why, size))
			return -1;
	return dev_state_restore(m, &im->state, why, size);
}

struct machine *incoming_build(struct image *im, int dev_fd, const struct run_options *o, char *why, size_t size)
{
	struct machine *m = calloc(1, sizeof(*m));
	static struct droste_pool pool;

	if (!m) {
		snprintf(why, size, "there is no memory for the machine");
		return NULL;
	}
	pool = im->pool.p;
	m->quiet = o->quiet;
	m->stats = o->stats;
	m->mem = im->mem;
	im->mem.nr = 0;
	m->vm = (struct vm) {
		.dev_fd = dev_fd, .mem = &m->mem, .bus = &m->bus, .trace = o->trace, .pin = o->pin, .pool = &pool, .logs = o->move.to,
	};
	if (!build_parts(m, im, o, why, size))
		return m;
	machine_free(m);
	return NULL;
}

/* --- from a file --- */

/* Reads all of a file. Returns 0, or -1 with s->why. */
static int read_file(struct image *im, struct stream *s)
{
	enum image_event event = image_read(im, s);

	while (event == IMAGE_BARRIER)
		event = image_read(im, s);
	if (event != IMAGE_END) {
		if (event == IMAGE_COMMIT || event == IMAGE_CANCELLED)
			snprintf(s->why, sizeof(s->why), "%s has no end", s->name);
		return -1;
	}
	if (stream_get(s, &im->record) == STREAM_OVER)
		return 0;
	snprintf(s->why, sizeof(s->why), "%s has more behind its end", s->name);
	return -1;
}

int incoming_restore(const char *file, const struct run_options *o)
{
	struct machine *m = NULL;
	struct image im = { 0 };
	struct stream s;
	char why[4096];
	int fd = open(file, O_RDONLY | O_CLOEXEC), dev_fd = -1, status = STATUS_USAGE;

	if (fd < 0) {
		say("cannot open %s: %s", file, strerror(errno));
		return STATUS_USAGE;
	}
	stream_init(&s, fd, file);
	if (stream_check(&s) || image_header(&im, &s)) {
		say("%s", s.why);
		goto out;
	}
	if (o->pin && pin_check(o->pin, im.machine.nr_vcpus))
		goto out;
	status = STATUS_FAILED;
	dev_fd = vm_open(o->device);
	if (dev_fd < 0)
		goto out;
	if (!incoming_fits(&im, dev_fd, why, sizeof(why))) {
		say_lacks("", why);
		goto out;
	}
	if (read_file(&im, &s)) {
		say("%s", s.why);
		status = STATUS_USAGE;
		goto out;
	}
	if (move_test_number("sums", 0))
		say("state %llu: memory %08x", (unsigned long long)im.seq, move_test_sum(&im.mem));
	m = incoming_build(&im, dev_fd, o, why, sizeof(why));
	dev_fd = -1;
	if (m)
		say("the guest goes on");
	else
		say("the guest of %s cannot go on: %s", file, why);
out:
	if (dev_fd >= 0)
		close(dev_fd);
	close(fd);
	image_free(&im);
	if (!m)
		return status;
	status = machine_run(m);
	machine_free(m);
	return status;
}
