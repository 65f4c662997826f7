package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"meltwatch/drivers/modbus"
)

// tries are the reads by which a unit is sought, one after the other until some unit
// answers. The second waits longer, because a gateway that waits for an absent unit keeps
// the next ones waiting. It and the third read elsewhere, because some devices do not
// answer reads of registers that they do not have.
var tries = []struct {
	function int
	middle   bool // of the registers, else the first
	patience int  // times the timeout
}{{3, false, 1}, {4, true, 2}, {3, true, 1}}

// askUnits returns the unit ids that answer.
func (s *surveyor) askUnits(ctx context.Context) (found []int, err error) {
	asked := map[int]int{} // places in the survey
	for _, try := range tries {
		q := modbus.Query{Function: try.function, Address: s.options.Registers.First, Quantity: min(2, s.options.Registers.size())}
		if try.middle {
			q.Address += (s.options.Registers.size() - q.Quantity) / 2
		}
		for q.Unit = s.options.Units.First; q.Unit <= s.options.Units.Last; q.Unit++ {
			if s.until(unitsShare) <= 0 {
				break
			}
			answers, said := s.askUnit(ctx, time.Duration(try.patience)*s.options.Timeout, q)
			if modbus.Unreachable(said) || ctx.Err() != nil {
				return nil, said
			}
			at, known := asked[q.Unit]
			if !known {
				at = len(s.survey.Units)
				asked[q.Unit] = at
				s.survey.Units = append(s.survey.Units, Unit{})
			}
			if err == nil || !silent(said) {
				err = said
			}
			s.survey.Units[at] = Unit{q.Unit, answers, "answers"}
			switch {
			case answers && said != nil:
				s.survey.Units[at].Said = "answers: " + said.Error()
			case said != nil:
				s.survey.Units[at].Said = noAnswer(said)
			}
			if answers {
				found = append(found, q.Unit)
			}
		}
		if len(found) > 0 || err != nil && !silent(err) {
			break // what came was no answer, and will not be one elsewhere
		}
	}
	if next := s.options.Units.First + len(asked); next <= s.options.Units.Last {
		s.note("units %d-%d were not asked for want of time: raise --within, or give them by --unit", next, s.options.Units.Last)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("none of the units %d-%d answers: %w; %s", s.options.Units.First, s.options.Units.First+len(asked)-1, err, s.remedy(err))
	}
	return found, nil
}

// noAnswer says why a unit gave none.
func noAnswer(err error) string {
	if code, refused := modbus.ExceptionCode(err); refused {
		return fmt.Sprintf("no answer (gateway exception %d)", code)
	}
	return err.Error()
}

// silent reports whether nothing came at all.
func silent(err error) bool { return errors.Is(err, context.DeadlineExceeded) || isTimeout(err) }

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// serial reports whether the line is one of this machine's.
func (s *surveyor) serial() bool { return strings.HasPrefix(s.options.URL, "rtu:") }

// unreachable says what to do when no connection can be opened.
func (s *surveyor) unreachable() string {
	if s.serial() {
		return "check the device's name, that this user may open it (group dialout), and that the agent does not use the line"
	}
	return "check the address and the port, and that the device allows another connection"
}

// remedy says what to try when no unit answers.
func (s *surveyor) remedy(err error) string {
	code, refused := modbus.ExceptionCode(err)
	switch {
	case refused && gateway(code):
		return "the gateway answers, but reaches no such unit: give other ids by --unit, and check the line behind it"
	case s.serial():
		return "check the wiring (A and B), --baud, --parity and --stop-bits, and give other ids by --unit"
	case silent(err):
		return "give other ids by --unit (a device without a serial line often has 0, 1 or 255), or a longer --timeout"
	default:
		return "check that the port is the device's Modbus port: tcp:// for Modbus TCP, rtuovertcp:// for a transparent serial gateway"
	}
}

// gateway reports whether an exception says that the unit itself was not reached.
func gateway(code int) bool { return code == 10 || code == 11 }

// askUnit makes one read. A refusal is an answer too, unless it is a gateway's.
func (s *surveyor) askUnit(ctx context.Context, timeout time.Duration, q modbus.Query) (answers bool, err error) {
	_, err = s.read(ctx, timeout, q)
	if code, refused := modbus.ExceptionCode(err); refused {
		return !gateway(code), err
	}
	return err == nil, err
}
