package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/conntally/conntally/cmd/conntally/top"
)

// choices are the words that complete a value; other values are free text.
var choices = map[string][]string{
	"--protocol":  {"ipfix", "netflow9"},
	"--nat":       {"endpoints", "wire"},
	"--log-level": {"debug", "info", "warn", "error"},
	"--by":        top.Views(),
	"--sort":      top.Sorts(),
}

func (f *describedFlag) isFile() bool  { return f.value == "FILE" }
func (f *describedFlag) repeats() bool { return strings.Contains(f.usage, "may be repeated") }
func (d *described) words() []string {
	return each(d.flags, func(f describedFlag) string { return f.name })
}
func names(all []described) []string {
	return each(all, func(d described) string { return d.name })
}
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

const made = "Made by go generate ./cmd/conntally from what --help says.\n"

// bashCompletion is what bash-completion loads.
func bashCompletion(all []described) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n_conntally() {\n\tlocal words= value=\n", made)
	fmt.Fprint(&b, "\t[ \"$COMP_CWORD\" -gt 1 ] && value=${COMP_WORDS[COMP_CWORD - 1]}\n"+
		"\tcase $value in\n")
	var free []string
	for _, f := range valued(all) {
		switch {
		case f.isFile():
			fmt.Fprintf(&b, "\t%s)\n\t\tcompopt -o default\n\t\treturn\n\t\t;;\n", f.name)
		case choices[f.name] != nil:
			fmt.Fprintf(&b, "\t%s) words=%s ;;\n", f.name,
				quoted(strings.Join(choices[f.name], " ")))
		default:
			free = append(free, f.name)
		}
	}
	fmt.Fprintf(&b, "\t%s) ;;\n", strings.Join(free, " | "))
	fmt.Fprintf(&b, "\t*)\n\t\tcase $COMP_CWORD,${COMP_WORDS[1]} in\n\t\t1,*) words=%s ;;\n",
		quoted(strings.Join(names(all), " ")))
	for _, d := range all {
		fmt.Fprintf(&b, "\t\t*,%s) words=%s ;;\n", d.name, quoted(strings.Join(d.words(), " ")))
	}
	fmt.Fprint(&b,
		"\t\tesac\n\t\t;;\n\tesac\n"+
			"\tCOMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n")
	fmt.Fprint(&b, "complete -F _conntally conntally\n")
	return b.String()
}

// valued returns the flags with a value, each name once.
func valued(all []described) (flags []describedFlag) {
	for _, d := range all {
		for _, f := range d.flags {
			if f.value != "" && !slices.ContainsFunc(flags,
				func(g describedFlag) bool { return g.name == f.name }) {
				flags = append(flags, f)
			}
		}
	}
	return flags
}

// zshCompletion is a file of $fpath, of the name _conntally.
func zshCompletion(all []described) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef conntally\n# %s\nlocal -a commands=(\n", made)
	for _, d := range all {
		fmt.Fprintf(&b, "\t%s\n", quoted(d.name+":"+d.about))
	}
	fmt.Fprint(&b, ")\nif (( CURRENT == 2 )); then\n\t_describe command commands\n\treturn\nfi\n")
	fmt.Fprint(&b, "shift words\n(( CURRENT-- ))\ncase $words[1] in\n")
	for _, d := range all {
		fmt.Fprintf(&b, "%s)\n\t_arguments", d.name)
		for _, f := range d.flags {
			fmt.Fprintf(&b, " \\\n\t\t%s", quoted(f.zsh()))
		}
		fmt.Fprint(&b, "\n\t;;\n")
	}
	fmt.Fprint(&b, "esac\n")
	return b.String()
}

// zsh is an argument of _arguments.
func (f *describedFlag) zsh() string {
	escape := strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`)
	spec := f.name + "[" + escape.Replace(f.usage) + "]"
	if f.repeats() {
		spec = "*" + spec
	}
	switch {
	case f.value == "":
		return spec
	case f.isFile():
		return spec + ":" + f.value + ":_files"
	}
	return fmt.Sprintf("%s:%s:(%s)", spec, escape.Replace(f.value),
		strings.Join(choices[f.name], " "))
}

// fishCompletion is a file of vendor_completions.d.
func fishCompletion(all []described) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\ncomplete -c conntally -f\n", made)
	for _, d := range all {
		fmt.Fprintf(&b, "complete -c conntally -n __fish_use_subcommand -a %s -d %s\n", d.name,
			quoted(d.about))
	}
	for _, d := range all {
		for _, f := range d.flags {
			kind := ""
			switch {
			case f.isFile():
				kind = " -rF"
			case choices[f.name] != nil:
				kind = " -xa " + quoted(strings.Join(choices[f.name], " "))
			case f.value != "":
				kind = " -x"
			}
			fmt.Fprintf(&b,
				"complete -c conntally -n '__fish_seen_subcommand_from %s' -l %s%s -d %s\n",
				d.name, strings.TrimPrefix(f.name, "--"), kind, quoted(f.usage))
		}
	}
	return b.String()
}

// TestCompletedValuesAreValid: each value that completion offers is accepted, and no other.
func TestCompletedValuesAreValid(t *testing.T) {
	for _, f := range valued(describeAll(t)) {
		words, chosen := choices[f.name]
		for _, word := range words {
			if err := tryFlag(f.name, word); err != nil {
				t.Errorf("%s %s: %v", f.name, word, err)
			}
		}
		if err := tryFlag(f.name, "frobnicate"); chosen && err == nil {
			t.Errorf("%s takes anything", f.name)
		}
	}
}

func tryFlag(name, value string) error {
	if name == "--by" || name == "--sort" {
		_, _, err := parseTop([]string{name, value}, new(bytes.Buffer))
		return err
	}
	_, _, err := loadConfig([]string{name, value}, new(bytes.Buffer))
	return err
}

// completions are what is offered for the last word of a line.
var completions = []struct {
	line string
	want string
}{
	{"conntally ", "names"},
	{"conntally ch", "check"},
	{"conntally check --", "--config --json"},
	{"conntally check --j", "--json"},
	{"conntally run --protocol ", "ipfix netflow9"},
	{"conntally run --track --nat w", "wire"},
	{"conntally run --active-timeout ", ""},
	{"conntally version ", ""},
	{"conntally top --by ", "device destination connection port"},
	{"conntally top --sort t", "total"},
	{"conntally devices --", "--json --socket"},
}

func TestBashCompletes(t *testing.T) {
	complete(t, need(t, "bash"), func(line string) string {
		words := strings.Split(line, " ")
		return fmt.Sprintf(
			". ../../module/completions/conntally.bash; COMP_WORDS=(%s) COMP_CWORD=%d; "+
				"_conntally; printf '%%s\\n' \"${COMPREPLY[@]}\"",
			strings.Join(each(words, quoted), " "), len(words)-1)
	})
}

func TestFishCompletes(t *testing.T) {
	complete(t, need(t, "fish"), func(line string) string {
		return "source ../../module/completions/conntally.fish; complete -C " + quoted(line)
	})
}

// TestShellsParseCompletions has each shell look at its file.
func TestShellsParseCompletions(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			output, err := exec.Command(need(t, shell), "-n",
				"../../module/completions/conntally."+shell).CombinedOutput()
			if err != nil || len(output) > 0 {
				t.Errorf("%v: %s", err, output)
			}
		})
	}
}

// complete runs a script of a shell for each line, and compares the words that it
// prints, one a line, a description behind them.
func complete(t *testing.T, shell string, script func(line string) string) {
	t.Helper()
	for _, c := range completions {
		if c.want == "names" {
			c.want = strings.Join(names(describeAll(t)), " ")
		}
		cmd := exec.CommandContext(context.Background(), shell, "-c", script(c.line))
		cmd.Env = append(cmd.Environ(), "HOME="+t.TempDir(), "LC_ALL=C")
		output, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", cmd, err)
		}
		var got []string
		for line := range strings.Lines(string(output)) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); word != "" {
				got = append(got, word)
			}
		}
		want := strings.Fields(c.want)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", c.line, got, want)
		}
	}
}
