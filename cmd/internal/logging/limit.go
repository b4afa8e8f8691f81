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
	limitBurst  = 5  // lines of one message in its first period
	maxReasons  = 16 // of one message that are counted apart at a time
)

// limit lets a message with one reason through a few times, then once a minute, with a count, for as
// long as it goes on. zap's own sampler drops without saying so.
func limit(core zapcore.Core) zapcore.Core {
	return &limiter{Core: core, repeats: &repeats{of: map[kind]*repeated{}, reasons: map[kind]int{}}}
}

// limiter is a Core that counts what repeats itself.
type limiter struct {
	zapcore.Core
	repeats *repeats
	with    []zapcore.Field // of all its lines
}

// repeats are shared by a logger and those made of it.
type repeats struct {
	mu      sync.Mutex
	of      map[kind]*repeated
	reasons map[kind]int // so many of a message, whose kind has none
}

// kind is what makes two lines the same: the message and its reason, such as a collector, an
// error or problems. What is only counted or measured is no reason.
type kind struct {
	level   zapcore.Level
	message string
	reason  uint64 // a hash, or 0 where there are too many to count them apart
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

// repeated is a message in one period.
type repeated struct {
	left  int // to let through
	more  int // that were not
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
	if l.repeats.admit(kindOf(e, l.with, fields), func(suffix string) error {
		e.Message += suffix
		return l.Core.Write(e, fields)
	}) {
		return l.Core.Write(e, fields)
	}
	return nil
}

// Sync implements zapcore.Core. It writes what was counted so far.
func (l *limiter) Sync() error {
	return errors.Join(l.repeats.flush(), l.Core.Sync())
}

// admit tells whether to write a line, else keeps last for the line with the count.
func (s *repeats) admit(k kind, last func(suffix string) error) bool {
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

// period ends one: the next begins with its count, or the message is forgotten.
func (s *repeats) period(k kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.of[k]
	if r.more == 0 {
		s.forget(k)
		return
	}
	_ = r.tell() // as zap does with a log that can't be written
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
			errs = append(errs, r.tell())
		}
	}
	return errors.Join(errs...)
}

func (r *repeated) tell() error {
	err := r.last(fmt.Sprintf(" (and %d more in the last minute)", r.more))
	r.more, r.last = 0, nil
	return err
}
