package check

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Columns of a terminal. A command stands below the text, as far left as may be,
// so that nearly all fit on a line.
const (
	width       = 80
	textColumn  = 17
	fixColumn   = 6
	fixLabel    = "fix: "
	statusWidth = 4
	nameWidth   = 9
)

// Print prints results for people, in lines of at most 80 columns.
func Print(w io.Writer, results []Result, colour bool) {
	for _, r := range results {
		status := fmt.Sprintf("%-*s", statusWidth, r.Status)
		if colour {
			status = style(r.Status) + status + unstyled
		}
		indent := strings.Repeat(" ", textColumn)
		text := strings.Join(wrap(r.Text, width-textColumn), "\n"+indent)
		fmt.Fprintf(w, "%s  %-*s  %s\n", status, nameWidth, r.Name, text)
		if r.Fix != "" {
			fmt.Fprintf(w, "%*s%s%s\n", fixColumn, "", fixLabel, fold(r.Fix))
		}
	}
	fmt.Fprintln(w, summary(results))
}

func summary(results []Result) string {
	fails, warns := Count(results, Fail), Count(results, Warn)
	switch {
	case fails > 0 && warns > 0:
		return "Not ready: " + plural(fails, "failure") + ", " + plural(warns, "warning")
	case fails > 0:
		return "Not ready: " + plural(fails, "failure")
	case warns > 0:
		return "Ready (" + plural(warns, "warning") + ")"
	}
	return "Ready"
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

// style returns what begins a status's colour on a terminal (ECMA-48 SGR).
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

// wrap breaks text into lines of at most most characters: between words, and where
// one is longer than a line, in it. What a terminal would obey is not let through.
func wrap(text string, most int) (lines []string) {
	line := []rune{}
	for _, word := range strings.Fields(strings.Map(harmless, text)) {
		w := []rune(word)
		if len(line) > 0 && len(line)+1+len(w) <= most {
			line = append(append(line, ' '), w...)
			continue
		}
		if len(line) > 0 {
			lines = append(lines, string(line))
		}
		for ; len(w) > most; w = w[most:] {
			lines = append(lines, string(w[:most]))
		}
		line = w
	}
	return append(lines, string(line))
}

// harmless keeps what takes one column; a program may have any name.
func harmless(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case r < ' ' || r > '~':
		return '?'
	}
	return r
}

// fold breaks a command that is longer than a line as sh(1) lets it be broken,
// outside of single quotes: the next line continues it in the first column.
func fold(command string) string {
	var b strings.Builder
	for room := width - fixColumn - len(fixLabel); len(command) > room; room = width {
		b.WriteString(command[:room-1] + "\\\n")
		command = command[room-1:]
	}
	return b.String() + command
}
