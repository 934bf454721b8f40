#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# /init of a guest of the step "pool-round": counts and watches its processor, under the name that "name=" on its command line gives.
# With "once" there, it tells once what it sees, and powers off.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc proc /proc
mount -t devtmpfs devtmpfs /dev
stty -F /dev/console -echo -icanon
modprobe msr
once=
for word in $(cat /proc/cmdline); do
	case $word in
	name=*) name=${word#name=} ;;
	once) once=--once ;;
	esac
done
# shellcheck disable=SC2086 # no word if it is empty
/identity $once "$name"
poweroff -f
