// Package document reads the Markdown files of the project, for the tests that hold them to
// the programs: blocks of code, the commands in them, and what is said to run them.
//
// A block of commands is run by TestDocumentedCommands of a program in cmd, unless a comment
// stands before it, which readers don't see:
//
//	<!-- run by .ci/package-test -->
//	<!-- not run: it needs a router with OpenWrt -->
package document

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Block is a block of code.
type Block struct {
	Path string // of the document
	Line int    // of its first line, from 1
	// Language is what the fence says; "sh" or "ini" where four spaces stand before each line.
	Language string
	Fenced   bool // else indented
	Text     string
	// RunBy is the path, from the root of the project, of what runs its commands. NotRun is
	// why nothing does.
	RunBy, NotRun string
}

// Paths returns the Markdown files below a directory, without those of tests, tools and
// releases.
func Paths(dir string) (paths []string, err error) {
	skipped := []string{".git", ".tools", "dist", "testdata"}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skipped, d.Name()):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".md"):
			paths = append(paths, path)
		}
		return nil
	})
	return paths, err
}

// Read returns the blocks of the documents below a directory.
func Read(dir string) (blocks []Block, err error) {
	paths, err := Paths(dir)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		blocks = append(blocks, Parse(path, string(text))...)
	}
	return blocks, err
}

var (
	runBy  = regexp.MustCompile(`^<!-- run by (\S+) -->$`)
	notRun = regexp.MustCompile(`^<!-- not run: (\S.*) -->$`)
)

// Parse returns the blocks of a document.
func Parse(path, text string) []Block {
	p := parser{path: path}
	n := 0
	for line := range strings.Lines(text) {
		n++
		p.line(n, strings.TrimRight(line, "\n"))
	}
	return p.blocks
}

// parser is where Parse is in a document.
type parser struct {
	path          string
	blocks        []Block
	inside        inside
	list          bool   // items of a list may go on after four spaces
	runBy, notRun string // of the comment right before
}

// inside is the kind of block that a line may continue.
type inside int

const (
	text inside = iota
	fences
	spaces
)

const (
	fence  = "```"
	indent = "    "
)

func (p *parser) line(n int, line string) {
	code, isIndented := strings.CutPrefix(line, indent)
	language, isFence := strings.CutPrefix(line, fence)
	switch {
	case p.inside == fences && isFence:
		p.inside = text
	case p.inside == fences:
		p.add(line)
	case p.inside == spaces && isIndented:
		p.add(code)
	case isFence:
		p.open(n+1, language)
		p.blocks[len(p.blocks)-1].Fenced = true
		p.inside = fences
	case isIndented && !p.list:
		p.open(n, "sh")
		p.inside = spaces
		p.add(code)
	default:
		p.inside = text
		p.between(line)
	}
}

// open begins a block, which the comment before it is about.
func (p *parser) open(line int, language string) {
	p.blocks = append(p.blocks, Block{
		Path: p.path, Line: line, Language: language, RunBy: p.runBy, NotRun: p.notRun,
	})
	p.runBy, p.notRun = "", ""
}

func (p *parser) add(line string) {
	b := &p.blocks[len(p.blocks)-1]
	if p.inside == spaces && b.Text == "" && strings.HasPrefix(line, "[") {
		b.Language = "ini" // a part of a unit
	}
	b.Text += line + "\n"
}

// between reads a line that is in no block.
func (p *parser) between(line string) {
	if line == "" {
		return
	}
	p.list = strings.HasPrefix(line, "- ") || p.list && strings.HasPrefix(line, " ")
	p.runBy, p.notRun = "", ""
	if m := runBy.FindStringSubmatch(line); m != nil {
		p.runBy = m[1]
	}
	if m := notRun.FindStringSubmatch(line); m != nil {
		p.notRun = m[1]
	}
}

// Commands returns the commands of a block: those of a script, or what stands behind a prompt.
// A comment behind one has two spaces before it.
func (b *Block) Commands() (all []string) {
	if b.Language != "sh" && b.Language != "" {
		return nil
	}
	begun := "" // of a command that takes several lines
	for line := range strings.Lines(b.Text) {
		line = strings.TrimSpace(comment.ReplaceAllString(strings.TrimRight(line, "\n"), ""))
		command, ok := line, true
		if b.Language == "" && begun == "" {
			command, ok = prompted(line)
		}
		if !ok || begun == "" && strings.HasPrefix(command, "#") {
			continue
		}
		begun += command
		switch next, continued := strings.CutSuffix(begun, "\\"); {
		case continued:
			begun = next
		case strings.HasSuffix(begun, "|") || strings.Count(begun, "'")%2 == 1:
			begun += "\n"
		default:
			if begun != "" {
				all = append(all, begun)
			}
			begun = ""
		}
	}
	return all
}

// prompted returns what stands behind the prompt of a shell.
func prompted(line string) (command string, ok bool) {
	for _, prompt := range []string{"$ ", "# "} {
		if command, ok = strings.CutPrefix(line, prompt); ok {
			return command, true
		}
	}
	return "", false
}

var (
	fenced   = regexp.MustCompile("(?ms)^```.*?^```$")
	codeSpan = regexp.MustCompile("`([^`]+)`")
	comment  = regexp.MustCompile(`\s{2,}# .*$`)
)

// WithoutBlocks returns a document without what stands between fences.
func WithoutBlocks(text string) string { return fenced.ReplaceAllString(text, "") }

// Mentions returns all that a document shows as code and that may be a command: those of
// blocks, and code in the text, where a line's end is a space.
func Mentions(path, text string) (all []string) {
	for _, b := range Parse(path, text) {
		all = append(all, b.Commands()...)
	}
	for _, m := range codeSpan.FindAllStringSubmatch(WithoutBlocks(text), -1) {
		all = append(all, strings.Join(strings.Fields(m[1]), " "))
	}
	return all
}

// Unmarked returns the commands below a directory that tests of programs run: those of blocks
// without a comment on what runs them.
func Unmarked(dir string) (commands []string, err error) {
	blocks, err := Read(dir)
	for _, b := range blocks {
		if b.RunBy == "" && b.NotRun == "" {
			commands = append(commands, b.Commands()...)
		}
	}
	return commands, err
}

// Texts returns the blocks between fences of a document that are in one language.
func Texts(path, language string) (texts []string, err error) {
	text, err := os.ReadFile(path)
	for _, b := range Parse(path, string(text)) {
		if b.Fenced && b.Language == language {
			texts = append(texts, b.Text)
		}
	}
	return texts, err
}

// Queries returns the statements of SQL in a document.
func Queries(path string) (queries []string, err error) {
	texts, err := Texts(path, "sql")
	for _, text := range texts {
		for query := range strings.SplitSeq(text, ";") {
			if query = strings.TrimSpace(query); query != "" {
				queries = append(queries, query)
			}
		}
	}
	return queries, err
}
