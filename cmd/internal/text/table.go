package text

import (
	"cmp"
	"io"
	"slices"
	"strings"
)

// Column is a column of a Table.
type Column struct {
	Head  string
	Right bool // aligned to the right: numbers
	Least int  // columns of the terminal that it takes at least
	// Flexible: it is cut where lines are too long. All others never are.
	Flexible bool
	// Comfort is what a flexible column keeps as long as there is an optional one to leave
	// out; 0 is 14.
	Comfort int
	// Middle: what is cut is cut in the middle.
	Middle bool
	// Optional columns, above 0, are left out where the flexible ones would become too
	// narrow; those with the largest number first.
	Optional int
}

// Table lays out rows in columns. Make one with its Columns, then Add rows.
type Table struct {
	Columns []Column
	Rows    [][]string
	// Fill makes the flexible columns fill the line, whatever is in them: a page that is
	// refreshed stands still.
	Fill bool
}

// gap separates two columns.
const gap = "  "

// Add adds a row, a value for each column.
func (t *Table) Add(values ...string) { t.Rows = append(t.Rows, values) }

// Lines returns the head and the rows in at most the given number of columns; 0 is as long
// as they are.
func (t *Table) Lines(columns int) []string {
	widths := t.widths(columns)
	head := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		head[i] = c.Head
	}
	lines := make([]string, 0, len(t.Rows)+1)
	lines = append(lines, t.line(head, widths, false))
	for _, row := range t.Rows {
		lines = append(lines, t.line(row, widths, true))
	}
	if columns > 0 {
		for i := range lines {
			lines[i] = Cut(lines[i], columns)
		}
	}
	return lines
}

// Print writes the lines to w.
func (t *Table) Print(w io.Writer, columns int) error {
	_, err := io.WriteString(w, strings.Join(t.Lines(columns), "\n")+"\n")
	return err
}

// Widths that flexible columns keep: before optional ones go, and after that.
const (
	comfortable = 14
	minimum     = 4
)

// widths returns the width of each column; -1 for one that is left out.
func (t *Table) widths(columns int) []int {
	widths := t.natural()
	for columns > 0 {
		last := t.leastNeeded(widths)
		if last < 0 {
			return t.grow(t.shrink(widths, columns, func(Column) int { return minimum }), columns)
		}
		tried := t.shrink(slices.Clone(widths), columns, func(c Column) int {
			return cmp.Or(c.Comfort, comfortable)
		})
		if total(tried) <= columns {
			return t.grow(tried, columns)
		}
		widths[last] = -1
	}
	return widths
}

// leastNeeded returns the optional column that is left out next, or -1 if there is none.
func (t *Table) leastNeeded(widths []int) int {
	last, most := -1, 0
	for i, c := range t.Columns {
		if c.Optional > most && widths[i] >= 0 {
			last, most = i, c.Optional
		}
	}
	return last
}

// natural returns the widths that need no cutting.
func (t *Table) natural() []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = max(Width(c.Head), c.Least)
		if c.Flexible && t.Fill {
			widths[i] = cmp.Or(c.Comfort, comfortable) // its head is cut like its values
			continue
		}
		for _, row := range t.Rows {
			widths[i] = max(widths[i], Width(Clean(row[i])))
		}
	}
	return widths
}

// shrink takes columns from the widest flexible one until the line fits, or until all have
// the least width.
func (t *Table) shrink(widths []int, columns int, least func(Column) int) []int {
	for total(widths) > columns {
		widest := -1
		for i, c := range t.Columns {
			if c.Flexible && widths[i] > least(c) && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// grow gives the rest of the line to the flexible columns, if they are to fill it.
func (t *Table) grow(widths []int, columns int) []int {
	for t.Fill {
		before := total(widths)
		for i, c := range t.Columns {
			if c.Flexible && widths[i] >= 0 && total(widths) < columns {
				widths[i]++
			}
		}
		if total(widths) == before {
			break
		}
	}
	return widths
}

func total(widths []int) int {
	sum := 0
	for _, w := range widths {
		if w >= 0 {
			sum += w + len(gap)
		}
	}
	return sum - len(gap)
}

func (t *Table) line(values []string, widths []int, body bool) string {
	cells := make([]string, 0, len(values))
	for i, value := range values {
		if widths[i] < 0 {
			continue
		}
		if body && t.Columns[i].Middle {
			value = CutMiddle(value, widths[i])
		}
		cells = append(cells, Pad(value, widths[i], t.Columns[i].Right))
	}
	return strings.TrimRight(strings.Join(cells, gap), " ")
}
