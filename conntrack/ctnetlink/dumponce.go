package ctnetlink

import (
	"os"
	"time"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

// DumpOnce calls fn with every living entry of the calling thread's network namespace, without
// subscribing to events.
func DumpOnce(fn func(*conntrack.Event)) error {
	size := dumpBuffer
	if n, err := kernel.ReadSysctl("count"); err == nil && isSparse(buckets(), n) {
		size = shortBuffer()
	}
	dumps, err := openSocket(0, 1, size, noSetup)
	if err != nil {
		return err
	}
	r := NewReader(noEvents{}, dumps, conntrack.SystemClock())
	defer r.Close()
	return r.Dump(fn)
}

// noEvents is a socket that receives no events.
type noEvents struct{}

func (noEvents) Recv(time.Duration) ([]byte, error) { return nil, os.ErrDeadlineExceeded }
func (noEvents) Send([]byte) error                  { return nil }
func (noEvents) Close() error                       { return nil }
