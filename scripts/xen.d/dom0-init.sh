#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of dom0: starts Xen's toolstack, tests the guests of /guests, and powers off. Prints TAP.
# Words after "--" on the kernel command line: the guests to test, and "full" to add pause, save, restore, destroy.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
PATH=/bin:$(echo /usr/lib/xen-*/bin)
export PATH
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /tmp
mkdir -p /var/run/xen /var/run/xenstored /var/lib/xen /var/lib/xenstored /var/log/xen/console /var/lock
mkdir -p /etc/xen && touch /etc/xen/xl.conf
number=0
log=/tmp/log

# Reports the last command's status: verdict $? "what was tested"
verdict() {
	number=$((number + 1))
	if [ "$1" = 0 ]; then
		echo "ok $number - $2"
	else
		[ -e $log ] && tail -n 5 $log | sed 's/^/# /'
		[ -e "$console" ] && tail -n 5 "$console" | sed 's/^/# console: /'
		echo "not ok $number - $2"
	fi
}

# Waits until a line of the guest's console contains $1.
seen() {
	while ! grep -q "$1" "$console" 2> /dev/null; do
		xl list "$guest" > /dev/null 2>&1 || grep -q "$1" "$console" || return 1
		sleep 1
	done
}

# Waits until the guest is gone.
gone() {
	while xl list "$guest" > /dev/null 2>&1; do
		sleep 1
	done
}

# Prints the guest's last count. A restore may start a new console file, but the guest counts on.
counted() {
	sed -n 's/.*L2: count \([0-9]*\)\r$/\1/p' "$console" 2> /dev/null | tail -n 1 | grep . || echo 0
}

# Waits until the guest has counted beyond $1. A wait without end is ended by the machine's time limit.
counts_beyond() {
	while [ "$(counted)" -le "$1" ]; do
		xl list "$guest" > /dev/null 2>&1 || return 1
		sleep 1
	done
}

# Creates the guest. With the lab's --count, instructions are counted from here until the guest's user space runs.
create() {
	rm -f "$console"
	mark
	xl create "/guests/$guest.cfg" > $log 2>&1
}

# Creates the guest, waits until it runs, and has its kernel shut it down.
life() {
	create
	verdict $? "$guest: xl create"
	seen "user space runs"
	verdict $? "$guest: $(grep -o 'L2: Linux.*' "$console")"
	xl shutdown -w "$guest" > $log 2>&1 && grep -q "asked to power off" "$console"
	verdict $? "$guest: powers off on xl shutdown"
}

# Creates the same guest again, pauses, unpauses, saves, restores and destroys it.
more() {
	# xl may take a while to destroy a guest that has shut down.
	gone
	create && counts_beyond 1
	verdict $? "$guest: runs again"
	xl pause "$guest" && before=$(counted) && sleep 3 && [ "$(counted)" -le $((before + 1)) ]
	verdict $? "$guest: does not run after xl pause"
	xl unpause "$guest" && counts_beyond $((before + 1))
	verdict $? "$guest: runs on after xl unpause"
	xl save "$guest" /tmp/saved > $log 2>&1
	verdict $? "$guest: xl save of the running guest"
	before=$(counted)
	xl restore /tmp/saved > $log 2>&1 && counts_beyond $((before + 1))
	verdict $? "$guest: counts on from $before after xl restore"
	rm -f /tmp/saved
	xl destroy "$guest" > $log 2>&1 && gone
	verdict $? "$guest: xl destroy"
}

console=/nothing
for module in xen-evtchn xen-gntdev xen-gntalloc xen-privcmd xenfs; do
	modprobe $module
done
mount -t xenfs xenfs /proc/xen
echo "dom0: Linux $(uname -r) on $(cat /sys/hypervisor/type)-$(cat /sys/hypervisor/version/major).$(cat /sys/hypervisor/version/minor), $(nproc) CPUs"
xenstored --pid-file /var/run/xenstored.pid && xen-init-dom0 > $log 2>&1 && xenconsoled --log=guest
verdict $? "dom0: the toolstack is up"
xl info > /tmp/info
grep -E "^(xen_version|virt_caps|nr_cpus|free_memory)" /tmp/info | sed 's/^/# /'
grep -q "virt_caps.*hvm.*hap" /tmp/info
verdict $? "dom0: Xen has HVM and HAP"
words=$(sed 's/.*-- //' /proc/cmdline)
for guest in $words; do
	[ -e "/guests/$guest.cfg" ] || continue
	console=/var/log/xen/console/guest-$guest.log
	grep -q "file:" "/guests/$guest.cfg" && console=/tmp/$guest.console
	life
	case " $words " in *" full "*) more ;; esac
done
echo "1..$number"
poweroff -f
