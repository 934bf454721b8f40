#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: the guest of pattern.c is saved, restored, moved, and refused by a device whose pool has less. TAP.
# Usage: pattern.sh POOL ; a pool for the device that has less than the device.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
pool=$1
n=0
result() {	# 0 or not, name
	n=$((n + 1))
	[ "$1" = 0 ] && echo "ok $n - $2" || echo "not ok $n - $2"
}
said() {	# file, text
	grep -q -- "$2" "$1"
	result $? "$1: $2"
}
status() {	# of a command; what it must be, name
	result $(($? != $1)) "exit status $1: $2"
}
# Waits until a file has a text. A command that has ended says nothing more.
await() {
	tries=0
	while ! grep -q -- "$2" "$1" && [ $tries -lt 600 ]; do
		sleep 0.1
		tries=$((tries + 1))
	done
}
show() {
	for f in "$@"; do
		echo "# $f:"
		tail -n 20 "$f" | sed 's/^/# /'
	done
}
# A guest that does not move runs for ever.
boot() {
	timeout 60 ./drostectl run --kernel pattern --memory 2 --cpus 2 "$@"
}
echo "TAP version 13"
for level in l1 l2; do
	boot --append "moves=3 $level" --save saved > save.out 2> save.err
	status 9 "saved, $level"
	./drostectl run --restore saved > restore.out 2> restore.err
	status 32 "restored, $level"
	said restore.out "moved at "
	show save.err restore.err restore.out
	./drostectl receive unix:socket > receive.out 2> receive.err &
	await receive.err "waiting for a machine"
	boot --append "moves=3 $level" --migrate-to unix:socket > send.out 2> send.err
	status 9 "moved, $level"
	wait $!
	status 32 "goes on, $level"
	said receive.out "moved at "
	show send.err receive.err receive.out
done
ip link set lo up 2> ip.err || ifconfig lo 127.0.0.1 up
./drostectl receive 127.0.0.1:4321 > receive.out 2> receive.err &
await receive.err "waiting for a machine"
boot --append moves=3 --migrate-to 127.0.0.1:4321 > send.out 2> send.err
status 9 "moved by TCP"
wait $!
status 32 "goes on, by TCP"
show send.err receive.err

size=$(wc -c < saved)
head -c $((size - 1)) saved > cut
./drostectl run --restore cut > cut.out 2> cut.err
status 2 "a file that is cut off"
said cut.err "ends within record"
{ head -c 5000 saved; printf X; tail -c +5002 saved; } > damaged
./drostectl run --restore damaged > damaged.out 2> damaged.err
status 2 "a file that is damaged"
said damaged.err "is damaged in record"
show cut.err damaged.err

./drostectl run --kernel pattern --memory 2 --cpus 2 --append moves=3 --migrate-to unix:socket > send.out 2> send.err &
source=$!
await send.err "cannot connect"
said send.err "cannot connect to unix:socket"
./drostectl cpu pool "$pool" 2> pool.err
./drostectl receive unix:socket > receive.out 2> receive.err &
receiver=$!
await receive.err "waiting for a machine"
kill -USR1 $source
wait $receiver
status 1 "the receiver that refuses"
await send.err AVX512
said send.err "the guest is not moved, and runs on: the receiver refuses it: "
said send.err "  AVX512F (CPUID 0x7.0:EBX bit 16)"
said receive.err "  AVX512F "
was=$(wc -l < send.out)
tries=0
while [ "$(wc -l < send.out)" -le "$was" ] && [ $tries -lt 600 ]; do
	sleep 0.1
	tries=$((tries + 1))
done
[ "$(wc -l < send.out)" -gt "$was" ]
result $? "the guest runs on"
kill $source
wait $source
status 7 "the source is told to end"
./drostectl run --restore saved > less.out 2> less.err
status 1 "a file that the device's pool has less for"
said less.err "  AVX512F "
./drostectl cpu pool none
show pool.err send.err receive.err less.err
echo "1..$n"
