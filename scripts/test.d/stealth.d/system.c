// SPDX-License-Identifier: GPL-2.0
/* The probe's part "system": firmware's tables, devices, and what the kernel has found out about its machine. */
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe.h"

/* A directory's names in order; the caller does not free them. */
static int names(const char *path, struct dirent ***list)
{
	int n = scandir(path, list, NULL, alphasort);

	return n < 0 ? 0 : n;
}

/* Prints the first line of each file of a directory. */
static void say_files(const char *kind, const char *path)
{
	struct dirent **list;
	int n = names(path, &list);

	for (int i = 0; i < n; i++) {
		char file[512], name[512];
		struct stat st;
		const char *line;

		snprintf(file, sizeof(file), "%s/%s", path, list[i]->d_name);
		if (lstat(file, &st) || !S_ISREG(st.st_mode))
			continue;
		line = file_line(file);
		snprintf(name, sizeof(name), "%s.%s", kind, list[i]->d_name);
		if (line)
			say(name, "%s", line);
	}
}

static void say_count(const char *name, const char *path)
{
	struct dirent **list;
	int n = names(path, &list), count = 0;

	for (int i = 0; i < n; i++)
		count += list[i]->d_name[0] != '.';
	say(name, "%d", count);
}

/* The structures of SMBIOS by type, and the VM bit of type 0. SMBIOS 3.1, 7.1.2.2. */
static void say_smbios(void)
{
	static uint8_t table[65536];
	int fd = open("/sys/firmware/dmi/tables/DMI", O_RDONLY);
	ssize_t size = fd < 0 ? 0 : read(fd, table, sizeof(table) - 2);
	int count[256] = { 0 };

	if (fd >= 0)
		close(fd);
	say("dmi.table", "%s", size > 0 ? "there" : "none");
	for (uint8_t *at = table, *end = table + (size > 0 ? size : 0); at + 4 <= end && at[1] >= 4;) {
		uint8_t *next = at + at[1];

		count[at[0]]++;
		if (at[0] == 0 && at[1] >= 0x14)
			say("dmi.type0.vm-bit", "%d", at[0x13] >> 4 & 1);
		while (next + 2 <= end && (next[0] || next[1]))
			next++;
		at = next + 2;
	}
	for (int type = 0; type < 256; type++) {
		char name[64];

		snprintf(name, sizeof(name), "dmi.structures.type%d", type);
		if (count[type])
			say(name, "%d", count[type]);
	}
}

static void text(char *to, const uint8_t *from, int len)
{
	for (int i = 0; i < len; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '.';
	to[len] = 0;
}

static bool holds(const uint8_t *in, size_t size, const char *what)
{
	return memmem(in, size, what, strlen(what));
}

/* ACPI 6.4, 5.2.6: each table's identities. */
static void say_acpi(void)
{
	static const char *const ids[] = { "PNP0100", "PNP0B00", "PNP0103", "PNP0C0A", "PNP0A03" };
	static uint8_t table[1 << 20];
	struct dirent **list;
	int n = names("/sys/firmware/acpi/tables", &list), tables = 0;

	for (int i = 0; i < n; i++) {
		char file[512], name[300], oem[8], id[12], creator[8];
		ssize_t size;
		int fd;

		snprintf(file, sizeof(file), "/sys/firmware/acpi/tables/%s", list[i]->d_name);
		fd = list[i]->d_name[0] == '.' ? -1 : open(file, O_RDONLY);
		size = fd < 0 ? 0 : read(fd, table, sizeof(table));
		if (fd >= 0)
			close(fd);
		if (size < 36)
			continue;
		tables++;
		snprintf(name, sizeof(name), "acpi.%s", list[i]->d_name);
		if (!memcmp(table, "FACS", 4)) {
			say(name, "there");
			continue;
		}
		text(oem, table + 10, 6);
		text(id, table + 16, 8);
		text(creator, table + 28, 4);
		say(name, "OEM \"%s\" \"%s\", creator \"%s\"", oem, id, creator);
		snprintf(name, sizeof(name), "acpi.%s.revision", list[i]->d_name);
		say(name, "%d", table[8]);
		for (size_t k = 0; !memcmp(table, "DSDT", 4) && k < sizeof(ids) / sizeof(ids[0]); k++) {
			/* An EISA ID is packed; a string is not. */
			unsigned int digits = strtoul(ids[k] + 3, NULL, 16);
			const char packed[] = { 0x41, (char)0xd0, digits >> 8, digits & 0xff, 0 };

			snprintf(name, sizeof(name), "acpi.DSDT.%s", ids[k]);
			say(name, "%s", memmem(table, size, packed, 4) || holds(table, size, ids[k]) ? "there" : "none");
		}
	}
	say("acpi.tables", "%d", tables);
}

/* One line for each name in a directory. */
static void say_list(const char *kind, const char *path)
{
	struct dirent **list;
	int n = names(path, &list);

	for (int i = 0; i < n; i++) {
		char name[512];

		snprintf(name, sizeof(name), "%s.%s", kind, list[i]->d_name);
		if (list[i]->d_name[0] != '.')
			say(name, "there");
	}
}

static void say_pci(void)
{
	struct dirent **list;
	int n = names("/sys/bus/pci/devices", &list);

	for (int i = 0; i < n; i++) {
		static const char *const what[] = { "vendor", "device", "subsystem_vendor", "subsystem_device", "class" };

		for (size_t k = 0; k < sizeof(what) / sizeof(what[0]); k++) {
			char file[600], name[600];
			const char *line;

			snprintf(file, sizeof(file), "/sys/bus/pci/devices/%s/%s", list[i]->d_name, what[k]);
			snprintf(name, sizeof(name), "pci.%s.%s", list[i]->d_name, what[k]);
			line = list[i]->d_name[0] == '.' ? NULL : file_line(file);
			if (line)
				say(name, "%s", line);
		}
	}
}

/* What tells a hypervisor in the kernel's log, since its begin. */
static void say_log(void)
{
	static const char *const words[] = { "Hypervisor detected", "paravirtualized kernel", "kvm-clock", "kvm-guest", "pvclock",
					     "DMI not present", "Booting paravirtualized", "unchecked MSR", "virtual machine", "Firmware Bug" };
	static char record[8192];
	bool found[sizeof(words) / sizeof(words[0])] = { false };
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ssize_t size;

	while (fd >= 0 && (size = read(fd, record, sizeof(record) - 1)) > 0) {
		record[size] = 0;
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			found[i] |= strstr(record, words[i]) != NULL;
	}
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		char name[64];

		snprintf(name, sizeof(name), "log.%s", words[i]);
		say(name, "%s", found[i] ? "yes" : "no");
	}
	if (fd >= 0)
		close(fd);
}

/* Fields of the first processor in /proc/cpuinfo; flags and bugs one line each. */
static void say_cpuinfo(void)
{
	static char line[16384];
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f && fgets(line, sizeof(line), f) && *line != '\n') {
		char name[128], *value = strchr(line, ':'), *end;
		bool words;

		if (!value)
			continue;
		for (end = value; end > line && isspace(end[-1]); end--)
			;
		*end = 0;
		value += value[1] == ' ' ? 2 : 1;
		value[strcspn(value, "\n")] = 0;
		if (!strcmp(line, "cpu MHz") || !strcmp(line, "bogomips"))
			snprintf(name, sizeof(name), "time.cpuinfo.%.99s", line);
		else
			snprintf(name, sizeof(name), "cpuinfo.%.99s", line);
		words = !strcmp(line, "flags") || !strcmp(line, "bugs") || !strcmp(line, "vmx flags");
		if (!words)
			say(name, "%s", value);
		for (char *word; words && (word = strsep(&value, " "));) {
			char flag[256];

			snprintf(flag, sizeof(flag), "%s.%s", name, word);
			if (*word)
				say(flag, "yes");
		}
	}
	if (f)
		fclose(f);
}

static void say_clock(void)
{
	static const char base[] = "/sys/devices/system/clocksource/clocksource0/";
	char path[128];
	const char *line;

	snprintf(path, sizeof(path), "%scurrent_clocksource", base);
	line = file_line(path);
	say("clocksource.current", "%s", line ? line : "none");
	snprintf(path, sizeof(path), "%savailable_clocksource", base);
	line = file_line(path);
	for (char *rest = line ? strdup(line) : NULL, *word; rest && (word = strsep(&rest, " "));) {
		char name[64];

		snprintf(name, sizeof(name), "clocksource.available.%s", word);
		if (*word)
			say(name, "yes");
	}
}

void probe_system(void)
{
	static const char *const buses[] = { "acpi", "pnp", "serio", "virtio", "vmbus", "xen", "usb", "scsi", "i2c" };

	say_files("dmi.id", "/sys/class/dmi/id");
	say_smbios();
	say_acpi();
	say_pci();
	for (size_t i = 0; i < sizeof(buses) / sizeof(buses[0]); i++) {
		char path[64], kind[64];

		snprintf(path, sizeof(path), "/sys/bus/%s/devices", buses[i]);
		snprintf(kind, sizeof(kind), "bus.%s", buses[i]);
		say_list(kind, path);
	}
	say_files("hypervisor", "/sys/hypervisor");
	say_list("fw_cfg", "/sys/firmware/qemu_fw_cfg");
	say_count("count.hwmon", "/sys/class/hwmon");
	say_count("count.thermal", "/sys/class/thermal");
	say_count("count.power_supply", "/sys/class/power_supply");
	say_count("count.xen", "/proc/xen");
	say_files("vulnerabilities", "/sys/devices/system/cpu/vulnerabilities");
	say_clock();
	say_cpuinfo();
	say_log();
}
