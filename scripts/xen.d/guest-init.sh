#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of a Xen guest: prints its environment, counts, and powers off when the toolstack asks it to.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mark
# The kernel runs poweroff, which sends this signal to process 1.
trap 'echo "L2: asked to power off"; poweroff -f' USR2
echo "L2: Linux $(uname -r) on $(cat /sys/hypervisor/type) as $(cat /sys/hypervisor/guest_type), user space runs"
count=0
while :; do
	count=$((count + 1))
	echo "L2: count $count"
	sleep 1 &
	wait $!
done
