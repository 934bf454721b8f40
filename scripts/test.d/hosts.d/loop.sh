#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: migrates the L1 of nest.c, whose L2 writes, from one QEMU to another and back, again and again. Prints
# TAP.
# Usage: loop.sh TIMES GROUP... ; a group is a function below.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
times=$1
shift
cd /lab || exit 1
[ -e /dev/droste ] && ln -sf droste /dev/kvm
trap '' PIPE	# a command to a QEMU that has ended must not end this script
count=0
limit=3000
plain="-nodefaults -no-user-config -display none -no-reboot -cpu host -smp 2 -m 40 -kernel nest.elf"

result() { # status, name
	count=$((count + 1))
	if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}

# --- a QEMU at one of two places, a and b: its monitor is on the pipes /tmp/a.in and /tmp/a.out. ---

# Starts QEMU. All QEMUs of a chain append to the same file what the guest says.
start() { # place, QEMU's further arguments
	place=$1
	shift
	rm -f "/tmp/$place.in" "/tmp/$place.out" /tmp/link
	mkfifo "/tmp/$place.in" "/tmp/$place.out"
	cat "/tmp/$place.out" > "/tmp/$place.monitor" &
	# Every other QEMU logs writes in rings, the others in bitmaps.
	accel=kvm
	[ "$place" = a ] || accel=kvm,dirty-ring-size=4096
	# shellcheck disable=SC2086 # several words
	timeout $limit qemu-dir/qemu $plain -accel $accel -M $machine \
		-chardev file,id=s,path=/tmp/serial,append=on -serial chardev:s -monitor "pipe:/tmp/$place" "$@" \
		< /dev/null > "/tmp/$place.qemu" 2>&1 &
	eval "pid_$place=$!"
	if [ "$place" = a ]; then exec 8> /tmp/a.in; else exec 9> /tmp/b.in; fi
}

tell() { # place, command
	if [ "$1" = a ]; then echo "$2" >&8; else echo "$2" >&9; fi
}

alive() { # place
	eval "kill -0 \$pid_$1" 2> /dev/null
}

finish() { # place
	tell "$1" quit
	if [ "$1" = a ]; then exec 8>&-; else exec 9>&-; fi
	eval "wait \$pid_$1"
}

# Waits until the monitor has said something this many times, and asks again and again, if there is a question.
heard() { # place, words, times, question
	until [ "$(grep -c "$2" "/tmp/$1.monitor")" -ge "$3" ]; do
		alive "$1" || return 1
		[ -z "$4" ] || tell "$1" "$4"
		usleep 100000
	done
}

# The guest's last complete number.
counted() {
	sed '$d' /tmp/serial | awk '$1 == "count" { n = $2 } END { print n + 0 }'
}

await() { # place, number
	until [ "$(counted)" -ge "$2" ]; do
		alive "$1" || return 1
		grep -q BAD /tmp/serial && return 1
		usleep 100000
	done
}

# All numbers follow each other, with no wrong value.
runs() {
	! grep -q BAD /tmp/serial && sed '$d' /tmp/serial | awk '$1 == "count" && $2 != ++n { wrong = 1 } END { exit wrong || n < 2 }'
}

shown() { # status: tells what is known if the case failed
	[ "$1" = 0 ] && return
	for place in a b; do
		tail -n 5 "/tmp/$place.qemu" | sed "s/^/# $place: /"
		tr '\r' '\n' < "/tmp/$place.monitor" | grep -v '.\[[DK]' | tail -n 12 | sed "s/^/# $place: /"
	done
	tail -n 5 /tmp/serial | sed 's/^/# /'
}

# Moves the guest by pre-copy. The target is stopped at first, so that it tells whether L2 was running. While QEMU starts,
# which takes an emulated processor long, the guest need not run.
move() { # from, to
	tell "$1" stop
	start "$2" -S -incoming unix:/tmp/link
	until [ -e /tmp/link ]; do
		alive "$2" || return 1
		usleep 50000
	done
	tell "$1" cont
	tell "$1" "migrate -d unix:/tmp/link"
	heard "$1" "^Migration status: completed" 1 "info migrate" || return 1
	heard "$2" "^VM status: paused" 1 "info status" || return 1
	tell "$2" "info registers"
	heard "$2" "^RIP=" 1 || return 1
	grep -q "R15=5ca1ab1e5ca1ab1e" "/tmp/$2.monitor" && in_l2=$((in_l2 + 1))
	tell "$2" cont
	finish "$1"
	await "$2" $(($(counted) + 2))
}

# Moves the guest by post-copy: it runs on the target before its memory is there. If it is to be interrupted, the
# connection is cut then, so that its processors wait for pages that do not come; "stop" must end their waits, and
# another connection brings the pages.
move_late() { # from, to, whether to interrupt
	start "$2" -incoming unix:/tmp/link
	tell "$2" "migrate_set_capability postcopy-ram on"
	tell "$1" "migrate_set_capability postcopy-ram on"
	tell "$1" "migrate_set_parameter max-bandwidth 400K"
	tell "$1" "migrate_set_parameter max-postcopy-bandwidth 400K"
	until [ -e /tmp/link ]; do
		alive "$2" || return 1
		usleep 50000
	done
	tell "$1" "migrate -d unix:/tmp/link"
	heard "$1" "^Migration status: active" 1 "info migrate" || return 1
	tell "$1" migrate_start_postcopy
	heard "$1" "^Migration status: postcopy-active" 1 "info migrate" || return 1
	if [ "$3" = interrupted ]; then
		heard "$2" "^VM status: running" 1 "info status" || return 1
		tell "$1" migrate_pause
		heard "$1" "^Migration status: postcopy-paused" 1 "info migrate" || return 1
		heard "$2" "^Migration status: postcopy-paused" 1 "info migrate" || return 1
		tell "$2" stop
		heard "$2" "^VM status: paused" 1 "info status" || return 1
		tell "$2" cont
		tell "$2" "migrate_recover unix:/tmp/recover"
		until [ -e /tmp/recover ]; do
			alive "$2" || return 1
			usleep 50000
		done
		tell "$1" "migrate -r unix:/tmp/recover"
	fi
	tell "$1" "migrate_set_parameter max-postcopy-bandwidth 0"
	heard "$1" "^Migration status: completed" 1 "info migrate" || return 1
	finish "$1"
	rm -f /tmp/recover
	await "$2" $(($(counted) + 2))
}

# A number of migrations, after each of which L1 has to count on, which is to start another L2.
chain() { # name, QEMU's machine
	name=$1 machine=$2 in_l2=0 done=0 from=a to=b
	: > /tmp/serial
	start a
	await a 2
	bad=$?
	# QEMU chooses the moment at which the machine stops. If that was in L1 too often, there are some more migrations.
	while [ $bad = 0 ] && [ $done -lt $((4 * times)) ] && { [ $done -lt "$times" ] || [ $((in_l2 * 2)) -lt "$times" ]; }; do
		move $from $to || bad=1
		[ $bad = 0 ] && done=$((done + 1)) && [ $((done % 10)) = 0 ] && echo "# $done migrations, counted to $(counted)"
		next=$from from=$to to=$next
	done
	runs || bad=1
	echo "# counted to $(counted); L2 was running at $in_l2 of $done migrations"
	shown $bad
	# The other one has ended, unless the last migration failed.
	alive $to && finish $to
	finish $from
	result $bad "$name: $times migrations or more, after each of which L1 starts another L2 and all hashes are right"
	[ $((in_l2 * 2)) -ge "$times" ]
	result $? "$name: L2 was running at $((times / 2)) of them or more"
}

late() { # name, what move_late() does besides
	machine=q35,kernel-irqchip=split
	: > /tmp/serial
	start a
	await a 2 && move_late a b "$2" && move_late b a "$2"
	bad=$?
	runs || bad=1
	echo "# counted to $(counted)"
	shown $bad
	result $bad "$1"
	alive a && finish a
	alive b && finish b
}

postcopy() {
	late "post-copy: two migrations"
}

interrupted() {
	late "post-copy: two migrations that are interrupted, and recovered" interrupted
}

split() {
	chain "kernel-irqchip=split" q35,kernel-irqchip=split
}

full() {
	chain "kernel-irqchip=on" pc,kernel-irqchip=on
}

for group in "$@"; do
	"$group"
done
echo "1..$count"
