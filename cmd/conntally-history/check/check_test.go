package check

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/conntally/conntally/cmd/conntally-history/condition"
	"github.com/conntally/conntally/cmd/conntally-history/store"
	"github.com/conntally/conntally/cmd/internal/checklist"
	shared "github.com/conntally/conntally/cmd/internal/condition"
)

// good is a service that runs, and lacks nothing.
func good() *State {
	return &State{
		Database: Database{
			Path: "/h.db", Max: 512 << 20, Free: 600 << 20,
			Extent: store.Extent{Size: 12e6, First: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)},
		},
		Receive: Listener{Address: "127.0.0.1:2056", Err: syscall.EADDRINUSE},
		Page:    Listener{Address: "127.0.0.1:9470", Err: syscall.EADDRINUSE},
		Units:   Units{Enabled: true, Names: []string{"nginx.service", "ssh.service"}},
	}
}

func TestResultsOfAServiceThatLacksNothing(t *testing.T) {
	for _, r := range Results(good()) {
		if r.Status != checklist.OK || r.Fix != "" {
			t.Errorf("%+v", r)
		}
	}
}

func TestResults(t *testing.T) {
	many := make([]string, 21)
	for i := range many {
		many[i] = fmt.Sprintf("a%02d.service", i)
	}
	for _, c := range []struct {
		change func(*State)
		name   string
		status checklist.Status
		text   string
	}{
		{func(*State) {}, "database", checklist.OK, "/h.db has 12.0 MB of at most 537 MB, since 2026-01-02"},
		{func(s *State) { s.Database.Err = fs.ErrNotExist }, "database", checklist.OK, "is made when"},
		{func(s *State) { s.Database.Err = fs.ErrPermission }, "database", checklist.Warn, "use sudo"},
		{func(s *State) { s.Database.Err = errors.New("/h.db: not a database") }, "database", checklist.Fail,
			"/h.db: not a database"},
		{func(s *State) { s.Database.Free = 1e6 }, "database", checklist.Warn, "has room for 1.0 MB"},
		{func(s *State) { s.Database.Free = -1 }, "database", checklist.OK, "12.0 MB"},

		{func(*State) {}, "collector", checklist.OK, "records are received at 127.0.0.1:2056"},
		{func(s *State) { s.Receive.Err = nil }, "collector", checklist.Warn,
			"the service that runs has another address"},
		{func(s *State) { s.Receive.Err, s.Service.Err = nil, syscall.ECONNREFUSED }, "collector",
			checklist.OK, "once the service runs"},
		{func(s *State) { s.Service.Err = syscall.ECONNREFUSED }, "collector", checklist.Warn,
			"a program uses 127.0.0.1:2056 already"},
		{func(s *State) { s.Receive.Err = syscall.EADDRNOTAVAIL }, "collector", checklist.Fail,
			"nothing can listen on 127.0.0.1:2056: cannot assign"},

		{func(*State) {}, "page", checklist.OK, "the page is at 127.0.0.1:9470"},
		{func(s *State) { s.Access = errors.New("password_file is empty") }, "page", checklist.Fail,
			"password_file is empty"},

		{func(*State) {}, "service", checklist.OK, "nothing is wrong"},
		{func(s *State) { s.Service.Err = syscall.ECONNREFUSED }, "service", checklist.Warn,
			"it doesn't run"},
		{func(s *State) { s.Service.Locked = true }, "service", checklist.Warn, "has a password"},
		{func(s *State) { s.Service.Locked = true }, "collector", checklist.OK, "received at"},
		{func(s *State) { s.Service.Err = errors.New("another program answers") }, "service",
			checklist.Warn, "it can't be asked: another program answers"},
		{func(s *State) { s.Service.Conditions = []shared.ID{condition.WriteFailed} }, "service",
			checklist.Fail, "kept in memory"},
		{func(s *State) { s.Service.Conditions = []shared.ID{condition.DevicesFull} }, "service",
			checklist.Warn, "increase max"},

		{func(*State) {}, "services", checklist.OK,
			"2 active units have IPAccounting: nginx.service, ssh.service"},
		{func(s *State) { s.Units.Names = s.Units.Names[:1] }, "services", checklist.OK,
			"1 active unit has IPAccounting: nginx.service"},
		{func(s *State) { s.Units.Names = many }, "services", checklist.OK, "a19.service, and others"},
		{func(s *State) { s.Units.Names = nil }, "services", checklist.Warn, "systemctl edit UNIT"},
		{func(s *State) { s.Units.Err = errors.New("no bus") }, "services", checklist.Warn, "no bus"},
		{func(s *State) { s.Units.Enabled = false }, "services", checklist.OK,
			"not counted ([services] enable); 2 active units"},
		{func(s *State) { s.Units = Units{Err: errors.New("no bus")} }, "services", checklist.OK,
			"not counted ([services] enable)"},
	} {
		s := good()
		c.change(s)
		found := false
		for _, r := range Results(s) {
			if r.Name == c.name {
				found = true
				if r.Status != c.status || !strings.Contains(r.Text, c.text) {
					t.Errorf("got %s %s, want %s %q", r.Status, r.Text, c.status, c.text)
				}
			}
		}
		if !found {
			t.Errorf("no result %s", c.name)
		}
	}
}

// TestDatabaseOfTheServiceIsNotChecked: by who may not read it, and the verdict says so.
func TestDatabaseOfTheServiceIsNotChecked(t *testing.T) {
	for _, err := range []error{nil, fs.ErrNotExist, fs.ErrPermission} {
		s := good()
		s.Database.Err = err
		var out strings.Builder
		checklist.Print(&out, Results(s), false)
		incomplete := strings.HasSuffix(out.String(),
			"\nNot checked: database\nThe rest is ready (1 warning)\n")
		if incomplete != errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v:\n%s", err, &out)
		}
	}
}

// TestEachConditionIsAResult: whatever the service's metrics say holds is shown.
func TestEachConditionIsAResult(t *testing.T) {
	s := good()
	for _, d := range condition.Definitions() {
		s.Service.Conditions = append(s.Service.Conditions, d.ID)
	}
	shown := map[shared.ID]bool{}
	for _, r := range Results(s) {
		shown[r.Condition] = true
	}
	for _, d := range condition.Definitions() {
		if !shown[d.ID] {
			t.Errorf("%s is not shown", d.ID)
		}
	}
}
