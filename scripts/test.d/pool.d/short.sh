#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in L0: one host of the short chain of step "pool-short". Machines come as the files "with" (the pool) and "without", and go
# by the disk of the lab's machine. Prints TAP.
# Usage: short.sh first|next|last DUMP ; DUMP is what drostectl cpu dump is to say about this host.
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
place=$1 dump=$2
cd /lab || exit 1
count=0

result() { # status, name
	count=$((count + 1))
	if [ "$1" = 0 ]; then echo "ok $count - $2"; else echo "not ok $count - $2"; fi
}

# Runs t_pool_move, whose results have a heading of their own.
move() { # what, machine
	echo "# --- t_pool_move-$1-$2"
	./t_pool_move "$1" "/tmp/$2"
}

[ "$place" = first ] || cp with without /tmp || exit 1
case $place in
first)
	move first without
	./drostectl cpu pool all.pool && move first with
	;;
next)
	move refused without
	./drostectl cpu pool all.pool && move next with
	;;
last)
	./drostectl cpu pool all.pool && move last with
	;;
esac
[ "$place" = last ] || { tar cf /dev/sda -C /tmp with without && sync; } || exit 1

if [ "$place" = next ]; then
	# This host's brand is shorter than that of the others.
	./drostectl cpu pool none
	echo "# --- t_pool"
	./t_pool --filter "the processor's *"
fi

echo "# --- host"
# The hypervisor's leaves tell of Droste's version, not of the processor.
./drostectl cpu dump --host | grep -v '^cpuid  *0x4000' > /tmp/host
grep -v '^cpuid  *0x4000' "$dump" > "/tmp/$dump"
# A later Droste may offer more of it, so that 1 is good, too: guests of the dump run on this host.
./drostectl cpu compare "/tmp/$dump" /tmp/host > /tmp/differences 2>&1
status=$?
sed 's/^/# /' /tmp/differences
[ $status -le 1 ]
result $? "this host has what $dump says"
if [ "$place" = next ]; then
	dmesg | grep 'CPUID refused' | sed 's/^/# /'
	dmesg | grep -q 'droste: CPUID refused: leaf 0x[0-9a-f.]*:E[A-D]X has bits 0x[0-9a-f]*, which the host lacks'
	result $? "the kernel log names leaf, register and bits that the host lacks"
	for words in "cpu pool" "run --kernel vmlinuz --cpu"; do
		# shellcheck disable=SC2086 # several words
		./drostectl $words skylake_x.cpu > /tmp/refusal 2>&1 < /dev/null
		status=$?
		sed 's/^/# /' /tmp/refusal | head -n 4
		[ $status != 0 ] && grep -q 'AVX512F (CPUID 0x7.0:EBX bit 16)' /tmp/refusal
		result $? "drostectl $words of another host's dump is refused, with the missing bits"
	done
fi
echo "1..$count"
