#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs where no hypervisor is loaded. insmod must fail with an error and log one line. Usage: refuse.sh ERROR LINE
# As /init of a guest: its firmware has locked VMX off.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
if [ $$ = 1 ]; then
	mount -t proc proc /proc
	trap "poweroff -f" EXIT
	set -- "Permission denied" "firmware has locked"
	cd /
fi
insmod droste.ko 2> /tmp/insmod.err && { echo "insmod worked"; exit 1; }
said=$(dmesg | sed 's/^\[[^]]*\] //' | grep '^droste: ' | grep -v taint | sort -u)
cat /tmp/insmod.err
echo "$said"
# Busybox's insmod tries two system calls, so the line is logged twice.
grep -q "$1" /tmp/insmod.err && [ "$(echo "$said" | wc -l)" = 1 ] && echo "$said" | grep -q "$2" && echo "refused as it must be"
