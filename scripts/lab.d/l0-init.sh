#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of the lab's L0: loads the hypervisor, runs the command, and reports to the host.
# ttyS0 carries the command's output, ttyS1 one-line messages to the host, ttyS2 the kernel's log.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/lab:/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=${TERM:-linux}
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
ifconfig lo up 2>/dev/null
stty -F /dev/ttyS0 115200 raw -echo
stty -F /dev/ttyS1 115200 raw -echo
exec 3>/dev/ttyS1
. /lab.conf		# hypervisor, modules, mode, splats, kmemleak, heartbeat

tell() {
	echo "$*" >&3
}

# Sends a log to the host, between two messages.
send_log() {
	tell "LOG $1"
	cat "$2" >&3
	tell "END"
}

# Reports a failure to the host, and waits to be ended.
give_up() {
	dmesg | tail -n 60 > /tmp/.log
	send_log "failure" /tmp/.log
	tell "FAIL $*"
	while :; do sleep 1000; done
}

# From now on all kernel messages go to the log port.
dmesg -n 8
echo "<6>lab: L0 is up" > /dev/kmsg
echo "$modules" | while read -r module arguments; do
	[ -z "$module" ] && continue
	# shellcheck disable=SC2086 # the arguments are several words
	insmod "$module" $arguments 2> /tmp/.insmod || {
		echo "$module: $(cat /tmp/.insmod)" > /tmp/.insmod-failed
		break
	}
done
[ -e /tmp/.insmod-failed ] && give_up "$(cat /tmp/.insmod-failed)"

if [ "$heartbeat" = yes ]; then
	(while sleep 5; do tell "BEAT"; done) < /dev/null > /dev/null 2>&1 &
fi

cd /lab || give_up "/lab is missing"
tell "READY"
if [ "$mode" = shell ]; then
	stty -F /dev/ttyS0 sane
	[ -n "$rows" ] && stty -F /dev/ttyS0 rows "$rows" cols "$columns"
	# The end of a session leader discards unsent terminal output, so the user's shell is not the leader.
	setsid -c sh -c 'sh -l; status=$?; stty -echo; stty echo; exit $status' < /dev/ttyS0 > /dev/ttyS0 2>&1
	status=$?
else
	# Descriptor 8 keeps ttyS0 open. The last close may discard unsent output.
	exec 8> /dev/ttyS0
	sh /lab.command < /dev/null > /dev/ttyS0 2>&1 8>&-
	status=$?
fi
# stty waits until all output has been sent.
stty -F /dev/ttyS0 -echo
stty -F /dev/ttyS0 cs8

if [ "$unload" = yes ] && grep -q '^droste ' /proc/modules; then
	rmmod droste_kvmtrace 2> /dev/null
	for try in 1 2 3 4 5; do
		rmmod droste 2> /tmp/.rmmod && break
		sleep 1
	done
	grep -q '^droste ' /proc/modules && tell "NOTE droste could not be unloaded: $(cat /tmp/.rmmod)"
fi
if [ "$kmemleak" = yes ]; then
	# An object counts as leaked when two scans, some seconds apart, find no pointer to it.
	sleep 6
	echo scan > /sys/kernel/debug/kmemleak
	sleep 6
	echo scan > /sys/kernel/debug/kmemleak
	cat /sys/kernel/debug/kmemleak > /tmp/.leaks
	[ -s /tmp/.leaks ] && send_log leaks /tmp/.leaks
fi
dmesg | sed -n '/lab: L0 is up/,$p' > /tmp/.log
grep -E "$splats" /tmp/.log > /dev/null && send_log splats /tmp/.log
tell "EXIT $status"
while :; do sleep 1000; done
