package alarm

import (
	"fmt"
	"strings"

	"meltwatch/agent/message"
)

// Summary says in plain words why an alarm was raised: which sense sees what, and where.
func Summary(a message.Alarm) string { return explained(a, message.ClassAlarm) }

// suspects is Summary for a suspicion.
func suspects(a message.Alarm) string {
	return "An early warning, not an alarm yet. " + explained(a, message.ClassSuspicion)
}

func explained(a message.Alarm, of message.Class) string {
	var s []string
	switch {
	case a.Source == "model":
		s = append(s, fmt.Sprintf("The model's mean p(abnormal) is %.3f, its threshold %.3f.", a.PMean, a.Enter))
	case a.Source == "rule" && of == message.ClassAlarm:
		s = append(s, "The current's variation fell under the rule's level; the model did not decide.")
	default:
		s = append(s, "The "+string(of)+" is held from before; nothing decides at the moment.")
	}
	s = append(s, senses(a)...)
	s = append(s, variation(a)...)
	return strings.Join(append(s, place(a)...), " ")
}

func senses(a message.Alarm) (s []string) {
	if a.Alone == nil {
		switch {
		case !a.Counted.Video && a.Counted.Current:
			return []string{"The current alone decided: " + missing("video", a.Senses.Video) + "."}
		case !a.Counted.Current && a.Counted.Video:
			return []string{"The video alone decided: " + missing("current", a.Senses.Current) + "."}
		}
		return nil
	}
	one := func(sense string, p *float64, status string) (text string, sees bool) {
		if p == nil {
			return missing(sense, status), false
		}
		return fmt.Sprintf("the %s alone gives %.2f", sense, *p), *p >= 0.5
	}
	current, currentSees := one("current", a.Alone.Current, a.Senses.Current)
	video, videoSees := one("video", a.Alone.Video, a.Senses.Video)
	text := strings.ToUpper(current[:1]) + current[1:] + ", " + video
	switch {
	case currentSees && videoSees:
		text += ": both see it"
	case currentSees:
		text += ": the current sees it"
	case videoSees:
		text += ": the video sees it"
	default:
		text += ": neither is sure alone"
	}
	return []string{text + "."}
}

func missing(sense, status string) string {
	if status == "ok" {
		return "the " + sense + " has too few values"
	}
	return "the " + sense + " is " + status
}

// calming is the share of the longer variation under which the shorter one is worth a word.
const calming = 0.7

func variation(a message.Alarm) []string {
	quiet := func(cv *float64, level float64) bool { return cv != nil && *cv < level }
	switch {
	case a.CV120 == nil && a.CV45 == nil:
		return nil
	case quiet(a.CV120, a.Level120):
		return []string{fmt.Sprintf("The current is quiet: it varied by %.1f %% over 120 s, the rule's level is %.1f %%.", 100**a.CV120, 100*a.Level120)}
	case quiet(a.CV45, a.Level45):
		return []string{fmt.Sprintf("The current has become quiet: it varied by %.1f %% over 45 s, the rule's level is %.1f %%.", 100**a.CV45, 100*a.Level45)}
	case a.CV120 != nil && a.CV45 != nil && *a.CV45 < calming**a.CV120:
		return []string{fmt.Sprintf("The current has become calmer: it varied by %.1f %% over 45 s and by %.1f %% over 120 s.", 100**a.CV45, 100**a.CV120)}
	case a.CV120 != nil:
		return []string{fmt.Sprintf("The current is lively: it varied by %.1f %% over 120 s.", 100**a.CV120)}
	default:
		return []string{fmt.Sprintf("The current is lively: it varied by %.1f %% over 45 s.", 100**a.CV45)}
	}
}

func place(a message.Alarm) []string {
	switch {
	case !a.Counted.Video:
		return nil
	case a.Change == nil && a.Evidence == nil:
		return []string{"Where in the picture is unknown."}
	case a.Change == nil:
		return []string{"The model looked " + where(*a.Evidence) + ", but nothing there is brighter than a minute before: check the picture."}
	case a.Evidence == nil:
		return []string{"The picture has become brighter " + where(a.Change.Evidence) + "."}
	case *a.Agree:
		return []string{"The picture has become brighter " + where(a.Change.Evidence) + ", where the model looked too."}
	default:
		return []string{"The model looked " + where(*a.Evidence) + ", but the picture has become brighter " + where(a.Change.Evidence) + ": check the picture."}
	}
}

// where names a ninth of the crop.
func where(e message.Evidence) string {
	third := func(v float64, low, middle, high string) string {
		switch {
		case v < 1./3:
			return low
		case v < 2./3:
			return middle
		default:
			return high
		}
	}
	row, column := third(e.Y, "upper", "middle", "lower"), third(e.X, "left", "centre", "right")
	if row == "middle" && column == "centre" {
		return "in the centre of the crop"
	}
	return "in the " + row + " " + column + " of the crop"
}
