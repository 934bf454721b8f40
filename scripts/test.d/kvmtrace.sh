#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Runs in the lab's L0, which has kvm_intel loaded: droste_kvmtrace.ko with perf and trace-cmd. Prints TAP, and the tools'
# reports between lines "== NAME", which kvmtrace.py compares.
# Usage: kvmtrace.sh ; in the same directory: droste.ko droste_kvmtrace.ko t_kvmtrace tracers/
case $1 in -h | --help) exec sed -n '3,/^[^#]/s/^# //p' "$0" ;; esac
events=/sys/kernel/tracing/events/kvm
attached=/sys/module/droste_kvmtrace/parameters/attached
names="kvm_entry kvm_exit kvm_mmio kvm_pio kvm_msr kvm_nested_vmexit kvm_nested_vmexit_inject"
export KSFT_HANG_SECONDS=300
n=0

# Prints the result of the last command.
result() {
	status=$?
	n=$((n + 1))
	if [ $status = 0 ]; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
	fi
}

# What tools read of an event: its fields' names, places, sizes and signs. A type's name may be written differently.
fields() {
	sed -n 's/^\tfield:.* \([a-z_0-9]*;\)/\1/p' "$events/$1/format"
}

# A command for the tools to run: a subtest of t_kvmtrace, once the module passes events on. It waits a minute at most.
cat > /tmp/subtest << 'EOF'
#!/bin/sh
for try in $(seq 600); do
	[ "$(cat /sys/module/droste_kvmtrace/parameters/attached)" = Y ] && break
	sleep 0.1
done
exec /lab/t_kvmtrace --filter "$1" > /tmp/subtest.out 2>&1
EOF
chmod +x /tmp/subtest

# The counters of the last subtest: "exits REASON NUMBER".
counters() {
	echo "== counters"
	grep "^# exits" /tmp/subtest.out
}

for name in $names; do
	fields "$name" > "/tmp/$name"
done
rmmod kvm_intel && insmod droste.ko
result "droste.ko loads beside kvm.ko"
insmod droste_kvmtrace.ko 2> /tmp/insmod
grep -q "Device or resource busy" /tmp/insmod && dmesg | grep -q 'droste_kvmtrace: kvm.ko has the events of the system kvm' &&
	[ ! -e /sys/module/droste_kvmtrace ]
result "beside kvm.ko, insmod refuses droste_kvmtrace.ko and says why"
rmmod kvm && insmod droste_kvmtrace.ko
result "without it, droste_kvmtrace.ko loads"
for name in $names; do
	fields "$name" > /tmp/ours
	# Fields that only newer kernels have may come behind.
	[ -s "/tmp/$name" ] && head -n "$(wc -l < "/tmp/$name")" /tmp/ours | cmp -s - "/tmp/$name"
	result "$name has the fields of KVM's"
done

cd /tmp || exit
perf="/lab/tracers/perf --no-pager" trace_cmd=/lab/tracers/trace-cmd
$perf kvm stat record -a /tmp/subtest "counters in the output" > /tmp/record 2>&1
result "perf kvm stat record"
cat /tmp/record
counters
echo "== perf vmexit"
$perf kvm stat report --event=vmexit 2>&1
echo "== end"
[ "$(cat $attached)" = N ]
result "the module is idle after perf"
$perf kvm stat record -a /tmp/subtest "accesses*" > /tmp/record 2>&1
grep -q "^ok" /tmp/subtest.out
result "perf kvm stat record, accesses"
for event in mmio ioport msr; do
	echo "== perf $event"
	$perf kvm stat report --event=$event 2>&1
done
echo "== end"

# Of a burst of exits, perf shows those that it has read when an interval ends.
(/tmp/subtest "counters in the output"; sleep 3; echo q) | $perf kvm stat live -a --event=vmexit -d 1 > /tmp/live 2>&1
result "perf kvm stat live"
counters
echo "== perf live"
cat /tmp/live
echo "== end"

$trace_cmd record -e kvm -o trace.dat /tmp/subtest "counters in the output" > /tmp/record 2>&1
result "trace-cmd record -e kvm"
counters
$trace_cmd report -i trace.dat > /tmp/report 2>&1
echo "== trace-cmd"
sed -n 's/.* kvm_exit: *reason \([A-Z_]*\) rip 0x[0-9a-f]* info [0-9a-f]* [0-9a-f]*$/\1/p' /tmp/report | sort | uniq -c
echo "== end"
grep -q 'kvm_nested_vmexit: .*reason CPUID rip 0x' /tmp/report && grep -q 'kvm_nested_vmexit_inject: *reason CPUID' /tmp/report
result "trace-cmd's plugin names the reasons of nested exits"
grep -m1 -A5 "kvm_nested_vmexit:" /tmp/report

# perf holds the module. tracefs does not: the events go with it, while vCPUs run.
cat > /tmp/holder << 'EOF'
#!/bin/sh
rmmod droste_kvmtrace 2> /tmp/rmmod && exit 1
rmmod droste 2>> /tmp/rmmod && exit 1
exit 0
EOF
chmod +x /tmp/holder
$perf record -a -e kvm:kvm_exit /tmp/holder > /dev/null 2>&1
result "neither module goes while perf records"
cat /tmp/rmmod
(while [ ! -e /tmp/enough ]; do /lab/t_kvmtrace --filter "counters in the output"; done > /dev/null 2>&1) &
failed=0
for turn in 1 2 3 4 5 6; do
	echo 1 > $events/enable || failed=1
	for try in $(seq 100); do
		[ "$(cat $attached)" = Y ] && break
		sleep 0.1
	done
	[ "$turn" = 3 ] || sleep 0.3
	rmmod droste_kvmtrace && [ ! -e $events ] && insmod /lab/droste_kvmtrace.ko || failed=1
done
: > /tmp/enough
wait
[ $failed = 0 ]
result "droste_kvmtrace.ko goes while events are on and vCPUs run"
rmmod droste_kvmtrace && { rmmod droste || { sleep 2; rmmod droste; }; }
result "both modules unload"
echo "1..$n"
