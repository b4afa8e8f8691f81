package commandtest

import (
	"fmt"
	"strings"
)

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (d *Documents) made() string {
	return fmt.Sprintf("Made by go generate ./cmd/%s from --help and the reference file.\n", d.Program.Name)
}

// function is the name of a shell's function for the program.
func (d *Documents) function() string {
	return "_" + strings.ReplaceAll(d.Program.Name, "-", "_")
}

// bash is what bash-completion loads.
func (d *Documents) bash(all []Described) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n%s() {\n\tlocal words= value= word=${COMP_WORDS[COMP_CWORD]}\n", d.made(), d.function())
	fmt.Fprint(&b, "\t[ \"$COMP_CWORD\" -gt 1 ] && value=${COMP_WORDS[COMP_CWORD - 1]}\n"+
		"\tcase $value in\n")
	var free []string
	for _, f := range Valued(all) {
		switch {
		case f.isFile():
			fmt.Fprintf(&b, "\t%s)\n\t\tcompopt -o default\n\t\treturn\n\t\t;;\n", f.Name)
		case d.Choices[f.Name] != nil:
			fmt.Fprintf(&b, "\t%s) words=%s ;;\n", f.Name,
				quoted(strings.Join(d.Choices[f.Name], " ")))
		default:
			free = append(free, f.Name)
		}
	}
	fmt.Fprintf(&b, "\t%s) ;;\n", strings.Join(free, " | "))
	fmt.Fprintf(&b, "\t*)\n\t\tcase $COMP_CWORD,${COMP_WORDS[1]},$word in\n\t\t1,*) words=%s ;;\n",
		quoted(strings.Join(Names(all), " ")))
	for _, c := range all {
		words := c.flags()
		if len(c.Values) > 0 {
			fmt.Fprintf(&b, "\t\t*,%s,-*) words=%s ;;\n", c.Name,
				quoted(strings.Join(words, " ")))
			words = c.Values
		}
		fmt.Fprintf(&b, "\t\t*,%s,*) words=%s ;;\n", c.Name, quoted(strings.Join(words, " ")))
	}
	fmt.Fprint(&b,
		"\t\tesac\n\t\t;;\n\tesac\n"+
			"\tCOMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n")
	fmt.Fprintf(&b, "complete -F %s %s\n", d.function(), d.Program.Name)
	return b.String()
}

// zsh is a file of $fpath, of the name _PROGRAM.
func (d *Documents) zsh(all []Described) string {
	var b strings.Builder
	fmt.Fprintf(&b, "#compdef %s\n# %s\nlocal -a commands=(\n", d.Program.Name, d.made())
	for _, c := range all {
		fmt.Fprintf(&b, "\t%s\n", quoted(c.Name+":"+c.About))
	}
	fmt.Fprint(&b, ")\nif (( CURRENT == 2 )); then\n\t_describe command commands\n\treturn\nfi\n")
	fmt.Fprint(&b, "shift words\n(( CURRENT-- ))\ncase $words[1] in\n")
	for _, c := range all {
		fmt.Fprintf(&b, "%s)\n\t_arguments", c.Name)
		for i := range c.Flags {
			fmt.Fprintf(&b, " \\\n\t\t%s", quoted(d.zshFlag(&c.Flags[i])))
		}
		if len(c.Values) > 0 {
			fmt.Fprintf(&b, " \\\n\t\t%s", quoted(":argument:("+strings.Join(c.Values, " ")+")"))
		}
		fmt.Fprint(&b, "\n\t;;\n")
	}
	fmt.Fprint(&b, "esac\n")
	return b.String()
}

// zshFlag is an argument of _arguments.
func (d *Documents) zshFlag(f *Flag) string {
	escape := strings.NewReplacer("[", `\[`, "]", `\]`, ":", `\:`)
	spec := f.Name + "[" + escape.Replace(f.Usage) + "]"
	if f.repeats() {
		spec = "*" + spec
	}
	switch {
	case f.Value == "":
		return spec
	case f.isFile():
		return spec + ":" + f.Value + ":_files"
	}
	return fmt.Sprintf("%s:%s:(%s)", spec, escape.Replace(f.Value),
		strings.Join(d.Choices[f.Name], " "))
}

// fish is a file of vendor_completions.d.
func (d *Documents) fish(all []Described) string {
	var b strings.Builder
	program := d.Program.Name
	fmt.Fprintf(&b, "# %s\ncomplete -c %s -f\n", d.made(), program)
	for _, c := range all {
		fmt.Fprintf(&b, "complete -c %s -n __fish_use_subcommand -a %s -d %s\n", program, c.Name,
			quoted(c.About))
	}
	for _, c := range all {
		if len(c.Values) > 0 {
			fmt.Fprintf(&b, "complete -c %s -n '__fish_seen_subcommand_from %s' -a %s\n", program,
				c.Name, quoted(strings.Join(c.Values, " ")))
		}
		for _, f := range c.Flags {
			kind := ""
			switch {
			case f.isFile():
				kind = " -rF"
			case d.Choices[f.Name] != nil:
				kind = " -xa " + quoted(strings.Join(d.Choices[f.Name], " "))
			case f.Value != "":
				kind = " -x"
			}
			option, long := strings.CutPrefix(f.Name, "--")
			if option = " -l " + option; !long {
				option = " -s " + strings.TrimPrefix(f.Name, "-")
			}
			fmt.Fprintf(&b,
				"complete -c %s -n '__fish_seen_subcommand_from %s'%s%s -d %s\n", program,
				c.Name, option, kind, quoted(f.Usage))
		}
	}
	return b.String()
}
