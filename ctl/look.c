// SPDX-License-Identifier: GPL-2.0
/* Finds VMs of this host, and looks at their vCPUs: the ioctls of DROSTE_INSPECT. */
#include "look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "args.h"
#include "say.h"

#define DEVICE	"/dev/droste"
#define LOOK_OLDER	"the module that is loaded is older than drostectl"
#define ROOM	1024	/* more fields than a VMCS has */

const struct look_which look_whichs[] = {
	{ "01", DROSTE_VMCS01, "VMCS01: L0's, for L1" },
	{ "12", DROSTE_VMCS12, "VMCS12: L1's, for L2" },
	{ "02", DROSTE_VMCS02, "VMCS02: L0's, for L2" },
	{ "shadow", DROSTE_VMCS_SHADOW, "the hardware's shadow VMCS, which L1 accesses without exits" },
	{ }
};

const struct look_which *look_which(const char *name)
{
	for (const struct look_which *w = look_whichs; w->name; w++)
		if (!strcmp(w->name, name))
			return w;
	say("no VMCS is named \"%s\": there are 01, 12, 02 and shadow", name);
	return NULL;
}

static int open_device(void)
{
	static int device = -1;

	if (device >= 0)
		return device;
	device = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0) {
		int err = errno;

		say("%s: %s", DEVICE, strerror(err));
		if (err == ENOENT)
			say_more("load the module first: modprobe droste");
	}
	return device;
}

int look_next(struct droste_vm_info *info)
{
	struct droste_vm_name name = { .number = info->number, .flags = DROSTE_NEXT };
	int device = open_device(), fd;

	if (device < 0)
		return -2;
	fd = ioctl(device, DROSTE_INSPECT, &name);
	if (fd < 0 && errno == ENOENT)
		return -1;
	if (fd >= 0 && !ioctl(fd, DROSTE_VM_INFO, info)) {
		/* The process chose its name, which must not reach the terminal as it is. */
		for (char *c = info->name; *c; c++)
			if (*c < ' ' || *c > '~')
				*c = '?';
		return fd;
	}
	if (errno == EPERM)
		say("only root may look at VMs (CAP_SYS_ADMIN)");
	else if (errno == ENOTTY)
		say(LOOK_OLDER ", and cannot be looked into");
	else
		say("looking for VMs: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	return -2;
}

/* What to say if not exactly one VM fits. */
static void not_one(const struct look_at *at, int fits)
{
	if (at->vm)
		say("there is no VM %lu; see \"drostectl ps\"", at->vm);
	else if (at->pid)
		say("process %lu has %s VM; see \"drostectl ps\"", at->pid, fits ? "more than one" : "no");
	else
		say(fits ? "there are %d VMs: choose one with --vm; see \"drostectl ps\"" : "there is no VM on this host", fits);
}

int look_open(const struct look_at *at, struct droste_vm_info *info)
{
	struct droste_vm_info now = { .number = 0 };
	int fd, found = -1, fits = 0;

	while ((fd = look_next(&now)) >= 0) {
		if ((at->vm && now.number != at->vm) || (at->pid && (unsigned long)now.pid != at->pid) ||
		    (now.flags & DROSTE_VM_CLOSED) || fits++) {
			close(fd);
			continue;
		}
		found = fd;
		*info = now;
	}
	if (fd == -1 && fits == 1)
		return found;
	if (fd == -1)
		not_one(at, fits);
	if (found >= 0)
		close(found);
	return -1;
}

void look_error(unsigned int vcpu, int err, const char *lacks)
{
	if (err == EINVAL)
		say("the VM has no vCPU %u", vcpu);
	else if (err == ENOTTY)
		say(LOOK_OLDER ", and %s", lacks);
	else
		say("vCPU %u: %s", vcpu, strerror(err));
}

int look_vcpu(int fd, unsigned int vcpu, struct droste_vcpu_info *info)
{
	*info = (struct droste_vcpu_info) { .vcpu = vcpu };
	if (!ioctl(fd, DROSTE_VCPU_INFO, info))
		return 0;
	if (errno == EINVAL)
		say("the VM has no vCPU %u", vcpu);
	else
		say("vCPU %u: %s", vcpu, strerror(errno));
	return -1;
}

void look_fields(struct look_vmcs *v, const struct droste_vmcs_field *fields, uint32_t nr)
{
	for (uint32_t i = 0; i < nr; i++) {
		int f = 0;

		while (f < NR_VMCS12_FIELDS && vmcs12_fields[f].enc != fields[i].encoding)
			f++;
		if (f == NR_VMCS12_FIELDS)
			continue;
		vmcs_file_set(&v->file, f, fields[i].value);
		v->hidden[f] = fields[i].flags & DROSTE_FIELD_HIDDEN;
		v->marks[f] = fields[i].flags;
	}
}

int look_vmcs(int fd, unsigned int vcpu, const struct look_which *which, struct look_vmcs *v)
{
	static struct droste_vmcs_field fields[ROOM];
	struct droste_vmcs arg = { .vcpu = vcpu, .which = which->which, .nr = ROOM, .fields = (uintptr_t)fields };
	struct droste_vcpu_info info;

	*v = (struct look_vmcs) { .file.source = VMCS_FROM_VCPU, .file.vmptr = ~0ULL };
	if (look_vcpu(fd, vcpu, &info))
		return -1;
	if (ioctl(fd, DROSTE_GET_VMCS, &arg)) {
		if (errno != ENOENT)
			say("vCPU %u: %s", vcpu, strerror(errno));
		else if (which->which == DROSTE_VMCS12)
			say("L1 has no current VMCS on vCPU %u", vcpu);
		else if (which->which == DROSTE_VMCS02)
			say("vCPU %u does not run L2 now; try again, or look at 12", vcpu);
		else
			say("L1 has no shadow VMCS on vCPU %u", vcpu);
		return -1;
	}
	look_fields(v, fields, arg.nr);
	v->in_l2 = arg.flags & DROSTE_VMCS_IN_L2;
	memcpy(v->merged, arg.merged, sizeof(v->merged));
	if (which->which == DROSTE_VMCS12)
		v->file.vmptr = arg.vmptr;
	return 0;
}

unsigned int look_failed(int fd, unsigned int nr_vcpus)
{
	for (unsigned int i = 0; i < nr_vcpus; i++) {
		struct droste_why why = { .vcpu = i };

		/* Without room for the fields, it tells their number. */
		if (!ioctl(fd, DROSTE_GET_WHY, &why) || errno == E2BIG)
			return i;
	}
	return 0;
}

const char *look_memory_error(uint64_t gpa, int err)
{
	switch (err) {
	case ENODATA:
		return "the page does not begin with a VMCS revision identifier";
	case ENXIO:
		return "L1 has no memory there";
	case EAGAIN:
		return "the host does not have the page now: it was never touched, or is swapped out";
	case EINVAL:
		return gpa % 4096 ? "a VMCS's address is a multiple of 4096" : LOOK_OLDER ", and shows no VMCS in memory";
	default:
		return strerror(err);
	}
}

int look_memory(int fd, unsigned int vcpu, uint64_t gpa, struct look_vmcs *v)
{
	static struct droste_vmcs_field fields[ROOM];
	struct droste_vmcs arg = {
		.vcpu = vcpu, .which = DROSTE_VMCS_MEMORY, .nr = ROOM, .fields = (uintptr_t)fields, .vmptr = gpa,
	};
	struct droste_vcpu_info info;

	*v = (struct look_vmcs) { .file.source = VMCS_FROM_VCPU, .file.vmptr = gpa };
	if (look_vcpu(fd, vcpu, &info))
		return -1;
	if (ioctl(fd, DROSTE_GET_VMCS, &arg)) {
		say("no VMCS at %#llx: %s", (unsigned long long)gpa, look_memory_error(gpa, errno));
		return -1;
	}
	look_fields(v, fields, arg.nr);
	v->flags = arg.flags;
	return 0;
}

int look_why(int fd, unsigned int vcpu, struct look_vmcs *v, struct droste_why *why)
{
	static struct droste_vmcs_field fields[ROOM];

	*v = (struct look_vmcs) { .file.source = VMCS_FROM_VCPU };
	*why = (struct droste_why) { .vcpu = vcpu, .nr = ROOM, .fields = (uintptr_t)fields };
	if (ioctl(fd, DROSTE_GET_WHY, why)) {
		if (errno == ENOENT)
			say("no VM entry of L1 has failed on vCPU %u", vcpu);
		else
			look_error(vcpu, errno, "does not explain failed VM entries");
		return -1;
	}
	look_fields(v, fields, why->nr);
	v->file.vmptr = why->vmptr;
	return 0;
}

int look_option(struct look_at *at, int opt, const char *value)
{
	switch (opt) {
	case 'v':
		return args_number("vm", value, 1, 0xffffffff, &at->vm);
	case 'p':
		return args_number("pid", value, 1, 0x7fffffff, &at->pid);
	case 'c':
		return args_number("vcpu", value, 0, 4095, &at->vcpu);
	default:
		return -1;
	}
}
