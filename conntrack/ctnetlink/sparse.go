package ctnetlink

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
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

// stopAsking forgets all known entries: the next dump walks the table.
func (r *Reader) stopAsking() {
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
	r.stopAsking()
	r.rest = overrunPolls
}

// readSparse reads the table without a walk, if it is sparse enough, and reports whether it has
// shown every entry. Otherwise it has chosen the walker. The error is that of the event socket.
func (r *Reader) readSparse(
	buckets int, fn func(*conntrack.Event),
) (complete bool, err error) {
	r.walker = &r.dumps
	if r.Dial == nil || buckets < sparseBuckets {
		r.stopAsking()
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

// closeQuestions ends asking after an answer that failed. The next dump uses a new socket.
func (r *Reader) closeQuestions() {
	r.stopAsking()
	r.rest = overrunPolls
	if r.questions != nil {
		_ = r.questions.Close() // nothing is read from it any more
		r.questions = nil
	}
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
	r.hidden = max(0, entries-len(r.known))
	if r.hidden == 0 {
		r.patience = 0
	}
	r.patience = min(max(1, 2*r.patience), maxPatience)
	r.patient = r.patience
	return nil
}

// errNoAnswer means that entries can't be asked for.
var errNoAnswer = errors.New("the kernel doesn't answer")

// askAll asks for all known entries, and for those that begin meanwhile. It returns how many more
// entries the kernel counts in the end than have answered.
func (r *Reader) askAll(fn func(*conntrack.Event)) (left int, err error) {
	living, asked := 0, 0 // known[:living] have answered
	for range maxRounds {
		for asked < len(r.known) {
			n := min(questionBatch, len(r.known)-asked)
			if living, err = r.ask(asked, n, living, fn); err != nil {
				return 0, err
			}
			asked += n
			if err := r.betweenChunks(fn, false); err != nil {
				return 0, err
			}
			if r.begins == nil { // overrun
				return 0, errNoAnswer
			}
		}
		r.known, asked = r.known[:living], living
		entries, err := r.countEntries()
		if err != nil {
			return 0, err
		}
		if left = entries - living; left <= 0 {
			break
		}
		if r.drainBegins(); r.begins == nil {
			return 0, errNoAnswer
		}
		if len(r.known) == living {
			break // nothing explains the difference
		}
	}
	return left, r.betweenChunks(fn, true)
}

// ask asks for known[from:from+n], and moves those that live down to known[living:].
func (r *Reader) ask(
	from, n, living int, fn func(*conntrack.Event),
) (nowLiving int, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := kernel.ThreadCPU()
	defer func() {
		r.Stats.Entries.Add(r.entries)
		r.entries = 0
		r.dumpCPU += kernel.ThreadCPU() - began
	}()
	r.request = r.request[:0]
	for i := range n {
		r.request = r.known[from+i].append(r.request, r.seq+1+uint32(i))
	}
	first := r.seq + 1
	r.seq += uint32(n)
	if err := r.questions.Send(r.request); err != nil {
		return living, errors.Join(errNoAnswer, err)
	}
	r.event.At = r.clock() // all answers are there
	for i := 0; i < n; {
		b, err := receive(r.questions)
		if err != nil {
			return living, errors.Join(errNoAnswer, err)
		}
		for len(b) > 0 {
			m, rest, err := nextMessage(b)
			if err != nil {
				return living, errors.Join(errNoAnswer, err)
			}
			if b = rest; m.seq != first+uint32(i) || i == n { // answers are in order
				return living, fmt.Errorf("%w: message %d", errNoAnswer, m.seq)
			}
			lives, err := r.answer(&m, r.known[from+i], fn)
			if err != nil {
				return living, errors.Join(errNoAnswer, err)
			}
			if lives {
				r.known[living] = r.known[from+i]
				living++
			} else {
				delete(r.set, r.known[from+i])
			}
			i++
		}
	}
	return living, nil
}

// answer reads the answer to q: the entry, which lives, or that there is none.
func (r *Reader) answer(
	m *message, q question, fn func(*conntrack.Event),
) (lives bool, err error) {
	switch m.typ {
	case unix.NLMSG_ERROR:
		if err := m.failure(); !errors.Is(err, unix.ENOENT) {
			return false, fmt.Errorf("%w: %w", errNoAnswer, err)
		}
		return false, nil
	case msgNew:
	default:
		return false, fmt.Errorf("%w: message of type %#x", errNoAnswer, m.typ)
	}
	if !r.decode(m) {
		return true, nil // it lives, and a walk could not show more of it
	}
	if questionOf(&r.event) != q {
		// The entry has ended, and its tuple is now another's in the reply direction.
		r.learn()
		return false, nil
	}
	r.event.Type, r.event.Portid = conntrack.Dump, 0
	r.entries++
	fn(&r.event)
	return true, nil
}

// countEntries returns how many entries of the namespace the kernel holds.
func (r *Reader) countEntries() (int, error) {
	if r.questions == nil {
		s, err := r.Dial(Questions)
		if err != nil {
			return 0, errors.Join(errNoAnswer, err)
		}
		r.questions = s
	}
	r.seq++
	r.request = appendCount(r.request[:0], r.seq)
	if err := r.questions.Send(r.request); err != nil {
		return 0, errors.Join(errNoAnswer, err)
	}
	b, err := receive(r.questions)
	if err != nil {
		return 0, errors.Join(errNoAnswer, err)
	}
	m, _, err := nextMessage(b)
	if err != nil || m.typ != msgStats || m.seq != r.seq {
		return 0, errors.Join(errNoAnswer, err)
	}
	return m.entryCount()
}
