package route

import (
	"encoding/binary"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/flow"
)

const (
	knownBits     = 10
	maxKnownPaths = 1 << knownBits // 88 B each
)

// knownPath is the path of a connection that was found lately: many short ones follow each other
// between the same addresses, as those to a name server do. Its place in Resolver.known follows
// from the addresses; there it may displace another one.
type knownPath struct {
	src, dst, replySrc, replyDst conntrack.Addr
	mark                         uint32 // the bits of it that count
	version                      uint32 // of the view that it is from
	path                         flow.Path
	hits                         uint32 // answers from the cache that it stands for; 0: none
}

// is reports whether k is the path of e's connection.
func (k *knownPath) is(e *conntrack.Event, mark, version uint32) bool {
	return k.version == version && k.mark == mark && e.Zone|e.ReplyZone == 0 &&
		k.src == e.Orig.Src && k.dst == e.Orig.Dst &&
		k.replySrc == e.Reply.Src && k.replyDst == e.Reply.Dst
}

// knownPlace returns where the path of e's connection is, if it is known.
func knownPlace(e *conntrack.Event) uint64 {
	const prime = 0x9e3779b97f4a7c15 // an odd number with bits everywhere
	low := func(a *conntrack.Addr) uint64 { return binary.NativeEndian.Uint64(a[8:]) }
	return (low(&e.Orig.Src)*prime ^ low(&e.Reply.Src)) * prime >> (64 - knownBits)
}
