package ctnetlink

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/conntally/conntally/conntrack"
	"github.com/conntally/conntally/conntrack/kernel"
)

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

// closeQuestions ends asking after an answer that failed. The next dump uses a new socket.
func (r *Reader) closeQuestions() {
	r.StopAsking()
	r.rest = overrunPolls
	if r.questions != nil {
		_ = r.questions.Close() // nothing is read from it any more
		r.questions = nil
	}
}
