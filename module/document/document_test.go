package document

import (
	"reflect"
	"testing"
)

const example = "# A heading\n" + `
Text with ` + "`conntally status`" + `, and ` + "`conntally\nflows --json`" + `:

    conntally top     # now
    nfdump -R \
      /var/cache
    echo 'a # b
    c' |
    cat

- an item

    that goes on

<!-- run by .ci/package-test -->

` + "```sh\n# a comment\napt install x\n```" + `
<!-- not run: it needs OpenWrt -->
` + "```\n$ opkg install x\nit prints this\n# opkg list\n```" + `

    [Service]
    Group=adm

` + "```toml\n[log]\n```\n"

func TestParse(t *testing.T) {
	want := []Block{
		{Path: "a.md", Line: 6, Language: "sh", Text: "conntally top     # now\nnfdump -R \\\n  /var/cache\necho 'a # b\nc' |\ncat\n"},
		{Path: "a.md", Line: 20, Fenced: true, Language: "sh", Text: "# a comment\napt install x\n",
			RunBy: ".ci/package-test"},
		{Path: "a.md", Line: 25, Fenced: true, Text: "$ opkg install x\nit prints this\n# opkg list\n",
			NotRun: "it needs OpenWrt"},
		{Path: "a.md", Line: 30, Language: "ini", Text: "[Service]\nGroup=adm\n"},
		{Path: "a.md", Line: 34, Fenced: true, Language: "toml", Text: "[log]\n"},
	}
	got := Parse("a.md", example)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v,\nwant %+v", got, want)
	}
	commands := [][]string{
		{"conntally top", "nfdump -R /var/cache", "echo 'a # b\nc' |\ncat"}, {"apt install x"},
		{"opkg install x", "opkg list"}, nil, nil,
	}
	for i, b := range want {
		if got := b.Commands(); !reflect.DeepEqual(got, commands[i]) {
			t.Errorf("line %d: commands %q, want %q", b.Line, got, commands[i])
		}
	}
}

func TestMentions(t *testing.T) {
	got := Mentions("a.md", example)
	want := []string{"conntally top", "nfdump -R /var/cache", "echo 'a # b\nc' |\ncat", "apt install x", "opkg install x",
		"opkg list", "conntally status", "conntally flows --json"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %q,\nwant %q", got, want)
	}
}
