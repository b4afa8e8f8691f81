package top

import (
	"slices"
	"time"
)

// page is a view, and the reader's place in it. Enter puts another page on top of it.
type page struct {
	view     View
	sort     Sort
	filter   Filter
	title    string // what Enter opened; "" at the bottom
	selected string // Row.Key; "" as long as the first row is
	index    int    // of the selected row
	first    int    // the first row that is visible
}

// Screen is the state of the page: what it shows, and what a key does. Make one with
// NewScreen.
type Screen struct {
	pages  []page // the last one is visible
	help   bool
	sample *Sample // nil: not yet
	rates  *Rates
	err    error // of the last request
	limit  int   // of rows; 0 is none
	room   int   // for rows, when they were last rendered
}

// NewScreen returns a screen with a view. limit bounds the number of its rows; 0 doesn't.
func NewScreen(view View, s Sort, limit int) *Screen {
	return &Screen{pages: []page{{view: view, sort: s}}, rates: &Rates{}, limit: limit, room: 1}
}

func (s *Screen) page() *page { return &s.pages[len(s.pages)-1] }

// Device returns the device whose flows the screen needs; "" is all.
func (s *Screen) Device() string { return s.page().filter.Device }

// Take shows another sample, unless the page that it is for was left meanwhile.
func (s *Screen) Take(now *Sample) {
	if s.err = nil; now.Asked != s.Device() {
		return
	}
	s.rates = Measure(s.sample, now, s.rates)
	s.sample = now
}

// Fail shows why there is no other sample.
func (s *Screen) Fail(err error) { s.err = err }

// rows returns the rows of the visible page, and moves the selection along with its row.
func (s *Screen) rows() []Row {
	if s.sample == nil {
		return nil
	}
	p := s.page()
	rows := Rows(s.sample, s.rates, p.view, p.filter, p.sort)
	if s.limit > 0 {
		rows = rows[:min(len(rows), s.limit)]
	}
	if p.selected != "" {
		if i := slices.IndexFunc(rows, func(r Row) bool { return r.Key == p.selected }); i >= 0 {
			p.index = i
		}
	}
	p.index = max(0, min(p.index, len(rows)-1))
	return rows
}

// Key handles a key. quit reports whether the program is to end, ask whether other flows are
// needed now.
func (s *Screen) Key(k Key) (quit, ask bool) {
	device := s.Device()
	switch {
	case k == 'q' || k == KeyInterrupt || k == KeyEndOfFile:
		return true, false
	case s.help: // any key closes it
		s.help = false
	case k == '?' || k == 'h':
		s.help = true
	default:
		s.navigate(k)
	}
	return false, s.Device() != device
}

func (s *Screen) navigate(k Key) {
	switch k {
	case 'd':
		s.pages = []page{{view: Devices, sort: s.page().sort}}
	case 't', 'o':
		s.show(Destinations)
	case 'c':
		s.show(Connections)
	case 'p':
		s.show(Ports)
	case 's':
		s.page().sort = ByTotal
	case 'u':
		s.page().sort = ByUp
	case 'n':
		s.page().sort = ByDown
	case 'm':
		s.page().sort = ByConnections
	case KeyEnter, KeyRight:
		s.open()
	case KeyEscape, KeyBackspace, KeyLeft:
		if len(s.pages) > 1 {
			s.pages = s.pages[:len(s.pages)-1]
		}
	default:
		s.move(k)
	}
}

// show shows another view of the same connections.
func (s *Screen) show(view View) {
	p := s.page()
	s.pages[len(s.pages)-1] = page{view: view, sort: p.sort, filter: p.filter, title: p.title}
}

// open opens the selected row: a device's destinations, or the connections of a destination
// or a port.
func (s *Screen) open() {
	rows, p := s.rows(), s.page()
	if len(rows) == 0 || p.view == Connections {
		return
	}
	row := &rows[p.index]
	next := page{view: Connections, sort: p.sort, filter: p.filter, title: row.Name}
	switch p.view {
	case Devices:
		next.view, next.filter.Device = Destinations, row.Device
	case Destinations:
		next.filter.Destination = row.Key
	case Ports:
		next.filter.Port = row.Key
	}
	p.selected = row.Key
	s.pages = append(s.pages, next)
}

// move moves the selection.
func (s *Screen) move(k Key) {
	rows, p := s.rows(), s.page()
	to := p.index
	switch k {
	case KeyUp, 'k':
		to--
	case KeyDown, 'j':
		to++
	case KeyPageUp:
		to -= s.room
	case KeyPageDown, ' ':
		to += s.room
	case KeyHome, 'g':
		to = 0
	case KeyEnd, 'G':
		to = len(rows) - 1
	default:
		return
	}
	if len(rows) == 0 {
		return
	}
	p.index, p.selected = max(0, min(to, len(rows)-1)), ""
	if p.index > 0 { // at the top, the selection is the first row, whichever that is
		p.selected = rows[p.index].Key
	}
}

// clock formats the time of day.
func clock(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("15:04:05")
}
