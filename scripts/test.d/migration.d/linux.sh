#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: a Linux is saved while it writes, restored, and moves to another drostectl. TAP.
# Usage: linux.sh [l2] ; with l2, the Linux runs an L2 meanwhile.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
with=$1
memory=160
[ -n "$with" ] && memory=384
n=0
result() {	# 0 or not, name
	n=$((n + 1))
	[ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}
said() {	# file, text
	grep -q -- "$2" "$1"
	result $? "$1: $2"
}
show() {
	for f in "$@"; do
		echo "# $f:"
		tail -n 40 "$f" | sed 's/^/# /'
	done
}
echo "TAP version 13"
./drostectl run --kernel vmlinuz --initrd guest.cpio --fast --cpus 2 --memory "$memory" --append "$with writes" \
	--save saved > save.out 2> save.err
result $(($? != 9)) "the exit status of a guest that is saved is 9"
said save.err "the guest is saved in saved"
show save.out save.err

./drostectl receive unix:socket > receive.out 2> receive.err &
receiver=$!
tries=0
while [ ! -S socket ] && [ $tries -lt 100 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
./drostectl run --restore saved --migrate-to unix:socket > restore.out 2> restore.err
result $(($? != 9)) "the exit status of a guest that is restored, and moves, is 9"
said restore.out "guest: goes on, moved 1 times, 2 CPUs, its data is the same"
[ -z "$with" ] || said restore.out "guest: L2 goes on"
said restore.err "the guest runs at unix:socket now"
show restore.err restore.out
wait $receiver
result $? "the guest that has moved powers off"
said receive.out "guest: goes on, moved 2 times, 2 CPUs, its data is the same"
[ -z "$with" ] || said receive.out "guest: L2 goes on"
show receive.err receive.out
echo "1..$n"
