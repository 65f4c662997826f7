package performance

import (
	"meltwatch/bench/performance/box"
	"meltwatch/bench/performance/camera"
	"meltwatch/bench/performance/client"
	"meltwatch/bench/performance/meter"
	"meltwatch/bench/performance/outbox"
	"meltwatch/bench/performance/verdict"
)

// parts are all parts, in the order of the page.
func (o Options) parts() []Part {
	fromMeter := meter.Options{Programs: o.Programs, Telegraf: o.Telegraf, Brief: o.Brief}
	return []Part{
		{Name: "meter", Title: "From the meter to the subscriber", Tables: meter.Tables(), Measure: fromMeter.Measure},
		{Name: "client", Title: "The Modbus client", Tables: client.Tables(), Measure: client.Options{Brief: o.Brief}.Measure},
		{Name: "camera", Title: "The camera", Tables: camera.Tables(), Measure: camera.Options{Programs: o.Programs, Every: o.Every, Folder: o.Results, Brief: o.Brief}.Measure},
		{Name: "verdict", Title: "The verdict", Tables: verdict.Tables(), Measure: verdict.Options{Programs: o.Programs, Brief: o.Brief}.Measure},
		{Name: "outbox", Title: "The outbox", Tables: outbox.Tables(), Measure: outbox.Options{Folder: o.Results, Brief: o.Brief}.Measure},
		{Name: "box", Title: "Furnaces on one box", Tables: box.Tables(false), Measure: box.Options{Programs: o.Programs, Brief: o.Brief}.Measure, OnDemand: true},
		{Name: "many", Title: "Where a box ends", Tables: box.Tables(true), Measure: box.Options{Programs: o.Programs, Brief: o.Brief, Many: true}.Measure, OnDemand: true},
	}
}
