#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Starts the next kernel by kexec while a guest runs on Droste. As /init of that kernel it prints the number of online
# processors (INIT is blocked where VMX is still on, SDM 3C 24.8), loads Droste again and powers off.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
if [ $$ = 1 ]; then
	mount -t proc proc /proc
	mount -t sysfs sysfs /sys
	mount -t devtmpfs devtmpfs /dev
	exec > /dev/ttyS0 2>&1
	echo "second kernel: $(nproc) CPUs"
	insmod /droste.ko && echo "second kernel: Droste is loaded"
	sleep 1		# until the serial port has sent the line
	poweroff -f
fi
./drostectl run --kernel vmlinuz --initrd guest.cpio --cpus 2 --memory 128 --append "quiet loglevel=1 tsc=reliable no_timer_check rdinit=/bin/yes" > out 2>&1 &
while ! grep -q "^y" out && kill -0 $!; do
	sleep 1
done
# Of the lab's words, those from idle= on are what the emulated processor needs.
./kexec vmlinuz second.cpio "console=ttyS0 quiet nokaslr mitigations=off cryptomgr.notests $(grep -o "idle=.*" /proc/cmdline)"
