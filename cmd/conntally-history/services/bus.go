package services

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"

	"github.com/conntally/conntally/cmd/conntally-history/usage"
)

// Bus asks systemd by D-Bus. The zero Bus asks the system's.
type Bus struct {
	dial func(context.Context) (*systemd.Conn, error) // nil: the system bus
}

// noData is a counter of a unit that has none.
const noData = math.MaxUint64

// Units reads counters, as Manager says. It connects each time: a connection that stayed would
// be woken by each job of systemd.
func (b Bus) Units(ctx context.Context, known func(string) bool) ([]Reading, error) {
	dial := b.dial
	if dial == nil {
		dial = systemd.NewSystemConnectionContext
	}
	conn, err := dial(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect to systemd: %w", err)
	}
	defer conn.Close()
	units, err := conn.ListUnitsByPatternsContext(ctx, nil,
		[]string{"*.service", "*.socket", "*.mount", "*.swap", "*.scope"})
	if err != nil {
		return nil, fmt.Errorf("list units: %w", err)
	}
	var readings []Reading
	for i := range units {
		u := &units[i]
		stopped := u.ActiveState == "inactive" || u.ActiveState == "failed"
		if stopped && !known(u.Name) {
			continue
		}
		r, ok, err := readUnit(ctx, conn, u.Name)
		if err != nil {
			return readings, fmt.Errorf("read counters of %s: %w", u.Name, err)
		}
		if ok {
			readings = append(readings, r)
		}
	}
	return readings, nil
}

// readUnit reads one unit's counters; ok is false if it has none.
func readUnit(ctx context.Context, conn *systemd.Conn, unit string) (r Reading, ok bool, err error) {
	kind, counted := interfaceOf(unit)
	if !counted {
		return Reading{}, false, nil
	}
	p := properties{ctx: ctx, conn: conn, unit: unit, kind: kind}
	if accounting, _ := p.get("IPAccounting").(bool); !accounting {
		return Reading{}, false, p.failure()
	}
	// Counters of two invocations would be mixed if the unit were restarted meanwhile.
	before := p.invocation()
	moved := usage.Counters{
		UpBytes: p.counter("IPEgressBytes"), DownBytes: p.counter("IPIngressBytes"),
		UpPackets: p.counter("IPEgressPackets"), DownPackets: p.counter("IPIngressPackets"),
	}
	if p.err != nil || p.empty || before == "" || p.invocation() != before {
		return Reading{}, false, p.failure() // the next round reads the new one
	}
	return Reading{Unit: unit, Invocation: before, Moved: moved}, true, nil
}

// properties reads a unit's properties until one can't be read.
type properties struct {
	ctx        context.Context
	conn       *systemd.Conn
	unit, kind string
	err        error
	empty      bool // a counter had no data
}

// get returns the value of a property of the unit's kind; nil: there is none.
func (p *properties) get(name string) any {
	if p.err != nil {
		return nil
	}
	property, err := p.conn.GetUnitTypePropertyContext(p.ctx, p.unit, p.kind, name)
	if err != nil {
		p.err = err
		return nil
	}
	return property.Value.Value()
}

func (p *properties) counter(name string) uint64 {
	n, ok := p.get(name).(uint64)
	if !ok || n == noData {
		p.empty = true
	}
	return n
}

func (p *properties) invocation() string {
	if p.err != nil {
		return ""
	}
	property, err := p.conn.GetUnitPropertyContext(p.ctx, p.unit, "InvocationID")
	if err != nil {
		p.err = err
		return ""
	}
	id, _ := property.Value.Value().([]byte)
	return hex.EncodeToString(id)
}

// failure returns what ends the reading of all units: not that one has gone.
func (p *properties) failure() error {
	var answer dbus.Error
	if errors.As(p.err, &answer) && answer.Name != "org.freedesktop.DBus.Error.AccessDenied" {
		return nil
	}
	return p.err
}
