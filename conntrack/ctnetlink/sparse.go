package ctnetlink

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
)

// A walk over the kernel's table stops only when a chunk is full, and until then neither a packet
// nor another thread gets the core (ctnetlink_dump_table): in a large table with few entries,
// for milliseconds at each poll. So a sparse table is read in another way:
//
//   - Where the kernel counts no entry, there is nothing to read.
//   - A table with few entries is not walked. Each known entry is asked for, which takes the kernel
//     one look-up; entries that begin announce themselves to a socket of Begins. What proves that
//     none is missing is the kernel's own count: if it exceeds the entries that answered, the table
//     is walked after all.
//   - A walk over a table that is less sparse has short chunks. The kernel makes them as large as
//     the largest buffer that the socket was ever read with, so they need a socket of their own.

// Purpose is what a socket is for.
type Purpose int

// The purposes.
const (
	Dumps      Purpose = iota + 1 // dumps in long chunks
	ShortDumps                    // dumps in short chunks
	Questions                     // requests for single entries
	Begins                        // it has joined the group of new entries
)

// What the kernel and this program do costs so many steps of a walk from bucket to bucket. Such a
// step took 9 ns on a fast machine, 35 ns on a slow one.
const (
	entryCost    = 110 // of a walk
	questionCost = 240 // of an entry that is asked for
	beginCost    = 600 // of an entry that announces itself
)

const (
	// sparseBuckets is the smallest table that may be sparse: a walk over it takes 0.6 ms.
	sparseBuckets = 16_384
	// From shortBuckets buckets per entry on, chunks are short: a long one would take more than a
	// millisecond on a slow machine. All short ones together take a fifth more time.
	shortBuckets = 256

	questionBatch = 64        // questions per request; the answers fill a third of a buffer
	beginsBuffer  = 512 << 10 // some 800 entries that begin between two polls
	maxKnown      = 1 << 16   // entries; more than are ever cheaper to ask for
	maxRounds     = 3         // of questions, while entries begin

	overrunPolls = 6  // how many polls walk after too much has begun, or an answer has failed
	maxPatience  = 64 // polls
)

// walker is a socket for dumps.
type walker struct {
	Socket
	purpose    Purpose
	unfinished bool // the last dump failed, and the kernel may not be done with it
}

// sparse is the part of a Reader that reads sparse tables. All of its memory is bounded by
// maxKnown.
type sparse struct {
	short     walker // opened when first needed, like questions
	questions Socket
	begins    Socket // nil while entries are not asked for
	known     []question
	set       map[question]struct{} // of known
	begun     int                   // entries that have announced themselves since the last poll
	ended     uint64                // Stats.Destroys at the last poll
	rest      int                   // polls for which no entry is asked for

	// The kernel counts entries that no walk shows: unconfirmed ones, and dead ones that a
	// packet in a queue still refers to.
	hidden   int // so many after the last walk
	patience int // for how many polls that explains a difference
	patient  int // of which so many are left
}

func (s *sparse) closeSparse() (err error) {
	for _, open := range []Socket{s.short.Socket, s.questions, s.begins} {
		if open != nil {
			err = errors.Join(err, open.Close())
		}
	}
	return err
}

// StopAsking forgets all known entries: the next dump walks the table. It is called where another
// source reads living entries, too: until it does, the kernel announces new ones.
func (r *Reader) StopAsking() {
	if r.begins != nil {
		_ = r.begins.Close() // nothing is read from it any more
	}
	r.begins, r.known, r.set = nil, nil, nil
	r.hidden, r.patience, r.patient = 0, 0, 0
}

// observeBegins stops asking when more entries begin than the socket holds: each that announces
// itself costs the router more than a walk saves.
func (r *Reader) observeBegins() {
	s, ok := r.begins.(dropCounter)
	if !ok {
		return
	}
	if n, err := s.Drops(); err == nil && n > 0 {
		r.overrun()
	}
}

// overrun stops asking for a while.
func (r *Reader) overrun() {
	r.StopAsking()
	r.rest = overrunPolls
}

// readSparse reads the table without a walk, if it is sparse enough, and reports whether it has
// shown every entry. Otherwise it has chosen the walker. The error is that of the event socket.
func (r *Reader) readSparse(
	buckets int, fn func(*conntrack.Event),
) (complete bool, err error) {
	r.walker = &r.dumps
	if r.Dial == nil || buckets < sparseBuckets {
		r.StopAsking()
		return false, nil
	}
	entries, err := r.countEntries()
	if err != nil { // an old kernel, or the module is not loaded: the walk's error says so
		r.closeQuestions()
		return false, nil
	}
	if isSparse(buckets, entries) {
		r.chooseShort()
	}
	if !r.choose(buckets, entries) {
		if entries > 0 {
			return false, nil
		}
		return true, r.betweenChunks(fn, true)
	}
	left := entries - len(r.known) // no more can answer
	if r.explained(left) {
		left, err = r.askAll(fn)
	}
	switch {
	case errors.Is(err, errNoAnswer):
		r.closeQuestions()
		return false, nil
	case err != nil:
		return false, err
	case r.explained(left):
		if left > 0 {
			r.patient--
		}
		return true, nil
	}
	return false, nil
}

// explained reports whether no walk is needed although the kernel counts left entries more than
// are known.
func (r *Reader) explained(left int) bool {
	return left <= 0 || left <= r.hidden && r.patient > 0
}

// choose decides whether known entries are asked for, by what is cheaper. To change back and forth
// would cost most, so it begins late.
func (r *Reader) choose(buckets, entries int) bool {
	walk := buckets + entries*entryCost
	if r.begins != nil {
		r.drainBegins()
		if entries*questionCost+r.begun*beginCost > walk || len(r.known) > maxKnown {
			r.overrun()
		}
		r.begun = 0
		return r.begins != nil
	}
	destroys := r.Stats.Destroys.Load()
	begun := int(destroys - r.ended) // about as many as have ended
	r.ended = destroys
	if r.rest > 0 {
		r.rest--
		return false
	}
	if 10*(entries*questionCost+begun*beginCost) > 9*walk {
		return false
	}
	begins, err := r.Dial(Begins)
	if err != nil {
		r.rest = overrunPolls
		return false
	}
	r.begins, r.begun, r.set = begins, 0, map[question]struct{}{}
	return true
}

// isSparse reports whether a long chunk would hold up a core for too long.
func isSparse(buckets, entries int) bool {
	return buckets >= sparseBuckets && entries < buckets/shortBuckets
}

// chooseShort has the next walk use short chunks.
func (r *Reader) chooseShort() {
	if r.short.Socket == nil {
		s, err := r.Dial(ShortDumps)
		if err != nil {
			return
		}
		r.short = walker{Socket: s, purpose: ShortDumps}
	}
	r.walker = &r.short
}

// drainBegins makes the entries that have announced themselves known.
func (r *Reader) drainBegins() {
	for range maxDatagrams {
		b, err := r.begins.Recv(0)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil: // ENOBUFS, and what can't be known any more
			r.overrun()
			return
		}
		for len(b) > 0 {
			m, rest, err := nextMessage(b)
			if err != nil {
				r.Stats.Malformed.Add(1)
				break
			}
			if m.typ == msgNew && r.decode(&m) {
				r.begun++
				r.learn()
			}
			b = rest
		}
	}
}

// learn makes the entry of r.event known.
func (r *Reader) learn() {
	q := questionOf(&r.event)
	if _, known := r.set[q]; known || len(r.known) > maxKnown {
		return
	}
	r.set[q] = struct{}{}
	r.known = append(r.known, q)
}

// beginWalk prepares for a walk that shows which entries are known.
func (r *Reader) beginWalk() {
	r.known = r.known[:0]
	clear(r.set)
}

// endWalk compares what a walk has shown with what the kernel counts.
func (r *Reader) endWalk() error {
	if r.begins == nil {
		return nil
	}
	entries, err := r.countEntries()
	if err != nil {
		r.closeQuestions()
		return nil
	}
	r.drainBegins() // entries that began behind the walk are not hidden
	if r.begins == nil {
		return nil // overrun: none is known any more, but not all are hidden
	}
	r.hidden = max(0, entries-len(r.known))
	if r.hidden == 0 {
		r.patience = 0
	}
	r.patience = min(max(1, 2*r.patience), maxPatience)
	r.patient = r.patience
	return nil
}
