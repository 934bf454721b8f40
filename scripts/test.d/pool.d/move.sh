#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: one host of the chain of step "pool-round". QEMU runs an L1 whose L2 counts; it comes in the file "state", unless
# this is the first host, and leaves by the disk of the lab's machine, unless this is the last. Prints what L1 and L2 see of
# their processor.
# Usage: move.sh PLACE POOL LAST [MODEL] ; PLACE is first, next or last; the machine left the host before at L2's number LAST;
# QEMU must refuse MODEL on this host, without the pool and with "enforce".
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
place=$1 pool=$2 last=$3 model=$4
cd /lab || exit 1
trap '' PIPE
limit=600
./drostectl cpu dump > /tmp/host.cpu || exit 1
ln -sf droste /dev/kvm
plain="-nodefaults -no-user-config -display none -no-reboot -accel kvm -M q35 -m 288"
if [ -n "$model" ]; then
	# shellcheck disable=SC2086 # several words
	timeout 60 qemu-dir/qemu $plain -cpu "$model,enforce" -S -incoming defer < /dev/null 2>&1 | sed 's/^/host: refuses: /' | head -n 40
fi
./drostectl cpu pool "$pool" || exit 1

give_up() {
	echo "host: $*"
	tail -n 30 /tmp/qemu /tmp/console
	tr '\r' '\n' < /tmp/monitor | grep -v '.\[[DK]' | tail -n 20
	exit 1
}

tell() {
	echo "$*" >&9
}

ask() {
	echo "$*" >&8
}

# The last complete number of L2.
counted() {
	tr -d '\r' < /tmp/console | sed '$d' | sed -n 's/^L2 count //p' | tail -n 1
}

# Waits until a file has a line.
await() { # pattern, file
	until tr -d '\r' < "$2" | grep -q "$1"; do
		kill -0 $machine 2> /dev/null || give_up "QEMU ended before '$1'"
		usleep 500000
	done
}

await_count() {
	until [ "$(counted)" -ge "$1" ] 2> /dev/null; do
		kill -0 $machine 2> /dev/null || give_up "QEMU ended before L2 counted to $1"
		usleep 500000
	done
}

# How many times QEMU told that the machine does not run.
paused() {
	grep -c '^VM status: paused' /tmp/monitor
}

# Stops the machine while it executes L2's loop, whose R15 has a mark.
stop_in_l2() {
	asked=0 before=$(paused)
	while [ $asked -lt 200 ]; do
		asked=$((asked + 1))
		tell stop
		tell info registers
		tell info status
		until [ "$(paused)" -ge $((before + asked)) ]; do
			kill -0 $machine 2> /dev/null || give_up "QEMU ended while it was to stop"
			usleep 10000
		done
		if grep '^R12=' /tmp/monitor | tail -n 1 | grep -q 'R15=5ca1ab1e5ca1ab1e'; then
			echo "host: stopped in L2 at the $asked. time, at number $(counted)"
			return
		fi
		tell cont
	done
	give_up "the machine was never in L2"
}

set --
if [ "$place" != first ]; then
	set -- -incoming "exec:cat state"
fi
: > /tmp/console
mkfifo /tmp/mon.in /tmp/mon.out /tmp/ctl.in /tmp/ctl.out
cat /tmp/mon.out > /tmp/monitor &
cat /tmp/ctl.out > /tmp/l1 &
# shellcheck disable=SC2086 # several words
timeout $limit qemu-dir/qemu $plain -cpu host \
	-serial file:/tmp/console -serial pipe:/tmp/ctl -monitor pipe:/tmp/mon -kernel vmlinuz -initrd l1.cpio \
	-append "console=ttyS0 no_timer_check cryptomgr.notests mitigations=off loglevel=4 initcall_blacklist=jent_mod_init tsc=reliable" \
	"$@" < /dev/null > /tmp/qemu 2>&1 &
machine=$!
exec 9> /tmp/mon.in 8> /tmp/ctl.in
if [ "$place" = first ]; then
	await_count 3
else
	# It was stopped when it was saved, and a "cont" that comes before all of it is read has no effect.
	until grep -q '^VM status: running' /tmp/monitor; do
		kill -0 $machine 2> /dev/null || give_up "QEMU ended before the machine went on"
		tell cont
		tell info status
		usleep 1000000
	done
	await_count $((last + 3))
	first=$(tr -d '\r' < /tmp/console | sed -n 's/^L2 count //p' | head -n 1)
	[ "$first" -gt "$last" ] && [ "$first" -le $((last + 2)) ] || give_up "L2 counted to $last before and goes on with $first"
	echo "host: L2 goes on with $first"
fi
ask dump
await '^L1 end' /tmp/l1
await '^L2 end' /tmp/console
if [ "$place" = last ]; then
	ask another
	await '^L1: another once ended' /tmp/l1
	await_count $(($(counted) + 2))
	tell quit
else
	stop_in_l2
	last=$(counted)
	tell 'migrate "exec:dd of=/dev/sda bs=64k 2> /tmp/written"'
	# The monitor takes the next command when the state is written.
	tell quit
fi
exec 9>&- 8>&-
wait $machine
echo "host: QEMU ended with $?"
grep -v 'SMP cpus\|hotpluggable' /tmp/qemu | sed 's/^/host: QEMU says: /' | head -n 20
sed 's/^/host: has /' /tmp/host.cpu
tr -d '\r' < /tmp/l1
tr -d '\r' < /tmp/console
echo		# QEMU may have ended within a line of L2
if [ "$place" != last ]; then
	sed 's/^/host: /' /tmp/written
	echo "host: left at $last"
	sync
fi
echo "host: done"
