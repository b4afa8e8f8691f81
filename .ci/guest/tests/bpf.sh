#!/bin/sh
# The ends of connections that the eBPF program reports are those that netlink reports, by each way
# to attach it that the kernel has; a walk shows what a dump does, and notices that the table is
# resized; and conntally counts every byte with it, also without the right
# to load it. Records have the interfaces that packets took: by mark, VRF, bridge, multicast route and
# transparent proxy.
# only: amd64 arm64
# shellcheck source=.ci/guest/tests/lib
. ./lib
export CONNTALLY_BPF=need CONNTALLY_GUEST=1
modprobe -a nf_conntrack nf_conntrack_netlink nf_tables nft_ct nft_masq nft_tproxy veth vrf 8021q br_netfilter
{
	./bpf.test -test.v -test.timeout 0 -test.run '^TestReal'
	echo $? >bpf.code
} 2>&1 | tee bpf.log
holds "ends equal netlink's" [ "$(cat bpf.code)" = 0 ]
for name in Deleted Expired Held Replaced EarlyDrop RingFull OtherNamespace FirstPackets FirstPacketUnknown \
	WalkEqualsDump WalkEqualsDumpOfAnything WalkDuringChurn WalkNoticesResize TableIsFoundEachTime; do
	holds "$name" grep -q "^--- PASS: TestReal$name " bpf.log
done
fentry=fentry
grep -q ' bpf_rdonly_cast$' /proc/kallsyms || fentry=fentry.copy
holds "by $fentry" grep -q -e "--- PASS: TestRealDeleted/$fentry " bpf.log
holds "first packets by fexit" grep -q -e "--- PASS: TestRealFirstPackets/$fentry " bpf.log
go_tests TestBPFCountsEveryByteOnce TestBPFCountsHeldConnections TestBPFTakesAtMost8MBMore TestBPFFallsBackToNetlink TestBPFRecordsShowHowPacketsWent
end
