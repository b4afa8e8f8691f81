package export

import (
	"time"

	"github.com/conntally/conntally/flow"
)

// scratch is a record in network byte order, each value at an offset of its own. All values are
// written, then those of a template are copied out: putting them field by field would take
// several times as long.
type scratch [scratchLen]byte

// offset is where in a scratch a value begins.
type offset int

// The offsets. Fields that are neighbours in templates are neighbours here, so that they are
// copied at once. Those of IPFIX and IPv4 come first: their records are written in place.
const (
	src4        offset = 0
	dst4               = src4 + 4
	srcPort            = dst4 + 4
	dstPort            = srcPort + 2
	proto              = dstPort + 2
	tcpFlags           = proto + 1
	tos                = tcpFlags + 1
	egress             = tos + 1
	input              = egress + 1
	output             = input + 4
	octets             = output + 4
	packets            = octets + 8
	startMillis        = packets + 8
	endMillis          = startMillis + 8
	endReason          = endMillis + 8
	postSrc4           = endReason + 1
	postDst4           = postSrc4 + 4
	postSrcPort        = postDst4 + 4
	postDstPort        = postSrcPort + 2
	flowID             = postDstPort + 2
	inputVLAN          = flowID + 8
	outputVLAN         = inputVLAN + 2
	srcMAC             = outputVLAN + 2
	dstMAC             = srcMAC + 6
	inputZone          = dstMAC + 6
	outputZone         = inputZone + 4
	connMark           = outputZone + 4
	natEvent           = connMark + 8
	initiator          = natEvent + 1
	src6               = initiator + 1
	dst6               = src6 + 16
	postSrc6           = dst6 + 16
	postDst6           = postSrc6 + 16
	startUptime        = postDst6 + 16
	endUptime          = startUptime + 4
	scratchLen         = int(endUptime + 4)
)

// write writes r, without what Encoder.writeMore writes.
func (m *scratch) write(r *flow.Record) {
	if r.IsIPv6() {
		m.writeAddresses6(r)
	}
	*(*[4]byte)(m[src4:]) = r.Src.V4()
	*(*[4]byte)(m[dst4:]) = r.Dst.V4()
	*(*[4]byte)(m[postSrc4:]) = r.PostSrc.V4()
	*(*[4]byte)(m[postDst4:]) = r.PostDst.V4()
	be.PutUint16(m[srcPort:], r.SrcPort)
	be.PutUint16(m[dstPort:], r.DstPort)
	be.PutUint16(m[postSrcPort:], r.PostSrcPort)
	be.PutUint16(m[postDstPort:], r.PostDstPort)
	be.PutUint64(m[startMillis:], uint64(millis(r.Start)))
	be.PutUint64(m[endMillis:], uint64(millis(r.End)))
	m[proto], m[tcpFlags], m[tos] = r.Proto, r.TCPFlags, r.ToS
	m[egress], m[endReason] = direction(r), uint8(r.EndReason)
	be.PutUint32(m[input:], r.Input)
	be.PutUint32(m[output:], r.Output)
	be.PutUint64(m[octets:], r.Bytes)
	be.PutUint64(m[packets:], r.Packets)
	m[initiator] = initiatorOf(r)
	if r.NAT != 0 {
		m[natEvent] = natEventOf(r)
	}
}

func (m *scratch) writeAddresses6(r *flow.Record) {
	copy(m[src6:dst6], r.Src[:])
	copy(m[dst6:postSrc6], r.Dst[:])
	copy(m[postSrc6:postDst6], r.PostSrc[:])
	copy(m[postDst6:startUptime], r.PostDst[:])
}

// writeUptimes writes the times of NetFlow v9. boot is its virtual boot time, ms since 1970.
func (m *scratch) writeUptimes(r *flow.Record, boot int64) {
	be.PutUint32(m[startUptime:], uptime(millis(r.Start), boot))
	be.PutUint32(m[endUptime:], uptime(millis(r.End), boot))
}

// writeOptional writes the values of optional fields.
func (m *scratch) writeOptional(r *flow.Record) {
	be.PutUint64(m[flowID:], r.ID)
	be.PutUint16(m[inputVLAN:], r.InputVLAN)
	be.PutUint16(m[outputVLAN:], r.OutputVLAN)
	copy(m[srcMAC:dstMAC], r.SrcMAC[:])
	copy(m[dstMAC:inputZone], r.DstMAC[:])
	be.PutUint32(m[inputZone:], uint32(r.InputZone))
	be.PutUint32(m[outputZone:], uint32(r.OutputZone))
	be.PutUint64(m[connMark:], uint64(r.Mark))
}

// direction returns the value of flowDirection.
func direction(r *flow.Record) uint8 {
	if r.Egress {
		return 1
	}
	return 0
}

// initiatorOf returns the value of biflowDirection (RFC 5103, section 6.3).
func initiatorOf(r *flow.Record) uint8 {
	const arbitrary, sourceOpened = 0, 1
	if r.Midstream {
		return arbitrary
	}
	return sourceOpened
}

func millis(ns int64) int64 { return ns / int64(time.Millisecond) }

// uptime converts ms since 1970 to ms since boot. A time before boot, which the choice of boot
// makes very old, becomes 0.
func uptime(ms, boot int64) uint32 { return uint32(max(ms-boot, 0)) }

// span is a part of a scratch that consecutive fields occupy.
type span struct{ from, to offset }

// spansOf returns the parts that fields occupy.
func spansOf(fields []field) (spans []span) {
	for _, f := range fields {
		to := f.from + offset(f.size)
		if last := len(spans) - 1; last >= 0 && spans[last].to == f.from {
			spans[last].to = to
		} else {
			spans = append(spans, span{f.from, to})
		}
	}
	return spans
}

// put copies spans to b and returns the rest of b.
func (m *scratch) put(b []byte, spans []span) []byte {
	for _, s := range spans {
		b = b[copy(b, m[s.from:s.to]):]
	}
	return b
}
