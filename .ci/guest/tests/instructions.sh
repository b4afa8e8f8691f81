#!/bin/sh
# What the whole machine executes for flows of 1, 2, 5 and 10 packets: conntally by netlink and by
# eBPF, and softflowd, in one run; and what an end costs the kernel and its reader. The report and
# its figures are left in out/. Which claims hold is in the report: this fails where it measures
# nothing.
# only: amd64 arm64
# machine: icount
# debs: softflowd
# builds: bench
# shellcheck source=.ci/guest/tests/lib
. ./lib
for deb in debs/*.deb; do dpkg-deb -x "$deb" /; done
mkdir -p /run/softflowd/chroot
modprobe -a nf_conntrack nf_conntrack_netlink nf_tables nft_ct nft_nat nft_chain_nat veth af_packet
sysctl -q net.netfilter.nf_conntrack_max=262144
{
	./bench -emulated -conntally ./conntally -out out/report
	echo $? >bench.code
} 2>&1 | tee bench.log
./bpf.test -test.run '^$' -test.bench RealEnds -test.benchtime 1x | tee out/ends.txt
holds "ends were read by eBPF" grep -q '^BenchmarkRealEnds/fentry.* read-ns/end' out/ends.txt
holds "it measures" [ "$(cat bench.code)" = 0 ]
holds "eBPF was measured, too" grep -q 'conntally-bpf' out/report/results.json
fails "no run has failed" grep -q FAILED bench.log
end
