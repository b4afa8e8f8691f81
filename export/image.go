package export

import (
	"time"

	"github.com/conntally/conntally/flow"
)

// image is a record in network byte order, every value at its own place. It is written
// straight through, and what a template wants is copied out of it: filling in field by
// field takes several times as long.
type image [imageLen]byte

// place is where in an image a value begins.
type place int

// The places. Values that stand side by side in templates do here as well, so that
// they are copied at once.
const (
	src6        place = 0
	dst6              = src6 + 16
	startUptime       = dst6 + 16
	endUptime         = startUptime + 4
	src4              = endUptime + 4
	dst4              = src4 + 4
	srcPort           = dst4 + 4
	dstPort           = srcPort + 2
	proto             = dstPort + 2
	tcpFlags          = proto + 1
	tos               = tcpFlags + 1 // 0: conntrack has none
	egress            = tos + 1
	input             = egress + 1
	output            = input + 4
	octets            = output + 4
	packets           = octets + 8
	startMillis       = packets + 8
	endMillis         = startMillis + 8
	endReason         = endMillis + 8
	postSrc4          = endReason + 1
	postDst4          = postSrc4 + 4
	postSrcPort       = postDst4 + 4
	postDstPort       = postSrcPort + 2
	postSrc6          = postDstPort + 2
	postDst6          = postSrc6 + 16
	flowID            = postDst6 + 16
	inputVLAN         = flowID + 8
	outputVLAN        = inputVLAN + 2
	srcMAC            = outputVLAN + 2
	dstMAC            = srcMAC + 6
	inputZone         = dstMAC + 6
	outputZone        = inputZone + 4
	natEvent          = outputZone + 4
	initiator         = natEvent + 1
	imageLen          = initiator + 1
)

// write makes m the image of r, with the optional fields or without. boot is NetFlow v9's
// virtual boot time, ms since 1970.
func (m *image) write(r *flow.Record, boot int64, optional bool) {
	m.writeEnds(r)
	start, end := millis(r.Start), millis(r.End)
	be.PutUint32(m[startUptime:], uptime(start, boot))
	be.PutUint32(m[endUptime:], uptime(end, boot))
	be.PutUint64(m[startMillis:], uint64(start))
	be.PutUint64(m[endMillis:], uint64(end))
	m[proto], m[tcpFlags], m[egress], m[endReason] = r.Proto, r.TCPFlags, direction(r), uint8(r.EndReason)
	be.PutUint32(m[input:], r.Input)
	be.PutUint32(m[output:], r.Output)
	be.PutUint64(m[octets:], r.Bytes)
	be.PutUint64(m[packets:], r.Packets)
	m[natEvent], m[initiator] = natEventOf(r), initiatorOf(r)
	if optional {
		m.writeOptional(r)
	}
}

// writeOptional writes what the optional fields hold.
func (m *image) writeOptional(r *flow.Record) {
	be.PutUint64(m[flowID:], r.ID)
	be.PutUint16(m[inputVLAN:], r.InputVLAN)
	be.PutUint16(m[outputVLAN:], r.OutputVLAN)
	copy(m[srcMAC:dstMAC], r.SrcMAC[:])
	copy(m[dstMAC:inputZone], r.DstMAC[:])
	be.PutUint32(m[inputZone:], uint32(r.InputZone))
	be.PutUint32(m[outputZone:], uint32(r.OutputZone))
}

// writeEnds writes addresses and ports, before and after translation.
func (m *image) writeEnds(r *flow.Record) {
	copy(m[src6:dst6], r.Src[:])
	copy(m[dst6:startUptime], r.Dst[:])
	copy(m[src4:dst4], r.Src[12:])
	copy(m[dst4:srcPort], r.Dst[12:])
	copy(m[postSrc6:postDst6], r.PostSrc[:])
	copy(m[postDst6:flowID], r.PostDst[:])
	copy(m[postSrc4:postDst4], r.PostSrc[12:])
	copy(m[postDst4:postSrcPort], r.PostDst[12:])
	be.PutUint16(m[srcPort:], r.SrcPort)
	be.PutUint16(m[dstPort:], r.DstPort)
	be.PutUint16(m[postSrcPort:], r.PostSrcPort)
	be.PutUint16(m[postDstPort:], r.PostDstPort)
}

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

// uptime is ms, since 1970, in ms since boot. What is older than that, which the
// choice of boot makes very old, is put at boot.
func uptime(ms, boot int64) uint32 { return uint32(max(ms-boot, 0)) }

// run is a part of an image that fields in a row take.
type run struct{ from, to place }

// runsOf returns the parts that fields take.
func runsOf(fields []field) (runs []run) {
	for _, f := range fields {
		to := f.from + place(f.size)
		if last := len(runs) - 1; last >= 0 && runs[last].to == f.from {
			runs[last].to = to
		} else {
			runs = append(runs, run{f.from, to})
		}
	}
	return runs
}

// put copies runs to b and returns what is behind them.
func (m *image) put(b []byte, runs []run) []byte {
	for _, r := range runs {
		b = b[copy(b, m[r.from:r.to]):]
	}
	return b
}
