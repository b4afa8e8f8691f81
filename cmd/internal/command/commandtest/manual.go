package commandtest

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// manual is a page of section 1 in man(7).
func (d *Documents) manual(all []Described) string {
	var b strings.Builder
	fmt.Fprintf(&b, `.\" %s%s`, d.made(), d.Head)
	for i, c := range all {
		if i > 0 {
			fmt.Fprintln(&b, ".br")
		}
		fmt.Fprintf(&b, "%s %s\n", bold(d.Program.Name+" "+c.Name), roff(c.Arguments))
	}
	fmt.Fprint(&b, d.About)
	for _, c := range all {
		fmt.Fprintf(&b, ".SS %s %s\n%s\n", roff(d.Program.Name), roff(c.Name),
			filled(sentence(c.About)))
		if len(c.Values) > 0 && c.Name != "help" {
			fmt.Fprintf(&b, "%s is %s.\n", roff(strings.Fields(c.Arguments)[0]),
				roff(strings.Join(c.Values, ", ")))
		}
		for _, f := range c.Flags {
			value := f.Value
			if words := d.Choices[f.Name]; words != nil {
				value = strings.Join(words, "|")
			}
			fmt.Fprintf(&b, ".TP\n%s %s\n%s\n", bold(f.Name), italic(value), filled(f.Usage))
		}
	}
	fmt.Fprint(&b, d.Tail)
	return strings.NewReplacer(" \\fI\\fR\n", "\n", " \n", "\n").Replace(b.String())
}

// checkExamples reports commands of which the page has no example.
func (d *Documents) checkExamples(t *testing.T, all []Described) {
	t.Helper()
	for _, c := range all {
		example := regexp.MustCompile(`^(sudo )?` + d.Program.Name + " " + c.Name + `\b`)
		if !slices.ContainsFunc(d.examples(), example.MatchString) {
			t.Errorf("the manual page of %s has no example of %s", d.Program.Name, c.Name)
		}
	}
}

func bold(s string) string   { return `\fB` + roff(s) + `\fR` }
func italic(s string) string { return `\fI` + roff(s) + `\fR` }

// roff escapes text so that it is printed literally.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// filled escapes text and breaks it into lines, which the formatter joins.
func filled(s string) string {
	const width = 78
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(s) {
		word = roff(word)
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines, line = append(lines, line), word
		default:
			line += " " + word
		}
	}
	return strings.Join(append(lines, line), "\n")
}

func sentence(s string) string {
	if !strings.HasSuffix(s, "?") && !strings.HasSuffix(s, ".") {
		s += "."
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
