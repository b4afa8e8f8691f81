package logging

import (
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap/zapcore"
)

const (
	limitPeriod = time.Minute
	limitBurst  = 5  // lines of one kind in its first period
	maxReasons  = 16 // of one message that are counted separately at a time
)

// limit writes lines of one kind a few times, then once a minute with a count as long as
// they continue. zap's own sampler drops lines without a trace.
func limit(core zapcore.Core) zapcore.Core {
	return &limiter{Core: core, repeats: &repeats{of: map[kind]*repeated{}, reasons: map[kind]int{}}}
}

// limiter is a Core that counts repeated lines.
type limiter struct {
	zapcore.Core
	repeats *repeats
	with    []zapcore.Field // of all its lines
}

// repeats are shared by a logger and those derived from it.
type repeats struct {
	mu      sync.Mutex
	of      map[kind]*repeated
	reasons map[kind]int // reasons in of for each message, whose kind has reason 0
}

// kind identifies lines that repeat each other: by the level, the message and the reason,
// such as a collector, an error or problems. Numbers and durations are not part of it.
type kind struct {
	level   zapcore.Level
	message string
	reason  uint64 // a hash; 0 if there are too many to count them separately
}

func kindOf(e zapcore.Entry, lists ...[]zapcore.Field) kind {
	h := fnv.New64a()
	for _, fields := range lists {
		for i := range fields {
			switch fields[i].Type {
			case zapcore.StringType, zapcore.StringerType, zapcore.ErrorType, zapcore.ArrayMarshalerType:
				text := zapcore.NewMapObjectEncoder()
				fields[i].AddTo(text)
				fmt.Fprint(h, text.Fields, "\n")
			}
		}
	}
	return kind{e.Level, e.Message, h.Sum64()}
}

// repeated are the lines of one kind in one period.
type repeated struct {
	left  int // lines that may be written
	more  int // lines that were counted instead
	last  func(suffix string) error
	timer *time.Timer
}

// With implements zapcore.Core.
func (l *limiter) With(fields []zapcore.Field) zapcore.Core {
	return &limiter{Core: l.Core.With(fields), repeats: l.repeats, with: slices.Concat(l.with, fields)}
}

// Check implements zapcore.Core.
func (l *limiter) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if l.Enabled(e.Level) {
		return ce.AddCore(e, l)
	}
	return ce
}

// Write implements zapcore.Core.
func (l *limiter) Write(e zapcore.Entry, fields []zapcore.Field) error {
	if l.repeats.allow(kindOf(e, l.with, fields), func(suffix string) error {
		e.Message += suffix
		return l.Core.Write(e, fields)
	}) {
		return l.Core.Write(e, fields)
	}
	return nil
}

// Sync implements zapcore.Core. It writes the counts so far.
func (l *limiter) Sync() error {
	return errors.Join(l.repeats.flush(), l.Core.Sync())
}

// allow reports whether to write a line. Otherwise it counts the line, and stores last, which
// writes it with a suffix.
func (s *repeats) allow(k kind, last func(suffix string) error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := kind{level: k.level, message: k.message}
	if s.of[k] == nil && s.reasons[all] >= maxReasons {
		k = all
	}
	r := s.of[k]
	if r == nil {
		if k != all {
			s.reasons[all]++
		}
		r = &repeated{left: limitBurst}
		r.timer = time.AfterFunc(limitPeriod, func() { s.period(k) })
		s.of[k] = r
	}
	if r.left > 0 {
		r.left--
		return true
	}
	r.more++
	r.last = last
	return false
}

// period ends a period: it writes the count and begins the next, or forgets the kind if
// the count is 0.
func (s *repeats) period(k kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of[k]
	if r.more == 0 {
		s.forget(k)
		return
	}
	_ = r.writeCount() // zap ignores a log that can't be written, too
	r.left = 0
	r.timer.Reset(limitPeriod)
}

func (s *repeats) forget(k kind) {
	delete(s.of, k)
	if k.reason == 0 {
		return
	}
	all := kind{level: k.level, message: k.message}
	if s.reasons[all]--; s.reasons[all] == 0 {
		delete(s.reasons, all)
	}
}

func (s *repeats) flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, r := range s.of {
		if r.more > 0 {
			errs = append(errs, r.writeCount())
		}
	}
	return errors.Join(errs...)
}

func (r *repeated) writeCount() error {
	err := r.last(fmt.Sprintf(" (and %d more in the last minute)", r.more))
	r.more, r.last = 0, nil
	return err
}
