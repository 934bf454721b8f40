#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of the Linux that moves: asks twice to be moved, and looks whether its files are the same then. "writes" in its command line
# has it write to memory meanwhile; with "l2" it runs an L2 on its kvm_intel that counts.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /tmp
mount -t tmpfs tmpfs /tmp
# Numbers of L2's console.
count() { grep -c 'L2: count' /tmp/l2; }
dd if=/dev/urandom of=/tmp/data bs=64k count=16 2> /tmp/dd
sum=$(sha1sum < /tmp/data)
words=$(cat /proc/cmdline)
case $words in *writes*) while :; do
	cp /tmp/data /tmp/copy
	sleep 0.1
done & ;; esac
case $words in *l2*)
	modprobe kvm_intel || echo "guest: no kvm_intel"
	/drostectl run --device /dev/kvm --kernel /vmlinuz --initrd /l2.cpio --memory 96 --fast > /tmp/l2 2>&1 &
	while [ "$(count)" -lt 3 ]; do sleep 0.1; done ;;
esac
for moves in 1 2; do
	echo "guest: ready, moved $(/port) times"
	/port ask
	while [ "$(/port)" -lt $moves ]; do sleep 0.1; done
	[ "$(sha1sum < /tmp/data)" = "$sum" ] &&
		echo "guest: goes on, moved $(/port) times, $(nproc) CPUs, its data is the same"
	case $words in *l2*)
		was=$(count)
		while [ "$(count)" -lt $((was + 3)) ]; do sleep 0.1; done
		echo "guest: L2 goes on" ;;
	esac
done
poweroff -f
