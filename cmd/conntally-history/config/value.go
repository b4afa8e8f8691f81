package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Duration is a time.Duration from 1 s to 100 years, also in days, as "60d".
type Duration time.Duration

const maxDays = 36500

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(b []byte) error {
	var v time.Duration
	var err error
	if text, inDays := strings.CutSuffix(string(b), "d"); inDays {
		var n uint64
		n, err = strconv.ParseUint(text, 10, 16)
		v = time.Duration(min(n, maxDays+1)) * day
	} else {
		v, err = time.ParseDuration(string(b))
	}
	if err != nil || v < time.Second || v > maxDays*day {
		return errors.New(`want a duration from 1s to 36500d, such as "5m" or "60d"`)
	}
	*d = Duration(v)
	return nil
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// String returns whole days as 60d, else as time.Duration does.
func (d Duration) String() string {
	if v := time.Duration(d); v != 0 && v%day == 0 {
		return strconv.FormatInt(int64(v/day), 10) + "d"
	}
	return time.Duration(d).String()
}

// Size is a number of bytes, up to 8191 PiB; 0 is none.
type Size int64

// units are by 1024 as memory is sold, and by 1000 as traffic is sold.
func units() []struct {
	name  string
	bytes uint64
} {
	return []struct {
		name  string
		bytes uint64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	}
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*s = 0
		return nil
	}
	text, factor := string(b), uint64(1)
	for _, u := range units() {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			text, factor = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n == 0 || n > (1<<63-1)/factor {
		return errors.New(`want a size, such as "512MiB" or "100GB"`)
	}
	*s = Size(n * factor)
	return nil
}
