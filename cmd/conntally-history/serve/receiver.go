package serve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/cmd/conntally-history/collect"
	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/export/decode"
)

const (
	maxSources = 256
	// maxHeld is how many bytes of records may wait for their templates.
	maxHeld = 2 << 20
	// turn is how often the receiver shows that it is alive, at least.
	turn = time.Second
	// lastTurn bounds reading what is queued at the end.
	lastTurn = time.Second
)

// ReceiverStats count datagrams that have been handled. Any goroutine may read them.
type ReceiverStats struct {
	Datagrams atomic.Uint64
	Dropped   atomic.Uint64 // by the kernel, as the receive buffer was full
	Refused   atomic.Uint64 // from addresses that may not send
	Buffer    atomic.Int64  // bytes of the receive buffer
}

// receiver reads datagrams and never waits for anything else.
type receiver struct {
	Stats ReceiverStats

	conn      *net.UDPConn
	decoder   *decode.Decoder
	collector *collect.Collector
	allowed   []netip.Prefix // none: all
	clock     conntrack.Clock
	alive     func(mono int64) // called at least each turn

	expired int64  // when held data was last looked through, monotonic
	drops   uint32 // the kernel's count, as of the last datagram
	refused atomic.Pointer[netip.Addr]
}

// listen opens the socket. size is that of its receive buffer, in bytes.
func (r *receiver) listen(ctx context.Context, address string, size int) error {
	config := net.ListenConfig{}
	conn, err := config.ListenPacket(ctx, "udp", address)
	if err != nil {
		return fmt.Errorf("can't receive records: %w", err)
	}
	r.conn = conn.(*net.UDPConn)
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return errors.Join(err, conn.Close())
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = r.setOptions(int(fd), size) })
	if err = errors.Join(err, failed); err != nil {
		return errors.Join(fmt.Errorf("can't receive records: %w", err), conn.Close())
	}
	return nil
}

// setOptions makes the buffer as large as it may be, and has the kernel count drops.
func (r *receiver) setOptions(fd, size int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size)
	}
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	r.Stats.Buffer.Store(int64(n / 2)) // the kernel doubles it, socket(7)
	return errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1))
}

// run reads until ctx is done, and then what is queued. What waits for its template by then is
// given up.
func (r *receiver) run(ctx context.Context) error {
	defer func() { r.giveUp(r.decoder.DropHeld()) }()
	stop := context.AfterFunc(ctx, func() { _ = r.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	buffer, control := make([]byte, 1<<16), make([]byte, 64)
	var end int64
	for {
		now := r.clock().Mono
		r.alive(now)
		r.expire(now)
		_ = r.conn.SetReadDeadline(time.Now().Add(turn))
		if ctx.Err() != nil {
			if end == 0 {
				end = now + int64(lastTurn)
			}
			if now >= end || !r.queued() {
				return nil
			}
		}
		err := r.read(buffer, control)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("can't receive records: %w", err)
		}
	}
}

// expire gives up data that has waited for its template for long, once in a turn.
func (r *receiver) expire(mono int64) {
	if mono-r.expired < int64(turn) {
		return
	}
	r.expired = mono
	r.giveUp(r.decoder.Expire(mono))
}

func (r *receiver) giveUp(sets []decode.Unknown) {
	if len(sets) > 0 {
		r.collector.Unknown(sets, time.Unix(0, r.clock().Wall))
	}
}

// queued reports whether a datagram waits in the socket. A read with a short deadline wouldn't
// tell: on a busy machine the deadline may pass before the socket is looked at.
func (r *receiver) queued() (is bool) {
	raw, err := r.conn.SyscallConn()
	if err != nil {
		return false
	}
	err = raw.Control(func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		is = err == nil && n > 0
	})
	return is && err == nil
}

// read reads a datagram.
func (r *receiver) read(buffer, control []byte) error {
	n, nc, _, from, err := r.conn.ReadMsgUDPAddrPort(buffer, control)
	if err != nil {
		return err
	}
	r.countDrops(control[:nc])
	from = netip.AddrPortFrom(from.Addr().Unmap().WithZone(""), from.Port())
	defer r.Stats.Datagrams.Add(1)
	if a := from.Addr(); !r.allows(a) {
		r.refused.Store(&a)
		r.Stats.Refused.Add(1)
		return nil
	}
	m, fault := r.decoder.Decode(buffer[:n], from)
	r.collector.Handle(&m, fault, time.Unix(0, r.clock().Wall))
	return nil
}

func (r *receiver) allows(a netip.Addr) bool {
	return len(r.allowed) == 0 ||
		slices.ContainsFunc(r.allowed, func(p netip.Prefix) bool { return p.Contains(a) })
}

// countDrops reads how many datagrams the kernel has dropped for want of room in the buffer
// (SO_RXQ_OVFL). It says so with the next datagram.
func (r *receiver) countDrops(control []byte) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL &&
			len(m.Data) >= 4 {
			drops := binary.NativeEndian.Uint32(m.Data)
			r.Stats.Dropped.Add(uint64(drops - r.drops))
			r.drops = drops
		}
	}
}
