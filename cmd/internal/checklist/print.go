package checklist

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/conntally/conntally/cmd/internal/text"
)

// Columns of a terminal. A command is printed below the text with little indentation, so
// that nearly all commands fit on one line.
const (
	width       = 80
	textColumn  = 17
	fixColumn   = 6
	fixLabel    = "fix: "
	statusWidth = 4
	nameWidth   = 9
)

// Print prints results as text, in lines of at most 80 columns.
func Print(w io.Writer, results []Result, colour bool) {
	for _, r := range results {
		status := fmt.Sprintf("%-*s", statusWidth, r.Status)
		if colour {
			status = style(r.Status) + status + unstyled
		}
		indent := strings.Repeat(" ", textColumn)
		lines := strings.Join(text.Wrap(strings.Map(harmless, r.Text), width-textColumn),
			"\n"+indent)
		fmt.Fprintf(w, "%s  %-*s  %s\n", status, nameWidth, r.Name, lines)
		if r.Fix != "" {
			fmt.Fprintf(w, "%*s%s%s\n", fixColumn, "", fixLabel, fold(r.Fix))
		}
	}
	fmt.Fprintln(w, summary(results))
}

// summary returns the verdict. It claims nothing of what was not checked.
func summary(results []Result) string {
	var unchecked []string
	for i := range results {
		unchecked = append(unchecked, results[i].Unchecked...)
	}
	if len(unchecked) == 0 {
		return verdict(results, "Ready")
	}
	return "Not checked: " + strings.Join(unchecked, ", ") + "\n" +
		verdict(results, "The rest is ready")
}

func verdict(results []Result, ready string) string {
	fails, warns := Count(results, Fail), Count(results, Warn)
	switch {
	case fails > 0 && warns > 0:
		return "Not ready: " + plural(fails, "failure") + ", " + plural(warns, "warning")
	case fails > 0:
		return "Not ready: " + plural(fails, "failure")
	case warns > 0:
		return ready + " (" + plural(warns, "warning") + ")"
	}
	return ready
}

func plural(n int, of string) string {
	if n != 1 {
		of += "s"
	}
	return fmt.Sprintf("%d %s", n, of)
}

// PrintJSON prints results as one array of objects.
func PrintJSON(w io.Writer, results []Result) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(results)
}

// style returns the sequence that starts the colour of a status (ECMA-48 SGR).
func style(s Status) string {
	switch s {
	case OK:
		return "\x1b[32m"
	case Warn:
		return "\x1b[33m"
	}
	return "\x1b[31m"
}

const unstyled = "\x1b[0m"

// harmless replaces all but printable ASCII: a program may have any name.
func harmless(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case r < ' ' || r > '~':
		return '?'
	}
	return r
}

// fold breaks a command that is longer than a line with backslashes, as sh(1) allows
// outside of single quotes. The next line continues in the first column.
func fold(command string) string {
	var b strings.Builder
	for room := width - fixColumn - len(fixLabel); len(command) > room; room = width {
		b.WriteString(command[:room-1] + "\\\n")
		command = command[room-1:]
	}
	return b.String() + command
}
