package metrics

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const prometheusFiles = "../../docs/prometheus/"

// promtool returns the program, or skips the test.
func promtool(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skipf("SKIPPED, the rules were not tested: %v (Debian: prometheus)", err)
	}
	return exec.CommandContext(t.Context(), path, arguments...)
}

func TestAlertRulesFireWhenTheyShould(t *testing.T) {
	for _, arguments := range [][]string{{"check", "rules", prometheusFiles + "alerts.yaml"}, {"test", "rules", prometheusFiles + "alerts.test.yaml"}} {
		if out, err := promtool(t, arguments...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(arguments, " "), err, out)
		}
	}
}

// Each alert has a case in which it fires and one in which it does not.
func TestEveryAlertRuleHasATest(t *testing.T) {
	var rules struct {
		Groups []struct {
			Rules []struct{ Alert string }
		}
	}
	var tests struct {
		Tests []struct {
			Cases []struct {
				Alert    string           `yaml:"alertname"`
				Expected []map[string]any `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	for name, into := range map[string]any{"alerts.yaml": &rules, "alerts.test.yaml": &tests} {
		text, err := os.ReadFile(prometheusFiles + name)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	fires, silent := map[string]bool{}, map[string]bool{}
	for _, one := range tests.Tests {
		for _, c := range one.Cases {
			fires[c.Alert] = fires[c.Alert] || len(c.Expected) > 0
			silent[c.Alert] = silent[c.Alert] || len(c.Expected) == 0
		}
	}
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if !fires[rule.Alert] || !silent[rule.Alert] {
				t.Errorf("%s: a test in which it fires %v, in which it does not %v", rule.Alert, fires[rule.Alert], silent[rule.Alert])
			}
		}
	}
}

// dashboard is what is tested of docs/prometheus/dashboard.json.
type dashboard struct {
	UID        string
	Panels     []panel
	Templating struct {
		List []struct {
			Name       string
			Definition string
		}
	}
}

type panel struct {
	ID          int
	Title, Type string
	GridPos     struct{ X, Y, W, H int }
	FieldConfig struct {
		Defaults struct{ Unit string }
	}
	Targets []struct{ Expr, LegendFormat string }
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile(prometheusFiles + "dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// exported are the names of all metrics, from an agent with everything to show.
func exported(t *testing.T) (names []string) {
	t.Helper()
	s, _, _ := source()
	_, body := get(t, s, "/metrics")
	for line := range strings.Lines(body) {
		if name, found := strings.CutPrefix(line, "# TYPE "); found {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, name)
		}
	}
	if len(names) < 30 {
		t.Fatalf("only %d metrics: %v", len(names), names)
	}
	return names
}

var (
	labels     = regexp.MustCompile(`\{[^}]*\}|"[^"]*"|\[[^\]]*\]|\b(by|on|without|ignoring)\s*\([^)]*\)`)
	identifier = regexp.MustCompile(`[A-Za-z_:][A-Za-z0-9_:]*(\s*\()?`)
)

// metricsOf are the names in an expression that are neither functions, labels nor
// operators.
func metricsOf(expression string) (names []string) {
	for _, word := range identifier.FindAllString(labels.ReplaceAllString(expression, " "), -1) {
		if !strings.HasSuffix(word, "(") && !slices.Contains([]string{"and", "or", "unless", "bool", "by", "on", "group_left"}, word) {
			names = append(names, word)
		}
	}
	return names
}

func TestMetricsOfAnExpression(t *testing.T) {
	for expression, want := range map[string]string{
		`sum by (instance) (rate(a_total{part="b_total",kind=~"c"}[5m])) and on(instance) d == 1`: "a_total d",
		`time() - meltwatch_state_seconds > 30`:                                                   "meltwatch_state_seconds",
		`max by (instance, status) (m{x="y"} == 1)`:                                               "m",
	} {
		if have := strings.Join(metricsOf(expression), " "); have != want {
			t.Errorf("%s: %q, want %q", expression, have, want)
		}
	}
}

// Every metric of the dashboard and of the rules is one that an agent exports, every
// panel has a title, a unit and a place of its own.
func TestDashboardShowsWhatAnAgentExports(t *testing.T) {
	names, d := exported(t), readDashboard(t)
	known := func(where, expression string) {
		found := metricsOf(expression)
		if len(found) == 0 {
			t.Errorf("%s: %q holds no metric", where, expression)
		}
		for _, name := range found {
			if !slices.Contains(names, name) {
				t.Errorf("%s: unknown metric %s in %q", where, name, expression)
			}
		}
	}
	ids, taken, shown := map[int]bool{}, map[string]string{}, []string{}
	for _, p := range d.Panels {
		if p.Title == "" || p.FieldConfig.Defaults.Unit == "" || len(p.Targets) == 0 || ids[p.ID] {
			t.Errorf("panel %d %q: unit %q, %d expressions", p.ID, p.Title, p.FieldConfig.Defaults.Unit, len(p.Targets))
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			known(p.Title, target.Expr)
			shown = append(shown, metricsOf(target.Expr)...)
			if !strings.Contains(target.Expr, `instance=~"$instance"`) || !strings.Contains(target.LegendFormat, "{{instance}}") {
				t.Errorf("%s: %q does not tell boxes apart", p.Title, target.Expr)
			}
		}
		g := p.GridPos
		if g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 {
			t.Errorf("%s: outside the grid: %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				cell := fmt.Sprint(x, " ", y)
				if other := taken[cell]; other != "" {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[cell] = p.Title
			}
		}
	}
	for _, v := range d.Templating.List {
		if v.Definition != "" && !slices.Contains(names, strings.TrimPrefix(strings.Split(v.Definition, ",")[0], "label_values(")) {
			t.Errorf("variable %s: %q", v.Name, v.Definition)
		}
	}
	// What the agent alone knows is shown; a time of the last change is the timeline's to show.
	for _, name := range names {
		if strings.HasPrefix(name, "meltwatch_") && !strings.HasSuffix(name, "_since_seconds") && name != "meltwatch_build_info" && !slices.Contains(shown, name) {
			t.Errorf("no panel shows %s", name)
		}
	}
}

// Every expression of the dashboard is valid PromQL.
func TestDashboardIsValidPromQL(t *testing.T) {
	rules := map[string]any{}
	var list []map[string]any
	for _, p := range readDashboard(t).Panels {
		for i, target := range p.Targets {
			expression := strings.NewReplacer("$instance", ".*", "$__rate_interval", "5m").Replace(target.Expr)
			list = append(list, map[string]any{"record": fmt.Sprintf("panel_%d_%d", p.ID, i), "expr": expression})
		}
	}
	rules["groups"] = []any{map[string]any{"name": "dashboard", "rules": list}}
	text, err := yaml.Marshal(rules)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := promtool(t, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
