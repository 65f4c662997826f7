package commandline

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Version is the command that prints the version.
type Version struct{}

// Run prints the program's name and version.
func (Version) Run(p Program, out io.Writer) error {
	_, err := fmt.Fprintln(out, p.Name, p.Version)
	return err
}

// Completion is the command that prints a shell's completion script.
type Completion struct {
	Shell   string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
	Program string `help:"Path of the program that the script calls; this one by default."`
}

// The scripts call the program with the line that is typed; it prints the candidates.
var scripts = map[string]string{
	"bash": "complete -o default -C PROGRAM NAME\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -o default -C PROGRAM NAME\n",
	"fish": `function __complete_NAME
    set -lx COMP_LINE (commandline -cp)
    test -z (commandline -ct)
    and set COMP_LINE "$COMP_LINE "
    PROGRAM
end
complete -f -c NAME -a "(__complete_NAME)"
`,
}

// Run prints the script.
func (c Completion) Run(p Program, out io.Writer) error {
	program := c.Program
	if program == "" {
		var err error
		if program, err = os.Executable(); err != nil {
			return fmt.Errorf("path of this program: %w; give it as --program", err)
		}
	}
	_, err := io.WriteString(out, strings.NewReplacer("PROGRAM", program, "NAME", p.Name).Replace(scripts[c.Shell]))
	return err
}
