// SPDX-License-Identifier: GPL-2.0
/* Advice about the machine that drostectl runs on. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "host.h"
#include "say.h"

#define MIB	(1024ULL * 1024)

void host_warn(unsigned long cpus, unsigned long memory)
{
	long have = sysconf(_SC_NPROCESSORS_ONLN);
	struct sysinfo si;

	if (have > 0 && cpus > (unsigned long)have)
		say("warning: %lu processors are asked for, but this machine has %ld; the guest will be slow",
		    cpus, have);
	if (sysinfo(&si))
		return;
	if (memory > si.totalram * (unsigned long long)si.mem_unit / MIB)
		say("warning: %lu MiB of memory are asked for, but this machine has %llu MiB; the guest is killed if it uses more",
		    memory, si.totalram * (unsigned long long)si.mem_unit / MIB);
}

/*
 * Finds a group's name. getgrgid() is no choice, because a static program would
 * need the C library's shared objects for it.
 */
static bool group_name(const char *groups, gid_t gid, char *name, size_t size)
{
	FILE *f = fopen(groups, "re");
	bool found = false;
	char line[4096];

	while (f && !found && fgets(line, sizeof(line), f)) {
		char *rest = line;
		char *first = strsep(&rest, ":");

		strsep(&rest, ":");
		if (rest && *rest >= '0' && *rest <= '9' &&
		    strtoul(rest, NULL, 10) == gid) {
			snprintf(name, size, "%s", first);
			found = true;
		}
	}
	if (f)
		fclose(f);
	return found;
}

void host_access_advice(const struct stat *st, const char *groups, char *text,
			size_t size)
{
	const mode_t rw = 0060;
	char name[64];

	if ((st->st_mode & rw) != rw || !st->st_gid)
		snprintf(text, size, "only root may open it (mode %04o): use sudo",
			 st->st_mode & 07777);
	else if (group_name(groups, st->st_gid, name, sizeof(name)))
		snprintf(text, size,
			 "the group %s may open it: run \"sudo usermod -aG %s $USER\" and log in again, or use sudo",
			 name, name);
	else
		snprintf(text, size,
			 "the group %u, which has no name, may open it: use sudo",
			 st->st_gid);
}

void host_device_advice(const char *path, int err, char *text, size_t size)
{
	struct stat st;

	text[0] = '\0';
	if (err == ENOENT && !strcmp(path, "/dev/kvm"))
		snprintf(text, size,
			 "is the module loaded? \"modprobe kvm_intel\" loads it");
	else if (err == ENOENT && !strcmp(path, "/dev/droste"))
		snprintf(text, size,
			 "is the module loaded? \"insmod kmod/droste.ko\" loads it");
	else if (err == ENOENT)
		snprintf(text, size, "is the module loaded?");
	else if ((err == EACCES || err == EPERM) && !stat(path, &st))
		host_access_advice(&st, "/etc/group", text, size);
}
