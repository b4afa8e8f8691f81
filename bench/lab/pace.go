package lab

import (
	"context"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	chunk   = 64 << 10 // bytes of one write
	stepsPS = 20       // writes per second under a rate
	ackPoll = 50 * time.Microsecond
)

// writePayload writes size bytes, rate per second; 0 = as fast as it goes.
func writePayload(ctx context.Context, w io.Writer, size, rate int) error {
	step := chunk
	if rate > 0 {
		step = min(step, max(1, rate/stepsPS))
	}
	payload := make([]byte, min(step, size))
	begin := time.Now()
	for done := 0; done < size; {
		next := min(step, size-done)
		if rate > 0 {
			// A chunk leaves when the time for it has passed.
			due := time.Duration(float64(done+next) / float64(rate) * float64(time.Second))
			if err := WaitUntil(ctx, begin.Add(due)); err != nil {
				return err
			}
		}
		if _, err := w.Write(payload[:next]); err != nil {
			return err
		}
		done += next
	}
	return nil
}

// WaitUntil returns nil at that time, or an error if ctx ends before.
func WaitUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watch makes conn fail from the end of ctx on. The function that it returns
// stops that.
func watch(ctx context.Context, conn interface{ SetDeadline(time.Time) error }) (stop func() bool) {
	return context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
}

// because prefers the end of ctx to the time-out that it caused.
func because(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// acknowledge sends the acknowledgement that the kernel may be holding back.
func acknowledge(conn *net.TCPConn) error {
	return onSocket(conn, func(fd int) error {
		return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
	})
}

// waitAcknowledged waits until the peer has acknowledged all that was written.
// The kernel has no event for that.
func waitAcknowledged(ctx context.Context, conn *net.TCPConn) error {
	for {
		var queued int
		err := onSocket(conn, func(fd int) (err error) {
			queued, err = unix.IoctlGetInt(fd, unix.SIOCOUTQ)
			return err
		})
		if err != nil || queued == 0 {
			return err
		}
		if err := WaitUntil(ctx, time.Now().Add(ackPoll)); err != nil {
			return err
		}
	}
}
