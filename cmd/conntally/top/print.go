package top

import (
	"bytes"
	"io"
	"math"

	"github.com/conntally/conntally/cmd/conntally/control"
)

// print prints one refresh, in one write.
func (o *Options) print(out io.Writer, now *Sample, r *Rates, width int) error {
	rows := Rows(now, r, o.View, Filter{}, o.Sort)
	limit := o.Rows
	if limit == 0 && !o.JSON {
		limit = defaultRows
	}
	var b bytes.Buffer
	if o.JSON {
		if err := control.Encode(&b, o.object(now, r, cut(rows, limit))); err != nil {
			return err
		}
	} else {
		o.plain(&b, now, rows, limit, width)
	}
	_, err := out.Write(b.Bytes())
	return err
}

func cut(rows []Row, limit int) []Row {
	if limit > 0 {
		return rows[:min(len(rows), limit)]
	}
	return rows
}

// plain writes a table, and an empty line where another one follows.
func (o *Options) plain(b *bytes.Buffer, now *Sample, rows []Row, limit, width int) {
	shown := cut(rows, limit)
	t := table(o.View, shown, namesOf(now.Devices), false, true)
	t.Fill = false
	_ = t.Print(b, width) // a bytes.Buffer takes it
	if left := len(rows) - len(shown); left > 0 {
		b.WriteString(more(left) + "\n")
	}
	if now.Flows.Omitted > 0 && o.View != Devices {
		b.WriteString(omitted(now.Flows.Omitted) + "\n")
	}
	if !o.Once {
		b.WriteString("\n")
	}
}

// jsonTop is a refresh as `top --json` prints it.
type jsonTop struct {
	Interval float64   `json:"interval_seconds"`
	Omitted  int       `json:"omitted,omitempty"` // connections that the rows lack
	Rows     []jsonRow `json:"rows"`
}

// jsonRow is a row. Which of the first keys it has depends on the view.
type jsonRow struct {
	Connection  *string `json:"connection,omitempty"`
	Destination *string `json:"destination,omitempty"`
	Port        *string `json:"port,omitempty"`
	Device      *string `json:"device,omitempty"`
	Name        *string `json:"name,omitempty"`
	Up          float64 `json:"up_bits_per_second"`
	Down        float64 `json:"down_bits_per_second"`
	Connections int     `json:"connections"`
}

func (o *Options) object(now *Sample, r *Rates, rows []Row) jsonTop {
	top := jsonTop{Interval: r.Interval.Seconds(), Rows: []jsonRow{}}
	if o.View != Devices {
		top.Omitted = now.Flows.Omitted
	}
	for i := range rows {
		row := &rows[i]
		j := jsonRow{Up: math.Round(row.Up), Down: math.Round(row.Down),
			Connections: row.Connections}
		switch o.View {
		case Devices:
			j.Device, j.Name = &row.Device, &row.DeviceName
		case Connections:
			j.Connection, j.Device, j.Name = &row.Name, &row.Device, &row.DeviceName
		case Destinations:
			j.Destination = &row.Key
			if row.Name != row.Key {
				j.Name = &row.Name
			}
		case Ports:
			j.Port = &row.Key
		}
		top.Rows = append(top.Rows, j)
	}
	return top
}
